//! How the demo ended.

use std::fmt;

use serde::Serialize;

/// What the demo counted and measured. As JSON its members have these names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Devices that were started.
    pub devices: usize,
    /// Those that never answer.
    pub silent: usize,
    /// Most devices that were online at a time.
    pub connected: usize,
    /// Executions that started.
    pub started: usize,
    /// Executions that succeeded.
    pub succeeded: usize,
    /// Executions that failed.
    pub failed: usize,
    /// Executions that had not ended when the demo was ended.
    pub running: usize,
    /// Connects whose execution did not start, or did not end in a long time.
    pub lost: usize,
    /// Executions that ended otherwise than they should: an answering device's has to succeed, a
    /// silent one's to fail by its heartbeat, and each connect to start one.
    pub unexpected: usize,
    /// Tasks that were tried again.
    pub retried: usize,
    /// Requests that the profile service failed.
    pub profile_failures: u64,
    /// Milliseconds from a connect until the configuration was sent: median.
    pub connect_to_published_p50_ms: Option<i64>,
    /// The same, 99th percentile. Retries of the profile service count.
    pub connect_to_published_p99_ms: Option<i64>,
    /// Milliseconds from a device's answer until its execution had ended: median.
    pub answer_to_closed_p50_ms: Option<i64>,
    /// The same, 99th percentile.
    pub answer_to_closed_p99_ms: Option<i64>,
}

impl Summary {
    /// Whether every device was online, nothing was lost and every run ended as it should.
    pub fn is_good(&self) -> bool {
        let unfinished = self.lost + self.running;
        self.connected == self.devices && unfinished == 0 && self.unexpected == 0
    }

    /// The summary of a demo in which nothing happens any more: what still runs is lost.
    #[must_use]
    pub(super) fn given_up(self) -> Summary {
        Summary { lost: self.lost + self.running, running: 0, ..self }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |value: Option<i64>| match value {
            Some(value) => format!("{value} ms"),
            None => "-".to_owned(),
        };
        writeln!(f, "devices    {} ({} never answer)", self.devices, self.silent)?;
        writeln!(f, "started    {}", self.started)?;
        writeln!(f, "succeeded  {}", self.succeeded)?;
        writeln!(f, "failed     {}", self.failed)?;
        if self.running > 0 {
            writeln!(f, "running    {}", self.running)?;
        }
        writeln!(f, "lost       {}", self.lost)?;
        if self.unexpected > 0 {
            writeln!(f, "unexpected {}", self.unexpected)?;
        }
        writeln!(
            f,
            "retried    {} (the profile service failed {})",
            self.retried, self.profile_failures
        )?;
        writeln!(
            f,
            "connect → published  p50 {}  p99 {}",
            ms(self.connect_to_published_p50_ms),
            ms(self.connect_to_published_p99_ms)
        )?;
        write!(
            f,
            "answer → closed      p50 {}  p99 {}",
            ms(self.answer_to_closed_p50_ms),
            ms(self.answer_to_closed_p99_ms)
        )
    }
}
