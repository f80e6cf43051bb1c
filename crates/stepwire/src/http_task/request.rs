//! From a task's parameters to an HTTP request. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use stepwire_asl::json::Object;
use stepwire_asl::{Failure, Json};

use super::runtime;

/// Headers that a task may not set (AWS, "Unsupported headers" of the HTTP Task).
const REFUSED_HEADERS: [&str; 32] = [
    "a-im",
    "accept-charset",
    "accept-datetime",
    "accept-encoding",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-md5",
    "date",
    "expect",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-authorization",
    "referer",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "warning",
];
const REFUSED_HEADER_PREFIXES: [&str; 3] = ["x-forwarded-", "x-amz-", "x-amzn-"];

/// What stays as it is in a form (WHATWG URL, `application/x-www-form-urlencoded` percent-encode
/// set); a space becomes `+`.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

const URL_ENCODED: &str = "application/x-www-form-urlencoded";

/// A request, ready to be sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Method.
    pub method: Method,
    /// URL with its query.
    pub url: Url,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, when there is one.
    pub body: Option<Vec<u8>>,
    /// `Authentication.ConnectionArn`, when there is one.
    pub connection: Option<String>,
}

/// The request that the parameters of `http:invoke` describe.
///
/// Anything that cannot be acted on fails with `States.Runtime`, by name.
/// Source: Step Functions developer guide, "HTTP Task fields".
pub fn build_request(parameters: &Json) -> Result<Outgoing, Failure> {
    let members = object(parameters, "Parameters")?;
    refuse_unknown(members)?;
    let mut url = endpoint(members)?;
    let method = method(members)?;
    if let Some(query) = members.get("QueryParameters") {
        add_query(&mut url, object(query, "QueryParameters")?)?;
    }
    let mut headers = HeaderMap::new();
    if let Some(given) = members.get("Headers") {
        add_headers(&mut headers, object(given, "Headers")?)?;
    }
    let body = match members.get("RequestBody") {
        Some(body) => Some(encode_body(body, members.get("Transform"), &mut headers)?),
        None => None,
    };
    let connection = members.get("Authentication").map(connection).transpose()?;
    Ok(Outgoing { method, url, headers, body, connection })
}

/// A form that is sent to `url`.
pub(super) fn form(url: Url, fields: &[(&str, &str)]) -> Outgoing {
    let mut form = Form { format: ArrayFormat::Repeat, text: String::new() };
    fields.iter().for_each(|(name, value)| form.pair(name, value));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(URL_ENCODED));
    let body = Some(form.text.into_bytes());
    Outgoing { method: Method::POST, url, headers, body, connection: None }
}

fn connection(authentication: &Json) -> Result<String, Failure> {
    let members = object(authentication, "Authentication")?;
    if let Some(name) = members.keys().find(|name| ***name != *"ConnectionArn") {
        return Err(runtime(format!("`{name}` is not a field of `Authentication`")));
    }
    text(members, "ConnectionArn").map(str::to_owned)
}

fn refuse_unknown(members: &Object) -> Result<(), Failure> {
    for name in members.keys() {
        match &**name {
            "ApiEndpoint" | "Method" | "Headers" | "QueryParameters" | "RequestBody"
            | "Transform" | "Authentication" => {}
            "InvocationConfig" => {
                return Err(runtime(
                    "`InvocationConfig` is not available in stepwire; private hosts are reached \
                     with `--http-allow HOST:PORT`",
                ));
            }
            _ => {
                return Err(runtime(format!("`{name}` is not a parameter of `http:invoke`")));
            }
        }
    }
    Ok(())
}

fn endpoint(members: &Object) -> Result<Url, Failure> {
    let text = text(members, "ApiEndpoint")?;
    let mut url = Url::parse(text)
        .map_err(|error| runtime(format!("`ApiEndpoint` is not a URL: {error}")))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(runtime("`ApiEndpoint` must start with `https://`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(runtime("`ApiEndpoint` must not hold a user name or password"));
    }
    url.set_fragment(None);
    Ok(url)
}

fn method(members: &Object) -> Result<Method, Failure> {
    Ok(match text(members, "Method")? {
        "GET" => Method::GET,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "DELETE" => Method::DELETE,
        "PATCH" => Method::PATCH,
        "OPTIONS" => Method::OPTIONS,
        "HEAD" => Method::HEAD,
        other => {
            return Err(runtime(format!(
                "`Method` is `{other}`; it must be one of GET, POST, PUT, DELETE, PATCH, OPTIONS, HEAD"
            )));
        }
    })
}

fn add_query(url: &mut Url, parameters: &Object) -> Result<(), Failure> {
    let mut query = url.query_pairs_mut();
    for (name, value) in parameters {
        for value in values(value) {
            query.append_pair(name, &scalar(value, name)?);
        }
    }
    drop(query);
    if url.query() == Some("") {
        url.set_query(None);
    }
    Ok(())
}

fn add_headers(headers: &mut HeaderMap, given: &Object) -> Result<(), Failure> {
    let refused: Vec<String> = given
        .keys()
        .map(|name| name.to_ascii_lowercase())
        .filter(|name| is_refused(name))
        .collect();
    if !refused.is_empty() {
        return Err(runtime(format!(
            "the `Headers` field contains unsupported values: [{}]",
            refused.join(", ")
        )));
    }
    for (name, value) in given {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| runtime(format!("`{name}` is not the name of a header")))?;
        for value in values(value) {
            let text = scalar(value, name)?;
            let value = HeaderValue::from_str(&text)
                .map_err(|_| runtime(format!("the value of header `{name}` cannot be sent")))?;
            headers.append(key.clone(), value);
        }
    }
    Ok(())
}

fn is_refused(name: &str) -> bool {
    REFUSED_HEADERS.contains(&name)
        || REFUSED_HEADER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn encode_body(
    body: &Json,
    transform: Option<&Json>,
    headers: &mut HeaderMap,
) -> Result<Vec<u8>, Failure> {
    let encoding = Encoding::parse(transform)?;
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let (default_kind, bytes) = match (encoding, body) {
        (Encoding::Form(format), body) => {
            let mut form = Form { format, text: String::new() };
            for (name, value) in object(body, "RequestBody")? {
                form.add(name, value)?;
            }
            (URL_ENCODED, form.text)
        }
        // Text of a kind that is not JSON goes out as it is.
        (Encoding::Json, Json::String(text)) if kind.is_some_and(|kind| !is_json(kind)) => {
            ("application/json", (**text).to_owned())
        }
        (Encoding::Json, body) => ("application/json", body.to_text()),
    };
    if kind.is_none() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(default_kind));
    }
    Ok(bytes.into_bytes())
}

/// Whether `kind`, a `Content-Type`, says JSON.
pub(super) fn is_json(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

#[derive(Clone, Copy)]
enum Encoding {
    Json,
    Form(ArrayFormat),
}

#[derive(Clone, Copy)]
enum ArrayFormat {
    Indices,
    Repeat,
    Commas,
    Brackets,
}

impl Encoding {
    fn parse(transform: Option<&Json>) -> Result<Encoding, Failure> {
        let Some(transform) = transform else { return Ok(Encoding::Json) };
        let members = object(transform, "Transform")?;
        let known = ["RequestBodyEncoding", "RequestEncodingOptions"];
        if let Some(name) = members.keys().find(|name| !known.contains(&&***name)) {
            return Err(runtime(format!("`{name}` is not a field of `Transform`")));
        }
        let format = match members.get("RequestEncodingOptions") {
            Some(options) => ArrayFormat::parse(options)?,
            None => ArrayFormat::Indices,
        };
        match members.get("RequestBodyEncoding").map(Json::as_str) {
            None | Some(Some("NONE")) => Ok(Encoding::Json),
            Some(Some("URL_ENCODED")) => Ok(Encoding::Form(format)),
            Some(_) => Err(runtime("`RequestBodyEncoding` must be `URL_ENCODED` or `NONE`")),
        }
    }
}

impl ArrayFormat {
    fn parse(options: &Json) -> Result<ArrayFormat, Failure> {
        match options.member("ArrayFormat").map(Json::as_str) {
            None | Some(Some("INDICES")) => Ok(ArrayFormat::Indices),
            Some(Some("REPEAT")) => Ok(ArrayFormat::Repeat),
            Some(Some("COMMAS")) => Ok(ArrayFormat::Commas),
            Some(Some("BRACKETS")) => Ok(ArrayFormat::Brackets),
            Some(_) => {
                Err(runtime("`ArrayFormat` must be `INDICES`, `REPEAT`, `COMMAS` or `BRACKETS`"))
            }
        }
    }
}

/// A form as it grows, one field after the other.
struct Form {
    format: ArrayFormat,
    text: String,
}

impl Form {
    fn add(&mut self, name: &str, value: &Json) -> Result<(), Failure> {
        match value {
            Json::Object(members) => members
                .iter()
                .try_for_each(|(key, value)| self.add(&format!("{name}[{key}]"), value)),
            Json::Array(items) => self.add_array(name, items),
            scalar_value => {
                let text = scalar(scalar_value, name)?;
                self.pair(name, &text);
                Ok(())
            }
        }
    }

    fn add_array(&mut self, name: &str, items: &[Json]) -> Result<(), Failure> {
        if let ArrayFormat::Commas = self.format {
            let texts =
                items.iter().map(|item| scalar(item, name)).collect::<Result<Vec<_>, _>>()?;
            self.pair(name, &texts.join(","));
            return Ok(());
        }
        for (index, item) in items.iter().enumerate() {
            match self.format {
                ArrayFormat::Indices => self.add(&format!("{name}[{index}]"), item)?,
                ArrayFormat::Brackets => self.add(&format!("{name}[]"), item)?,
                ArrayFormat::Repeat | ArrayFormat::Commas => self.add(name, item)?,
            }
        }
        Ok(())
    }

    fn pair(&mut self, name: &str, value: &str) {
        if !self.text.is_empty() {
            self.text.push('&');
        }
        self.text.push_str(&escape(name));
        self.text.push('=');
        self.text.push_str(&escape(value));
    }
}

fn escape(text: &str) -> String {
    let words: Vec<String> =
        text.split(' ').map(|word| utf8_percent_encode(word, FORM).to_string()).collect();
    words.join("+")
}

fn values(value: &Json) -> &[Json] {
    value.as_array().unwrap_or_else(|| std::slice::from_ref(value))
}

/// The text of a value that is not a structure.
fn scalar(value: &Json, name: &str) -> Result<String, Failure> {
    match value {
        Json::String(text) => Ok((**text).to_owned()),
        Json::Number(number) => Ok(number.to_string()),
        Json::Bool(value) => Ok(value.to_string()),
        Json::Null => Ok(String::new()),
        Json::Array(_) | Json::Object(_) => {
            Err(runtime(format!("`{name}` must be a string, a number or a boolean")))
        }
    }
}

fn text<'a>(members: &'a Object, name: &str) -> Result<&'a str, Failure> {
    members
        .get(name)
        .and_then(Json::as_str)
        .ok_or_else(|| runtime(format!("`{name}` must be given, as a string")))
}

fn object<'a>(value: &'a Json, name: &str) -> Result<&'a Object, Failure> {
    value.as_object().ok_or_else(|| runtime(format!("`{name}` must be an object")))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn build(more: &str) -> Result<Outgoing, Failure> {
        let text = format!(r#"{{"ApiEndpoint":"https://a.example/b?c=d","Method":"POST"{more}}}"#);
        build_request(&Json::parse(&text).unwrap())
    }

    fn body(more: &str) -> String {
        String::from_utf8(build(more).unwrap().body.unwrap()).unwrap()
    }

    fn cause(more: &str) -> String {
        let failure = build(more).unwrap_err();
        assert_eq!(&*failure.error, "States.Runtime");
        failure.cause.to_string()
    }

    #[test]
    fn query_parameters_follow_those_of_the_url() {
        let outgoing = build(r#","QueryParameters":{"e":"f g","n":1.50,"l":["x","y"]}"#).unwrap();
        assert_eq!(outgoing.url.as_str(), "https://a.example/b?c=d&e=f+g&n=1.50&l=x&l=y");
    }

    #[test]
    fn headers_that_belong_to_the_connection_are_refused_by_name() {
        let cause = cause(r#","Headers":{"Host":"b","X-Amz-Date":"x","Accept":"*/*"}"#);
        assert_eq!(cause, "the `Headers` field contains unsupported values: [host, x-amz-date]");
    }

    #[test]
    fn a_header_cannot_smuggle_a_line_break() {
        let cause = cause(r#","Headers":{"X-A":"b\r\nX-C: d"}"#);
        assert_eq!(cause, "the value of header `X-A` cannot be sent");
    }

    #[test]
    fn a_body_is_json_unless_its_kind_says_otherwise() {
        assert_eq!(body(r#","RequestBody":{"n":1.0}"#), r#"{"n":1.0}"#);
        assert_eq!(body(r#","RequestBody":"hi""#), r#""hi""#);
        let plain = r#","RequestBody":"hi","Headers":{"Content-Type":"text/plain"}"#;
        assert_eq!(body(plain), "hi");
    }

    #[test]
    fn arrays_in_a_form_are_written_as_the_options_say() {
        let form = |format: &str| {
            let body = body(&format!(
                r#","RequestBody":{{"a b":["x&","y"],"o":{{"p":true}}}},"Transform":{{"RequestBodyEncoding":"URL_ENCODED","RequestEncodingOptions":{{"ArrayFormat":"{format}"}}}}"#
            ));
            body.replace("%5B", "[").replace("%5D", "]")
        };
        assert_eq!(form("INDICES"), "a+b[0]=x%26&a+b[1]=y&o[p]=true");
        assert_eq!(form("REPEAT"), "a+b=x%26&a+b=y&o[p]=true");
        assert_eq!(form("COMMAS"), "a+b=x%26%2Cy&o[p]=true");
        assert_eq!(form("BRACKETS"), "a+b[]=x%26&a+b[]=y&o[p]=true");
    }

    #[test]
    fn what_is_not_acted_on_is_refused_by_name() {
        assert!(cause(r#","Authentication":{"Secret":"arn"}"#).contains("`Secret`"));
        assert!(
            cause(r#","InvocationConfig":{"ConnectionArn":"arn"}"#).contains("InvocationConfig")
        );
        assert!(cause(r#","Retries":3"#).contains("`Retries`"));
        assert!(cause(r#","RequestBody":{},"Transform":{"Zip":1}"#).contains("`Zip`"));
    }

    #[test]
    fn endpoints_that_cannot_be_called_are_refused() {
        for endpoint in ["ftp://a/", "a.example", "https://u:p@a/", "file:///etc/passwd", ""] {
            let parameters =
                Json::object([("ApiEndpoint", endpoint.into()), ("Method", "GET".into())]);
            assert!(build_request(&parameters).is_err(), "{endpoint}");
        }
        assert!(cause(r#","Method":"TRACE""#).contains("`TRACE`"));
    }
}
