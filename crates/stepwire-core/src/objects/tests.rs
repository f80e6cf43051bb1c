//! Objects as the kernel keeps them: what is stored, and what is removed.

use std::collections::BTreeMap;

use super::body::REMOVED_MAX;
use super::*;
use crate::read::Key;

/// A store that takes every write at once.
#[derive(Default)]
struct Stored {
    objects: Objects,
    entries: BTreeMap<Key, Vec<u8>>,
}

impl Stored {
    fn call(&mut self, operation: &str, body: &Json, bytes: &[u8]) -> Result<Json, ApiError> {
        let request = Request::parse(operation, body).expect("the operation is known")?;
        let request = request.with_body(Bytes::copy_from_slice(bytes));
        if request.is_read() {
            return answer(&request, &self.entries, &Settings::default());
        }
        let mut out = Vec::new();
        let (now, settings) = (Timestamp(1_999), Settings::default());
        let answer = self.objects.call(now, &request, &self.entries, &settings, &mut out);
        for write in &out {
            match write.entry() {
                (key, Some(value)) => drop(self.entries.insert(key, value)),
                (key, None) => drop(self.entries.remove(&key)),
            }
        }
        assert!(answer.is_ok() || out.is_empty(), "a refused request changed something");
        answer
    }

    fn done(&mut self, operation: &str, body: &str, bytes: &[u8]) -> Json {
        let body = Json::parse(body).expect("it is JSON");
        self.call(operation, &body, bytes).unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    fn count(&self, space: Space) -> usize {
        Read::range(&self.entries, &Range::prefix(&[space as u8])).len()
    }
}

fn with_bucket() -> Stored {
    let mut stored = Stored::default();
    stored.done("CreateBucket", r#"{"Bucket":"abc"}"#, b"");
    stored
}

#[test]
fn bytes_that_nothing_names_are_removed() {
    let mut stored = with_bucket();
    let chunks = 3;
    let bytes = vec![7; chunks * CHUNK_BYTES as usize - 1];
    let name = r#"{"Bucket":"abc","Key":"k"}"#;
    stored.done("PutObject", name, &bytes);
    assert_eq!(stored.count(Space::Body), chunks);
    stored.done("PutObject", name, b"short");
    assert_eq!(stored.count(Space::Body), 1);
    stored.done("DeleteObject", name, b"");
    assert_eq!((stored.count(Space::Body), stored.count(Space::Unused)), (0, 0));
}

#[test]
fn a_very_large_object_is_removed_little_by_little() {
    let mut stored = with_bucket();
    let size = (REMOVED_MAX + 5) * CHUNK_BYTES;
    let body = Body { number: 0, size };
    for index in 0..body.chunks() {
        let chunk = Write::Chunk { body: 0, index, bytes: Some(Bytes::new()) };
        let (key, value) = chunk.entry();
        stored.entries.insert(key, value.expect("a chunk has a value"));
    }
    let mut out = Vec::new();
    stored.objects.disuse(body, &mut out);
    stored.done("CreateBucket", r#"{"Bucket":"first"}"#, b"");
    assert_eq!(stored.count(Space::Body), 5);
    stored.done("CreateBucket", r#"{"Bucket":"second"}"#, b"");
    assert_eq!((stored.count(Space::Body), stored.count(Space::Unused)), (0, 0));
}

#[test]
fn an_upload_keeps_the_bytes_it_was_completed_with_and_no_others() {
    let mut stored = with_bucket();
    let begun = stored.done("CreateMultipartUpload", r#"{"Bucket":"abc","Key":"k"}"#, b"");
    let id = begun.member("UploadId").and_then(Json::as_str).unwrap_or_default().to_owned();
    let part = |stored: &mut Stored, number: u64, bytes: &[u8]| {
        let body =
            format!(r#"{{"Bucket":"abc","Key":"k","UploadId":"{id}","PartNumber":{number}}}"#);
        let answer = stored.done("UploadPart", &body, bytes);
        answer.member("ETag").and_then(Json::as_str).unwrap_or_default().replace('"', "\\\"")
    };
    part(&mut stored, 1, b"not used");
    let etag = part(&mut stored, 2, b"used");
    let body = format!(
        r#"{{"Bucket":"abc","Key":"k","UploadId":"{id}",
            "MultipartUpload":{{"Parts":[{{"PartNumber":2,"ETag":"{etag}"}}]}}}}"#
    );
    stored.done("CompleteMultipartUpload", &body, b"");
    let got = stored.done("GetObject", r#"{"Bucket":"abc","Key":"k"}"#, b"");
    assert_eq!(got.member("Body").and_then(Json::as_str), Some("used"));
    assert_eq!((stored.count(Space::Body), stored.count(Space::Upload)), (1, 0));
}

#[test]
fn a_bucket_takes_its_uploads_with_it() {
    let mut stored = with_bucket();
    let begun = stored.done("CreateMultipartUpload", r#"{"Bucket":"abc","Key":"k"}"#, b"");
    let id = begun.member("UploadId").and_then(Json::as_str).unwrap_or_default().to_owned();
    let body = format!(r#"{{"Bucket":"abc","Key":"k","UploadId":"{id}","PartNumber":256}}"#);
    stored.done("UploadPart", &body, b"bytes");
    let listed = stored.done("ListMultipartUploads", r#"{"Bucket":"abc"}"#, b"");
    let uploads = listed.member("Uploads").and_then(Json::as_array).map(<[Json]>::len);
    assert_eq!(uploads, Some(1));
    stored.done("DeleteBucket", r#"{"Bucket":"abc"}"#, b"");
    assert_eq!((stored.count(Space::Body), stored.count(Space::Upload)), (0, 0));
}

#[test]
fn numbers_of_bodies_go_on_after_a_restart() {
    let mut stored = with_bucket();
    stored.done("PutObject", r#"{"Bucket":"abc","Key":"k"}"#, b"first");
    stored.objects = Objects::default();
    stored.objects.resume_numbers(&stored.entries).expect("the counter can be read");
    stored.done("PutObject", r#"{"Bucket":"abc","Key":"l"}"#, b"second");
    let got = stored.done("GetObject", r#"{"Bucket":"abc","Key":"k"}"#, b"");
    assert_eq!(got.member("Body").and_then(Json::as_str), Some("first"));
}
