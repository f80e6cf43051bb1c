//! Filter patterns: the terms that messages must, may and must not hold.
//!
//! Source: CloudWatch Logs User Guide, "Filter pattern syntax", match terms in unstructured logs.
//! Patterns on JSON (`{ … }`), on columns (`[ … ]`) and regular expressions (`% … %`) are refused.

use crate::error::ApiError;

/// What a message must say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pattern {
    every: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    /// The pattern that `text` writes. The empty one fits every message.
    pub fn parse(text: &str) -> Result<Pattern, ApiError> {
        let text = text.trim();
        if text.starts_with(['{', '[', '%']) {
            let message = format!("filter pattern `{text}`: only terms are available in stepwire");
            return Err(ApiError::new(super::request::INVALID, message));
        }
        let mut pattern = Pattern::default();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let list = match first {
                '?' => &mut pattern.any,
                '-' => &mut pattern.none,
                _ => &mut pattern.every,
            };
            rest = rest.strip_prefix(['?', '-']).unwrap_or(rest);
            let (term, after) = term(rest)?;
            if !term.is_empty() {
                list.push(term);
            }
            rest = after.trim_start();
        }
        // Beside terms that must be there, those that may be there say nothing.
        if !pattern.every.is_empty() {
            pattern.any.clear();
        }
        Ok(pattern)
    }

    /// Whether a message fits.
    pub fn fits(&self, message: &str) -> bool {
        let holds = |term: &String| message.contains(term.as_str());
        self.every.iter().all(holds)
            && (self.any.is_empty() || self.any.iter().any(holds))
            && !self.none.iter().any(holds)
    }
}

/// The term that a text begins with, in quotes or up to a blank, and what follows.
fn term(text: &str) -> Result<(String, &str), ApiError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (term, after) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        return Ok((term.to_owned(), after));
    };
    let mut term = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((term, &quoted[at + 1..])),
            '\\' => term.extend(chars.next().map(|(_, c)| c)),
            c => term.push(c),
        }
    }
    Err(ApiError::new(super::request::INVALID, "filter pattern: a quote has no end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, message: &str) -> bool {
        Pattern::parse(pattern).expect("a pattern").fits(message)
    }

    #[test]
    fn terms_are_all_wanted_unless_marked_otherwise() {
        let message = "ERROR 400 \"BAD\" REQUEST";
        for (pattern, expected) in [
            ("", true),
            ("ERROR", true),
            ("error", false),
            ("ERROR 400", true),
            ("ERROR 500", false),
            ("?500 ?400", true),
            ("?500 ?501", false),
            ("ERROR -400", false),
            ("ERROR -500", true),
            ("\"400 \\\"BAD\"", true),
            ("\"ERROR REQUEST\"", false),
        ] {
            assert_eq!(fits(pattern, message), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_list_of_terms_is_refused() {
        for pattern in ["{ $.x = 1 }", "[a, b]", "%x%", "\"x"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
