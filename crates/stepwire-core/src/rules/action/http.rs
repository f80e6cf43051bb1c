//! `http`: what a rule sends to a server outside, which has confirmed that it wants it.
//!
//! Source: AWS IoT developer guide, "HTTP" and "Batching HTTP action messages".

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stepwire_asl::Json;

use super::field::Field;
use super::{INVALID, Kind, Resolved, bytes, is_arn};
use crate::error::ApiError;
use crate::params::Params;
use crate::rules::destinations::address::Address;
use crate::rules::errands::Delivery;
use crate::rules::sql::{Facts, Value};

/// Most headers. Source: AWS IoT API reference, `HttpAction`.
const HEADERS_MAX: usize = 100;
/// Longest name of a header.
const KEY_MAX: usize = 256;
/// Headers that belong to the connection, not to the message.
const REFUSED_HEADERS: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Headers that a signature brings.
const SIGNING_HEADERS: [&str; 4] =
    ["authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];
const CONTENT_TYPE: &str = "content-type";

/// A request to a server outside, ready to be sent with POST.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpDelivery {
    /// Where to, without templates.
    pub url: Arc<str>,
    /// Headers in order.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// What.
    pub body: Bytes,
    /// How it is signed, if it is.
    pub sign: Option<Sign>,
    /// The URL whose destination must be enabled when it leaves.
    pub confirmation: Arc<str>,
    /// With which others it may share a request.
    pub batch: Option<Batch>,
}

/// Signature version 4 of a delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sign {
    /// Name of the service it is signed for.
    pub service: Arc<str>,
    /// Region it is signed for.
    pub region: Arc<str>,
    /// ARN of the role whose key signs it.
    pub role: Arc<str>,
}

/// How long and how far deliveries wait for each other. Source: AWS IoT API reference, `BatchConfig`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Longest wait for another message, in milliseconds.
    pub open_ms: u16,
    /// Most messages in a request.
    pub messages_max: u8,
    /// Most bytes of its body.
    pub bytes_max: u32,
    /// Whether messages on different topics share requests.
    pub across_topics: bool,
}

/// `http`
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    url: Field,
    confirmation: Option<Field>,
    headers: Vec<(Arc<str>, Field)>,
    sign: Option<Sign>,
    batch: Option<Batch>,
}

pub(super) fn parse(fields: &Params<'_>) -> Result<Http, ApiError> {
    fields.only(&["url", "confirmationUrl", "headers", "auth", "enableBatching", "batchConfig"])?;
    let url = Field::required(fields, "url")?;
    let confirmation = Field::optional(fields, "confirmationUrl")?;
    check_urls(fields, &url, confirmation.as_ref())?;
    let sign = fields.get("auth").map(auth).transpose()?;
    let headers = headers(fields, sign.is_some())?;
    Ok(Http { url, confirmation, headers, sign, batch: batch(fields)? })
}

/// Refuses URLs that would be wrong for every message.
fn check_urls(
    fields: &Params<'_>,
    url: &Field,
    confirmation: Option<&Field>,
) -> Result<(), ApiError> {
    let read = |name: &str, field: &Field| {
        let address = field.plain().map(Address::parse).transpose();
        address.map_err(|why| fields.invalid(name, why))
    };
    let address = read("url", url)?;
    let Some(confirmation) = confirmation else {
        if address.is_none() {
            let why = "it must be there when `url` has a substitution template";
            return Err(fields.invalid("confirmationUrl", why));
        }
        return Ok(());
    };
    let Some(confirmed) = read("confirmationUrl", confirmation)? else { return Ok(()) };
    let begins = match address {
        Some(address) => confirmed.covers(&address),
        // The part in front of the first template is no whole URL: the rest is seen when it leaves.
        None => {
            let (beginning, given) = (url.beginning(), confirmation.source());
            let shorter = beginning.len().min(given.len());
            beginning.get(..shorter) == given.get(..shorter)
        }
    };
    if begins {
        return Ok(());
    }
    Err(fields.invalid("url", "it does not begin with `confirmationUrl`"))
}

fn auth(auth: &Json) -> Result<Sign, ApiError> {
    let auth = Params::new(auth, INVALID);
    auth.only(&["sigv4"])?;
    let missing = || auth.broken("sigv4", None, "Member must not be null");
    let sigv4 = Params::new(auth.get("sigv4").ok_or_else(missing)?, INVALID);
    sigv4.only(&["signingRegion", "serviceName", "roleArn"])?;
    let (region, service) = (sigv4.text("signingRegion")?, sigv4.text("serviceName")?);
    for (name, text) in [("signingRegion", region), ("serviceName", service)] {
        if text.is_empty()
            || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        {
            return Err(sigv4.invalid(name, "it must be letters, digits, `-`, `_` or `.`"));
        }
    }
    let role = sigv4.text("roleArn")?;
    if !is_arn(role) {
        return Err(sigv4.invalid("roleArn", "it is not an ARN"));
    }
    Ok(Sign { region: region.into(), service: service.into(), role: role.into() })
}

fn headers(fields: &Params<'_>, signed: bool) -> Result<Vec<(Arc<str>, Field)>, ApiError> {
    let Some(given) = fields.get("headers") else { return Ok(Vec::new()) };
    let given = given.as_array().filter(|list| list.len() <= HEADERS_MAX);
    let why = || format!("it must be a list of at most {HEADERS_MAX} keys and values");
    let given = given.ok_or_else(|| fields.invalid("headers", &why()))?;
    let header = |header: &Json| {
        let header = &Params::new(header, INVALID);
        header.only(&["key", "value"])?;
        let key = header.text("key")?;
        let small = key.to_ascii_lowercase();
        let refused = REFUSED_HEADERS.contains(&small.as_str())
            || signed && SIGNING_HEADERS.contains(&small.as_str());
        if refused {
            return Err(header.invalid("key", &format!("`{key}` is set when the request leaves")));
        }
        if !is_token(key) {
            return Err(header.invalid("key", &format!("`{key}` is no name of a header")));
        }
        let value = Field::parse(header, "value", header.text("value")?)?;
        if value.plain().is_some_and(|plain| !is_value(plain)) {
            return Err(header.invalid("value", &format!("that of `{key}` cannot be sent")));
        }
        Ok((key.into(), value))
    };
    given.iter().map(header).collect()
}

/// Source: RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (1..=KEY_MAX).contains(&text.len()) && text.bytes().all(fits)
}

/// Source: RFC 9110 §5.5.
fn is_value(text: &str) -> bool {
    text.bytes().all(|b| b == b'\t' || b >= b' ' && b != 0x7f)
}

fn batch(fields: &Params<'_>) -> Result<Option<Batch>, ApiError> {
    let enabled = fields.optional_bool("enableBatching")? == Some(true);
    let Some(config) = fields.get("batchConfig") else {
        return Ok(enabled.then(Batch::default));
    };
    if !enabled {
        return Err(fields.invalid("batchConfig", "it needs `enableBatching`"));
    }
    let config = Params::new(config, INVALID);
    config.only(&["maxBatchOpenMs", "maxBatchSize", "maxBatchSizeBytes", "batchAcrossTopics"])?;
    let within = |name: &str, least: i64, most: i64| {
        let value = config.optional_int(name)?;
        match value.filter(|value| !(least..=most).contains(value)) {
            None => Ok(value),
            Some(_) => Err(config.invalid(name, &format!("it must be {least} to {most}"))),
        }
    };
    let default = Batch::default();
    let open_ms = within("maxBatchOpenMs", 5, 200)?.and_then(|ms| u16::try_from(ms).ok());
    let messages = within("maxBatchSize", 2, 10)?.and_then(|most| u8::try_from(most).ok());
    let bytes = within("maxBatchSizeBytes", 100, 131_072)?.and_then(|b| u32::try_from(b).ok());
    Ok(Some(Batch {
        open_ms: open_ms.unwrap_or(default.open_ms),
        messages_max: messages.unwrap_or(default.messages_max),
        bytes_max: bytes.unwrap_or(default.bytes_max),
        across_topics: config.optional_bool("batchAcrossTopics")?.unwrap_or_default(),
    }))
}

/// AWS's defaults.
impl Default for Batch {
    fn default() -> Self {
        Batch { open_ms: 20, messages_max: 10, bytes_max: 5_120, across_topics: false }
    }
}

/// The confirmation URL of an `http` action, if it is the same for all messages.
pub(in crate::rules) fn confirmation_url(action: &Json) -> Option<Arc<str>> {
    let http = action.member("http")?;
    let of = |name| http.member(name).and_then(Json::as_str);
    let url = of("confirmationUrl").or_else(|| of("url"))?;
    (!url.contains("${")).then(|| url.into())
}

/// A URL without its query, which may hold a secret.
fn without_query(url: &Arc<str>) -> Arc<str> {
    match url.split_once('?') {
        Some((shown, _)) => shown.into(),
        None => Arc::clone(url),
    }
}

impl HttpDelivery {
    /// Where it goes, as it may be told.
    pub(crate) fn resource(&self) -> Arc<str> {
        without_query(&self.url)
    }
}

/// Names and values.
type Headers = Vec<(Arc<str>, Arc<str>)>;

impl Http {
    /// Whether its messages share requests.
    pub(super) fn batches(&self) -> bool {
        self.batch.is_some()
    }

    fn header_values(&self, facts: &Facts<'_>) -> Result<Headers, String> {
        let value = |(key, value): &(Arc<str>, Field)| {
            let value = value.text(facts)?;
            if !is_value(&value) {
                return Err(format!("the value of the header `{key}` cannot be sent"));
            }
            Ok((Arc::clone(key), value))
        };
        self.headers.iter().map(value).collect()
    }
}

impl Kind for Http {
    fn name(&self) -> &'static str {
        "HttpAction"
    }

    fn resource(&self) -> &Field {
        &self.url
    }

    /// The URL without its query, which may hold a secret.
    fn shown(&self, resource: &Arc<str>) -> Arc<str> {
        without_query(resource)
    }

    fn resolve(
        &self,
        url: &Arc<str>,
        facts: &Facts<'_>,
        result: &Value,
    ) -> Result<Resolved, String> {
        let confirmation = match &self.confirmation {
            Some(confirmation) => confirmation.text(facts)?,
            None => Arc::clone(url),
        };
        let mut headers = self.header_values(facts)?;
        let body = bytes(result);
        let json = Json::parse_bytes(&body).is_ok();
        let kind = if json { "application/json" } else { "application/octet-stream" };
        if self.batch.is_some() && std::str::from_utf8(&body).is_err() {
            return Err("the payload is binary, which cannot be batched\nhint: select \
                        `encode(*, 'base64') AS data`"
                .to_owned());
        }
        if !headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(CONTENT_TYPE)) {
            headers.push((CONTENT_TYPE.into(), kind.into()));
        }
        let (url, sign) = (Arc::clone(url), self.sign.clone());
        let http = HttpDelivery { url, headers, body, sign, confirmation, batch: self.batch };
        Ok(Resolved::Deliver(Delivery::Http(http)))
    }
}

/// Values of headers, queries and bodies can be secret: none is shown.
impl fmt::Debug for HttpDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("HttpDelivery")
            .field("url", &self.resource())
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .field("sign", &self.sign)
            .finish_non_exhaustive()
    }
}
