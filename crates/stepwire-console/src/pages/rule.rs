//! One rule: its statement, what it does, and what it makes of messages.

use maud::{Markup, html};
use stepwire_asl::{Json, Timestamp};

use super::rules::{Counts, Verdict, state, verdict};
use crate::chart;
use crate::frame::{Crumb, Page, Section};
use crate::link::link;
use crate::payload;
use crate::region::Parts;
use crate::words::{clock, count, date, segment};

/// What the page shows.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Name.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// Description.
    pub description: String,
    /// It matches nothing.
    pub disabled: bool,
    /// When it was made.
    pub created: Timestamp,
    /// `awsIotSqlVersion`
    pub version: String,
    /// Its statement.
    pub sql: String,
    /// Its actions: kind and fields.
    pub actions: Vec<(String, Json)>,
    /// What it does when one of them fails.
    pub error_action: Option<(String, Json)>,
    /// What it has done.
    pub counts: Counts,
    /// What it makes of the messages that are kept.
    pub over: Over,
    /// Messages that are kept, for the tester.
    pub recorded: Vec<Recorded>,
    /// What is tested.
    pub test: Test,
    /// Somebody wants to delete it.
    pub deleting: bool,
}

/// What a statement makes of the messages that are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Over {
    /// Messages looked at.
    pub messages: u64,
    /// It takes them.
    pub matched: u64,
    /// `WHERE` does not hold.
    pub where_false: u64,
    /// It takes them, and an action cannot be carried out or nothing is selected.
    pub troubled: u64,
    /// Their topic is another.
    pub other_topic: u64,
}

/// A message that is kept.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Which.
    pub id: u64,
    /// When the broker took it.
    pub at: Timestamp,
    /// Topic.
    pub topic: String,
    /// The beginning of its payload.
    pub text: String,
    /// Whether the rule's filter takes its topic.
    pub taken: bool,
}

/// What is tested.
#[derive(Debug, Clone, Default)]
pub struct Test {
    /// The statement: the rule's own, or an edited one.
    pub sql: String,
    /// What of it is wrong, or perhaps not meant.
    pub marks: Vec<Mark>,
    /// The recorded message.
    pub recorded: Option<u64>,
    /// Topic of a typed one.
    pub topic: String,
    /// Payload of a typed one.
    pub payload: String,
    /// Client id of a typed one.
    pub client: String,
    /// What came of it; nothing was tested yet.
    pub outcome: Option<Result<Outcome, String>>,
}

/// Something about a place in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The statement cannot be used.
    pub is_error: bool,
}

/// What a statement makes of a message.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Whether it takes it, and why.
    pub verdict: Verdict,
    /// Every part with its value, in lines.
    pub parts: String,
    /// What `SELECT` makes of it; none when that is nothing.
    pub result: Option<Json>,
    /// What the actions would do: kind, and fields or why it fails.
    pub actions: Vec<(String, Result<Json, String>)>,
}

/// Draws it.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let over = parts.region("over", over(view));
    let edited = view.test.sql != view.sql;
    let main = html! {
        (head(view))
        @if view.deleting { (deleting(view)) }
        div.rl {
            div.stack {
                (tester(view, edited))
                @if let Some(outcome) = &view.test.outcome { (self::outcome(outcome)) }
            }
            div.stack {
                section.card aria-labelledby="over-title" {
                    h2 #over-title { "Over the latest messages" @if edited { span.r.vdim { "as edited" } } }
                    div.pad { (over) }
                }
                section.card aria-labelledby="actions-title" {
                    h2 #actions-title { "Actions" }
                    div.pad.stack {
                        @if view.actions.is_empty() { p.dim { "It does nothing with what it takes." } }
                        @for (kind, fields) in &view.actions { (action(kind, fields, "action")) }
                        @if let Some((kind, fields)) = &view.error_action { (action(kind, fields, "when an action fails")) }
                    }
                }
            }
        }
    };
    let crumbs = vec![Crumb::to("Rules", "/rules"), Crumb::here(&view.name)];
    Page { title: view.name.clone(), section: Section::Rules, crumbs, main, parts }
}

fn here(view: &View) -> String {
    format!("/rules/{}", segment(&view.name))
}

fn head(view: &View) -> Markup {
    let turn = if view.disabled { "Enable" } else { "Disable" };
    html! {
        div.head {
            div {
                h1 { (view.name) " " (state(view.disabled)) }
                div.facts {
                    span { "since " (date(view.created)) }
                    span { "SQL " (view.version) }
                    @let counts = view.counts.since_start;
                    span { "since the start: " b { (count(counts.heard)) } " on its topics, " b { (count(counts.succeeded)) } @if counts.succeeded == 1 { " action succeeded, " } @else { " actions succeeded, " } b { (count(counts.failed)) } " failed" }
                    span.mono.vdim { (view.arn) }
                }
                @if !view.description.is_empty() { p.dim { (view.description) } }
            }
            div.acts {
                form method="post" action="/-/console/rule-turn" {
                    input type="hidden" name="back" value=(here(view));
                    input type="hidden" name="rule" value=(view.name);
                    button.btn name="to" value=(turn.to_lowercase()) { (turn) }
                }
                a.btn.d href=(link(&here(view), &[("delete", "yes")])) { "Delete…" }
            }
        }
    }
}

fn deleting(view: &View) -> Markup {
    html! {
        form.bad.row method="post" action="/-/console/rule-delete" {
            input type="hidden" name="back" value=(here(view));
            input type="hidden" name="rule" value=(view.name);
            span { "Delete the rule " b { (view.name) } "? What it took already is still done." }
            span.gap {}
            button.btn.d { "Delete" }
            a.btn href=(here(view)) { "Keep" }
        }
    }
}

fn tester(view: &View, edited: bool) -> Markup {
    let test = &view.test;
    html! {
        section.card aria-labelledby="sql-title" {
            h2 #sql-title { "Statement" @if edited { span.pill.hold { "edited, not saved" } } }
            form.pad.stack method="get" action=(here(view)) {
                input type="hidden" name="back" value=(here(view));
                input type="hidden" name="rule" value=(view.name);
                @if test.marks.is_empty() {} @else { (marked(&test.sql, &test.marks)) }
                div.fld {
                    label for="sql" { "SQL" }
                    textarea #sql name="sql" rows="4" spellcheck="false" { (test.sql) }
                }
                fieldset {
                    legend { "Test on" }
                    div.fld {
                        label for="recorded" { "a recorded message" }
                        select #recorded name="recorded" {
                            option value="" { "– typed below –" }
                            @for it in &view.recorded {
                                option value=(it.id) selected[test.recorded == Some(it.id)] {
                                    (clock_text(it.at)) "  " (payload::cut(&it.topic, 50)) "  " (payload::cut(&it.text, 50))
                                    @if !it.taken { " (other topic)" }
                                }
                            }
                        }
                    }
                    div.row.top {
                        div.fld.wide { label for="topic" { "or a topic" } input #topic.mono name="topic" value=(test.topic) autocomplete="off"; }
                        div.fld { label for="client" { "client id" } input #client.mono name="client" value=(test.client) autocomplete="off"; }
                    }
                    div.fld { label for="payload" { "and payload" } textarea #payload name="payload" rows="4" spellcheck="false" { (test.payload) } }
                }
                div.row {
                    button.btn.p { "Test" }
                    @if edited { a.btn href=(here(view)) { "Undo" } }
                    span.gap {}
                    button.btn formmethod="post" formaction="/-/console/rule-save" { "Save statement" }
                }
            }
        }
    }
}

fn clock_text(at: Timestamp) -> String {
    at.rfc3339().get(11..23).unwrap_or_default().to_owned()
}

/// A statement with what is wrong in it underlined, and told below.
fn marked(sql: &str, marks: &[Mark]) -> Markup {
    html! {
        pre.sql tabindex="0" role="group" aria-label="Statement with marks" {
            @for (number, line) in (1..).zip(sql.lines()) {
                @let here: Vec<&Mark> = marks.iter().filter(|mark| mark.line == number).collect();
                (underlined(line, &here)) "\n"
            }
        }
        ul.marks {
            @for mark in marks {
                li class=(if mark.is_error { "off-red" } else { "dim" }) {
                    (if mark.is_error { "error" } else { "warning" }) " at " (mark.line) ":" (mark.column) ": " (mark.message)
                    @if let Some(hint) = &mark.hint { br; "hint: " (hint) }
                }
            }
        }
    }
}

/// A line with the word at each mark underlined.
fn underlined(line: &str, marks: &[&Mark]) -> Markup {
    let chars: Vec<char> = line.chars().collect();
    let mut spans: Vec<(usize, usize, bool)> = marks
        .iter()
        .map(|mark| {
            let from = mark.column.saturating_sub(1).min(chars.len());
            let word =
                chars[from..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
            (from, (from + word.max(1)).min(chars.len()), mark.is_error)
        })
        .collect();
    spans.sort_unstable();
    spans.dedup_by(|later, earlier| later.0 < earlier.1);
    let text = |from: usize, to: usize| chars[from..to].iter().collect::<String>();
    let mut pieces = Vec::new();
    let mut at = 0;
    for (from, to, is_error) in spans {
        pieces.push((text(at, from), None));
        let word = if from == to { " ".to_owned() } else { text(from, to) };
        pieces.push((word, Some(if is_error { "wavy err" } else { "wavy" })));
        at = to;
    }
    pieces.push((text(at, chars.len()), None));
    html! {
        @for (text, class) in pieces {
            @match class { Some(class) => mark class=(class) { (text) }, None => (text) }
        }
    }
}

fn outcome(outcome: &Result<Outcome, String>) -> Markup {
    html! {
        section.card #outcome aria-labelledby="outcome-title" {
            h2 #outcome-title { "Result" }
            div.pad.stack role="status" {
                @match outcome {
                    // Its second line shows the place, its third points at it.
                    Err(why) => div.bad { pre tabindex="0" role="group" aria-label="What is wrong" { (why) } },
                    Ok(outcome) => {
                        p class=(if outcome.verdict.matches { "good" } else { "bad" }) { (verdict(&outcome.verdict)) }
                        @if let Some(result) = &outcome.result { h3 { "SELECT gives" } (payload::pretty(result)) }
                        @if !outcome.actions.is_empty() { h3 { "Actions would be" } }
                        @for (kind, would) in &outcome.actions {
                            @match would {
                                Ok(fields) => (action(kind, fields, "would be")),
                                Err(why) => { p.bad { b { (kind) } " fails: " (why) } },
                            }
                        }
                        h3 { "Part by part" }
                        (payload::code(&outcome.parts))
                    },
                }
            }
        }
    }
}

fn action(kind: &str, fields: &Json, label: &str) -> Markup {
    let leads = fields.as_object().into_iter().flatten().find_map(|(name, value)| {
        let value = value.as_str()?;
        Some(match &**name {
            "stateMachineName" => format!("/workflows/{}", segment(value)),
            "functionArn" => {
                let name = value.split(':').skip_while(|part| *part != "function").nth(1)?;
                format!("/functions/{}", segment(name))
            }
            "tableName" => format!("/tables/{}", segment(value)),
            _ => return None,
        })
    });
    html! {
        div {
            p.row { b { (kind) } span.vdim { (label) } span.gap {} @if let Some(href) = leads { a href=(href) { "open" } } }
            (payload::pretty(fields))
        }
    }
}

fn over(view: &View) -> Markup {
    let Over { messages, matched, where_false, troubled, other_topic } = view.over;
    let rows = [
        ("Matched", matched, "ok"),
        ("WHERE does not hold", where_false, "mu"),
        ("Matched, and fails", troubled, "er"),
        ("Other topic", other_topic, "mu"),
    ];
    html! {
        @if view.test.marks.iter().any(|mark| mark.is_error) { p.dim { "Nothing is counted while the statement has an error." } }
        @else if messages == 0 { p.dim { "No message is kept yet." } }
        @else {
            table.tb.plain {
                tbody {
                    @for (name, number, class) in rows {
                        tr { th scope="row" { (name) } td.num { (count(number)) } td.bar-cell { (chart::share(number, messages, class)) } }
                    }
                }
            }
            p.dim { "Of " (count(messages)) " recorded. " a href=(link("/live", &[])) { "Messages" } }
        }
        @if let Some(last) = view.counts.last { p.dim { "Took the last one at " (clock(last)) "." } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(column: usize, is_error: bool) -> Mark {
        Mark { line: 1, column, message: "m".to_owned(), hint: None, is_error }
    }

    #[test]
    fn the_word_at_a_mark_is_underlined() {
        let (first, second) = (mark(8, true), mark(3, false));
        let drawn = underlined("SELECT FORM <a>", &[&first, &second]).0;
        assert_eq!(
            drawn,
            "SE<mark class=\"wavy\">LECT</mark> <mark class=\"wavy err\">FORM</mark> &lt;a&gt;"
        );
    }

    #[test]
    fn a_mark_behind_the_end_is_seen() {
        assert!(underlined("SELECT", &[&mark(7, true)]).0.contains("<mark"));
        assert!(underlined("", &[&mark(9, true)]).0.contains("<mark"));
    }

    #[test]
    fn what_is_not_so_is_told_with_the_result() {
        let verdict = Verdict { matches: false, sentence: "it does not match: <x>".to_owned() };
        let outcome =
            Outcome { verdict, parts: "<p>".to_owned(), result: None, actions: Vec::new() };
        let test = Test { sql: "b".to_owned(), outcome: Some(Ok(outcome)), ..Test::default() };
        let view = View { name: "R".to_owned(), sql: "a".to_owned(), test, ..View::default() };
        let drawn = page(&view).main.0;
        assert!(drawn.contains("it does not match: &lt;x&gt;") && drawn.contains("&lt;p&gt;"));
        assert!(drawn.contains("edited, not saved"));
    }

    #[test]
    fn an_action_leads_to_what_it_calls() {
        let arn = "arn:aws:lambda:r:a:function:f";
        let fields = Json::object([("functionArn", Json::from(arn))]);
        assert!(action("lambda", &fields, "").0.contains("href=\"/functions/f\""));
    }
}
