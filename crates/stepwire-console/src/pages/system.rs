//! System: how the node itself does, and how it is configured.

use maud::{Markup, html};
use stepwire_asl::Timestamp;

use super::functions::took;
use crate::chart;
use crate::frame::{Crumb, Page, Section};
use crate::region::Parts;
use crate::words::{ago, bytes, count, date, duration, since};

/// What the page shows.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Version of the program.
    pub version: String,
    /// When the node started.
    pub started: Timestamp,
    /// Process id.
    pub pid: u32,
    /// AWS region and account in ARNs.
    pub place: (String, String),
    /// Where its records are.
    pub data: String,
    /// Bytes of files in the data folder.
    pub data_bytes: Option<u64>,
    /// Bytes of its disk that are free, and all.
    pub disk: Option<(u64, u64)>,
    /// Bytes of memory that the process takes.
    pub memory: Option<u64>,
    /// How long commits take.
    pub commits: Commits,
    /// Inputs that wait for the kernel, and at most.
    pub queued: (u64, u64),
    /// Devices that are connected.
    pub connected: u64,
    /// Pages of the console that are open and stay current.
    pub pages: u64,
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// Its certificates.
    pub certificates: Vec<Certificate>,
    /// What it warned of lately, latest first.
    pub warnings: Vec<Warning>,
    /// How often each kind of thing has happened since the start.
    pub kinds: Vec<(String, u64)>,
    /// How it is configured.
    pub settings: Vec<Setting>,
    /// The time on the node's clock.
    pub now: Timestamp,
}

/// How long commits take.
#[derive(Debug, Clone, Default)]
pub struct Commits {
    /// Since the start.
    pub count: u64,
    /// Position of the last one, of all that the node ever made.
    pub position: u64,
    /// The latest of them, of which the times are told.
    pub of: u64,
    /// Microseconds: half of them, all but a hundredth, all took no longer.
    pub took_us: [u64; 3],
    /// Commits in each second of the last minute, oldest first.
    pub seconds: Vec<u64>,
}

/// A place where the node listens.
#[derive(Debug, Clone, Default)]
pub struct Listener {
    /// The option that says where: `--http`.
    pub option: &'static str,
    /// What is served there.
    pub what: &'static str,
    /// As a URL.
    pub url: String,
}

/// A certificate of the node.
#[derive(Debug, Clone, Default)]
pub struct Certificate {
    /// What it is for.
    pub what: &'static str,
    /// Names in it.
    pub names: Vec<String>,
    /// When it ends.
    pub until: Timestamp,
}

/// Something that the node warned of.
#[derive(Debug, Clone, Default)]
pub struct Warning {
    /// When.
    pub at: Timestamp,
    /// Its kind, such as `refused`.
    pub kind: String,
    /// What it said.
    pub text: String,
}

/// A setting of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setting {
    /// The option that sets it.
    pub option: String,
    /// Its value.
    pub value: String,
    /// Whether that is another than usual.
    pub is_set: bool,
}

/// A certificate with less time left is told of.
const SOON_MS: i64 = 30 * 86_400_000;

/// Draws it.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let numbers = parts.region("numbers", numbers(view));
    let commits = parts.region("commits", commits(&view.commits));
    let warnings = parts.region("warnings", warnings(view));
    let main = html! {
        div.head {
            div {
                h1 { "System" }
                div.facts {
                    span { "stepwire " b { (view.version) } }
                    span { "process " b { (view.pid) } }
                    span { "up " b { (since(view.started, view.now)) } }
                    span { (view.place.0) " · " (view.place.1) }
                }
            }
            div.acts { a.btn href="/-/metrics" { "Metrics" } }
        }
        (numbers)
        div.rl {
            div.stack {
                section.card aria-labelledby="warnings-title" {
                    h2 #warnings-title { "Warnings" span.r.vdim { "since the start" } }
                    (warnings)
                }
                (configuration(view))
            }
            div.stack {
                section.card aria-labelledby="commits-title" { h2 #commits-title { "Commits" } div.pad { (commits) } }
                (listeners(view))
                (certificates(view))
            }
        }
    };
    let crumbs = vec![Crumb::here("System")];
    Page { title: "System".to_owned(), section: Section::System, crumbs, main, parts }
}

fn numbers(view: &View) -> Markup {
    let unknown = || "–".to_owned();
    html! {
        div.kp {
            div.card { span { "Memory" } b { (view.memory.map_or_else(unknown, bytes)) } }
            div.card { span { "Data" } b { (view.data_bytes.map_or_else(unknown, bytes)) } }
            div.card { span { "Disk free" } b { (view.disk.map_or_else(unknown, |(free, _)| bytes(free))) } @if let Some((_, all)) = view.disk { small.dim { "of " (bytes(all)) } } }
            div.card { span { "Commit p99" } b { (took(view.commits.took_us[1])) } }
            div.card { span { "Inputs waiting" } b { (count(view.queued.0)) } small.dim { "of " (count(view.queued.1)) } }
            div.card { span { "Devices" } b { (count(view.connected)) } }
            div.card { span { "Open pages" } b { (count(view.pages)) } }
        }
    }
}

fn commits(commits: &Commits) -> Markup {
    let [half, most, all] = commits.took_us;
    let last = commits.seconds.last().copied().unwrap_or(0);
    html! {
        (chart::bars(&commits.seconds, "Commits in each second of the last minute"))
        div.facts {
            span { b { (count(last)) } " in the last second" }
            span { b { (count(commits.count)) } " since the start" }
            span { "the last at position " b { (count(commits.position)) } }
        }
        @if commits.of > 0 {
            p.dim {
                "Of the latest " (count(commits.of)) ": half took at most " b { (took(half)) } ", p99 " b { (took(most)) } ", all " b { (took(all)) } ". A commit ends when it is on stable storage."
            }
        }
    }
}

fn warnings(view: &View) -> Markup {
    html! {
        @if view.warnings.is_empty() { p.pad.dim { "None." } }
        @else {
            @if !view.kinds.is_empty() {
                p.pad.facts { @for (kind, number) in &view.kinds { span { (kind) " " b { (count(*number)) } } } }
            }
            div.scroll.tall tabindex="0" role="group" aria-label="Warnings" data-scroll="warnings" {
                table.tb {
                    thead { tr { th { "When" } th { "Kind" } th { "What" } } }
                    tbody {
                        @for warning in &view.warnings {
                            tr { td { (ago(warning.at, view.now)) } td { (warning.kind) } td.wrap { (warning.text) } }
                        }
                    }
                }
            }
        }
    }
}

fn listeners(view: &View) -> Markup {
    html! {
        section.card aria-labelledby="listeners-title" {
            h2 #listeners-title { "Listeners" }
            dl.pad.wide {
                @for listener in &view.listeners {
                    dt.mono { (listener.option) }
                    dd.any { span.mono { (listener.url) } br; span.dim { (listener.what) } }
                }
                dt.mono { "--data" } dd.mono.any { (view.data) }
            }
        }
    }
}

fn certificates(view: &View) -> Markup {
    html! {
        section.card aria-labelledby="certificates-title" {
            h2 #certificates-title { "Certificates" }
            dl.pad.wide {
                @for certificate in &view.certificates {
                    @let left = certificate.until.since_ms(view.now);
                    dt { (certificate.what) }
                    dd.any {
                        "until " (date(certificate.until)) ", "
                        @if left < 0 { span.off-red { "ended" } }
                        @else if left < SOON_MS { span.off-red { "ends in " (duration(left)) } }
                        @else { (count((left / 86_400_000) as u64)) " days left" }
                        @if !certificate.names.is_empty() { br; span.dim { (certificate.names.join(", ")) } }
                    }
                }
            }
        }
    }
}

fn configuration(view: &View) -> Markup {
    let (set, usual): (Vec<_>, Vec<_>) = view.settings.iter().partition(|setting| setting.is_set);
    html! {
        section.card aria-labelledby="configuration-title" {
            h2 #configuration-title { "Configuration" span.r.vdim { (set.len()) " set, " (usual.len()) " as usual" } }
            @if set.is_empty() { p.pad.dim { "Everything is as usual." } }
            @else { (list(&set)) }
            details.pad { summary { "As usual" } (list(&usual)) }
        }
    }
}

fn list(settings: &[&Setting]) -> Markup {
    html! {
        dl.pad.wide { @for setting in settings { dt.mono { (setting.option) } dd.mono.any { (setting.value) } } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_ends_soon_is_told_of() {
        let certificate = |until| Certificate { until: Timestamp(until), ..Certificate::default() };
        let days = |days: i64| days * 86_400_000;
        let certificates = vec![certificate(days(-1)), certificate(days(3)), certificate(days(90))];
        let drawn = page(&View { certificates, ..View::default() }).main.0;
        assert!(
            drawn.contains("ended")
                && drawn.contains("ends in 3 d")
                && drawn.contains("90 days left")
        );
    }

    #[test]
    fn what_is_set_comes_before_what_is_usual() {
        let setting = |option: &str, is_set| Setting {
            option: option.to_owned(),
            value: "1".to_owned(),
            is_set,
        };
        let settings = vec![setting("--usual", false), setting("--set", true)];
        let drawn = page(&View { settings, ..View::default() }).main.0;
        assert!(drawn.find("--set").is_some_and(|at| Some(at) < drawn.find("--usual")));
        assert!(drawn.contains("1 set, 1 as usual"));
    }

    #[test]
    fn warnings_are_text() {
        let warning = Warning { text: "<img src=x>".to_owned(), ..Warning::default() };
        let drawn = page(&View { warnings: vec![warning], ..View::default() }).main.0;
        assert!(!drawn.contains("<img"));
    }
}
