//! Findings for people and for programs.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::json;
use stepwire_asl::Severity;
use stepwire_asl::source::Lines;

use super::examine::{Examined, Finding};

/// Findings of one file that are shown.
const SHOWN_MAX: usize = 20;
/// Bytes of a long line that are looked at behind the last place.
const BEHIND: usize = 400;

/// Every finding with its line, and a line that sums up.
pub(super) fn text(file: &Examined, colored: bool) -> String {
    let renderer = if colored { Renderer::styled() } else { Renderer::plain() };
    let shown = file.findings.iter().take(SHOWN_MAX);
    let mut told: Vec<String> = shown.map(|finding| one(file, finding, &renderer)).collect();
    let more = file.findings.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        let least = if file.truncated { "at least " } else { "" };
        told.push(format!("… and {least}{more} more"));
    }
    told.push(summary(file));
    told.join("\n\n")
}

fn summary(file: &Examined) -> String {
    let (errors, warnings) = (file.count(Severity::Error), file.count(Severity::Warning));
    let states = file.states.map(|states| format!("{}: ", counted(states, "state")));
    let found = match (errors, warnings) {
        (0, 0) => "fine".to_owned(),
        (0, warnings) => counted(warnings, "warning"),
        (errors, 0) => counted(errors, "error"),
        (errors, warnings) => {
            format!("{}, {}", counted(errors, "error"), counted(warnings, "warning"))
        }
    };
    format!("{}: {}{found}", file.name, states.unwrap_or_default())
}

pub(super) fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn one(file: &Examined, finding: &Finding, renderer: &Renderer) -> String {
    let help = &finding.diagnostic.help;
    let level = match finding.diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(finding.sentence()).id(help.topic.number());
    let mut report = vec![match &finding.place {
        Some(place) => {
            let label = help.label.as_deref();
            title.element(snippet(&file.name, &file.text, place, label, &finding.related))
        }
        None => Group::with_title(title),
    }];
    if let Some(hint) = &help.hint {
        report
            .push(Group::with_title(Level::HELP.with_name("hint").secondary_title(hint.as_str())));
    }
    renderer.render(&report)
}

/// The lines that a finding is about, and no more.
pub(in crate::cli) fn snippet<'f>(
    name: &'f str,
    text: &'f str,
    place: &Range<usize>,
    label: Option<&'f str>,
    related: &'f [(Range<usize>, String)],
) -> Snippet<'f, Annotation<'f>> {
    let places = || related.iter().map(|(place, _)| place).chain([place]);
    let first = places().map(|place| place.start).min().unwrap_or_default();
    let last = places().map(|place| place.end).max().unwrap_or_default();
    let start = text[..first].rfind('\n').map_or(0, |at| at + 1);
    let end = text[last..].find('\n').map_or(text.len(), |at| last + at);
    // What is far behind is not shown; what is before gives the column.
    let end = end.min(text.ceil_char_boundary(last + BEHIND));
    let within = |place: &Range<usize>| place.start - start..place.end - start;
    let primary = AnnotationKind::Primary.span(within(place)).label(label);
    let related = related
        .iter()
        .map(|(place, label)| AnnotationKind::Context.span(within(place)).label(label.as_str()));
    Snippet::source(&text[start..end])
        .path(name)
        .line_start(text[..start].matches('\n').count() + 1)
        .annotation(primary)
        .annotations(related)
}

/// All findings of all files as one JSON array.
pub(super) fn json(files: &[Examined]) -> String {
    let found = files.iter().flat_map(|file| {
        let lines = Lines::of(&file.text);
        file.findings.iter().map(move |finding| object(file, finding, &lines))
    });
    format!("{:#}", serde_json::Value::Array(found.collect()))
}

fn object(file: &Examined, finding: &Finding, lines: &Lines<'_>) -> serde_json::Value {
    let diagnostic = &finding.diagnostic;
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let at = |byte| {
        let (line, column) = lines.place(byte);
        json!({ "line": line, "column": column })
    };
    let related = finding.related.iter().map(
        |(place, label)| json!({ "label": label, "start": at(place.start), "end": at(place.end) }),
    );
    json!({
        "file": file.name,
        "severity": severity,
        "code": diagnostic.help.topic.number(),
        "message": finding.sentence(),
        "label": diagnostic.help.label,
        "hint": diagnostic.help.hint,
        "start": finding.place.as_ref().map(|place| at(place.start)),
        "end": finding.place.as_ref().map(|place| at(place.end)),
        "related": related.collect::<Vec<_>>(),
        "aws": {
            "code": diagnostic.code,
            "message": diagnostic.message,
            "location": diagnostic.location,
        },
    })
}
