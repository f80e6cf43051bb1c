//! Terms: texts that a message must, may and must not hold.

use regex::Regex;

use super::scan::Scan;

/// The terms of a pattern.
#[derive(Debug, Clone, Default)]
pub(super) struct Terms {
    every: Vec<Term>,
    any: Vec<Term>,
    none: Vec<Term>,
}

#[derive(Debug, Clone)]
enum Term {
    Text(String),
    Regex(Regex),
}

impl Terms {
    pub(super) fn parse(text: &str) -> Result<Terms, String> {
        let mut terms = Terms::default();
        let mut scan = Scan::new(text);
        while let Some(first) = scan.rest.chars().next() {
            let list = match first {
                '?' => &mut terms.any,
                '-' => &mut terms.none,
                _ => &mut terms.every,
            };
            scan.rest = scan.rest.strip_prefix(['?', '-']).unwrap_or(scan.rest);
            let term = term(&mut scan)?;
            list.extend(term);
            scan.skip_blanks();
        }
        // Beside terms that must be there, those that may be there say nothing.
        if !terms.every.is_empty() {
            terms.any.clear();
        }
        Ok(terms)
    }

    pub(super) fn fit(&self, message: &str) -> bool {
        let holds = |term: &Term| match term {
            Term::Text(text) => message.contains(text.as_str()),
            Term::Regex(regex) => regex.is_match(message),
        };
        self.every.iter().all(holds)
            && (self.any.is_empty() || self.any.iter().any(holds))
            && !self.none.iter().any(holds)
    }
}

/// The term that comes next; none, if it is empty.
fn term(scan: &mut Scan<'_>) -> Result<Option<Term>, String> {
    if let Some(text) = scan.quoted()? {
        return Ok((!text.is_empty()).then_some(Term::Text(text)));
    }
    if let Some(regex) = scan.regex()? {
        return Ok(Some(Term::Regex(regex)));
    }
    let end = scan.rest.find(char::is_whitespace).unwrap_or(scan.rest.len());
    let (text, rest) = scan.rest.split_at(end);
    scan.rest = rest;
    Ok((!text.is_empty()).then(|| Term::Text(text.to_owned())))
}
