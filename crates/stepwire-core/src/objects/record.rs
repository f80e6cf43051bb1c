//! What is durable about buckets and objects.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use super::checksum::Checksum;
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
    /// `ContentType`, `CacheControl` … that were given, by member name.
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

pub(super) fn part_key(bucket: &str, id: &str, number: u64) -> Key {
    KeyBuilder::new(Space::Upload).text(bucket).text(id).number(number).build()
}

/// The parts of an upload, by number.
pub(super) fn parts(bucket: &str, id: &str) -> Range {
    let prefix = upload_key(bucket, id);
    let from = [prefix.as_slice(), &[0]].concat();
    Range { from, ..Range::prefix(&prefix) }
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
