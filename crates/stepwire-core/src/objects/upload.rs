//! Uploads in parts: bodies that are stored one by one and become an object at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use md5::{Digest, Md5};
use stepwire_asl::{Json, Timestamp};

use super::checksum::{Algorithm, Checksum};
use super::notify::What;
use super::record::{self, Object, Part, Upload};
use super::{
    Complete, Create, Name, Objects, UploadPart, Write, checksum_members, found_bucket, hex,
    no_upload, nothing, quoted, unreadable, whole_seconds,
};
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::read::{Range, Read};
use crate::settings::Settings;

/// Under which name an upload keeps that its checksum is one over the whole object.
const WHOLE: &str = "ChecksumType";
/// Fewest bytes of a part that is not the last.
const PART_MIN: u64 = 5 << 20;

/// Reads an upload and what is known of its parts.
pub(super) fn touch(bucket: &str, id: &str, read: &dyn Read) {
    // A bucket that is gone is told by what reads the upload.
    let _ = found_bucket(bucket, read);
    read.get(&record::upload_key(bucket, id));
    read.range(&record::parts(bucket, id));
}

/// The upload of this id, which must be for this object.
pub(super) fn find(name: &Name, id: &str, read: &dyn Read) -> Result<Upload, ApiError> {
    found_bucket(&name.bucket, read)?;
    let key = record::upload_key(&name.bucket, id);
    let upload = record::stored::<Upload>(&key, read).map_err(|corrupt| unreadable(&corrupt))?;
    upload.filter(|upload| upload.key == name.key).ok_or_else(no_upload)
}

/// How the parts of an upload are checked; `None` if it does not say, or is not there.
pub fn algorithm(name: &Name, id: &str, read: &dyn Read) -> Option<super::Algorithm> {
    find(name, id, read).ok()?.algorithm
}

/// The parts of an upload by number.
pub(super) fn parts(
    bucket: &str,
    id: &str,
    read: &dyn Read,
) -> Result<BTreeMap<u64, Part>, ApiError> {
    let begin = record::upload_key(bucket, id).len();
    let mut parts = BTreeMap::new();
    for (key, value) in read.range(&record::parts(bucket, id)) {
        let number = key.get(begin..).and_then(|bytes| bytes.try_into().ok());
        if let Some(number) = number.map(u64::from_be_bytes) {
            let part = record::record(&key, &value).map_err(|corrupt| unreadable(&corrupt))?;
            parts.insert(number, part);
        }
    }
    Ok(parts)
}

impl Objects {
    pub(super) fn create_upload(
        &mut self,
        now: Timestamp,
        create: &Create,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let Name { bucket, key } = &create.name;
        found_bucket(bucket, read)?;
        let number = self.number(out);
        let id: Arc<str> = derived_uuid(&settings.secret, "upload", &[number]).into();
        let mut headers = create.headers.clone();
        headers.keep(WHOLE, create.whole.then(|| "FULL_OBJECT".into()));
        let upload = Upload {
            key: Arc::clone(key),
            begun: whole_seconds(now),
            headers,
            algorithm: create.algorithm,
        };
        let write = Write::Upload(Arc::clone(bucket), Arc::clone(&id), Some(Arc::new(upload)));
        self.record(write, out);
        let mut members = vec![
            ("Bucket", Json::String(Arc::clone(bucket))),
            ("Key", Json::String(Arc::clone(key))),
            ("UploadId", Json::String(id)),
            ("ServerSideEncryption", "AES256".into()),
        ];
        if let Some(algorithm) = create.algorithm {
            members.push(("ChecksumAlgorithm", algorithm.name().into()));
            let kind = if create.whole { "FULL_OBJECT" } else { "COMPOSITE" };
            members.push(("ChecksumType", kind.into()));
        }
        Ok(Json::object(members))
    }

    pub(super) fn upload_part(
        &mut self,
        now: Timestamp,
        part: &UploadPart,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let upload = find(&part.name, &part.upload, read)?;
        let mut check = part.check.clone();
        let given = check.checksum.as_ref().map(|checksum| checksum.algorithm);
        if let (Some(wanted), Some(given)) = (upload.algorithm, given.or(check.algorithm))
            && wanted != given
        {
            let (wanted, given) = (wanted.name().to_lowercase(), given.name().to_lowercase());
            let message = format!(
                "Checksum Type mismatch occurred, expected checksum Type: {wanted}, actual \
                 checksum Type: {given}"
            );
            return Err(ApiError::new("InvalidRequest", message));
        }
        check.algorithm = check.algorithm.or(upload.algorithm);
        let arrived = check.verify(&part.body, part.staged.as_ref())?;
        let bucket = &part.name.bucket;
        let key = record::part_key(bucket, &part.upload, part.number);
        let old = record::stored::<Part>(&key, read).map_err(|corrupt| unreadable(&corrupt))?;
        let md5 = arrived.md5;
        let body = self.adopt(&part.body, part.staged.as_ref(), out).pop();
        let stored = Part {
            body: body.unwrap_or(record::Body { number: 0, size: 0 }),
            md5,
            modified: whole_seconds(now),
            checksum: arrived.checksum,
        };
        let mut members = vec![("ETag", quoted(&hex(&md5)))];
        members.extend(checksum_members(stored.checksum.as_ref()).into_iter().take(1));
        members.push(("ServerSideEncryption", "AES256".into()));
        self.record(
            Write::Part {
                bucket: Arc::clone(bucket),
                upload: Arc::clone(&part.upload),
                number: part.number,
                part: Some(Arc::new(stored)),
            },
            out,
        );
        if let Some(old) = old.filter(|old| old.body.size > 0) {
            self.disuse(old.body, out);
        }
        Ok(Json::object(members))
    }

    pub(super) fn complete_upload(
        &mut self,
        now: Timestamp,
        complete: &Complete,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let Name { bucket, key } = &complete.name;
        let upload = find(&complete.name, &complete.upload, read)?;
        let stored = parts(bucket, &complete.upload, read)?;
        let chosen = chosen(complete, &stored)?;
        if upload.headers.kept(WHOLE).is_none() {
            let wanted = upload.algorithm;
            are_told(
                complete,
                wanted.filter(|it| matches!(it, Algorithm::Sha1 | Algorithm::Sha256)),
            )?;
        }
        complete.condition.holds_for_write(&complete.name, read)?;
        let digests: Vec<u8> = chosen.iter().flat_map(|part| part.md5).collect();
        let whole = upload.headers.kept(WHOLE).is_some();
        let checksum = upload.algorithm.and_then(|algorithm| {
            let parts = chosen.iter().map(|part| part.checksum.as_ref());
            if whole {
                let sizes = chosen.iter().map(|part| part.body.size);
                Checksum::whole(algorithm, parts.zip(sizes))
            } else {
                Checksum::composite(algorithm, parts)
            }
        });
        if let Some(given) = &complete.checksum {
            let value = |value: &str| value.split('-').next().unwrap_or_default().to_owned();
            let right = checksum.as_ref().filter(|right| right.algorithm == given.algorithm);
            if right.is_some_and(|right| value(&right.value) != value(&given.value)) {
                let name = given.algorithm.name();
                let message =
                    format!("The {name} you specified did not match the calculated checksum.");
                return Err(ApiError::new("BadDigest", message));
            }
        }
        let size: u64 = chosen.iter().map(|part| part.body.size).sum();
        if complete.size.is_some_and(|given| given != size) {
            let message = "The provided 'x-amz-mp-object-size' header does not match what was \
                           computed.";
            return Err(ApiError::new("InvalidRequest", message));
        }
        let mut headers = upload.headers;
        headers.keep(WHOLE, None);
        let bodies = chosen.iter().map(|part| part.body).filter(|body| body.size > 0);
        let object = Object {
            bodies: bodies.collect(),
            etag: format!("{}-{}", hex(&Md5::digest(&digests)), chosen.len()).into(),
            modified: whole_seconds(now),
            headers,
            checksum,
        };
        let mut members = vec![
            ("Location", Json::from(format!("/{bucket}/{key}"))),
            ("Bucket", Json::String(Arc::clone(bucket))),
            ("Key", Json::String(Arc::clone(key))),
            ("ETag", quoted(&object.etag)),
        ];
        members.extend(checksum_members(object.checksum.as_ref()));
        members.push(("ServerSideEncryption", "AES256".into()));
        let used: Vec<u64> = object.bodies.iter().map(|body| body.number).collect();
        let etag = Arc::clone(&object.etag);
        let changed = self.replace(now, &complete.name, Some(object), read, out)?;
        self.came(&complete.name, What::Completed, size, etag, &changed);
        members.extend(changed.members());
        self.end_upload(bucket, &complete.upload, &stored, &used, out);
        Ok(Json::object(members))
    }

    pub(super) fn abort_upload(
        &mut self,
        name: &Name,
        id: &Arc<str>,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        find(name, id, read)?;
        let stored = parts(&name.bucket, id, read)?;
        self.end_upload(&name.bucket, id, &stored, &[], out);
        Ok(nothing())
    }

    /// Gives up every upload of a bucket, whose records `read` holds as one run.
    pub(super) fn drop_uploads(
        &mut self,
        bucket: &Arc<str>,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<(), ApiError> {
        let begin = record::uploads_prefix(bucket);
        for (key, value) in read.range(&Range::prefix(&begin)) {
            let rest = &key[begin.len()..];
            let Some(end) = rest.iter().position(|byte| *byte == 0) else { continue };
            let id: Arc<str> = String::from_utf8_lossy(&rest[..end]).into();
            match rest[end + 1..].try_into().map(u64::from_be_bytes) {
                Ok(number) => {
                    let part: Part =
                        record::record(&key, &value).map_err(|corrupt| unreadable(&corrupt))?;
                    self.end_upload(bucket, &id, &BTreeMap::from([(number, part)]), &[], out);
                }
                Err(_) => self.record(Write::Upload(Arc::clone(bucket), id, None), out),
            }
        }
        Ok(())
    }

    /// The upload and its parts are gone; bodies that are not among `used` are not named any more.
    fn end_upload(
        &mut self,
        bucket: &Arc<str>,
        id: &Arc<str>,
        parts: &BTreeMap<u64, Part>,
        used: &[u64],
        out: &mut Vec<Write>,
    ) {
        self.record(Write::Upload(Arc::clone(bucket), Arc::clone(id), None), out);
        for (number, part) in parts {
            let (bucket, upload) = (Arc::clone(bucket), Arc::clone(id));
            self.record(Write::Part { bucket, upload, number: *number, part: None }, out);
            if part.body.size > 0 && !used.contains(&part.body.number) {
                self.disuse(part.body, out);
            }
        }
    }
}

/// Refuses parts that come without the checksum that their object is made of.
fn are_told(complete: &Complete, wanted: Option<Algorithm>) -> Result<(), ApiError> {
    let Some(wanted) = wanted else { return Ok(()) };
    let told = |number: u64| {
        complete.checksums.iter().any(|(of, algorithm, _)| *of == number && *algorithm == wanted)
    };
    let Some((number, _)) = complete.parts.iter().find(|(number, _)| !told(*number)) else {
        return Ok(());
    };
    let message = format!(
        "The upload was created using a {} checksum. The complete request must include the checksum \
         for each part. It was missing for part {number} in the request.",
        wanted.name().to_lowercase()
    );
    Err(ApiError::new("InvalidRequest", message))
}

/// The parts that the caller names, which must be as they were stored.
fn chosen<'a>(
    complete: &Complete,
    stored: &'a BTreeMap<u64, Part>,
) -> Result<Vec<&'a Part>, ApiError> {
    let last = complete.parts.len() - 1;
    let parts = complete.parts.iter().enumerate().map(|(at, (number, etag))| {
        let part = stored.get(number).filter(|part| hex(&part.md5) == **etag);
        let part = part.ok_or_else(|| {
            let message = "One or more of the specified parts could not be found.  The part may \
                           not have been uploaded, or the specified entity tag may not match the \
                           part's entity tag.";
            ApiError::new("InvalidPart", message)
        })?;
        if at < last && part.body.size < PART_MIN {
            let message = "Your proposed upload is smaller than the minimum allowed size";
            let error = ApiError::new("EntityTooSmall", message);
            let error = error.with("ProposedSize", part.body.size.to_string().into());
            return Err(error.with("MinSizeAllowed", PART_MIN.to_string().into()));
        }
        Ok(part)
    });
    parts.collect()
}
