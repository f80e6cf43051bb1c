//! `{{resolve:secretsmanager:…}}` in properties: looked up when a resource's requests are made, so
//! that no secret is in a template, a resource's record or an event.
//! Source: CloudFormation user guide, "Get a secret or secret value from Secrets Manager".

use std::sync::Arc;

use stepwire_asl::Json;

use crate::read::Read;
use crate::request::{Request, Service};
use crate::settings::Settings;

const BEGIN: &str = "{{resolve:secretsmanager:";
const END: &str = "}}";
/// Parts of an ARN.
const ARN_PARTS: usize = 7;

/// Whether there is a reference in it.
pub(super) fn is_in(value: &Json) -> bool {
    match value {
        Json::String(text) => text.contains(BEGIN),
        Json::Array(items) => items.iter().any(is_in),
        Json::Object(members) => members.values().any(is_in),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// The value with secrets in place of references. The error is AWS's sentence on the first that
/// cannot be followed.
pub(super) fn resolved(value: &Json, read: &dyn Read, settings: &Settings) -> Result<Json, String> {
    Ok(match value {
        Json::String(text) if text.contains(BEGIN) => Json::from(in_text(text, read, settings)?),
        Json::Array(items) => {
            let items = items.iter().map(|item| resolved(item, read, settings));
            Json::array(items.collect::<Result<Vec<_>, _>>()?)
        }
        Json::Object(members) => {
            let members = members.iter().map(|(name, value)| {
                Ok::<_, String>((Arc::clone(name), resolved(value, read, settings)?))
            });
            Json::object(members.collect::<Result<Vec<_>, _>>()?)
        }
        other => other.clone(),
    })
}

fn in_text(text: &str, read: &dyn Read, settings: &Settings) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let Some((reference, after)) = after.split_once(END) else { break };
        out.push_str(before);
        out.push_str(&secret(reference, read, settings)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The secret that `ID[:SecretString[:KEY[:STAGE[:VERSION]]]]` names.
fn secret(reference: &str, read: &dyn Read, settings: &Settings) -> Result<String, String> {
    let parts: Vec<&str> = reference.split(':').collect();
    let id_parts = if reference.starts_with("arn:") { ARN_PARTS.min(parts.len()) } else { 1 };
    let (id, rest) = parts.split_at(id_parts);
    let part = |at: usize| rest.get(at).copied().filter(|part| !part.is_empty());
    if rest.len() > 4 || part(0).is_some_and(|kind| kind != "SecretString") {
        return Err(format!(
            "Invalid dynamic reference secretsmanager:{reference}: write \
             secretsmanager:ID:SecretString:KEY:STAGE:VERSION"
        ));
    }
    let asked =
        [("SecretId", Some(&*id.join(":"))), ("VersionStage", part(2)), ("VersionId", part(3))]
            .into_iter()
            .filter_map(|(name, text)| Some((name, Json::from(text?))))
            .collect::<Vec<_>>();
    let request = Request::parse(Service::SecretsManager, "GetSecretValue", &Json::object(asked));
    let request = request.ok_or("GetSecretValue is not served")?;
    let answer = request.and_then(|request| request.answer(read, settings));
    let answer = answer.map_err(|error| error.message)?;
    let text = answer.member("SecretString").and_then(Json::as_str);
    let text = text.ok_or_else(|| format!("{} has no SecretString", id.join(":")))?;
    let Some(key) = part(1) else { return Ok(text.to_owned()) };
    let object = Json::parse(text).map_err(|_| "Could not parse SecretString JSON".to_owned())?;
    let value = object.member(key);
    match value.ok_or_else(|| {
        format!("Could not find a value associated with JSONKey in {}", id.join(":"))
    })? {
        Json::String(text) => Ok(text.to_string()),
        other => Ok(other.to_text()),
    }
}
