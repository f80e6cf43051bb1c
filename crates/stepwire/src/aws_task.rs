//! Carries out tasks on AWS services outside: `aws-sdk:NAME` for which an endpoint is configured.
//!
//! Services that speak awsJson can be called without their model: the operation is in
//! `X-Amz-Target`, the members in the body. Requests are signed with SigV4.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;
use stepwire_asl::json::Object;
use stepwire_asl::{Failure, Json};

use crate::http_task::{HttpTasks, Outgoing, Received};
use crate::secrets::url;
use crate::signing::Key;

/// How long a model may take: as long as a function that a rule asks.
const PREDICT_MS: i64 = 2_000;

/// A service outside. No `Debug`: it would show its secrets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Outside {
    /// Where it is.
    #[serde(deserialize_with = "url")]
    endpoint: Url,
    /// Region it is signed for.
    region: String,
    /// What `X-Amz-Target` begins with, such as `AmazonSSM`.
    target: String,
    /// Service it is signed for; its own name unless given.
    signing_name: Option<String>,
    /// In front of error names, such as `SecretsManager`; its name with a capital unless given.
    error_prefix: Option<String>,
    /// How its members are written; workflows write them in PascalCase.
    #[serde(default)]
    members: Case,
    /// Version of awsJson.
    #[serde(default)]
    protocol: Protocol,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    session_token: Option<String>,
    /// Take the key from `AWS_ACCESS_KEY_ID` and its like instead.
    #[serde(default)]
    key_from_environment: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Case {
    #[default]
    Pascal,
    Camel,
}

#[derive(Clone, Copy, Default, Deserialize)]
enum Protocol {
    #[serde(rename = "json1.0")]
    Json10,
    #[default]
    #[serde(rename = "json1.1")]
    Json11,
}

impl Outside {
    /// What is wrong with it, if anything is.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let given = self.access_key_id.is_some() && self.secret_access_key.is_some();
        if given == self.key_from_environment {
            return Err(
                "it must have `accessKeyId` and `secretAccessKey`, or `keyFromEnvironment`",
            );
        }
        if !matches!(self.endpoint.scheme(), "http" | "https") || self.endpoint.host().is_none() {
            return Err("`endpoint` must be a URL such as `https://ssm.eu-west-1.amazonaws.com`");
        }
        if HeaderValue::from_str(&self.target).is_err() {
            return Err("`target` cannot be sent");
        }
        Ok(())
    }
}

/// The services outside, by the name that follows `aws-sdk:`.
pub(crate) struct AwsTasks {
    pub(crate) services: BTreeMap<String, Outside>,
    pub(crate) http: Arc<HttpTasks>,
}

impl AwsTasks {
    /// Calls an operation, in lower camel case as resources name it. Fails in the dialect of SDK
    /// v2: `Ssm.ParameterNotFoundException`.
    pub(crate) async fn call(
        &self,
        name: &str,
        api: &str,
        parameters: &Json,
        timeout_ms: Option<i64>,
    ) -> Result<Json, Failure> {
        let missing = || {
            let cause = format!("no endpoint is configured for `aws-sdk:{name}`");
            Failure::new("States.Runtime", cause)
        };
        let service = self.services.get(name).ok_or_else(missing)?;
        let prefix = service.error_prefix.clone().unwrap_or_else(|| with_first(name, true));
        let unsent = |why: String| Failure::new(&format!("{prefix}.SdkClientException"), why);
        let outgoing = service.request(name, api, parameters).map_err(unsent)?;
        let received = self.http.exchange_trusted(outgoing, timeout_ms).await;
        let received = received.map_err(|failure| {
            let why = failure.cause.to_string();
            if &*failure.error == "States.Http.Socket" { unsent(why) } else { failure }
        })?;
        service.result(&prefix, &received)
    }
}

impl AwsTasks {
    /// What a model of Amazon Machine Learning says of a record; or why it does not.
    pub(crate) async fn predict(&self, model: &str, record: &Json) -> Result<Json, Arc<str>> {
        const SERVICE: &str = "machinelearning";
        let endpoint = self.services.get(SERVICE).map(|service| service.endpoint.as_str());
        let parameters = Json::object([
            ("MLModelId", Json::from(model)),
            ("Record", record.clone()),
            ("PredictEndpoint", endpoint.unwrap_or_default().into()),
        ]);
        let answer = self.call(SERVICE, "predict", &parameters, Some(PREDICT_MS)).await;
        answer.map_err(|failure| format!("{}: {}", failure.error, failure.cause).into())
    }
}

impl Outside {
    fn request(&self, name: &str, api: &str, parameters: &Json) -> Result<Outgoing, String> {
        let body = match self.members {
            Case::Pascal => parameters.to_text(),
            Case::Camel => renamed(parameters, false).to_text(),
        };
        let key = match (&self.access_key_id, &self.secret_access_key) {
            (Some(id), Some(secret)) => {
                let token = self.session_token.clone();
                Key { id: id.clone(), secret: secret.clone(), token }
            }
            _ => Key::from_environment()?,
        };
        let kind = match self.protocol {
            Protocol::Json10 => "application/x-amz-json-1.0",
            Protocol::Json11 => "application/x-amz-json-1.1",
        };
        let target = format!("{}.{}", self.target, with_first(api, true));
        let target = HeaderValue::from_str(&target)
            .map_err(|_| "the header `x-amz-target` cannot be sent".to_owned())?;
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(kind));
        headers.insert("x-amz-target", target);
        let service = self.signing_name.as_deref().unwrap_or(name);
        key.sign(&self.endpoint, &mut headers, body.as_bytes(), &self.region, service)?;
        let (method, url) = (Method::POST, self.endpoint.clone());
        Ok(Outgoing { method, url, headers, body: Some(body.into_bytes()), connection: None })
    }

    fn result(&self, prefix: &str, received: &Received) -> Result<Json, Failure> {
        let body = Json::parse_bytes(&received.body).unwrap_or_default();
        if received.status.is_success() {
            return Ok(match self.members {
                _ if body.is_null() => Json::Object(Arc::default()),
                Case::Pascal => body,
                Case::Camel => renamed(&body, true),
            });
        }
        let header = |name: &str| received.headers.get(name).and_then(|value| value.to_str().ok());
        let text = |name: &str| body.member(name).and_then(Json::as_str);
        let kind = text("__type").or_else(|| header("x-amzn-errortype")).unwrap_or_default();
        // `namespace#Name:more` in all its variants.
        let kind =
            kind.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default();
        let kind = match kind {
            ""
            | "ValidationException"
            | "AccessDeniedException"
            | "UnrecognizedClientException" => {
                format!("{prefix}Exception")
            }
            kind if kind.ends_with("Exception") => kind.to_owned(),
            kind => format!("{kind}Exception"),
        };
        let message = text("message").or_else(|| text("Message")).unwrap_or("null");
        let (status, id) = (received.status.as_u16(), header("x-amzn-requestid").unwrap_or("null"));
        let cause =
            format!("{message} (Service: {prefix}, Status Code: {status}, Request ID: {id})");
        Err(Failure::new(&format!("{prefix}.{kind}"), cause))
    }
}

/// Members at every level with the first letter of their names large or small.
fn renamed(value: &Json, large: bool) -> Json {
    match value {
        Json::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| (Arc::from(with_first(name, large)), renamed(value, large)));
            Json::Object(Arc::new(members.collect::<Object>()))
        }
        Json::Array(items) => Json::array(items.iter().map(|item| renamed(item, large))),
        other => other.clone(),
    }
}

fn with_first(name: &str, large: bool) -> String {
    let change = |c: char| if large { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    let mut chars = name.chars();
    chars.next().map(change).into_iter().chain(chars).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use reqwest::StatusCode;
    use stepwire_aws::sigv4::{Signature, Signed};

    use super::*;

    fn service(more: &str) -> Outside {
        let text = format!(
            r#"{{"endpoint": "http://127.0.0.1:9", "region": "eu-west-1", "target": "AmazonSSM",
                "accessKeyId": "id", "secretAccessKey": "key"{more}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_request_is_signed_as_its_receiver_checks_it() {
        let parameters = Json::object([("Name", Json::from("/a"))]);
        let outgoing = service("").request("ssm", "getParameter", &parameters).unwrap();
        assert_eq!(outgoing.headers["x-amz-target"], "AmazonSSM.GetParameter");
        let signature = Signature::read(&outgoing.headers).unwrap();
        assert_eq!((&*signature.key, &*signature.service), ("id", "ssm"));
        let body = outgoing.body.unwrap();
        let signed = Signed {
            method: "POST",
            path: "/",
            query: "",
            headers: &outgoing.headers,
            body: &body,
        };
        let now = jiff::Timestamp::now().as_second();
        assert_eq!(signature.verify(&signed, "key", now), Ok(()));
        assert!(signature.verify(&signed, "other", now).is_err());
    }

    #[test]
    fn members_are_written_as_the_service_wants_them() {
        let camel = service(r#", "members": "camel""#);
        let parameters = Json::parse(r#"{"Cluster":{"Names":[{"Deep":1}]}}"#).unwrap();
        let body = camel.request("ecs", "runTask", &parameters).unwrap().body.unwrap();
        assert_eq!(body, br#"{"cluster":{"names":[{"deep":1}]}}"#);
        let received = Received {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: br#"{"taskArn":"x"}"#.to_vec(),
        };
        assert_eq!(camel.result("Ecs", &received).unwrap().to_text(), r#"{"TaskArn":"x"}"#);
    }

    #[test]
    fn a_refusal_is_told_in_the_dialect_of_v2() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amzn-requestid", "1-2".parse().unwrap());
        let body = br#"{"__type":"com.amazon#ParameterNotFound","message":"gone"}"#.to_vec();
        let received = Received { status: StatusCode::BAD_REQUEST, headers, body };
        let failure = service("").result("Ssm", &received).unwrap_err();
        assert_eq!(&*failure.error, "Ssm.ParameterNotFoundException");
        assert_eq!(&*failure.cause, "gone (Service: Ssm, Status Code: 400, Request ID: 1-2)");
    }

    #[test]
    fn a_key_must_come_from_one_place() {
        assert!(service("").check().is_ok());
        assert!(service(r#", "keyFromEnvironment": true"#).check().is_err());
    }
}
