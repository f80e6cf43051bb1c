//! Patterns on JSON: `{ $.a = 1 && ($.b[0] = "x*" || $.c IS NULL) }`.

use stepwire_asl::Json;

use super::scan::{Operator, Scan, Wanted};

/// Deepest nesting of parentheses.
const DEPTH_MAX: usize = 32;

/// What a document must say.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Compares(Selector, Operator, Wanted),
    Is(Selector, Is),
    NotExists(Selector),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    Null,
    True,
    False,
}

/// `$.a.b[0]`.
#[derive(Debug, Clone)]
pub(super) struct Selector {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Member(String),
    Entry(usize),
    All,
}

impl Condition {
    pub(super) fn parse(text: &str) -> Result<Condition, String> {
        let mut scan = Scan::new(text);
        scan.takes("{");
        let condition = any(&mut scan, 0)?;
        if !scan.takes("}") {
            return Err("`}` is missing".to_owned());
        }
        scan.skip_blanks();
        if !scan.rest.is_empty() {
            return Err(format!("`{}` comes after the end", scan.rest));
        }
        Ok(condition)
    }

    pub(super) fn fits(&self, json: &Json) -> bool {
        match self {
            Condition::All(all) => all.iter().all(|one| one.fits(json)),
            Condition::Any(any) => any.iter().any(|one| one.fits(json)),
            Condition::Compares(selector, operator, wanted) => {
                selector.found(json).into_iter().any(|found| match found {
                    Json::String(text) => operator.relates(text, wanted),
                    Json::Number(number) => {
                        operator.relates_number(number.as_f64(), &found.to_text(), wanted)
                    }
                    Json::Bool(_) => operator.relates(&found.to_text(), wanted),
                    _ => false,
                })
            }
            Condition::Is(selector, is) => selector.found(json).into_iter().any(|found| match is {
                Is::Null => found.is_null(),
                Is::True => found.as_bool() == Some(true),
                Is::False => found.as_bool() == Some(false),
            }),
            Condition::NotExists(selector) => selector.found(json).is_empty(),
        }
    }

    /// The values of what the pattern names.
    pub(super) fn extracted(&self, json: &Json) -> Vec<(String, String)> {
        match self {
            Condition::All(list) | Condition::Any(list) => {
                list.iter().flat_map(|one| one.extracted(json)).collect()
            }
            Condition::Compares(selector, ..)
            | Condition::Is(selector, _)
            | Condition::NotExists(selector) => {
                let found = selector.found(json).into_iter().next();
                let value = found.map(|found| match found {
                    Json::String(text) => text.to_string(),
                    other => other.to_text(),
                });
                value.map(|value| (selector.text.clone(), value)).into_iter().collect()
            }
        }
    }
}

/// What a selector finds first.
pub(super) fn value_of(selector: &str, json: &Json) -> Option<String> {
    let mut scan = Scan::new(selector);
    let selector = Selector::parse(&mut scan).ok()?;
    let found = selector.found(json).into_iter().next()?;
    Some(match found {
        Json::String(text) => text.to_string(),
        other => other.to_text(),
    })
}

fn any(scan: &mut Scan<'_>, depth: usize) -> Result<Condition, String> {
    let mut list = vec![all(scan, depth)?];
    while scan.takes("||") {
        list.push(all(scan, depth)?);
    }
    Ok(if list.len() == 1 { list.remove(0) } else { Condition::Any(list) })
}

fn all(scan: &mut Scan<'_>, depth: usize) -> Result<Condition, String> {
    let mut list = vec![one(scan, depth)?];
    while scan.takes("&&") {
        list.push(one(scan, depth)?);
    }
    Ok(if list.len() == 1 { list.remove(0) } else { Condition::All(list) })
}

fn one(scan: &mut Scan<'_>, depth: usize) -> Result<Condition, String> {
    if depth > DEPTH_MAX {
        return Err("it is nested too deeply".to_owned());
    }
    if scan.takes("(") {
        let inside = any(scan, depth + 1)?;
        return if scan.takes(")") { Ok(inside) } else { Err("`)` is missing".to_owned()) };
    }
    let selector = Selector::parse(scan)?;
    if scan.takes_word("IS") {
        let words = [("NULL", Is::Null), ("TRUE", Is::True), ("FALSE", Is::False)];
        let found = words.into_iter().find(|(word, _)| scan.takes_word(word));
        let (_, is) = found.ok_or("after `IS` comes `NULL`, `TRUE` or `FALSE`")?;
        return Ok(Condition::Is(selector, is));
    }
    if scan.takes_word("NOT") {
        return if scan.takes_word("EXISTS") {
            Ok(Condition::NotExists(selector))
        } else {
            Err("after `NOT` comes `EXISTS`".to_owned())
        };
    }
    let text = &selector.text;
    let operator =
        scan.operator().ok_or_else(|| format!("an operator is missing after `{text}`"))?;
    let wanted = scan.wanted("(){}")?;
    operator.takes(&wanted)?;
    Ok(Condition::Compares(selector, operator, wanted))
}

impl Selector {
    fn parse(scan: &mut Scan<'_>) -> Result<Selector, String> {
        scan.skip_blanks();
        let begin = scan.rest;
        if !scan.takes("$") {
            let word = scan.rest.split_whitespace().next().unwrap_or("the end");
            return Err(format!("`$` is expected at `{word}`"));
        }
        let mut steps = Vec::new();
        loop {
            if let Some(rest) = scan.rest.strip_prefix('.') {
                let end = |c: char| c.is_whitespace() || ".[]()=!<>&|{}".contains(c);
                let end = rest.find(end).unwrap_or(rest.len());
                let (name, rest) = rest.split_at(end);
                match name {
                    "" => return Err("a name is missing after `.`".to_owned()),
                    "*" => steps.push(Step::All),
                    name => steps.push(Step::Member(name.to_owned())),
                }
                scan.rest = rest;
            } else if let Some(rest) = scan.rest.strip_prefix('[') {
                let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'));
                let close = quote.map_or_else(|| "]".to_owned(), |quote| format!("{quote}]"));
                let inside = quote.map_or(rest, |_| &rest[1..]);
                let (inside, rest) = inside.split_once(&close).ok_or("`]` is missing")?;
                steps.push(match (quote, inside.trim()) {
                    (Some(_), _) => Step::Member(inside.to_owned()),
                    (None, "*") => Step::All,
                    (None, number) => {
                        let number = number.parse();
                        Step::Entry(number.map_err(|_| format!("`{inside}` is no index"))?)
                    }
                });
                scan.rest = rest;
            } else {
                break;
            }
        }
        if steps.is_empty() {
            return Err("a name is missing after `$`".to_owned());
        }
        let text = begin[..begin.len() - scan.rest.len()].to_owned();
        Ok(Selector { text, steps })
    }

    fn found<'a>(&self, json: &'a Json) -> Vec<&'a Json> {
        let mut found = vec![json];
        for step in &self.steps {
            found = found
                .into_iter()
                .flat_map(|json| match (step, json) {
                    (Step::Member(name), json) => json.member(name).into_iter().collect(),
                    (Step::Entry(at), Json::Array(entries)) => {
                        entries.get(*at).into_iter().collect()
                    }
                    (Step::All, Json::Array(entries)) => entries.iter().collect::<Vec<_>>(),
                    (Step::All, Json::Object(members)) => members.values().collect(),
                    _ => Vec::new(),
                })
                .collect();
        }
        found
    }
}
