//! A store in memory: durable as long as the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::{Batch, Error, Fence, Key, Seq, Snapshot, Store};

/// A key's values, newest last; `None` where it was removed.
type Versions = Vec<(u64, Option<Arc<[u8]>>)>;

/// A store in memory.
#[derive(Debug, Default, Clone)]
pub struct Memory {
    state: Arc<RwLock<State>>,
    /// Snapshots in use, by the commit they see.
    readers: Arc<Mutex<BTreeMap<u64, usize>>>,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<Key, Versions>,
    last: u64,
    fence: Fence,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Memory {
        Memory::default()
    }

    fn oldest_reader(&self) -> u64 {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.keys().next().copied().unwrap_or(u64::MAX)
    }
}

impl Store for Memory {
    fn snapshot(&self) -> Box<dyn Snapshot> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let at = state.last;
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        *readers.entry(at).or_default() += 1;
        Box::new(View { memory: self.clone(), at })
    }

    fn position(&self) -> Seq {
        Seq(self.state.read().unwrap_or_else(PoisonError::into_inner).last)
    }

    fn commit(&self, batch: Batch, fence: Fence) -> Result<Seq, Error> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if fence < state.fence {
            return Err(Error::Fenced { given: fence, current: state.fence });
        }
        state.fence = fence;
        let seq = state.last + 1;
        let oldest = self.oldest_reader().min(seq);
        for (key, value) in batch.entries {
            let versions = state.entries.entry(key.clone()).or_default();
            versions.push((seq, value.map(Arc::from)));
            // Nobody can see what is older than the newest version the oldest reader sees.
            let seen = versions.iter().rposition(|(at, _)| *at <= oldest).unwrap_or(0);
            versions.drain(..seen);
            if matches!(versions.as_slice(), [(_, None)]) {
                state.entries.remove(&key);
            }
        }
        state.last = seq;
        Ok(Seq(seq))
    }
}

struct View {
    memory: Memory,
    at: u64,
}

impl View {
    fn visible(&self, versions: &Versions) -> Option<Vec<u8>> {
        let (_, value) = versions.iter().rev().find(|(at, _)| *at <= self.at)?;
        value.as_ref().map(|value| value.to_vec())
    }
}

impl Snapshot for View {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let state = self.memory.state.read().unwrap_or_else(PoisonError::into_inner);
        Ok(state.entries.get(key).and_then(|versions| self.visible(versions)))
    }

    fn range(
        &self,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<(Key, Vec<u8>)>, Error> {
        if from >= to {
            return Ok(Vec::new());
        }
        let state = self.memory.state.read().unwrap_or_else(PoisonError::into_inner);
        let run = state.entries.range(from.to_vec()..to.to_vec());
        let visible =
            |(key, versions): (&Key, &Versions)| Some((key.clone(), self.visible(versions)?));
        Ok(if reverse {
            run.rev().filter_map(visible).take(limit).collect()
        } else {
            run.filter_map(visible).take(limit).collect()
        })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let mut readers = self.memory.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = readers.get_mut(&self.at) {
            *count -= 1;
            if *count == 0 {
                readers.remove(&self.at);
            }
        }
    }
}
