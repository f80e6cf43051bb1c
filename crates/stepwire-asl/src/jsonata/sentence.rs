//! JSONata's sentences: what each error code says, as the language's own implementation puts it and
//! Step Functions shows it. The library has the codes, and words of its own.

use regex::Regex;

use crate::Json;

/// Sentences that are the same wherever they are said.
const FIXED: &[(&str, &str)] = &[
    ("D1004", "Regular expression matches zero length string"),
    ("T1006", "Attempted to invoke a non-function"),
    ("T1008", "Attempted to partially apply a non-function"),
    ("T2003", "The left side of the range operator (..) must evaluate to an integer"),
    ("T2004", "The right side of the range operator (..) must evaluate to an integer"),
    ("T2006", "The right side of the function application operator ~> must be a function"),
    (
        "T2008",
        "The expressions within an order-by clause must evaluate to numeric or string values",
    ),
    ("D3001", "Attempting to invoke string function on Infinity or NaN"),
    ("D3010", "Second argument of replace function cannot be an empty string"),
    ("D3011", "Fourth argument of replace function must evaluate to a positive number"),
    ("D3012", "Attempted to replace a matched string with a non-string value"),
    ("D3020", "Third argument of split function must evaluate to a positive number"),
    ("D3040", "Third argument of match function must evaluate to a positive number"),
    (
        "D3050",
        "The second argument of reduce function must be a function with at least two arguments",
    ),
    (
        "D3070",
        "The single argument form of the sort function can only be applied to an array of strings or an array of numbers.  Use the second argument to specify a comparison function",
    ),
    ("D3080", "The picture string must only contain a maximum of two sub-pictures"),
    (
        "D3081",
        "The sub-picture must not contain more than one instance of the 'decimal-separator' character",
    ),
    ("D3082", "The sub-picture must not contain more than one instance of the 'percent' character"),
    (
        "D3083",
        "The sub-picture must not contain more than one instance of the 'per-mille' character",
    ),
    ("D3084", "The sub-picture must not contain both a 'percent' and a 'per-mille' character"),
    (
        "D3085",
        "The mantissa part of a sub-picture must contain at least one character that is either an 'optional digit character' or a member of the 'decimal digit family'",
    ),
    (
        "D3086",
        "The sub-picture must not contain a passive character that is preceded by an active character and that is followed by another active character",
    ),
    (
        "D3087",
        "The sub-picture must not contain a 'grouping-separator' character that appears adjacent to a 'decimal-separator' character",
    ),
    (
        "D3088",
        "The sub-picture must not contain a 'grouping-separator' at the end of the integer part",
    ),
    (
        "D3089",
        "The sub-picture must not contain two adjacent instances of the 'grouping-separator' character",
    ),
    (
        "D3090",
        "The integer part of the sub-picture must not contain a member of the 'decimal digit family' that is followed by an instance of the 'optional digit character'",
    ),
    (
        "D3091",
        "The fractional part of the sub-picture must not contain an instance of the 'optional digit character' that is followed by a member of the 'decimal digit family'",
    ),
    (
        "D3092",
        "A sub-picture that contains a 'percent' or 'per-mille' character must not contain a character treated as an 'exponent-separator'",
    ),
    (
        "D3093",
        "The exponent part of the sub-picture must comprise only of one or more characters that are members of the 'decimal digit family'",
    ),
    ("D3131", "In a decimal digit pattern, all digits must be from the same decimal group"),
    ("D3134", "The timezone integer format specifier cannot have more than four digits"),
    ("D3135", "No matching closing bracket ']' in date/time picture string"),
    ("D3136", "The date/time picture string is missing specifiers required to parse the timestamp"),
    (
        "D3138",
        "The $single() function expected exactly 1 matching result.  Instead it matched more.",
    ),
    ("D3139", "The $single() function expected exactly 1 matching result.  Instead it matched 0."),
];

/// What the error `code` says, which the library tells as `told`; `function` was called last.
pub(super) fn thrown(code: &str, told: &str, function: &str) -> String {
    if let Some((_, sentence)) = FIXED.iter().find(|(fixed, _)| *fixed == code) {
        return (*sentence).to_owned();
    }
    let first = |pattern: &str| {
        let found = Regex::new(pattern).ok()?.captures(told)?;
        found.get(1).map(|part| part.as_str().to_owned())
    };
    let function = quoted(function);
    let argument = || first(r"(?i)argument (\d+)").unwrap_or_else(|| "1".to_owned());
    match code {
        "T0410" => {
            let index = match first(r"expected \d+, got (\d+)") {
                Some(given) => given,
                None => argument(),
            };
            format!("Argument {index} of function {function} does not match function signature")
        }
        "T0411" => format!(
            "Context value is not a compatible type with argument {} of function {function}",
            argument()
        ),
        "T0412" => {
            let kind = first(r"array of (\w+)").unwrap_or_default().to_lowercase();
            let kinds = ["array", "boolean", "function", "number", "object", "string"];
            let kind = kinds.into_iter().find(|known| kind.starts_with(known)).unwrap_or("value");
            format!(
                "Argument {} of function {function} must be an array of \"{kind}s\"",
                argument()
            )
        }
        "T2001" | "T2002" => match first(r"the (\S+) operator") {
            Some(operator) => told.replacen(
                &format!("the {operator} operator"),
                &format!("the {} operator", quoted(&operator)),
                1,
            ),
            None => told.to_owned(),
        },
        "D3030" => match first(r"(?s)^Cannot convert '(.*)' to number$") {
            Some(text) => format!("Unable to cast value to a number: {}", quoted(&text)),
            None => told.replacen("Cannot convert", "Unable to cast value to a number:", 1),
        },
        _ => told.to_owned(),
    }
}

/// What is wrong with the syntax of an expression, which the library tells as `told`.
pub(super) fn syntax(told: &str) -> String {
    let symbol = |name: &str| {
        let known = SYMBOLS.iter().find(|(known, _)| *known == name);
        quoted(known.map_or(name, |(_, symbol)| symbol))
    };
    let parts = |pattern: &str| -> Option<Vec<String>> {
        let found = Regex::new(pattern).ok()?.captures(told)?;
        Some(found.iter().skip(1).flatten().map(|part| part.as_str().to_owned()).collect())
    };
    if let Some(name) = parts(r"^The symbol (\w+) cannot be used as a unary operator$") {
        return format!("The symbol {} cannot be used as a unary operator", symbol(&name[0]));
    }
    if let Some(both) = parts(r"(?s)^Expected (\w+), got (.+)$") {
        return format!("Expected {}, got {}", symbol(&both[0]), symbol(&both[1]));
    }
    if let Some(name) = parts(r"^Expected (\w+) before end of expression$") {
        return format!("Expected {} before end of expression", symbol(&name[0]));
    }
    told.to_owned()
}

/// The library's names of symbols.
const SYMBOLS: &[(&str, &str)] = &[
    ("Plus", "+"),
    ("Minus", "-"),
    ("Star", "*"),
    ("StarStar", "**"),
    ("Slash", "/"),
    ("Percent", "%"),
    ("Equal", "="),
    ("NotEqual", "!="),
    ("LessThan", "<"),
    ("LessThanOrEqual", "<="),
    ("GreaterThan", ">"),
    ("GreaterThanOrEqual", ">="),
    ("And", "and"),
    ("Or", "or"),
    ("In", "in"),
    ("Ampersand", "&"),
    ("Dot", "."),
    ("DotDot", ".."),
    ("Question", "?"),
    ("QuestionQuestion", "?"),
    ("QuestionColon", ":"),
    ("Colon", ":"),
    ("ColonEqual", ":="),
    ("TildeArrow", "~>"),
    ("LeftParen", "("),
    ("RightParen", ")"),
    ("LeftBracket", "["),
    ("RightBracket", "]"),
    ("LeftBrace", "{"),
    ("RightBrace", "}"),
    ("Comma", ","),
    ("Semicolon", ";"),
    ("Caret", "^"),
    ("Pipe", "|"),
    ("Hash", "#"),
    ("At", "@"),
    ("Eof", "(end)"),
];

fn quoted(text: &str) -> String {
    Json::from(text).to_text()
}
