//! Who looks at which page: its address, and what a form brought.

use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{Uri, header};
use percent_encoding::percent_decode_str;
use stepwire_asl::{Json, Timestamp};
use stepwire_console::pages::Problem;
use stepwire_console::words::unsegmented;
use stepwire_core::{ApiError, Request, Service};

use super::respond;
use crate::listen::http::is_own_origin;
use crate::node::Node;

/// Longest form, bytes: a definition, or a history to look at.
const FORM_MAX: usize = 32 << 20;

/// A look at a page.
pub(crate) struct Visit {
    node: Node,
    /// Path and query, as they were asked for.
    address: String,
    path: String,
    segments: Vec<String>,
    query: Vec<(String, String)>,
    now: Timestamp,
    /// What comes of a form is shown once and does not change.
    is_answer: bool,
}

impl Visit {
    /// The look that a request asks for.
    pub(crate) fn new(node: &Node, parts: &Parts) -> Visit {
        Visit::of(node, &parts.uri)
    }

    /// A look at the page with this address.
    pub(crate) fn of(node: &Node, address: &Uri) -> Visit {
        Visit {
            node: node.clone(),
            address: address.path_and_query().map_or_else(String::new, ToString::to_string),
            path: address.path().to_owned(),
            segments: segments(address.path()),
            query: pairs(address.query().unwrap_or_default()),
            now: node.now(),
            is_answer: false,
        }
    }

    /// A look at the page that a form was sent from: its field `back`.
    pub(crate) fn returning(node: &Node, form: &Form) -> Visit {
        let back = form.back().parse().unwrap_or_default();
        let mut visit = Visit::of(node, &back);
        visit.query.push(("back".to_owned(), form.back().to_owned()));
        visit.is_answer = true;
        visit
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// The time on the node's clock when the look began.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Path and query, as they were asked for.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Whether what is shown is what a form has come to.
    pub(crate) fn is_answer(&self) -> bool {
        self.is_answer
    }

    /// The path, as it was asked for.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The decoded segments of the path.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// The value of a member of the query; `None` when it is not there or empty.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let found = self.query.iter().find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.clone())
    }

    /// The members of the query.
    pub(crate) fn queries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether the query has this member, with or without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.query.iter().any(|(key, _)| key == name)
    }

    /// The answer to an AWS request, as an API caller would get it.
    pub(crate) async fn ask(
        &self,
        service: Service,
        operation: &str,
        members: impl IntoIterator<Item = (&'static str, Json)>,
    ) -> Result<Json, ApiError> {
        let body = Json::object(members);
        let request = Request::parse(service, operation, &body)
            .unwrap_or_else(|| Err(ApiError::new("UnknownOperationException", operation)))?;
        self.node.call(request).await
    }
}

/// What a form brought.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// The fields of a form that a page of ours has sent.
    pub(crate) async fn read(parts: &Parts, body: Body) -> Result<Form, Problem> {
        // A page of another origin may send a form here, but not without saying so.
        if !parts.headers.contains_key(header::ORIGIN) || !is_own_origin(&parts.headers) {
            let what = "forms are taken from the console's own pages only";
            return Err(Problem { status: 403, what: what.to_owned(), hint: None });
        }
        let refused = |what: &str| Problem::refused(what);
        let kind = respond::text(parts, header::CONTENT_TYPE).unwrap_or_default();
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return Err(refused("a form is expected"));
        }
        let read = to_bytes(body, FORM_MAX).await;
        let read = read.map_err(|_| refused("the form is longer than 32 MB, or broke off"))?;
        let text = std::str::from_utf8(&read).map_err(|_| refused("the form is not UTF-8"))?;
        Ok(Form(pairs(text)))
    }

    /// A field; empty when it is not there.
    pub(crate) fn field(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// A field of several lines, as it was typed: browsers end each with CR and LF.
    pub(crate) fn text(&self, name: &str) -> String {
        lines(self.field(name))
    }

    /// Every value of a field that may be there more than once.
    pub(crate) fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The page to go back to: a path of the console.
    pub(crate) fn back(&self) -> &str {
        let back = self.field("back");
        let inside = back.starts_with('/') && !back.starts_with("//") && !back.contains('\\');
        if inside { back } else { "/" }
    }
}

/// Text of several lines as it was typed, from what a browser sends.
pub(crate) fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// Why a request was refused, for the reader of a page.
pub(crate) fn problem(error: ApiError) -> Problem {
    let missing = error.code.contains("NotFound") || error.code.contains("DoesNotExist");
    let status = if missing { 404 } else { 400 };
    Problem { status, what: error.message, hint: Some(error.code.to_string()) }
}

/// The decoded segments of a path.
fn segments(path: &str) -> Vec<String> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let decoded = segments.map(|text| percent_decode_str(text).decode_utf8_lossy());
    decoded.map(|text| unsegmented(&text).to_owned()).collect()
}

/// The members of a query or a form.
fn pairs(text: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_back_into_the_console_only() {
        for (back, leads) in [
            ("/executions/W/N?state=A", "/executions/W/N?state=A"),
            ("//elsewhere.example", "/"),
            ("https://elsewhere.example", "/"),
            ("/\\elsewhere.example", "/"),
            ("", "/"),
        ] {
            assert_eq!(Form(vec![("back".to_owned(), back.to_owned())]).back(), leads);
        }
    }

    #[test]
    fn queries_are_decoded() {
        let read = pairs("q=a+b%26c&&x=1&flag");
        let read: Vec<_> = read.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(read, [("q", "a b&c"), ("x", "1"), ("flag", "")]);
    }
}
