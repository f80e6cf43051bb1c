//! Bodies in the encoding `aws-chunked`: pieces with their sizes, then trailing headers.
//!
//! Source: Amazon S3 API reference, "Signature calculations … transferring payload in multiple
//! chunks".

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use bytes::{Buf, BytesMut};
use sha2::{Digest, Sha256};
use stepwire_aws::sigv4::Chunks;

/// Longest line between pieces, bytes, and most headers behind them.
const LINE_MAX: usize = 8_192;
const TRAILERS_MAX: usize = 32;

/// Whether the request says that its body is encoded so.
pub(super) fn is_chunked(headers: &HeaderMap) -> bool {
    let says = |name: &str, what: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.contains(what))
    };
    says(CONTENT_ENCODING.as_str(), "aws-chunked") || says("x-amz-content-sha256", "STREAMING-")
}

/// Whether the request says that its pieces are signed.
pub(super) fn is_signed(headers: &HeaderMap) -> bool {
    let claimed = headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
    claimed.is_some_and(|claimed| claimed.starts_with("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"))
}

/// What is wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is not of this form, or ends too early.
    Form,
    /// A piece is not signed as it must be.
    Signature,
}

/// Takes the encoding off as bytes arrive.
#[derive(Debug)]
pub(super) struct Decoder {
    /// Checks the signatures of pieces; `None`: they are not signed, or not to be checked.
    chunks: Option<Chunks>,
    waiting: BytesMut,
    place: Place,
    piece: Sha256,
    /// What the line before the current piece says of its signature.
    signature: String,
    /// Headers that came after the pieces, names in lower case.
    trailers: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the line with a piece's size.
    Size,
    /// Within a piece of which so many bytes are left.
    Piece(u64),
    /// After a piece, before the end of its line.
    After,
    /// Behind the last piece.
    Trailers,
    /// All is read.
    Done,
}

impl Decoder {
    pub(super) fn new(chunks: Option<Chunks>) -> Decoder {
        Decoder {
            chunks,
            waiting: BytesMut::new(),
            place: Place::Size,
            piece: Sha256::new(),
            signature: String::new(),
            trailers: Vec::new(),
        }
    }

    /// Takes what has arrived, and gives the bytes in it to `sink`.
    pub(super) fn feed(&mut self, bytes: &[u8], mut sink: impl FnMut(&[u8])) -> Result<(), Wrong> {
        self.waiting.extend_from_slice(bytes);
        loop {
            match self.place {
                Place::Size => {
                    let Some(line) = self.line()? else { return Ok(()) };
                    let (size, rest) = line.split_once(';').unwrap_or((&line, ""));
                    let size = u64::from_str_radix(size.trim(), 16).map_err(|_| Wrong::Form)?;
                    let signature = rest.trim().strip_prefix("chunk-signature=");
                    signature.unwrap_or_default().clone_into(&mut self.signature);
                    self.piece = Sha256::new();
                    if size == 0 {
                        self.end_piece()?;
                        self.place = Place::Trailers;
                    } else {
                        self.place = Place::Piece(size);
                    }
                }
                Place::Piece(left) => {
                    let here = self.waiting.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    if here == 0 {
                        return Ok(());
                    }
                    let bytes = self.waiting.split_to(here);
                    if self.chunks.is_some() {
                        self.piece.update(&bytes);
                    }
                    sink(&bytes);
                    let left = left - here as u64;
                    self.place = if left == 0 { Place::After } else { Place::Piece(left) };
                    if left == 0 {
                        self.end_piece()?;
                    }
                }
                Place::After => {
                    if self.waiting.len() < 2 {
                        return Ok(());
                    }
                    if &self.waiting[..2] != b"\r\n" {
                        return Err(Wrong::Form);
                    }
                    self.waiting.advance(2);
                    self.place = Place::Size;
                }
                Place::Trailers => {
                    let Some(line) = self.line()? else { return Ok(()) };
                    if line.is_empty() {
                        self.place = Place::Done;
                        continue;
                    }
                    let (name, value) = line.split_once(':').ok_or(Wrong::Form)?;
                    let name = name.trim().to_ascii_lowercase();
                    self.trailers.push((name, value.trim().to_owned()));
                    if self.trailers.len() > TRAILERS_MAX {
                        return Err(Wrong::Form);
                    }
                }
                Place::Done => return Ok(()),
            }
        }
    }

    /// The headers that came after the bytes, once all has arrived.
    pub(super) fn end(mut self) -> Result<Vec<(String, String)>, Wrong> {
        if !matches!(self.place, Place::Done | Place::Trailers) || !self.waiting.is_empty() {
            return Err(Wrong::Form);
        }
        let signature = |(name, _): &(String, String)| name == "x-amz-trailer-signature";
        let given = self.trailers.iter().position(signature).map(|at| self.trailers.remove(at).1);
        if let Some(chunks) = &mut self.chunks
            && !self.trailers.is_empty()
        {
            let lines = self.trailers.iter().map(|(name, value)| format!("{name}:{value}\n"));
            let lines: String = lines.collect();
            let given = given.ok_or(Wrong::Signature)?;
            chunks.trailer(&lines, &given).map_err(|_| Wrong::Signature)?;
        }
        Ok(self.trailers)
    }

    fn end_piece(&mut self) -> Result<(), Wrong> {
        let Some(chunks) = &mut self.chunks else { return Ok(()) };
        let digest = std::mem::take(&mut self.piece).finalize();
        chunks.piece(&digest, &self.signature).map_err(|_| Wrong::Signature)
    }

    /// The next line, without its end. `None`: it has not arrived.
    fn line(&mut self) -> Result<Option<String>, Wrong> {
        let Some(end) = self.waiting.windows(2).position(|pair| pair == b"\r\n") else {
            return if self.waiting.len() > LINE_MAX { Err(Wrong::Form) } else { Ok(None) };
        };
        let line = self.waiting.split_to(end);
        self.waiting.advance(2);
        String::from_utf8(line.to_vec()).map(Some).map_err(|_| Wrong::Form)
    }
}

/// A whole body without its encoding, and the headers behind it.
pub(super) fn decode(
    body: &Bytes,
    chunks: Option<Chunks>,
) -> Result<(Bytes, Vec<(String, String)>), Wrong> {
    let mut decoder = Decoder::new(chunks);
    let mut bytes = Vec::with_capacity(body.len());
    decoder.feed(body, |piece| bytes.extend_from_slice(piece))?;
    Ok((bytes.into(), decoder.end()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str =
        "3;chunk-signature=ab\r\nabc\r\n2\r\nde\r\n0\r\nx-amz-checksum-crc32: AA==\r\n\r\n";

    #[test]
    fn pieces_are_joined_and_trailers_read() {
        let (body, trailers) = decode(&BODY.into(), None).expect("it is chunked");
        assert_eq!(body, "abcde");
        assert_eq!(trailers, [("x-amz-checksum-crc32".to_owned(), "AA==".to_owned())]);
    }

    #[test]
    fn it_does_not_matter_how_bytes_arrive() {
        let mut decoder = Decoder::new(None);
        let mut bytes = Vec::new();
        for byte in BODY.as_bytes() {
            decoder.feed(&[*byte], |piece| bytes.extend_from_slice(piece)).expect("it is chunked");
        }
        assert_eq!(
            (bytes.as_slice(), decoder.end().map(|found| found.len())),
            (&b"abcde"[..], Ok(1))
        );
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        for bad in ["", "5\r\nabc\r\n0\r\n\r\n", "3\r\nabc", "zz\r\n", "3\r\nabcd\r\n0\r\n\r\n"] {
            assert_eq!(decode(&bad.into(), None), Err(Wrong::Form), "{bad}");
        }
    }
}
