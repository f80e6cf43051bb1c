//! The `States.*` intrinsic functions of payload templates.
//!
//! Source: AWS Step Functions developer guide, "Intrinsic functions"; where recordings of the
//! service differ, the recordings.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Digest;

use crate::json::{Number, Object};
use crate::path::Path;
use crate::scope::{Failure, Scope};
use crate::{Entropy, Json};

/// Functions within functions.
const DEPTH_MAX: usize = 10;
/// Bytes of any text a function makes.
const TEXT_MAX: usize = 262_144;
/// Items of any array a function makes.
const ITEMS_MAX: usize = 1_000;

/// A compiled call.
#[derive(Debug, Clone, PartialEq)]
pub struct Intrinsic {
    text: Arc<str>,
    call: Call,
}

#[derive(Debug, Clone, PartialEq)]
struct Call {
    function: Function,
    arguments: Vec<Argument>,
}

#[derive(Debug, Clone, PartialEq)]
enum Argument {
    Literal(Json),
    Path(Path),
    Call(Call),
}

/// The text is not a call of an intrinsic function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What is wrong.
    pub message: String,
}

macro_rules! functions {
    ($($name:ident $text:literal $least:literal $most:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Function { $($name,)* }

        impl Function {
            fn named(text: &str) -> Option<Function> {
                match text { $($text => Some(Function::$name),)* _ => None }
            }

            /// Fewest and most arguments.
            fn arity(self) -> (usize, usize) {
                match self { $(Function::$name => ($least, $most),)* }
            }

            fn text(self) -> &'static str {
                match self { $(Function::$name => $text,)* }
            }
        }
    };
}

functions! {
    Array "States.Array" 0 10000;
    ArrayContains "States.ArrayContains" 2 2;
    ArrayGetItem "States.ArrayGetItem" 2 2;
    ArrayLength "States.ArrayLength" 1 1;
    ArrayPartition "States.ArrayPartition" 2 2;
    ArrayRange "States.ArrayRange" 3 3;
    ArrayUnique "States.ArrayUnique" 1 1;
    Base64Decode "States.Base64Decode" 1 1;
    Base64Encode "States.Base64Encode" 1 1;
    Format "States.Format" 1 10000;
    Hash "States.Hash" 2 2;
    JsonMerge "States.JsonMerge" 3 3;
    JsonToString "States.JsonToString" 1 1;
    MathAdd "States.MathAdd" 2 2;
    MathRandom "States.MathRandom" 2 3;
    StringSplit "States.StringSplit" 2 2;
    StringToJson "States.StringToJson" 1 1;
    Uuid "States.UUID" 0 0;
}

impl Intrinsic {
    /// The call that `text` writes.
    pub fn parse(text: &str) -> Result<Intrinsic, Error> {
        let mut parser = Parser { text, at: 0 };
        let call = parser.call(1)?;
        parser.blanks();
        if parser.at < text.len() {
            return Err(parser.error("unexpected text after the call"));
        }
        Ok(Intrinsic { text: text.into(), call })
    }

    /// The call as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Gives `take` every path among its arguments.
    pub(crate) fn paths(&self, take: &mut impl FnMut(&Path)) {
        self.call.paths(take);
    }

    /// What it evaluates to.
    pub fn evaluate(&self, scope: &Scope<'_>, entropy: &mut Entropy) -> Result<Json, Failure> {
        self.call.evaluate(scope, entropy, &self.text)
    }
}

impl Call {
    fn paths(&self, take: &mut impl FnMut(&Path)) {
        for argument in &self.arguments {
            match argument {
                Argument::Literal(_) => {}
                Argument::Path(path) => take(path),
                Argument::Call(call) => call.paths(take),
            }
        }
    }

    fn evaluate(
        &self,
        scope: &Scope<'_>,
        entropy: &mut Entropy,
        text: &str,
    ) -> Result<Json, Failure> {
        let fail = |why: String| {
            let cause = format!("The function '{text}' had the following error: {why}");
            Failure::new("States.IntrinsicFailure", cause)
        };
        let mut values = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            values.push(match argument {
                Argument::Literal(value) => value.clone(),
                Argument::Call(call) => call.evaluate(scope, entropy, text)?,
                Argument::Path(path) => path.read(scope).map_err(|_| {
                    fail(format!("The JsonPath argument for the field '{}' could not be found in the input '{}'", path.text(), scope.input.to_text()))
                })?,
            });
        }
        self.function.of(&values, entropy).map_err(fail)
    }
}

type Made = Result<Json, String>;

impl Function {
    /// Whether a literal may be argument `number`, from 0: no literal is an array or an object.
    fn takes(self, number: usize, literal: &Json) -> bool {
        let (is_text, is_number) =
            (matches!(literal, Json::String(_)), matches!(literal, Json::Number(_)));
        match (self, number) {
            (Function::ArrayRange | Function::MathAdd | Function::MathRandom, _)
            | (Function::ArrayGetItem | Function::ArrayPartition, 1) => is_number,
            (
                Function::Base64Decode
                | Function::Base64Encode
                | Function::StringToJson
                | Function::StringSplit,
                _,
            )
            | (Function::Format, 0)
            | (Function::Hash, 1) => is_text,
            (
                Function::ArrayLength
                | Function::ArrayUnique
                | Function::ArrayContains
                | Function::ArrayGetItem
                | Function::ArrayPartition,
                _,
            ) => self == Function::ArrayContains && number == 1,
            (Function::JsonMerge, 0 | 1) => false,
            (Function::JsonMerge, _) => matches!(literal, Json::Bool(_)),
            (
                Function::Array
                | Function::Format
                | Function::Hash
                | Function::JsonToString
                | Function::Uuid,
                _,
            ) => true,
        }
    }

    fn of(self, values: &[Json], entropy: &mut Entropy) -> Made {
        match self {
            Function::Array => Ok(Json::array(values.iter().cloned())),
            Function::ArrayContains => {
                Ok(Json::from(array(self, &values[0])?.contains(&values[1])))
            }
            Function::ArrayGetItem => {
                let items = array(self, &values[0])?;
                let index = usize::try_from(integer(self, &values[1])?).ok();
                let item = index.and_then(|index| items.get(index)).cloned();
                item.ok_or_else(|| "index out of bounds".to_owned())
            }
            Function::ArrayLength => Ok(Json::from(array(self, &values[0])?.len() as i64)),
            Function::ArrayPartition => {
                partition(array(self, &values[0])?, integer(self, &values[1])?)
            }
            Function::ArrayRange => range(self, values),
            Function::ArrayUnique => {
                let mut unique: Vec<Json> = Vec::new();
                for item in array(self, &values[0])? {
                    if !unique.contains(item) {
                        unique.push(item.clone());
                    }
                }
                Ok(Json::array(unique))
            }
            Function::Base64Encode => bounded(STANDARD.encode(text(self, &values[0])?)),
            Function::Base64Decode => {
                let bytes =
                    STANDARD.decode(text(self, &values[0])?).map_err(|_| "invalid Base64")?;
                bounded(String::from_utf8_lossy(&bytes).into_owned())
            }
            Function::Format => format(values),
            Function::Hash => hash(&values[0], text(self, &values[1])?),
            Function::JsonMerge => merge(self, values),
            Function::JsonToString => bounded(values[0].to_text()),
            Function::MathAdd => {
                let sum = rounded(self, &values[0])?.checked_add(rounded(self, &values[1])?);
                sum.map(Json::from).ok_or_else(|| "integer overflow".to_owned())
            }
            Function::MathRandom => random(self, values, entropy),
            Function::StringSplit => {
                let (whole, splitters) = (text(self, &values[0])?, text(self, &values[1])?);
                let parts = whole.split(|c| splitters.contains(c)).filter(|part| !part.is_empty());
                Ok(Json::array(parts.map(Json::from)))
            }
            Function::StringToJson => {
                let text = text(self, &values[0])?.trim();
                if text.is_empty() {
                    return Ok(Json::Null);
                }
                Json::parse(text).map_err(|error| error.to_string())
            }
            Function::Uuid => Ok(Json::from(uuid(entropy))),
        }
    }
}

fn invalid(function: Function, what: &str, value: &Json) -> String {
    format!("Invalid arguments in {}: expected {what}, found {}", function.text(), value.to_text())
}

fn array(function: Function, value: &Json) -> Result<&[Json], String> {
    value.as_array().ok_or_else(|| invalid(function, "an array", value))
}

fn text(function: Function, value: &Json) -> Result<&str, String> {
    value.as_str().ok_or_else(|| invalid(function, "a string", value))
}

fn integer(function: Function, value: &Json) -> Result<i64, String> {
    rounded(function, value)
}

/// Java's `Math.round`: half up.
fn rounded(function: Function, value: &Json) -> Result<i64, String> {
    match value {
        Json::Number(number) => {
            Ok(number.as_i64().unwrap_or_else(|| (number.as_f64() + 0.5).floor() as i64))
        }
        other => Err(invalid(function, "a number", other)),
    }
}

fn bounded(text: String) -> Made {
    if text.len() > TEXT_MAX {
        return Err(format!("the result is longer than {TEXT_MAX} bytes"));
    }
    Ok(Json::from(text))
}

fn partition(items: &[Json], size: i64) -> Made {
    let size = usize::try_from(size).ok().filter(|size| *size > 0);
    let size = size.ok_or_else(|| "the chunk size must be a positive integer".to_owned())?;
    Ok(Json::array(items.chunks(size).map(|chunk| Json::array(chunk.iter().cloned()))))
}

fn range(function: Function, values: &[Json]) -> Made {
    let [first, last, step] = [0, 1, 2].map(|at| integer(function, &values[at]));
    let (first, last, step) = (first?, last?, step?);
    if step == 0 {
        return Err("the increment must not be zero".to_owned());
    }
    let mut items = Vec::new();
    let mut next = Some(first);
    while let Some(item) = next.filter(|n| if step > 0 { *n <= last } else { *n >= last }) {
        if items.len() == ITEMS_MAX {
            return Err(format!("the array would have more than {ITEMS_MAX} items"));
        }
        items.push(Json::from(item));
        next = item.checked_add(step);
    }
    Ok(Json::array(items))
}

fn merge(function: Function, values: &[Json]) -> Made {
    let object = |value: &Json| match value {
        Json::Object(members) => Ok(Arc::clone(members)),
        other => Err(invalid(function, "an object", other)),
    };
    if values[2].as_bool() != Some(false) {
        return Err(
            "only shallow merging is supported: the third argument must be false".to_owned()
        );
    }
    let mut merged = Object::clone(&*object(&values[0])?);
    for (name, value) in object(&values[1])?.iter() {
        merged.insert(Arc::clone(name), value.clone());
    }
    Ok(Json::Object(Arc::new(merged)))
}

fn random(function: Function, values: &[Json], entropy: &mut Entropy) -> Made {
    let (from, to) = (integer(function, &values[0])?, integer(function, &values[1])?);
    if from >= to {
        return Err("the start must be less than the end".to_owned());
    }
    let roll = match values.get(2) {
        Some(seed) => Entropy::new(integer(function, seed)? as u64).next_u64(),
        None => entropy.next_u64(),
    };
    let span = i128::from(to) - i128::from(from);
    let offset = i128::from(roll) % span;
    Ok(Json::from((i128::from(from) + offset) as i64))
}

pub(crate) fn hash(value: &Json, algorithm: &str) -> Made {
    let bytes = value.as_str().map_or_else(|| value.to_text(), str::to_owned);
    if bytes.len() > 10_000 {
        return Err("the value to hash is longer than 10000 characters".to_owned());
    }
    let bytes = bytes.as_bytes();
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    };
    Ok(Json::from(match algorithm {
        "MD5" => hex(&md5::Md5::digest(bytes)),
        "SHA-1" => hex(&sha1::Sha1::digest(bytes)),
        "SHA-256" => hex(&sha2::Sha256::digest(bytes)),
        "SHA-384" => hex(&sha2::Sha384::digest(bytes)),
        "SHA-512" => hex(&sha2::Sha512::digest(bytes)),
        other => return Err(format!("unknown algorithm `{other}`")),
    }))
}

pub(crate) fn uuid(entropy: &mut Entropy) -> String {
    let (a, b) = (entropy.next_u64(), entropy.next_u64());
    let (a, b) = (a & !0xf000 | 0x4000, b & !(3 << 62) | 1 << 63);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xffff,
        b >> 48,
        b & 0xffff_ffff_ffff
    )
}

/// Replaces each `{}` by the next value; `\'`, `\{`, `\}` and `\\` stand for themselves.
fn format(values: &[Json]) -> Made {
    let Some((Json::String(template), values)) = values.split_first() else {
        return Err("the template must be a string".to_owned());
    };
    let mut values = values.iter();
    let mut made = String::with_capacity(template.len());
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(next @ ('{' | '}' | '\\' | '\'')) => made.push(next),
                Some(next) => made.extend(['\\', next]),
                None => made.push('\\'),
            },
            '{' if chars.peek() == Some(&'}') => {
                chars.next();
                let value = values.next().ok_or("there are fewer values than `{}`")?;
                java_text(value, &mut made);
            }
            c => made.push(c),
        }
        if made.len() > TEXT_MAX {
            return bounded(made);
        }
    }
    if values.next().is_some() {
        return Err("there are more values than `{}`".to_owned());
    }
    bounded(made)
}

/// A value as Java's `String.valueOf` prints it: maps as `{a=1, b=[]}`.
fn java_text(value: &Json, into: &mut String) {
    match value {
        Json::String(text) => into.push_str(text),
        Json::Array(items) => {
            into.push('[');
            for (at, item) in items.iter().enumerate() {
                into.push_str(if at == 0 { "" } else { ", " });
                java_text(item, into);
            }
            into.push(']');
        }
        Json::Object(members) => {
            into.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                into.push_str(if at == 0 { "" } else { ", " });
                into.push_str(name);
                into.push('=');
                java_text(value, into);
            }
            into.push('}');
        }
        other => into.push_str(&other.to_text()),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn error(&self, what: &str) -> Error {
        Error {
            message: format!("Invalid intrinsic function `{}`: {what} at {}", self.text, self.at),
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, token: char) -> bool {
        self.blanks();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len_utf8();
        }
        found
    }

    fn call(&mut self, depth: usize) -> Result<Call, Error> {
        if depth > DEPTH_MAX {
            return Err(self.error("functions are nested more than 10 deep"));
        }
        self.blanks();
        let end = self.rest().find('(').ok_or_else(|| self.error("expected `(`"))?;
        let name = self.rest()[..end].trim().to_owned();
        let function = Function::named(&name);
        let function = function.ok_or_else(|| self.error(&format!("unknown function `{name}`")))?;
        self.at += end + 1;
        let mut arguments = Vec::new();
        if !self.eat(')') {
            loop {
                arguments.push(self.argument(depth)?);
                if self.eat(')') {
                    break;
                }
                if !self.eat(',') {
                    return Err(self.error("expected `,` or `)`"));
                }
            }
        }
        let (least, most) = function.arity();
        if !(least..=most).contains(&arguments.len()) {
            return Err(self.error(&format!("`{name}` takes {least} to {most} arguments")));
        }
        for (number, argument) in arguments.iter().enumerate() {
            if let Argument::Literal(value) = argument
                && !function.takes(number, value)
            {
                let value = value.to_text();
                let why = format!("`{name}` does not take {value} as argument {}", number + 1);
                return Err(self.error(&why));
            }
        }
        Ok(Call { function, arguments })
    }

    fn argument(&mut self, depth: usize) -> Result<Argument, Error> {
        self.blanks();
        if self.rest().starts_with('\'') {
            return self.string().map(Argument::Literal);
        }
        if self.rest().starts_with("States.") {
            return self.call(depth + 1).map(Argument::Call);
        }
        let end = self.argument_end();
        let word = self.rest()[..end].trim_end().to_owned();
        self.at += end;
        if word.starts_with('$') {
            return Path::parse(&word).map(Argument::Path).map_err(|e| self.error(&e.message));
        }
        match word.as_str() {
            "true" => Ok(Argument::Literal(Json::from(true))),
            "false" => Ok(Argument::Literal(Json::from(false))),
            "null" => Ok(Argument::Literal(Json::Null)),
            number => match Number::from_text(number) {
                Some(number) => Ok(Argument::Literal(Json::Number(number))),
                None => Err(self.error(&format!("`{number}` is not a value"))),
            },
        }
    }

    /// Where a path or number ends: at a comma or parenthesis outside of brackets and quotes.
    fn argument_end(&self) -> usize {
        let (mut depth, mut quote) = (0_i32, None);
        for (at, c) in self.rest().char_indices() {
            if let Some(open) = quote {
                quote = quote.filter(|_| c != open);
                continue;
            }
            match c {
                '\'' | '"' if depth > 0 => quote = Some(c),
                '[' | '(' => depth += 1,
                ']' => depth -= 1,
                ')' if depth > 0 => depth -= 1,
                ',' | ')' if depth == 0 => return at,
                _ => {}
            }
        }
        self.rest().len()
    }

    /// A quoted text. `\'` is a quote; the other escapes, of `\` and braces, stay for the function to
    /// read.
    fn string(&mut self) -> Result<Json, Error> {
        self.at += 1;
        let mut text = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\'' => {
                    self.at += at + 1;
                    return Ok(Json::from(text));
                }
                '\\' => match chars.next() {
                    Some((_, '\'')) => text.push('\''),
                    Some((_, next @ ('\\' | '{' | '}'))) => text.extend(['\\', next]),
                    Some((_, next)) => {
                        return Err(self.error(&format!("`\\{next}` is not an escape sequence")));
                    }
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err(self.error("a string is not closed"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Timestamp;

    fn evaluate(text: &str, input: &str) -> String {
        let input = Json::parse(input).expect("JSON");
        let variables = BTreeMap::new();
        let scope = Scope::new(&input, &Json::Null, &variables, Timestamp(0));
        let call = Intrinsic::parse(text).expect("a call");
        match call.evaluate(&scope, &mut Entropy::new(1)) {
            Ok(value) => value.to_text(),
            Err(failure) => format!("! {}", failure.error),
        }
    }

    #[test]
    fn each_function_gives_what_aws_gives() {
        let input = r#"{"a":[1,2,2,{"k":[]}],"s":"x,y;z","n":0.5,"o":{"b":1},"nil":null}"#;
        for (call, expected) in [
            ("States.Array(1, 'a', null, $.o)", r#"[1,"a",null,{"b":1}]"#),
            ("States.ArrayPartition($.a, 3)", r#"[[1,2,2],[{"k":[]}]]"#),
            ("States.ArrayContains($.a, 2)", "true"),
            ("States.ArrayRange(1, 9, 4)", "[1,5,9]"),
            ("States.ArrayGetItem($.a, 0)", "1"),
            ("States.ArrayLength($.a)", "4"),
            ("States.ArrayUnique($.a)", r#"[1,2,{"k":[]}]"#),
            ("States.Base64Encode('hi')", "\"aGk=\""),
            ("States.Base64Decode('aGk=')", "\"hi\""),
            ("States.Hash('input data', 'SHA-1')", "\"aaff4a450a104cd177d28d18d74485e8cae074b7\""),
            ("States.JsonMerge($.o, States.StringToJson('{\"c\":2}'), false)", r#"{"b":1,"c":2}"#),
            ("States.StringToJson('')", "null"),
            ("States.JsonToString($.o)", r#""{\"b\":1}""#),
            ("States.MathAdd(-0.5, $.n)", "1"),
            ("States.MathAdd(-1.5, 0)", "-1"),
            ("States.StringSplit($.s, ',;')", r#"["x","y","z"]"#),
            ("States.StringSplit(',,,', ',')", "[]"),
            ("States.Format('{} is {} \\{\\}', $.a[3], $.nil)", r#""{k=[]} is null {}""#),
            ("States.Format('it\\'s')", "\"it's\""),
            ("States.ArrayGetItem($.a, 9)", "! States.IntrinsicFailure"),
            ("States.Format('{}')", "! States.IntrinsicFailure"),
            ("States.ArrayLength($.missing)", "! States.IntrinsicFailure"),
        ] {
            assert_eq!(evaluate(call, input), expected, "{call}");
        }
    }

    #[test]
    fn a_uuid_is_of_version_four() {
        let uuid = evaluate("States.UUID()", "{}");
        assert_eq!((uuid.len(), &uuid[15..16]), (38, "4"));
    }

    #[test]
    fn broken_calls_are_refused() {
        let deep = format!("{}1{}", "States.Array(".repeat(11), ")".repeat(11));
        for broken in
            ["States.Nope()", "States.Array(", "States.Hash('a')", "States.Array(x)", &deep]
        {
            assert!(Intrinsic::parse(broken).is_err(), "{broken}");
        }
    }
}
