//! Listing what is not an object yet: the uploads of a bucket, and the parts of an upload.

use std::sync::Arc;

use stepwire_asl::Json;

use super::list::{common, encoding, page_max};
use super::record::{self, Upload, uploads_prefix};
use super::{Name, checksum_members, found_bucket, hex, quoted, request, unreadable, upload};
use crate::error::ApiError;
use crate::params::Params;
use crate::read::{Range, Read};

/// ListMultipartUploads.
#[derive(Debug, Clone, PartialEq)]
pub struct Uploads {
    bucket: Arc<str>,
    prefix: Arc<str>,
    delimiter: Option<Arc<str>>,
    /// Names up to here were listed before.
    key_marker: Arc<str>,
    /// Of that name only uploads up to this one were.
    id_marker: Option<Arc<str>>,
    max: usize,
    encoding: Option<Arc<str>>,
}

/// ListParts.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    name: Name,
    upload: Arc<str>,
    /// Numbers up to here were listed before.
    after: u64,
    max: usize,
}

/// An upload, and its id.
type Begun = (Arc<str>, Upload);

/// What a page shows in one place.
enum Entry {
    Upload(Begun),
    Common(Arc<str>),
}

impl Uploads {
    pub(super) fn parse(params: Params<'_>) -> Result<Uploads, ApiError> {
        let own = ["Bucket", "Prefix", "Delimiter", "KeyMarker", "UploadIdMarker", "MaxUploads"];
        params.only(&[&own[..], &["EncodingType"]].concat())?;
        let text = |name| Ok::<_, ApiError>(params.optional_text(name)?.map(Arc::<str>::from));
        let key_marker = text("KeyMarker")?.unwrap_or_default();
        // Without a name it says nothing.
        let id_marker = text("UploadIdMarker")?.filter(|id| !id.is_empty());
        let id_marker = id_marker.filter(|_| !key_marker.is_empty());
        Ok(Uploads {
            bucket: request::bucket(params)?,
            prefix: text("Prefix")?.unwrap_or_default(),
            delimiter: text("Delimiter")?.filter(|delimiter| !delimiter.is_empty()),
            key_marker,
            id_marker,
            max: page_max(params, "MaxUploads", "max-uploads")?,
            encoding: encoding(params)?,
        })
    }

    /// The uploads of the bucket that have begun, by name, then by time.
    pub(super) fn answer(&self, read: &dyn Read) -> Result<Json, ApiError> {
        found_bucket(&self.bucket, read)?;
        let (entries, truncated) = self.page(self.rest(read)?);
        let text = |text: &Arc<str>| Json::String(Arc::clone(text));
        let mut members = vec![
            ("Bucket", text(&self.bucket)),
            ("Prefix", text(&self.prefix)),
            ("KeyMarker", text(&self.key_marker)),
            ("UploadIdMarker", Json::String(self.id_marker.clone().unwrap_or_default())),
            ("IsTruncated", truncated.into()),
            ("MaxUploads", Json::from(self.max as i64)),
        ];
        members.extend(self.delimiter.as_ref().map(|delimiter| ("Delimiter", text(delimiter))));
        members.extend(self.encoding.as_ref().map(|kind| ("EncodingType", text(kind))));
        if let Some(last) = entries.last().filter(|_| truncated) {
            let (key, id) = last.place();
            members.extend([("NextKeyMarker", text(&key)), ("NextUploadIdMarker", text(&id))]);
        }
        let (mut uploads, mut prefixes) = (Vec::new(), Vec::new());
        for entry in &entries {
            match entry {
                Entry::Upload(begun) => uploads.push(shown(begun)),
                Entry::Common(common) => prefixes.push(Json::object([("Prefix", text(common))])),
            }
        }
        members.extend((!uploads.is_empty()).then(|| ("Uploads", Json::array(uploads))));
        members.extend((!prefixes.is_empty()).then(|| ("CommonPrefixes", Json::array(prefixes))));
        Ok(Json::object(members))
    }

    /// What is still to be listed, in order.
    fn rest(&self, read: &dyn Read) -> Result<Vec<Begun>, ApiError> {
        let mut all = begun(&self.bucket, read)?;
        all.retain(|(_, upload)| upload.key.starts_with(&*self.prefix));
        all.sort_by(|(a, one), (b, two)| (&one.key, one.begun, a).cmp(&(&two.key, two.begun, b)));
        let marker = &self.key_marker;
        if let Some(wanted) = &self.id_marker {
            // Uploads of a name whose marker has ended come again: better twice than never.
            let at = |(id, upload): &Begun| upload.key == *marker && id == wanted;
            let listed = all.iter().position(at).map_or(0, |at| at + 1);
            all.drain(..listed);
            all.retain(|(_, upload)| upload.key >= *marker);
        } else if !marker.is_empty() {
            let prefix = self.common(marker).filter(|common| common == marker);
            all.retain(|(_, upload)| {
                upload.key > *marker
                    && prefix.as_ref().is_none_or(|prefix| !upload.key.starts_with(&**prefix))
            });
        }
        Ok(all)
    }

    /// As much as a page takes, and whether something is left.
    fn page(&self, rest: Vec<Begun>) -> (Vec<Entry>, bool) {
        let mut entries: Vec<Entry> = Vec::new();
        for begun in rest {
            let entry = match self.common(&begun.1.key) {
                Some(common) => Entry::Common(common),
                None => Entry::Upload(begun),
            };
            if entries.last().is_some_and(|last| last.stands_for(&entry)) {
                continue;
            }
            if entries.len() == self.max {
                return (entries, self.max > 0);
            }
            entries.push(entry);
        }
        (entries, false)
    }

    fn common(&self, name: &str) -> Option<Arc<str>> {
        common(&self.prefix, self.delimiter.as_deref(), name)
    }
}

impl Entry {
    /// Name and id after which the next page begins.
    fn place(&self) -> (Arc<str>, Arc<str>) {
        match self {
            Entry::Upload((id, upload)) => (Arc::clone(&upload.key), Arc::clone(id)),
            Entry::Common(common) => (Arc::clone(common), "".into()),
        }
    }

    /// Whether both are of the same common prefix.
    fn stands_for(&self, other: &Entry) -> bool {
        matches!((self, other), (Entry::Common(one), Entry::Common(two)) if one == two)
    }
}

/// The uploads of a bucket.
fn begun(bucket: &str, read: &dyn Read) -> Result<Vec<Begun>, ApiError> {
    let begin = uploads_prefix(bucket);
    let mut all = Vec::new();
    for (key, value) in read.range(&Range::prefix(&begin)) {
        let Some(id) = key[begin.len()..].strip_suffix(&[0]) else { continue };
        let Ok(id) = std::str::from_utf8(id) else { continue };
        // Records of parts have their number behind the id.
        if !id.contains('\0') {
            let upload = record::record(&key, &value).map_err(|corrupt| unreadable(&corrupt))?;
            all.push((id.into(), upload));
        }
    }
    Ok(all)
}

fn shown((id, upload): &Begun) -> Json {
    Json::object([
        ("Key", Json::String(Arc::clone(&upload.key))),
        ("UploadId", Json::String(Arc::clone(id))),
        ("Initiated", upload.begun.rfc3339().into()),
        ("StorageClass", "STANDARD".into()),
    ])
}

impl Parts {
    pub(super) fn parse(params: Params<'_>) -> Result<Parts, ApiError> {
        params.only(&["Bucket", "Key", "UploadId", "MaxParts", "PartNumberMarker"])?;
        let after = params.optional_int("PartNumberMarker")?.unwrap_or(0);
        let after = u64::try_from(after).map_err(|_| {
            let message = "Argument part-number-marker must be an integer between 0 and 2147483647";
            ApiError::new("InvalidArgument", message)
        })?;
        Ok(Parts {
            name: request::name(params)?,
            upload: request::upload(params)?,
            after,
            max: page_max(params, "MaxParts", "max-parts")?,
        })
    }

    pub(super) fn answer(&self, read: &dyn Read) -> Result<Json, ApiError> {
        let Parts { name, upload: id, after, max } = self;
        upload::find(name, id, read)?;
        let all = upload::parts(&name.bucket, id, read)?;
        let mut rest = all.range(after.saturating_add(1)..);
        let page: Vec<_> = rest.by_ref().take(*max).collect();
        let last = page.last().map_or(*after, |(number, _)| **number);
        let mut members = vec![
            ("Bucket", Json::String(Arc::clone(&name.bucket))),
            ("Key", Json::String(Arc::clone(&name.key))),
            ("UploadId", Json::String(Arc::clone(id))),
            ("PartNumberMarker", Json::from(*after as i64)),
            ("NextPartNumberMarker", Json::from(last as i64)),
            ("MaxParts", Json::from(*max as i64)),
            ("IsTruncated", (*max > 0 && rest.next().is_some()).into()),
            ("StorageClass", "STANDARD".into()),
        ];
        let parts = page.into_iter().map(|(number, part)| shown_part(*number, part));
        let parts: Vec<_> = parts.collect();
        members.extend((!parts.is_empty()).then(|| ("Parts", Json::array(parts))));
        Ok(Json::object(members))
    }
}

fn shown_part(number: u64, part: &record::Part) -> Json {
    let mut members = vec![
        ("PartNumber", Json::from(number as i64)),
        ("LastModified", part.modified.rfc3339().into()),
        ("ETag", quoted(&hex(&part.md5))),
        ("Size", Json::from(part.body.size as i64)),
    ];
    members.extend(checksum_members(part.checksum.as_ref()).into_iter().take(1));
    Json::object(members)
}
