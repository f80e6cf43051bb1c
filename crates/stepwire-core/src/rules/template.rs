//! Substitution templates: `${expression}` in the fields of actions.

use super::sql::{Expression, Facts};

/// Text with expressions in it. Expressions see the original payload, never aliases.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Expression(Expression, String),
}

impl Template {
    /// The template that `text` writes; else what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if at > 0 {
                parts.push(Part::Text(rest[..at].to_owned()));
            }
            let inner = &rest[at + 2..];
            let end = closing(inner).ok_or_else(|| format!("`{text}`: `${{` is not closed"))?;
            let expression = Expression::parse(&inner[..end])
                .map_err(|error| format!("in `{text}`: {error}"))?;
            parts.push(Part::Expression(expression, inner[..end].to_owned()));
            rest = &inner[end + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Template(parts))
    }

    /// The text it makes of a message; else which expression has no value.
    pub(crate) fn text(&self, facts: &Facts<'_>) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Expression(expression, source) => match expression.value(facts).into_text() {
                    Some(value) => text.push_str(&value),
                    None => return Err(format!("`${{{source}}}` has no value for this message")),
                },
            }
        }
        Ok(text)
    }
}

/// Where the `}` is that closes an expression: not one in a string or an object.
fn closing(text: &str) -> Option<usize> {
    let (mut open, mut quote) = (0, None);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(chars.next()),
            (Some(begun), c) => quote = (c != begun).then_some(begun),
            (None, '\'' | '"') => quote = Some(c),
            (None, '{') => open += 1,
            (None, '}') if open == 0 => return Some(at),
            (None, '}') => open -= 1,
            (None, _) => {}
        }
    }
    None
}
