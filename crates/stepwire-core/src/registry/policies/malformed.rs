//! What is wrong with a policy document, where, and what to do about it.

use std::fmt;

/// The document is not a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Where: names and positions from the document inwards, such as `Statement`, `0`, `Action`.
    pub path: Vec<String>,
    /// What is wrong, a fragment of a sentence.
    pub fault: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Malformed {
    pub(super) fn new(fault: impl Into<String>) -> Malformed {
        Malformed { path: Vec::new(), fault: fault.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Malformed {
        Malformed { hint: Some(hint.into()), ..self }
    }

    /// The same, one level further in.
    pub(super) fn within(mut self, name: impl ToString) -> Malformed {
        self.path.insert(0, name.to_string());
        self
    }

    /// Where, as `Statement[0].Action`; empty for the whole document.
    pub fn place(&self) -> String {
        let mut place = String::new();
        for name in &self.path {
            match name.parse::<usize>() {
                Ok(_) => {
                    place.push('[');
                    place.push_str(name);
                    place.push(']');
                }
                Err(_) if place.is_empty() => place.push_str(name),
                Err(_) => {
                    place.push('.');
                    place.push_str(name);
                }
            }
        }
        place
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place();
        if !place.is_empty() {
            write!(f, "at {place}: ")?;
        }
        f.write_str(&self.fault)?;
        match &self.hint {
            Some(hint) => write!(f, "; hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Malformed {}
