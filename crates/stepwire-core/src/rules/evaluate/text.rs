//! An explanation for people.

use std::fmt::{self, Display, Formatter};

use super::{Explanation, Planned};
use crate::rules::sql::{Part, Picked, Value};

/// Characters of a value that are shown.
const VALUE_MAX: usize = 200;
/// The same of the result.
const RESULT_MAX: usize = 2_000;

impl Display for Explanation {
    /// The sentence, then every part with its value, those of a part indented below it. Several
    /// lines, without one at the end.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.sentence)?;
        let filter = self.filter.as_ref().map(|filter| format!(" '{filter}'")).unwrap_or_default();
        match &self.filter_fault {
            None => writeln!(f, "FROM{filter} takes `{}`", self.topic)?,
            // Why not says the sentence.
            Some(_) => writeln!(f, "FROM{filter} does not take `{}`", self.topic)?,
        }
        if !self.trace.variables.is_empty() {
            writeln!(f, "SET")?;
            self.trace.variables.iter().try_for_each(|variable| part(variable, 1, f))?;
        }
        if let Some(condition) = &self.trace.condition {
            writeln!(f, "WHERE {}", if self.trace.holds { "holds" } else { "does not hold" })?;
            part(condition, 1, f)?;
        }
        writeln!(f, "SELECT")?;
        self.trace.items.iter().try_for_each(|item| picked(item, f))?;
        write!(f, "  gives {}", shown(&self.trace.result, RESULT_MAX))?;
        self.actions.iter().try_for_each(|planned| action(planned, "", f))?;
        self.error_action.iter().try_for_each(|then| action(then, "then the error ", f))?;
        self.warnings.iter().try_for_each(|warning| write!(f, "\nwarning: {warning}"))
    }
}

fn picked(picked: &Picked, f: &mut Formatter<'_>) -> fmt::Result {
    let name = picked.name.as_deref().unwrap_or("VALUE");
    let part = &picked.part;
    if name == "*" && !part.is_undefined() {
        return writeln!(f, "  *");
    }
    if name == part.sql {
        write!(f, "  {name}")?;
    } else {
        write!(f, "  {name}: {}", part.sql)?;
    }
    value(part, f)?;
    if part.is_undefined() && picked.name.is_some() {
        write!(f, ", so it is left out")?;
    }
    if picked.replaced {
        write!(f, ", which a later item replaces")?;
    }
    writeln!(f)?;
    parts(part, 2, f)
}

fn part(of: &Part, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "{}", "  ".repeat(depth))?;
    if !of.label.is_empty() {
        write!(f, "{} ", of.label)?;
    }
    write!(f, "{}", of.sql)?;
    value(of, f)?;
    writeln!(f)?;
    parts(of, depth + 1, f)
}

/// What a part is made of. What is written out needs no line.
fn parts(of: &Part, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    let told = |part: &&Part| !(part.is_literal() && part.label.is_empty());
    of.parts.iter().filter(told).try_for_each(|inner| part(inner, depth, f))
}

fn value(part: &Part, f: &mut Formatter<'_>) -> fmt::Result {
    match &part.value {
        None => return write!(f, ": not needed"),
        Some(_) if part.is_literal() => {}
        Some(value) => write!(f, " → {}", shown(value, VALUE_MAX))?,
    }
    match &part.why {
        // What it is made of says the same.
        Some(why) if !part.parts.iter().any(|inner| inner.why.as_ref() == Some(why)) => {
            write!(f, " ({why})")
        }
        _ => Ok(()),
    }
}

fn action(planned: &Planned, prefix: &str, f: &mut Formatter<'_>) -> fmt::Result {
    match &planned.would {
        Ok(fields) => {
            write!(
                f,
                "\n{prefix}action `{}` would be {}",
                planned.kind,
                cut(&fields.to_text(), RESULT_MAX)
            )
        }
        Err(why) => write!(f, "\n{prefix}action `{}` fails: {why}", planned.kind),
    }
}

fn shown(value: &Value, max: usize) -> String {
    match value {
        Value::Undefined => "Undefined".to_owned(),
        Value::Json(json) => cut(&json.to_text(), max),
        Value::Bytes(bytes) => {
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(max)]).into_owned();
            format!("{} bytes {}", bytes.len(), cut(&format!("{text:?}"), max))
        }
    }
}

/// The beginning of a long text, and how long it is.
fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
        None => text.to_owned(),
    }
}
