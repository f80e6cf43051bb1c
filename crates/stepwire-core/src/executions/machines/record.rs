//! What is durable about state machines besides what they now are: earlier revisions, versions,
//! aliases and names.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use super::super::record::{MachineRecord, machine_key};
use crate::read::{Key, Range};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 1;

/// Second part of a key in [`Space::MachinePart`], after the machine's number.
const REVISION: u8 = b'r';
const VERSION: u8 = b'v';
const ALIAS: u8 = b'a';

/// Whether a request also publishes a version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Publish {
    /// It does not.
    #[default]
    No,
    /// It does, with this description.
    Version(Option<Arc<str>>),
}

/// A published version: a name for a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// The revision.
    pub revision: u64,
    /// `description`
    pub description: Option<Arc<str>>,
    /// When it was published.
    pub created: Timestamp,
}

/// An alias: a name for one or two versions of a state machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasRecord {
    /// `description`
    pub description: Option<Arc<str>>,
    /// Where executions go; the weights add up to 100.
    pub routes: Vec<Route>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// A share of an alias's executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The version they run.
    pub version: u64,
    /// Per cent.
    pub weight: u8,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// A revision that is no longer the current one, as it was; `None` once nobody needs it.
    Revision(u64, u64, Option<Arc<MachineRecord>>),
    /// A version of a state machine; `None` once it is deleted.
    Version(u64, u64, Option<VersionRecord>),
    /// An alias of a state machine; `None` once it is deleted.
    Alias(u64, Arc<str>, Option<AliasRecord>),
    /// The state machine of a name; `None` once there is nothing left of it.
    Name(Arc<str>, Option<u64>),
    /// A state machine of which nothing is left.
    Gone(u64),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Revision(machine, revision, record) => (
                part(*machine, REVISION).number(*revision).build(),
                record.as_ref().map(|record| encode(FORMAT, record.as_ref())),
            ),
            Write::Version(machine, number, record) => (
                part(*machine, VERSION).number(*number).build(),
                record.as_ref().map(|record| encode(FORMAT, record)),
            ),
            Write::Alias(machine, name, record) => (
                part(*machine, ALIAS).text(name).build(),
                record.as_ref().map(|record| encode(FORMAT, record)),
            ),
            Write::Name(name, machine) => {
                (name_key(name), machine.as_ref().map(|number| encode(FORMAT, number)))
            }
            Write::Gone(machine) => (machine_key(*machine), None),
        }
    }

    /// The change that a stored entry of [`Space::MachinePart`] is.
    pub fn load(key: &[u8], value: &[u8]) -> Result<Write, Corrupt> {
        let corrupt = || Corrupt { key: key.to_vec(), why: "an unknown part".to_owned() };
        let number = |at: usize| {
            let bytes = key.get(at..at + 8)?.try_into().ok()?;
            Some(u64::from_be_bytes(bytes))
        };
        let machine = number(1).ok_or_else(corrupt)?;
        let last = || number(10).ok_or_else(corrupt);
        Ok(match key.get(9) {
            Some(&REVISION) => {
                Write::Revision(machine, last()?, Some(Arc::new(decode(FORMAT, key, value)?)))
            }
            Some(&VERSION) => Write::Version(machine, last()?, Some(decode(FORMAT, key, value)?)),
            Some(&ALIAS) => {
                Write::Alias(machine, alias_of(key)?.into(), Some(decode(FORMAT, key, value)?))
            }
            _ => return Err(corrupt()),
        })
    }
}

fn part(machine: u64, kind: u8) -> KeyBuilder {
    KeyBuilder::new(Space::MachinePart).number(machine).bytes(&[kind])
}

fn alias_of(key: &[u8]) -> Result<&str, Corrupt> {
    let text = key.get(10..key.len() - 1).and_then(|text| std::str::from_utf8(text).ok());
    text.ok_or_else(|| Corrupt { key: key.to_vec(), why: "not an alias's key".to_owned() })
}

/// Where the number of the state machine of a name is.
pub(super) fn name_key(name: &str) -> Key {
    KeyBuilder::new(Space::MachineName).text(name).build()
}

/// The name that a key of [`Space::MachineName`] holds.
pub(super) fn name_of(key: &[u8]) -> Result<&str, Corrupt> {
    let text = key.get(1..key.len() - 1).and_then(|text| std::str::from_utf8(text).ok());
    text.ok_or_else(|| Corrupt { key: key.to_vec(), why: "not a name's key".to_owned() })
}

/// The state machine that a stored name stands for.
pub(super) fn named(key: &[u8], value: &[u8]) -> Result<u64, Corrupt> {
    decode(FORMAT, key, value)
}

/// Where an earlier revision is.
pub(super) fn revision_key(machine: u64, revision: u64) -> Key {
    part(machine, REVISION).number(revision).build()
}

/// Where a version is.
pub(super) fn version_key(machine: u64, number: u64) -> Key {
    part(machine, VERSION).number(number).build()
}

/// Where an alias is.
pub(super) fn alias_key(machine: u64, name: &str) -> Key {
    part(machine, ALIAS).text(name).build()
}

/// All versions of a state machine, in order of number.
pub(super) fn versions_of(machine: u64) -> Range {
    Range::prefix(&part(machine, VERSION).build())
}

/// All aliases of a state machine, in order of name.
pub(super) fn aliases_of(machine: u64) -> Range {
    Range::prefix(&part(machine, ALIAS).build())
}

/// The stored version.
pub(super) fn version(key: &[u8], value: &[u8]) -> Result<VersionRecord, Corrupt> {
    decode(FORMAT, key, value)
}

/// The stored alias.
pub(super) fn alias(key: &[u8], value: &[u8]) -> Result<AliasRecord, Corrupt> {
    decode(FORMAT, key, value)
}

/// The number at the end of the key of a version.
pub(super) fn version_of(key: &[u8]) -> u64 {
    let bytes = key.get(10..18).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_be_bytes)
}

/// The name in the key of an alias.
pub(super) fn alias_named(key: &[u8]) -> Result<Arc<str>, Corrupt> {
    alias_of(key).map(Arc::from)
}
