//! What became of each connect: the demo's book-keeping. Pure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::summary::Summary;
use crate::observe::Observation;

/// Every run that a device's connect began, by the session that the connect opened.
#[derive(Default)]
pub(super) struct Tracker {
    devices: HashMap<Arc<str>, Device>,
    runs: HashMap<Arc<str>, Run>,
    /// Every execution seen to begin.
    executions: HashSet<Arc<str>>,
    /// Session of each execution that has not ended.
    open: HashMap<Arc<str>, Arc<str>>,
    online: usize,
    seen_online: usize,
    started: usize,
    succeeded: usize,
    failed: usize,
    started_twice: usize,
    ended: usize,
    retried: usize,
    to_published_ms: Vec<i64>,
}

struct Device {
    silent: bool,
    session: Option<Arc<str>>,
}

#[derive(Default)]
struct Run {
    device: Arc<str>,
    connected: Option<Timestamp>,
    started: bool,
    published: Option<Timestamp>,
    answered: Option<Timestamp>,
    ended: Option<End>,
}

struct End {
    succeeded: bool,
    error: Option<Arc<str>>,
    at: Timestamp,
}

/// Something a reader may want to see, about one device.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    /// The device.
    pub device: Arc<str>,
    /// What happened.
    pub text: String,
}

/// How things stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Devices online.
    pub online: usize,
    /// Executions under way.
    pub running: usize,
    /// Executions that succeeded.
    pub succeeded: usize,
    /// Executions that failed.
    pub failed: usize,
    /// Connects without an execution.
    pub lost: usize,
}

impl Tracker {
    /// Devices by name, and whether each is silent.
    pub(super) fn new(devices: impl IntoIterator<Item = (Arc<str>, bool)>) -> Tracker {
        let device = |(name, silent)| (name, Device { silent, session: None });
        Tracker { devices: devices.into_iter().map(device).collect(), ..Tracker::default() }
    }

    /// Takes note of what the node let us see. Facts about others than our devices are left out.
    pub(super) fn observe(&mut self, observation: Observation) -> Option<Line> {
        match observation {
            Observation::Connected { client_id, session, at } => {
                self.connected(client_id, session, at)
            }
            Observation::Disconnected { client_id, session, .. } => {
                self.disconnected(&client_id, &session)
            }
            Observation::ExecutionStarted { execution, input, at } => {
                self.started(execution, &input, at)
            }
            Observation::Published { topic, payload, at } => self.published(&topic, &payload, at),
            Observation::TaskRetried { execution, error, .. } => self.retried(&execution, &error),
            Observation::ExecutionEnded { execution, status, error, at } => {
                self.ended(&execution, &status, error, at)
            }
            Observation::CutOff { .. } => None,
        }
    }

    /// A device sent its answer to `session`'s request.
    pub(super) fn answered(&mut self, session: &str, at: Timestamp) -> Option<Line> {
        let run = self.runs.get_mut(session)?;
        run.answered = Some(at);
        let text = match run.published {
            Some(published) => format!("answers after {} ms", at.since_ms(published)),
            None => "answers".to_owned(),
        };
        Some(Line { device: Arc::clone(&run.device), text })
    }

    /// The node was killed: every connection is gone, and what it let us see may have gaps.
    pub(super) fn node_died(&mut self) {
        self.devices.values_mut().for_each(|device| device.session = None);
        self.online = 0;
    }

    fn connected(&mut self, id: Arc<str>, session: Arc<str>, at: Timestamp) -> Option<Line> {
        let device = self.devices.get_mut(&id)?;
        self.online += usize::from(device.session.is_none());
        device.session = Some(Arc::clone(&session));
        let run = self.runs.entry(session).or_default();
        run.device = Arc::clone(&id);
        run.connected = Some(at);
        self.seen_online = self.seen_online.max(self.online);
        Some(Line { device: id, text: "online".to_owned() })
    }

    fn disconnected(&mut self, id: &str, session: &str) -> Option<Line> {
        let device = self.devices.get_mut(id)?;
        // The session that took over is not ended by the end of the older one.
        if device.session.as_deref() == Some(session) {
            device.session = None;
            self.online -= 1;
        }
        Some(Line { device: id.into(), text: "offline".to_owned() })
    }

    fn started(&mut self, execution: Arc<str>, input: &str, at: Timestamp) -> Option<Line> {
        let input = Json::parse(input).ok()?;
        let device = input.member("clientId")?.as_str()?;
        let session: Arc<str> = input.member("sessionIdentifier")?.as_str()?.into();
        let (device, _) = self.devices.get_key_value(device)?;
        let device = Arc::clone(device);
        if !self.executions.insert(Arc::clone(&execution)) {
            return None;
        }
        if !self.runs.contains_key(&session) {
            // The connect itself went by unseen.
            let at = Timestamp(input.member("timestamp").and_then(Json::as_i64).unwrap_or(at.0));
            self.connected(Arc::clone(&device), Arc::clone(&session), at);
        }
        let run = self.runs.entry(Arc::clone(&session)).or_default();
        if std::mem::replace(&mut run.started, true) {
            self.started_twice += 1;
        }
        self.started += 1;
        let name = execution.rsplit(':').nth(1).unwrap_or_default().to_owned();
        self.open.insert(execution, session);
        Some(Line { device, text: format!("→ {name} started") })
    }

    fn published(&mut self, topic: &str, payload: &str, at: Timestamp) -> Option<Line> {
        let device = topic.strip_prefix("devices/")?.strip_suffix("/config_req")?;
        let payload = Json::parse(payload).ok()?;
        let run = self.runs.get_mut(payload.member("operationId")?.as_str()?)?;
        let wait = at.since_ms(run.connected?);
        if run.published.replace(at).is_none() {
            self.to_published_ms.push(wait);
        }
        let text = format!("→ config_req sent {wait} ms after the connect, waits for {device}");
        Some(Line { device: Arc::clone(&run.device), text })
    }

    fn retried(&mut self, execution: &str, error: &str) -> Option<Line> {
        let run = self.runs.get(self.open.get(execution)?)?;
        self.retried += 1;
        Some(Line { device: Arc::clone(&run.device), text: format!("{error}, tries again") })
    }

    fn ended(
        &mut self,
        execution: &str,
        status: &str,
        error: Option<Arc<str>>,
        at: Timestamp,
    ) -> Option<Line> {
        let session = self.open.remove(execution)?;
        let run = self.runs.get_mut(&session)?;
        let succeeded = status == "SUCCEEDED";
        let took = run.connected.map(|connected| at.since_ms(connected)).unwrap_or_default();
        let how = match (&error, succeeded) {
            (_, true) => "succeeded".to_owned(),
            (Some(error), false) => format!("{}: {error}", status.to_lowercase()),
            (None, false) => status.to_lowercase(),
        };
        self.succeeded += usize::from(succeeded);
        self.failed += usize::from(!succeeded);
        let before = run.ended.replace(End { succeeded, error, at });
        self.ended += usize::from(before.is_none());
        let seconds = took as f64 / 1000.0;
        Some(Line {
            device: Arc::clone(&run.device),
            text: format!("→ {how} after {seconds:.2} s"),
        })
    }

    /// How things stand.
    pub(super) fn counts(&self) -> Counts {
        Counts {
            online: self.online,
            running: self.open.len(),
            succeeded: self.succeeded,
            failed: self.failed,
            lost: self.lost(),
        }
    }

    /// Whether every device has been online and every connect's execution has ended.
    pub(super) fn is_settled(&self) -> bool {
        self.seen_online == self.devices.len() && self.ended == self.runs.len()
    }

    /// Milliseconds from connect to request that 99 % of the runs so far have not exceeded.
    pub(super) fn to_published_p99_ms(&self) -> Option<i64> {
        percentile(&mut self.to_published_ms.clone(), 99)
    }

    /// Connects without an execution.
    fn lost(&self) -> usize {
        self.runs.len() + self.started_twice - self.started
    }

    /// Runs that ended otherwise than they should: an answering device's run has to succeed, a
    /// silent one's to fail by its heartbeat.
    fn unexpected(&self) -> usize {
        let wrong = |run: &&Run| match (&run.ended, self.is_silent(run)) {
            (None, _) => false,
            (Some(end), false) => !end.succeeded,
            (Some(end), true) => end.error.as_deref() != Some("States.Timeout"),
        };
        self.runs.values().filter(wrong).count() + self.started_twice
    }

    fn is_silent(&self, run: &Run) -> bool {
        self.devices.get(&run.device).is_some_and(|device| device.silent)
    }

    /// The end of the story so far.
    pub(super) fn summary(&self) -> Summary {
        let mut to_published = self.to_published_ms.clone();
        let closed = |run: &Run| match (&run.ended, run.answered) {
            (Some(end), Some(answered)) if end.succeeded => Some(end.at.since_ms(answered).max(0)),
            _ => None,
        };
        let mut to_closed: Vec<i64> = self.runs.values().filter_map(closed).collect();
        Summary {
            devices: self.devices.len(),
            silent: self.devices.values().filter(|device| device.silent).count(),
            connected: self.seen_online,
            started: self.started,
            succeeded: self.succeeded,
            failed: self.failed,
            running: self.runs.len() - self.ended - self.lost(),
            lost: self.lost(),
            unexpected: self.unexpected(),
            retried: self.retried,
            profile_failures: 0,
            connect_to_published_p50_ms: percentile(&mut to_published, 50),
            connect_to_published_p99_ms: percentile(&mut to_published, 99),
            answer_to_closed_p50_ms: percentile(&mut to_closed, 50),
            answer_to_closed_p99_ms: percentile(&mut to_closed, 99),
        }
    }
}

/// The smallest of `values` that `percent` of them do not exceed (nearest rank).
fn percentile(values: &mut [i64], percent: usize) -> Option<i64> {
    let rank = (values.len() * percent).div_ceil(100).checked_sub(1)?;
    Some(*values.select_nth_unstable(rank).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker() -> Tracker {
        Tracker::new([("gw-1".into(), false), ("gw-2".into(), true)])
    }

    fn connect(tracker: &mut Tracker, device: &str, session: &str, at: i64) {
        let (client_id, session) = (device.into(), session.into());
        tracker.observe(Observation::Connected { client_id, session, at: Timestamp(at) });
    }

    fn start(tracker: &mut Tracker, device: &str, session: &str) {
        start_as(tracker, device, session, session);
    }

    fn start_as(tracker: &mut Tracker, device: &str, session: &str, name: &str) {
        let input =
            format!(r#"{{"clientId":"{device}","sessionIdentifier":"{session}","timestamp":90}}"#);
        let execution = format!("arn:x:execution:ConfigManagement:{name}").into();
        let input = input.into();
        tracker.observe(Observation::ExecutionStarted { execution, input, at: Timestamp(0) });
    }

    fn publish(tracker: &mut Tracker, device: &str, session: &str, at: i64) {
        let topic = format!("devices/{device}/config_req").into();
        let payload = format!(r#"{{"operationId":"{session}"}}"#).into();
        tracker.observe(Observation::Published { topic, payload, at: Timestamp(at) });
    }

    fn end(tracker: &mut Tracker, session: &str, status: &str, error: Option<&str>, at: i64) {
        let execution = format!("arn:x:execution:ConfigManagement:{session}").into();
        let (status, error) = (status.into(), error.map(Arc::from));
        let at = Timestamp(at);
        tracker.observe(Observation::ExecutionEnded { execution, status, error, at });
    }

    fn whole_story() -> Tracker {
        let mut tracker = tracker();
        connect(&mut tracker, "gw-1", "s1", 100);
        connect(&mut tracker, "gw-2", "s2", 100);
        start(&mut tracker, "gw-1", "s1");
        start(&mut tracker, "gw-2", "s2");
        publish(&mut tracker, "gw-1", "s1", 104);
        publish(&mut tracker, "gw-2", "s2", 110);
        tracker.answered("s1", Timestamp(500));
        end(&mut tracker, "s1", "SUCCEEDED", None, 507);
        end(&mut tracker, "s2", "FAILED", Some("States.Timeout"), 8_110);
        tracker
    }

    #[test]
    fn a_story_that_ends_as_it_should_is_counted_and_measured() {
        let tracker = whole_story();
        let summary = tracker.summary();
        assert!(tracker.is_settled() && summary.is_good());
        let counted = (summary.devices, summary.silent, summary.started);
        assert_eq!((counted, summary.succeeded, summary.failed), ((2, 1, 2), 1, 1));
        assert_eq!(summary.connect_to_published_p50_ms, Some(4));
        assert_eq!(summary.connect_to_published_p99_ms, Some(10));
        assert_eq!(summary.answer_to_closed_p99_ms, Some(7));
    }

    #[test]
    fn a_connect_without_an_execution_is_lost_and_one_without_an_end_is_running() {
        let mut tracker = whole_story();
        let standing = |tracker: &Tracker| {
            let summary = tracker.summary();
            (summary.lost, summary.running, tracker.is_settled(), summary.is_good())
        };
        connect(&mut tracker, "gw-1", "s3", 9_000);
        assert_eq!(standing(&tracker), (1, 0, false, false));
        start(&mut tracker, "gw-1", "s3");
        assert_eq!(standing(&tracker), (0, 1, false, false));
        end(&mut tracker, "s3", "SUCCEEDED", None, 9_500);
        assert_eq!(standing(&tracker), (0, 0, true, true));
    }

    #[test]
    fn a_silent_device_whose_run_succeeds_is_not_good() {
        let mut tracker = whole_story();
        connect(&mut tracker, "gw-2", "s3", 9_000);
        start(&mut tracker, "gw-2", "s3");
        end(&mut tracker, "s3", "SUCCEEDED", None, 9_500);
        assert_eq!(tracker.summary().unexpected, 1);
        assert!(!tracker.summary().is_good());
    }

    #[test]
    fn an_answering_device_whose_run_fails_is_not_good() {
        let mut tracker = whole_story();
        connect(&mut tracker, "gw-1", "s3", 9_000);
        start(&mut tracker, "gw-1", "s3");
        end(&mut tracker, "s3", "FAILED", Some("States.Timeout"), 17_500);
        assert!(!tracker.summary().is_good());
    }

    #[test]
    fn one_connect_that_starts_two_executions_is_not_good() {
        let mut tracker = whole_story();
        start_as(&mut tracker, "gw-1", "s1", "another");
        assert_eq!(tracker.summary().unexpected, 1);
    }

    #[test]
    fn an_execution_that_is_told_twice_counts_once() {
        let mut tracker = whole_story();
        start(&mut tracker, "gw-1", "s1");
        end(&mut tracker, "s1", "SUCCEEDED", None, 507);
        let summary = tracker.summary();
        assert_eq!((summary.started, summary.succeeded, summary.unexpected), (2, 1, 0));
    }

    #[test]
    fn a_connect_that_went_by_unseen_is_known_by_its_execution() {
        let mut tracker = tracker();
        connect(&mut tracker, "gw-1", "s1", 0);
        tracker.node_died();
        assert_eq!(tracker.counts().online, 0);
        start(&mut tracker, "gw-1", "s2");
        publish(&mut tracker, "gw-1", "s2", 100);
        assert_eq!(tracker.counts().online, 1);
        assert_eq!(tracker.summary().connect_to_published_p50_ms, Some(10));
    }

    #[test]
    fn executions_of_others_are_left_out() {
        let mut tracker = whole_story();
        connect(&mut tracker, "stranger", "s9", 0);
        start(&mut tracker, "stranger", "s9");
        end(&mut tracker, "s9", "FAILED", None, 1);
        assert_eq!(tracker.summary().started, 2);
        assert!(tracker.is_settled());
    }

    #[test]
    fn a_taken_over_session_leaves_its_device_online() {
        let mut tracker = tracker();
        connect(&mut tracker, "gw-1", "s1", 0);
        connect(&mut tracker, "gw-1", "s2", 1);
        let gone = Observation::Disconnected {
            client_id: "gw-1".into(),
            session: "s1".into(),
            at: Timestamp(2),
        };
        tracker.observe(gone);
        assert_eq!(tracker.counts().online, 1);
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut values: Vec<i64> = (1..=200).rev().collect();
        assert_eq!(percentile(&mut values, 50), Some(100));
        assert_eq!(percentile(&mut values, 99), Some(198));
        assert_eq!(percentile(&mut [7], 99), Some(7));
        assert_eq!(percentile(&mut [], 50), None);
    }
}
