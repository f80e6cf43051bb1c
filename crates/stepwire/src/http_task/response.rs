//! From an HTTP response to a task's output or failure. Pure.

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use stepwire_asl::json::Object;
use stepwire_asl::{Failure, Json};

use super::request::is_json;
use super::runtime;

/// A cause longer than this is cut (AWS: 32,768 characters).
const CAUSE_CHARS_MAX: usize = 32_768;

/// A response, read to its end.
#[derive(Debug)]
pub struct Received {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Vec<u8>,
}

/// The output of `http:invoke` for `received`: `{Headers, ResponseBody, StatusCode, StatusText}`,
/// where each header has a list of values and a JSON body is parsed.
///
/// A status outside 200–299 is `States.Http.StatusCode.N` with the body as its cause; a body that
/// is not text is `States.Runtime`. Source: Step Functions developer guide, "HTTP Task".
pub fn map_response(received: &Received) -> Result<Json, Failure> {
    let status = received.status;
    let status_text = status.canonical_reason().unwrap_or_default();
    if !status.is_success() {
        let text = String::from_utf8_lossy(&received.body);
        let cause = if text.is_empty() { status_text } else { cut(&text) };
        let error = format!("States.Http.StatusCode.{}", status.as_u16());
        return Err(Failure::new(&error, cause));
    }
    Ok(Json::object([
        ("Headers", headers(&received.headers)),
        ("ResponseBody", body(received)?),
        ("StatusCode", i64::from(status.as_u16()).into()),
        ("StatusText", status_text.into()),
    ]))
}

fn body(received: &Received) -> Result<Json, Failure> {
    let kind = received.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let binary = ["image/", "video/", "audio/"].iter().any(|family| essence.starts_with(family));
    if binary || essence == "application/octet-stream" {
        return Err(runtime(format!("a response of kind `{essence}` is not text")));
    }
    let Ok(text) = std::str::from_utf8(&received.body) else {
        return Err(runtime("the response is not UTF-8 text"));
    };
    let parsed = if is_json(kind) { Json::parse(text).ok() } else { None };
    Ok(parsed.unwrap_or_else(|| text.into()))
}

fn headers(headers: &HeaderMap) -> Json {
    let mut members = Object::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter();
        let texts = values.map(|value| Json::from(&*String::from_utf8_lossy(value.as_bytes())));
        members.insert(name.as_str().into(), Json::array(texts));
    }
    Json::Object(members.into())
}

fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(CAUSE_CHARS_MAX).map_or(text.len(), |(end, _)| end);
    &text[..end]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn received(status: u16, kind: &str, body: &[u8]) -> Received {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        headers.append("set-cookie", "a=1".parse().unwrap());
        headers.append("set-cookie", "b=2".parse().unwrap());
        Received { status: StatusCode::from_u16(status).unwrap(), headers, body: body.to_vec() }
    }

    #[test]
    fn a_response_becomes_the_documented_output() {
        let output =
            map_response(&received(201, "application/problem+json; charset=utf-8", b"[1]"));
        assert_eq!(
            output.unwrap().to_text(),
            concat!(
                r#"{"Headers":{"content-type":["application/problem+json; charset=utf-8"],"#,
                r#""set-cookie":["a=1","b=2"]},"ResponseBody":[1],"StatusCode":201,"#,
                r#""StatusText":"Created"}"#
            )
        );
    }

    #[test]
    fn text_and_broken_json_stay_text() {
        for (kind, text) in [("text/plain", "{}"), ("application/json", "{")] {
            let output = map_response(&received(200, kind, text.as_bytes())).unwrap();
            assert_eq!(output.member("ResponseBody").unwrap().as_str(), Some(text));
        }
    }

    #[test]
    fn what_is_not_text_fails() {
        for (kind, body) in [("image/png", &b"x"[..]), ("text/plain", &[0xff, 0xfe])] {
            let failure = map_response(&received(200, kind, body)).unwrap_err();
            assert_eq!(&*failure.error, "States.Runtime");
        }
    }

    #[test]
    fn a_long_error_body_is_cut() {
        let failure = map_response(&received(500, "text/plain", &vec![b'x'; 40_000])).unwrap_err();
        assert_eq!(&*failure.error, "States.Http.StatusCode.500");
        assert_eq!(failure.cause.len(), CAUSE_CHARS_MAX);
    }
}
