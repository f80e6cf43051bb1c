//! The query protocol: the operation and its members in form fields, XML back.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use stepwire_asl::Json;
use stepwire_asl::json::{Number, Object};
use stepwire_aws::error::status;
use stepwire_aws::rest;
use stepwire_core::iam::Session;
use stepwire_core::{ApiError, Request, Service, metrics, queues, topics};

use super::cloudwatch;
use super::xml::{self, Lists};
use super::{as_asked, not_available, not_served};
use crate::functions::request_id;
use crate::node::Node;

/// The header that says the same as `RequestId` in the body.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
/// Deepest nesting of a form field.
const DEPTH_MAX: usize = 16;

/// A service that speaks this protocol.
struct Dialect {
    service: Service,
    namespace: &'static str,
    /// Members that stand in fields under another name.
    fields: &'static [(&'static str, &'static str)],
    /// Members that are maps, with the names of a pair's key and value.
    maps: &'static [(&'static str, &'static str, &'static str)],
    /// Members that are integers.
    integers: &'static [&'static str],
    /// Members of answers that stand in XML under another name.
    elements: &'static [(&'static str, &'static str)],
    /// Whether a member of answers is a time: seconds here, ISO 8601 in XML.
    is_time: fn(&str) -> bool,
}

/// Source: the service model of Amazon SNS.
const SNS: Dialect = Dialect {
    service: Service::Sns,
    namespace: "http://sns.amazonaws.com/doc/2010-03-31/",
    fields: &[],
    maps: &[("Attributes", "key", "value"), ("MessageAttributes", "Name", "Value")],
    integers: &[],
    elements: &[],
    is_time: |_| false,
};

/// Source: the service model of Amazon SQS before it spoke JSON; its lists are flat.
const SQS: Dialect = Dialect {
    service: Service::Sqs,
    namespace: "http://queue.amazonaws.com/doc/2012-11-05/",
    fields: &[
        ("AWSAccountId", "AWSAccountIds"),
        ("ActionName", "Actions"),
        ("Attribute", "Attributes"),
        ("AttributeName", "AttributeNames"),
        ("ChangeMessageVisibilityBatchRequestEntry", "Entries"),
        ("DeleteMessageBatchRequestEntry", "Entries"),
        ("MessageAttribute", "MessageAttributes"),
        ("MessageAttributeName", "MessageAttributeNames"),
        ("MessageSystemAttribute", "MessageSystemAttributes"),
        ("MessageSystemAttributeName", "MessageSystemAttributeNames"),
        ("SendMessageBatchRequestEntry", "Entries"),
        ("Tag", "Tags"),
        ("TagKey", "TagKeys"),
    ],
    maps: &[
        ("Attributes", "Name", "Value"),
        ("MessageAttributes", "Name", "Value"),
        ("MessageSystemAttributes", "Name", "Value"),
        ("Tags", "Key", "Value"),
    ],
    integers: &[
        "DelaySeconds",
        "MaxNumberOfMessages",
        "MaxNumberOfMessagesPerSecond",
        "MaxResults",
        "VisibilityTimeout",
        "WaitTimeSeconds",
    ],
    elements: &[
        ("Attributes", "Attribute"),
        ("Failed", "BatchResultErrorEntry"),
        ("MessageAttributes", "MessageAttribute"),
        ("Messages", "Message"),
        ("QueueUrls", "QueueUrl"),
        ("Results", "ListMessageMoveTasksResultEntry"),
        ("Tags", "Tag"),
        ("queueUrls", "QueueUrl"),
    ],
    is_time: |_| false,
};

/// Source: the service model of Amazon CloudWatch.
const CLOUDWATCH: Dialect = Dialect {
    service: Service::CloudWatch,
    namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/",
    fields: &[],
    maps: &[],
    integers: &[],
    elements: &[],
    is_time: cloudwatch::is_time,
};

/// Source: the service model of AWS IAM. Which members are integers or truth values, the kernel knows.
const IAM: Dialect = Dialect {
    service: Service::Iam,
    namespace: "https://iam.amazonaws.com/doc/2010-05-08/",
    fields: &[],
    maps: &[],
    integers: &[],
    elements: &[],
    is_time: |_| false,
};

/// Source: the service model of AWS CloudFormation. Which members are numbers or truth values, the
/// kernel knows.
const CLOUDFORMATION: Dialect = Dialect {
    service: Service::CloudFormation,
    namespace: "http://cloudformation.amazonaws.com/doc/2010-05-15/",
    is_time: |member| member.ends_with("Timestamp") || member.ends_with("Time"),
    ..IAM
};

/// Source: the service model of AWS STS.
const STS: Dialect = Dialect {
    service: Service::Sts,
    namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
    ..IAM
};

/// Answers a request whose form names the operation; `session` says whose credentials sign it.
///
/// A queue can be named by the path of its URL, as SDKs of SQS did.
pub(super) async fn answer(
    node: &Node,
    service: &str,
    parts: &Parts,
    session: Option<Session>,
    body: &[u8],
) -> Result<Response, ApiError> {
    let dialect = match service {
        "iam" => &IAM,
        "sts" => &STS,
        "sns" => &SNS,
        "sqs" => &SQS,
        "monitoring" => &CLOUDWATCH,
        "cloudformation" => &CLOUDFORMATION,
        _ => return Err(not_served(service)),
    };
    let form = String::from_utf8_lossy(body).into_owned();
    let mut fields = Tree::default();
    let mut operation = None;
    for (name, value) in rest::query_pairs(&form) {
        match name.as_str() {
            "Action" => operation = Some(value),
            "Version" => {}
            _ => fields.put(&name, value)?,
        }
    }
    let operation = operation.unwrap_or_default();
    let mut members = dialect.members(&fields);
    let path = parts.uri.path();
    if dialect.service == Service::Sqs && path != "/" && !members.contains_key("QueueUrl") {
        members.insert("QueueUrl".into(), path.into());
    }
    let members = Json::Object(Arc::new(members));
    let request = Request::parse(dialect.service, &operation, &members);
    let request = request
        .ok_or_else(|| ApiError { code: "InvalidAction".into(), ..not_available(&operation) })??;
    let request = match request {
        Request::Sts(request) => Request::Sts(request.by(session)),
        other => other,
    };
    let answer = node.call(request).await?;
    let sqs = dialect.service == Service::Sqs;
    let answer = if sqs { as_asked(node, parts, answer) } else { answer };
    Ok(dialect.response(&operation, &answer))
}

/// Answers somebody who visits a URL that a topic's subscriber was sent.
pub(super) async fn visit(node: &Node, query: &str) -> Response {
    let mut fields = Tree::default();
    let mut operation = String::new();
    for (name, value) in rest::query_pairs(query) {
        match name.as_str() {
            "Action" => operation = value,
            "Version" => {}
            _ => {
                if let Err(error) = fields.put(&name, value) {
                    return refused("sns", &error);
                }
            }
        }
    }
    let members = Json::Object(Arc::new(SNS.members(&fields)));
    let request = match topics::Request::visit(&operation, &members) {
        Some(Ok(request)) => Request::Topics(request),
        Some(Err(error)) => return refused("sns", &error),
        None => return refused("sns", &not_available(&operation)),
    };
    match node.call(request).await {
        Ok(answer) => SNS.response(&operation, &answer),
        Err(error) => refused("sns", &error),
    }
}

impl Dialect {
    fn response(&self, operation: &str, answer: &Json) -> Response {
        let dialect = self;
        let mut xml = String::new();
        let root = format!("{operation}Response");
        xml.extend(["<", &root, " xmlns=\"", dialect.namespace, "\">"]);
        let result = dialect.shown(answer, operation);
        xml::write(&format!("{operation}Result"), &result, dialect.lists(), &mut xml);
        let id = request_id();
        let metadata = "<ResponseMetadata><RequestId>";
        xml.extend([metadata, &id, "</RequestId></ResponseMetadata></", &root, ">"]);
        ([(header::CONTENT_TYPE, "text/xml"), (REQUEST_ID, id.as_str())], xml).into_response()
    }
}

/// An error as the protocol writes it.
pub(super) fn refused(service: &str, error: &ApiError) -> Response {
    let status = StatusCode::from_u16(status(service, &error.code));
    let status = status.unwrap_or(StatusCode::BAD_REQUEST);
    let code = match service {
        "sqs" => queues::older_code(&error.code),
        "monitoring" => metrics::older_code(&error.code).into(),
        _ => error.code.as_ref().into(),
    };
    let fault = if status.is_server_error() { "Receiver" } else { "Sender" };
    let (code, message) = (xml::escaped(&code), xml::escaped(&error.message));
    let id = request_id();
    let xml = format!(
        "<ErrorResponse><Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message>\
         </Error><RequestId>{id}</RequestId></ErrorResponse>"
    );
    (status, [(header::CONTENT_TYPE, "text/xml"), (REQUEST_ID, id.as_str())], xml).into_response()
}

/// Form fields by the parts of their names: `A.member.1.B`.
#[derive(Debug, Default)]
struct Tree {
    value: Option<String>,
    children: BTreeMap<String, Tree>,
}

impl Tree {
    fn put(&mut self, name: &str, value: String) -> Result<(), ApiError> {
        if name.split('.').count() > DEPTH_MAX {
            let message = "a parameter is nested too deeply";
            return Err(ApiError::new("MalformedQueryString", message));
        }
        let place = name
            .split('.')
            .fold(self, |tree, part| tree.children.entry(part.to_owned()).or_default());
        place.value = Some(value);
        Ok(())
    }

    /// The entries of a list in their order, however it is wrapped; `None`: it is no list.
    fn entries(&self) -> Option<Vec<&Tree>> {
        let inside = self.children.get("member").or_else(|| self.children.get("entry"));
        let list = inside.filter(|_| self.children.len() == 1).unwrap_or(self);
        let numbered = list.children.iter();
        let mut numbered = numbered
            .map(|(name, tree)| Some((name.parse::<usize>().ok()?, tree)))
            .collect::<Option<Vec<_>>>()?;
        numbered.sort_by_key(|(number, _)| *number);
        (!numbered.is_empty()).then(|| numbered.into_iter().map(|(_, tree)| tree).collect())
    }
}

impl Dialect {
    fn lists(&self) -> Lists {
        match self.service {
            Service::Sqs => Lists::Flat,
            _ => Lists::Inside("member"),
        }
    }

    fn members(&self, tree: &Tree) -> Object {
        let members = tree.children.iter().map(|(name, tree)| {
            let renamed = self.fields.iter().find(|(field, _)| field == name);
            let member = renamed.map_or(name.as_str(), |(_, member)| member);
            (Arc::from(member), self.value(member, tree))
        });
        members.collect()
    }

    fn value(&self, member: &str, tree: &Tree) -> Json {
        let Some(entries) = tree.entries() else {
            return match &tree.value {
                Some(text) if self.integers.contains(&member) => {
                    Number::from_text(text).map_or_else(|| text.as_str().into(), Json::Number)
                }
                Some(text) => text.as_str().into(),
                None => Json::Object(Arc::new(self.members(tree))),
            };
        };
        let Some((_, key, value)) = self.maps.iter().find(|(name, ..)| *name == member) else {
            return Json::array(entries.iter().map(|entry| self.value("", entry)));
        };
        let pair = |entry: &&Tree| {
            let key = entry.children.get(*key)?.value.as_deref()?;
            Some((Arc::<str>::from(key), self.value("", entry.children.get(*value)?)))
        };
        Json::object(entries.iter().filter_map(pair))
    }

    /// An answer with maps as lists of pairs, under the names that it has in XML.
    fn shown(&self, answer: &Json, operation: &str) -> Json {
        match answer {
            Json::Object(members) => {
                let members = members.iter().map(|(name, value)| {
                    let map = self.maps.iter().find(|(map, ..)| **map == **name);
                    let value = match (map, value) {
                        (Some((_, key, member)), Json::Object(pairs)) => {
                            let pair = |(name, value): (&Arc<str>, &Json)| {
                                let key = (*key, Json::String(Arc::clone(name)));
                                Json::object([key, (*member, self.shown(value, operation))])
                            };
                            Json::array(pairs.iter().map(pair))
                        }
                        (_, value) if (self.is_time)(name) => cloudwatch::written(value),
                        (_, value) => self.shown(value, operation),
                    };
                    (self.element(name, operation), value)
                });
                Json::object(members)
            }
            Json::Array(items) => Json::array(items.iter().map(|item| self.shown(item, operation))),
            other => other.clone(),
        }
    }

    fn element(&self, member: &Arc<str>, operation: &str) -> Arc<str> {
        if self.service == Service::Sqs && **member == *"Successful" {
            return format!("{operation}ResultEntry").into();
        }
        let renamed = self.elements.iter().find(|(known, _)| **known == **member);
        renamed.map_or_else(|| Arc::clone(member), |(_, element)| (*element).into())
    }
}
