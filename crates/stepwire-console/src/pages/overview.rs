//! Overview: what goes on, and what needs attention.

use maud::{Markup, html};
use stepwire_asl::Timestamp;

use crate::chart;
use crate::frame::{Crumb, Page, Section};
use crate::link::link;
use crate::payload::cut;
use crate::region::Parts;
use crate::words::{Status, ago, count, duration, segment, since};

/// What the overview shows.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Clients that are connected, and things in the registry if they were counted.
    pub online: u64,
    /// Things in the registry; no more than are counted.
    pub things: u64,
    /// Executions that have not ended.
    pub running: u64,
    /// Those of them that wait for a device.
    pub waiting: u64,
    /// Executions that failed in the last hour.
    pub failed: u64,
    /// Messages that devices publish in a second.
    pub per_second: f64,
    /// From an execution's start until it has asked a device, in milliseconds: all but a hundredth of
    /// the latest took no longer.
    pub asked_ms: Option<i64>,
    /// What needs attention, most urgent first.
    pub attention: Vec<Attention>,
    /// Those that have waited longest for a device, longest first; some of them.
    pub longest: Vec<Waiting>,
    /// Executions of each minute of the last hour, oldest first: begun, failed.
    pub minutes: Vec<(u64, u64)>,
    /// Messages that devices published in each step of the last minutes, oldest first.
    pub messages: Vec<u64>,
    /// Where executions failed in the last hour: workflow, state, how many; most first.
    pub failures: Vec<(String, String, u64)>,
    /// How to begin, on a node with nothing on it.
    pub first: Option<First>,
    /// What a form on this page has just done.
    pub done: Option<String>,
    /// The time on the node's clock.
    pub now: Timestamp,
}

/// Something that needs attention.
#[derive(Debug, Clone)]
pub struct Attention {
    /// How bad it is.
    pub status: Status,
    /// In a few words.
    pub title: String,
    /// More about it.
    pub detail: String,
    /// When it happened last.
    pub at: Option<Timestamp>,
    /// Where more is, and what that is called.
    pub href: Option<(String, &'static str)>,
    /// Executions that can be redriven together.
    pub redrive: Option<Redrive>,
}

/// An execution that waits for a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Its device, if it has one.
    pub device: Option<String>,
    /// Its workflow.
    pub workflow: String,
    /// Its name.
    pub name: String,
    /// The state that waits.
    pub state: String,
    /// Since when.
    pub since: Timestamp,
}

/// Executions that went wrong in the same way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redrive {
    /// Their workflow.
    pub workflow: String,
    /// The state where they ended; empty when that is none.
    pub state: String,
    /// The error that they ended with; empty when there is none.
    pub error: String,
    /// AWS's word for how they ended.
    pub status: String,
    /// How many.
    pub count: u64,
}

/// How to begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct First {
    /// The data folder, unless it is the usual one.
    pub data: Option<String>,
    /// The certificate of the node's authority.
    pub ca: String,
    /// Host and port of MQTT over TLS.
    pub mqtts: (String, u16),
}

/// Draws it.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let numbers = parts.region("numbers", numbers(view));
    let attention = parts.region("attention", attention(view));
    let longest = parts.region("longest", longest(view));
    let charts = parts.region("charts", charts(view));
    let main = html! {
        div.head { h1 { "Overview" } }
        @if let Some(done) = &view.done { p.good.note role="status" { (done) } }
        (numbers)
        @if let Some(first) = &view.first { (self::first(first)) }
        section.card aria-labelledby="attention-title" { h2 #attention-title { "Needs attention" } (attention) }
        (charts)
        (longest)
    };
    let crumbs = vec![Crumb::here("Overview")];
    Page { title: "Overview".to_owned(), section: Section::Overview, crumbs, main, parts }
}

fn numbers(view: &View) -> Markup {
    let open = "/executions?status=running,waiting,waiting-for-device";
    let hour = "/executions?status=failed,timed-out&since=1h";
    html! {
        div.kp {
            a.card href="/devices?status=online" { span { "Online" } b { (count(view.online)) } small.dim { "of " (count(view.things)) " things" } }
            a.card href=(open) { span { "Running" } b { (count(view.running)) } small.dim { (if view.running == 1 { "execution" } else { "executions" }) } }
            a.card.amber[view.waiting > 0] href="/executions?status=waiting-for-device" { span { "Waiting for device" } b { (count(view.waiting)) } small.dim { "of the running" } }
            a.card.err[view.failed > 0] href=(hour) { span { "Failed or timed out" } b { (count(view.failed)) } small.dim { "in the last hour" } }
            a.card href="/live" { span { "Messages" } b { (rate(view.per_second)) } small.dim { "a second" } }
            div.card {
                span { "Start to device" }
                b { @match view.asked_ms { Some(ms) => (duration(ms)), None => "–" } }
                small.dim { "p99" }
            }
        }
    }
}

/// Those that wait for a device, if any do.
fn longest(view: &View) -> Markup {
    html! {
        @if !view.longest.is_empty() {
            section.card aria-labelledby="longest-title" {
                h2 #longest-title {
                    "Waiting longest for a device"
                    span.r { a.btn.sm href="/executions?status=waiting-for-device" { "all " (count(view.waiting)) } }
                }
                div.scroll tabindex="0" role="group" aria-label="Waiting longest for a device" {
                    table.tb {
                        thead { tr { th { "Device" } th { "Waits" } th { "State" } th { "Workflow" } th { "Execution" } } }
                        tbody { @for it in &view.longest { (waiting(it, view.now)) } }
                    }
                }
            }
        }
    }
}

fn waiting(it: &Waiting, now: Timestamp) -> Markup {
    let run = format!("/executions/{}/{}", segment(&it.workflow), segment(&it.name));
    html! {
        tr data-href=(run) {
            td.clip {
                @match &it.device {
                    Some(device) => a href={ "/devices/" (segment(device)) } { (device) },
                    None => span.vdim { "–" },
                }
            }
            td { (Status::WaitingForDevice.mark()) " " (since(it.since, now)) }
            td.clip { (it.state) }
            td.clip { a href={ "/workflows/" (segment(&it.workflow)) } { (it.workflow) } }
            td.mono.id { a href=(run) { (it.name) } }
        }
    }
}

/// A rate: one digit behind the point below ten.
fn rate(per_second: f64) -> String {
    if per_second > 0.0 && per_second < 9.95 {
        format!("{per_second:.1}")
    } else {
        count(per_second.round() as u64)
    }
}

fn attention(view: &View) -> Markup {
    html! {
        @if view.attention.is_empty() { p.pad.dim { (Status::Succeeded.mark()) " Nothing does." } }
        @else { ul.todo { @for it in &view.attention { (item(it, view.now)) } } }
    }
}

fn item(it: &Attention, now: Timestamp) -> Markup {
    html! {
        li {
            (it.status.mark())
            div.say { b { (cut(&it.title, 200)) } @if !it.detail.is_empty() { br; span.dim { (cut(&it.detail, 300)) } } }
            @if let Some(at) = it.at { span.vdim { (ago(at, now)) } }
            @if let Some((href, name)) = &it.href { a.btn.sm href=(href) { (name) } }
            @if let Some(redrive) = &it.redrive { (redrive_form(redrive)) }
        }
    }
}

fn redrive_form(redrive: &Redrive) -> Markup {
    let Redrive { workflow, state, error, status, count: number } = redrive;
    html! {
        form method="post" action="/-/console/redrive-group"
            data-confirm={ "Redrive " (number) (if *number == 1 { " execution of " } else { " executions of " }) (workflow) "?" } {
            input type="hidden" name="back" value="/";
            input type="hidden" name="workflow" value=(workflow);
            input type="hidden" name="state" value=(state);
            input type="hidden" name="error" value=(error);
            input type="hidden" name="status" value=(status);
            button.btn.sm { "Redrive " (count(*number)) }
        }
    }
}

/// States in the list of failures by state.
const STATES_MAX: usize = 8;

fn charts(view: &View) -> Markup {
    let begun: Vec<u64> = view.minutes.iter().map(|(begun, _)| *begun).collect();
    let failed: Vec<u64> = view.minutes.iter().map(|(_, failed)| *failed).collect();
    let all: u64 = begun.iter().sum();
    let shown = view.failures.len().min(STATES_MAX);
    let others: u64 = view.failures[shown..].iter().map(|(_, _, number)| number).sum();
    let most = view.failures.iter().map(|(_, _, number)| *number).max().unwrap_or(0);
    html! {
        div.cards {
            section.card aria-labelledby="begun-title" {
                h2 #begun-title { "Executions by minute" span.r.vdim { (count(all)) " in an hour" @if let Some(most) = begun.iter().max().filter(|most| **most > 0) { ", peak " (count(*most)) } } }
                div.pad.stack {
                    (chart::bars(&begun, "Executions begun in each minute of the last hour"))
                    @if failed.iter().any(|number| *number > 0) {
                        div.errs { (chart::bars_of(&failed, begun.iter().copied().max().unwrap_or(0), "Executions failed in each minute of the last hour")) span.dim { "failed" } }
                    }
                }
            }
            section.card aria-labelledby="messages-title" {
                h2 #messages-title { "Messages by second" span.r.vdim { "two minutes" @if let Some(most) = view.messages.iter().max().filter(|most| **most > 0) { ", peak " (count(*most)) } } }
                div.pad { (chart::bars(&view.messages, "Messages that devices published in each second of the last two minutes")) }
            }
            section.card aria-labelledby="failures-title" {
                h2 #failures-title { "Failures by state" span.r.vdim { "in the last hour" } }
                div.pad {
                    @if view.failures.is_empty() { p.dim { "None." } }
                    @else {
                        table.tb.plain { tbody {
                            @for (workflow, state, number) in &view.failures[..shown] {
                                @let href = link(&format!("/workflows/{}", segment(workflow)), &[("state", state)]);
                                tr {
                                    th.any scope="row" { a href=(href) { (cut(if state.is_empty() { workflow } else { state }, 44)) } br; span.vdim { (cut(workflow, 44)) } }
                                    td.num { (count(*number)) }
                                    td.bar-cell { (chart::share(*number, most, "er")) }
                                }
                            }
                        } }
                        @if others > 0 { p.dim { "and " (count(others)) " in " (view.failures.len() - shown) " more" } }
                    }
                }
            }
        }
    }
}

fn first(first: &First) -> Markup {
    let (host, port) = &first.mqtts;
    let data = first.data.as_ref().map(|data| format!("export STEPWIRE_DATA='{data}'\n"));
    let data = data.unwrap_or_default();
    let deploy = format!(
        "{data}cd your-project        # with a SAM or CloudFormation template\nstepwire deploy"
    );
    let device = format!(
        "{data}eval \"$(stepwire env)\"\naws iot create-thing --thing-name my-device\naws iot create-keys-and-certificate --set-as-active \\\n  --certificate-pem-outfile my-device.pem --private-key-outfile my-device.key\naws iot create-policy --policy-name all --policy-document '{{\"Version\":\"2012-10-17\",\n  \"Statement\":[{{\"Effect\":\"Allow\",\"Action\":\"iot:*\",\"Resource\":\"*\"}}]}}'\naws iot attach-policy --policy-name all --target CERTIFICATE_ARN\naws iot attach-thing-principal --thing-name my-device --principal CERTIFICATE_ARN\nmosquitto_pub --cafile '{}' --cert my-device.pem --key my-device.key \\\n  -h {host} -p {port} -i my-device -q 1 -t hello -m '{{}}'",
        first.ca
    );
    html! {
        section aria-labelledby="first-title" {
            h2.off #first-title { "How to begin" }
            div.cards {
                (card("Look around", "A fleet of simulated devices and a workflow that configures each as it comes online, on a node of their own.", "stepwire demo --devices 200"))
                (card("Deploy what you have", "The template that your team deploys to AWS, as it is.", &deploy))
                (card("Connect your device", "A thing, its certificate and a policy; then any MQTT client.", &device))
            }
        }
    }
}

fn card(title: &str, what: &str, commands: &str) -> Markup {
    html! {
        div.card {
            h3.bar { (title) span.r { button.btn.sm.js type="button" data-copy=(commands) { "Copy" } } }
            div.pad.stack { p.dim { (what) } pre tabindex="0" role="group" aria-label=(title) { (commands) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_together_and_redriven_together() {
        let redrive = Redrive {
            workflow: "W".to_owned(),
            state: "Wait".to_owned(),
            count: 20,
            ..Redrive::default()
        };
        let attention = Attention {
            status: Status::Failed,
            title: "20 × <b>".to_owned(),
            detail: String::new(),
            at: Some(Timestamp(0)),
            href: Some(("/executions?workflow=W".to_owned(), "open")),
            redrive: Some(redrive),
        };
        let drawn = page(&View { attention: vec![attention], ..View::default() }).main.0;
        assert!(drawn.contains("20 × &lt;b&gt;") && drawn.contains("Redrive 20"), "{drawn}");
        assert!(drawn.contains("name=\"state\" value=\"Wait\""));
    }

    #[test]
    fn a_node_with_nothing_on_it_says_how_to_begin() {
        let first = First {
            data: Some("/var/lib/x".to_owned()),
            ca: "/var/lib/x/ca.pem".to_owned(),
            mqtts: ("localhost".to_owned(), 8_883),
        };
        let drawn = page(&View { first: Some(first), ..View::default() }).main.0;
        for told in ["export STEPWIRE_DATA='/var/lib/x'", "-h localhost -p 8883", "stepwire demo"] {
            assert!(drawn.contains(told), "{told}");
        }
        assert!(!page(&View::default()).main.0.contains("How to begin"));
    }

    #[test]
    fn who_waits_for_a_device_is_listed_if_anybody_does() {
        let longest = |view: &View| page(view).main.into_string().contains("Waiting longest");
        assert!(!longest(&View::default()));
        let waiting = Waiting { name: "<b>".to_owned(), ..Waiting::default() };
        let view = View { longest: vec![waiting], ..View::default() };
        assert!(longest(&view));
        assert!(!page(&view).main.into_string().contains("<b></a>"));
    }

    #[test]
    fn of_many_states_that_failed_the_rest_is_counted() {
        let failures = |states: u64| {
            let each = (0..states).map(|n| ("W".to_owned(), format!("State {n}"), 20 - n));
            page(&View { failures: each.collect(), ..View::default() }).main.0
        };
        let drawn = failures(11);
        assert!(drawn.contains("State 7</a>") && !drawn.contains("State 8</a>"), "{drawn}");
        assert!(drawn.contains("and 33 in 3 more"), "{drawn}");
        assert!(!failures(8).contains(" more</p>"));
    }

    #[test]
    fn rates_have_a_digit_where_it_matters() {
        for (rate, text) in [(0.0, "0"), (0.25, "0.2"), (9.97, "10"), (412.4, "412")] {
            assert_eq!(super::rate(rate), text);
        }
    }
}
