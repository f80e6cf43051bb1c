//! Functions: which there are, and how their latest invocations ended.

use maud::{Markup, html};
use stepwire_asl::Timestamp;

use crate::frame::{Crumb, Page, Section};
use crate::region::Parts;
use crate::words::{Status, ago, bytes, count, segment};

/// What the page shows.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Functions in order of their names.
    pub functions: Vec<Function>,
    /// Part of a name that they were chosen by.
    pub query: String,
    /// Functions that were chosen and are not shown.
    pub more: usize,
    /// The time on the node's clock.
    pub now: Timestamp,
}

/// A function in a row.
#[derive(Debug, Clone, Default)]
pub struct Function {
    /// Name.
    pub name: String,
    /// `Runtime`
    pub runtime: String,
    /// `MemorySize`
    pub memory_mb: u64,
    /// `Timeout`
    pub timeout_s: u64,
    /// Bytes of its archive.
    pub code_bytes: u64,
    /// Invocations since the node started, and those that failed.
    pub ran: (u64, u64),
    /// The latest one.
    pub last: Option<Last>,
}

/// How an invocation ended.
#[derive(Debug, Clone, Copy)]
pub struct Last {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub took_us: u64,
    /// Whether the function failed.
    pub failed: bool,
}

/// Draws it.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let list = parts.region("functions", list(view));
    let main = html! {
        div.head { div { h1 { "Functions" } div.facts { span { "Invocations are counted since the node started." } } } }
        form.filters data-auto method="get" action="/functions" {
            label for="q" { "Name" }
            input #q name="q" value=(view.query) autocomplete="off";
            button.btn { "Show" }
        }
        section.card aria-label="Functions" { (list) }
    };
    let crumbs = vec![Crumb::here("Functions")];
    Page { title: "Functions".to_owned(), section: Section::Functions, crumbs, main, parts }
}

fn list(view: &View) -> Markup {
    html! {
        @if view.functions.is_empty() {
            div.empty {
                @if view.query.is_empty() {
                    b { "No function yet" }
                    "Unmodified Lambda functions run here: " code { "stepwire deploy" } ", " code { "sam deploy" } " or " code { "aws lambda create-function" } "."
                } @else { b { "No function has this in its name" } a href="/functions" { "all functions" } }
            }
        } @else {
            div.scroll tabindex="0" role="group" aria-label="Functions" data-scroll="functions" {
                table.tb {
                    thead { tr {
                        th { "Last" } th { "Name" } th { "Runtime" } th.num { "Memory" } th.num { "Timeout" } th.num { "Code" }
                        th.num { "Invocations" } th.num { "Failed" } th.num { "Took" } th { "When" }
                    } }
                    tbody { @for function in &view.functions { (row(function, view.now)) } }
                }
            }
            @if view.more > 0 { p.pad.dim { (count(view.more as u64)) " more: narrow the name." } }
        }
    }
}

fn row(function: &Function, now: Timestamp) -> Markup {
    let href = format!("/functions/{}", segment(&function.name));
    let (ran, failed) = function.ran;
    html! {
        tr data-href=(href) {
            td { (status(function.last.map(|last| last.failed))) }
            td.name title=(function.name) { a href=(href) { (function.name) } }
            td.mono { (function.runtime) }
            td.num { (function.memory_mb) " MB" }
            td.num { (function.timeout_s) " s" }
            td.num { (bytes(function.code_bytes)) }
            td.num { (count(ran)) }
            td.num { @if failed > 0 { span.off-red { (count(failed)) } } @else { "0" } }
            @match function.last {
                Some(last) => { td.num { (took(last.took_us)) } td { (ago(last.at, now)) } },
                None => { td.num { span.vdim { "–" } } td { span.vdim { "not since the start" } } },
            }
        }
    }
}

/// How the latest invocation ended, if there was one.
fn status(failed: Option<bool>) -> Markup {
    match failed {
        None => html! { span.sl.none { (Status::None.mark()) "not run" } },
        Some(false) => Status::Succeeded.line(),
        Some(true) => Status::Failed.line(),
    }
}

/// A duration of microseconds: `420 µs`, `1.6 ms`, `2.31 s`.
pub(super) fn took(us: u64) -> String {
    match us {
        ..1_000 => format!("{us} µs"),
        1_000..100_000 => format!("{:.1} ms", us as f64 / 1e3),
        100_000..1_000_000 => format!("{:.0} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_digits_that_matter() {
        for (us, text) in
            [(420, "420 µs"), (1_640, "1.6 ms"), (234_000, "234 ms"), (2_310_000, "2.31 s")]
        {
            assert_eq!(took(us), text);
        }
    }

    #[test]
    fn a_function_that_failed_is_told_by_a_word() {
        let last = Some(Last { at: Timestamp(0), took_us: 5, failed: true });
        let function = Function { name: "f<".to_owned(), ran: (2, 1), last, ..Function::default() };
        let drawn = page(&View { functions: vec![function], ..View::default() }).main.0;
        assert!(drawn.contains("failed") && drawn.contains("/functions/f%3C"), "{drawn}");
        assert!(page(&View::default()).main.0.contains("No function yet"));
    }
}
