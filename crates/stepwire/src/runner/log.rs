//! What a function's process writes while it runs, bounded.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{mpsc, oneshot};

/// What is kept of an invocation's log, bytes: its end.
const KEPT_MAX: usize = 64 << 10;
/// Longest wait for what a process has written to arrive.
const SETTLE_MAX: Duration = Duration::from_millis(200);

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
            let mut kept = Vec::new();
            let (mut out_piece, mut err_piece) = (vec![0; 8 << 10], vec![0; 8 << 10]);
            let (mut out_open, mut err_open) = (true, true);
            loop {
                // What has been written comes before whoever asks for it.
                tokio::select! {
                    biased;
                    read = out.read(&mut out_piece), if out_open => {
                        out_open = keep(&mut kept, &out_piece, read);
                    }
                    read = err.read(&mut err_piece), if err_open => {
                        err_open = keep(&mut kept, &err_piece, read);
                    }
                    asking = asked.recv() => match asking {
                        Some(asking) => drop(asking.send(std::mem::take(&mut kept))),
                        None => return,
                    },
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

/// Adds a piece, and lets go of the oldest. Whether there may be more.
fn keep(kept: &mut Vec<u8>, piece: &[u8], read: std::io::Result<usize>) -> bool {
    let Ok(length @ 1..) = read else { return false };
    kept.extend_from_slice(&piece[..length]);
    if kept.len() > KEPT_MAX {
        kept.drain(..kept.len() - KEPT_MAX);
    }
    true
}
