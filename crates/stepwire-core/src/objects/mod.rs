//! Objects: the part of Amazon S3 that workflows use.
//!
//! Everything lives in the store: a summary of each object under its name, so that a list is a run
//! of keys, and its bytes in chunks under a number. Bytes that no summary names any more are removed
//! a few at a time. Only the counter of those numbers and what is still to be removed is in memory.
//!
//! Read in this order: [`Objects`], [`Request`], [`Write`], [`Object`]; then `body`, `list`,
//! `upload`, `view`. Readers and writers inside the kernel use [`find`], [`objects`],
//! [`Object::slices`] and [`Objects::put`].

mod address;
mod body;
mod checksum;
mod lifecycle;
mod list;
mod notify;
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
use md5::{Digest, Md5};
use stepwire_asl::{Json, Timestamp};

pub(crate) use address::named_by;
pub use body::{CHUNK_BYTES, Slice};
pub use checksum::{Algorithm, Checksum, Digests};
pub use list::{List, Uploads, objects};
pub(crate) use notify::{Destination, Notice, destinations, test_event};
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
pub use view::{answer, find, has_bucket, range, shown};

use notify::{Happened, What};

use crate::error::ApiError;
use crate::hex::hex;
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
            | Request::ListParts { .. }
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

    /// Stores bytes, or takes over those that are stored.
    fn adopt(&mut self, bytes: &Bytes, staged: Option<&Staged>, out: &mut Vec<Write>) -> Vec<Body> {
        match staged {
            None => self.store(bytes, out),
            Some(staged) => {
                self.record(Write::Staged(staged.body.number, None), out);
                vec![staged.body]
            }
        }
    }

    /// Stores some chunks of a body that is still arriving; `body` names it after the first.
    fn stage(
        &mut self,
        body: Option<u64>,
        index: u64,
        bytes: &Bytes,
        out: &mut Vec<Write>,
    ) -> Json {
        let number = body.unwrap_or_else(|| self.number(out));
        let mut stored = index;
        for chunk in body::chunks(bytes) {
            self.record(Write::Chunk { body: number, index: stored, bytes: Some(chunk) }, out);
            stored += 1;
        }
        self.record(Write::Staged(number, Some(stored)), out);
        Json::object([("Body", (number as i64).into())])
    }

    /// A body that was arriving will not be used.
    fn unstage(&mut self, number: u64, out: &mut Vec<Write>) {
        if let Some(chunks) = self.staged.get(&number).copied() {
            self.record(Write::Staged(number, None), out);
            self.record(Write::Unused(number, Some(chunks)), out);
        }
    }

    /// What was arriving when the node went down: nobody will use it.
    pub(crate) fn forget_staged(&mut self) -> Vec<Write> {
        let mut out = Vec::new();
        for number in self.staged.keys().copied().collect::<Vec<_>>() {
            self.unstage(number, &mut out);
        }
        out
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

    fn copy_object(
        &mut self,
        now: Timestamp,
        copy: &Copy,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        found_bucket(&copy.target.bucket, read)?;
        let (source, range) = copyable(&copy.source, copy.version.as_deref(), None, read)?;
        copy.condition.holds_for_copy(&source)?;
        let changes = copy.headers.is_some() || copy.tagging.is_some() || copy.version.is_some();
        if copy.source == copy.target && !changes {
            let message = "This copy request is illegal because it is trying to copy an object to \
                           itself without changing the object's metadata, storage class, website \
                           redirect location or encryption attributes.";
            return Err(ApiError::new("InvalidRequest", message));
        }
        let bytes: Bytes = source.part(range, read).map_err(|corrupt| unreadable(&corrupt))?.into();
        let kept = source.headers.kept(tagging::MEMBER).map(Arc::<str>::from);
        let mut headers = copy.headers.clone().unwrap_or_else(|| source.headers.clone());
        headers.keep(versions::MEMBER, None);
        let tags = copy.tagging.clone().or(kept).filter(|tags| !tags.is_empty());
        headers.keep(tagging::MEMBER, tags);
        let algorithm = source.checksum.as_ref().map(|checksum| checksum.algorithm);
        let object = Object {
            bodies: self.store(&bytes, out),
            // A copy is one piece again.
            etag: hex(&Md5::digest(&bytes)).into(),
            modified: whole_seconds(now),
            headers,
            checksum: copy.algorithm.or(algorithm).map(|algorithm| algorithm.of(&bytes)),
        };
        let mut result = vec![
            ("ETag", quoted(&object.etag)),
            ("LastModified", object.modified.rfc3339().into()),
        ];
        result.extend(checksum_members(object.checksum.as_ref()));
        let (size, etag) = (object.size(), Arc::clone(&object.etag));
        let changed = self.replace(now, &copy.target, Some(object), read, out)?;
        self.came(&copy.target, What::Copied, size, etag, &changed);
        let mut members = vec![
            ("CopyObjectResult", Json::object(result)),
            ("ServerSideEncryption", "AES256".into()),
        ];
        members.extend(changed.members());
        let from = source.headers.kept(versions::MEMBER);
        members.extend(from.map(|version| ("CopySourceVersionId", Json::from(version))));
        Ok(Json::object(members))
    }

    fn copy_part(
        &mut self,
        now: Timestamp,
        copy: &PartCopy,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        upload::find(&copy.part.name, &copy.part.upload, read)?;
        let (version, range) = (copy.version.as_deref(), copy.range.as_deref());
        let (source, range) = copyable(&copy.source, version, range, read)?;
        copy.condition.holds_for_copy(&source)?;
        let body = source.part(range, read).map_err(|corrupt| unreadable(&corrupt))?.into();
        let part = UploadPart { body, ..copy.part.clone() };
        let answer = self.upload_part(now, &part, read, out)?;
        let shown = answer.as_object().into_iter().flatten();
        let shown = shown.filter(|(name, _)| &***name != "ServerSideEncryption");
        let shown = shown.map(|(name, value)| (Arc::clone(name), value.clone()));
        let modified = (Arc::from("LastModified"), whole_seconds(now).rfc3339().into());
        let mut members = vec![
            ("CopyPartResult", Json::object(shown.chain([modified]))),
            ("ServerSideEncryption", "AES256".into()),
        ];
        let from = source.headers.kept(versions::MEMBER);
        members.extend(from.map(|version| ("CopySourceVersionId", Json::from(version))));
        Ok(Json::object(members))
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

/// Refuses bytes that are not what was announced: their MD5 and a checksum, both in base64.
pub fn is_as_announced(
    bytes: &[u8],
    md5: Option<&str>,
    checksum: Option<(Algorithm, &str)>,
) -> Result<(), ApiError> {
    let checksum = checksum.map(|(algorithm, value)| Checksum { algorithm, value: value.into() });
    let check = Check { md5: md5.map(Arc::from), algorithm: None, checksum };
    check.verify(bytes, None).map(drop)
}

/// What was found of bytes that arrived.
struct Arrived {
    md5: [u8; 16],
    checksum: Option<Checksum>,
}

impl Check {
    /// What to keep, once the bytes are found to be what was announced.
    fn verify(&self, bytes: &[u8], staged: Option<&Staged>) -> Result<Arrived, ApiError> {
        let md5 = staged.map_or_else(|| Md5::digest(bytes).into(), |staged| staged.md5);
        if let Some(given) = &self.md5 {
            use base64::Engine;
            let base64 = base64::engine::general_purpose::STANDARD;
            if base64.decode(given.as_bytes()).map_or(true, |given| given.len() != 16) {
                let message = "The Content-MD5 you specified was invalid.";
                return Err(ApiError::new("InvalidDigest", message));
            }
            if **given != *base64.encode(md5) {
                let message = "The Content-MD5 you specified did not match what we received.";
                return Err(ApiError::new("BadDigest", message));
            }
        }
        let of = |algorithm: Algorithm| match staged {
            None => algorithm.of(bytes),
            Some(staged) => {
                let mut found = staged.checksums.iter();
                let found = found.find(|checksum| checksum.algorithm == algorithm);
                found.cloned().unwrap_or_else(|| Checksum { algorithm, value: "".into() })
            }
        };
        if let Some(given) = &self.checksum {
            let right = of(given.algorithm);
            let name = given.algorithm.name();
            if !given.is_well_formed() {
                let header = name.to_ascii_lowercase();
                let message = format!("Value for x-amz-checksum-{header} header is invalid.");
                return Err(ApiError::new("InvalidRequest", message));
            }
            if right != *given {
                let message =
                    format!("The {name} you specified did not match the calculated checksum.");
                return Err(ApiError::new("BadDigest", message));
            }
        }
        let given = self.checksum.as_ref().map(|given| given.algorithm);
        Ok(Arrived { md5, checksum: given.or(self.algorithm).map(of) })
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

    /// Whether an object may be shown. An ETag outweighs a time. Source: RFC 9110 §13.2.2.
    fn holds_for_read(&self, object: &Object) -> Result<(), ApiError> {
        match (self.broken_match(object), self.unchanged(object)) {
            (Some(which), _) => Err(precondition(which)),
            (None, true) => {
                let error = ApiError::new("NotModified", "Not Modified");
                let modified = object.modified.rfc3339().into();
                Err(error.with("ETag", quoted(&object.etag)).with("LastModified", modified))
            }
            (None, false) => Ok(()),
        }
    }

    /// Whether an object may be copied.
    fn holds_for_copy(&self, object: &Object) -> Result<(), ApiError> {
        if self.broken_match(object).is_some() || self.unchanged(object) {
            return Err(precondition("x-amz-copy-source-If-*"));
        }
        Ok(())
    }

    fn broken_match(&self, object: &Object) -> Option<&'static str> {
        match (self.matches.as_deref(), self.until) {
            (Some(etags), _) => (!is_one_of(etags, object)).then_some("If-Match"),
            (None, Some(until)) => (object.modified > until).then_some("If-Unmodified-Since"),
            (None, None) => None,
        }
    }

    fn unchanged(&self, object: &Object) -> bool {
        match (self.differs.as_deref(), self.after) {
            (Some(etags), _) => is_one_of(etags, object),
            (None, Some(after)) => object.modified <= after,
            (None, None) => false,
        }
    }
}

/// Whether a list of ETags names that of an object.
fn is_one_of(etags: &str, object: &Object) -> bool {
    let etags = etags.split(',').map(|etag| etag.trim().trim_start_matches("W/").trim_matches('"'));
    etags.into_iter().any(|etag| etag == "*" || etag == &*object.etag)
}

/// The object to copy and which of its bytes, if they are not too many.
fn copyable(
    name: &Name,
    version: Option<&str>,
    range: Option<&str>,
    read: &dyn Read,
) -> Result<(Object, std::ops::Range<u64>), ApiError> {
    found_bucket(&name.bucket, read)?;
    let source = versions::shown(name, version, read)?;
    let wanted = match range {
        None => 0..source.size(),
        Some(text) => {
            let wanted = view::range(Some(text), source.size()).ok();
            let whole = text.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
            let last = whole.and_then(|(_, last)| last.parse::<u64>().ok());
            let fits = last.is_some_and(|last| last < source.size());
            wanted.filter(|_| fits).ok_or_else(|| {
                let message = format!(
                    "Range specified is not valid for source object of size: {}",
                    source.size()
                );
                ApiError::new("InvalidArgument", message)
            })?
        }
    };
    if wanted.end - wanted.start > COPY_MAX {
        let message = format!(
            "copies of more than {COPY_MAX} bytes at once are not available in \
                               stepwire: UploadPartCopy takes parts"
        );
        return Err(ApiError::new("NotImplemented", message));
    }
    Ok((source, wanted))
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
