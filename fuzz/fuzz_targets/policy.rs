//! A policy document, and the questions it is asked.
//!
//! What is refused must say so in words. What is understood must answer any question, and a policy
//! that denies nothing never says "denied".
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use stepwire_asl::Timestamp;
use stepwire_core::broker::{Action, ConnectAttributes};
use stepwire_core::registry::policies::{Facts, Policy, Question, ThingOf, Verdict};

const QUESTIONS: [(Action, &str); 5] = [
    (Action::Connect, "sensor-1"),
    (Action::Publish, "d/sensor-1/up"),
    (Action::RetainPublish, "*?$+#"),
    (Action::Subscribe, "d/+/#"),
    (Action::Receive, ""),
];

fuzz_target!(|document: &str| {
    let policy = match Policy::parse(document) {
        Ok(policy) => policy,
        Err(malformed) => {
            assert!(!malformed.fault.is_empty());
            let _ = malformed.place();
            return;
        }
    };
    for (client_id, ip) in [(Some("sensor-1"), Some(IpAddr::V4(Ipv4Addr::LOCALHOST))), (None, None)]
    {
        let facts = Facts {
            client_id,
            certificate: None,
            ip,
            now: ip.map(|_| Timestamp(1_600_000_000_000)),
            connect: ip.map(|_| ConnectAttributes { last_will: true, persistent: false }),
            thing: ThingOf::new(&|| None),
        };
        for (action, name) in QUESTIONS {
            let verdict = policy.verdict(Question::new(action, name), &facts);
            assert!(policy.denies() || verdict != Verdict::Denied);
        }
    }
});
