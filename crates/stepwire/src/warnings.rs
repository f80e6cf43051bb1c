//! Warnings about those who are turned away, refused or cut off: so few that whoever causes them
//! cannot flood the log, and a count of all of them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use stepwire_asl::Timestamp;
use stepwire_core::broker::CutOff;
use stepwire_core::rate::{Bucket, Rate};

use crate::listen::gate;

/// How often the same is said of the same device or address.
const AGAIN_MS: i64 = 10_000;
/// Lines in all.
const LINES: Rate = Rate::new(20, 200);
/// Lines that are kept for those who look at the node.
const KEPT_MAX: usize = 200;
/// Devices and addresses that are remembered for having been warned of.
const REMEMBERED_MAX: usize = 10_000;

/// What was said lately, and how often each thing happened.
#[derive(Debug)]
pub struct Warnings {
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lines: Bucket,
    said: HashMap<Box<str>, Said>,
    /// What was not said and is not in `said` either.
    unsaid: u64,
    counts: BTreeMap<&'static str, u64>,
    /// Oldest first.
    kept: VecDeque<Line>,
}

/// A line that was logged.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// When.
    pub(crate) at: Timestamp,
    /// The kind of thing.
    pub(crate) kind: &'static str,
    /// What was said.
    pub(crate) text: Arc<str>,
}

/// When something was said last, and how often it happened since.
#[derive(Debug)]
struct Said {
    at: Timestamp,
    since: u64,
}

impl Default for Warnings {
    fn default() -> Self {
        let state = State {
            lines: Bucket::full(LINES, Timestamp(0)),
            said: HashMap::new(),
            unsaid: 0,
            counts: BTreeMap::new(),
            kept: VecDeque::new(),
        };
        Warnings { started: Instant::now(), state: Mutex::new(state) }
    }
}

impl Warnings {
    /// A connection was not taken.
    pub(crate) fn turned_away(&self, ip: IpAddr, why: gate::Refused) {
        let text = format_args!("connection from {ip} not taken: {why}");
        self.warn("turned away", &format!("{ip} {why}"), text);
    }

    /// A device sends faster than it may.
    pub(crate) fn slowed(&self, client: &str, ip: IpAddr) {
        let text = format_args!("device `{client}` at {ip} is slowed down: it sends too fast");
        self.warn("slowed", &format!("{client} {ip} slowed"), text);
    }

    /// A device was cut off, or not let in, for what it did.
    pub(crate) fn cut_off(&self, cut_off: &CutOff) {
        let CutOff { client, thing, address, cause, reason } = cut_off;
        let thing = thing.as_ref().map(|thing| format!(" (thing `{thing}`)")).unwrap_or_default();
        let code = *reason as u8;
        let text = format_args!(
            "device `{client}`{thing} at {address} was cut off: {cause} ({reason}, 0x{code:02X})"
        );
        self.warn(cause.name(), &format!("{client} {address} {cause}"), text);
    }

    /// Counts one of `kind`, and logs it unless something with the same `key` was logged lately.
    pub(crate) fn warn(&self, kind: &'static str, key: &str, text: fmt::Arguments<'_>) {
        let now = Timestamp(i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX));
        let mut state = self.state();
        let Some(more) = state.say(kind, key, now) else { return };
        let text: Arc<str> = match more {
            0 => text.to_string().into(),
            more => format!("{text} (and {more} more since the last such warning)").into(),
        };
        let at = Timestamp(jiff::Timestamp::now().as_millisecond());
        state.kept.push_back(Line { at, kind, text: Arc::clone(&text) });
        if state.kept.len() > KEPT_MAX {
            state.kept.pop_front();
        }
        drop(state);
        tracing::warn!("{text}");
    }

    /// The latest lines, latest first.
    pub(crate) fn recent(&self) -> Vec<Line> {
        self.state().kept.iter().rev().cloned().collect()
    }

    /// How often each kind of thing has happened since the node was started.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.state().counts.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether to say it, and how many were not said before; `None`: it is not to be said.
    fn say(&mut self, kind: &'static str, key: &str, now: Timestamp) -> Option<u64> {
        *self.counts.entry(kind).or_default() += 1;
        if let Some(said) = self.said.get_mut(key)
            && (now.since_ms(said.at) < AGAIN_MS || !self.lines.has(1, LINES, now))
        {
            said.since += 1;
            return None;
        }
        if !self.lines.take(1, LINES, now) {
            self.unsaid += 1;
            return None;
        }
        let before = match self.said.get_mut(key) {
            Some(said) => std::mem::replace(said, Said { at: now, since: 0 }).since,
            None => {
                self.make_room(now);
                self.said.insert(key.into(), Said { at: now, since: 0 });
                0
            }
        };
        Some(before + std::mem::take(&mut self.unsaid))
    }

    fn make_room(&mut self, now: Timestamp) {
        if self.said.len() < REMEMBERED_MAX {
            return;
        }
        self.said.retain(|_, said| now.since_ms(said.at) < AGAIN_MS);
        if self.said.len() >= REMEMBERED_MAX {
            self.said.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let lines = Bucket::full(LINES, Timestamp(0));
        let (said, counts, kept) = Default::default();
        State { lines, said, unsaid: 0, counts, kept }
    }

    #[test]
    fn the_same_is_said_once_in_a_while_with_how_often_it_happened() {
        let mut state = state();
        assert_eq!(state.say("cut off", "gw-1", Timestamp(0)), Some(0));
        for ms in 1..1_000 {
            assert_eq!(state.say("cut off", "gw-1", Timestamp(ms)), None);
        }
        assert_eq!(state.say("cut off", "gw-2", Timestamp(1_000)), Some(0));
        assert_eq!(state.say("cut off", "gw-1", Timestamp(AGAIN_MS)), Some(999));
        assert_eq!(state.counts.get("cut off"), Some(&1_002));
    }

    #[test]
    fn the_latest_lines_are_kept_for_those_who_look() {
        let warnings = Warnings::default();
        for name in 0..3 {
            warnings.warn("x", &name.to_string(), format_args!("device {name}"));
            warnings.warn("x", &name.to_string(), format_args!("device {name} again"));
        }
        let texts: Vec<_> = warnings.recent().iter().map(|line| line.text.to_string()).collect();
        assert_eq!(texts, ["device 2", "device 1", "device 0"]);
        assert_eq!(warnings.counts().get("x"), Some(&6));
    }

    #[test]
    fn a_thousand_names_do_not_flood_the_log() {
        let mut state = state();
        let said = |state: &mut State, names: std::ops::Range<u32>, ms| {
            let lines = names.filter_map(|name| state.say("x", &name.to_string(), Timestamp(ms)));
            lines.fold((0, 0), |(lines, more), unsaid| (lines + 1, more + unsaid))
        };
        assert_eq!(said(&mut state, 0..1_000, 0), (200, 0));
        assert_eq!(said(&mut state, 1_000..2_000, 1_000), (20, 800), "none is forgotten");
    }

    #[test]
    fn names_are_not_remembered_without_end() {
        let mut state = state();
        for name in 0..50_000 {
            state.say("x", &name.to_string(), Timestamp(name * 100));
            assert!(state.said.len() <= REMEMBERED_MAX);
        }
    }
}
