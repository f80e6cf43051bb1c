//! Removing events: of deleted streams, expired ones, and the oldest of a group that holds too much.

use std::sync::Arc;

use stepwire_asl::Timestamp;

use super::record::{self, Place};
use super::{Logs, StreamRecord, Write, days_ms};
use crate::read::{Range, Read, Reads};

/// Most events that one step removes.
const SLICE: usize = 256;

/// Events that are to go: those of a stream, up to a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stale {
    group: u64,
    stream: u64,
    /// `None`: all of them.
    before: Option<Timestamp>,
}

impl Stale {
    fn range(self) -> Range {
        let all = record::events(self.group, self.stream);
        let Stale { group, stream, before } = self;
        match before {
            Some(at) => Range { to: Place { group, stream, at, number: 0 }.key(), ..all },
            None => all,
        }
    }
}

impl Logs {
    /// When there is something to remove, in groups of at most `bytes_max` bytes.
    pub(crate) fn due(&self, bytes_max: u64) -> Option<Timestamp> {
        if !self.retired.is_empty() || self.full(bytes_max).is_some() {
            return Some(Timestamp(0));
        }
        self.expiring.first().map(|(due, ..)| *due)
    }

    /// A group that holds more than it may.
    fn full(&self, bytes_max: u64) -> Option<u64> {
        self.bytes.iter().find(|(_, bytes)| **bytes > bytes_max).map(|(group, _)| *group)
    }

    fn stale(&self, now: Timestamp, bytes_max: u64) -> Option<Stale> {
        if let Some((group, stream)) = self.retired.first() {
            return Some(Stale { group: *group, stream: *stream, before: None });
        }
        if let Some((due, group, stream)) = self.expiring.first().filter(|(due, ..)| *due <= now) {
            let kept = self.retention.get(group).map_or(0, |days| days_ms(*days));
            debug_assert!(*due <= now, "it has expired");
            let before = Timestamp(now.0.saturating_sub(kept).saturating_add(1));
            return Some(Stale { group: *group, stream: *stream, before: Some(before) });
        }
        let group = self.full(bytes_max)?;
        let mut streams = self.streams.range((group, 0)..=(group, u64::MAX));
        let ((_, stream), _) = streams.find(|(_, stream)| stream.bytes > 0)?;
        Some(Stale { group, stream: *stream, before: Some(Timestamp(i64::MAX)) })
    }

    /// Reads what [`Logs::tidy`] will want.
    pub(crate) fn prefetch_tidy(&self, now: Timestamp, bytes_max: u64, read: &dyn Read) {
        if let Some(stale) = self.stale(now, bytes_max) {
            read.range(&stale.range().limit(SLICE));
            read.range(&record::events(stale.group, stale.stream).limit(SLICE + 1));
        }
    }

    /// Removes a slice of what is to go. Events that cannot be read go like others.
    pub(crate) fn tidy(
        &mut self,
        now: Timestamp,
        bytes_max: u64,
        reads: &Reads,
        out: &mut Vec<Write>,
    ) {
        let Some(stale) = self.stale(now, bytes_max) else { return };
        let (group, stream) = (stale.group, stale.stream);
        let slice = reads.range(&stale.range().limit(SLICE));
        let mut bytes = 0;
        for (key, value) in &slice {
            let Ok(place) = Place::of(key) else { continue };
            bytes += record::event(key, value).map_or(0, |(_, event)| event.message.len() as u64);
            self.record(Write::Event(place, None), out);
        }
        let Some(there) = self.streams.get(&(group, stream)).cloned() else {
            if slice.len() < SLICE {
                self.record(Write::Retired(group, stream, false), out);
            }
            return;
        };
        let all = reads.range(&record::events(group, stream).limit(SLICE + 1));
        let next = all.get(slice.len()).and_then(|(key, _)| Place::of(key).ok());
        let emptied = next.is_none() && there.own;
        let record = StreamRecord {
            first: next.map(|next| next.at),
            bytes: next.map_or(0, |_| there.bytes.saturating_sub(bytes)),
            ..there.as_ref().clone()
        };
        let record = (!emptied).then(|| Arc::new(record));
        self.record(Write::Stream(group, stream, record), out);
    }
}
