//! Versions: what a name stood for before, in buckets that keep it.
//!
//! The object that a name stands for is kept under the name as always. In a bucket with versions
//! each one, it and delete markers included, is kept beside it, the newest first.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stepwire_asl::{Json, Timestamp};

use super::record::{self, Object};
use super::settings::{self, Kind};
use super::{Body, Name, Objects, Write, find, found_bucket, quoted, unreadable};
use crate::error::ApiError;
use crate::params::Params;
use crate::read::{Key, Range, Read, after_prefix};

/// Under which name an object keeps the id of its version.
pub(super) const MEMBER: &str = "VersionId";
/// The version of what was stored while the bucket kept none.
pub(super) const NULL: &str = "null";
const PAGE_MAX: i64 = 1_000;

/// What a name stood for, or that it stood for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its id.
    pub id: Arc<str>,
    /// When it became so.
    pub modified: Timestamp,
    /// The object; `None`: this is a delete marker.
    pub object: Option<Object>,
}

/// Whether a bucket keeps versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// It never has.
    Never,
    /// It does.
    Enabled,
    /// It no longer does; those that it has stay.
    Suspended,
}

/// What became of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Changed {
    /// The version that was made or removed.
    pub(super) version: Option<Arc<str>>,
    /// Whether it is a delete marker.
    pub(super) is_marker: bool,
}

impl Changed {
    /// As answers show it.
    pub(super) fn members(&self) -> Vec<(&'static str, Json)> {
        let marker = self.is_marker.then(|| ("DeleteMarker", true.into()));
        let version = self.version.clone().map(|version| (MEMBER, Json::String(version)));
        marker.into_iter().chain(version).collect()
    }
}

/// Whether a bucket keeps versions.
pub(super) fn status(bucket: &str, read: &dyn Read) -> Result<Status, ApiError> {
    let setting = settings::get(bucket, Kind::Versioning, read)?;
    let status = setting.as_ref().and_then(|setting| setting.member("Status")?.as_str());
    Ok(match status {
        None => Status::Never,
        Some("Enabled") => Status::Enabled,
        Some(_) => Status::Suspended,
    })
}

/// Reads what [`Objects::replace`], [`Objects::remove_version`] and telling of it will want.
pub(crate) fn touch(name: &Name, read: &dyn Read) {
    read.get(&record::setting_key(&name.bucket, Kind::Notification));
    let _ = find(&name.bucket, &name.key, read);
    if !matches!(status(&name.bucket, read), Ok(Status::Never)) {
        read.range(&record::versions(name));
    }
}

/// The versions of a name with their numbers, the newest first.
fn all(name: &Name, read: &dyn Read) -> Result<Vec<(u64, Version)>, ApiError> {
    let found = read.range(&record::versions(name)).into_iter();
    let found = found.map(|(key, value)| {
        let version = record::record(&key, &value).map_err(|corrupt| unreadable(&corrupt))?;
        Ok((record::version_number(&key), version))
    });
    found.collect()
}

/// What a name stands for; of `version`, if that is asked for.
pub(super) fn shown(
    name: &Name,
    version: Option<&str>,
    read: &dyn Read,
) -> Result<Object, ApiError> {
    let current = find(&name.bucket, &name.key, read).map_err(|corrupt| unreadable(&corrupt))?;
    let Some(wanted) = version else {
        if let Some(current) = current {
            return Ok(current);
        }
        let newest = read.range(&record::versions(name).limit(1)).pop();
        let newest = newest.map(|(key, value)| record::record::<Version>(&key, &value));
        let newest = newest.transpose().map_err(|corrupt| unreadable(&corrupt))?;
        let error = super::no_key(&name.key);
        return Err(match newest {
            Some(marker) => {
                let id = Json::String(marker.id);
                error.with("DeleteMarker", true.into()).with(MEMBER, id)
            }
            None => error,
        });
    };
    if let Some(current) = current.filter(|current| current.version() == wanted) {
        return Ok(current);
    }
    let found = all(name, read)?.into_iter().find(|(_, version)| *version.id == *wanted);
    let Some((_, found)) = found else {
        if wanted != NULL && number_of(wanted).is_none() {
            let error = ApiError::new("InvalidArgument", "Invalid version id specified");
            let named = error.with("ArgumentName", "versionId".into());
            return Err(named.with("ArgumentValue", wanted.into()));
        }
        let error = ApiError::new("NoSuchVersion", "The specified version does not exist.");
        return Err(error
            .with("Key", Json::String(Arc::clone(&name.key)))
            .with(MEMBER, wanted.into()));
    };
    found.object.ok_or_else(|| {
        let message = "The specified method is not allowed against this resource.";
        let error = ApiError::new("MethodNotAllowed", message);
        error.with("DeleteMarker", true.into()).with(MEMBER, wanted.into())
    })
}

/// The number that an id was made of.
fn number_of(id: &str) -> Option<u64> {
    let bytes = URL_SAFE_NO_PAD.decode(id).ok()?;
    let number = u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?);
    (id_of(number) == id).then_some(number)
}

fn id_of(number: u64) -> String {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend_from_slice(&Sha256::digest(&bytes)[..16]);
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Object {
    /// The id of its version.
    pub(super) fn version(&self) -> &str {
        self.headers.kept(MEMBER).unwrap_or(NULL)
    }
}

impl Objects {
    /// Records what a name stands for; nothing, if there is no `object`.
    pub(super) fn replace(
        &mut self,
        now: Timestamp,
        name: &Name,
        object: Option<Object>,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<Changed, ApiError> {
        let old = find(&name.bucket, &name.key, read).map_err(|corrupt| unreadable(&corrupt))?;
        let status = status(&name.bucket, read)?;
        if status == Status::Never {
            if old.is_some() || object.is_some() {
                self.record(Write::Object(name.clone(), object.map(Arc::new)), out);
            }
            self.disuse_all(old, out);
            return Ok(Changed::default());
        }
        let unlisted = old.as_ref().filter(|old| old.headers.kept(MEMBER).is_none());
        let number;
        let id: Arc<str>;
        if status == Status::Enabled {
            if let Some(unlisted) = unlisted {
                // What was there before the bucket kept versions.
                let first = Version {
                    id: NULL.into(),
                    modified: unlisted.modified,
                    object: Some(unlisted.with_version(NULL)),
                };
                self.keep_version(name, 0, Some(first), out);
            }
            number = self.number(out).max(1);
            id = id_of(number).into();
        } else {
            if let Some(unlisted) = unlisted {
                self.disuse_all(Some(unlisted.clone()), out);
            }
            for (number, version) in all(name, read)? {
                if *version.id == *NULL {
                    self.keep_version(name, number, None, out);
                    self.disuse_all(version.object, out);
                }
            }
            number = self.number(out).max(1);
            id = NULL.into();
        }
        let object = object.map(|object| object.with_version(&id));
        let is_marker = object.is_none();
        let version = Version { id: Arc::clone(&id), modified: now, object: object.clone() };
        self.keep_version(name, number, Some(version), out);
        if old.is_some() || object.is_some() {
            self.record(Write::Object(name.clone(), object.map(Arc::new)), out);
        }
        Ok(Changed { version: Some(id), is_marker })
    }

    /// Removes one version of a name. One that is not there is no error.
    pub(super) fn remove_version(
        &mut self,
        now: Timestamp,
        name: &Name,
        id: &Arc<str>,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<Changed, ApiError> {
        let old = find(&name.bucket, &name.key, read).map_err(|corrupt| unreadable(&corrupt))?;
        let mut changed = Changed { version: Some(Arc::clone(id)), is_marker: false };
        let versions = match status(&name.bucket, read)? {
            Status::Never if **id == *NULL => {
                self.replace(now, name, None, read, out)?;
                return Ok(changed);
            }
            Status::Never => Vec::new(),
            Status::Enabled | Status::Suspended => all(name, read)?,
        };
        let Some(at) = versions.iter().position(|(_, version)| version.id == *id) else {
            if **id != *NULL && number_of(id).is_none() {
                let error = ApiError::new("InvalidArgument", "Invalid version id specified");
                let named = error.with("ArgumentName", "versionId".into());
                return Err(named.with("ArgumentValue", Json::String(Arc::clone(id))));
            }
            if let Some(old) = old.filter(|old| old.version() == &**id) {
                self.record(Write::Object(name.clone(), None), out);
                self.disuse_all(Some(old), out);
            }
            return Ok(changed);
        };
        let (number, removed) = &versions[at];
        changed.is_marker = removed.object.is_none();
        self.keep_version(name, *number, None, out);
        self.disuse_all(removed.object.clone(), out);
        if at == 0 {
            let next = versions.get(1).and_then(|(_, version)| version.object.clone());
            if old.is_some() || next.is_some() {
                self.record(Write::Object(name.clone(), next.map(Arc::new)), out);
            }
        }
        Ok(changed)
    }

    /// Records an object with other tags, in the place of the version that has them.
    pub(super) fn retag(
        &mut self,
        name: &Name,
        version: Option<&str>,
        tagging: Option<Arc<str>>,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<Changed, ApiError> {
        let mut object = shown(name, version, read)?;
        object.headers.keep(super::tagging::MEMBER, tagging.filter(|tags| !tags.is_empty()));
        let listed = object.headers.kept(MEMBER).map(Arc::<str>::from);
        let current =
            find(&name.bucket, &name.key, read).map_err(|corrupt| unreadable(&corrupt))?;
        if current.is_some_and(|current| current.version() == object.version()) {
            self.record(Write::Object(name.clone(), Some(Arc::new(object.clone()))), out);
        }
        for (number, version) in all(name, read)? {
            if Some(&version.id) == listed.as_ref() {
                let version = Version { object: Some(object.clone()), ..version };
                self.keep_version(name, number, Some(version), out);
            }
        }
        Ok(Changed { version: listed, is_marker: false })
    }

    fn keep_version(
        &mut self,
        name: &Name,
        number: u64,
        version: Option<Version>,
        out: &mut Vec<Write>,
    ) {
        self.record(Write::Version(name.clone(), number, version.map(Arc::new)), out);
    }

    fn disuse_all(&mut self, object: Option<Object>, out: &mut Vec<Write>) {
        let bodies: Vec<Body> = object.into_iter().flat_map(|object| object.bodies).collect();
        bodies.into_iter().for_each(|body| self.disuse(body, out));
    }
}

impl Object {
    fn with_version(&self, id: &str) -> Object {
        let mut object = self.clone();
        object.headers.keep(MEMBER, Some(id.into()));
        object
    }
}

/// ListObjectVersions.
#[derive(Debug, Clone, PartialEq)]
pub struct Versions {
    bucket: Arc<str>,
    prefix: Arc<str>,
    delimiter: Option<Arc<str>>,
    key_marker: Arc<str>,
    version_marker: Option<Arc<str>>,
    max: usize,
    encoding: Option<Arc<str>>,
}

/// One entry of the list.
struct Listed {
    key: Arc<str>,
    is_latest: bool,
    version: Version,
}

impl Versions {
    pub(super) fn parse(params: Params<'_>) -> Result<Versions, ApiError> {
        let own = ["Bucket", "Prefix", "Delimiter", "KeyMarker", "VersionIdMarker", "MaxKeys"];
        params.only(&[&own[..], &["EncodingType"]].concat())?;
        let text = |name| Ok::<_, ApiError>(params.optional_text(name)?.map(Arc::<str>::from));
        let max = params.optional_int("MaxKeys")?.unwrap_or(PAGE_MAX).clamp(0, PAGE_MAX);
        let version_marker = text("VersionIdMarker")?.filter(|marker| !marker.is_empty());
        let key_marker = text("KeyMarker")?.unwrap_or_default();
        if version_marker.is_some() && key_marker.is_empty() {
            let message = "A version-id marker cannot be specified without a key marker.";
            return Err(ApiError::new("InvalidArgument", message));
        }
        Ok(Versions {
            bucket: super::request::bucket(params)?,
            prefix: text("Prefix")?.unwrap_or_default(),
            delimiter: text("Delimiter")?.filter(|delimiter| !delimiter.is_empty()),
            key_marker,
            version_marker,
            max: max as usize,
            encoding: super::list::encoding(params)?,
        })
    }

    pub(super) fn answer(&self, account: &str, read: &dyn Read) -> Result<Json, ApiError> {
        found_bucket(&self.bucket, read)?;
        let mut shown: Vec<Listed> = Vec::new();
        let mut common: Vec<Arc<str>> = Vec::new();
        let mut next: Option<(Arc<str>, Arc<str>)> = None;
        let mut from = self.from();
        let mut within = self.version_marker.clone();
        'names: while let Some(key) = self.next_name(&from, read)? {
            let rest = key.strip_prefix(&*self.prefix).unwrap_or_default();
            let cut = self.delimiter.as_ref().and_then(|delimiter| {
                Some(self.prefix.len() + rest.find(&**delimiter)? + delimiter.len())
            });
            let full =
                |shown: &[Listed], common: &[Arc<str>]| shown.len() + common.len() >= self.max;
            if let Some(cut) = cut {
                if full(&shown, &common) {
                    next = last_of(&shown, &common);
                    break;
                }
                common.push(key[..cut].into());
                from = after_prefix(key[..cut].as_bytes());
                continue;
            }
            let name = Name { bucket: Arc::clone(&self.bucket), key: Arc::clone(&key) };
            let after = within.take().filter(|_| key == self.key_marker);
            let mut skips = after.is_some();
            for (at, version) in Versions::versions_of(&name, read)?.into_iter().enumerate() {
                if skips {
                    skips = after.as_ref() != Some(&version.id);
                    continue;
                }
                if full(&shown, &common) {
                    next = last_of(&shown, &common);
                    break 'names;
                }
                shown.push(Listed { key: Arc::clone(&key), is_latest: at == 0, version });
            }
            from = [key.as_bytes(), &[0]].concat();
        }
        Ok(self.page(&shown, &common, next, account))
    }

    /// The first name that the list looks at.
    fn from(&self) -> Key {
        let marker = self.key_marker.as_bytes();
        match (&self.version_marker, &self.delimiter) {
            _ if marker.is_empty() => Key::new(),
            (Some(_), _) => marker.to_vec(),
            (None, Some(delimiter)) if self.key_marker.ends_with(&**delimiter) => {
                after_prefix(marker)
            }
            (None, _) => [marker, &[0]].concat(),
        }
    }

    /// The first name, from `from` on, of an object or a version.
    fn next_name(&self, from: &[u8], read: &dyn Read) -> Result<Option<Arc<str>>, ApiError> {
        let object = super::list::first_from(&self.bucket, &self.prefix, from, read)
            .map_err(|corrupt| unreadable(&corrupt))?;
        let version = record::first_version(&self.bucket, &self.prefix, from, read);
        Ok(match (object, version) {
            (Some(object), Some(version)) => Some(object.min(version)),
            (object, version) => object.or(version),
        })
    }

    pub(super) fn versions_of(name: &Name, read: &dyn Read) -> Result<Vec<Version>, ApiError> {
        let mut versions: Vec<_> =
            all(name, read)?.into_iter().map(|(_, version)| version).collect();
        let current =
            find(&name.bucket, &name.key, read).map_err(|corrupt| unreadable(&corrupt))?;
        if let Some(current) = current.filter(|current| current.headers.kept(MEMBER).is_none()) {
            let (id, modified) = (NULL.into(), current.modified);
            versions.insert(0, Version { id, modified, object: Some(current) });
        }
        Ok(versions)
    }

    fn page(
        &self,
        shown: &[Listed],
        common: &[Arc<str>],
        next: Option<(Arc<str>, Arc<str>)>,
        account: &str,
    ) -> Json {
        let text = |text: &Arc<str>| Json::String(Arc::clone(text));
        let mut members = vec![
            ("Name", text(&self.bucket)),
            ("Prefix", text(&self.prefix)),
            ("KeyMarker", text(&self.key_marker)),
            ("VersionIdMarker", Json::String(self.version_marker.clone().unwrap_or_default())),
            ("MaxKeys", Json::from(self.max as i64)),
            ("IsTruncated", next.is_some().into()),
        ];
        members.extend(self.delimiter.as_ref().map(|delimiter| ("Delimiter", text(delimiter))));
        members.extend(self.encoding.as_ref().map(|kind| ("EncodingType", text(kind))));
        if let Some((key, version)) = next {
            members.push(("NextKeyMarker", Json::String(key)));
            let version = Some(version).filter(|version| !version.is_empty());
            members.extend(version.map(|version| ("NextVersionIdMarker", Json::String(version))));
        }
        let owner = || Json::object([("ID", Json::from(account))]);
        let (mut versions, mut markers) = (Vec::new(), Vec::new());
        for Listed { key, is_latest, version } in shown {
            let mut entry = vec![
                ("Key", text(key)),
                ("VersionId", text(&version.id)),
                ("IsLatest", (*is_latest).into()),
                ("LastModified", version.modified.rfc3339().into()),
                ("Owner", owner()),
            ];
            if let Some(object) = &version.object {
                entry.push(("ETag", quoted(&object.etag)));
                entry.push(("Size", Json::from(object.size() as i64)));
                entry.push(("StorageClass", "STANDARD".into()));
                versions.push(Json::object(entry));
            } else {
                markers.push(Json::object(entry));
            }
        }
        let lists = [("Versions", versions), ("DeleteMarkers", markers)];
        for (member, list) in lists {
            members.extend((!list.is_empty()).then(|| (member, Json::array(list))));
        }
        if !common.is_empty() {
            let common = common.iter().map(|prefix| Json::object([("Prefix", text(prefix))]));
            members.push(("CommonPrefixes", Json::array(common)));
        }
        Json::object(members)
    }
}

/// Where a list that ends here goes on: after the last entry or common prefix.
fn last_of(shown: &[Listed], common: &[Arc<str>]) -> Option<(Arc<str>, Arc<str>)> {
    let entry = shown.last().map(|last| (Arc::clone(&last.key), Arc::clone(&last.version.id)));
    let prefix = common.last().map(|prefix| (Arc::clone(prefix), Arc::from("")));
    entry.into_iter().chain(prefix).max_by(|a, b| a.0.cmp(&b.0))
}

/// Whether a bucket has any version.
pub(super) fn first_of(bucket: &str) -> Range {
    Range::prefix(&record::versions_prefix(bucket)).limit(1)
}
