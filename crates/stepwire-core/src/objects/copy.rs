//! Copies of objects, whole or as parts of an upload.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};
use stepwire_asl::{Json, Timestamp};

use super::notify::What;
use super::record::Object;
use super::{
    Copy, Name, Objects, PartCopy, UploadPart, Write, checksum_members, found_bucket, hex, quoted,
    tagging, unreadable, upload, versions, view, whole_seconds,
};
use crate::error::ApiError;
use crate::read::Read;

/// Largest object that CopyObject copies, bytes: the copy is decided at once.
const COPY_MAX: u64 = 64 << 20;

impl Objects {
    pub(super) fn copy_object(
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

    pub(super) fn copy_part(
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
}

/// The object to copy and which of its bytes, if they are not too many.
pub(super) fn copyable(
    name: &Name,
    version: Option<&str>,
    range: Option<&str>,
    read: &dyn Read,
) -> Result<(Object, Range<u64>), ApiError> {
    found_bucket(&name.bucket, read)?;
    let source = versions::shown(name, version, read)?;
    let wanted = match range {
        None => 0..source.size(),
        Some(text) => {
            let wanted = view::asked(Some(text), source.size()).ok().flatten();
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
