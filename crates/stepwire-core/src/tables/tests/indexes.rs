//! Secondary indexes: what is in them, how they are queried, made and removed.

use super::{World, text};
use crate::read::{Range, Read};

const TABLE: &str = r#"{"TableName":"Tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[
    {"AttributeName":"p","AttributeType":"S"},{"AttributeName":"s","AttributeType":"S"},
    {"AttributeName":"owner","AttributeType":"S"},{"AttributeName":"at","AttributeType":"N"}],
    "KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"s","KeyType":"RANGE"}],
    "LocalSecondaryIndexes":[{"IndexName":"local","KeySchema":[
        {"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"at","KeyType":"RANGE"}],
        "Projection":{"ProjectionType":"KEYS_ONLY"}}],
    "GlobalSecondaryIndexes":[{"IndexName":"by-owner","KeySchema":[
        {"AttributeName":"owner","KeyType":"HASH"},{"AttributeName":"at","KeyType":"RANGE"}],
        "Projection":{"ProjectionType":"INCLUDE","NonKeyAttributes":["name"]}}]}"#;

fn put(world: &mut World, p: &str, s: &str, more: &str) {
    let item = format!(r#"{{"p":{{"S":"{p}"}},"s":{{"S":"{s}"}}{more}}}"#);
    world.ok("PutItem", &format!(r#"{{"TableName":"Tab","Item":{item}}}"#));
}

fn owned(world: &mut World, s: &str, owner: &str, at: i64) {
    let more = format!(
        r#","owner":{{"S":"{owner}"}},"at":{{"N":"{at}"}},"name":{{"S":"n-{s}"}},"big":{{"S":"x"}}"#
    );
    put(world, "a", s, &more);
}

fn world() -> World {
    let mut world = World::default();
    world.ok("CreateTable", TABLE);
    for (s, owner, at) in [("1", "ann", 30), ("2", "bob", 10), ("3", "ann", -5), ("4", "ann", 200)]
    {
        owned(&mut world, s, owner, at);
    }
    put(&mut world, "a", "5", r#","at":{"N":"1"}"#);
    put(&mut world, "b", "6", r#","owner":{"S":"ann"}"#);
    world
}

/// Sort keys of the table of what a request found.
fn found(world: &mut World, operation: &str, body: &str) -> String {
    let answer = world.ok(operation, body);
    let items = answer.member("Items").unwrap().as_array().unwrap();
    let sorts = items.iter().map(|item| item.member("s").unwrap().member("S").unwrap());
    sorts.map(|sort| sort.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
}

fn of_ann(more: &str) -> String {
    format!(
        r##"{{"TableName":"Tab","IndexName":"by-owner","KeyConditionExpression":"#o = :o",
        "ExpressionAttributeNames":{{"#o":"owner"}},"ExpressionAttributeValues":{{":o":{{"S":"ann"}}}}
        {more}}}"##
    )
}

#[test]
fn a_query_of_a_global_index_finds_its_items_in_order() {
    let mut world = world();
    assert_eq!(found(&mut world, "Query", &of_ann("")), "3 1 4");
    assert_eq!(found(&mut world, "Query", &of_ann(r#","ScanIndexForward":false"#)), "4 1 3");
    let bounded = of_ann("")
        .replace("#o = :o", "#o = :o AND #a > :a")
        .replace(r##""#o":"owner""##, r##""#o":"owner","#a":"at""##);
    let bounded = bounded.replace(r#"":o":{"#, r#"":a":{"N":"-5"},":o":{"#);
    assert_eq!(found(&mut world, "Query", &bounded), "1 4");
    assert_eq!(found(&mut world, "Query", &bounded.replace("> :a", "= :a")), "3");
    assert_eq!(found(&mut world, "Query", &bounded.replace("> :a", "<= :a")), "3");
}

#[test]
fn an_index_holds_what_it_projects() {
    let mut world = world();
    let answer = world.ok("Query", &of_ann(r#","Limit":1"#));
    assert_eq!(
        text(answer.member("Items")),
        r#"[{"at":{"N":"-5"},"name":{"S":"n-3"},"owner":{"S":"ann"},"p":{"S":"a"},"s":{"S":"3"}}]"#
    );
    assert_eq!(
        text(answer.member("LastEvaluatedKey")),
        r#"{"at":{"N":"-5"},"owner":{"S":"ann"},"p":{"S":"a"},"s":{"S":"3"}}"#
    );
    let refused = world.refused("Query", &of_ann(r#","ProjectionExpression":"big,p""#));
    assert!(
        refused.ends_with("Global secondary index by-owner does not project [big]"),
        "{refused}"
    );
    let refused = world.refused("Query", &of_ann(r#","Select":"ALL_ATTRIBUTES""#));
    assert!(refused.contains("is not supported for global secondary index by-owner"), "{refused}");
    let refused = world.refused("Query", &of_ann(r#","ConsistentRead":true"#));
    assert!(refused.ends_with("Consistent reads are not supported on global secondary indexes"));
}

#[test]
fn a_local_index_fetches_what_it_does_not_hold() {
    let mut world = world();
    let query = |more: &str| {
        format!(
            r#"{{"TableName":"Tab","IndexName":"local","KeyConditionExpression":"p = :p",
            "ConsistentRead":true,"ReturnConsumedCapacity":"INDEXES",
            "ExpressionAttributeValues":{{":p":{{"S":"a"}}}}{more}}}"#
        )
    };
    let answer = world.ok("Query", &query(r#","Limit":1,"Select":"ALL_ATTRIBUTES""#));
    let items = text(answer.member("Items"));
    assert!(items.contains(r#""big":{"S":"x"}"#), "{items}");
    assert_eq!(
        text(answer.member("ConsumedCapacity")),
        r#"{"TableName":"Tab","CapacityUnits":1.5,"Table":{"CapacityUnits":0.5},"LocalSecondaryIndexes":{"local":{"CapacityUnits":1}}}"#
    );
    let items = text(world.ok("Query", &query(r#","Limit":1"#)).member("Items"));
    assert_eq!(items, r#"[{"at":{"N":"-5"},"p":{"S":"a"},"s":{"S":"3"}}]"#);
    assert_eq!(found(&mut world, "Query", &query("")), "3 5 2 1 4");
}

#[test]
fn pages_of_an_index_make_the_whole() {
    let mut world = world();
    for s in ["x", "y", "z"] {
        owned(&mut world, s, "ann", 30);
    }
    for (forward, whole) in [("true", "3 1 x y z 4"), ("false", "4 z y x 1 3")] {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let body = of_ann(&format!(r#","Limit":2,"ScanIndexForward":{forward}{after}"#));
            all.push(found(&mut world, "Query", &body));
            match world.ok("Query", &body).member("LastEvaluatedKey") {
                Some(last) => after = format!(r#","ExclusiveStartKey":{}"#, last.to_text()),
                None => break,
            }
        }
        assert_eq!(all.join(" ").trim(), whole);
    }
    let scan = r#"{"TableName":"Tab","IndexName":"by-owner"}"#;
    assert_eq!(found(&mut world, "Scan", scan), "3 1 x y z 4 2");
}

#[test]
fn an_item_moves_within_an_index_as_its_keys_change() {
    let mut world = world();
    let update = |expression: &str, values: &str| {
        format!(
            r##"{{"TableName":"Tab","Key":{{"p":{{"S":"a"}},"s":{{"S":"1"}}}},
            "UpdateExpression":"{expression}","ExpressionAttributeNames":{{"#o":"owner"}}{values}}}"##
        )
    };
    let bob = r#","ExpressionAttributeValues":{":v":{"S":"bob"}}"#;
    world.ok("UpdateItem", &update("SET #o = :v", bob));
    assert_eq!(found(&mut world, "Query", &of_ann("")), "3 4");
    world.ok("UpdateItem", &update("REMOVE #o", ""));
    let key = r#"{"TableName":"Tab","Key":{"p":{"S":"a"},"s":{"S":"3"}}}"#;
    world.ok("DeleteItem", key);
    assert_eq!(found(&mut world, "Query", &of_ann("")), "4");
}

#[test]
fn an_index_key_of_another_type_is_refused() {
    let mut world = world();
    let item = r#"{"p":{"S":"a"},"s":{"S":"9"},"owner":{"N":"1"}}"#;
    let refused = world.refused("PutItem", &format!(r#"{{"TableName":"Tab","Item":{item}}}"#));
    assert_eq!(
        refused,
        "ValidationException: One or more parameter values were invalid: Type mismatch for Index \
         Key owner Expected: S Actual: N IndexName: by-owner"
    );
    let update = r##"{"TableName":"Tab","Key":{"p":{"S":"a"},"s":{"S":"1"}},
        "UpdateExpression":"SET #o = :v","ExpressionAttributeNames":{"#o":"owner"},
        "ExpressionAttributeValues":{":v":{"N":"1"}}}"##;
    let refused = world.refused("UpdateItem", update);
    let why = "Type mismatch for Index Key owner Expected: S Actual: N IndexName: by-owner";
    assert!(refused.ends_with(why), "{refused}");
}

#[test]
fn an_index_made_later_takes_in_what_is_there() {
    let mut world = World::with_table("S", "S");
    for n in 0..40 {
        let color = if n % 3 == 0 { r#","color":{"S":"red"}"# } else { "" };
        put(&mut world, "a", &format!("{n:02}"), color);
    }
    put(&mut world, "a", "odd", r#","color":{"N":"1"}"#);
    let create = r#"{"TableName":"Tab","AttributeDefinitions":[
        {"AttributeName":"color","AttributeType":"S"}],"GlobalSecondaryIndexUpdates":[{"Create":{
        "IndexName":"by-color","KeySchema":[{"AttributeName":"color","KeyType":"HASH"}],
        "Projection":{"ProjectionType":"ALL"}}}]}"#;
    let made = world.ok("UpdateTable", create);
    assert!(text(Some(&made)).contains(r#""IndexStatus":"CREATING","Backfilling":true"#), "{made}");
    let query = r#"{"TableName":"Tab","IndexName":"by-color","KeyConditionExpression":"color = :c",
        "ExpressionAttributeValues":{":c":{"S":"red"}},"Select":"COUNT"}"#;
    assert!(world.refused("Query", query).contains("Cannot read from backfilling"));
    // Changes before and behind what has been taken in, between slices and restarts.
    world.restart();
    put(&mut world, "a", "00", "");
    put(&mut world, "a", "01", r#","color":{"S":"red"}"#);
    put(&mut world, "a", "zz", r#","color":{"S":"red"}"#);
    world.tidy();
    assert_eq!(text(world.ok("Query", query).member("Count")), "15");
    let described = world.ok("DescribeTable", r#"{"TableName":"Tab"}"#);
    assert!(text(Some(&described)).contains(r#""IndexStatus":"ACTIVE""#));
}

#[test]
fn a_removed_index_leaves_nothing_and_a_removed_table_neither() {
    let mut world = world();
    let delete = r#"{"TableName":"Tab","GlobalSecondaryIndexUpdates":[{"Delete":{
        "IndexName":"by-owner"}}]}"#;
    let entries = |world: &World| Read::range(&world.store, &Range::prefix(&[0x42])).len();
    assert_eq!(entries(&world), 9);
    let answer = world.ok("UpdateTable", delete);
    assert!(text(Some(&answer)).contains(r#""IndexStatus":"DELETING""#), "{answer}");
    world.tidy();
    assert_eq!(entries(&world), 5);
    assert!(world.refused("Query", &of_ann("")).contains("does not have the specified index"));
    world.ok("DeleteTable", r#"{"TableName":"Tab"}"#);
    world.tidy();
    assert_eq!(world.store.len(), 0);
}

#[test]
fn definitions_that_make_no_sense_are_refused() {
    let mut world = World::default();
    for (from, to, why) in [
        (r#""IndexName":"local""#, r#""IndexName":"by-owner""#, "Duplicate index name: by-owner"),
        (
            r#""ProjectionType":"KEYS_ONLY""#,
            r#""ProjectionType":"KEYS_ONLY","NonKeyAttributes":["x"]"#,
            "ProjectionType is KEYS_ONLY, but NonKeyAttributes is specified",
        ),
        (
            r#"{"AttributeName":"owner","AttributeType":"S"}"#,
            r#"{"AttributeName":"owner","AttributeType":"S"},{"AttributeName":"x","AttributeType":"S"}"#,
            "Some AttributeDefinitions are not used. AttributeDefinitions: [p, s, owner, x, at], keys used: [p, s, at, owner]",
        ),
        (
            r#"{"AttributeName":"owner","AttributeType":"S"},"#,
            "",
            "Some index key attributes are not defined in AttributeDefinitions. Keys: [owner, at], AttributeDefinitions: [p, s, at]",
        ),
    ] {
        let refused = world.refused("CreateTable", &TABLE.replace(from, to));
        assert_eq!(
            refused,
            format!("ValidationException: One or more parameter values were invalid: {why}")
        );
    }
}
