//! Transactions: all or nothing, and once.

use super::{World, text};
use crate::read::{Range, Read};

fn key(s: &str) -> String {
    format!(r#""TableName":"Tab","Key":{{"p":{{"S":"a"}},"s":{{"S":"{s}"}}}}"#)
}

fn put(s: &str, more: &str) -> String {
    format!(
        r#"{{"Put":{{"TableName":"Tab","Item":{{"p":{{"S":"a"}},"s":{{"S":"{s}"}},"n":{{"N":"1"}}}}{more}}}}}"#
    )
}

fn add(s: &str) -> String {
    format!(
        r#"{{"Update":{{{},"UpdateExpression":"ADD n :n","ExpressionAttributeValues":{{":n":{{"N":"1"}}}}}}}}"#,
        key(s)
    )
}

fn all(operations: &[String], more: &str) -> String {
    format!(r#"{{"TransactItems":[{}]{more}}}"#, operations.join(","))
}

fn items(world: &mut World) -> String {
    text(world.ok("Scan", r#"{"TableName":"Tab","ProjectionExpression":"s,n"}"#).member("Items"))
}

#[test]
fn a_transaction_does_all_of_it() {
    let mut world = World::with_table("S", "S");
    world.ok("TransactWriteItems", &all(&[put("1", ""), put("2", "")], ""));
    let check = format!(
        r#"{{"ConditionCheck":{{{},"ConditionExpression":"n = n2 OR attribute_exists(n)"}}}}"#,
        key("1")
    );
    let delete = format!(r#"{{"Delete":{{{}}}}}"#, key("2"));
    let answer = world.ok(
        "TransactWriteItems",
        &all(&[check, delete, add("3")], r#","ReturnConsumedCapacity":"TOTAL""#),
    );
    assert_eq!(
        text(answer.member("ConsumedCapacity")),
        r#"[{"TableName":"Tab","CapacityUnits":6,"WriteCapacityUnits":6}]"#
    );
    assert_eq!(
        items(&mut world),
        r#"[{"n":{"N":"1"},"s":{"S":"1"}},{"n":{"N":"1"},"s":{"S":"3"}}]"#
    );
    let get = |s: &str| format!(r#"{{"Get":{{{}}}}}"#, key(s));
    let got = world.ok("TransactGetItems", &all(&[get("1"), get("2")], ""));
    assert_eq!(
        text(got.member("Responses")),
        r#"[{"Item":{"n":{"N":"1"},"p":{"S":"a"},"s":{"S":"1"}}},{}]"#
    );
}

#[test]
fn a_transaction_that_cannot_be_does_nothing_and_says_why() {
    let mut world = World::with_table("S", "S");
    world.ok("TransactWriteItems", &all(&[put("1", "")], ""));
    let absent = r#","ConditionExpression":"attribute_not_exists(p)""#;
    let shown = format!(r#"{absent},"ReturnValuesOnConditionCheckFailure":"ALL_OLD""#);
    let wrong = add("3").replace("ADD n :n", "SET n = n + :n");
    let body = all(&[put("2", absent), put("1", &shown), wrong], "");
    let error = world.call("TransactWriteItems", &body).unwrap_err();
    assert_eq!(
        error.to_string(),
        "TransactionCanceledException: Transaction cancelled, please refer cancellation reasons \
         for specific reasons [None, ConditionalCheckFailed, ValidationError]"
    );
    let (name, reasons) = &error.members[0];
    assert_eq!(*name, "CancellationReasons");
    assert_eq!(
        reasons.to_text(),
        r#"[{"Code":"None"},{"Item":{"n":{"N":"1"},"p":{"S":"a"},"s":{"S":"1"}},"Code":"ConditionalCheckFailed","Message":"The conditional request failed"},{"Code":"ValidationError","Message":"The provided expression refers to an attribute that does not exist in the item"}]"#
    );
    assert_eq!(items(&mut world), r#"[{"n":{"N":"1"},"s":{"S":"1"}}]"#);
}

#[test]
fn no_two_operations_are_on_one_item() {
    let mut world = World::with_table("S", "S");
    assert_eq!(
        world.refused("TransactWriteItems", &all(&[put("1", ""), add("1")], "")),
        "ValidationException: Transaction request cannot include multiple operations on one item"
    );
    let many: Vec<String> = (0..101).map(|n| put(&n.to_string(), "")).collect();
    let refused = world.refused("TransactWriteItems", &all(&many, ""));
    assert!(refused.ends_with("Member must have length less than or equal to 100"), "{refused}");
}

#[test]
fn a_token_makes_it_once_for_ten_minutes() {
    let mut world = World::with_table("S", "S");
    let token = r#","ClientRequestToken":"t-1""#;
    world.ok("TransactWriteItems", &all(&[add("1")], token));
    world.ok("TransactWriteItems", &all(&[add("1")], token));
    assert_eq!(items(&mut world), r#"[{"n":{"N":"1"},"s":{"S":"1"}}]"#);
    let other = world.refused("TransactWriteItems", &all(&[add("2")], token));
    assert!(other.starts_with("IdempotentParameterMismatchException: "), "{other}");
    world.restart();
    world.later_ms = 599_999;
    world.tidy();
    world.ok("TransactWriteItems", &all(&[add("1")], token));
    assert_eq!(items(&mut world), r#"[{"n":{"N":"1"},"s":{"S":"1"}}]"#);
    world.later_ms = 600_000;
    // Whether or not the old one has been removed.
    world.ok("TransactWriteItems", &all(&[add("1")], token));
    assert_eq!(items(&mut world), r#"[{"n":{"N":"2"},"s":{"S":"1"}}]"#);
    world.tidy();
    let kept = |world: &World| Read::range(&world.store, &Range::prefix(&[0x44])).len();
    assert_eq!(kept(&world), 2);
    world.later_ms = 1_200_000;
    world.tidy();
    assert_eq!(kept(&world), 0);
    assert_eq!(world.tables.due(), None);
}
