//! Queues as the kernel keeps them: what is stored, what is handed out, what is removed.

use std::collections::BTreeMap;

use super::*;
use crate::asking::Asker;
use crate::input::ReplyId;
use crate::read::{Key, Range, Read};

/// A store that takes every write at once.
#[derive(Default)]
struct Stored {
    queues: Queues,
    entries: BTreeMap<Key, Vec<u8>>,
    now: i64,
    callers: u64,
}

impl Stored {
    fn take(&mut self, out: &[Write]) {
        for write in out {
            match write.entry() {
                (key, Some(value)) => drop(self.entries.insert(key, value)),
                (key, None) => drop(self.entries.remove(&key)),
            }
        }
    }

    /// The answer; `None`: the caller waits.
    fn ask(&mut self, operation: &str, body: &str) -> Option<Result<Json, ApiError>> {
        let body = Json::parse(body).expect("it is JSON");
        let request = Request::parse(operation, &body).expect("the operation is known");
        let request = request.unwrap_or_else(|error| panic!("{operation}: {error}"));
        let (now, settings) = (Timestamp(self.now), Settings::default());
        let mut out = Vec::new();
        let answer = match &request {
            Request::ReceiveMessage(receive) => {
                self.callers += 1;
                let asker = Asker::Caller(ReplyId(self.callers));
                self.queues.receive(now, asker, receive, &self.entries, &settings, &mut out)
            }
            other => Some(self.queues.call(now, other, &settings, &mut out)),
        };
        self.take(&out);
        answer
    }

    fn done(&mut self, operation: &str, body: &str) -> Json {
        let answer = self.ask(operation, body).expect("nobody waits");
        answer.unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    /// Bodies received now, and the receipt of the last.
    fn received(&mut self) -> (Vec<String>, String) {
        let answer = self.done("ReceiveMessage", r#"{"QueueUrl":"q","MaxNumberOfMessages":10}"#);
        let messages = answer.member("Messages").and_then(Json::as_array).unwrap_or_default();
        let text = |message: &Json, name| {
            message.member(name).and_then(Json::as_str).unwrap_or_default().to_owned()
        };
        let receipt = messages.last().map(|last| text(last, "ReceiptHandle")).unwrap_or_default();
        (messages.iter().map(|message| text(message, "Body")).collect(), receipt)
    }

    fn count(&self, space: Space) -> usize {
        Read::range(&self.entries, &Range::prefix(&[space as u8])).len()
    }

    /// The same after a restart.
    fn reloaded(&self) -> Queues {
        let mut queues = Queues::default();
        for space in Queues::SPACES {
            for (key, value) in Read::range(&self.entries, &Range::prefix(&[*space as u8])) {
                queues.load(&key, &value).expect("it can be read");
            }
        }
        queues.resume();
        queues
    }
}

fn with_queue(attributes: &str) -> Stored {
    let mut stored = Stored::default();
    stored.done("CreateQueue", &format!(r#"{{"QueueName":"q","Attributes":{attributes}}}"#));
    stored
}

fn send(stored: &mut Stored, body: &str) {
    stored.done("SendMessage", &format!(r#"{{"QueueUrl":"q","MessageBody":"{body}"}}"#));
}

#[test]
fn a_message_that_is_not_deleted_comes_back() {
    let mut stored = with_queue(r#"{"VisibilityTimeout":"5"}"#);
    send(&mut stored, "m");
    let (first, early) = stored.received();
    assert_eq!((first, stored.received().0.len()), (vec!["m".to_owned()], 0));
    stored.now = 5_000;
    let (again, receipt) = stored.received();
    assert_eq!(again, ["m"]);
    stored.done("DeleteMessage", &format!(r#"{{"QueueUrl":"q","ReceiptHandle":"{early}"}}"#));
    assert_eq!(stored.count(Space::QueueState), 1, "an older receipt deletes nothing");
    stored.done("DeleteMessage", &format!(r#"{{"QueueUrl":"q","ReceiptHandle":"{receipt}"}}"#));
    assert_eq!((stored.count(Space::QueueState), stored.count(Space::QueueMessage)), (0, 0));
}

#[test]
fn a_message_is_kept_as_long_as_the_queue_says() {
    let mut stored = with_queue(r#"{"MessageRetentionPeriod":"60"}"#);
    send(&mut stored, "old");
    stored.now = 59_999;
    send(&mut stored, "new");
    stored.now = 60_000;
    assert_eq!(stored.received().0, ["new"]);
}

#[test]
fn messages_of_a_queue_that_is_gone_are_removed_little_by_little() {
    let mut stored = with_queue("{}");
    for _ in 0..REMOVED_MAX + 3 {
        send(&mut stored, "m");
    }
    stored.done("DeleteQueue", r#"{"QueueUrl":"q"}"#);
    stored.done("CreateQueue", r#"{"QueueName":"q"}"#);
    assert_eq!(stored.received().0.len(), 0, "a new queue has none of the old messages");
    assert_eq!(stored.count(Space::QueueMessage), 3);
    stored.queues = stored.reloaded();
    send(&mut stored, "m");
    assert_eq!(stored.count(Space::QueueMessage), 1);
}

#[test]
fn what_is_stored_is_what_is_in_memory() {
    let mut stored = with_queue(r#"{"VisibilityTimeout":"5","DelaySeconds":"0"}"#);
    for body in ["a", "b", "c"] {
        send(&mut stored, body);
    }
    let (_, receipt) = stored.received();
    let change = r#"{"QueueUrl":"q","VisibilityTimeout":0,"ReceiptHandle":""#;
    stored.done("ChangeMessageVisibility", &format!(r#"{change}{receipt}"}}"#));
    assert_eq!(stored.queues, stored.reloaded());
    assert_eq!(stored.received().0, ["c"]);
}

#[test]
fn one_who_waits_gets_the_message_and_the_next_one_waits_on() {
    let mut stored = with_queue("{}");
    let wait = r#"{"QueueUrl":"q","WaitTimeSeconds":10}"#;
    assert!(stored.ask("ReceiveMessage", wait).is_none());
    assert!(stored.ask("ReceiveMessage", wait).is_none());
    send(&mut stored, "m");
    let number = stored.queues.find("q").map(|queue| queue.number).unwrap_or_default();
    let (now, settings) = (Timestamp(stored.now), Settings::default());
    let mut out = Vec::new();
    let handed = stored.queues.hand_out(now, number, &stored.entries, &settings, &mut out);
    stored.take(&out);
    assert_eq!(handed.map(|(asker, _)| asker), Some(Asker::Caller(ReplyId(1))));
    assert_eq!(stored.queues.due(), Some(Timestamp(10_000)));
    assert_eq!(stored.queues.gave_up(Timestamp(10_000)), [Asker::Caller(ReplyId(2))]);
    assert_eq!(stored.queues.due(), None);
}

#[test]
fn a_receipt_cannot_be_made_up() {
    let mut stored = with_queue("{}");
    send(&mut stored, "m");
    let (_, receipt) = stored.received();
    let mut forged = receipt.into_bytes();
    forged[12] = if forged[12] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8_lossy(&forged).into_owned();
    let body = format!(r#"{{"QueueUrl":"q","ReceiptHandle":"{forged}"}}"#);
    let refused = stored.ask("DeleteMessage", &body).expect("nobody waits");
    assert_eq!(refused.expect_err("it is forged").code, "ReceiptHandleIsInvalid");
}

/// Whatever is received, deleted, made visible or left to come back: within a group messages are
/// received in the order in which they were sent, and none while an earlier one is in flight.
#[test]
fn a_group_keeps_its_order_whatever_happens() {
    for seed in 0..40_u64 {
        let mut dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut roll = |sides: u64| {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % sides
        };
        let mut stored = Stored::default();
        let attributes =
            r#"{"FifoQueue":"true","ContentBasedDeduplication":"true","VisibilityTimeout":"5"}"#;
        stored
            .done("CreateQueue", &format!(r#"{{"QueueName":"q.fifo","Attributes":{attributes}}}"#));
        let ask = |stored: &mut Stored, operation: &str, members: &str| {
            stored.done(operation, &format!(r#"{{"QueueUrl":"q.fifo",{members}}}"#))
        };
        // By group: what is there, in order; and what is in flight, until when, with its receipt.
        let mut there: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let mut flying: Vec<(u64, u64, i64, String)> = Vec::new();
        let mut sent = 0;
        for _ in 0..200 {
            stored.now += roll(1_500) as i64;
            flying.retain(|(.., until, _)| *until > stored.now);
            match roll(5) {
                0 | 1 => {
                    let group = roll(3);
                    ask(
                        &mut stored,
                        "SendMessage",
                        &format!(r#""MessageBody":"{sent}","MessageGroupId":"{group}""#),
                    );
                    there.entry(group).or_default().push(sent);
                    sent += 1;
                }
                2 => {
                    let max = 1 + roll(4);
                    let answer = ask(
                        &mut stored,
                        "ReceiveMessage",
                        &format!(r#""MaxNumberOfMessages":{max},"AttributeNames":["All"]"#),
                    );
                    let messages = answer.member("Messages").and_then(Json::as_array);
                    let busy: Vec<u64> = flying.iter().map(|(group, ..)| *group).collect();
                    let mut taken: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
                    for message in messages.unwrap_or_default() {
                        let text = |json: &Json, name: &str| {
                            json.member(name).and_then(Json::as_str).unwrap_or_default().to_owned()
                        };
                        let system = message.member("Attributes").cloned().unwrap_or_default();
                        let group: u64 = text(&system, "MessageGroupId").parse().expect("a number");
                        let body: u64 = text(message, "Body").parse().expect("a number");
                        taken.entry(group).or_default().push(body);
                        let until = stored.now + 5_000;
                        flying.push((group, body, until, text(message, "ReceiptHandle")));
                    }
                    for (group, bodies) in &taken {
                        assert!(!busy.contains(group), "seed {seed}: {group} is in flight");
                        let first = there[group].get(..bodies.len());
                        assert_eq!(first, Some(bodies.as_slice()), "seed {seed}: group {group}");
                    }
                    let free = there.iter().filter(|(g, all)| !busy.contains(g) && !all.is_empty());
                    assert_eq!(taken.is_empty(), free.count() == 0, "seed {seed}: somebody waits");
                }
                3 if !flying.is_empty() => {
                    let (group, body, _, receipt) =
                        flying.remove(roll(flying.len() as u64) as usize);
                    ask(&mut stored, "DeleteMessage", &format!(r#""ReceiptHandle":"{receipt}""#));
                    there.get_mut(&group).expect("it was sent").retain(|one| *one != body);
                }
                4 if !flying.is_empty() => {
                    let (.., receipt) = flying.remove(roll(flying.len() as u64) as usize);
                    let change = format!(r#""VisibilityTimeout":0,"ReceiptHandle":"{receipt}""#);
                    ask(&mut stored, "ChangeMessageVisibility", &change);
                }
                _ => {}
            }
            assert_eq!(stored.queues, stored.reloaded(), "seed {seed}");
        }
    }
}

/// A store of which nothing may be read that was not fetched.
struct Fetched(BTreeMap<Key, Vec<u8>>);

impl Read for Fetched {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        Some(
            BTreeMap::get(&self.0, key)
                .unwrap_or_else(|| panic!("{key:?} was not fetched"))
                .clone(),
        )
    }

    fn range(&self, range: &Range) -> Vec<(Key, Vec<u8>)> {
        panic!("{range:?} was not fetched")
    }
}

#[test]
fn what_was_kept_too_long_hides_nothing_that_was_not() {
    let mut stored = with_queue(r#"{"MessageRetentionPeriod":"60"}"#);
    for _ in 0..15 {
        send(&mut stored, "old");
    }
    stored.now = 59_000;
    send(&mut stored, "new");
    stored.now = 60_000;
    let number = stored.queues.find("q").map(|queue| queue.number).expect("it is there");
    for received in [0, 1] {
        // As the kernel does: first what will be read is fetched, then it is received.
        let reads = std::cell::RefCell::new(BTreeMap::new());
        struct Noting<'a>(&'a Stored, &'a std::cell::RefCell<BTreeMap<Key, Vec<u8>>>);
        impl Read for Noting<'_> {
            fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
                let value = BTreeMap::get(&self.0.entries, key)?.clone();
                self.1.borrow_mut().insert(key.to_vec(), value.clone());
                Some(value)
            }
            fn range(&self, _: &Range) -> Vec<(Key, Vec<u8>)> {
                Vec::new()
            }
        }
        stored.queues.prefetch(number, &Noting(&stored, &reads));
        let body = Json::parse(r#"{"QueueUrl":"q","MaxNumberOfMessages":10}"#).expect("JSON");
        let request = Request::parse("ReceiveMessage", &body).expect("known").expect("fine");
        let Request::ReceiveMessage(receive) = request else { panic!("it is another") };
        let (settings, mut out) = (Settings::default(), Vec::new());
        let asker = Asker::Caller(ReplyId(1));
        let (now, fetched) = (Timestamp(stored.now), Fetched(reads.into_inner()));
        let answer = stored.queues.receive(now, asker, &receive, &fetched, &settings, &mut out);
        stored.take(&out);
        let answer = answer.expect("nobody waits").expect("it is there");
        let messages = answer.member("Messages").and_then(Json::as_array).unwrap_or_default();
        assert_eq!(messages.len(), received);
    }
}
