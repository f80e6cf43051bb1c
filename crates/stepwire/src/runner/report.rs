//! An invocation's log, framed as Lambda frames it, and what is told of the invocation.

use std::fmt::Write;
use std::time::Duration;

use super::process::{Outcome, Process, Unusable};
use super::{Ran, Run};

/// What an invocation came to that ran.
pub(super) fn ran(
    run: &Run,
    process: &Process,
    outcome: &Outcome,
    began_ms: i64,
    took: Duration,
    init: Option<Duration>,
) -> Ran {
    let frame = Frame { run, took, init, memory_mb: process.memory_mb() };
    Ran {
        payload: outcome.payload.as_str().into(),
        failed: outcome.failed,
        log: frame.around(&outcome.log).into(),
        stream: std::sync::Arc::clone(&process.stream),
        began_ms,
        took,
        init,
    }
}

/// What an invocation came to whose function has no process.
pub(super) fn unusable(run: &Run, unusable: Unusable, began_ms: i64) -> Ran {
    let took = unusable.took;
    let frame = Frame { run, took, init: Some(took), memory_mb: 0 };
    let payload = unusable.payload(&run.request_id);
    let mut log = unusable.log.to_vec();
    log.extend_from_slice(unusable.message().as_bytes());
    log.push(b'\n');
    Ran {
        payload: payload.into(),
        failed: true,
        log: frame.around(&log).into(),
        stream: unusable.stream,
        began_ms: began_ms - i64::try_from(took.as_millis()).unwrap_or(0),
        took,
        init: Some(took),
    }
}

struct Frame<'a> {
    run: &'a Run,
    took: Duration,
    init: Option<Duration>,
    memory_mb: u64,
}

impl Frame<'_> {
    fn around(&self, log: &[u8]) -> String {
        let (id, record) = (&self.run.request_id, &self.run.record);
        let mut text = format!("START RequestId: {id} Version: {}\n", record.version_text());
        text.push_str(&String::from_utf8_lossy(log));
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        let billed = self.took.as_millis() + 1;
        // Writing to text does not fail.
        let _ = write!(
            text,
            "END RequestId: {id}\nREPORT RequestId: {id}\tDuration: {:.2} ms\tBilled Duration: \
             {billed} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
            ms(self.took),
            record.memory_mb,
            self.memory_mb,
        );
        if let Some(init) = self.init {
            let _ = write!(text, "Init Duration: {:.2} ms\t", ms(init));
        }
        text.push('\n');
        text
    }
}
