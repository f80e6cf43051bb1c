//! What a function's process writes while it runs, bounded.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{mpsc, oneshot};

/// What is kept of the beginning of an invocation's log, bytes.
const HEAD_MAX: usize = 192 << 10;
/// The same of its end.
const TAIL_MAX: usize = 64 << 10;
/// Longest wait for what a process has written to arrive.
const SETTLE_MAX: Duration = Duration::from_millis(200);
/// What is dropped of an invocation's log before reading it slows down, bytes: a process that only
/// writes must not take the time of the others.
const FREE_BYTES: u64 = 1 << 20;
/// How much is then read at a time, bytes, and how long nothing is read after that.
const SLOW: (u64, Duration) = (64 << 10, Duration::from_millis(5));

/// Both output streams of a process, as one log.
pub(super) struct Log(mpsc::Sender<oneshot::Sender<Vec<u8>>>);

impl Log {
    /// Reads the streams until they end.
    pub(super) fn new(
        mut out: impl AsyncRead + Send + Unpin + 'static,
        mut err: impl AsyncRead + Send + Unpin + 'static,
    ) -> Log {
        let (sender, mut asked) = mpsc::channel::<oneshot::Sender<Vec<u8>>>(1);
        tokio::spawn(async move {
            let mut kept = Kept::default();
            let (mut out_piece, mut err_piece) = (vec![0; 8 << 10], vec![0; 8 << 10]);
            let (mut out_open, mut err_open) = (true, true);
            loop {
                // What has been written comes before whoever asks for it, unless there is no end of it.
                if kept.dropped > 0
                    && let Ok(asking) = asked.try_recv()
                {
                    drop(asking.send(kept.take()));
                }
                tokio::select! {
                    biased;
                    read = out.read(&mut out_piece), if out_open => {
                        out_open = kept.add(&out_piece, read);
                    }
                    read = err.read(&mut err_piece), if err_open => {
                        err_open = kept.add(&err_piece, read);
                    }
                    asking = asked.recv() => match asking {
                        Some(asking) => drop(asking.send(kept.take())),
                        None => return,
                    },
                }
                if kept.dropped > kept.paused_at + SLOW.0 && kept.dropped > FREE_BYTES {
                    kept.paused_at = kept.dropped;
                    tokio::time::sleep(SLOW.1).await;
                }
            }
        });
        Log(sender)
    }

    /// What was written since this was asked last.
    pub(super) async fn take(&self) -> Vec<u8> {
        let (sender, answer) = oneshot::channel();
        let asked = async {
            self.0.send(sender).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(SETTLE_MAX, asked).await.ok().flatten().unwrap_or_default()
    }
}

/// The beginning and the end of what was written.
#[derive(Default)]
struct Kept {
    head: Vec<u8>,
    tail: Vec<u8>,
    dropped: u64,
    paused_at: u64,
}

impl Kept {
    /// Adds a piece. Whether there may be more.
    fn add(&mut self, piece: &[u8], read: std::io::Result<usize>) -> bool {
        let Ok(length @ 1..) = read else { return false };
        let piece = &piece[..length];
        let room = HEAD_MAX - self.head.len();
        let (first, rest) = piece.split_at(room.min(length));
        self.head.extend_from_slice(first);
        self.tail.extend_from_slice(rest);
        // Twice as much before any of it goes: it is moved seldom.
        if self.tail.len() > 2 * TAIL_MAX {
            self.cut();
        }
        true
    }

    fn cut(&mut self) {
        let over = self.tail.len().saturating_sub(TAIL_MAX);
        self.tail.drain(..over);
        self.dropped += over as u64;
    }

    fn take(&mut self) -> Vec<u8> {
        self.cut();
        let Kept { mut head, tail, dropped, .. } = std::mem::take(self);
        if dropped > 0 {
            let line = format!("\n[stepwire: {dropped} bytes of output are left out here]\n");
            head.extend_from_slice(line.as_bytes());
        }
        head.extend_from_slice(&tail);
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_keeps_its_beginning_and_its_end_and_says_what_is_missing() {
        let mut kept = Kept::default();
        let piece = [b'x'; 8 << 10];
        assert!(kept.add(b"first", Ok(5)));
        for _ in 0..1_000 {
            assert!(kept.add(&piece, Ok(piece.len())));
        }
        assert!(kept.add(b"last", Ok(4)));
        let text = String::from_utf8(kept.take()).unwrap_or_default();
        assert!(text.starts_with("firstx") && text.ends_with("xlast"));
        let left_out = 5 + 4 + 1_000 * piece.len() - HEAD_MAX - TAIL_MAX;
        assert!(
            text.contains(&format!("[stepwire: {left_out} bytes of output are left out here]"))
        );
        assert!(text.len() < HEAD_MAX + TAIL_MAX + 100);
        assert!(kept.take().is_empty());
    }
}
