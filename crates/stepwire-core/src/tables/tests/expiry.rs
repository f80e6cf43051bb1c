//! Items that expire.

use super::{SECONDS, World, text};

fn world(expiries: &[&str]) -> World {
    let mut world = World::with_table("S", "S");
    for (n, expiry) in expiries.iter().enumerate() {
        put(&mut world, n, expiry);
    }
    world.ok(
        "UpdateTimeToLive",
        r#"{"TableName":"Tab","TimeToLiveSpecification":{"Enabled":true,"AttributeName":"ttl"}}"#,
    );
    world
}

fn put(world: &mut World, n: usize, ttl: &str) {
    let item = format!(r#"{{"p":{{"S":"a"}},"s":{{"S":"{n}"}},"ttl":{ttl}}}"#);
    world.ok("PutItem", &format!(r#"{{"TableName":"Tab","Item":{item}}}"#));
}

fn left(world: &mut World) -> String {
    let answer = world.ok("Scan", r#"{"TableName":"Tab","ProjectionExpression":"s"}"#);
    let items = answer.member("Items").unwrap().as_array().unwrap();
    let sorts = items.iter().map(|item| item.member("s").unwrap().member("S").unwrap());
    sorts.map(|sort| sort.as_str().unwrap().to_owned()).collect()
}

fn status(world: &mut World) -> String {
    text(world.ok("DescribeTimeToLive", r#"{"TableName":"Tab"}"#).member("TimeToLiveDescription"))
}

fn number(seconds: i64) -> String {
    format!(r#"{{"N":"{seconds}"}}"#)
}

#[test]
fn items_go_when_their_time_has_come() {
    let mut world = world(&[&number(SECONDS + 10), &number(SECONDS + 20), &number(SECONDS + 30)]);
    assert_eq!(status(&mut world), r#"{"TimeToLiveStatus":"ENABLING","AttributeName":"ttl"}"#);
    world.tidy();
    assert_eq!(status(&mut world), r#"{"TimeToLiveStatus":"ENABLED","AttributeName":"ttl"}"#);
    assert_eq!(world.tables.due().unwrap().0, (SECONDS + 10) * 1_000);
    put(&mut world, 3, &number(SECONDS + 5));
    put(&mut world, 1, r#"{"S":"never"}"#);
    assert_eq!(left(&mut world), "0123");
    world.later_ms = 9_999;
    // What has expired is shown until it is removed.
    assert_eq!(left(&mut world), "0123");
    world.tidy();
    assert_eq!(left(&mut world), "012");
    world.later_ms = 10_000;
    world.restart();
    world.tidy();
    assert_eq!(left(&mut world), "12");
    world.later_ms = 1_000_000;
    world.tidy();
    assert_eq!(left(&mut world), "1");
    assert_eq!(world.tables.due(), None);
}

#[test]
fn only_numbers_of_the_last_five_years_count() {
    let year = 365 * 24 * 60 * 60;
    let mut world = world(&[
        &number(SECONDS - 4 * year),
        &number(SECONDS - 6 * year),
        &format!(r#"{{"S":"{}"}}"#, SECONDS - 1),
        &number(-5),
        r#"{"N":"1E30"}"#,
        r#"{"N":"12.5"}"#,
        &format!(r#"{{"N":"{SECONDS}.9"}}"#),
    ]);
    world.tidy();
    assert_eq!(left(&mut world), "12345");
    assert_eq!(world.tables.due(), None);
}

#[test]
fn many_items_go_in_slices() {
    let mut world = world(&[]);
    let big = "x".repeat(100_000);
    for n in 0..40 {
        let item = format!(
            r#"{{"p":{{"S":"b"}},"s":{{"S":"{n}"}},"ttl":{},"big":{{"S":"{big}"}}}}"#,
            number(SECONDS + 1)
        );
        world.ok("PutItem", &format!(r#"{{"TableName":"Tab","Item":{item}}}"#));
    }
    world.tidy();
    world.later_ms = 1_000;
    world.tidy_once();
    let left = |world: &mut World| {
        text(world.ok("Scan", r#"{"TableName":"Tab","Select":"COUNT"}"#).member("ScannedCount"))
    };
    assert_ne!(left(&mut world), "0");
    world.tidy();
    assert_eq!(left(&mut world), "0");
}

#[test]
fn expiry_is_switched_off_and_on_again() {
    let mut world = world(&[&number(SECONDS + 10)]);
    world.tidy();
    let set = |on: bool, name: &str| {
        format!(
            r#"{{"TableName":"Tab","TimeToLiveSpecification":{{"Enabled":{on},"AttributeName":"{name}"}}}}"#
        )
    };
    assert!(world.refused("UpdateTimeToLive", &set(true, "ttl")).ends_with("is already enabled"));
    assert!(world.refused("UpdateTimeToLive", &set(false, "x")).ends_with("AttributeName is ttl"));
    world.ok("UpdateTimeToLive", &set(false, "ttl"));
    assert_eq!(status(&mut world), r#"{"TimeToLiveStatus":"DISABLED"}"#);
    assert!(world.refused("UpdateTimeToLive", &set(false, "ttl")).ends_with("already disabled"));
    world.later_ms = 60_000;
    world.tidy();
    assert_eq!(left(&mut world), "0");
    world.ok("UpdateTimeToLive", &set(true, "ttl"));
    world.tidy();
    assert_eq!(left(&mut world), "");
}
