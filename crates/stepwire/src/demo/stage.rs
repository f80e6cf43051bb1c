//! The demo while it plays: one loop over what happens, with bars, keys and a little chaos.

use std::time::{Duration, Instant};

use stepwire_asl::Entropy;
use tokio::sync::mpsc::UnboundedReceiver;

use super::Ending;
use super::fleet::{Fleet, Told};
use super::keys::Keys;
use super::profiles::{self, Profiles};
use super::progress::Progress;
use super::tracker::Tracker;
use crate::cli::signals::Signals;
use crate::observe::Observation;

/// With nothing happening for so long, nothing more will.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often counts are shown.
const FRAME: Duration = Duration::from_millis(200);
/// Connections that `d` cuts.
const CUT_BY_KEY: usize = 100;
/// Requests in a hundred that the profile service fails while chaos is on.
const CHAOS_FAILURES_PERCENT: u32 = 30;

/// The demo while it plays.
pub(super) struct Stage<'a> {
    /// What became of each connect.
    pub tracker: Tracker,
    /// The devices.
    pub fleet: Fleet,
    /// The third party.
    pub profiles: &'a Profiles,
    /// URL of the console.
    pub console: String,
    /// Chooses whose connection is cut.
    pub dice: Entropy,
    /// Whether connections are cut all the time.
    pub chaos: bool,
}

impl Stage<'_> {
    /// Plays until all is settled (if `exit`), or somebody ends it.
    pub(super) async fn play(
        &mut self,
        exit: bool,
        progress: &mut Progress,
        mut observations: UnboundedReceiver<Observation>,
        mut tales: UnboundedReceiver<Told>,
        signals: &mut Signals,
    ) -> Ending {
        let mut keys = Keys::open();
        self.name_keys(keys.is_some(), progress);
        let mut frame = tokio::time::interval(FRAME);
        let mut last = Instant::now();
        loop {
            tokio::select! {
                Some(observation) = observations.recv() => {
                    last = Instant::now();
                    let line = self.tracker.observe(observation);
                    progress.tell(line.as_ref());
                }
                Some(told) = tales.recv() => {
                    last = Instant::now();
                    self.listen(told, progress);
                }
                _ = frame.tick() => {
                    self.frame(progress);
                    if exit && self.tracker.is_settled() {
                        return Ending::Settled;
                    }
                    if exit && last.elapsed() > PATIENCE {
                        return Ending::Stuck;
                    }
                }
                Some(key) = pressed(&mut keys) => {
                    if key == 'q' {
                        return Ending::Asked;
                    }
                    self.obey(key, progress);
                }
                signal = signals.next() => return signal.into(),
            }
        }
    }

    fn frame(&mut self, progress: &mut Progress) {
        if self.chaos && self.dice.next_u64().is_multiple_of(5) {
            self.fleet.cut(1 + self.tracker.counts().online / 50, &mut self.dice);
        }
        progress.show(self.tracker.counts(), self.tracker.to_published_p99_ms());
    }

    fn listen(&mut self, told: Told, progress: &mut Progress) {
        match told {
            Told::Answered { operation, at } => {
                let line = self.tracker.answered(&operation, at);
                progress.tell(line.as_ref());
            }
            Told::Trouble { device, why } => progress.trouble(&device, &why),
        }
    }

    fn obey(&mut self, key: char, progress: &mut Progress) {
        match key {
            'o' => open_in_browser(&self.console, progress),
            'd' => self.fleet.cut(CUT_BY_KEY, &mut self.dice),
            'c' => {
                self.chaos = !self.chaos;
                let failures =
                    if self.chaos { CHAOS_FAILURES_PERCENT } else { profiles::FAILURES_PERCENT };
                self.profiles.set_failures(failures);
                self.name_keys(true, progress);
            }
            _ => {}
        }
    }

    fn name_keys(&self, listening: bool, progress: &Progress) {
        let chaos = if self.chaos { "on" } else { "off" };
        if listening {
            progress.keys(&format!(
                "o open console   c chaos: {chaos}   d drop {CUT_BY_KEY} devices   q quit"
            ));
        }
    }
}

async fn pressed(keys: &mut Option<Keys>) -> Option<char> {
    match keys {
        Some(keys) => keys.next().await,
        None => std::future::pending().await,
    }
}

fn open_in_browser(url: &str, progress: &Progress) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = std::process::Stdio::null;
    let child = std::process::Command::new(opener)
        .arg(url)
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .spawn();
    if child.is_err() {
        progress.say(&format!("open {url} in a browser"));
    }
}
