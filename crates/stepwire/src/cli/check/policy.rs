//! One policy, examined.

use std::ops::Range;

use annotate_snippets::{Group, Level, Renderer};
use serde_json::json;
use stepwire_asl::diagnostic::Part;
use stepwire_asl::source::{Lines, Source};
use stepwire_core::registry::policies::{Malformed, Policy};

use super::examine::bytes;
use super::render::snippet;

/// A file and what CreatePolicy would say of it.
#[derive(Debug)]
pub(super) struct Examined {
    name: String,
    text: String,
    finding: Option<Finding>,
}

#[derive(Debug)]
struct Finding {
    malformed: Malformed,
    /// The bytes it is about.
    place: Option<Range<usize>>,
}

impl Examined {
    pub(super) fn new(name: &str, text: String) -> Examined {
        let finding = Policy::parse(&text).err().map(|malformed| placed(malformed, &text));
        Examined { name: name.to_owned(), text, finding }
    }

    pub(super) fn is_malformed(&self) -> bool {
        self.finding.is_some()
    }

    /// What is wrong, with its line, and a line that sums up.
    pub(super) fn told(&self, colored: bool) -> String {
        let Some(finding) = &self.finding else { return format!("{}: fine", self.name) };
        let renderer = if colored { Renderer::styled() } else { Renderer::plain() };
        let title = Level::ERROR.primary_title(finding.sentence());
        let mut report = vec![match &finding.place {
            Some(place) => title.element(snippet(&self.name, &self.text, place, None, &[])),
            None => Group::with_title(title),
        }];
        if let Some(hint) = &finding.malformed.hint {
            let title = Level::HELP.with_name("hint").secondary_title(hint.as_str());
            report.push(Group::with_title(title));
        }
        format!("{}\n\n{}: 1 error", renderer.render(&report), self.name)
    }
}

impl Finding {
    fn sentence(&self) -> String {
        let Malformed { fault, .. } = &self.malformed;
        match self.malformed.place().as_str() {
            "" => fault.clone(),
            place => format!("at {place}: {fault}"),
        }
    }
}

/// The finding with the bytes it is about.
fn placed(mut malformed: Malformed, text: &str) -> Finding {
    let place = match Source::read(text) {
        Ok(source) => {
            let pointer: String = malformed.path.iter().map(|name| segment(name)).collect();
            bytes(&source, text, &pointer, Part::Value)
        }
        Err(fault) => {
            malformed.fault = fault.sentence.unwrap_or(fault.message);
            Some(fault.at)
        }
    };
    Finding { malformed, place }
}

/// A name or position as a part of a pointer.
fn segment(name: &str) -> String {
    match name.parse::<usize>() {
        Ok(at) => format!("[{at}]"),
        Err(_) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
    }
}

/// What is wrong with all files, as one JSON array.
pub(super) fn json(files: &[Examined]) -> String {
    let found = files.iter().filter_map(|file| {
        let Finding { malformed, place } = file.finding.as_ref()?;
        let lines = Lines::of(&file.text);
        let at = |byte| {
            let (line, column) = lines.place(byte);
            json!({ "line": line, "column": column })
        };
        Some(json!({
            "file": file.name,
            "severity": "error",
            "place": malformed.place(),
            "message": malformed.fault,
            "hint": malformed.hint,
            "start": place.as_ref().map(|place| at(place.start)),
            "end": place.as_ref().map(|place| at(place.end)),
        }))
    });
    format!("{:#}", serde_json::Value::Array(found.collect()))
}
