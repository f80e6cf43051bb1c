//! Pages stay current: what changed is told by commits, what a page looks like then by drawing it.
//!
//! Every commit has a position, which is durable like itself. The id of an event is the position of
//! the last commit that the page surely shows. When a stream begins, the page is drawn and compared
//! with what the browser was given: the digest that its address carries. If it came out different,
//! all of it is sent; later only what came out different is. A browser that comes back says which
//! event it had last, and is sent all of the page as soon as something has changed after it, as far as
//! this process knows: nothing is missed, whatever happened meanwhile and to whom.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::Uri;
use axum::http::request::Parts;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use stepwire_asl::Json;
use stepwire_console::{Mark, Page};
use stepwire_core::effect::Report;
use stepwire_core::executions::{self, ExecutionId, Origin};
use stepwire_core::{Effect, Write, broker, registry};
use stepwire_store::Seq;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::visit::Visit;
use crate::node::Node;

/// Changes that are remembered for those who come back.
const REMEMBERED_MAX: usize = 4_096;
/// After what time a browser asks again that has lost the node.
const AGAIN: Duration = Duration::from_secs(1);
/// Drawings that may follow each other at once after a quiet time: one event leads to the next.
const AT_ONCE: u32 = 4;

/// Something that pages show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Topic {
    /// One execution.
    Execution(ExecutionId),
    /// Any execution has begun or ended.
    Executions,
    /// Any execution at all has changed.
    Steps,
    /// Presence, messages, executions or registry entry of one device, by client id or thing name.
    Device(Arc<str>),
    /// Presence or registry entry of any device.
    Devices,
    /// Messages that the rules have seen, and what was refused.
    Messages,
    /// Any job of AWS IoT.
    Jobs,
    /// One job of AWS IoT, and what things do of it.
    Job(Arc<str>),
    /// Topic rules.
    Rules,
    /// State machines.
    Workflows,
    /// Functions and their invocations.
    Functions,
    /// Tables and what is in them.
    Tables,
}

/// When a page is drawn again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interest {
    /// What it shows.
    pub(crate) topics: Vec<Topic>,
    /// Time between two drawings while it changes all the time; after a quiet time the first few
    /// follow each other at once.
    pub(crate) pace: Duration,
    /// It is drawn after this time even if nothing is told, for numbers that change by themselves.
    pub(crate) every: Option<Duration>,
    /// A member of the query that the page has while it is open: what was newest when it was
    /// opened, so that rows do not move under the mouse.
    pub(crate) pin: Option<String>,
}

impl Topic {
    fn execution(&self) -> Option<ExecutionId> {
        match self {
            Topic::Execution(id) => Some(*id),
            _ => None,
        }
    }
}

impl Interest {
    /// In `topics`, drawn once in `pace_ms` milliseconds while they change all the time.
    pub(crate) fn in_topics(topics: impl Into<Vec<Topic>>, pace_ms: u64) -> Interest {
        let pace = Duration::from_millis(pace_ms);
        Interest { topics: topics.into(), pace, every: None, pin: None }
    }

    /// Whether the page can change while it is open.
    pub(crate) fn is_any(&self) -> bool {
        !self.topics.is_empty() || self.every.is_some()
    }
}

/// What changed, and who waits for it.
pub(crate) struct Live {
    /// Tells this process from those before it, which knew of more than what is durable.
    process: u64,
    changes: Mutex<Changes>,
    turn: watch::Sender<u64>,
    /// Open pages. While there are none, changes are counted and not looked at.
    watching: AtomicUsize,
}

/// Where pages are: what they show at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct At {
    /// Counts what is told in this process: commits, and what leaves between two of them.
    turn: u64,
    /// Position of the last commit.
    commit: Seq,
}

#[derive(Default)]
struct Changes {
    at: At,
    /// What changed, oldest first.
    remembered: VecDeque<Change>,
    /// The last change of which nothing else is known.
    forgotten: At,
}

struct Change {
    /// The first turn that shows it, and the first commit whose pages all do.
    shown: At,
    topics: Vec<Topic>,
}

impl Changes {
    /// One more, which a page surely shows that shows `commit`.
    fn next(&mut self, commit: Seq) -> At {
        self.at.turn += 1;
        At { turn: self.at.turn, commit }
    }

    /// What leaves follows the last commit: a page of that commit may have been without it.
    fn leaves(&mut self) -> At {
        self.next(Seq(self.at.commit.0 + 1))
    }
}

impl Live {
    /// For a store whose last commit is `position`.
    pub(crate) fn new(position: Seq) -> Live {
        let mut process = [0; 8];
        // Without randomness a page that comes back after a restart might believe that it is current.
        let filled = getrandom::fill(&mut process);
        let process =
            if filled.is_ok() { u64::from_ne_bytes(process) } else { std::process::id().into() };
        let at = At { turn: 0, commit: position };
        Live {
            process,
            changes: Mutex::new(Changes { at, remembered: VecDeque::new(), forgotten: at }),
            turn: watch::channel(0).0,
            watching: AtomicUsize::new(0),
        }
    }

    /// Takes in what the commit at `position` has made durable. `origin` knows what began an
    /// execution of late.
    pub(crate) fn writes(
        &self,
        position: Seq,
        writes: &[Write],
        origin: impl Fn(ExecutionId) -> Option<Arc<Origin>>,
    ) {
        let committed = |changes: &mut Changes| {
            changes.at.commit = position;
            changes.next(position)
        };
        self.changed(committed, |topics| {
            writes.iter().for_each(|write| topics_of(write, topics));
            let changed: BTreeSet<ExecutionId> =
                topics.iter().filter_map(Topic::execution).collect();
            for origin in changed.into_iter().filter_map(origin) {
                topics.extend(devices(&origin));
            }
        });
    }

    /// Takes in that executions are known which were not: those of any device.
    pub(crate) fn executions_known(&self) {
        let mut changes = self.changes();
        changes.forgotten = changes.leaves();
        self.turn.send_replace(changes.at.turn);
    }

    /// Takes in what leaves.
    pub(crate) fn effect(&self, effect: &Effect) {
        match effect {
            Effect::Seen(seen) => self.changed(Changes::leaves, |topics| {
                topics.push(Topic::Messages);
                if let stepwire_core::message::Origin::Client(client) = &seen.message.origin {
                    topics.push(Topic::Device(Arc::clone(&client.id)));
                }
            }),
            Effect::Report(Report::Refused { client, .. }) => {
                self.changed(Changes::leaves, |topics| {
                    topics.push(Topic::Messages);
                    topics.extend(client.clone().map(Topic::Device));
                });
            }
            _ => {}
        }
    }

    /// A message leaves for a client.
    pub(crate) fn sent(&self, client: &Arc<str>) {
        // While nobody looks, a message to everybody must not cost a lock for each.
        if self.watching.load(Ordering::Relaxed) > 0 {
            self.changed(Changes::leaves, |topics| {
                topics.push(Topic::Device(Arc::clone(client)));
            });
        }
    }

    fn changed(&self, next: impl FnOnce(&mut Changes) -> At, fill: impl FnOnce(&mut Vec<Topic>)) {
        let mut changes = self.changes();
        let shown = next(&mut changes);
        if self.watching.load(Ordering::Relaxed) == 0 {
            changes.remembered.clear();
            changes.forgotten = shown;
            return;
        }
        let mut topics = Vec::new();
        fill(&mut topics);
        if topics.is_empty() {
            return;
        }
        changes.remembered.push_back(Change { shown, topics });
        if changes.remembered.len() > REMEMBERED_MAX
            && let Some(oldest) = changes.remembered.pop_front()
        {
            changes.forgotten = oldest.shown;
        }
        drop(changes);
        self.turn.send_replace(shown.turn);
    }

    /// Pages that are open and stay current.
    pub(super) fn open_pages(&self) -> usize {
        self.watching.load(Ordering::Relaxed)
    }

    /// Where the last commit is that pages are told of.
    pub(super) fn position(&self) -> Seq {
        self.at().commit
    }

    fn at(&self) -> At {
        self.changes().at
    }

    /// Whether anything in `topics` has changed after `turn`, as far as is known.
    fn is_newer(&self, turn: u64, topics: &[Topic]) -> bool {
        let changes = self.changes();
        let mut later = changes.remembered.iter().rev().take_while(|it| it.shown.turn > turn);
        changes.forgotten.turn > turn || later.any(|it| it.is_in(topics))
    }

    /// From where on a page goes on that shows the commit at `position` and was told so by this
    /// process. `None` if something in `topics` may have changed after it.
    fn resumed(&self, position: Seq, topics: &[Topic]) -> Option<At> {
        let changes = self.changes();
        let mut later = changes.remembered.iter().rev().take_while(|it| it.shown.commit > position);
        let is_newer = changes.forgotten.commit > position || later.any(|it| it.is_in(topics));
        (!is_newer && position <= changes.at.commit).then_some(changes.at)
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    fn is_in(&self, topics: &[Topic]) -> bool {
        self.topics.iter().any(|it| topics.contains(it))
    }
}

fn topics_of(write: &Write, topics: &mut Vec<Topic>) {
    match write {
        Write::Executions(write) => match write {
            executions::Write::History(id, _) => {
                topics.extend([Topic::Execution(*id), Topic::Steps]);
            }
            executions::Write::Execution(id, record) => {
                topics.extend([Topic::Execution(*id), Topic::Executions]);
                topics.extend(record.origin.iter().flat_map(|origin| devices(origin)));
            }
            executions::Write::Machine(_) | executions::Write::Part(_) => {
                topics.push(Topic::Workflows);
            }
            _ => {}
        },
        Write::Broker(broker::Write::Session { client, .. }) => {
            topics.extend([Topic::Device(Arc::clone(client)), Topic::Devices]);
        }
        Write::Registry(write) => {
            topics.push(Topic::Devices);
            if let registry::Write::Things(things) = write {
                topics.push(Topic::Device(Arc::clone(things.thing())));
            }
        }
        Write::Shadow(write) => topics.push(Topic::Device(Arc::clone(&write.thing))),
        Write::Jobs(write) => {
            topics.extend([Topic::Jobs, Topic::Job(Arc::clone(write.job()))]);
            topics.extend(write.thing().map(|thing| Topic::Device(Arc::clone(thing))));
        }
        Write::Rules(_) | Write::Destinations(_) => topics.push(Topic::Rules),
        Write::Functions(_) => topics.push(Topic::Functions),
        Write::Tables(_) => topics.push(Topic::Tables),
        _ => {}
    }
}

/// The device that an execution is about, by both names.
fn devices(origin: &Origin) -> impl Iterator<Item = Topic> {
    origin.devices().cloned().map(Topic::Device)
}

/// Where the page of `visit` is live, from now on.
pub(super) fn address(visit: &Visit, interest: &Interest, drawn: &Page) -> String {
    let mut page = visit.address().to_owned();
    if let Some(pin) = &interest.pin {
        page.push(if page.contains('?') { '&' } else { '?' });
        page.push_str(pin);
    }
    let page = utf8_percent_encode(&page, NON_ALPHANUMERIC);
    let process = process(visit.node());
    format!("/-/console/live?page={page}&process={process}&shown={}", digest(drawn))
}

/// What tells a page from the same page when it looks otherwise.
fn digest(page: &Page) -> String {
    let mut hasher = DefaultHasher::new();
    page.parts.regions.hash(&mut hasher);
    page.parts.lists.hash(&mut hasher);
    page.parts.marks.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn process(node: &Node) -> String {
    format!("{:016x}", node.live().process)
}

/// Answers `GET /-/console/live?page=ADDRESS&process=ID&shown=DIGEST`: what of the page becomes
/// different. A browser that had an event before says which: `Last-Event-ID`, or `since`.
pub(super) fn stream(node: &Node, parts: &Parts) -> Response {
    let asked = Visit::new(node, parts);
    let Some(page) = asked.query("page").and_then(|page| page.parse::<Uri>().ok()) else {
        return (axum::http::StatusCode::BAD_REQUEST, "`page` is missing\n").into_response();
    };
    let last = parts.headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default().into());
    let begin = match last.or_else(|| asked.query("since")) {
        None => asked.query("shown").map_or(Begin::Unknown, Begin::Given),
        // What another process knew and this one does not may stand on the page.
        Some(_) if asked.query("process") != Some(process(node)) => Begin::Unknown,
        Some(last) => last.parse().map_or(Begin::Unknown, |it| Begin::Told(Seq(it))),
    };
    let watched = Watched::new(node, page, begin);
    let events = stream::unfold(watched, async |mut watched| {
        let event = watched.next().await?;
        Some((Ok::<_, Infallible>(event), watched))
    });
    // A browser that loses the node asks again after this time.
    let first = stream::once(async { Ok(Event::default().retry(AGAIN)) });
    let events = first.chain(events).take_until(node.stopping());
    Sse::new(events.boxed()).keep_alive(KeepAlive::default()).into_response()
}

/// What a browser shows when its stream begins.
enum Begin {
    /// What has this digest.
    Given(String),
    /// What it was told by this process, and then lost the stream.
    Told(Seq),
    Unknown,
}

/// A page that is open.
struct Watched {
    node: Node,
    page: Uri,
    /// What it shows before anything is sent.
    begin: Begin,
    /// What it shows is at least this new; `None`: not known.
    shown: Option<At>,
    /// What it shows; `None`: not known.
    sent: Option<Sent>,
    ticket: Ticket,
    told: watch::Receiver<u64>,
    drawn: Option<Instant>,
    pace: Pace,
}

/// When a page may be drawn again.
#[derive(Default)]
struct Pace {
    /// When it would be, if it were never drawn twice at once.
    even: Option<Instant>,
}

impl Pace {
    /// It is drawn `now`, and as often as once in `pace` from now on.
    fn drawn(&mut self, now: Instant, pace: Duration) {
        self.even = Some(self.even.map_or(now, |even| even.max(now)) + pace);
    }

    /// From when on it may be drawn.
    fn next(&self, pace: Duration) -> Option<Instant> {
        self.even?.checked_sub(pace * (AT_ONCE - 1))
    }
}

#[derive(Default, PartialEq)]
struct Sent {
    regions: HashMap<String, String>,
    lists: HashMap<String, Vec<(String, String)>>,
    marks: HashMap<String, Mark>,
}

/// One of those who watch.
struct Ticket(Node);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.live().watching.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Watched {
    fn new(node: &Node, page: Uri, begin: Begin) -> Watched {
        let live = node.live();
        live.watching.fetch_add(1, Ordering::Relaxed);
        let (told, ticket) = (live.turn.subscribe(), Ticket(node.clone()));
        let (node, shown, sent, drawn) = (node.clone(), None, None, None);
        Watched { node, page, begin, shown, sent, ticket, told, drawn, pace: Pace::default() }
    }

    /// The next event; `None` when the page is gone.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let visit = Visit::of(&self.node, &self.page);
            let interest = super::interest(&visit);
            if let Begin::Told(position) = self.begin {
                self.begin = Begin::Unknown;
                self.shown = self.node.live().resumed(position, &interest.topics);
                self.drawn = Some(Instant::now());
            }
            if self.shown.is_some() || self.sent.is_some() {
                self.wait(&interest).await?;
            }
            self.told.mark_unchanged();
            let at = self.node.live().at();
            let now = Instant::now();
            self.drawn = Some(now);
            self.pace.drawn(now, interest.pace);
            let visit = Visit::of(&self.node, &self.page);
            let Ok(page) = super::draw(&visit).await else {
                let is_said = self.shown.is_none() && self.sent.is_some();
                (self.shown, self.sent) = (None, Some(Sent::default()));
                // It is said once; the page may come back.
                if is_said {
                    continue;
                }
                return Some(Event::default().event("gap").data("gone"));
            };
            let begin = std::mem::replace(&mut self.begin, Begin::Unknown);
            let current = matches!(begin, Begin::Given(given) if given == digest(&page));
            let drawn = Sent::of(&page);
            let nothing = Sent::default();
            let before = match &self.sent {
                Some(sent) => sent,
                None if current => &drawn,
                None => &nothing,
            };
            let parts = different(&page, before);
            self.shown = Some(at);
            self.sent = Some(drawn);
            if let Some(parts) = parts {
                let id = at.commit.0.to_string();
                return Some(Event::default().event("parts").id(id).data(parts.to_text()));
            }
        }
    }

    /// Waits until the page may have become different.
    async fn wait(&mut self, interest: &Interest) -> Option<()> {
        let live = self.ticket.0.live();
        let late = interest.every.zip(self.drawn).map(|(every, drawn)| drawn + every);
        let shown = self.shown.map_or(0, |shown| shown.turn);
        while self.shown.is_some() && !live.is_newer(shown, &interest.topics) {
            tokio::select! {
                told = self.told.changed() => told.ok()?,
                () = until(late) => break,
            }
        }
        if let Some(next) = self.pace.next(interest.pace) {
            sleep_until(next).await;
        }
        if self.shown.is_none() {
            // It was gone: it may come back.
            sleep(Duration::from_secs(1)).await;
        }
        Some(())
    }
}

/// At `time`, or never.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

impl Sent {
    fn of(page: &Page) -> Sent {
        let marks = page.parts.marks.iter().map(|mark| (mark.id.clone(), mark.clone()));
        Sent {
            regions: page.parts.regions.iter().cloned().collect(),
            lists: page.parts.lists.iter().cloned().collect(),
            marks: marks.collect(),
        }
    }
}

/// What of `page` differs from what was sent.
fn different(page: &Page, sent: &Sent) -> Option<Json> {
    let regions = page.parts.regions.iter();
    let regions = regions.filter(|(id, html)| sent.regions.get(id) != Some(html));
    let regions = regions.map(|(id, html)| Json::array([id.as_str().into(), html.as_str().into()]));
    let marks = page.parts.marks.iter();
    let marks = marks.filter(|mark| sent.marks.get(&mark.id) != Some(mark)).map(|mark| {
        let mut members =
            vec![("id", Json::from(mark.id.as_str())), ("class", Json::from(mark.class.as_str()))];
        members.extend(mark.badge.map(|badge| ("badge", badge.into())));
        members.extend(mark.label.as_deref().map(|label| ("label", label.into())));
        Json::object(members)
    });
    let lists = page.parts.lists.iter().filter_map(|(id, children)| {
        let before = sent.lists.get(id).map(Vec::as_slice).unwrap_or_default();
        (children != before).then(|| list_of(id, children, before))
    });
    let parts = [
        ("regions", regions.collect::<Vec<_>>()),
        ("lists", lists.collect()),
        ("marks", marks.collect()),
    ];
    let any = parts.iter().any(|(_, part)| !part.is_empty());
    any.then(|| Json::object(parts.map(|(name, part)| (name, Json::array(part)))))
}

/// The keys of a list's children, with what is in those that came out different.
fn list_of(id: &str, children: &[(String, String)], before: &[(String, String)]) -> Json {
    let before: HashMap<&str, &str> = before.iter().map(|(key, it)| (&**key, &**it)).collect();
    let children = children.iter().map(|(key, child)| {
        let key_alone = before.get(&**key) == Some(&&**child);
        let child = (!key_alone).then(|| Json::from(child.as_str()));
        Json::array([Json::from(key.as_str())].into_iter().chain(child))
    });
    Json::array([id.into(), Json::array(children)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> Topic {
        Topic::Device(name.into())
    }

    fn leaves(live: &Live, name: &str) {
        live.changed(Changes::leaves, |topics| topics.push(topic(name)));
    }

    fn commit(live: &Live, position: u64, client: &str) {
        let session = broker::Write::Session { client: client.into(), record: None };
        live.writes(Seq(position), &[Write::Broker(session)], |_| None);
    }

    #[test]
    fn of_a_list_those_children_are_sent_that_are_new_or_different() {
        let list = |children: &[(&str, &str)]| -> Vec<(String, String)> {
            let owned = children.iter().map(|(key, it)| ((*key).to_owned(), (*it).to_owned()));
            owned.collect()
        };
        let before = list(&[("1", "a"), ("2", "b"), ("3", "c")]);
        let after = list(&[("2", "b"), ("3", "C"), ("4", "d")]);
        let sent = list_of("events", &after, &before).to_text();
        assert_eq!(sent, r#"["events",[["2"],["3","C"],["4","d"]]]"#);
    }

    #[test]
    fn after_a_quiet_time_a_page_is_drawn_a_few_times_at_once_and_then_at_its_pace() {
        let (pace, begin) = (Duration::from_millis(60), Instant::now());
        let mut page = Pace::default();
        let mut draw = |ready: u64| {
            let ready = begin + Duration::from_millis(ready);
            let at = page.next(pace).map_or(ready, |next| next.max(ready));
            page.drawn(at, pace);
            (at - begin).as_millis()
        };
        assert_eq!([0; 7].map(&mut draw), [0, 0, 0, 0, 60, 120, 180]);
        assert_eq!([1_000; 5].map(&mut draw), [1_000, 1_000, 1_000, 1_000, 1_060]);
    }

    #[test]
    fn what_changed_is_known_while_somebody_watches() {
        let live = Live::new(Seq(7));
        live.watching.fetch_add(1, Ordering::Relaxed);
        leaves(&live, "a");
        let at = live.at().turn;
        assert!(live.is_newer(0, &[topic("a")]));
        assert!(!live.is_newer(0, &[topic("b")]));
        assert!(!live.is_newer(at, &[topic("a")]));
        leaves(&live, "b");
        assert!(live.is_newer(at, &[topic("b")]));
    }

    #[test]
    fn pages_of_a_device_are_told_of_an_execution_that_began_long_ago() {
        let origin = Origin {
            rule: "rule".into(),
            topic: "topic".into(),
            client: Some("client".into()),
            thing: Some("thing".into()),
        };
        let record = executions::ExecutionRecord {
            name: "run".into(),
            status: executions::Status::Failed,
            started: stepwire_asl::Timestamp(0),
            stopped: Some(stepwire_asl::Timestamp(1)),
            input_digest: [0; 16],
            revision: 1,
            trace_header: None,
            parent: None,
            machine_revision: 1,
            version: None,
            alias: None,
            items: 0,
            redriven: None,
            test_case: None,
            origin: Some(Arc::new(origin)),
        };
        let id = ExecutionId { machine: 1, number: 1 };
        let ended = Write::Executions(executions::Write::Execution(id, record));
        let live = Live::new(Seq(7));
        live.watching.fetch_add(1, Ordering::Relaxed);
        live.writes(Seq(8), &[ended], |_| None);
        assert!(live.is_newer(0, &[topic("thing")]));
        assert!(live.is_newer(0, &[topic("client")]));
        assert!(!live.is_newer(0, &[topic("other")]));
    }

    #[test]
    fn what_nobody_looked_at_may_have_been_anything() {
        let live = Live::new(Seq(7));
        leaves(&live, "a");
        live.watching.fetch_add(1, Ordering::Relaxed);
        assert!(live.is_newer(0, &[topic("b")]));
        assert!(!live.is_newer(live.at().turn, &[topic("b")]));
        assert_eq!(live.resumed(Seq(7), &[topic("b")]), None);
        commit(&live, 8, "a");
        assert!(live.resumed(Seq(8), &[topic("b")]).is_some());
    }

    #[test]
    fn more_changes_than_are_remembered_are_any_change() {
        let live = Live::new(Seq(7));
        live.watching.fetch_add(1, Ordering::Relaxed);
        (8..).take(REMEMBERED_MAX + 1).for_each(|position| commit(&live, position, "a"));
        assert!(live.is_newer(0, &[topic("b")]));
        assert!(!live.is_newer(2, &[topic("b")]));
        assert_eq!(live.resumed(Seq(7), &[topic("b")]), None);
        assert!(live.resumed(Seq(8), &[topic("b")]).is_some());
    }

    #[test]
    fn a_page_goes_on_after_its_commit_unless_something_in_it_may_have_changed_since() {
        let live = Live::new(Seq(7));
        live.watching.fetch_add(1, Ordering::Relaxed);
        assert!(live.resumed(Seq(7), &[topic("a")]).is_some());
        assert_eq!(live.resumed(Seq(6), &[topic("a")]), None);
        commit(&live, 8, "a");
        assert_eq!(live.resumed(Seq(7), &[topic("a")]), None);
        assert_eq!(live.resumed(Seq(7), &[topic("b")]), Some(live.at()));
        assert_eq!(live.resumed(Seq(8), &[topic("a")]), Some(At { turn: 1, commit: Seq(8) }));
        // Of another folder, or of the future.
        assert_eq!(live.resumed(Seq(9), &[topic("b")]), None);
        // The page of commit 8 may have been drawn before or after what left then.
        leaves(&live, "a");
        assert_eq!(live.resumed(Seq(8), &[topic("a")]), None);
        assert!(live.resumed(Seq(8), &[topic("b")]).is_some());
        commit(&live, 9, "b");
        assert!(live.resumed(Seq(9), &[topic("a")]).is_some());
        live.executions_known();
        assert_eq!(live.resumed(Seq(9), &[topic("c")]), None);
    }
}
