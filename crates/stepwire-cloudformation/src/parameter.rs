//! The template's parameters: what may be given for them, and what is taken.

use std::sync::Arc;

use fancy_regex::Regex;

use crate::diagnostic::Diagnostic;
use crate::expanded::Given;
use crate::value::{Data, Place, Value};

/// Bytes of a parameter's value.
const BYTES_MAX: usize = 4096;

/// Members of a parameter's declaration.
const MEMBERS: &[&str] = &[
    "AllowedPattern",
    "AllowedValues",
    "ConstraintDescription",
    "Default",
    "Description",
    "MaxLength",
    "MaxValue",
    "MinLength",
    "MinValue",
    "NoEcho",
    "Type",
];

/// A parameter's declaration.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// `Type`, as written.
    pub kind: ParameterType,
    /// `Default`, as the text that could be given.
    pub default: Option<Arc<str>>,
    /// `AllowedValues`; empty when anything is.
    pub allowed_values: Vec<Arc<str>>,
    /// `AllowedPattern`.
    pub allowed_pattern: Option<Arc<str>>,
    /// `MinLength`, `MaxLength`, in characters.
    pub length: (Option<u64>, Option<u64>),
    /// `MinValue`, `MaxValue`.
    pub range: (Option<f64>, Option<f64>),
    /// `ConstraintDescription`.
    pub constraint_description: Option<Arc<str>>,
    /// `Description`.
    pub description: Option<Arc<str>>,
    /// `NoEcho`: its value is shown as `****`.
    pub no_echo: bool,
    /// Where its name stands.
    pub place: Place,
}

/// The `Type` of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterType {
    /// `String`, and AWS-specific types of one value, such as `AWS::EC2::VPC::Id`.
    String(Arc<str>),
    /// `Number`.
    Number,
    /// `List<Number>`.
    NumberList,
    /// `CommaDelimitedList`, and lists of AWS-specific types, such as `List<AWS::EC2::Subnet::Id>`.
    List(Arc<str>),
    /// `AWS::SSM::Parameter::Value<…>`: the value given names a parameter of Parameter Store.
    Ssm {
        /// As written.
        name: Arc<str>,
        /// Whether what is stored is a list.
        list: bool,
    },
}

impl ParameterType {
    /// As the template writes it.
    pub fn name(&self) -> &str {
        match self {
            ParameterType::String(name)
            | ParameterType::List(name)
            | ParameterType::Ssm { name, .. } => name,
            ParameterType::Number => "Number",
            ParameterType::NumberList => "List<Number>",
        }
    }

    fn parse(name: &Arc<str>) -> Option<ParameterType> {
        if let Some(inner) = within(name, "AWS::SSM::Parameter::Value<") {
            let list = inner == "CommaDelimitedList" || inner.starts_with("List<");
            return Some(ParameterType::Ssm { name: name.clone(), list });
        }
        if let Some(inner) = within(name, "List<") {
            return match inner {
                "Number" => Some(ParameterType::NumberList),
                "String" => Some(ParameterType::List(name.clone())),
                _ if inner.starts_with("AWS::") => Some(ParameterType::List(name.clone())),
                _ => None,
            };
        }
        match &**name {
            "String" => Some(ParameterType::String(name.clone())),
            "Number" => Some(ParameterType::Number),
            "CommaDelimitedList" => Some(ParameterType::List(name.clone())),
            other if other.starts_with("AWS::") => Some(ParameterType::String(name.clone())),
            _ => None,
        }
    }
}

/// What stands between `start` and the closing `>`.
fn within<'a>(name: &'a str, start: &str) -> Option<&'a str> {
    name.strip_prefix(start)?.strip_suffix('>')
}

impl Parameter {
    /// The declaration that `value` writes under `name`.
    pub(crate) fn parse(
        name: &str,
        value: &Value,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Parameter> {
        let mut wrong = |place, message: String| problems.push(Diagnostic::new(place, message));
        let Some(members) = value.as_map() else {
            wrong(
                value.pointer(),
                "Template format error: Every Parameters object must contain a Type member."
                    .to_owned(),
            );
            return None;
        };
        for (member, at) in members {
            if !MEMBERS.contains(&&**member) {
                wrong(at.pointer(), format!("Invalid template parameter property '{member}'"));
            }
        }
        let Some(kind) = value.member("Type").and_then(Value::text) else {
            wrong(
                value.pointer(),
                "Template format error: Every Parameters object must contain a Type member."
                    .to_owned(),
            );
            return None;
        };
        let Some(kind) = ParameterType::parse(&kind) else {
            let place = value.member("Type").map_or(value.place, |at| at.place);
            wrong(place, format!("Template format error: Unrecognized parameter type: {kind}"));
            return None;
        };
        let text = |member: &str| value.member(member).and_then(Value::text);
        let number = |member: &str| text(member)?.parse::<u64>().ok();
        let real = |member: &str| text(member)?.parse::<f64>().ok();
        let default = value.member("Default").and_then(|at| match &at.data {
            Data::List(items) => {
                let texts: Option<Vec<Arc<str>>> = items.iter().map(Value::text).collect();
                texts.map(|texts| texts.join(",").into())
            }
            // An empty default is the empty text.
            Data::Null => Some("".into()),
            _ => at.text(),
        });
        if let Some(at) = value.member("Default")
            && default.is_none()
        {
            wrong(
                at.pointer(),
                "Template format error: Every Default member must be a string.".to_owned(),
            );
        }
        let allowed = value.member("AllowedValues").and_then(Value::as_list).unwrap_or_default();
        if let Some(at) = value.member("AllowedPattern")
            && at.as_str().is_none_or(|pattern| compile(pattern).is_none())
        {
            wrong(
                at.pointer(),
                format!(
                    "Template format error: AllowedPattern of {name} is not a regular expression"
                ),
            );
        }
        Some(Parameter {
            kind,
            default,
            allowed_values: allowed.iter().filter_map(Value::text).collect(),
            allowed_pattern: text("AllowedPattern"),
            length: (number("MinLength"), number("MaxLength")),
            range: (real("MinValue"), real("MaxValue")),
            constraint_description: text("ConstraintDescription"),
            description: text("Description"),
            no_echo: value.member("NoEcho").and_then(Value::as_bool).unwrap_or_default(),
            place: value.pointer(),
        })
    }

    /// Whether the value given names a parameter of Parameter Store.
    pub(crate) fn is_stored(&self) -> bool {
        matches!(self.kind, ParameterType::Ssm { .. })
    }

    /// What `text` means for this parameter; AWS's sentence when it is not allowed.
    pub(crate) fn take(&self, name: &str, text: &str, given: &Given) -> Result<Value, String> {
        if text.len() > BYTES_MAX {
            return Err(format!("Parameter '{name}' must contain at most {BYTES_MAX} characters"));
        }
        let trimmed = text.trim();
        let items = || trimmed.split(',').map(str::trim);
        let number = |text: &str| {
            stepwire_asl::json::Number::from_text(text)
                .map(Data::Number)
                .or_else(|| text.parse::<f64>().ok().map(|_| Data::String(text.into())))
        };
        match &self.kind {
            ParameterType::Number => {
                if number(trimmed).is_none() {
                    return Err(format!("Parameter '{name}' must be a number."));
                }
                self.check(name, trimmed)?;
                Ok(number(trimmed)
                    .map_or_else(Value::default, |data| Value::new(data, Place::NOWHERE)))
            }
            ParameterType::NumberList => {
                for item in items() {
                    if number(item).is_none() {
                        return Err(format!("Parameter '{name}' must be a list of numbers."));
                    }
                    self.check(name, item)?;
                }
                Ok(list(trimmed))
            }
            ParameterType::String(_) => {
                self.check(name, text)?;
                Ok(Value::string(text))
            }
            ParameterType::List(_) => {
                if trimmed.is_empty() {
                    return Ok(list(""));
                }
                for item in items() {
                    self.check(name, item)?;
                }
                Ok(list(trimmed))
            }
            ParameterType::Ssm { list: is_list, .. } => {
                self.check(name, text)?;
                let stored = given.ssm.get(text).map(Value::from_json);
                match stored.as_ref().and_then(Value::text) {
                    Some(text) if *is_list => Ok(list(&text)),
                    Some(text) => Ok(Value::string(text)),
                    None => Err(format!(
                        "Unable to fetch parameters [{text}] from parameter store for this account."
                    )),
                }
            }
        }
    }

    fn check(&self, name: &str, text: &str) -> Result<(), String> {
        let letters = text.chars().count() as u64;
        let value = text.parse::<f64>().ok();
        let is_number = matches!(self.kind, ParameterType::Number | ParameterType::NumberList);
        let broken = if !self.allowed_values.is_empty()
            && !self.allowed_values.iter().any(|allowed| {
                **allowed == *text || (is_number && allowed.parse::<f64>().ok() == value)
            }) {
            format!("Parameter '{name}' must be one of AllowedValues")
        } else if let Some(pattern) = self.allowed_pattern.as_deref().filter(|p| !matches(p, text))
        {
            format!("Parameter '{name}' must match pattern {pattern}")
        } else if let Some(min) = self.length.0.filter(|min| letters < *min) {
            format!("Parameter '{name}' must contain at least {min} characters")
        } else if let Some(max) = self.length.1.filter(|max| letters > *max) {
            format!("Parameter '{name}' must contain at most {max} characters")
        } else if let Some(min) = self.range.0.filter(|min| value.is_some_and(|v| v < *min)) {
            format!("Parameter '{name}' must be a number not less than {min}")
        } else if let Some(max) = self.range.1.filter(|max| value.is_some_and(|v| v > *max)) {
            format!("Parameter '{name}' must be a number not greater than {max}")
        } else {
            return Ok(());
        };
        Err(match &self.constraint_description {
            Some(why) => format!("Parameter {name} failed to satisfy constraint: {why}"),
            None => broken,
        })
    }
}

/// The pattern, which must match the whole.
fn compile(pattern: &str) -> Option<Regex> {
    let whole = |pattern: &str| Regex::new(&format!("^(?:{pattern})$")).ok();
    whole(pattern).or_else(|| whole(&plain_hyphens(pattern)))
}

/// The pattern with hyphens quoted that stand beside a class such as `\w` within brackets: Java, whose
/// patterns these are, takes them as they are (`[\w-\.]`).
fn plain_hyphens(pattern: &str) -> String {
    let letters: Vec<char> = pattern.chars().collect();
    let is_class = |at: usize| {
        letters.get(at) == Some(&'\\')
            && letters.get(at + 1).is_some_and(|letter| "wWdDsSvVhH".contains(*letter))
    };
    let mut made = String::with_capacity(pattern.len() + 4);
    let (mut depth, mut at, mut after_class) = (0_usize, 0, false);
    while let Some(&letter) = letters.get(at) {
        match letter {
            '\\' => {
                made.push(letter);
                made.extend(letters.get(at + 1));
                after_class = is_class(at);
                at += 2;
                continue;
            }
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            '-' if depth > 0 && (after_class || is_class(at + 1)) => made.push('\\'),
            _ => {}
        }
        made.push(letter);
        after_class = false;
        at += 1;
    }
    made
}

/// Whether the pattern matches the whole of `text`; one that needs too many steps does not.
fn matches(pattern: &str, text: &str) -> bool {
    compile(pattern).is_some_and(|regex| regex.is_match(text).unwrap_or(false))
}

/// The list that `text` writes: comma separated, blanks around items dropped.
fn list(text: &str) -> Value {
    Value::list(text.split(',').map(|item| Value::string(item.trim())))
}
