//! What many items cost: bytes written grow with their number, memory and single turns do not.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::print_stdout, reason = "tells what it cost")]
#![expect(clippy::disallowed_methods, reason = "measures, and is told how much")]

mod node;

use std::time::Instant;

use node::{Node, text};
use stepwire_core::Settings;

const PASS: &str = r#""StartAt":"P","States":{"P":{"Type":"Pass","End":true}}"#;

/// How many items are many: `ITEMS` of the environment, or enough to tell.
fn many(default: usize) -> usize {
    std::env::var("ITEMS").map_or(default, |items| items.parse().unwrap())
}

/// Bytes written per item, and in the largest turn, of a run of so many.
fn cost(items: usize) -> (usize, usize) {
    let mut node = Node::new();
    node.bucket("things");
    let numbers: Vec<String> = (0..items).map(|n| (n % 10).to_string()).collect();
    node.put("things", "items", format!("[{}]", numbers.join(",")));
    let definition = format!(
        r#"{{"StartAt":"M","States":{{"M":{{"Type":"Map","End":true,
        "ItemReader":{{"Resource":"arn:aws:states:::s3:getObject",
            "ReaderConfig":{{"InputType":"JSON"}},"Parameters":{{"Bucket":"things","Key":"items"}}}},
        "ItemProcessor":{{"ProcessorConfig":{{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"}},
        {PASS}}}}}}}}}"#
    );
    (node.written, node.largest_turn) = (0, 0);
    let arn = node.start("m", &definition, "{}");
    let (mut turns, begun) = (0, Instant::now());
    while node.advance() {
        turns += 1;
        let (open, hot) = node.kernel.execution_counts();
        assert!(open <= 2 && hot <= 2, "children that have ended are let go");
    }
    assert_eq!(node.status(&arn), "SUCCEEDED");
    assert_eq!(text(&node.describe(&arn), "output"), format!("[{}]", numbers.join(",")));
    let per_item = node.written / items;
    println!(
        "{items} items: {per_item} bytes each, {turns} turns of at most {} bytes, {:?}",
        node.largest_turn,
        begun.elapsed()
    );
    (per_item, node.largest_turn)
}

#[test]
fn a_distributed_map_writes_as_much_for_each_item_however_many_there_are() {
    let (few, _) = cost(1_000);
    let (many, largest) = cost(many(8_000));
    assert!(many <= few + few / 20, "{few} bytes each of 1,000 items, {many} of many");
    assert!(largest < 1 << 20, "a turn wrote {largest} bytes");
}

/// Bytes written per item of an inline Map over so many, whose iterations wait for a second.
fn inline(items: usize) -> usize {
    let mut settings = Settings::default();
    settings.quotas.history_events_max = 10 * items as u64;
    let mut node = Node::with(settings);
    let numbers: Vec<String> = (0..items).map(|n| (n % 10).to_string()).collect();
    let begun = Instant::now();
    let definition = r#"{"StartAt":"M","States":{"M":{"Type":"Map","End":true,"ItemProcessor":
        {"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":1,"End":true}}}}}}"#;
    let arn = node.start("m", definition, &format!("[{}]", numbers.join(",")));
    node.run();
    assert_eq!(node.status(&arn), "SUCCEEDED");
    assert_eq!(text(&node.describe(&arn), "output"), format!("[{}]", numbers.join(",")));
    println!("{items} items inline: {} bytes each, {:?}", node.written / items, begun.elapsed());
    node.written / items
}

#[test]
fn an_inline_map_writes_as_much_for_each_item_however_many_there_are() {
    let (few, many) = (inline(500), inline(many(4_000)));
    // Larger numbers of events take a byte more.
    assert!(many <= few + few / 10, "{few} bytes each of 500 items, {many} of many");
}
