//! Requests that read, and how objects are shown.

use std::ops::Range;
use std::sync::Arc;

use stepwire_asl::Json;

use super::record::{self, Bucket, Headers, Object};
use super::{
    Buckets, Get, Request, checksum_members, found_bucket, nothing, quoted, settings, unreadable,
    versions,
};
use crate::error::ApiError;
use crate::read::Read;
use crate::record::Corrupt;
use crate::settings::Settings;

/// Largest object whose bytes are part of an answer, bytes; a task's output takes no more.
const SHOWN_MAX: u64 = 1 << 20;

/// The object of this name; `None` when there is none.
pub fn find(bucket: &str, key: &str, read: &dyn Read) -> Result<Option<Object>, Corrupt> {
    record::stored(&record::object_key(bucket, key), read)
}

/// The bytes of an object that has at most `max`; else why there are none.
pub(crate) fn bytes(bucket: &str, key: &str, max: u64, read: &dyn Read) -> Result<Vec<u8>, String> {
    let object = find(bucket, key, read).map_err(|corrupt| corrupt.to_string())?;
    let object = object.ok_or("there is no such object")?;
    if object.size() > max {
        return Err(format!("the object has more than {max} bytes"));
    }
    let mut bytes = Vec::new();
    for slice in object.slices(0..object.size()) {
        let read = slice.read(read).map_err(|corrupt| corrupt.to_string())?;
        bytes.extend_from_slice(&read);
    }
    Ok(bytes)
}

/// Whether there is a bucket of this name.
pub fn has_bucket(name: &str, read: &dyn Read) -> bool {
    read.get(&record::bucket_key(name)).is_some()
}

/// The answer to a request that reads. Bytes of an object are in it as text.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::HeadBucket { bucket } => {
            found_bucket(bucket, read)?;
            Ok(Json::object([("BucketRegion", Json::from(&*settings.region))]))
        }
        Request::GetBucketLocation { bucket } => {
            found_bucket(bucket, read)?;
            let oldest = &*settings.region == "us-east-1";
            let region = if oldest { Json::Null } else { Json::from(&*settings.region) };
            Ok(Json::object([("LocationConstraint", region)]))
        }
        Request::ListBuckets(buckets) => list_buckets(buckets, read, settings),
        Request::ListObjectVersions(versions) => versions.answer(&settings.account, read),
        Request::Setting(setting) => setting.answer(read, &settings.account),
        Request::GetObjectTagging { name, version } => {
            found_bucket(&name.bucket, read)?;
            let object = versions::shown(name, version.as_deref(), read)?;
            let id = object.headers.kept(versions::MEMBER);
            let id = id.map(|id| (versions::MEMBER, Json::from(id)));
            Ok(Json::object([("TagSet", object.tag_set())].into_iter().chain(id)))
        }
        Request::ObjectAcl { name, version, puts } => {
            found_bucket(&name.bucket, read)?;
            versions::shown(name, version.as_deref(), read)?;
            Ok(if *puts { nothing() } else { settings::private(&settings.account) })
        }
        Request::HeadObject(get) => {
            let (object, range) = shown(get, read)?;
            Ok(Json::object(members(get, &object, &range)))
        }
        Request::GetObject(get) => {
            let (object, range) = shown(get, read)?;
            let mut members = members(get, &object, &range);
            if range.end - range.start > SHOWN_MAX {
                let message = format!("the object has more than {SHOWN_MAX} bytes");
                return Err(ApiError::new("EntityTooLarge", message));
            }
            let mut bytes = Vec::new();
            for slice in object.slices(range) {
                bytes.extend_from_slice(&slice.read(read).map_err(|c| unreadable(&c))?);
            }
            members.push(("Body", String::from_utf8_lossy(&bytes).into_owned().into()));
            Ok(Json::object(members))
        }
        Request::ListObjects(list) => list.answer_v1(read, &settings.account),
        Request::ListObjectsV2(list) => list.answer_v2(read, &settings.account),
        Request::ListMultipartUploads(uploads) => uploads.answer(read),
        Request::ListParts(parts) => parts.answer(read),
        Request::CreateBucket { .. }
        | Request::DeleteBucket { .. }
        | Request::PutObject(_)
        | Request::CopyObject(_)
        | Request::DeleteObject { .. }
        | Request::PutObjectTagging { .. }
        | Request::UploadPartCopy(_)
        | Request::Stage { .. }
        | Request::Unstage(_)
        | Request::DeleteObjects { .. }
        | Request::CreateMultipartUpload(_)
        | Request::UploadPart(_)
        | Request::CompleteMultipartUpload(_)
        | Request::AbortMultipartUpload { .. } => Ok(nothing()),
    }
}

/// The object that a request shows, and which of its bytes.
pub fn shown(get: &Get, read: &dyn Read) -> Result<(Object, Range<u64>), ApiError> {
    found_bucket(&get.name.bucket, read)?;
    let object = versions::shown(&get.name, get.version.as_deref(), read)?;
    get.condition.holds_for_read(&object)?;
    let range = match get.part {
        None => asked(get.range.as_deref(), object.size())?.unwrap_or_else(|| 0..object.size()),
        Some(number) => part(&object, number)?,
    };
    Ok((object, range))
}

/// How many parts an object was uploaded in; `None`: it was not.
fn parts_of(object: &Object) -> Option<u64> {
    object.etag.split_once('-').and_then(|(_, count)| count.parse().ok())
}

/// The bytes of a part. Parts are bodies; one that is empty can only be the last.
fn part(object: &Object, number: u64) -> Result<Range<u64>, ApiError> {
    let count = parts_of(object).unwrap_or(1);
    if number > count {
        let message = "The requested partnumber is not satisfiable";
        let error = ApiError::new("InvalidPartNumber", message);
        let given = error.with("ActualPartCount", count.to_string().into());
        return Err(given.with("PartNumberRequested", number.to_string().into()));
    }
    if parts_of(object).is_none() {
        return Ok(0..object.size());
    }
    let begin = object.bodies.iter().take(number as usize - 1).map(|body| body.size).sum();
    let size = object.bodies.get(number as usize - 1).map_or(0, |body| body.size);
    Ok(begin..begin + size)
}

/// The bytes that a `Range` header asks for, out of `size`; `None` if it is not understood, which is
/// as if there were none. Source: RFC 9110 §14.
pub(super) fn asked(header: Option<&str>, size: u64) -> Result<Option<Range<u64>>, ApiError> {
    let parsed = header.and_then(|header| header.strip_prefix("bytes=")?.split_once('-'));
    let Some((from, to)) = parsed else { return Ok(None) };
    let unsatisfiable = || {
        let error = ApiError::new("InvalidRange", "The requested range is not satisfiable");
        error.with("ActualObjectSize", size.to_string().into())
    };
    let asked = match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) if to >= from => from..to.saturating_add(1).min(size),
        (Ok(from), Err(_)) if to.is_empty() => from..size,
        (Err(_), Ok(last)) if from.is_empty() => size.saturating_sub(last)..size,
        _ => return Ok(None),
    };
    // Of an empty object no range is satisfiable.
    if asked.is_empty() { Err(unsatisfiable()) } else { Ok(Some(asked)) }
}

/// The members that show an object, without its bytes, in the order of the API's model.
fn members(get: &Get, object: &Object, range: &Range<u64>) -> Vec<(&'static str, Json)> {
    let mut members = vec![
        ("AcceptRanges", Json::from("bytes")),
        ("LastModified", object.modified.rfc3339().into()),
        ("ContentLength", Json::from((range.end - range.start) as i64)),
        ("ETag", quoted(&object.etag)),
    ];
    let whole = *range == (0..object.size());
    if whole {
        // Of some of the bytes it says nothing.
        let checksum = object.checksum.as_ref().filter(|_| get.checksum);
        members.extend(checksum_members(checksum));
    }
    // A range can be of all bytes, and is told all the same.
    let ranged = matches!(asked(get.range.as_deref(), object.size()), Ok(Some(_)));
    if (ranged || !whole) && !range.is_empty() {
        let (from, last, size) = (range.start, range.end - 1, object.size());
        members.push(("ContentRange", format!("bytes {from}-{last}/{size}").into()));
    }
    for (member, value) in headers(&object.headers) {
        let other = get.shown_as.iter().find(|(name, _)| **name == *member);
        members.push((member, other.map_or(value, |(_, other)| Json::String(Arc::clone(other)))));
    }
    for (name, value) in &get.shown_as {
        if !members.iter().any(|(member, _)| **name == **member) {
            let known =
                super::request::STANDARD_HEADERS.into_iter().find(|known| **known == **name);
            members.extend(known.map(|known| (known, Json::String(Arc::clone(value)))));
        }
    }
    let version = object.headers.kept(versions::MEMBER);
    members.extend(version.map(|version| (versions::MEMBER, Json::from(version))));
    let tags = object.tag_count();
    members.extend((tags > 0).then(|| ("TagCount", (tags as i64).into())));
    let parts = parts_of(object).filter(|_| get.part.is_some());
    members.extend(parts.map(|parts| ("PartsCount", (parts as i64).into())));
    members.push(("ServerSideEncryption", "AES256".into()));
    members
}

fn headers(headers: &Headers) -> Vec<(&'static str, Json)> {
    let mut members = Vec::new();
    for name in super::request::STANDARD_HEADERS {
        let given = headers.standard.iter().find(|(given, _)| **given == *name);
        let value = given.map(|(_, value)| &**value);
        let value = if name == "ContentType" {
            Some(value.unwrap_or("binary/octet-stream"))
        } else {
            value
        };
        members.extend(value.map(|value| (name, Json::from(value))));
    }
    let metadata = headers.metadata.iter();
    let metadata =
        metadata.map(|(name, value)| (Arc::clone(name), Json::String(Arc::clone(value))));
    members.push(("Metadata", Json::object(metadata)));
    members
}

fn list_buckets(asked: &Buckets, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let mut buckets = Vec::new();
    let (mut last, mut next) = (None, None);
    for (key, value) in read.range(&record::buckets()) {
        let bucket: Bucket =
            record::record(&key, &value).map_err(|corrupt| unreadable(&corrupt))?;
        if !bucket.name.starts_with(&*asked.prefix) || bucket.name <= asked.after {
            continue;
        }
        if buckets.len() == asked.max {
            next = last;
            break;
        }
        last = Some(("ContinuationToken", Json::String(Arc::clone(&bucket.name))));
        buckets.push(Json::object([
            ("Name", Json::String(bucket.name)),
            ("CreationDate", bucket.created.rfc3339().into()),
        ]));
    }
    let owner = Json::object([("ID", Json::from(&*settings.account))]);
    let members = [("Buckets", Json::array(buckets)), ("Owner", owner)];
    Ok(Json::object(members.into_iter().chain(next)))
}
