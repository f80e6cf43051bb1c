//! The bytes of objects: in chunks, so that no record is large and no object is in memory whole.

use std::ops::Range;

use bytes::Bytes;
use stepwire_asl::Json;

use super::record::{Body, Object, chunk_key};
use super::{Objects, Staged, Write};
use crate::read::Read;
use crate::record::Corrupt;

/// Bytes of a chunk; the last one of a body may have fewer.
pub const CHUNK_BYTES: u64 = 256 << 10;
/// Chunks that one request removes; the others follow with later ones.
pub(super) const REMOVED_MAX: u64 = 1_024;

/// Some bytes of one chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    body: u64,
    index: u64,
    within: Range<usize>,
}

impl Slice {
    /// How many bytes.
    pub fn len(&self) -> usize {
        self.within.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.within.is_empty()
    }

    /// The bytes. They are gone once the object is replaced: read from one snapshot.
    pub fn read(&self, read: &dyn Read) -> Result<Bytes, Corrupt> {
        let key = chunk_key(self.body, self.index);
        let corrupt = |why: &str| Corrupt { key: key.clone(), why: why.to_owned() };
        let chunk = Bytes::from(read.get(&key).ok_or_else(|| corrupt("a chunk is missing"))?);
        if chunk.len() < self.within.end {
            return Err(corrupt("a chunk is too short"));
        }
        Ok(chunk.slice(self.within.clone()))
    }
}

impl Object {
    /// Where the bytes of `range` are, in order; what lies beyond the object's end is left out.
    pub fn slices(&self, range: Range<u64>) -> impl Iterator<Item = Slice> + '_ {
        let mut begin = 0;
        self.bodies.iter().flat_map(move |body| {
            let (from, to) = (range.start.max(begin), range.end.min(begin + body.size));
            let within = from.saturating_sub(begin)..to.saturating_sub(begin);
            begin += body.size;
            body.slices(if from < to { within } else { 0..0 })
        })
    }

    /// Its bytes, all of them. For objects whose size the caller has found small enough.
    pub fn bytes(&self, read: &dyn Read) -> Result<Vec<u8>, Corrupt> {
        self.part(0..self.size(), read)
    }

    /// Some of its bytes, which the caller has found to be not too many.
    pub(super) fn part(&self, range: Range<u64>, read: &dyn Read) -> Result<Vec<u8>, Corrupt> {
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        for slice in self.slices(range) {
            bytes.extend_from_slice(&slice.read(read)?);
        }
        Ok(bytes)
    }
}

impl Body {
    /// How many chunks it has.
    pub(super) fn chunks(self) -> u64 {
        self.size.div_ceil(CHUNK_BYTES)
    }

    fn slices(self, range: Range<u64>) -> impl Iterator<Item = Slice> {
        let first = range.start / CHUNK_BYTES;
        let beyond = if range.is_empty() { first } else { range.end.div_ceil(CHUNK_BYTES) };
        (first..beyond).map(move |index| {
            let begin = index * CHUNK_BYTES;
            let from = range.start.saturating_sub(begin);
            let to = (range.end - begin).min(CHUNK_BYTES);
            Slice { body: self.number, index, within: from as usize..to as usize }
        })
    }
}

/// The chunks of `bytes`, in order.
pub(super) fn chunks(bytes: &Bytes) -> impl Iterator<Item = Bytes> + '_ {
    let size = CHUNK_BYTES as usize;
    (0..bytes.len()).step_by(size).map(move |at| bytes.slice(at..bytes.len().min(at + size)))
}

impl Objects {
    /// Stores bytes, or takes over those that are stored.
    pub(super) fn adopt(
        &mut self,
        bytes: &Bytes,
        staged: Option<&Staged>,
        out: &mut Vec<Write>,
    ) -> Vec<Body> {
        match staged {
            None => self.store(bytes, out),
            Some(staged) => {
                self.record(Write::Staged(staged.body.number, None), out);
                vec![staged.body]
            }
        }
    }

    /// Stores some chunks of a body that is still arriving; `body` names it after the first.
    pub(super) fn stage(
        &mut self,
        body: Option<u64>,
        index: u64,
        bytes: &Bytes,
        out: &mut Vec<Write>,
    ) -> Json {
        let number = body.unwrap_or_else(|| self.number(out));
        let mut stored = index;
        for chunk in chunks(bytes) {
            self.record(Write::Chunk { body: number, index: stored, bytes: Some(chunk) }, out);
            stored += 1;
        }
        self.record(Write::Staged(number, Some(stored)), out);
        Json::object([("Body", (number as i64).into())])
    }

    /// A body that was arriving will not be used.
    pub(super) fn unstage(&mut self, number: u64, out: &mut Vec<Write>) {
        if let Some(chunks) = self.staged.get(&number).copied() {
            self.record(Write::Staged(number, None), out);
            self.record(Write::Unused(number, Some(chunks)), out);
        }
    }

    /// What was arriving when the node went down: nobody will use it.
    pub(crate) fn forget_staged(&mut self) -> Vec<Write> {
        let mut out = Vec::new();
        for number in self.staged.keys().copied().collect::<Vec<_>>() {
            self.unstage(number, &mut out);
        }
        out
    }

    /// Stores bytes as one body; nothing when there are none.
    pub(super) fn store(&mut self, bytes: &Bytes, out: &mut Vec<Write>) -> Vec<Body> {
        if bytes.is_empty() {
            return Vec::new();
        }
        let body = Body { number: self.number(out), size: bytes.len() as u64 };
        for (index, chunk) in (0..).zip(chunks(bytes)) {
            self.record(Write::Chunk { body: body.number, index, bytes: Some(chunk) }, out);
        }
        vec![body]
    }

    pub(super) fn number(&mut self, out: &mut Vec<Write>) -> u64 {
        let number = self.next;
        self.record(Write::Next(number + 1), out);
        number
    }

    /// Nothing names this body any more.
    pub(super) fn disuse(&mut self, body: Body, out: &mut Vec<Write>) {
        self.record(Write::Unused(body.number, Some(body.chunks())), out);
    }

    /// Removes some chunks of bodies that are not used. Every changing request does so, so that
    /// none has to remove very many.
    pub(super) fn clean(&mut self, out: &mut Vec<Write>) {
        let mut room = REMOVED_MAX;
        while room > 0 {
            let Some((body, chunks)) = self.unused.first_key_value().map(|(b, c)| (*b, *c)) else {
                return;
            };
            let left = chunks.saturating_sub(room);
            for index in left..chunks {
                self.record(Write::Chunk { body, index, bytes: None }, out);
            }
            room -= chunks - left;
            self.record(Write::Unused(body, Some(left).filter(|left| *left > 0)), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(sizes: &[u64]) -> Object {
        let bodies = sizes.iter().zip(1..).map(|(size, number)| Body { number, size: *size });
        Object {
            bodies: bodies.collect(),
            etag: "".into(),
            modified: stepwire_asl::Timestamp(0),
            headers: super::super::Headers::default(),
            checksum: None,
        }
    }

    #[test]
    fn a_range_is_found_across_bodies_and_chunks() {
        let object = object(&[CHUNK_BYTES + 10, 0, 5, 100]);
        let at = |range: Range<u64>| -> Vec<_> {
            let slices = object.slices(range);
            slices.map(|s| (s.body, s.index, s.within.start, s.within.end)).collect()
        };
        let end = CHUNK_BYTES as usize;
        let size = object.size();
        assert_eq!(at(0..u64::MAX), [(1, 0, 0, end), (1, 1, 0, 10), (3, 0, 0, 5), (4, 0, 0, 100)]);
        assert_eq!(at(CHUNK_BYTES - 1..CHUNK_BYTES + 1), [(1, 0, end - 1, end), (1, 1, 0, 1)]);
        assert_eq!(at(size - 101..size - 99), [(3, 0, 4, 5), (4, 0, 0, 1)]);
        assert_eq!(at(7..7), []);
        assert_eq!(at(size..size + 9), []);
    }
}
