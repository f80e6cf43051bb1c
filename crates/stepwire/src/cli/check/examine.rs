//! One definition, examined.

use std::ops::Range;

use stepwire_asl::diagnostic::Part;
use stepwire_asl::source::{Fault, Source, substituted};
use stepwire_asl::{Diagnostic, Json, Severity, StateMachine, Topic, advice};
use stepwire_core::executions::{DEFINITION_MAX, Kind, diagnose};

/// Findings of one definition that are told.
const TOLD_MAX: usize = 1_000;

/// A file and everything found in it.
#[derive(Debug)]
pub(crate) struct Examined {
    pub(crate) name: String,
    pub(crate) text: String,
    /// Errors first, each by its place.
    pub(crate) findings: Vec<Finding>,
    /// Whether there are more.
    pub(crate) truncated: bool,
    /// States of a definition without errors.
    pub(crate) states: Option<usize>,
}

/// A diagnostic and the bytes it is about.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) diagnostic: Diagnostic,
    pub(crate) place: Option<Range<usize>>,
    pub(crate) related: Vec<(Range<usize>, String)>,
}

impl Examined {
    pub(crate) fn new(name: &str, text: String, kind: Kind) -> Examined {
        let (mut findings, states) = findings(&text, kind);
        let truncated = findings.len() > TOLD_MAX;
        findings.truncate(TOLD_MAX);
        findings.sort_by_key(|finding| {
            let mild = finding.diagnostic.severity == Severity::Warning;
            (mild, finding.place.as_ref().map_or(0, |place| place.start))
        });
        Examined { name: name.to_owned(), text, findings, truncated, states }
    }

    pub(crate) fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.diagnostic.severity == severity).count()
    }
}

impl Finding {
    /// The finding in words: ours, or AWS's as a fragment.
    pub(crate) fn sentence(&self) -> String {
        if let Some(sentence) = &self.diagnostic.help.sentence {
            return sentence.clone();
        }
        let message = self.diagnostic.message.trim_end().trim_end_matches('.');
        let word = message.split_whitespace().next().unwrap_or_default();
        let mut chars = word.chars();
        let first = chars.next().unwrap_or_default();
        // A name such as `MaxDelaySeconds` keeps its letters.
        if !chars.as_str().is_empty() && chars.all(char::is_lowercase) || word == "A" {
            return first.to_lowercase().chain(message.chars().skip(1)).collect();
        }
        message.to_owned()
    }
}

fn findings(text: &str, kind: Kind) -> (Vec<Finding>, Option<usize>) {
    if text.len() > DEFINITION_MAX {
        let message = format!("the definition has {} bytes, more than 1 MiB", text.len());
        let diagnostic = Diagnostic::error("SCHEMA_VALIDATION_FAILED", message, "/");
        return (vec![Finding { diagnostic, place: None, related: Vec::new() }], None);
    }
    let substituted = substituted(text);
    let mut found = diagnose(&substituted, kind);
    let source = match Source::read(text) {
        Ok(source) => source,
        Err(fault) => {
            let findings = found.into_iter().take(1).map(|found| unread(found, &fault, text));
            return (findings.collect(), None);
        }
    };
    // What a template puts in is not known yet: its type and form are not judged.
    let judged = |diagnostic: &Diagnostic| {
        let place = diagnostic.location.as_deref().and_then(|at| source.value(at));
        place.is_none_or(|at| !(text[at.clone()].starts_with('"') && text[at].contains("${")))
    };
    if text.contains("${") {
        found.retain(judged);
    }
    let states = StateMachine::parse(&substituted).ok().map(|machine| machine.state_count());
    if states.is_some()
        && let Ok(json) = Json::parse(&substituted)
    {
        found.extend(advice::advised(&json));
    }
    // One more than is told, to know that there are more.
    let told = found.into_iter().take(TOLD_MAX + 1);
    (told.map(|diagnostic| placed(diagnostic, &source, text)).collect(), states)
}

/// The finding that the text is not JSON.
fn unread(diagnostic: Diagnostic, fault: &Fault, text: &str) -> Finding {
    let sentence = fault.sentence.clone().unwrap_or_else(|| fault.message.clone());
    let twice = diagnostic.help.topic == Topic::Duplicate;
    let first = if twice { "given here first" } else { "it begins here" };
    let mut related: Vec<_> = fault.first.iter().map(|at| (at.clone(), first.to_owned())).collect();
    let before = text[..fault.at.start].trim_end();
    if before.ends_with(',') && text[fault.at.start..].starts_with(['}', ']']) {
        related.push((before.len() - 1..before.len(), "this comma is one too many".to_owned()));
    }
    Finding { diagnostic: diagnostic.in_words(sentence), place: Some(fault.at.clone()), related }
}

fn placed(diagnostic: Diagnostic, source: &Source<'_>, text: &str) -> Finding {
    let help = &diagnostic.help;
    let pointer = help.place.as_deref().or(diagnostic.location.as_deref());
    let place = pointer.and_then(|pointer| bytes(source, text, pointer, help.part));
    let related = help.related.iter().filter_map(|related| {
        Some((bytes(source, text, &related.place, related.part)?, related.label.clone()))
    });
    let related = related.collect();
    Finding { diagnostic, place, related }
}

/// The bytes of a part of a member; of objects and arrays the first. Of a member that is not there,
/// those of what it would be in.
pub(crate) fn bytes(
    source: &Source<'_>,
    text: &str,
    pointer: &str,
    part: Part,
) -> Option<Range<usize>> {
    if source.value(pointer).is_none()
        && let Some((outer, _)) = pointer.rsplit_once('/')
    {
        return bytes(source, text, outer, part);
    }
    let key = if part == Part::Key { source.key(pointer) } else { None };
    key.or_else(|| {
        let value = source.value(pointer)?;
        let opens = text[value.clone()].starts_with(['{', '[']);
        Some(if opens { value.start..value.start + 1 } else { value })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(text: &str) -> Vec<Topic> {
        let examined = Examined::new("-", text.to_owned(), Kind::Standard);
        examined.findings.iter().map(|finding| finding.diagnostic.help.topic).collect()
    }

    #[test]
    fn what_a_template_puts_in_is_not_judged() {
        let text = r#"{"StartAt":"A","States":{
            "A":{"Type":"Task","Resource":"${FunctionArn}","TimeoutSeconds":"${Limit}","Next":"B"},
            "B":{"Type":"Task","Resource":"arn:${AWS::Partition}:states:::lambda:invoke","Parameters":{},"Next":"C"},
            "C":{"Type":"Wait","Seconds":"soon","End":true}}}"#;
        assert_eq!(topics(text), [Topic::BadValue]);
    }

    #[test]
    fn a_member_given_twice_is_shown_twice() {
        let text = r#"{"StartAt":"A","States":{},"StartAt":"B"}"#;
        let examined = Examined::new("-", text.to_owned(), Kind::Standard);
        assert_eq!(examined.findings[0].diagnostic.help.topic, Topic::Duplicate);
        assert_eq!(examined.findings[0].place, Some(27..36));
        assert_eq!(examined.findings[0].related[0].0, 1..10);
    }

    #[test]
    fn more_than_a_mebibyte_is_refused_unread() {
        assert_eq!(topics(&" ".repeat(DEFINITION_MAX + 1)), [Topic::BadValue]);
    }
}
