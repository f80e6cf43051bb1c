//! AWS requests to the demo's own node, over its HTTP port: what the AWS CLI would send.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, RequestBuilder};
use stepwire_asl::Json;

/// What a path segment leaves as it is (RFC 3986 §2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A client of a node's AWS API.
pub struct Api {
    client: Client,
    endpoint: String,
}

/// A request was refused, or did not get through.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// AWS's error name and message.
    #[error("{operation} was refused: {code}: {message}")]
    Refused {
        /// What was asked for.
        operation: &'static str,
        /// AWS's error name.
        code: String,
        /// AWS's message.
        message: String,
    },
    /// No answer, or none that can be read.
    #[error("{operation} got no answer: {why}")]
    Lost {
        /// What was asked for.
        operation: &'static str,
        /// What happened instead.
        why: String,
    },
}

impl Error {
    /// Whether the thing to be made is there already.
    pub fn says_exists(&self) -> bool {
        let names = ["ResourceAlreadyExistsException", "ResourceInUseException"];
        matches!(self, Error::Refused { code, .. } if names.contains(&code.as_str()))
    }
}

impl Api {
    /// A client of the node at `endpoint`, such as `http://127.0.0.1:4566`.
    pub fn new(endpoint: String) -> Result<Api, reqwest::Error> {
        let client = Client::builder().no_proxy().tls_certs_only([]).build()?;
        Ok(Api { client, endpoint })
    }

    /// A Step Functions request.
    pub async fn states(&self, operation: &'static str, body: Json) -> Result<Json, Error> {
        let target = format!("AWSStepFunctions.{operation}");
        self.target(operation, "states", "application/x-amz-json-1.0", &target, body).await
    }

    /// A DynamoDB request.
    pub async fn tables(&self, operation: &'static str, body: Json) -> Result<Json, Error> {
        let target = format!("DynamoDB_20120810.{operation}");
        self.target(operation, "dynamodb", "application/x-amz-json-1.0", &target, body).await
    }

    /// iot CreatePolicy.
    pub async fn create_policy(&self, name: &str, document: &str) -> Result<Json, Error> {
        let body = Json::object([("policyDocument", document.into())]);
        self.iot("CreatePolicy", Method::POST, &["policies", name], body).await
    }

    /// iot CreateTopicRule.
    pub async fn create_rule(&self, name: &str, payload: Json) -> Result<Json, Error> {
        self.iot("CreateTopicRule", Method::POST, &["rules", name], payload).await
    }

    /// iot ReplaceTopicRule.
    pub async fn replace_rule(&self, name: &str, payload: Json) -> Result<Json, Error> {
        self.iot("ReplaceTopicRule", Method::PATCH, &["rules", name], payload).await
    }

    /// iot CreateThing with these attributes.
    pub async fn create_thing(&self, name: &str, attributes: Json) -> Result<Json, Error> {
        let payload = Json::object([("attributes", attributes)]);
        let body = Json::object([("attributePayload", payload)]);
        self.iot("CreateThing", Method::POST, &["things", name], body).await
    }

    /// iot CreateKeysAndCertificate, active.
    pub async fn create_certificate(&self) -> Result<Json, Error> {
        let operation = "CreateKeysAndCertificate";
        let url = format!("{}/keys-and-certificate?setAsActive=true", self.endpoint);
        self.send(operation, "iot", self.client.request(Method::POST, url)).await
    }

    /// iot AttachPolicy.
    pub async fn attach_policy(&self, policy: &str, target: &str) -> Result<Json, Error> {
        let body = Json::object([("target", target.into())]);
        self.iot("AttachPolicy", Method::PUT, &["target-policies", policy], body).await
    }

    /// iot AttachThingPrincipal.
    pub async fn attach_thing(&self, thing: &str, principal: &str) -> Result<Json, Error> {
        let url = self.url(&["things", thing, "principals"]);
        let request = self.client.request(Method::PUT, url).header("x-amzn-principal", principal);
        self.send("AttachThingPrincipal", "iot", request).await
    }

    /// iot CreateThingGroup.
    pub async fn create_group(&self, name: &str) -> Result<Json, Error> {
        let nothing = Json::object::<&str>([]);
        self.iot("CreateThingGroup", Method::POST, &["thing-groups", name], nothing).await
    }

    /// iot AddThingToThingGroup.
    pub async fn add_to_group(&self, group: &str, thing: &str) -> Result<Json, Error> {
        let body = Json::object([("thingGroupName", group.into()), ("thingName", thing.into())]);
        let path = ["thing-groups", "addThingToThingGroup"];
        self.iot("AddThingToThingGroup", Method::PUT, &path, body).await
    }

    /// iot CreateJob with these members.
    pub async fn create_job(&self, id: &str, members: Json) -> Result<Json, Error> {
        self.iot("CreateJob", Method::PUT, &["jobs", id], members).await
    }

    async fn target(
        &self,
        operation: &'static str,
        service: &str,
        kind: &'static str,
        target: &str,
        body: Json,
    ) -> Result<Json, Error> {
        let request = self.client.request(Method::POST, format!("{}/", self.endpoint));
        let request = request.header("content-type", kind).header("x-amz-target", target);
        self.send(operation, service, request.body(body.to_text())).await
    }

    async fn iot(
        &self,
        operation: &'static str,
        method: Method,
        path: &[&str],
        body: Json,
    ) -> Result<Json, Error> {
        let request = self.client.request(method, self.url(path)).body(body.to_text());
        self.send(operation, "iot", request.header("content-type", "application/json")).await
    }

    fn url(&self, path: &[&str]) -> String {
        path.iter().fold(self.endpoint.clone(), |url, part| {
            format!("{url}/{}", utf8_percent_encode(part, SEGMENT))
        })
    }

    async fn send(
        &self,
        operation: &'static str,
        service: &str,
        request: RequestBuilder,
    ) -> Result<Json, Error> {
        let lost = |error: reqwest::Error| Error::Lost { operation, why: error.to_string() };
        let request = request.header("authorization", unsigned(service));
        let response = request.send().await.map_err(lost)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.map_err(lost)?;
        let body = if bytes.is_empty() { Json::default() } else { parse(operation, &bytes)? };
        if status.is_success() {
            return Ok(body);
        }
        let named = headers.get("x-amzn-errortype").and_then(|name| name.to_str().ok());
        let kind = body.member("__type").and_then(Json::as_str).or(named).unwrap_or("Unknown");
        let kind = kind.split(':').next().unwrap_or(kind);
        let message = body.member("message").or_else(|| body.member("Message"));
        Err(Error::Refused {
            operation,
            code: kind.rsplit('#').next().unwrap_or(kind).to_owned(),
            message: message.and_then(Json::as_str).unwrap_or_default().to_owned(),
        })
    }
}

/// A credential scope without a signature that means anything: on loopback the node asks for none,
/// and the scope says which service is meant.
fn unsigned(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=demo/20260101/us-east-1/{service}/aws4_request, \
         SignedHeaders=host, Signature={}",
        "0".repeat(64)
    )
}

fn parse(operation: &'static str, bytes: &[u8]) -> Result<Json, Error> {
    Json::parse_bytes(bytes).map_err(|error| Error::Lost { operation, why: error.to_string() })
}
