//! What is wrong with a definition, and where.
//!
//! A [`Diagnostic`] says it twice: as ValidateStateMachineDefinition does, with AWS's code, message
//! and location; and for somebody who has the text before them, with the place to look at, a
//! sentence of ours, a hint, and a [`Topic`] whose number never changes.

mod nearest;
mod topic;

use std::fmt;

pub use nearest::nearest;
pub use topic::Topic;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The definition cannot be used.
    Error,
    /// It can be used; the author should know.
    Warning,
}

/// One finding, as ValidateStateMachineDefinition reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// AWS's code, such as `SCHEMA_VALIDATION_FAILED`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// JSON pointer of the place; `None` for a fault of the whole.
    pub location: Option<String>,
    /// The same for a reader of the text.
    pub help: Box<Help>,
}

/// What a reader of the text is told besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Help {
    /// What kind of finding it is.
    pub topic: Topic,
    /// The finding in our words: a lower-case fragment, names in backticks. `None`: AWS's are fine.
    pub sentence: Option<String>,
    /// JSON pointer of the member to look at, when it is not `location`.
    pub place: Option<String>,
    /// Which part of that member.
    pub part: Part,
    /// What stands there.
    pub label: Option<String>,
    /// What else belongs to it.
    pub related: Vec<Related>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Another place that belongs to a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// JSON pointer.
    pub place: String,
    /// Which part of the member.
    pub part: Part,
    /// What stands there.
    pub label: String,
}

/// A part of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its name.
    Key,
    /// Its value; of an object or array the beginning.
    Value,
}

impl Diagnostic {
    /// An error of this code.
    pub fn error(
        code: &'static str,
        message: impl Into<String>,
        location: impl Into<String>,
    ) -> Self {
        let help = Help {
            topic: Topic::of(code),
            sentence: None,
            place: None,
            part: Part::Value,
            label: None,
            related: Vec::new(),
            hint: None,
        };
        Diagnostic {
            severity: Severity::Error,
            code,
            message: message.into(),
            location: Some(location.into()),
            help: Box::new(help),
        }
    }

    /// A warning about the member at `place`.
    pub fn warning(
        topic: Topic,
        code: &'static str,
        message: impl Into<String>,
        place: impl Into<String>,
    ) -> Self {
        let warning = Diagnostic::error(code, message, place).about(topic);
        Diagnostic { severity: Severity::Warning, ..warning }
    }

    /// The same, of this topic.
    #[must_use]
    pub fn about(mut self, topic: Topic) -> Self {
        self.help.topic = topic;
        self
    }

    /// The same, in our words.
    #[must_use]
    pub fn in_words(mut self, sentence: impl Into<String>) -> Self {
        self.help.sentence = Some(sentence.into());
        self
    }

    /// The same; the reader looks at the name of the member at `place`.
    #[must_use]
    pub fn at_key(mut self, place: impl Into<String>) -> Self {
        self.help.place = Some(place.into());
        self.help.part = Part::Key;
        self
    }

    /// The same, with what stands at its place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.help.label = Some(label.into());
        self
    }

    /// The same, with another place that belongs to it.
    #[must_use]
    pub fn related(mut self, related: Related) -> Self {
        self.help.related.push(related);
        self
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.help.hint = Some(hint.into());
        self
    }

    /// The same, asking for the nearest of `known` when `word` is close to one.
    #[must_use]
    pub fn did_you_mean<'k>(self, word: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        match nearest(word, known) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

impl fmt::Display for Diagnostic {
    /// As InvalidDefinition tells it: code, message and place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = self.location.as_deref().unwrap_or("null");
        write!(f, "{}: {} at {location}", self.code, self.message)
    }
}
