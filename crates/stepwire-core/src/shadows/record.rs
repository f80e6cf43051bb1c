//! What is durable about shadows.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::{Json, Timestamp};

use super::{DELETED_KEPT_MS, Name};
use crate::read::{Key, Range, Read, after_prefix};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 1;

/// A shadow as it is stored. A deleted one keeps its version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shadow {
    /// The shadow's name; none for the classic one.
    pub name: Option<Arc<str>>,
    /// Its sections; empty ones are left out.
    pub desired: Option<Section>,
    /// What the thing says of itself.
    pub reported: Option<Section>,
    /// Grows with every change.
    pub version: i64,
    /// When it was changed last.
    pub at: Timestamp,
    /// Whether it is there no more.
    pub deleted: bool,
}

/// One half of a shadow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// An object.
    pub state: Json,
    /// The same object with `{"timestamp": seconds}` in place of each value.
    pub metadata: Json,
}

/// One durable change: a shadow is so.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// The thing.
    pub thing: Arc<str>,
    /// Its shadow.
    pub shadow: Arc<Shadow>,
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        let value = encode(FORMAT, self.shadow.as_ref());
        (key(&self.thing, self.shadow.name.as_deref()), Some(value))
    }
}

/// Classic shadows have no name, so they come before the named ones of their thing.
fn key(thing: &str, shadow: Option<&str>) -> Key {
    KeyBuilder::new(Space::Shadow).text(thing).text(shadow.unwrap_or_default()).build()
}

/// The record of a shadow, deleted ones included.
pub(crate) fn find(name: &Name, read: &dyn Read) -> Result<Option<Shadow>, Corrupt> {
    let key = key(&name.thing, name.shadow.as_deref());
    read.get(&key).map(|value| decode(FORMAT, &key, &value)).transpose()
}

/// The shadow, if it is there.
pub(crate) fn live(name: &Name, read: &dyn Read) -> Result<Option<Shadow>, Corrupt> {
    Ok(find(name, read)?.filter(|shadow| !shadow.deleted))
}

/// Named shadows of a thing in order, at most `max` after the name `after`, and whether there are more.
pub(crate) fn named(
    thing: &str,
    after: Option<&str>,
    max: usize,
    read: &dyn Read,
) -> Result<(Vec<Arc<str>>, bool), Corrupt> {
    let prefix = KeyBuilder::new(Space::Shadow).text(thing).build();
    let (mut from, to) = (key(thing, after), after_prefix(&prefix));
    // The classic shadow, or the one before the first, is not among them.
    from.push(0);
    let mut names = Vec::new();
    loop {
        let range = Range { from: from.clone(), to: to.clone(), reverse: false, limit: max + 1 };
        let found = read.range(&range);
        for (key, value) in &found {
            let shadow: Shadow = decode(FORMAT, key, value)?;
            names.extend(shadow.name.filter(|_| !shadow.deleted));
        }
        match found.last() {
            Some((last, _)) if found.len() > max && names.len() <= max => {
                from.clone_from(last);
                from.push(0);
            }
            _ => break,
        }
    }
    let more = names.len() > max;
    names.truncate(max);
    Ok((names, more))
}

impl Shadow {
    /// The version before that of a shadow that is made now: `old` may be one that was deleted lately.
    pub(super) fn version_before(old: Option<&Shadow>, now: Timestamp) -> i64 {
        let remembered = |old: &&Shadow| !old.deleted || now.since_ms(old.at) < DELETED_KEPT_MS;
        old.filter(remembered).map_or(0, |old| old.version)
    }
}
