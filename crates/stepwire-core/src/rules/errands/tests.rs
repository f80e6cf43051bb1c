//! Errands by themselves: order, pauses, and what is refused.

#![expect(clippy::unwrap_used, reason = "tests")]

use stepwire_asl::Json;

use super::*;
use crate::read::Key;
use crate::rules::{Batch, HttpDelivery, Run};

/// Errands, and what they have stored.
#[derive(Default)]
struct Desk {
    errands: Errands,
    quotas: Quotas,
    stored: BTreeMap<Key, Vec<u8>>,
}

fn errand(topic: &str, body: &str) -> Errand {
    let message = Arc::new(Message::service(topic, body.to_owned(), Timestamp(0)));
    let run = Run { rule: "r".into(), payload: Json::Null, message, hops: 0, salt: 0 };
    let body = body.to_owned().into();
    let delivery = HttpDelivery {
        url: "https://x".into(),
        headers: vec![],
        body,
        sign: None,
        confirmation: "https://x".into(),
        batch: None,
    };
    Errand::delivering(run, Place::Action(0), Delivery::Http(delivery))
}

impl Desk {
    /// Does something, stores what it records, and compares that with memory.
    fn turn<T>(&mut self, does: impl FnOnce(&mut Errands, &Quotas, &mut Vec<Write>) -> T) -> T {
        let mut writes = Vec::new();
        let done = does(&mut self.errands, &self.quotas, &mut writes);
        for (key, value) in writes.iter().map(Write::entry) {
            match value {
                Some(value) => self.stored.insert(key, value),
                None => self.stored.remove(&key),
            };
        }
        assert_eq!(self.loaded(), self.errands);
        done
    }

    fn loaded(&self) -> Errands {
        let mut loaded = Errands::default();
        self.stored.iter().for_each(|(key, value)| loaded.load(key, value).unwrap());
        loaded
    }

    fn add(&mut self, topic: &str, body: &str) -> Result<Option<u64>, String> {
        self.turn(|errands, quotas, out| errands.add(errand(topic, body), quotas, out))
    }
}

#[test]
fn errands_of_one_lane_begin_one_after_the_other() {
    let mut desk = Desk::default();
    assert_eq!(desk.add("a", "1"), Ok(Some(0)));
    assert_eq!(desk.add("a", "2"), Ok(None));
    assert_eq!(desk.add("b", "3"), Ok(Some(2)));
    assert_eq!(desk.turn(|errands, _, out| errands.close(0, out)), Some(1));
    assert_eq!(desk.turn(|errands, _, out| errands.close(1, out)), None);
    assert_eq!(desk.turn(|errands, _, out| errands.close(2, out)), None);
    assert!(desk.errands.is_empty() && desk.stored.is_empty());
}

#[test]
fn a_delivery_is_tried_three_times_with_growing_pauses() {
    let mut desk = Desk::default();
    desk.add("a", "1").unwrap();
    let now = Timestamp(10_000);
    assert!(desk.turn(|errands, _, out| errands.try_again(0, now, out)));
    assert_eq!(desk.errands.due(), Some(Timestamp(11_000)));
    assert_eq!(desk.errands.overdue(Timestamp(10_999)), Vec::<u64>::new());
    assert_eq!(desk.errands.overdue(Timestamp(11_000)), [0]);
    assert!(desk.turn(|errands, _, out| errands.begin(0, out)).is_some());
    assert_eq!(desk.errands.due(), None);
    assert!(desk.turn(|errands, _, out| errands.try_again(0, now, out)));
    assert_eq!(desk.errands.due(), Some(Timestamp(12_000)));
    desk.turn(|errands, _, out| errands.begin(0, out));
    assert!(!desk.turn(|errands, _, out| errands.try_again(0, now, out)));
}

#[test]
fn a_restart_goes_on_with_what_was_under_way_and_leaves_pauses_as_they_are() {
    let mut desk = Desk::default();
    for (topic, body) in [("a", "1"), ("a", "2"), ("b", "3"), ("c", "4")] {
        desk.add(topic, body).unwrap();
    }
    desk.turn(|errands, _, out| errands.try_again(3, Timestamp(0), out));
    assert_eq!(desk.loaded().interrupted(), [0, 2]);
    assert_eq!(desk.loaded().due(), Some(Timestamp(1_000)));
}

#[test]
fn one_lane_never_takes_all_the_room() {
    let mut desk = Desk::default();
    desk.quotas.errands_max = 4;
    assert!(desk.add("a", "1").is_ok() && desk.add("a", "2").is_ok());
    let refused = desk.add("a", "3").unwrap_err();
    assert!(refused.starts_with("LimitExceeded: 2 errands of rules wait, 2 of them"), "{refused}");
    assert!(desk.add("b", "4").is_ok() && desk.add("c", "5").is_ok());
    assert!(desk.add("d", "6").unwrap_err().contains("errands-max is 4"));
}

#[test]
fn bytes_are_bounded_too() {
    let mut desk = Desk::default();
    desk.quotas.errand_bytes_max = 1_000;
    assert!(desk.add("a", &"x".repeat(300)).is_ok());
    let refused = desk.add("b", &"x".repeat(300)).unwrap_err();
    assert!(refused.contains("errand-bytes-max is 1000"), "{refused}");
    desk.turn(|errands, _, out| errands.close(0, out));
    assert!(desk.add("b", &"x".repeat(300)).is_ok());
}

fn batched(topic: &str, body: &str) -> Errand {
    let mut errand = errand(topic, body);
    if let Stage::Deliver { delivery: Delivery::Http(http), .. } = &mut errand.stage {
        http.batch =
            Some(Batch { open_ms: 20, messages_max: 2, bytes_max: 100, across_topics: false });
    }
    errand
}

impl Desk {
    fn add_batched(&mut self, topic: &str, body: &str) -> Option<u64> {
        self.turn(|errands, quotas, out| errands.add(batched(topic, body), quotas, out)).unwrap()
    }

    /// The body of the request that begins with this errand.
    fn sent(&mut self, number: u64) -> String {
        let Delivery::Http(http) = self.turn(|errands, _, out| errands.begin(number, out)).unwrap();
        String::from_utf8(http.body.to_vec()).unwrap()
    }
}

#[test]
fn a_batch_leaves_when_it_is_full_or_its_time_has_come() {
    let mut desk = Desk::default();
    assert_eq!(desk.add_batched("a", "1"), None);
    assert_eq!(desk.errands.due(), Some(Timestamp(20)));
    assert_eq!(desk.add_batched("b", "9"), None, "another topic is another batch");
    assert_eq!(desk.add_batched("a", "two"), Some(0), "full");
    assert_eq!(desk.sent(0), r#"[1,"two"]"#);
    assert_eq!(desk.add_batched("a", "3"), None, "one at a time");
    assert_eq!(desk.errands.sharing(0), [0, 2]);
    assert_eq!(desk.turn(|errands, _, out| errands.close(0, out)), Some(3));
    assert_eq!(desk.errands.len(), 2, "both that shared the request are done with");
    assert_eq!(desk.sent(3), "[3]");
    assert_eq!(desk.errands.overdue(Timestamp(20)), [1]);
    assert_eq!(desk.sent(1), "[9]");
}

#[test]
fn a_batch_stays_what_it_is_until_it_has_ended() {
    let mut desk = Desk::default();
    desk.add_batched("a", "1");
    assert_eq!(desk.sent(0), "[1]");
    assert_eq!(desk.add_batched("a", "2"), None);
    assert!(desk.turn(|errands, _, out| errands.try_again(0, Timestamp(50), out)));
    assert_eq!(desk.add_batched("a", "3"), None);
    assert_eq!(desk.sent(0), "[1]");
    assert_eq!(desk.turn(|errands, _, out| errands.close(0, out)), Some(1));
    assert_eq!(desk.sent(1), "[2,3]");
    let long = "x".repeat(90);
    desk.add_batched("b", &long);
    assert_eq!(desk.add_batched("b", &long), Some(3), "there is no room for both");
    assert_eq!(desk.sent(3), format!("[\"{long}\"]"));
    let mut again = desk.loaded();
    assert_eq!(again.interrupted(), [1, 3]);
    assert!(again.begin(1, &mut Vec::new()).is_some());
}
