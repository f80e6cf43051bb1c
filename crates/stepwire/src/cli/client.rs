//! AWS requests to a running node, signed with its key: what the AWS CLI would send.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use sha2::{Digest, Sha256};
use stepwire_asl::Json;
use stepwire_aws::sigv4::{Signature, Signed};

use super::failure::{Exit, Failure};
use super::running::Running;
use crate::access_key::AccessKey;

/// What stays as it is in a path or a form (RFC 3986 §2.3).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The version of CloudFormation's API.
const STACKS_VERSION: &str = "2010-05-15";

/// A client of a node's AWS API.
pub(super) struct Client {
    http: reqwest::Client,
    endpoint: String,
    host: String,
    region: String,
    key: AccessKey,
}

/// A request was refused, or did not get through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// AWS's error name and message.
    #[error("{operation} was refused: {code}: {message}")]
    Refused {
        /// What was asked for.
        operation: String,
        /// AWS's error name.
        code: String,
        /// AWS's message.
        message: String,
    },
    /// No answer, or none that can be read.
    #[error("{operation} got no answer: {why}")]
    Lost {
        /// What was asked for.
        operation: String,
        /// What happened instead.
        why: String,
    },
}

impl Error {
    /// Whether the node refused it with this error.
    pub(super) fn is(&self, expected: &str) -> bool {
        matches!(self, Error::Refused { code, .. } if code == expected)
    }

    /// The service's own sentence.
    pub(super) fn message(&self) -> &str {
        match self {
            Error::Refused { message, .. } => message,
            Error::Lost { why, .. } => why,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let exit = match error {
            Error::Refused { .. } => Exit::Rejected,
            Error::Lost { .. } => Exit::NoServer,
        };
        Failure::new(exit, error.to_string())
    }
}

/// An element of an XML answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// What `text` holds.
    pub(super) fn parse(text: &str) -> Result<Element, String> {
        let mut reader = Reader::from_str(text);
        let mut open = vec![Element::default()];
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(start) => open.push(named(&start)),
                Event::Empty(empty) => {
                    let element = named(&empty);
                    open.last_mut()
                        .into_iter()
                        .for_each(|last| last.children.push(element.clone()));
                }
                Event::Text(piece) => {
                    open.last_mut().into_iter().for_each(|last| last.text += &piece);
                }
                Event::CData(piece) => {
                    open.last_mut().into_iter().for_each(|last| last.text += &piece);
                }
                Event::GeneralRef(reference) => {
                    let name: &str = &reference;
                    let letter = match reference.resolve_char_ref() {
                        Ok(Some(letter)) => letter.to_string(),
                        _ => quick_xml::escape::resolve_predefined_entity(name)
                            .ok_or_else(|| format!("the entity `{name}` is not known"))?
                            .to_owned(),
                    };
                    open.last_mut().into_iter().for_each(|last| last.text += &letter);
                }
                Event::End(_) => {
                    let closed = open.pop().unwrap_or_default();
                    match open.last_mut() {
                        Some(parent) => parent.children.push(closed),
                        None => return Err("an element ends that has not begun".to_owned()),
                    }
                }
                Event::Eof => break,
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        let mut root = open.pop().unwrap_or_default();
        if root.children.len() != 1 || !open.is_empty() {
            return Err("it is no XML document".to_owned());
        }
        Ok(root.children.remove(0))
    }

    /// The first element of this name, at any depth.
    pub(super) fn find(&self, name: &str) -> Option<&Element> {
        self.children
            .iter()
            .find_map(|child| if child.name == name { Some(child) } else { child.find(name) })
    }

    /// The text of the child of this name; empty without one.
    pub(super) fn text_of(&self, name: &str) -> &str {
        self.children.iter().find(|child| child.name == name).map_or("", |child| &child.text)
    }

    /// The members of the list of this name, at any depth.
    pub(super) fn members(&self, list: &str) -> &[Element] {
        self.find(list).map_or(&[], |list| &list.children)
    }
}

fn named(start: &BytesStart<'_>) -> Element {
    Element { name: start.local_name().as_ref().to_owned(), ..Element::default() }
}

/// A request as it goes out.
struct Asked<'a> {
    operation: &'a str,
    service: &'a str,
    method: Method,
    path: String,
    query: String,
    headers: Vec<(&'static str, &'a str)>,
    body: Vec<u8>,
}

impl Client {
    /// A client of this node.
    pub(super) fn new(running: &Running) -> Result<Client, Failure> {
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build();
        let endpoint = running.node.endpoint();
        Ok(Client {
            http: http.map_err(|error| Failure::new(Exit::Failed, error.to_string()))?,
            host: endpoint.trim_start_matches("http://").to_owned(),
            endpoint,
            region: running.node.region.clone(),
            key: running.key.clone(),
        })
    }

    /// A CloudFormation request with these parameters; what its result holds.
    pub(super) async fn stacks(
        &self,
        operation: &str,
        parameters: &[(String, String)],
    ) -> Result<Element, Error> {
        let own = [("Action", operation), ("Version", STACKS_VERSION)];
        let given = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let form: Vec<String> = (own.into_iter().chain(given))
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let body = self
            .send(Asked {
                operation,
                service: "cloudformation",
                method: Method::POST,
                path: "/".to_owned(),
                query: String::new(),
                headers: vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
                body: form.join("&").into_bytes(),
            })
            .await?;
        let lost = |why| Error::Lost { operation: operation.to_owned(), why };
        Element::parse(&String::from_utf8_lossy(&body)).map_err(lost)
    }

    /// A Step Functions request; what it answers.
    pub(super) async fn states(&self, operation: &str, body: &Json) -> Result<Json, Error> {
        let target = format!("AWSStepFunctions.{operation}");
        self.json(Asked {
            operation,
            service: "states",
            method: Method::POST,
            path: "/".to_owned(),
            query: String::new(),
            headers: vec![
                ("content-type", "application/x-amz-json-1.0"),
                ("x-amz-target", target.as_str()),
            ],
            body: body.to_text().into_bytes(),
        })
        .await
    }

    /// The names of all policies, the first page of them.
    pub(super) async fn policies(&self) -> Result<Vec<String>, Error> {
        let answer = self
            .json(Asked {
                operation: "ListPolicies",
                service: "iot",
                method: Method::GET,
                path: "/policies".to_owned(),
                query: String::new(),
                headers: Vec::new(),
                body: Vec::new(),
            })
            .await?;
        let policies = answer.member("policies").and_then(Json::as_array).unwrap_or_default();
        let name = |policy: &Json| policy.member("policyName")?.as_str().map(str::to_owned);
        Ok(policies.iter().filter_map(name).collect())
    }

    /// How many functions have no process ready yet.
    pub(super) async fn starting(&self) -> Result<u64, Error> {
        let lost = |why| Error::Lost { operation: "Ready".to_owned(), why };
        let answer = self.http.get(format!("{}/-/ready", self.endpoint)).send().await;
        let body = answer.map_err(|error| lost(plain(&error)))?.bytes().await;
        let body = body.map_err(|error| lost(plain(&error)))?;
        let ready = Json::parse_bytes(&body).map_err(|error| lost(error.to_string()))?;
        let starting = ready.member("startingFunctions").and_then(Json::as_i64);
        Ok(starting.and_then(|number| u64::try_from(number).ok()).unwrap_or_default())
    }

    /// Makes a bucket, unless it is there.
    pub(super) async fn make_bucket(&self, bucket: &str) -> Result<(), Error> {
        let path = format!("/{}", encoded(bucket));
        let made = self.object("CreateBucket", Method::PUT, path, Vec::new()).await;
        match made {
            Err(error) if error.is("BucketAlreadyOwnedByYou") => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }

    /// Whether an object is there.
    pub(super) async fn has_object(&self, bucket: &str, key: &str) -> Result<bool, Error> {
        match self.object("HeadObject", Method::HEAD, object_path(bucket, key), Vec::new()).await {
            Ok(_) => Ok(true),
            Err(Error::Refused { .. }) => Ok(false),
            Err(lost) => Err(lost),
        }
    }

    /// Stores an object.
    pub(super) async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        content: Vec<u8>,
    ) -> Result<(), Error> {
        self.object("PutObject", Method::PUT, object_path(bucket, key), content).await.map(|_| ())
    }

    async fn object(
        &self,
        operation: &str,
        method: Method,
        path: String,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        let (service, query) = ("s3", String::new());
        let headers = Vec::new();
        self.send(Asked { operation, service, method, path, query, headers, body }).await
    }

    async fn json(&self, asked: Asked<'_>) -> Result<Json, Error> {
        let operation = asked.operation.to_owned();
        let body = self.send(asked).await?;
        if body.is_empty() {
            return Ok(Json::Null);
        }
        let lost = |error: stepwire_asl::json::ParseError| Error::Lost {
            operation,
            why: error.to_string(),
        };
        Json::parse_bytes(&body).map_err(lost)
    }

    async fn send(&self, asked: Asked<'_>) -> Result<Vec<u8>, Error> {
        let operation = || asked.operation.to_owned();
        let lost = |why: String| Error::Lost { operation: operation(), why };
        let headers = self.signed(&asked).map_err(lost)?;
        let query =
            if asked.query.is_empty() { String::new() } else { format!("?{}", asked.query) };
        let url = format!("{}{}{query}", self.endpoint, asked.path);
        let request = self.http.request(asked.method.clone(), url).headers(headers);
        let response = request.body(asked.body.clone()).send().await;
        let response = response.map_err(|error| lost(plain(&error)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(|error| lost(plain(&error)))?.to_vec();
        if status.is_success() {
            return Ok(body);
        }
        let (code, message) = refusal(&headers, &body);
        let code = code.unwrap_or_else(|| status.to_string());
        Err(Error::Refused { operation: operation(), code, message })
    }

    /// The headers of a request, its signature among them.
    fn signed(&self, asked: &Asked<'_>) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        let mut add = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
            headers.insert(HeaderName::from_static(name), value);
            Ok::<_, String>(())
        };
        add("host", &self.host)?;
        add("x-amz-date", &jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string())?;
        if asked.service == "s3" {
            add("x-amz-content-sha256", &hex(&Sha256::digest(&asked.body)))?;
        }
        for (name, value) in &asked.headers {
            add(name, value)?;
        }
        let signed = Signed {
            method: asked.method.as_str(),
            path: &asked.path,
            query: &asked.query,
            headers: &headers,
            body: &asked.body,
        };
        let (key, secret) = (&self.key.id, &self.key.secret);
        let authorization = Signature::sign(&signed, key, secret, &self.region, asked.service);
        let authorization = authorization.map_err(|refused| refused.to_string())?;
        let mut value = HeaderValue::from_str(&authorization).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        headers.insert("authorization", value);
        Ok(headers)
    }
}

/// Parameters of a form with a list of structures: `Name.member.1.Key=…`.
pub(super) fn listed<'a>(
    name: &str,
    items: impl IntoIterator<Item = BTreeMap<&'a str, String>>,
) -> Vec<(String, String)> {
    let mut made = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        for (member, value) in item {
            let dot = if member.is_empty() { "" } else { "." };
            made.push((format!("{name}.member.{}{dot}{member}", index + 1), value));
        }
    }
    made
}

fn object_path(bucket: &str, key: &str) -> String {
    let key: Vec<String> = key.split('/').map(encoded).collect();
    format!("/{}/{}", encoded(bucket), key.join("/"))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// AWS's error name and message, in XML or JSON.
fn refusal(headers: &HeaderMap, body: &[u8]) -> (Option<String>, String) {
    let text = String::from_utf8_lossy(body);
    if let Ok(root) = Element::parse(&text) {
        let error = if root.name == "Error" { Some(&root) } else { root.find("Error") };
        if let Some(error) = error {
            return (Some(error.text_of("Code").to_owned()), error.text_of("Message").to_owned());
        }
    }
    let body = Json::parse_bytes(body).unwrap_or_default();
    let header = headers.get("x-amzn-errortype").and_then(|name| name.to_str().ok());
    let code = body.member("__type").and_then(Json::as_str).or(header);
    let code = code.map(|code| code.rsplit('#').next().unwrap_or(code));
    let code = code.map(|code| code.split(':').next().unwrap_or(code).to_owned());
    let message = body.member("message").or_else(|| body.member("Message"));
    (code, message.and_then(Json::as_str).unwrap_or_default().to_owned())
}

/// An error and its causes in one line.
fn plain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_xml_is_read_with_its_entities() {
        let text = "<?xml version='1.0'?><R xmlns='u'><S><member><K>a &lt;b&gt; &#39;</K></member>\
                    <member/></S></R>";
        let root = Element::parse(text).unwrap();
        assert_eq!(root.members("S").len(), 2);
        assert_eq!(root.members("S")[0].text_of("K"), "a <b> '");
        assert!(Element::parse("nothing").is_err() && Element::parse("<a>").is_err());
    }

    #[test]
    fn a_refusal_is_read_from_xml_and_from_json() {
        let xml = b"<ErrorResponse><Error><Code>ValidationError</Code><Message>m</Message></Error></ErrorResponse>";
        let told = |body: &[u8]| refusal(&HeaderMap::new(), body);
        assert_eq!(told(xml), (Some("ValidationError".to_owned()), "m".to_owned()));
        let json = br#"{"__type":"com.amazonaws#NoSuch:x","message":"m"}"#;
        assert_eq!(told(json), (Some("NoSuch".to_owned()), "m".to_owned()));
        assert_eq!(told(b""), (None, String::new()));
    }

    #[test]
    fn a_list_is_numbered_from_one() {
        let tags = [BTreeMap::from([("Key", "a".to_owned()), ("Value", "b".to_owned())])];
        let form = listed("Tags", tags);
        assert_eq!(form[0], ("Tags.member.1.Key".to_owned(), "a".to_owned()));
        let names = listed("Capabilities", [BTreeMap::from([("", "X".to_owned())])]);
        assert_eq!(names[0].0, "Capabilities.member.1");
    }

    #[test]
    fn a_key_keeps_its_slashes_and_nothing_else() {
        assert_eq!(object_path("b", "x/ä b"), "/b/x/%C3%A4%20b");
    }
}
