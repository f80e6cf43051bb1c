//! Bodies in the encoding `aws-chunked`: pieces with their sizes, then trailing headers.
//!
//! Source: Amazon S3 API reference, "Signature calculations … transferring payload in multiple
//! chunks". The pieces' own signatures are not compared: the request's is, and checksums are.

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;

/// What a body says once its encoding is taken off.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    /// The bytes.
    pub(super) body: Bytes,
    /// Headers that came after them, names in lower case.
    pub(super) trailers: Vec<(String, String)>,
}

/// Whether the request says that its body is encoded so.
pub(super) fn is_chunked(headers: &HeaderMap) -> bool {
    let says = |name: &str, what: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.contains(what))
    };
    says(CONTENT_ENCODING.as_str(), "aws-chunked") || says("x-amz-content-sha256", "STREAMING-")
}

/// The body without its encoding. `None`: it is not of this form.
pub(super) fn decode(body: &Bytes) -> Option<Decoded> {
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest: &[u8] = body;
    loop {
        let (line, after) = line(rest)?;
        let size = line.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        rest = after;
        if size == 0 {
            break;
        }
        bytes.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
    let mut trailers = Vec::new();
    while let Some((line, after)) = line(rest).filter(|(line, _)| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        trailers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        rest = after;
    }
    Some(Decoded { body: bytes.into(), trailers })
}

/// The first line, and what comes after it.
fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_and_trailers_read() {
        let body =
            "3;chunk-signature=ab\r\nabc\r\n2\r\nde\r\n0\r\nx-amz-checksum-crc32: AA==\r\n\r\n";
        let decoded = decode(&body.into()).expect("it is chunked");
        assert_eq!(decoded.body, "abcde");
        assert_eq!(decoded.trailers, [("x-amz-checksum-crc32".to_owned(), "AA==".to_owned())]);
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        for bad in ["", "5\r\nabc\r\n0\r\n\r\n", "3\r\nabc", "zz\r\n", "3\r\nabcd\r\n0\r\n\r\n"] {
            assert_eq!(decode(&bad.into()), None, "{bad}");
        }
    }
}
