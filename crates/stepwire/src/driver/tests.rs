//! The order in which things happen, seen from a store that can be held up and a rim that notes.

use std::sync::{Mutex, PoisonError, mpsc};

use stepwire_asl::Json;
use stepwire_core::{ReplyId, Request, Service};
use stepwire_store::faulty::{Failure, Faulty};
use stepwire_store::memory::Memory;
use stepwire_store::{Batch, Error, Seq, Snapshot};

use super::*;

type Entry = (stepwire_store::Key, Vec<u8>);

/// What happened, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Begins,
    Durable,
    Reply(u64),
    Failed,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Seen>>>);

impl Log {
    fn note(&self, seen: Seen) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }

    fn all(&self) -> Vec<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, seen: &Seen) -> usize {
        self.all().iter().filter(|one| *one == seen).count()
    }
}

/// A store whose commits wait until the test lets each go on.
struct Gated {
    inner: Arc<dyn Store>,
    log: Log,
    begun: Mutex<mpsc::Sender<()>>,
    gate: Mutex<mpsc::Receiver<()>>,
}

impl Store for Gated {
    fn snapshot(&self) -> Box<dyn Snapshot> {
        self.inner.snapshot()
    }

    fn position(&self) -> Seq {
        self.inner.position()
    }

    fn commit(&self, batch: Batch, fence: Fence) -> Result<Seq, Error> {
        self.log.note(Seen::Begins);
        let _ = self.begun.lock().unwrap().send(());
        let _ = self.gate.lock().unwrap().recv();
        let outcome = self.inner.commit(batch, fence);
        if outcome.is_ok() {
            self.log.note(Seen::Durable);
        }
        outcome
    }
}

struct Notes(Log);

impl Rim for Notes {
    fn carry_out(&mut self, effect: Effect, _: &Inputs) {
        if let Effect::Reply { reply, answer } = effect {
            answer.unwrap();
            self.0.note(Seen::Reply(reply.0));
        }
    }

    fn end_of_batch(&mut self) {}

    fn observe(&mut self, _: Seq, _: &[Write]) {}

    fn failed(&mut self, _: Error) {
        self.0.note(Seen::Failed);
    }
}

/// A driver whose commits the test holds up.
struct Held {
    driver: Driver,
    log: Log,
    begun: mpsc::Receiver<()>,
    gate: mpsc::Sender<()>,
}

impl Held {
    fn over(inner: Arc<dyn Store>) -> Held {
        let log = Log::default();
        let ((begins, begun), (gate, waits)) = (mpsc::channel(), mpsc::channel());
        let store = Arc::new(Gated {
            inner,
            log: log.clone(),
            begun: Mutex::new(begins),
            gate: Mutex::new(waits),
        });
        let notes = Notes(log.clone());
        let started = Driver::start(store, Shard(0), Settings::default(), Clock::system(), notes);
        Held { driver: started.unwrap(), log, begun, gate }
    }

    /// Asks for a new thing.
    async fn create(&self, number: u64) {
        self.create_again(number, number).await;
    }

    /// Asks for a thing, which changes nothing if it is there.
    async fn create_again(&self, number: u64, reply: u64) {
        let body = Json::object([("thingName", Json::from(format!("thing-{number}")))]);
        let request = Request::parse(Service::Iot, "CreateThing", &body).unwrap().unwrap();
        assert!(self.driver.inputs.send(Input::Call { reply: ReplyId(reply), request }).await);
    }

    /// Lets everything go on, and waits until nothing more happens.
    async fn finish(self) -> Log {
        drop(self.gate);
        tokio::task::spawn_blocking(|| self.driver.stop()).await.unwrap();
        self.log
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_leaves_after_the_commit_that_covers_it_and_not_after_an_earlier_one() {
    let held = Held::over(Arc::new(Memory::new()));
    held.create(1).await;
    held.begun.recv().unwrap();
    held.create(2).await;
    let log = held.finish().await.all();
    let expected =
        [Seen::Begins, Seen::Durable, Seen::Reply(1), Seen::Begins, Seen::Durable, Seen::Reply(2)];
    assert_eq!(log, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_with_nothing_to_store_waits_for_what_it_rests_on_and_for_no_commit_of_its_own() {
    let held = Held::over(Arc::new(Memory::new()));
    held.create(1).await;
    held.begun.recv().unwrap();
    held.create_again(1, 2).await;
    let log = held.finish().await.all();
    assert_eq!(log, [Seen::Begins, Seen::Durable, Seen::Reply(1), Seen::Reply(2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_during_a_commit_is_committed_together() {
    let held = Held::over(Arc::new(Memory::new()));
    held.create(0).await;
    held.begun.recv().unwrap();
    for number in 1..100 {
        held.create(number).await;
    }
    let log = held.finish().await;
    assert_eq!(log.count(&Seen::Durable), 2);
    let replies = log.all().into_iter().filter(|seen| matches!(seen, Seen::Reply(_)));
    assert!(replies.eq((0..100).map(Seen::Reply)), "in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_acknowledges_nothing_and_ends_the_driver() {
    for failure in [Failure::Lost, Failure::Kept] {
        let store = Arc::new(Faulty::new(Arc::new(Memory::new())));
        store.fail_after(1, failure);
        let held = Held::over(store);
        held.create(1).await;
        held.begun.recv().unwrap();
        held.create(2).await;
        held.create(3).await;
        let log = held.finish().await.all();
        let expected = [Seen::Begins, Seen::Durable, Seen::Reply(1), Seen::Begins, Seen::Failed];
        assert_eq!(log, expected, "{failure:?}");
    }
}

/// A store that holds nothing that can be read.
struct Unreadable;

impl Snapshot for Unreadable {
    fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Err(Error::Engine("bad sector".to_owned()))
    }

    fn range(&self, _: &[u8], _: &[u8], _: bool, _: usize) -> Result<Vec<Entry>, Error> {
        Err(Error::Engine("bad sector".to_owned()))
    }
}

impl Store for Unreadable {
    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(Unreadable)
    }

    fn position(&self) -> Seq {
        Seq(0)
    }

    fn commit(&self, _: Batch, _: Fence) -> Result<Seq, Error> {
        Ok(Seq(1))
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_an_error_and_no_panic() {
    let notes = Notes(Log::default());
    let (settings, clock) = (Settings::default(), Clock::system());
    let started = Driver::start(Arc::new(Unreadable), Shard(0), settings, clock, notes);
    let error = started.err().unwrap();
    assert_eq!(error.to_string(), "storage engine: bad sector");
}
