//! The functions of IoT SQL. Source: AWS IoT SQL reference, "Functions".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Digest;
use regex::Regex;
use stepwire_asl::Json;

use super::eval::Facts;
use super::value::{Value, double};
use crate::executions::derived_uuid;

/// Functions of the reference that need what this node does not have yet: refused by name.
pub(super) const LATER: &[&str] = &[
    "aws_lambda",
    "get_dynamodb",
    "get_mqtt_property",
    "get_registry_data",
    "get_secret",
    "get_thing_shadow",
    "get_user_properties",
    "machinelearning_predict",
    "md2",
    "parse_time",
    "time_to_epoch",
    "transform",
];

/// Longest text a function makes, bytes.
const TEXT_MAX: usize = 131_072;
/// The steps that compiling a pattern takes.
const PATTERN_STEPS: u32 = 2_000;

macro_rules! functions {
    ($($function:ident $name:literal $least:literal $most:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Function { $($function,)* }

        impl Function {
            /// The function of this name in lower case.
            pub(super) fn named(name: &str) -> Option<Function> {
                match name { $($name => Some(Function::$function),)* _ => None }
            }

            /// Its name.
            pub(super) fn name(self) -> &'static str {
                match self { $(Function::$function => $name,)* }
            }

            /// Fewest and most arguments.
            pub(super) fn arity(self) -> (usize, usize) {
                match self { $(Function::$function => ($least, $most),)* }
            }
        }
    };
}

functions! {
    Abs "abs" 1 1;
    Accountid "accountid" 0 0;
    Acos "acos" 1 1;
    Asin "asin" 1 1;
    Atan "atan" 1 1;
    Atan2 "atan2" 2 2;
    Bitand "bitand" 2 2;
    Bitor "bitor" 2 2;
    Bitxor "bitxor" 2 2;
    Bitnot "bitnot" 1 1;
    Ceil "ceil" 1 1;
    Chr "chr" 1 1;
    Clientid "clientid" 0 0;
    Concat "concat" 0 100;
    Cos "cos" 1 1;
    Cosh "cosh" 1 1;
    Decode "decode" 2 2;
    Encode "encode" 2 2;
    Endswith "endswith" 2 2;
    Exp "exp" 1 1;
    Floor "floor" 1 1;
    Get "get" 2 2;
    GetOrDefault "get_or_default" 2 2;
    Indexof "indexof" 2 2;
    IsNull "isnull" 1 1;
    IsUndefined "isundefined" 1 1;
    Length "length" 1 1;
    Ln "ln" 1 1;
    Log "log" 1 1;
    Lower "lower" 1 1;
    Lpad "lpad" 2 2;
    Ltrim "ltrim" 1 1;
    Md5 "md5" 1 1;
    Mod "mod" 2 2;
    Nanvl "nanvl" 2 2;
    Newuuid "newuuid" 0 0;
    Numbytes "numbytes" 1 1;
    Power "power" 2 2;
    Principal "principal" 0 0;
    Rand "rand" 0 0;
    RegexpMatches "regexp_matches" 2 2;
    RegexpReplace "regexp_replace" 3 3;
    RegexpSubstr "regexp_substr" 2 2;
    Remainder "remainder" 2 2;
    Replace "replace" 3 3;
    Round "round" 1 1;
    Rpad "rpad" 2 2;
    Rtrim "rtrim" 1 1;
    Sha1 "sha1" 1 1;
    Sha224 "sha224" 1 1;
    Sha256 "sha256" 1 1;
    Sha384 "sha384" 1 1;
    Sha512 "sha512" 1 1;
    Sign "sign" 1 1;
    Sin "sin" 1 1;
    Sinh "sinh" 1 1;
    Sourceip "sourceip" 0 0;
    SqlVersion "sql_version" 0 0;
    Sqrt "sqrt" 1 1;
    Startswith "startswith" 2 2;
    Substring "substring" 2 3;
    Tan "tan" 1 1;
    Tanh "tanh" 1 1;
    Timestamp "timestamp" 0 0;
    Topic "topic" 0 1;
    Traceid "traceid" 0 0;
    Trim "trim" 1 1;
    Trunc "trunc" 2 2;
    Upper "upper" 1 1;
}

/// `None` stands for Undefined.
type Found = Option<Value>;

impl Function {
    /// Whether it reads or copies all of its arguments; the others look at one place.
    pub(super) fn reads_all(self) -> bool {
        !matches!(
            self,
            Function::Get
                | Function::GetOrDefault
                | Function::IsNull
                | Function::IsUndefined
                | Function::Nanvl
        )
    }

    pub(super) fn of(self, values: &[Value], facts: &Facts<'_>) -> Value {
        self.find(values, facts).unwrap_or(Value::Undefined)
    }

    fn find(self, values: &[Value], facts: &Facts<'_>) -> Found {
        let text = |at: usize| values.get(at).and_then(Value::text);
        let int = |at: usize| values.get(at).and_then(Value::int);
        let number = |at: usize| values.get(at).and_then(Value::double);
        let math = |result: fn(f64) -> f64| Some(double(Some(result(number(0)?))));
        match self {
            Function::Abs => match int_or_double(values)? {
                (Some(int), _) => Some(int.checked_abs()?.into()),
                (None, value) => Some(double(Some(value.abs()))),
            },
            Function::Sign => {
                let value = number(0)?;
                Some(Value::from(if value > 0.0 {
                    1
                } else {
                    i64::from(value < 0.0).wrapping_neg()
                }))
            }
            Function::Ceil => Some(double(Some(number(0)?.ceil()))),
            Function::Floor => Some(double(Some(number(0)?.floor()))),
            Function::Round => Some(double(Some(number(0)?.round()))),
            Function::Trunc => {
                let places = int(1)?.clamp(0, 34);
                let scale = 10_f64.powi(i32::try_from(places).ok()?);
                Some(double(Some((number(0)? * scale).trunc() / scale)))
            }
            Function::Mod | Function::Remainder => match (int(0)?, int(1)?, int_or_double(values)?)
            {
                (a, b, (Some(_), _)) => Some(a.checked_rem(b)?.into()),
                _ => Some(double(Some(number(0)? % number(1)?))),
            },
            Function::Acos => math(f64::acos),
            Function::Asin => math(f64::asin),
            Function::Atan => math(f64::atan),
            Function::Atan2 => Some(double(Some(number(0)?.atan2(number(1)?)))),
            Function::Cos => math(f64::cos),
            Function::Cosh => math(f64::cosh),
            Function::Sin => math(f64::sin),
            Function::Sinh => math(f64::sinh),
            Function::Tan => math(f64::tan),
            Function::Tanh => math(f64::tanh),
            Function::Exp => math(f64::exp),
            Function::Ln => math(f64::ln),
            Function::Log => math(f64::log10),
            Function::Sqrt => math(f64::sqrt),
            Function::Power => Some(double(Some(number(0)?.powf(number(1)?)))),
            Function::Bitand => Some((int(0)? & int(1)?).into()),
            Function::Bitor => Some((int(0)? | int(1)?).into()),
            Function::Bitxor => Some((int(0)? ^ int(1)?).into()),
            Function::Bitnot => Some((!int(0)?).into()),
            Function::Chr => {
                let code = u32::try_from(int(0)?).ok()?;
                Some(char::from_u32(code)?.to_string().into())
            }
            Function::Rand => {
                let draw = draw(facts);
                Some(double(Some((draw >> 11) as f64 / (1_u64 << 53) as f64)))
            }
            Function::Newuuid => {
                let number = facts.drawn.replace(facts.drawn.get() + 1);
                Some(derived_uuid(&facts.settings.secret, "newuuid", &[facts.salt, number]).into())
            }
            Function::Timestamp => Some(facts.message.at.0.into()),
            Function::Topic => {
                if values.is_empty() {
                    return Some(facts.topic().to_owned().into());
                }
                let at = usize::try_from(int(0)?).ok()?.checked_sub(1)?;
                Some(facts.topic().split('/').nth(at)?.to_owned().into())
            }
            Function::Clientid => {
                Some(facts.client().map_or("n/a", |client| client.id.as_ref()).to_owned().into())
            }
            Function::Principal => {
                Some(facts.message.origin.publisher()?.0.name().as_ref().to_owned().into())
            }
            Function::Sourceip => Some(facts.message.origin.publisher()?.1.to_string().into()),
            Function::Traceid => {
                facts.message.origin.publisher()?;
                Some(derived_uuid(&facts.settings.secret, "trace", &[facts.salt]).into())
            }
            Function::Accountid => Some(facts.settings.account.to_string().into()),
            Function::SqlVersion => Some("2016-03-23".to_owned().into()),
            Function::Concat => concat(values),
            Function::Length => Some((text(0)?.chars().count() as i64).into()),
            Function::Numbytes => Some((text(0)?.len() as i64).into()),
            Function::Lower => Some(text(0)?.to_lowercase().into()),
            Function::Upper => Some(text(0)?.to_uppercase().into()),
            Function::Trim => Some(text(0)?.trim().to_owned().into()),
            Function::Ltrim => Some(text(0)?.trim_start().to_owned().into()),
            Function::Rtrim => Some(text(0)?.trim_end().to_owned().into()),
            Function::Lpad => Some((blanks(int(1)?) + &text(0)?).into()),
            Function::Rpad => Some((text(0)? + &blanks(int(1)?)).into()),
            Function::Startswith => Some(text(0)?.starts_with(&text(1)?).into()),
            Function::Endswith => Some(text(0)?.ends_with(&text(1)?).into()),
            Function::Indexof => Some(indexof(&text(0)?, &text(1)?)),
            Function::Replace => bounded(text(0)?.replace(&text(1)?, &text(2)?)),
            Function::Substring => {
                let whole: Vec<char> = text(0)?.chars().collect();
                let place = |at: i64| usize::try_from(at).unwrap_or(0).min(whole.len());
                let from = place(int(1)?);
                let to = if values.len() > 2 { place(int(2)?) } else { whole.len() };
                Some(whole.get(from..to.max(from))?.iter().collect::<String>().into())
            }
            Function::RegexpMatches => {
                let pattern = pattern(&text(1)?, facts)?;
                Some(pattern.is_match(&text(0)?).into())
            }
            Function::RegexpReplace => {
                let (source, pattern) = (text(0)?, pattern(&text(1)?, facts)?);
                bounded(pattern.replace_all(&source, java_groups(&text(2)?)).into_owned())
            }
            Function::RegexpSubstr => {
                let source = text(0)?;
                Some(pattern(&text(1)?, facts)?.find(&source)?.as_str().to_owned().into())
            }
            Function::Md5 => Some(digest::<md5::Md5>(&text(0)?)),
            Function::Sha1 => Some(digest::<sha1::Sha1>(&text(0)?)),
            Function::Sha224 => Some(digest::<sha2::Sha224>(&text(0)?)),
            Function::Sha256 => Some(digest::<sha2::Sha256>(&text(0)?)),
            Function::Sha384 => Some(digest::<sha2::Sha384>(&text(0)?)),
            Function::Sha512 => Some(digest::<sha2::Sha512>(&text(0)?)),
            Function::IsNull => Some(values.first()?.is_null().into()),
            Function::IsUndefined => Some((values.first() == Some(&Value::Undefined)).into()),
            Function::Nanvl | Function::GetOrDefault => {
                let value = values.first()?;
                let none = value.is_null() || *value == Value::Undefined;
                Some(if none { values.get(1)?.clone() } else { value.clone() })
            }
            Function::Get => get(values.first()?, values.get(1)?),
            Function::Encode => Some(STANDARD.encode(bytes_of(values.first()?)?).into()),
            Function::Decode => Some(decode(&text(0)?)),
        }
    }
}

/// The first value as an integer where it is one, and as a double; all must be numbers.
fn int_or_double(values: &[Value]) -> Option<(Option<i64>, f64)> {
    let numbers: Option<Vec<_>> = values.iter().map(Value::number).collect();
    let numbers = numbers?;
    let first = numbers.first()?;
    let ints = numbers.iter().all(|number| number.as_i64().is_some());
    Some((first.as_i64().filter(|_| ints), first.as_f64()))
}

fn draw(facts: &Facts<'_>) -> u64 {
    let number = facts.drawn.replace(facts.drawn.get() + 1);
    stepwire_asl::Entropy::new(facts.salt ^ number.rotate_left(32)).next_u64()
}

/// No arguments are Undefined, one is itself, arrays are joined, anything else as text.
fn concat(values: &[Value]) -> Found {
    if values.len() < 2 {
        return values.first().cloned();
    }
    let is_array = |value: &Value| value.json().is_some_and(|value| value.as_array().is_some());
    if values.iter().any(is_array) {
        let mut items = Vec::new();
        for value in values {
            match value.json()? {
                Json::Array(more) => items.extend(more.iter().cloned()),
                other => items.push(other.clone()),
            }
        }
        return Some(Json::array(items).into());
    }
    let texts: Option<Vec<String>> = values.iter().map(Value::text).collect();
    bounded(texts?.concat())
}

fn bounded(text: String) -> Found {
    (text.len() <= TEXT_MAX).then(|| text.into())
}

/// At most a thousand; for a negative count none.
fn blanks(count: i64) -> String {
    " ".repeat(usize::try_from(count.clamp(0, 1_000)).unwrap_or(0))
}

fn indexof(text: &str, part: &str) -> Value {
    let at = text.find(part).map(|at| text[..at].chars().count() as i64);
    at.unwrap_or(-1).into()
}

/// A pattern, compiled once for all rows of a message.
fn pattern(source: &str, facts: &Facts<'_>) -> Option<Regex> {
    let mut known = facts.patterns.borrow_mut();
    if let Some(pattern) = known.get(source) {
        return pattern.clone();
    }
    if !facts.spend(PATTERN_STEPS) {
        return None;
    }
    let compiled = regex::RegexBuilder::new(source).size_limit(1 << 20).build().ok();
    known.insert(source.to_owned(), compiled.clone());
    compiled
}

/// Java writes `$1` where the regex crate wants `${1}`.
fn java_groups(replacement: &str) -> String {
    let mut made = String::new();
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '$' if chars.peek().is_some_and(char::is_ascii_digit) => {
                made.push_str("${");
                made.extend(chars.next());
                made.push('}');
            }
            '$' => made.push_str("$$"),
            '\\' => match chars.next() {
                Some('$') => made.push_str("$$"),
                Some(c) => made.push(c),
                None => {}
            },
            c => made.push(c),
        }
    }
    made
}

fn digest<D: Digest>(text: &str) -> Value {
    use std::fmt::Write as _;
    let bytes = D::digest(text.as_bytes());
    let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    hex.into()
}

fn get(of: &Value, key: &Value) -> Found {
    let index = || usize::try_from(key.int()?).ok();
    let found = match of.json()? {
        Json::Object(members) => members.get(key.text()?.as_str())?.clone(),
        Json::Array(items) => items.get(index()?)?.clone(),
        Json::String(text) => Json::from(text.chars().nth(index()?)?.to_string()),
        Json::Null | Json::Bool(_) | Json::Number(_) => return None,
    };
    Some(found.into())
}

fn bytes_of(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Undefined => None,
        Value::Bytes(bytes) => Some(bytes.to_vec()),
        Value::Json(Json::String(text)) => Some(text.as_bytes().to_vec()),
        Value::Json(other) => Some(other.to_text().into_bytes()),
    }
}

/// JSON in base64 becomes its value, anything else text; what cannot be decoded is Null.
fn decode(text: &str) -> Value {
    let Ok(bytes) = STANDARD.decode(text) else { return Value::Json(Json::Null) };
    let Ok(text) = String::from_utf8(bytes) else { return Value::Json(Json::Null) };
    Value::Json(Json::parse(&text).unwrap_or_else(|_| Json::from(text)))
}
