//! Bytes of a gzip file as they come, a run at a time.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use flate2::write::MultiGzDecoder;

/// Zipped bytes that one slice takes: they unzip to at most a thousand times as many.
const ZIPPED: u64 = 32 << 10;

/// A file that is being unzipped. Not durable: after a restart it is unzipped anew, and what was
/// done before is passed over.
#[derive(Debug, Default)]
pub(super) struct Unzip {
    key: Arc<str>,
    decoder: Option<MultiGzDecoder<Vec<u8>>>,
    /// Zipped bytes that are done.
    taken: u64,
    /// Place of the first byte that is kept.
    begins: u64,
}

impl Unzip {
    /// The zipped bytes that reading the file on from `offset` needs next; `None`: from its start.
    pub(super) fn wanted(&self, key: &str, offset: Option<u64>, kept_max: u64) -> Range<u64> {
        if !self.is_at(key, offset) {
            return 0..ZIPPED;
        }
        let kept = self.decoder.as_ref().map_or(0, |decoder| decoder.get_ref().len() as u64);
        let more = if kept < kept_max { ZIPPED } else { 0 };
        self.taken..self.taken + more
    }

    /// Takes the bytes that [`Unzip::wanted`] named, of a file of `size`; what is unzipped from
    /// `offset` on, and whether it is all.
    pub(super) fn take(
        &mut self,
        key: &Arc<str>,
        offset: Option<u64>,
        bytes: &[u8],
        size: u64,
    ) -> std::io::Result<(&[u8], bool)> {
        if !self.is_at(key, offset) {
            *self = Unzip { key: Arc::clone(key), ..Unzip::default() };
        }
        let offset = offset.unwrap_or(0);
        let decoder = self.decoder.get_or_insert_with(|| MultiGzDecoder::new(Vec::new()));
        self.taken += bytes.len() as u64;
        let last = self.taken >= size;
        if !bytes.is_empty() {
            decoder.write_all(bytes)?;
            if last {
                decoder.try_finish()?;
            }
        }
        let unzipped = decoder.get_mut();
        let done = usize::try_from(offset - self.begins).unwrap_or(usize::MAX).min(unzipped.len());
        unzipped.drain(..done);
        self.begins += done as u64;
        Ok(if self.begins < offset { (&[], last) } else { (unzipped, last) })
    }

    fn is_at(&self, key: &str, offset: Option<u64>) -> bool {
        *self.key == *key && offset.is_some_and(|offset| self.begins <= offset)
    }
}
