//! The demo while it plays: one loop over what happens, with bars, keys and a little chaos.

use std::time::{Duration, Instant};

use stepwire_asl::{Entropy, Timestamp};
use tokio::sync::mpsc::UnboundedReceiver;

use super::api::Api;
use super::feed::{self, Feed};
use super::fleet::{Fleet, Told};
use super::keys::Keys;
use super::profiles::{self, Profiles};
use super::progress::Progress;
use super::server::Server;
use super::tracker::Tracker;
use super::{Ending, watch};
use crate::cli::failure::Failure;
use crate::cli::signals::Signals;
use crate::observe::Observation;

/// With nothing happening for so long, nothing more will.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often counts are shown.
const FRAME: Duration = Duration::from_millis(200);
/// How long devices may lose connections because the node was killed.
const AFTERMATH: Duration = Duration::from_secs(5);
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
    /// The node.
    pub server: &'a mut Server,
    /// What the node lets us watch.
    pub feed: Feed,
    /// Asks the node.
    pub api: Api,
    /// ARN of the story's state machine.
    pub machine: String,
    /// When the devices began to connect.
    pub began: Timestamp,
    /// What people see.
    pub progress: &'a mut Progress,
    /// Chooses whose connection is cut.
    pub dice: Entropy,
    /// Whether connections are cut all the time.
    pub chaos: bool,
    /// When the node was last killed.
    pub killed: Option<Instant>,
}

impl Stage<'_> {
    /// Plays until all is settled (if `exit`), or somebody ends it.
    pub(super) async fn play(
        &mut self,
        exit: bool,
        mut tales: UnboundedReceiver<Told>,
        signals: &mut Signals,
    ) -> Result<Ending, Failure> {
        let mut keys = Keys::open();
        self.name_keys(keys.is_some());
        let mut frame = tokio::time::interval(FRAME);
        let mut last = Instant::now();
        loop {
            tokio::select! {
                observation = self.feed.next() => {
                    last = Instant::now();
                    match observation {
                        Some(observation) => self.observe(observation),
                        None => self.watch_again().await?,
                    }
                }
                Some(told) = tales.recv() => {
                    last = Instant::now();
                    self.listen(told);
                }
                line = self.server.says() => self.progress.say(&line),
                _ = frame.tick() => {
                    self.frame();
                    if exit && self.tracker.is_settled() {
                        return Ok(Ending::Settled);
                    }
                    if exit && last.elapsed() > PATIENCE {
                        return Ok(Ending::Stuck);
                    }
                }
                Some(key) = pressed(&mut keys) => match key {
                    'q' => return Ok(Ending::Asked),
                    'k' => self.kill().await?,
                    key => self.obey(key),
                },
                signal = signals.next() => return Ok(signal.into()),
            }
        }
    }

    fn observe(&mut self, observation: Observation) {
        let line = self.tracker.observe(observation);
        self.progress.tell(line.as_ref());
    }

    fn frame(&mut self) {
        if self.chaos && self.dice.next_u64().is_multiple_of(5) {
            self.fleet.cut(1 + self.tracker.counts().online / 50, &mut self.dice);
        }
        self.progress.show(self.tracker.counts(), self.tracker.to_published_p99_ms());
    }

    fn listen(&mut self, told: Told) {
        match told {
            Told::Answered { operation, at } => {
                let line = self.tracker.answered(&operation, at);
                self.progress.tell(line.as_ref());
            }
            // Nobody wonders why connections are lost to a node that was killed.
            Told::Trouble { .. } if self.killed.is_some_and(|at| at.elapsed() < AFTERMATH) => {}
            Told::Trouble { device, why } => self.progress.trouble(&device, &why),
        }
    }

    fn obey(&mut self, key: char) {
        match key {
            'o' => self.open_in_browser(),
            'd' => self.fleet.cut(CUT_BY_KEY, &mut self.dice),
            'c' => {
                self.chaos = !self.chaos;
                let failures =
                    if self.chaos { CHAOS_FAILURES_PERCENT } else { profiles::FAILURES_PERCENT };
                self.profiles.set_failures(failures);
                self.name_keys(true);
            }
            _ => {}
        }
    }

    /// Kills the node as a power cut would, and goes on with it.
    async fn kill(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        self.server.kill().await?;
        let seconds = began.elapsed().as_secs_f64();
        self.progress.say(&format!("killed the node (SIGKILL); it is back after {seconds:.2} s"));
        self.tracker.node_died();
        self.killed = Some(Instant::now());
        self.watch_again().await
    }

    /// Watches the node again, and catches up with what went by unseen.
    async fn watch_again(&mut self) -> Result<(), Failure> {
        let watched = watch(self.server).await;
        self.feed = match watched {
            Ok(feed) => feed,
            Err(failure) => {
                // A node that has ended knows better why.
                let ended = tokio::time::timeout(Duration::from_secs(2), self.server.ended());
                return Err(ended.await.unwrap_or(failure));
            }
        };
        for observation in feed::missed(&self.api, &self.machine, self.began).await? {
            self.observe(observation);
        }
        Ok(())
    }

    fn name_keys(&self, listening: bool) {
        let chaos = if self.chaos { "on" } else { "off" };
        if listening {
            self.progress.keys(&format!(
                "o open console   c chaos: {chaos}   d drop {CUT_BY_KEY} devices   \
                 k kill -9 the node   q quit"
            ));
        }
    }

    fn open_in_browser(&self) {
        let url = format!("http://{}/", self.server.http());
        let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
        let quiet = std::process::Stdio::null;
        let child = std::process::Command::new(opener)
            .arg(&url)
            .stdin(quiet())
            .stdout(quiet())
            .stderr(quiet())
            .spawn();
        if child.is_err() {
            self.progress.say(&format!("open {url} in a browser"));
        }
    }
}

async fn pressed(keys: &mut Option<Keys>) -> Option<char> {
    match keys {
        Some(keys) => keys.next().await,
        None => std::future::pending().await,
    }
}
