//! Objects: the part of Amazon S3 that workflows use.
//!
//! Everything lives in the store: a summary of each object under its name, so that a list is a run
//! of keys, and its bytes in chunks under a number. Bytes that no summary names any more are removed
//! a few at a time. Only the counter of those numbers and what is still to be removed is in memory.
//!
//! Read in this order: [`Objects`], [`Request`], [`Write`], [`Object`]; then `body`, `check`, `condition`,
//! `copy`, `list`, `upload`, `view`. Readers and writers inside the kernel use [`find`], [`objects`],
//! [`Object::slices`] and [`Objects::put`].

mod address;
mod body;
mod check;
mod checksum;
mod condition;
mod copy;
mod lifecycle;
mod list;
mod notify;
mod pending;
mod presign;
mod record;
mod request;
mod settings;
mod tagging;
#[cfg(test)]
mod tests;
mod upload;
mod versions;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use stepwire_asl::{Json, Timestamp};

pub(crate) use address::named_by;
pub use body::{CHUNK_BYTES, Slice};
pub use check::is_as_announced;
pub use checksum::{Algorithm, Checksum, Digests};
pub use list::{List, objects};
pub(crate) use notify::{Destination, Notice, destinations, test_event};
pub use pending::{Parts, Uploads};
pub(crate) use presign::presigned;
pub use record::{Body, Bucket, Headers, Object, Part, Upload};
pub use request::{
    Buckets, Check, Complete, Condition, Copy, Create, Get, Name, PartCopy, Put, Request, Staged,
    UploadPart,
};
pub use settings::{Kind as SettingKind, Setting};
pub use upload::algorithm as upload_algorithm;
pub(crate) use versions::touch;
pub use versions::{Version, Versions};
pub(crate) use view::bytes;
pub use view::{answer, find, has_bucket, shown};

use copy::copyable;
use notify::{Happened, What};

use crate::error::ApiError;
use crate::hex::hex;
use crate::read::{Range, Read};
use crate::record::{Corrupt, Entry, Space};
use crate::settings::Settings;

/// What is known of objects without reading.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// Buckets with a lifecycle, and the day on which it was last gone through.
    lifecycles: BTreeMap<Arc<str>, Option<i64>>,
    passing: Passing,
    /// Larger than every number of a body.
    next: u64,
    /// Chunks that are still stored of bodies that nothing names: `0..n` of each.
    unused: BTreeMap<u64, u64>,
    /// The same of bodies that are still arriving.
    staged: BTreeMap<u64, u64>,
}

/// What is known for a moment only: nothing that the records do not say.
#[derive(Debug, Default)]
struct Passing {
    /// What has happened in this step.
    happened: Vec<Happened>,
    /// How far the pass over a bucket is.
    pass: Option<lifecycle::Pass>,
}

/// It is not part of what is durable.
impl PartialEq for Passing {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Passing {}

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
    /// What is set on a bucket; `None`: nothing is.
    Setting(Arc<str>, SettingKind, Option<Arc<str>>),
    /// A version of a name by its number; `None`: it is gone.
    Version(Name, u64, Option<Arc<Version>>),
    /// So many chunks are stored of a body that is still arriving; `None`: it no longer is.
    Staged(u64, Option<u64>),
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
    /// A bucket's lifecycle was gone through on this day since 1970; `None`: it is to be.
    Passed(Arc<str>, Option<i64>),
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
            Write::Setting(bucket, kind, document) => {
                let document =
                    document.as_ref().map(|document| record::value(&document.to_string()));
                (record::setting_key(bucket, *kind), document)
            }
            Write::Version(name, number, version) => {
                (record::version_key(name, *number), version.as_deref().map(record::value))
            }
            Write::Staged(body, chunks) => {
                (record::staged_key(*body), chunks.as_ref().map(record::value))
            }
            Write::Part { bucket, upload, number, part } => {
                let key = record::part_key(bucket, upload, *number);
                (key, part.as_deref().map(record::value))
            }
            Write::Passed(bucket, day) => {
                (record::pass_key(bucket), day.as_ref().map(record::value))
            }
        }
    }
}

impl Objects {
    /// What recovery reads into memory: not the objects.
    pub const SPACES: &'static [Space] =
        &[Space::Unused, Space::Staged, Space::BucketSetting, Space::LifecyclePass];

    /// The only thing that changes what is in memory.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Next(next) => self.next = *next,
            Write::Unused(body, Some(chunks)) => drop(self.unused.insert(*body, *chunks)),
            Write::Unused(body, None) => drop(self.unused.remove(body)),
            Write::Staged(body, Some(chunks)) => drop(self.staged.insert(*body, *chunks)),
            Write::Staged(body, None) => drop(self.staged.remove(body)),
            Write::Setting(bucket, SettingKind::Lifecycle, Some(_)) => {
                self.lifecycles.entry(Arc::clone(bucket)).or_default();
            }
            Write::Setting(bucket, SettingKind::Lifecycle, None) => {
                self.lifecycles.remove(bucket);
            }
            Write::Passed(bucket, day) => {
                if let Some(passed) = self.lifecycles.get_mut(bucket) {
                    *passed = *day;
                }
                if day.is_none() {
                    self.begin_again(bucket);
                }
            }
            Write::Bucket(..)
            | Write::Object(..)
            | Write::Setting(..)
            | Write::Version(..)
            | Write::Chunk { .. }
            | Write::Upload(..)
            | Write::Part { .. } => {}
        }
    }

    /// Takes in one stored entry of [`Objects::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        if key.first() == Some(&(Space::BucketSetting as u8)) {
            let (bucket, kind) = record::setting_of(key)?;
            if kind == Some(SettingKind::Lifecycle) {
                self.lifecycles.insert(bucket, None);
            }
            return Ok(());
        }
        if key.first() == Some(&(Space::LifecyclePass as u8)) {
            let day = Some(record::record(key, value)?);
            self.apply(&Write::Passed(record::pass_of(key)?, day));
            return Ok(());
        }
        let body = record::unused_number(key)?;
        let chunks = Some(record::record(key, value)?);
        let staged = key.first() == Some(&(Space::Staged as u8));
        self.apply(&if staged { Write::Staged(body, chunks) } else { Write::Unused(body, chunks) });
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
            versions::touch(name, read);
        };
        match request {
            Request::CreateBucket { bucket } => drop(read.get(&record::bucket_key(bucket))),
            Request::DeleteBucket { bucket } => {
                read.get(&record::bucket_key(bucket));
                read.range(&first_object(bucket));
                read.range(&Range::prefix(&record::uploads_prefix(bucket)));
                read.range(&versions::first_of(bucket));
                settings::touch_all(bucket, read);
            }
            Request::PutObject(put) => object(&put.name),
            Request::DeleteObject { name, .. } | Request::PutObjectTagging { name, .. } => {
                object(name);
                read.range(&record::versions(name));
            }
            Request::Setting(setting) => {
                read.get(&record::bucket_key(&setting.bucket));
                settings::touch_all(&setting.bucket, read);
            }
            Request::CopyObject(copy) => {
                object(&copy.target);
                object(&copy.source);
                let source = copyable(&copy.source, copy.version.as_deref(), None, read);
                if let Ok((source, range)) = source {
                    // Reading it is the way to find what reading it needs.
                    let _ = source.part(range, read);
                }
            }
            Request::UploadPartCopy(copy) => {
                Objects::prefetch(&Request::UploadPart(Box::new(copy.part.clone())), read);
                object(&copy.source);
                let (version, range) = (copy.version.as_deref(), copy.range.as_deref());
                if let Ok((source, range)) = copyable(&copy.source, version, range, read) {
                    let _ = source.part(range, read);
                }
            }
            Request::DeleteObjects { bucket, keys, .. } => {
                for (key, _) in keys {
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
            Request::Stage { .. }
            | Request::Unstage(_)
            | Request::HeadBucket { .. }
            | Request::ListBuckets(_)
            | Request::ListObjectVersions(_)
            | Request::GetObjectTagging { .. }
            | Request::ObjectAcl { .. }
            | Request::GetBucketLocation { .. }
            | Request::GetObject(_)
            | Request::HeadObject(_)
            | Request::ListObjects(_)
            | Request::ListObjectsV2(_)
            | Request::ListParts(_)
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
        let answer = self.decide(now, request, read, settings, out);
        match answer {
            Ok(_) => self.clean(out),
            Err(_) => self.passing.happened.clear(),
        }
        answer
    }

    fn decide(
        &mut self,
        now: Timestamp,
        request: &Request,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::CreateBucket { bucket } => {
                self.create_bucket(now, bucket, read, settings, out)
            }
            Request::DeleteBucket { bucket } => self.delete_bucket(bucket, read, out),
            Request::PutObject(put) => self.put_object(now, put, read, out),
            Request::CopyObject(copy) => self.copy_object(now, copy, read, out),
            Request::DeleteObject { name, version } => {
                found_bucket(&name.bucket, read)?;
                let changed = self.remove(now, name, version.as_ref(), read, out)?;
                Ok(Json::object(changed.members()))
            }
            Request::PutObjectTagging { name, version, tagging } => {
                found_bucket(&name.bucket, read)?;
                let version = version.as_deref();
                let changed = self.retag(name, version, tagging.clone(), read, out)?;
                let tagged = tagging.as_ref().is_some_and(|tagging| !tagging.is_empty());
                let what = if tagged { What::Tagged } else { What::Untagged };
                let version = changed.version.clone();
                let name = name.clone();
                self.happens(Happened { name, what, size: None, etag: None, version });
                Ok(Json::object(changed.members()))
            }
            Request::Setting(setting) => self.set(setting, read, out),
            Request::UploadPartCopy(copy) => self.copy_part(now, copy, read, out),
            Request::Stage { body, index, bytes } => Ok(self.stage(*body, *index, bytes, out)),
            Request::Unstage(body) => {
                self.unstage(*body, out);
                Ok(nothing())
            }
            Request::DeleteObjects { bucket, keys, quiet } => {
                found_bucket(bucket, read)?;
                self.delete_objects(now, bucket, keys, *quiet, read, out)
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
            | Request::ListBuckets(_)
            | Request::ListObjectVersions(_)
            | Request::GetObjectTagging { .. }
            | Request::ObjectAcl { .. }
            | Request::GetBucketLocation { .. }
            | Request::GetObject(_)
            | Request::HeadObject(_)
            | Request::ListObjects(_)
            | Request::ListObjectsV2(_)
            | Request::ListParts(_)
            | Request::ListMultipartUploads(_) => answer(request, read, settings),
        }
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
        if !read.range(&versions::first_of(name)).is_empty() {
            let message = "The bucket you tried to delete is not empty. You must delete all \
                           versions in the bucket.";
            return Err(ApiError::new("BucketNotEmpty", message));
        }
        self.drop_uploads(name, read, out)?;
        self.drop_settings(name, read, out);
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
        let arrived = put.check.verify(&put.body, put.staged.as_ref())?;
        put.condition.holds_for_write(&put.name, read)?;
        let object = Object {
            bodies: self.adopt(&put.body, put.staged.as_ref(), out),
            etag: hex(&arrived.md5).into(),
            modified: whole_seconds(now),
            headers: put.headers.clone(),
            checksum: arrived.checksum,
        };
        let mut members = vec![("ETag", quoted(&object.etag))];
        members.extend(checksum_members(object.checksum.as_ref()));
        members.push(("ServerSideEncryption", "AES256".into()));
        let (size, etag) = (object.size(), Arc::clone(&object.etag));
        let changed = self.replace(now, &put.name, Some(object), read, out)?;
        self.came(&put.name, What::Put, size, etag, &changed);
        members.extend(changed.members());
        Ok(Json::object(members))
    }

    /// An object is there.
    fn came(
        &mut self,
        name: &Name,
        what: What,
        size: u64,
        etag: Arc<str>,
        changed: &versions::Changed,
    ) {
        let (name, version) = (name.clone(), changed.version.clone());
        self.happens(Happened { name, what, size: Some(size), etag: Some(etag), version });
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
        let put = Put { name, body, staged: None, headers, check, condition };
        self.put_object(now, &put, read, out)
    }

    fn delete_objects(
        &mut self,
        now: Timestamp,
        bucket: &Arc<str>,
        keys: &[(Arc<str>, Option<Arc<str>>)],
        quiet: bool,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        // Each is decided on what was there before: of one name only one can be removed at a time.
        let same = |at: usize| keys[..at].iter().any(|(other, _)| *other == keys[at].0);
        let keeps = versions::status(bucket, read)? != versions::Status::Never;
        let mut deleted = Vec::new();
        for (at, (key, version)) in keys.iter().enumerate() {
            if same(at) && keeps {
                let message = "one request can name each key once in stepwire";
                return Err(ApiError::new("NotImplemented", message));
            }
            let mut shown = vec![("Key", Json::String(Arc::clone(key)))];
            if !same(at) {
                let name = Name { bucket: Arc::clone(bucket), key: Arc::clone(key) };
                let changed = self.remove(now, &name, version.as_ref(), read, out)?;
                shown.extend(changed.is_marker.then(|| ("DeleteMarker", true.into())));
                let id = changed.version.map(Json::String);
                if version.is_some() {
                    let marker = id.clone().filter(|_| changed.is_marker);
                    shown.extend(marker.map(|id| ("DeleteMarkerVersionId", id)));
                    shown.extend(id.map(|id| ("VersionId", id)));
                } else {
                    shown.extend(id.map(|id| ("DeleteMarkerVersionId", id)));
                }
            }
            deleted.push(Json::object(shown));
        }
        if quiet {
            return Ok(nothing());
        }
        Ok(Json::object([("Deleted", Json::array(deleted))]))
    }

    fn remove(
        &mut self,
        now: Timestamp,
        name: &Name,
        version: Option<&Arc<str>>,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<versions::Changed, ApiError> {
        let there = find(&name.bucket, &name.key, read).map_err(|corrupt| unreadable(&corrupt))?;
        let changed = match version {
            None => self.replace(now, name, None, read, out)?,
            Some(version) => self.remove_version(now, name, version, read, out)?,
        };
        let marked = version.is_none() && changed.is_marker;
        // Where there was nothing, nothing happens.
        if version.is_some() || marked || there.is_some() {
            let what = if marked { What::MarkerCreated } else { What::Deleted };
            let (name, version) = (name.clone(), changed.version.clone());
            self.happens(Happened { name, what, size: None, etag: None, version });
        }
        Ok(changed)
    }
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
