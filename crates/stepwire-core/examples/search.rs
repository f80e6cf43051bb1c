//! How long fleet indexing takes on a large fleet: `cargo run --release -p stepwire-core --example search [THINGS]`.
//!
//! Every search goes through the kernel as one over the API does. A slice is how long the others wait.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for developers")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use stepwire_asl::{Json, Timestamp};
use stepwire_core::overlay::Changes;
use stepwire_core::{Effect, Input, Kernel, ReplyId, Request, Service, Settings};

type Disk = BTreeMap<Vec<u8>, Vec<u8>>;

struct Node {
    kernel: Kernel,
    disk: Disk,
}

/// What one request took.
#[derive(Default)]
struct Took {
    all: Duration,
    longest: Duration,
    slices: usize,
    answer: Option<Json>,
}

impl Node {
    fn call(&mut self, operation: &str, body: &str) -> Took {
        let body = Json::parse(body).unwrap();
        let request = Request::parse(Service::Iot, operation, &body).unwrap().unwrap();
        let mut next = Some(Input::Call { reply: ReplyId(1), request });
        let mut took = Took::default();
        while let Some(input) = next.take() {
            let mut changes = Changes::default();
            let begun = Instant::now();
            let step = self.kernel.turn(Timestamp(1), input, &mut changes, &self.disk);
            let slice = begun.elapsed();
            took.all += slice;
            took.longest = took.longest.max(slice);
            took.slices += 1;
            for (key, value) in changes.entries() {
                match value {
                    Some(value) => drop(self.disk.insert(key.clone(), value.clone())),
                    None => drop(self.disk.remove(key)),
                }
            }
            for effect in step.effects {
                match effect {
                    Effect::ContinueIndexing => next = Some(Input::Indexing),
                    Effect::Reply { answer, .. } => took.answer = Some(answer.unwrap()),
                    _ => {}
                }
            }
        }
        took
    }

    fn show(&mut self, what: &str, operation: &str, body: &str) {
        let took = self.call(operation, body);
        let found = took.answer.as_ref().and_then(|answer| answer.member("things")?.as_array());
        println!(
            "{what:<44} {:>9.3} ms  longest slice {:>7.3} ms  slices {:>4}  things {}",
            took.all.as_secs_f64() * 1e3,
            took.longest.as_secs_f64() * 1e3,
            took.slices,
            found.map_or(0, <[Json]>::len),
        );
    }

    fn search(&mut self, query: &str) {
        let body = format!(r#"{{"queryString":"{query}"}}"#);
        self.show(query, "SearchIndex", &body);
    }
}

/// Resident memory in bytes, where the system tells.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<usize> = status.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or_default() * 4_096
}

fn main() {
    let things: usize = std::env::args().nth(1).and_then(|it| it.parse().ok()).unwrap_or(100_000);
    let mut node = Node { kernel: Kernel::new(Settings::default()), disk: Disk::new() };
    node.call("CreateThingType", r#"{"thingTypeName":"gateway"}"#);
    for number in 0..things {
        let body = format!(
            r#"{{"thingName":"gw-{number:06}","thingTypeName":"gateway","attributePayload":{{"attributes":{{
                "site":"site{}","model":"M{}","serial":"SN{:08}","firmware":"1.{}","owner":"o{}"}}}}}}"#,
            number % 1_000,
            number % 7,
            number * 7919 % 100_000_007,
            number % 20,
            number % 5_000,
        );
        node.call("CreateThing", &body);
    }
    let before = resident();
    let on = r#"{"thingIndexingConfiguration":{"thingIndexingMode":"REGISTRY",
        "thingConnectivityIndexingMode":"STATUS",
        "customFields":[{"name":"attributes.firmware","type":"Number"}]}}"#;
    node.show("making the index", "UpdateIndexingConfiguration", on);
    let bytes = resident().saturating_sub(before);
    println!("{things} things with five attributes: {} bytes each in the index", bytes / things);
    for query in [
        "gw-050000",
        "thingName:gw-0500*",
        "attributes.site:site77",
        "attributes.serial:sn0000*",
        "attributes.site:site77 AND connectivity.connected:false",
        "attributes.model:m3",
        "connectivity.connected:false",
        "*",
        "NOT attributes.model:*",
        "attributes.firmware>99",
        "attributes.serial:S?9999* OR attributes.owner:*9999",
    ] {
        node.search(query);
    }
    let aggregate = r#"{"queryString":"*","aggregationField":"attributes.firmware"}"#;
    node.show("statistics over all", "GetStatistics", aggregate);
    let group = r#"{"thingGroupName":"g","queryString":"attributes.model:m3"}"#;
    node.show("a dynamic group of one seventh", "CreateDynamicThingGroup", group);
    let update = r#"{"thingName":"gw-000003","attributePayload":{"attributes":{"model":"M4"}}}"#;
    node.show("a thing that leaves it", "UpdateThing", update);
}
