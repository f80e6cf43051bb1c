//! Conditions of Choice states and errors of catchers, as short words.

use stepwire_asl::Json;

use super::text::clip;

/// Letters of a label on a graph.
const LABEL_MAX: usize = 30;
/// Letters of a condition in full.
const FULL_MAX: usize = 2_000;
/// Operators within one another that are told.
const DEPTH_MAX: usize = 8;

/// A condition, short and in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    full: String,
}

impl Words {
    pub(super) fn short(text: &str) -> Words {
        Words { full: text.to_owned() }
    }
}

/// The label of an edge that is taken for any of `words`, and what it says in full if it does not.
pub(super) fn together(words: &[Words]) -> (Option<String>, Option<String>) {
    let full = match words {
        [] => return (None, None),
        [one] => one.full.clone(),
        many => many.iter().map(|words| &*words.full).collect::<Vec<_>>().join(" or "),
    };
    let label = if full.chars().count() > LABEL_MAX && words.len() > 1 {
        format!("{} rules", words.len())
    } else {
        clip(&without_long_paths(&full), LABEL_MAX)
    };
    let full = clip(&full, FULL_MAX);
    let differs = label != full;
    (Some(label), differs.then_some(full))
}

/// `text` with the beginnings of paths left out, as many as it takes to fit into a label.
fn without_long_paths(text: &str) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let length =
        |words: &[String]| words.iter().map(|word| word.chars().count() + 1).sum::<usize>();
    for index in 0..words.len() {
        if index > 0 && !matches!(&*words[index - 1], "and" | "or") {
            continue; // what something is compared with, not what is compared
        }
        while length(&words) > LABEL_MAX + 1 {
            let path = words[index].trim_start_matches('…');
            let is_path = path.chars().all(|c| c.is_alphanumeric() || "._[]$-".contains(c));
            match path.split_once('.').filter(|(_, rest)| is_path && !rest.is_empty()) {
                Some((_, rest)) => words[index] = format!("…{rest}"),
                None => break,
            }
        }
    }
    words.join(" ")
}

/// The condition of a rule of a Choice.
pub(super) fn of_rule(rule: &Json) -> Words {
    if let Some(condition) = rule.member("Condition") {
        let text = condition.as_str().map_or_else(|| condition.to_text(), query);
        return Words { full: text };
    }
    Words { full: path_rule(rule, 0) }
}

/// The errors of a catcher: `any error`, `States.Timeout`.
pub(super) fn of_catcher(catcher: &Json) -> Words {
    let errors = catcher.member("ErrorEquals").and_then(Json::as_array).unwrap_or_default();
    let names = errors.iter().filter_map(Json::as_str).map(|error| match error {
        "States.ALL" => "any error",
        other => other.strip_prefix("States.").unwrap_or(other),
    });
    let full = names.collect::<Vec<_>>().join(", ");
    Words { full: if full.is_empty() { "error".to_owned() } else { full } }
}

/// A JSONata or JSONPath expression without what every one has: `{% %}`, `$states.input.`, `$.`.
pub(super) fn query(text: &str) -> String {
    let text = text.trim();
    let inner = text.strip_prefix("{%").and_then(|rest| rest.strip_suffix("%}"));
    match inner {
        Some(jsonata) => {
            let words: Vec<&str> = jsonata.split_whitespace().collect();
            words.join(" ").replace("$states.input.", "").replace("$states.", "")
        }
        None => path(text),
    }
}

/// `$.a.b` is `a.b`; `$` alone is `input`, `$$.` is the context object.
fn path(text: &str) -> String {
    if let Some(rest) = text.strip_prefix("$$.") {
        return rest.to_owned();
    }
    match text.strip_prefix("$.") {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ if text == "$" => "input".to_owned(),
        _ => text.replace("${", "").replace('}', ""),
    }
}

fn path_rule(rule: &Json, depth: usize) -> String {
    if depth > DEPTH_MAX {
        return "…".to_owned();
    }
    for (name, between) in [("And", " and "), ("Or", " or ")] {
        if let Some(rules) = rule.member(name).and_then(Json::as_array) {
            let told: Vec<&Json> =
                rules.iter().filter(|rule| name == "Or" || !is_guard(rule, rules)).collect();
            let parts = told.iter().map(|rule| {
                let text = path_rule(rule, depth + 1);
                let mixed = text.contains(" and ") || text.contains(" or ");
                if mixed && told.len() > 1 { format!("({text})") } else { text }
            });
            return parts.collect::<Vec<_>>().join(between);
        }
    }
    if let Some(inner) = rule.member("Not") {
        return negated(inner, depth + 1);
    }
    let variable = rule.member("Variable").and_then(Json::as_str).map_or_else(String::new, path);
    let test = rule.as_object().and_then(|members| {
        members.iter().find(|(name, _)| {
            !matches!(&***name, "Variable" | "Next" | "Comment" | "Assign" | "Output")
        })
    });
    let Some((operator, value)) = test else { return String::new() };
    comparison(&variable, operator, value)
}

/// Whether `rule` only makes sure that what another of `rules` compares is there.
fn is_guard(rule: &Json, rules: &[Json]) -> bool {
    let variable = |rule: &Json| rule.member("Variable").and_then(Json::as_str).map(str::to_owned);
    let guards = rule.member("IsPresent").and_then(Json::as_bool) == Some(true);
    let Some(guarded) = variable(rule).filter(|_| guards) else { return false };
    rules.iter().any(|other| {
        let compares = other.member("IsPresent").is_none();
        let below = |of: String| {
            of.strip_prefix(&*guarded)
                .is_some_and(|rest| (rest.is_empty() && compares) || rest.starts_with(['.', '[']))
        };
        variable(other).is_some_and(below)
    })
}

fn negated(rule: &Json, depth: usize) -> String {
    let text = path_rule(rule, depth);
    for (sign, opposite) in
        [(" = ", " ≠ "), (" is present", " is absent"), (" > ", " ≤ "), (" < ", " ≥ ")]
    {
        let simple = rule.member("Variable").is_some();
        if simple && text.matches(sign).count() == 1 {
            return text.replace(sign, opposite);
        }
    }
    format!("not ({text})")
}

fn comparison(variable: &str, operator: &str, value: &Json) -> String {
    let written = match value {
        Json::String(text) if operator.ends_with("Path") => path(text),
        Json::String(text) if text.is_empty() => "\"\"".to_owned(),
        Json::String(text) => text.to_string(),
        other => other.to_text(),
    };
    if let Some(kind) = operator.strip_prefix("Is") {
        let kind = match kind {
            "Present" => "present".to_owned(),
            "Null" => "null".to_owned(),
            other => format!("a {}", other.to_lowercase()),
        };
        return match value.as_bool() {
            Some(false) if kind == "present" => format!("{variable} is absent"),
            Some(false) => format!("{variable} is not {kind}"),
            _ => format!("{variable} is {kind}"),
        };
    }
    let bare = operator.strip_suffix("Path").unwrap_or(operator);
    let signs = [
        ("GreaterThanEquals", "≥"),
        ("LessThanEquals", "≤"),
        ("GreaterThan", ">"),
        ("LessThan", "<"),
        ("Equals", "="),
        ("Matches", "like"),
    ];
    match signs.iter().find(|(end, _)| bare.ends_with(end)) {
        Some((_, sign)) => format!("{variable} {sign} {written}"),
        None => format!("{variable} {operator} {written}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_short_and_readable() {
        let cases = [
            (
                r#"{"Variable":"$.result.status","StringEquals":"SUCCESS","Next":"A"}"#,
                "result.status = SUCCESS",
            ),
            (
                r#"{"Condition":"{% $states.input.Status = 'Completed' %}","Next":"A"}"#,
                "Status = 'Completed'",
            ),
            (r#"{"Not":{"Variable":"$.State","StringEquals":"done"}}"#, "State ≠ done"),
            (r#"{"Not":{"Variable":"$.State","IsPresent":true}}"#, "State is absent"),
            (r#"{"Variable":"$.NextToken","IsPresent":true}"#, "NextToken is present"),
            (r#"{"Variable":"$.n","NumericGreaterThanEqualsPath":"$.most"}"#, "n ≥ most"),
            (r#"{"Variable":"$.key","StringMatches":"*.pdf"}"#, "key like *.pdf"),
            (
                r#"{"Or":[{"Variable":"$.a","BooleanEquals":true},{"And":[{"Variable":"$.b","IsNull":false},{"Variable":"$.c","NumericEquals":0}]}]}"#,
                "a = true or (b is not null and c = 0)",
            ),
            (
                r#"{"And":[{"Variable":"$.a","IsPresent":true},{"Variable":"$.a.b","IsPresent":true},{"Variable":"$.a.b","NumericEquals":1}]}"#,
                "a.b = 1",
            ),
            (r#"{"Not":{"And":[{"Variable":"$.a","NumericEquals":1}]}}"#, "not (a = 1)"),
            (r"{}", ""),
            (r"7", ""),
        ];
        for (text, words) in cases {
            assert_eq!(of_rule(&Json::parse(text).expect("JSON")).full, words, "{text}");
        }
    }

    #[test]
    fn long_paths_lose_their_beginning() {
        let label = |text: &str| together(&[Words::short(text)]).0.expect("a label");
        assert_eq!(
            label("idempotencyTable.Item.executionstatus.S = SUCCEEDED"),
            "…executionstatus.S = SUCCEEDED"
        );
        assert_eq!(label("result.status = SUCCESS"), "result.status = SUCCESS");
        assert_eq!(label("IngestionJob.ingestionJob.status = 'COMPLETE'"), "…status = 'COMPLETE'");
        assert_eq!(
            label("$count(a.b.c.d.e.f.g.h.i.j.k) > 1 and x"),
            "$count(a.b.c.d.e.f.g.h.i.j.k)…"
        );
    }

    #[test]
    fn a_catcher_names_its_errors() {
        let words = |text| of_catcher(&Json::parse(text).expect("JSON")).full;
        assert_eq!(words(r#"{"ErrorEquals":["States.ALL"]}"#), "any error");
        assert_eq!(words(r#"{"ErrorEquals":["States.Timeout","Late"]}"#), "Timeout, Late");
        assert_eq!(words("{}"), "error");
    }

    #[test]
    fn many_rules_to_one_state_are_counted() {
        let rule = |text: &str| Words::short(text);
        assert_eq!(
            together(&[rule("a = 1"), rule("b = 2")]),
            (Some("a = 1 or b = 2".into()), None)
        );
        let long = "x".repeat(40);
        let (label, full) = together(&[rule(&long), rule("b")]);
        assert_eq!((label.as_deref(), full), (Some("2 rules"), Some(format!("{long} or b"))));
    }
}
