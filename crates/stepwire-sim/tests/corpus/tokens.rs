//! `{{c1.stateMachineArn|last::}}`: what a script takes from earlier answers.

use std::collections::BTreeMap;

use regex::Regex;
use stepwire_asl::Json;
use stepwire_core::ApiError;

/// Answers and refusals by the id of the step that got them.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) answered: BTreeMap<String, Json>,
    pub(crate) refused: BTreeMap<String, (String, ApiError)>,
}

impl Answers {
    /// `value` with every token in it replaced by what it stands for.
    pub(crate) fn resolve(&self, value: &Json) -> Result<Json, String> {
        Ok(match value {
            Json::Object(members) => {
                let members = members
                    .iter()
                    .map(|(name, value)| Ok((self.text(name)?.into(), self.resolve(value)?)));
                Json::object(members.collect::<Result<Vec<(std::sync::Arc<str>, _)>, String>>()?)
            }
            Json::Array(items) => {
                let mut resolved = Vec::new();
                for item in items.iter() {
                    let value = self.resolve(item)?;
                    let spread = item.as_str().is_some_and(|text| text.contains("[*]"));
                    match value.as_array().filter(|_| spread) {
                        Some(many) => resolved.extend(many.iter().cloned()),
                        None => resolved.push(value),
                    }
                }
                Json::array(resolved)
            }
            Json::String(text) => {
                match text.strip_prefix("{{").and_then(|t| t.strip_suffix("}}")) {
                    Some(token) if !token.contains(['{', '}']) => self.token(token)?,
                    _ => self.text(text)?.into(),
                }
            }
            other => other.clone(),
        })
    }

    /// `text` with every token in it replaced.
    pub(crate) fn text(&self, text: &str) -> Result<String, String> {
        let token = Regex::new(r"\{\{([^{}]*)\}\}").unwrap();
        let (mut out, mut last) = (String::new(), 0);
        for found in token.captures_iter(text) {
            let whole = found.get(0).unwrap();
            out += &text[last..whole.start()];
            match self.token(&found[1])? {
                Json::String(text) => out += &text,
                other => out += &other.to_text(),
            }
            last = whole.end();
        }
        Ok(out + &text[last..])
    }

    fn token(&self, token: &str) -> Result<Json, String> {
        match token {
            "role_arn" => return Ok("arn:aws:iam::111111111111:role/of-the-test".into()),
            "account_id" => return Ok("111111111111".into()),
            "secondary_account_id" => return Ok("000000000002".into()),
            "region" => return Ok("us-east-1".into()),
            "client" => return Ok(Json::Null),
            _ => {}
        }
        let step = Regex::new(r"(?s)^(c\d+)(!error)?(.*)$").unwrap();
        let Some(found) = step.captures(token) else {
            return Err(format!("token `{token}` is not of the API"));
        };
        let (id, rest) = (&found[1], &found[3]);
        if found.get(2).is_some() {
            let (operation, error) =
                self.refused.get(id).ok_or_else(|| format!("step {id} gave no error"))?;
            return Ok(client_side(operation, error, rest));
        }
        let answer = self.answered.get(id).ok_or_else(|| format!("step {id} has no answer"))?;
        dig(answer.clone(), rest).map_err(|why| format!("`{token}`: {why} in {answer}"))
    }
}

/// An error as the recorder's client (boto3) shows it.
fn client_side(operation: &str, error: &ApiError, part: &str) -> Json {
    let (code, message) = (error.code.as_ref(), error.message.as_str());
    match part {
        ".response" => {
            let told = [("Code", Json::from(code)), ("Message", Json::from(message))];
            let mut members = vec![("Error".into(), Json::object(told))];
            members.push(("httpStatus".into(), Json::from(400)));
            members.push(("message".into(), message.into()));
            let more = error.members.iter();
            members.extend(more.map(|(name, value)| (std::sync::Arc::from(*name), value.clone())));
            Json::object::<std::sync::Arc<str>>(members)
        }
        ".typename" => code.into(),
        _ => {
            let sentence = format!(
                "An error occurred ({code}) when calling the {operation} operation: {message}"
            );
            sentence.into()
        }
    }
}

/// Follows the tail of a token: `.name [n] [*] |last:SEP |last2:SEP |split:SEP |json |replace:a=>b`.
fn dig(mut value: Json, mut rest: &str) -> Result<Json, String> {
    let name = Regex::new(r"^\.([A-Za-z0-9_-]+)").unwrap();
    let index = Regex::new(r"^\[(-?\d+)\]").unwrap();
    let part = Regex::new(r"^\|(last2?|split):(.)").unwrap();
    let replace = Regex::new(r"^\|replace:(.*?)=>([^|]*)").unwrap();
    while !rest.is_empty() {
        let taken;
        if let Some(found) = name.captures(rest) {
            let member = |value: &Json| {
                value.member(&found[1]).cloned().ok_or_else(|| format!("no `{}`", &found[1]))
            };
            value = match value.as_array() {
                Some(items) => {
                    Json::array(items.iter().map(member).collect::<Result<Vec<_>, _>>()?)
                }
                None => member(&value)?,
            };
            taken = found[0].len();
        } else if let Some(found) = index.captures(rest) {
            let at: i64 = found[1].parse().unwrap();
            let items = value.as_array().ok_or("no array")?;
            let at = if at < 0 { items.len() as i64 + at } else { at };
            value = items.get(at as usize).cloned().ok_or("not that many")?;
            taken = found[0].len();
        } else if rest.starts_with("[*]") {
            taken = 3;
        } else if let Some(found) = part.captures(rest) {
            let text = value.as_str().ok_or("no text")?.to_owned();
            let parts: Vec<&str> = text.split(&found[2]).collect();
            let from_end = |n: usize| parts.len().checked_sub(n).map(|at| Json::from(parts[at]));
            value = match &found[1] {
                "split" => Json::array(parts.iter().map(|part| Json::from(*part))),
                "last2" => from_end(2).ok_or("one part only")?,
                _ => from_end(1).ok_or("no part")?,
            };
            taken = found[0].len();
        } else if let Some(found) = replace.captures(rest) {
            let text = value.as_str().ok_or("no text")?.replace(&found[1], &found[2]);
            value = text.into();
            taken = found[0].len();
        } else if rest.starts_with("|json") && !rest.starts_with("|jsonpath") {
            value = Json::parse(value.as_str().ok_or("no text")?).map_err(|e| e.to_string())?;
            taken = 5;
        } else {
            return Err(format!("tail `{rest}` is not of the API"));
        }
        rest = &rest[taken..];
    }
    Ok(value)
}
