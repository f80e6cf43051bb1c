//! Jobs by themselves: order, pauses, and what is refused.

#![expect(clippy::unwrap_used, reason = "tests")]

use stepwire_asl::Json;

use super::*;
use crate::read::Key;
use crate::rules::{HttpDelivery, Run};

/// Jobs, and what they have stored.
#[derive(Default)]
struct Desk {
    jobs: Jobs,
    quotas: Quotas,
    stored: BTreeMap<Key, Vec<u8>>,
}

fn job(topic: &str, body: &str) -> Job {
    let message = Arc::new(Message::service(topic, body.to_owned(), Timestamp(0)));
    let run = Run { rule: "r".into(), payload: Json::Null, message, hops: 0, salt: 0 };
    let body = body.to_owned().into();
    let delivery = HttpDelivery { url: "https://x".into(), headers: vec![], body, sign: None, confirmation: "https://x".into(), batch: None };
    Job::delivering(run, Place::Action(0), Delivery::Http(delivery))
}

impl Desk {
    /// Does something, stores what it records, and compares that with memory.
    fn turn<T>(&mut self, does: impl FnOnce(&mut Jobs, &Quotas, &mut Vec<Write>) -> T) -> T {
        let mut writes = Vec::new();
        let done = does(&mut self.jobs, &self.quotas, &mut writes);
        for (key, value) in writes.iter().map(Write::entry) {
            match value {
                Some(value) => self.stored.insert(key, value),
                None => self.stored.remove(&key),
            };
        }
        assert_eq!(self.loaded(), self.jobs);
        done
    }

    fn loaded(&self) -> Jobs {
        let mut loaded = Jobs::default();
        self.stored.iter().for_each(|(key, value)| loaded.load(key, value).unwrap());
        loaded
    }

    fn add(&mut self, topic: &str, body: &str) -> Result<Option<u64>, String> {
        self.turn(|jobs, quotas, out| jobs.add(job(topic, body), quotas, out))
    }
}

#[test]
fn jobs_of_one_lane_begin_one_after_the_other() {
    let mut desk = Desk::default();
    assert_eq!(desk.add("a", "1"), Ok(Some(0)));
    assert_eq!(desk.add("a", "2"), Ok(None));
    assert_eq!(desk.add("b", "3"), Ok(Some(2)));
    assert_eq!(desk.turn(|jobs, _, out| jobs.close(0, out)), Some(1));
    assert_eq!(desk.turn(|jobs, _, out| jobs.close(1, out)), None);
    assert_eq!(desk.turn(|jobs, _, out| jobs.close(2, out)), None);
    assert!(desk.jobs.is_empty() && desk.stored.is_empty());
}

#[test]
fn a_delivery_is_tried_three_times_with_growing_pauses() {
    let mut desk = Desk::default();
    desk.add("a", "1").unwrap();
    let now = Timestamp(10_000);
    assert!(desk.turn(|jobs, _, out| jobs.try_again(0, now, out)));
    assert_eq!(desk.jobs.due(), Some(Timestamp(11_000)));
    assert_eq!(desk.jobs.overdue(Timestamp(10_999)), []);
    assert_eq!(desk.jobs.overdue(Timestamp(11_000)), [0]);
    assert!(desk.turn(|jobs, _, out| jobs.begin(0, out)).is_some());
    assert_eq!(desk.jobs.due(), None);
    assert!(desk.turn(|jobs, _, out| jobs.try_again(0, now, out)));
    assert_eq!(desk.jobs.due(), Some(Timestamp(12_000)));
    desk.turn(|jobs, _, out| jobs.begin(0, out));
    assert!(!desk.turn(|jobs, _, out| jobs.try_again(0, now, out)));
}

#[test]
fn a_restart_goes_on_with_what_was_under_way_and_leaves_pauses_as_they_are() {
    let mut desk = Desk::default();
    for (topic, body) in [("a", "1"), ("a", "2"), ("b", "3"), ("c", "4")] {
        desk.add(topic, body).unwrap();
    }
    desk.turn(|jobs, _, out| jobs.try_again(3, Timestamp(0), out));
    assert_eq!(desk.loaded().interrupted(), [0, 2]);
    assert_eq!(desk.loaded().due(), Some(Timestamp(1_000)));
}

#[test]
fn one_lane_never_takes_all_the_room() {
    let mut desk = Desk::default();
    desk.quotas.rule_jobs_max = 4;
    assert!(desk.add("a", "1").is_ok() && desk.add("a", "2").is_ok());
    let refused = desk.add("a", "3").unwrap_err();
    assert!(refused.starts_with("LimitExceeded: 2 jobs of rules wait, 2 of them"), "{refused}");
    assert!(desk.add("b", "4").is_ok() && desk.add("c", "5").is_ok());
    assert!(desk.add("d", "6").unwrap_err().contains("rule-jobs-max is 4"));
}

#[test]
fn bytes_are_bounded_too() {
    let mut desk = Desk::default();
    desk.quotas.rule_job_bytes_max = 1_000;
    assert!(desk.add("a", &"x".repeat(300)).is_ok());
    let refused = desk.add("b", &"x".repeat(300)).unwrap_err();
    assert!(refused.contains("rule-job-bytes-max is 1000"), "{refused}");
    desk.turn(|jobs, _, out| jobs.close(0, out));
    assert!(desk.add("b", &"x".repeat(300)).is_ok());
}
