//! What rules cost that a message does not match: nothing.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use allocation_counter::{AllocationInfo, measure};
use stepwire_asl::{Json, Timestamp};
use stepwire_core::Settings;
use stepwire_core::message::Message;
use stepwire_core::rules::errands::Errands;
use stepwire_core::rules::{RuleRecord, Rules, Taken, Write};

/// So many rules with filters of all kinds, of which only `hit` matches `fleet/7/hit`.
fn rules(count: usize) -> Rules {
    let mut rules = Rules::default();
    for number in 1..count {
        let filter = match number % 4 {
            0 => format!("fleet/+/r{number}"),
            1 => format!("fleet/{number}/data"),
            2 => format!("site/{number}/#"),
            _ => format!("+/r{number}/hit"),
        };
        add(&mut rules, &format!("r{number}"), &filter);
    }
    add(&mut rules, "hit", "fleet/+/hit");
    rules
}

fn add(rules: &mut Rules, name: &str, filter: &str) {
    let payload = format!(
        r#"{{"sql":"SELECT a, topic(2) AS d FROM '{filter}'",
            "actions":[{{"republish":{{"roleArn":"arn:aws:iam::000000000000:role/x","topic":"out"}}}}]}}"#
    );
    let name: Arc<str> = name.into();
    let payload = Json::parse(&payload).unwrap();
    let created = Timestamp(0);
    let record = RuleRecord { name: Arc::clone(&name), payload, disabled: false, created };
    rules.apply(&Write::Rule(name, Some(record)));
}

/// What the rules allocate for a message of `topic`, and how many actions it leads to.
fn cost(rules: &Rules, topic: &str) -> (AllocationInfo, usize) {
    let message = Message::service(topic, r#"{"a":1,"b":[1,2,3]}"#, Timestamp(0));
    let settings = Settings::default();
    let (errands, mut out) = (Errands::default(), Taken::default());
    let info = measure(|| rules.evaluate(&message, &settings, 1, &errands, &mut out).unwrap());
    (info, out.matched.len())
}

#[test]
fn a_message_that_no_rule_matches_allocates_nothing() {
    for count in [1, 100, 10_000] {
        let rules = rules(count);
        for topic in ["fleet/7/miss", "elsewhere", "fleet", "site", "$aws/events/x", "a/b/c/d/e"] {
            let (info, actions) = cost(&rules, topic);
            assert_eq!(
                (info.count_total, info.bytes_total, actions),
                (0, 0, 0),
                "{count}: {topic}"
            );
        }
    }
}

#[test]
fn a_message_that_one_rule_matches_allocates_for_that_one() {
    let costs = [1, 100, 10_000].map(|count| {
        let (info, actions) = cost(&rules(count), "fleet/7/hit");
        assert_eq!(actions, 1, "{count}");
        (info.count_total, info.bytes_total)
    });
    assert!(costs[0].0 > 0, "the counter counts");
    assert_eq!(costs, [costs[0]; 3]);
}
