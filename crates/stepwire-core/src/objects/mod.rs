//! Objects: the part of Amazon S3 that workflows use.
//!
//! Everything lives in the store: a summary of each object under its name, so that a list is a run
//! of keys, and its bytes in chunks under a number. Bytes that no summary names any more are removed
//! a few at a time. Only the counter of those numbers and what is still to be removed is in memory.
//!
//! Read in this order: [`Objects`], [`Request`], [`Write`], [`Object`]; then `body`, `list`,
//! `upload`, `view`. Readers and writers inside the kernel use [`find`], [`objects`],
//! [`Object::slices`] and [`Objects::put`].

mod body;
mod checksum;
mod list;
mod record;
mod request;
#[cfg(test)]
mod tests;
mod upload;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};
use stepwire_asl::{Json, Timestamp};

pub use body::{CHUNK_BYTES, Slice};
pub use checksum::{Algorithm, Checksum};
pub use list::{List, Uploads, objects};
pub use record::{Body, Bucket, Headers, Object, Part, Upload};
pub use request::{Check, Complete, Condition, Copy, Create, Get, Name, Put, Request, UploadPart};
pub(crate) use view::bytes;
pub use view::{answer, find, has_bucket, range, shown};

use crate::error::ApiError;
use crate::read::{Range, Read};
use crate::record::{Corrupt, Entry, Space};
use crate::settings::Settings;

/// Chunks that one request removes; the others follow with later ones.
const REMOVED_MAX: u64 = 1_024;
/// Largest object that CopyObject copies, bytes: the copy is decided at once.
const COPY_MAX: u64 = 64 << 20;

/// What is known of objects without reading.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// Larger than every number of a body.
    next: u64,
    /// Chunks that are still stored of bodies that nothing names: `0..n` of each.
    unused: BTreeMap<u64, u64>,
}

/// One durable change to buckets or objects.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Numbers of bodies go on here.
    Next(u64),
    /// A bucket is there; `None`: it is not.
    Bucket(Arc<str>, Option<Bucket>),
    /// What a name in a bucket stands for; `None`: nothing.
    Object(Name, Option<Arc<Object>>),
    /// A chunk of a body.
    Chunk {
        /// The body.
        body: u64,
        /// Its place.
        index: u64,
        /// Its bytes; `None`: it is removed.
        bytes: Option<Bytes>,
    },
    /// So many chunks of a body that nothing names are still stored.
    Unused(u64, Option<u64>),
    /// An upload in a bucket; `None` once it has ended.
    Upload(Arc<str>, Arc<str>, Option<Arc<Upload>>),
    /// A part of an upload in a bucket; `None` once it has ended.
    Part {
        /// The bucket.
        bucket: Arc<str>,
        /// The upload.
        upload: Arc<str>,
        /// The part's number.
        number: u64,
        /// The part.
        part: Option<Arc<Part>>,
    },
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Next(next) => (record::counter_key(), Some(record::counter(*next))),
            Write::Bucket(name, bucket) => {
                (record::bucket_key(name), bucket.as_ref().map(record::value))
            }
            Write::Object(name, object) => {
                let key = record::object_key(&name.bucket, &name.key);
                (key, object.as_deref().map(record::value))
            }
            Write::Chunk { body, index, bytes } => {
                (record::chunk_key(*body, *index), bytes.as_ref().map(|bytes| bytes.to_vec()))
            }
            Write::Unused(body, chunks) => {
                (record::unused_key(*body), chunks.as_ref().map(record::value))
            }
            Write::Upload(bucket, id, upload) => {
                (record::upload_key(bucket, id), upload.as_deref().map(record::value))
            }
            Write::Part { bucket, upload, number, part } => {
                let key = record::part_key(bucket, upload, *number);
                (key, part.as_deref().map(record::value))
            }
        }
    }
}

impl Objects {
    /// What recovery reads into memory: not the objects.
    pub const SPACES: &'static [Space] = &[Space::Unused];

    /// The only thing that changes what is in memory.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Next(next) => self.next = *next,
            Write::Unused(body, Some(chunks)) => drop(self.unused.insert(*body, *chunks)),
            Write::Unused(body, None) => drop(self.unused.remove(body)),
            Write::Bucket(..)
            | Write::Object(..)
            | Write::Chunk { .. }
            | Write::Upload(..)
            | Write::Part { .. } => {}
        }
    }

    /// Takes in one stored entry of [`Objects::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let body = record::unused_number(key)?;
        self.apply(&Write::Unused(body, Some(record::record(key, value)?)));
        Ok(())
    }

    /// Finds, after `load`, where numbers of bodies go on.
    pub(crate) fn resume_numbers(&mut self, read: &dyn Read) -> Result<(), Corrupt> {
        let key = record::counter_key();
        if let Some(value) = read.get(&key) {
            self.apply(&Write::Next(record::decode_counter(&key, &value)?));
        }
        Ok(())
    }

    fn record(&mut self, write: Write, out: &mut Vec<Write>) {
        self.apply(&write);
        out.push(write);
    }

    /// Reads what [`Objects::call`] will want.
    pub(crate) fn prefetch(request: &Request, read: &dyn Read) {
        let object = |name: &Name| {
            read.get(&record::bucket_key(&name.bucket));
            read.get(&record::object_key(&name.bucket, &name.key));
        };
        match request {
            Request::CreateBucket { bucket } => drop(read.get(&record::bucket_key(bucket))),
            Request::DeleteBucket { bucket } => {
                read.get(&record::bucket_key(bucket));
                read.range(&first_object(bucket));
                read.range(&Range::prefix(&record::uploads_prefix(bucket)));
            }
            Request::PutObject(put) => object(&put.name),
            Request::DeleteObject(name) => object(name),
            Request::CopyObject(copy) => {
                object(&copy.target);
                object(&copy.source);
                if let Ok(source) = copyable(copy, read) {
                    // Reading it is the way to find what reading it needs.
                    let _ = source.bytes(read);
                }
            }
            Request::DeleteObjects { bucket, keys, .. } => {
                for key in keys {
                    object(&Name { bucket: Arc::clone(bucket), key: Arc::clone(key) });
                }
            }
            Request::CreateMultipartUpload(create) => {
                read.get(&record::bucket_key(&create.name.bucket));
            }
            Request::UploadPart(part) => {
                read.get(&record::bucket_key(&part.name.bucket));
                read.get(&record::upload_key(&part.name.bucket, &part.upload));
                read.get(&record::part_key(&part.name.bucket, &part.upload, part.number));
            }
            Request::CompleteMultipartUpload(complete) => {
                object(&complete.name);
                upload::touch(&complete.name.bucket, &complete.upload, read);
            }
            Request::AbortMultipartUpload { name, upload } => {
                read.get(&record::bucket_key(&name.bucket));
                upload::touch(&name.bucket, upload, read);
            }
            // These only read.
            Request::HeadBucket { .. }
            | Request::ListBuckets
            | Request::GetBucketLocation { .. }
            | Request::GetObject(_)
            | Request::HeadObject(_)
            | Request::ListObjects(_)
            | Request::ListObjectsV2(_)
            | Request::ListParts { .. }
            | Request::ListMultipartUploads(_) => {}
        }
    }

    /// Carries out a request that changes something. On `Err` nothing has changed.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let answer = match request {
            Request::CreateBucket { bucket } => {
                self.create_bucket(now, bucket, read, settings, out)
            }
            Request::DeleteBucket { bucket } => self.delete_bucket(bucket, read, out),
            Request::PutObject(put) => self.put_object(now, put, read, out),
            Request::CopyObject(copy) => self.copy_object(now, copy, read, out),
            Request::DeleteObject(name) => {
                found_bucket(&name.bucket, read)?;
                self.remove(name, read, out)?;
                Ok(nothing())
            }
            Request::DeleteObjects { bucket, keys, quiet } => {
                found_bucket(bucket, read)?;
                self.delete_objects(bucket, keys, *quiet, read, out)
            }
            Request::CreateMultipartUpload(create) => {
                self.create_upload(now, create, read, settings, out)
            }
            Request::UploadPart(part) => self.upload_part(now, part, read, out),
            Request::CompleteMultipartUpload(complete) => {
                self.complete_upload(now, complete, read, out)
            }
            Request::AbortMultipartUpload { name, upload } => {
                self.abort_upload(name, upload, read, out)
            }
            Request::HeadBucket { .. }
            | Request::ListBuckets
            | Request::GetBucketLocation { .. }
            | Request::GetObject(_)
            | Request::HeadObject(_)
            | Request::ListObjects(_)
            | Request::ListObjectsV2(_)
            | Request::ListParts { .. }
            | Request::ListMultipartUploads(_) => answer(request, read, settings),
        }?;
        self.clean(out);
        Ok(answer)
    }

    fn create_bucket(
        &mut self,
        now: Timestamp,
        name: &Arc<str>,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        if read.get(&record::bucket_key(name)).is_some() {
            // The oldest region takes it for a repetition. Source: CreateBucket, "Errors".
            if &*settings.region != "us-east-1" {
                let message = "Your previous request to create the named bucket succeeded and you \
                               already own it.";
                return Err(ApiError::new("BucketAlreadyOwnedByYou", message));
            }
        } else {
            let bucket = Bucket { name: Arc::clone(name), created: whole_seconds(now) };
            self.record(Write::Bucket(Arc::clone(name), Some(bucket)), out);
        }
        Ok(Json::object([("Location", Json::from(format!("/{name}")))]))
    }

    fn delete_bucket(
        &mut self,
        name: &Arc<str>,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        found_bucket(name, read)?;
        if !read.range(&first_object(name)).is_empty() {
            let message = "The bucket you tried to delete is not empty";
            return Err(ApiError::new("BucketNotEmpty", message));
        }
        self.drop_uploads(name, read, out)?;
        self.record(Write::Bucket(Arc::clone(name), None), out);
        Ok(nothing())
    }

    fn put_object(
        &mut self,
        now: Timestamp,
        put: &Put,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        found_bucket(&put.name.bucket, read)?;
        let checksum = put.check.verify(&put.body)?;
        put.condition.holds_for_write(&put.name, read)?;
        let object = Object {
            bodies: self.store(&put.body, out),
            etag: hex(&Md5::digest(&put.body)).into(),
            modified: whole_seconds(now),
            headers: put.headers.clone(),
            checksum,
        };
        let mut members = vec![("ETag", quoted(&object.etag))];
        members.extend(checksum_members(object.checksum.as_ref()));
        members.push(("ServerSideEncryption", "AES256".into()));
        self.replace(&put.name, Some(object), read, out)?;
        Ok(Json::object(members))
    }

    /// Stores an object, in the place of one of the same name. `read` must hold what
    /// [`Objects::prefetch`] of a PutObject reads.
    pub fn put(
        &mut self,
        now: Timestamp,
        name: Name,
        content_type: &str,
        body: Bytes,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let standard = vec![("ContentType".into(), content_type.into())];
        let headers = Headers { standard, metadata: Vec::new() };
        let (check, condition) = (Check::default(), Condition::default());
        self.put_object(now, &Put { name, body, headers, check, condition }, read, out)
    }

    fn copy_object(
        &mut self,
        now: Timestamp,
        copy: &Copy,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        found_bucket(&copy.target.bucket, read)?;
        let source = copyable(copy, read)?;
        if copy.source == copy.target && copy.headers.is_none() {
            let message = "This copy request is illegal because it is trying to copy an object to \
                           itself without changing the object's metadata, storage class, website \
                           redirect location or encryption attributes.";
            return Err(ApiError::new("InvalidRequest", message));
        }
        let bytes: Bytes = source.bytes(read).map_err(|corrupt| unreadable(&corrupt))?.into();
        let object = Object {
            bodies: self.store(&bytes, out),
            // A copy is one piece again.
            etag: hex(&Md5::digest(&bytes)).into(),
            modified: whole_seconds(now),
            headers: copy.headers.clone().unwrap_or(source.headers),
            checksum: source.checksum.map(|checksum| checksum.algorithm.of(&bytes)),
        };
        let result = Json::object([
            ("ETag", quoted(&object.etag)),
            ("LastModified", object.modified.rfc3339().into()),
        ]);
        self.replace(&copy.target, Some(object), read, out)?;
        Ok(Json::object([("CopyObjectResult", result), ("ServerSideEncryption", "AES256".into())]))
    }

    fn delete_objects(
        &mut self,
        bucket: &Arc<str>,
        keys: &[Arc<str>],
        quiet: bool,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        for (at, key) in keys.iter().enumerate() {
            if !keys[..at].contains(key) {
                let name = Name { bucket: Arc::clone(bucket), key: Arc::clone(key) };
                self.remove(&name, read, out)?;
            }
        }
        if quiet {
            return Ok(nothing());
        }
        let deleted = keys.iter().map(|key| Json::object([("Key", Json::String(Arc::clone(key)))]));
        Ok(Json::object([("Deleted", Json::array(deleted))]))
    }

    fn remove(
        &mut self,
        name: &Name,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<(), ApiError> {
        self.replace(name, None, read, out)
    }

    /// Stores bytes as one body; nothing when there are none.
    fn store(&mut self, bytes: &Bytes, out: &mut Vec<Write>) -> Vec<Body> {
        if bytes.is_empty() {
            return Vec::new();
        }
        let body = Body { number: self.number(out), size: bytes.len() as u64 };
        for (index, chunk) in (0..).zip(body::chunks(bytes)) {
            self.record(Write::Chunk { body: body.number, index, bytes: Some(chunk) }, out);
        }
        vec![body]
    }

    fn number(&mut self, out: &mut Vec<Write>) -> u64 {
        let number = self.next;
        self.record(Write::Next(number + 1), out);
        number
    }

    /// Records what a name stands for; the bytes it stood for are not used any more.
    fn replace(
        &mut self,
        name: &Name,
        object: Option<Object>,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<(), ApiError> {
        let old = find(&name.bucket, &name.key, read).map_err(|corrupt| unreadable(&corrupt))?;
        if old.is_some() || object.is_some() {
            self.record(Write::Object(name.clone(), object.map(Arc::new)), out);
        }
        for body in old.into_iter().flat_map(|old| old.bodies) {
            self.disuse(body, out);
        }
        Ok(())
    }

    /// Nothing names this body any more.
    fn disuse(&mut self, body: Body, out: &mut Vec<Write>) {
        self.record(Write::Unused(body.number, Some(body.chunks())), out);
    }

    /// Removes some chunks of bodies that are not used. Every changing request does so, so that
    /// none has to remove very many.
    fn clean(&mut self, out: &mut Vec<Write>) {
        let mut room = REMOVED_MAX;
        while room > 0 {
            let Some((body, chunks)) = self.unused.first_key_value().map(|(b, c)| (*b, *c)) else {
                return;
            };
            let left = chunks.saturating_sub(room);
            for index in left..chunks {
                self.record(Write::Chunk { body, index, bytes: None }, out);
            }
            room -= chunks - left;
            self.record(Write::Unused(body, Some(left).filter(|left| *left > 0)), out);
        }
    }
}

impl Check {
    /// The checksum to keep, once the bytes are found to be what was announced.
    fn verify(&self, bytes: &[u8]) -> Result<Option<Checksum>, ApiError> {
        if let Some(given) = &self.md5 {
            use base64::Engine;
            let digest = base64::engine::general_purpose::STANDARD.encode(Md5::digest(bytes));
            if **given != *digest {
                let message = "The Content-MD5 you specified did not match what we received.";
                return Err(ApiError::new("BadDigest", message));
            }
        }
        match (&self.checksum, self.algorithm) {
            (Some(given), _) => {
                let right = given.algorithm.of(bytes);
                if right != *given {
                    let name = given.algorithm.name();
                    let message =
                        format!("The {name} you specified did not match the calculated checksum.");
                    return Err(ApiError::new("BadDigest", message));
                }
                Ok(Some(right))
            }
            (None, algorithm) => Ok(algorithm.map(|algorithm| algorithm.of(bytes))),
        }
    }
}

impl Condition {
    /// Whether an object may be stored under this name.
    fn holds_for_write(&self, name: &Name, read: &dyn Read) -> Result<(), ApiError> {
        let there = find(&name.bucket, &name.key, read).map_err(|corrupt| unreadable(&corrupt))?;
        match (&self.matches, &there) {
            (Some(_), None) => return Err(no_key(&name.key)),
            (Some(etag), Some(there)) if **etag != *there.etag && &**etag != "*" => {
                return Err(precondition("If-Match"));
            }
            _ => {}
        }
        match (self.differs.as_deref(), &there) {
            (None, _) | (Some("*"), None) => Ok(()),
            (Some("*"), Some(_)) => Err(precondition("If-None-Match")),
            (Some(_), _) => {
                let message = "`If-None-Match` of a request that stores can only be `*`";
                Err(ApiError::new("NotImplemented", message))
            }
        }
    }

    /// Whether an object may be shown.
    fn holds_for_read(&self, object: &Object) -> Result<(), ApiError> {
        let is = |etag: &str| etag == "*" || etag == &*object.etag;
        if self.matches.as_deref().is_some_and(|etag| !is(etag)) {
            return Err(precondition("If-Match"));
        }
        if self.differs.as_deref().is_some_and(is) {
            let error = ApiError::new("NotModified", "Not Modified");
            return Err(error.with("ETag", quoted(&object.etag)));
        }
        Ok(())
    }
}

/// The object to copy, if it is not too large.
fn copyable(copy: &Copy, read: &dyn Read) -> Result<Object, ApiError> {
    found_bucket(&copy.source.bucket, read)?;
    let source = find(&copy.source.bucket, &copy.source.key, read);
    let source = source.map_err(|corrupt| unreadable(&corrupt))?;
    let source = source.ok_or_else(|| no_key(&copy.source.key))?;
    if source.size() > COPY_MAX {
        let message = format!("copies of more than {COPY_MAX} bytes are not available in stepwire");
        return Err(ApiError::new("NotImplemented", message));
    }
    Ok(source)
}

fn first_object(bucket: &str) -> Range {
    Range::prefix(&record::objects_prefix(bucket)).limit(1)
}

/// Refuses a request on a bucket that is not there.
fn found_bucket(name: &str, read: &dyn Read) -> Result<Bucket, ApiError> {
    let key = record::bucket_key(name);
    let bucket = record::stored(&key, read).map_err(|corrupt| unreadable(&corrupt))?;
    bucket.ok_or_else(|| {
        let error = ApiError::new("NoSuchBucket", "The specified bucket does not exist");
        error.with("BucketName", name.into())
    })
}

fn no_key(key: &str) -> ApiError {
    let error = ApiError::new("NoSuchKey", "The specified key does not exist.");
    error.with("Key", key.into())
}

fn no_upload() -> ApiError {
    let message = "The specified upload does not exist. The upload ID may be invalid, or the upload \
                   may have been aborted or completed.";
    ApiError::new("NoSuchUpload", message)
}

fn precondition(which: &str) -> ApiError {
    let message = "At least one of the pre-conditions you specified did not hold";
    ApiError::new("PreconditionFailed", message).with("Condition", which.into())
}

/// The error that a stored record cannot be read.
fn unreadable(corrupt: &Corrupt) -> ApiError {
    ApiError::new("InternalError", corrupt.to_string())
}

fn nothing() -> Json {
    Json::Object(Arc::default())
}

/// An ETag as it is shown.
fn quoted(etag: &str) -> Json {
    format!("\"{etag}\"").into()
}

/// The members that show a checksum.
fn checksum_members(checksum: Option<&Checksum>) -> Vec<(&'static str, Json)> {
    let Some(checksum) = checksum else { return Vec::new() };
    let value = Json::from(&*checksum.value);
    vec![(checksum.algorithm.member(), value), ("ChecksumType", checksum.kind().into())]
}

/// S3 keeps times in whole seconds.
fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(1_000) * 1_000)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
