//! What is durable about buckets and objects.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use super::Name;
use super::checksum::Checksum;
use super::settings::Kind;
use crate::read::{Key, Range, Read};
use crate::record::{Corrupt, KeyBuilder, Space, decode, encode};

/// Format of every record here but chunks, which are their bytes.
const FORMAT: u8 = 1;

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Its name.
    pub name: Arc<str>,
    /// When it was created.
    pub created: Timestamp,
}

/// What an object carries besides its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headers {
    /// `ContentType`, `CacheControl` … that were given, by member name; so are the object's `Tagging`
    /// and its `VersionId`, which [`Headers::kept`] knows.
    pub standard: Vec<(Arc<str>, Arc<str>)>,
    /// `x-amz-meta-*`, names in lower case without the prefix.
    pub metadata: Vec<(Arc<str>, Arc<str>)>,
}

/// The summary of an object: everything but its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its bytes, in order.
    pub bodies: Vec<Body>,
    /// MD5 of the bytes, in hex; of an upload in parts, the MD5 of their MD5s and their number.
    pub etag: Arc<str>,
    /// When it was stored; whole seconds.
    pub modified: Timestamp,
    /// What was given with it.
    pub headers: Headers,
    /// What its bytes were checked against.
    pub checksum: Option<Checksum>,
}

/// A run of bytes that was stored at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// Its number, unique in the shard.
    pub number: u64,
    /// Its bytes.
    pub size: u64,
}

/// An upload in parts that is neither complete nor given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Name of the object that it will be.
    pub key: Arc<str>,
    /// When it began.
    pub begun: Timestamp,
    /// What was given with it.
    pub headers: Headers,
    /// How its parts are to be checked.
    pub algorithm: Option<super::Algorithm>,
}

/// A part of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its bytes.
    pub body: Body,
    /// Their MD5.
    pub md5: [u8; 16],
    /// When it was stored; whole seconds.
    pub modified: Timestamp,
    /// What its bytes were checked against.
    pub checksum: Option<Checksum>,
}

impl Headers {
    /// What is kept under a member's name.
    pub(super) fn kept(&self, member: &str) -> Option<&str> {
        let found = self.standard.iter().find(|(name, _)| **name == *member);
        found.map(|(_, value)| &**value)
    }

    /// Keeps something under a member's name, or nothing.
    pub(super) fn keep(&mut self, member: &str, value: Option<Arc<str>>) {
        self.standard.retain(|(name, _)| **name != *member);
        self.standard.extend(value.map(|value| (Arc::from(member), value)));
    }
}

impl Object {
    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.bodies.iter().map(|body| body.size).sum()
    }
}

/// The counter of bodies. Bucket names are not empty, so it comes before them.
pub(super) fn counter_key() -> Key {
    KeyBuilder::new(Space::Bucket).text("").build()
}

pub(super) fn counter(next: u64) -> Vec<u8> {
    encode(FORMAT, &next)
}

pub(super) fn decode_counter(key: &[u8], value: &[u8]) -> Result<u64, Corrupt> {
    decode(FORMAT, key, value)
}

pub(super) fn bucket_key(name: &str) -> Key {
    KeyBuilder::new(Space::Bucket).text(name).build()
}

/// All buckets, by name.
pub(super) fn buckets() -> Range {
    let from = [counter_key(), vec![0]].concat();
    Range { from, ..Range::prefix(&[Space::Bucket as u8]) }
}

/// What the keys of a bucket's objects begin with; the object's name follows as it is.
pub(super) fn objects_prefix(bucket: &str) -> Key {
    KeyBuilder::new(Space::Object).text(bucket).build()
}

pub(super) fn object_key(bucket: &str, key: &str) -> Key {
    KeyBuilder::new(Space::Object).text(bucket).bytes(key.as_bytes()).build()
}

pub(super) fn setting_key(bucket: &str, kind: Kind) -> Key {
    KeyBuilder::new(Space::BucketSetting).text(bucket).text(kind.key()).build()
}

/// The bucket and the kind of what is set on it, of the key of such a document.
pub(super) fn setting_of(key: &[u8]) -> Result<(Arc<str>, Option<Kind>), Corrupt> {
    let mut parts = key.get(1..).unwrap_or_default().split(|byte| *byte == 0);
    let mut text = || parts.next().and_then(|part| std::str::from_utf8(part).ok());
    let (Some(bucket), Some(kind)) = (text(), text()) else {
        let why = "not the key of what is set on a bucket".to_owned();
        return Err(Corrupt { key: key.to_vec(), why });
    };
    Ok((bucket.into(), Kind::ALL.into_iter().find(|known| known.key() == kind)))
}

/// On which day a bucket's lifecycle was last gone through.
pub(super) fn pass_key(bucket: &str) -> Key {
    KeyBuilder::new(Space::LifecyclePass).text(bucket).build()
}

/// The bucket in such a key.
pub(super) fn pass_of(key: &[u8]) -> Result<Arc<str>, Corrupt> {
    let name = key.get(1..).and_then(|rest| rest.strip_suffix(&[0]));
    let name = name.and_then(|name| std::str::from_utf8(name).ok()).map(Arc::from);
    name.ok_or_else(|| Corrupt { key: key.to_vec(), why: "not the key of a pass".to_owned() })
}

/// What the keys of a bucket's versions begin with.
pub(super) fn versions_prefix(bucket: &str) -> Key {
    KeyBuilder::new(Space::ObjectVersion).text(bucket).build()
}

/// A name in a key that goes on after it: orders as the name does, zero bytes included.
fn escaped(name: &[u8]) -> Vec<u8> {
    let mut made = Vec::with_capacity(name.len() + 2);
    for byte in name {
        made.push(*byte);
        if *byte == 0 {
            made.push(0xff);
        }
    }
    made
}

/// The versions of a name, the newest first.
pub(super) fn versions(name: &Name) -> Range {
    let prefix = [versions_prefix(&name.bucket), escaped(name.key.as_bytes()), vec![0, 1]];
    Range::prefix(&prefix.concat())
}

/// A version of a name.
pub(super) fn version_key(name: &Name, number: u64) -> Key {
    [versions(name).from, (u64::MAX - number).to_be_bytes().to_vec()].concat()
}

/// The number at the end of a version's key.
pub(super) fn version_number(key: &[u8]) -> u64 {
    let number = key.len().checked_sub(8).and_then(|at| key.get(at..)?.try_into().ok());
    u64::MAX - number.map(u64::from_be_bytes).unwrap_or_default()
}

/// The first name, from `from` on, that begins with `prefix` and has versions.
pub(super) fn first_version(
    bucket: &str,
    prefix: &str,
    from: &[u8],
    read: &dyn Read,
) -> Option<Arc<str>> {
    let begin = versions_prefix(bucket);
    let first = [begin.clone(), escaped(prefix.as_bytes())].concat();
    let range = Range::prefix(&first);
    let from = first.max([begin.clone(), escaped(from)].concat());
    let (key, _) = read.range(&Range { from, ..range }.limit(1)).pop()?;
    let mut name = Vec::new();
    let mut rest = key.get(begin.len()..)?.iter();
    while let Some(byte) = rest.next() {
        match (byte, rest.as_slice().first()) {
            (0, Some(0xff)) => {
                rest.next();
                name.push(0);
            }
            (0, _) => break,
            (byte, _) => name.push(*byte),
        }
    }
    String::from_utf8(name).ok().map(Arc::from)
}

pub(super) fn chunk_key(body: u64, index: u64) -> Key {
    KeyBuilder::new(Space::Body).number(body).number(index).build()
}

/// What the keys of a bucket's uploads begin with, or of one upload.
pub(super) fn uploads_prefix(bucket: &str) -> Key {
    KeyBuilder::new(Space::Upload).text(bucket).build()
}

/// An upload; its parts follow it.
pub(super) fn upload_key(bucket: &str, id: &str) -> Key {
    KeyBuilder::new(Space::Upload).text(bucket).text(id).build()
}

/// The id of an upload in the key of it or of a part, after `prefix`.
pub(super) fn upload_id<'a>(prefix: &[u8], key: &'a [u8]) -> Option<&'a str> {
    let rest = key.get(prefix.len()..)?;
    std::str::from_utf8(rest.split(|byte| *byte == 0).next()?).ok()
}

pub(super) fn part_key(bucket: &str, id: &str, number: u64) -> Key {
    KeyBuilder::new(Space::Upload).text(bucket).text(id).number(number).build()
}

/// The parts of an upload, by number.
pub(super) fn parts(bucket: &str, id: &str) -> Range {
    let prefix = upload_key(bucket, id);
    let from = [prefix.as_slice(), &[0]].concat();
    Range { from, ..Range::prefix(&prefix) }
}

pub(super) fn staged_key(body: u64) -> Key {
    KeyBuilder::new(Space::Staged).number(body).build()
}

pub(super) fn unused_key(body: u64) -> Key {
    KeyBuilder::new(Space::Unused).number(body).build()
}

/// The number that ends a key of a body that is not used.
pub(super) fn unused_number(key: &[u8]) -> Result<u64, Corrupt> {
    let number = key.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
    number.ok_or_else(|| Corrupt { key: key.to_vec(), why: "not the key of a body".to_owned() })
}

/// The record at `key`, if there is one.
pub(super) fn stored<T: serde::de::DeserializeOwned>(
    key: &[u8],
    read: &dyn Read,
) -> Result<Option<T>, Corrupt> {
    read.get(key).map(|value| decode(FORMAT, key, &value)).transpose()
}

pub(super) fn value<T: Serialize>(record: &T) -> Vec<u8> {
    encode(FORMAT, record)
}

pub(super) fn record<T: serde::de::DeserializeOwned>(
    key: &[u8],
    value: &[u8],
) -> Result<T, Corrupt> {
    decode(FORMAT, key, value)
}
