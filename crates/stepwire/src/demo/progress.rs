//! What a person sees while the demo runs: bars on a terminal, else plain lines, fewer of them.
//! All on standard error; standard output is for the summary.

use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::tracker::{Counts, Line};

/// Between two lines of counts when there are no bars.
const LINES_EVERY: Duration = Duration::from_secs(2);
/// Troubles of devices that are told; the rest are counted.
const TROUBLES_TOLD: usize = 5;

/// Tells how the demo goes.
pub(super) struct Progress {
    began: Instant,
    /// The devices whose story is told.
    told: HashSet<Arc<str>>,
    troubles: usize,
    last: (Counts, Instant),
    bars: Option<Bars>,
}

struct Bars {
    all: MultiProgress,
    online: ProgressBar,
    keys: ProgressBar,
}

impl Progress {
    /// Tells the stories of `told`; draws bars if standard error is a terminal.
    pub(super) fn new(devices: u64, told: impl IntoIterator<Item = Arc<str>>) -> Progress {
        let now = Instant::now();
        let bars = std::io::stderr().is_terminal().then(|| Bars::new(devices));
        let last = (Counts::default(), now);
        Progress { began: now, told: told.into_iter().collect(), troubles: 0, last, bars }
    }

    /// Says a whole line.
    pub(super) fn say(&self, text: &str) {
        match &self.bars {
            // A line that cannot be written must not end the demo.
            Some(bars) => drop(bars.all.println(text)),
            None => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }

    /// Tells `line` if its device is among those whose story is told.
    pub(super) fn tell(&self, line: Option<&Line>) {
        if let Some(line) = line.filter(|line| self.told.contains(&line.device)) {
            let seconds = self.began.elapsed().as_secs_f64();
            self.say(&format!("{seconds:9.3} s  {}  {}", line.device, line.text));
        }
    }

    /// Tells of a device that lost its connection without being asked to.
    pub(super) fn trouble(&mut self, device: &str, why: &str) {
        self.troubles += 1;
        if self.troubles <= TROUBLES_TOLD {
            let more =
                if self.troubles == TROUBLES_TOLD { " (further ones are not told)" } else { "" };
            self.say(&format!("warning: `{device}` lost its connection: {why}{more}"));
        }
    }

    /// The counts as they are now.
    pub(super) fn show(&mut self, counts: Counts, p99_ms: Option<i64>) {
        let text = format!(
            "running {}  succeeded {}  failed {}  lost {}  p99 to device {}",
            counts.running,
            counts.succeeded,
            counts.failed,
            counts.lost,
            p99_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms")),
        );
        if let Some(bars) = &self.bars {
            bars.online.set_position(counts.online as u64);
            bars.online.set_message(text);
        } else if counts != self.last.0 && self.last.1.elapsed() >= LINES_EVERY {
            self.last = (counts, Instant::now());
            let seconds = self.began.elapsed().as_secs_f64();
            self.say(&format!("{seconds:9.3} s  online {}  {text}", counts.online));
        }
    }

    /// The line that names the keys.
    pub(super) fn keys(&self, text: &str) {
        if let Some(bars) = &self.bars {
            bars.keys.set_message(text.to_owned());
        }
    }

    /// Takes the bars away.
    pub(super) fn finish(&mut self) {
        if let Some(bars) = self.bars.take() {
            bars.online.abandon();
            bars.keys.finish_and_clear();
        }
    }
}

impl Bars {
    fn new(devices: u64) -> Bars {
        let all = MultiProgress::new();
        let online = all.add(ProgressBar::new(devices));
        let keys = all.add(ProgressBar::new_spinner());
        let style = |template| ProgressStyle::with_template(template).ok();
        if let Some(style) = style("online {pos}/{len} {bar:12}  {msg}") {
            online.set_style(style);
        }
        if let Some(style) = style("{msg}") {
            keys.set_style(style);
        }
        Bars { all, online, keys }
    }
}
