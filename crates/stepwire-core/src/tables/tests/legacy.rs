//! The parameters from before expressions.

use super::{World, text};

fn world() -> World {
    let mut world = World::with_table("S", "N");
    for (s, more) in
        [("1", r#""x":{"S":"abc"}"#), ("2", r#""x":{"N":"5"}"#), ("10", r#""y":{"SS":["a"]}"#)]
    {
        let item = format!(r#"{{"p":{{"S":"a"}},"s":{{"N":"{s}"}},{more}}}"#);
        world.ok("PutItem", &format!(r#"{{"TableName":"Tab","Item":{item}}}"#));
    }
    world
}

fn found(world: &mut World, operation: &str, more: &str) -> String {
    let answer = world.ok(operation, &format!(r#"{{"TableName":"Tab",{more}}}"#));
    let items = answer.member("Items").unwrap().as_array().unwrap();
    let sorts = items.iter().map(|item| item.member("s").unwrap().member("N").unwrap());
    sorts.map(|sort| sort.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
}

#[test]
fn key_conditions_and_filters_choose() {
    let mut world = world();
    let keys = r#""KeyConditions":{"p":{"ComparisonOperator":"EQ","AttributeValueList":[{"S":"a"}]},
        "s":{"ComparisonOperator":"BETWEEN","AttributeValueList":[{"N":"2"},{"N":"10"}]}}"#;
    assert_eq!(found(&mut world, "Query", keys), "2 10");
    for (filter, sorts) in [
        (r#"{"x":{"ComparisonOperator":"NOT_NULL"}}"#, "1 2"),
        (r#"{"x":{"ComparisonOperator":"BEGINS_WITH","AttributeValueList":[{"S":"ab"}]}}"#, "1"),
        (r#"{"x":{"ComparisonOperator":"GT","AttributeValueList":[{"N":"4"}]}}"#, "2"),
        (r#"{"y":{"ComparisonOperator":"CONTAINS","AttributeValueList":[{"S":"a"}]}}"#, "10"),
        (r#"{"x":{"ComparisonOperator":"IN","AttributeValueList":[{"N":"5"},{"N":"6"}]}}"#, "2"),
    ] {
        assert_eq!(found(&mut world, "Scan", &format!(r#""ScanFilter":{filter}"#)), sorts);
    }
    let either = r#""ConditionalOperator":"OR","ScanFilter":{"x":{"ComparisonOperator":"NULL"},
        "s":{"ComparisonOperator":"EQ","AttributeValueList":[{"N":"1"}]}}"#;
    assert_eq!(found(&mut world, "Scan", either), "1 10");
    let refused = world.refused(
        "Scan",
        r#"{"TableName":"Tab","FilterExpression":"attribute_exists(x)","ScanFilter":{}}"#,
    );
    assert!(
        refused.ends_with(
            "Non-expression parameters: {ScanFilter} Expression parameters: {FilterExpression}"
        ),
        "{refused}"
    );
}

#[test]
fn attribute_updates_change_what_is_expected() {
    let mut world = world();
    let update = |updates: &str, more: &str| {
        format!(
            r#"{{"TableName":"Tab","Key":{{"p":{{"S":"a"}},"s":{{"N":"2"}}}},"ReturnValues":"ALL_NEW",
            "AttributeUpdates":{updates}{more}}}"#
        )
    };
    let add = r#"{"x":{"Action":"ADD","Value":{"N":"2"}},"l":{"Action":"ADD","Value":{"L":[{"S":"a"}]}},
        "z":{"Value":{"BOOL":true}}}"#;
    world.ok("UpdateItem", &update(add, ""));
    let answer = world.ok("UpdateItem", &update(add, r#","Expected":{"x":{"Value":{"N":"7"}}}"#));
    assert_eq!(
        text(answer.member("Attributes")),
        r#"{"l":{"L":[{"S":"a"},{"S":"a"}]},"p":{"S":"a"},"s":{"N":"2"},"x":{"N":"9"},"z":{"BOOL":true}}"#
    );
    let failed = world.refused("UpdateItem", &update(add, r#","Expected":{"x":{"Exists":false}}"#));
    assert!(failed.starts_with("ConditionalCheckFailedException"));
    let wrong = r#"{"z":{"Action":"ADD","Value":{"N":"2"}}}"#;
    assert!(
        world
            .refused("UpdateItem", &update(wrong, ""))
            .ends_with("Type mismatch for attribute to update")
    );
    let gone = world.ok("UpdateItem", &update(r#"{"l":{"Action":"DELETE"}}"#, ""));
    assert!(!text(gone.member("Attributes")).contains(r#""l""#));
    let get = r#"{"TableName":"Tab","Key":{"p":{"S":"a"},"s":{"N":"2"}},"AttributesToGet":["x"]}"#;
    assert_eq!(text(world.ok("GetItem", get).member("Item")), r#"{"x":{"N":"9"}}"#);
}
