//! Creating, describing, listing and deleting tables.

use super::{World, text};

const TOKENS: &str = r#"{"TableName":"CMTaskTokens","BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"operationId","AttributeType":"S"},
        {"AttributeName":"token","AttributeType":"S"}],
    "KeySchema":[{"AttributeName":"operationId","KeyType":"HASH"},
        {"AttributeName":"token","KeyType":"RANGE"}]}"#;

#[test]
fn a_token_is_put_found_by_its_operation_and_deleted() {
    let mut world = World::default();
    world.ok("CreateTable", TOKENS);
    world.ok(
        "PutItem",
        r#"{"TableName":"CMTaskTokens","Item":{"operationId":{"S":"op-1"},
        "token":{"S":"AAAA"},"deviceId":{"S":"dev-1"},"status":{"S":"ACTIVE"}}}"#,
    );
    let query = r##"{"TableName":"CMTaskTokens","KeyConditionExpression":"operationId = :o",
        "FilterExpression":"#s = :a AND deviceId = :d","ExpressionAttributeNames":{"#s":"status"},
        "ExpressionAttributeValues":{":o":{"S":"op-1"},":a":{"S":"ACTIVE"},":d":{"S":"dev-1"}}}"##;
    let found = world.ok("Query", query);
    assert_eq!(text(found.member("Count")), "1");
    assert_eq!(
        text(found.member("Items")),
        r#"[{"deviceId":{"S":"dev-1"},"operationId":{"S":"op-1"},"status":{"S":"ACTIVE"},"token":{"S":"AAAA"}}]"#
    );
    let key =
        r#"{"TableName":"CMTaskTokens","Key":{"operationId":{"S":"op-1"},"token":{"S":"AAAA"}}}"#;
    assert!(world.ok("GetItem", key).member("Item").is_some());
    world.ok("DeleteItem", key);
    assert_eq!(text(Some(&world.ok("GetItem", key))), "{}");
    assert_eq!(text(world.ok("Query", query).member("Count")), "0");
}
