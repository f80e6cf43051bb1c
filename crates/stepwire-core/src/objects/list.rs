//! Listing: objects in the order of their names, cut into pages.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use stepwire_asl::Json;

use super::record::{self, Object, objects_prefix};
use super::request::bucket;
use super::{found_bucket, unreadable};
use crate::error::ApiError;
use crate::params::Params;
use crate::read::{Key, Range, Read, after_prefix};
use crate::record::Corrupt;

/// Most entries of a page.
const PAGE_MAX: i64 = 1_000;
/// Names read at a time once common prefixes cut the runs short.
const RUN: usize = 64;

/// ListObjects and ListObjectsV2.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    pub(super) bucket: Arc<str>,
    prefix: Arc<str>,
    delimiter: Option<Arc<str>>,
    /// Names up to here, and what begins with it where it is a common prefix, were listed before.
    after: Arc<str>,
    /// `ContinuationToken`, or `Marker`.
    given: Option<Arc<str>>,
    start_after: Option<Arc<str>>,
    max: usize,
    /// `EncodingType`, which the rim carries out.
    encoding: Option<Arc<str>>,
    /// Whether owners are shown.
    owner: bool,
}

/// The objects of a bucket whose names begin with `prefix` and come after `after`, by name; at most
/// `limit`.
pub fn objects(
    bucket: &str,
    prefix: &str,
    after: &str,
    limit: usize,
    read: &dyn Read,
) -> Result<Vec<(Arc<str>, Object)>, Corrupt> {
    let from = if after.is_empty() { Vec::new() } else { [after.as_bytes(), &[0]].concat() };
    scan(bucket, prefix, &from, limit, read)
}

/// The same from a name on, which need not be one.
fn scan(
    bucket: &str,
    prefix: &str,
    from: &[u8],
    limit: usize,
    read: &dyn Read,
) -> Result<Vec<(Arc<str>, Object)>, Corrupt> {
    let begin = objects_prefix(bucket);
    let first = [&begin, prefix.as_bytes()].concat();
    let to = after_prefix(&first);
    let range = Range { from: first.max([&begin, from].concat()), to, reverse: false, limit };
    let entry = |(key, value): (Key, Vec<u8>)| {
        let corrupt = || Corrupt { key: key.clone(), why: "a name is not UTF-8".to_owned() };
        let name = std::str::from_utf8(&key[begin.len()..]).map_err(|_| corrupt())?;
        Ok((Arc::from(name), record::record(&key, &value)?))
    };
    read.range(&range).into_iter().map(entry).collect()
}

/// The first name, from `from` on, that begins with `prefix`.
pub(super) fn first_from(
    bucket: &str,
    prefix: &str,
    from: &[u8],
    read: &dyn Read,
) -> Result<Option<Arc<str>>, Corrupt> {
    Ok(scan(bucket, prefix, from, 1, read)?.pop().map(|(name, _)| name))
}

impl List {
    pub(super) fn parse_v1(params: Params<'_>) -> Result<List, ApiError> {
        params.only(&["Bucket", "Prefix", "Delimiter", "MaxKeys", "Marker", "EncodingType"])?;
        let marker: Option<Arc<str>> = params.optional_text("Marker")?.map(Arc::from);
        let after = marker.clone().unwrap_or_default();
        List::parse(params, after, marker)
    }

    pub(super) fn parse_v2(params: Params<'_>) -> Result<List, ApiError> {
        let own = ["Bucket", "Prefix", "Delimiter", "MaxKeys", "StartAfter", "EncodingType"];
        params.only(&[&own[..], &["ContinuationToken", "FetchOwner"]].concat())?;
        let token: Option<Arc<str>> = params.optional_text("ContinuationToken")?.map(Arc::from);
        let after = match &token {
            Some(token) => opened(token).ok_or_else(|| {
                ApiError::new("InvalidArgument", "The continuation token provided is incorrect")
            })?,
            None => params.optional_text("StartAfter")?.unwrap_or_default().into(),
        };
        let owner = params.optional_bool("FetchOwner")?.unwrap_or(false);
        Ok(List { owner, ..List::parse(params, after, token)? })
    }

    fn parse(
        params: Params<'_>,
        after: Arc<str>,
        given: Option<Arc<str>>,
    ) -> Result<List, ApiError> {
        let text = |name| Ok::<_, ApiError>(params.optional_text(name)?.map(Arc::<str>::from));
        Ok(List {
            bucket: bucket(params)?,
            prefix: text("Prefix")?.unwrap_or_default(),
            delimiter: text("Delimiter")?.filter(|delimiter| !delimiter.is_empty()),
            after,
            given,
            start_after: text("StartAfter")?,
            max: page_max(params, "MaxKeys", "maxKeys")?,
            encoding: encoding(params)?,
            owner: true,
        })
    }

    /// As ListObjectsV2 shows it.
    pub(super) fn answer_v2(&self, read: &dyn Read, account: &str) -> Result<Json, ApiError> {
        let page = self.page(read)?;
        let mut members = self.members(&page, account);
        members.push(("KeyCount", Json::from(page.count() as i64)));
        let text = |text: &Arc<str>| Json::String(Arc::clone(text));
        members.extend(self.given.as_ref().map(|token| ("ContinuationToken", text(token))));
        members.extend(self.start_after.as_ref().map(|name| ("StartAfter", text(name))));
        members.extend(page.next.map(|next| ("NextContinuationToken", sealed(&next).into())));
        Ok(Json::object(members))
    }

    /// As ListObjects shows it.
    pub(super) fn answer_v1(&self, read: &dyn Read, account: &str) -> Result<Json, ApiError> {
        let page = self.page(read)?;
        let mut members = self.members(&page, account);
        members.push(("Marker", Json::String(self.given.clone().unwrap_or_default())));
        let next = page.next.filter(|_| self.delimiter.is_some());
        members.extend(next.map(|next| ("NextMarker", Json::String(next))));
        Ok(Json::object(members))
    }

    fn members(&self, page: &Page, account: &str) -> Vec<(&'static str, Json)> {
        let mut members = vec![
            ("Name", Json::String(Arc::clone(&self.bucket))),
            ("Prefix", Json::String(Arc::clone(&self.prefix))),
            ("MaxKeys", Json::from(self.max as i64)),
            ("IsTruncated", page.next.is_some().into()),
        ];
        let text = |text: &Arc<str>| Json::String(Arc::clone(text));
        members.extend(self.delimiter.as_ref().map(|delimiter| ("Delimiter", text(delimiter))));
        members.extend(self.encoding.as_ref().map(|kind| ("EncodingType", text(kind))));
        if !page.objects.is_empty() {
            let objects = page
                .objects
                .iter()
                .map(|(name, object)| shown(name, object, self.owner.then_some(account)));
            members.push(("Contents", Json::array(objects)));
        }
        if !page.common.is_empty() {
            let common = page.common.iter().map(|prefix| Json::object([("Prefix", text(prefix))]));
            members.push(("CommonPrefixes", Json::array(common)));
        }
        members
    }

    /// A page. Of names with a common prefix few are read.
    fn page(&self, read: &dyn Read) -> Result<Page, ApiError> {
        found_bucket(&self.bucket, read)?;
        let mut page = Page::default();
        let mut from = match self.common(&self.after) {
            Some(common) if *common == *self.after => after_prefix(common.as_bytes()),
            _ if self.after.is_empty() => Vec::new(),
            _ => [self.after.as_bytes(), &[0]].concat(),
        };
        loop {
            let room = self.max - page.count();
            let wanted = if page.common.is_empty() { room + 1 } else { RUN.min(room + 1) };
            let run = scan(&self.bucket, &self.prefix, &from, wanted, read)
                .map_err(|corrupt| unreadable(&corrupt))?;
            let ended = run.len() < wanted;
            let before = page.common.len();
            for (name, object) in run {
                if page.count() == self.max {
                    page.next = page.last.filter(|_| self.max > 0);
                    page.last = None;
                    return Ok(page);
                }
                if let Some(common) = self.common(&name) {
                    from = after_prefix(common.as_bytes());
                    page.last = Some(Arc::clone(&common));
                    page.common.push(common);
                    break;
                }
                from = [name.as_bytes(), &[0]].concat();
                page.last = Some(Arc::clone(&name));
                page.objects.push((name, object));
            }
            if ended && page.common.len() == before {
                return Ok(page);
            }
        }
    }

    /// The common prefix that stands for `name`, if one does.
    fn common(&self, name: &str) -> Option<Arc<str>> {
        common(&self.prefix, self.delimiter.as_deref(), name)
    }
}

/// The common prefix that stands for `name` in a list of names that begin with `prefix`.
pub(super) fn common(prefix: &str, delimiter: Option<&str>, name: &str) -> Option<Arc<str>> {
    let delimiter = delimiter?;
    let rest = name.strip_prefix(prefix)?;
    let end = prefix.len() + rest.find(delimiter)? + delimiter.len();
    Some(name[..end].into())
}

/// How many entries a page has at most; the argument is what S3 calls the member.
pub(super) fn page_max(
    params: Params<'_>,
    member: &str,
    argument: &str,
) -> Result<usize, ApiError> {
    let max = params.optional_int(member)?.unwrap_or(PAGE_MAX);
    usize::try_from(max.min(PAGE_MAX)).map_err(|_| {
        let message = format!("Argument {argument} must be an integer between 0 and 2147483647");
        ApiError::new("InvalidArgument", message)
    })
}

/// `EncodingType`, which can only be `url`.
pub(super) fn encoding(params: Params<'_>) -> Result<Option<Arc<str>>, ApiError> {
    match params.optional_text("EncodingType")? {
        None => Ok(None),
        Some("url") => Ok(Some("url".into())),
        Some(_) => {
            let message = "Invalid Encoding Method specified in Request";
            Err(ApiError::new("InvalidArgument", message))
        }
    }
}

#[derive(Debug, Default)]
struct Page {
    objects: Vec<(Arc<str>, Object)>,
    common: Vec<Arc<str>>,
    last: Option<Arc<str>>,
    next: Option<Arc<str>>,
}

impl Page {
    fn count(&self) -> usize {
        self.objects.len() + self.common.len()
    }
}

fn sealed(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

fn opened(token: &str) -> Option<Arc<str>> {
    let name = URL_SAFE_NO_PAD.decode(token).ok()?;
    String::from_utf8(name).ok().map(Arc::from)
}

/// An object as lists show it.
fn shown(name: &Arc<str>, object: &Object, owner: Option<&str>) -> Json {
    let mut members = vec![
        ("Key", Json::String(Arc::clone(name))),
        ("LastModified", object.modified.rfc3339().into()),
        ("ETag", super::quoted(&object.etag)),
    ];
    if let Some(checksum) = &object.checksum {
        members.push(("ChecksumAlgorithm", Json::array([checksum.algorithm.name().into()])));
        members.push(("ChecksumType", checksum.kind().into()));
    }
    members.push(("Size", Json::from(object.size() as i64)));
    members.push(("StorageClass", "STANDARD".into()));
    members.extend(owner.map(|owner| ("Owner", Json::object([("ID", Json::from(owner))]))));
    Json::object(members)
}
