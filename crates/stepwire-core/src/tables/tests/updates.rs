//! Update expressions: what changes in an item, and what must not.

use super::{World, text};

/// A request to update the one item.
fn update(expression: &str, values: &str) -> String {
    let values = if values.is_empty() {
        String::new()
    } else {
        format!(r#","ExpressionAttributeValues":{values}"#)
    };
    format!(
        r#"{{"TableName":"Tab","Key":{{"p":{{"S":"a"}},"s":{{"S":"b"}}}},"ReturnValues":"ALL_NEW",
            "UpdateExpression":"{expression}"{values}}}"#
    )
}

/// An item of these attributes after an update, without its key.
fn updated(before: &str, expression: &str, values: &str) -> String {
    let mut world = World::with_table("S", "S");
    let item = format!(r#"{{"p":{{"S":"a"}},"s":{{"S":"b"}}{before}}}"#);
    world.ok("PutItem", &format!(r#"{{"TableName":"Tab","Item":{item}}}"#));
    let answer = world.ok("UpdateItem", &update(expression, values));
    let item = answer.member("Attributes").unwrap().as_object().unwrap().clone();
    let rest = item.into_iter().filter(|(name, _)| !matches!(&**name, "p" | "s"));
    stepwire_asl::Json::object(rest).to_text()
}

#[test]
fn an_update_makes_of_an_item_what_it_says() {
    let n1 = r#","n":{"N":"1"}"#;
    let list = r#","l":{"L":[{"S":"a"},{"S":"b"},{"S":"c"}]}"#;
    let set = r#","ss":{"SS":["a","b"]}"#;
    let map = r#","m":{"M":{"x":{"N":"1"},"y":{"N":"2"}}}"#;
    for (before, expression, values, after) in [
        ("", "SET n = :v", r#"{":v":{"N":"1"}}"#, r#"{"n":{"N":"1"}}"#),
        (n1, "SET n = n + :v", r#"{":v":{"N":"0.1"}}"#, r#"{"n":{"N":"1.1"}}"#),
        (n1, "SET n = :v - n", r#"{":v":{"N":"0.1"}}"#, r#"{"n":{"N":"-0.9"}}"#),
        (n1, "SET n = if_not_exists(n, :v)", r#"{":v":{"N":"9"}}"#, r#"{"n":{"N":"1"}}"#),
        ("", "SET n = if_not_exists(n, :v) + :v", r#"{":v":{"N":"9"}}"#, r#"{"n":{"N":"18"}}"#),
        (n1, "SET m = n, n = :v", r#"{":v":{"N":"2"}}"#, r#"{"m":{"N":"1"},"n":{"N":"2"}}"#),
        (n1, "ADD n :v", r#"{":v":{"N":"-3"}}"#, r#"{"n":{"N":"-2"}}"#),
        ("", "ADD n :v", r#"{":v":{"N":"4"}}"#, r#"{"n":{"N":"4"}}"#),
        (set, "ADD ss :v", r#"{":v":{"SS":["b","c"]}}"#, r#"{"ss":{"SS":["a","b","c"]}}"#),
        (set, "DELETE ss :v", r#"{":v":{"SS":["b","c"]}}"#, r#"{"ss":{"SS":["a"]}}"#),
        (set, "DELETE ss :v", r#"{":v":{"SS":["a","b"]}}"#, "{}"),
        (n1, "REMOVE n, nowhere", "", "{}"),
        (map, "REMOVE m.x", "", r#"{"m":{"M":{"y":{"N":"2"}}}}"#),
        (
            map,
            "SET m.z = :v",
            r#"{":v":{"N":"3"}}"#,
            r#"{"m":{"M":{"x":{"N":"1"},"y":{"N":"2"},"z":{"N":"3"}}}}"#,
        ),
        (list, "REMOVE l[0], l[1]", "", r#"{"l":{"L":[{"S":"c"}]}}"#),
        (
            list,
            "SET l[1] = :v",
            r#"{":v":{"S":"x"}}"#,
            r#"{"l":{"L":[{"S":"a"},{"S":"x"},{"S":"c"}]}}"#,
        ),
        (
            list,
            "SET l[9] = :v, l[7] = :w",
            r#"{":v":{"S":"x"},":w":{"S":"w"}}"#,
            r#"{"l":{"L":[{"S":"a"},{"S":"b"},{"S":"c"},{"S":"w"},{"S":"x"}]}}"#,
        ),
        (
            list,
            "SET l = list_append(:v, l)",
            r#"{":v":{"L":[{"S":"0"}]}}"#,
            r#"{"l":{"L":[{"S":"0"},{"S":"a"},{"S":"b"},{"S":"c"}]}}"#,
        ),
        (
            n1,
            "SET a = :v REMOVE n ADD b :v",
            r#"{":v":{"N":"1"}}"#,
            r#"{"a":{"N":"1"},"b":{"N":"1"}}"#,
        ),
    ] {
        assert_eq!(updated(before, expression, values), after, "{expression}");
    }
}

#[test]
fn an_update_that_cannot_be_changes_nothing() {
    let mut world = World::with_table("S", "S");
    let item = r#"{"p":{"S":"a"},"s":{"S":"b"},"t":{"S":"text"},"n":{"N":"1"},"l":{"L":[]}}"#;
    world.ok("PutItem", &format!(r#"{{"TableName":"Tab","Item":{item}}}"#));
    let v = |value: &str| format!(r#"{{":v":{value}}}"#);
    for (expression, values, why) in [
        ("", String::new(), "The expression can not be empty;"),
        ("SET", String::new(), "Syntax error"),
        ("SET a", String::new(), "Syntax error"),
        ("FOO a", String::new(), "Syntax error"),
        ("SET a = :v SET b = :v", v(r#"{"N":"1"}"#), "\"SET\" section can only be used once"),
        ("SET a = :v, a = :v", v(r#"{"N":"1"}"#), "overlap"),
        (
            "SET p = :v",
            v(r#"{"S":"x"}"#),
            "Cannot update attribute p. This attribute is part of the key",
        ),
        (
            "SET a = nowhere",
            String::new(),
            "refers to an attribute that does not exist in the item",
        ),
        ("SET a = t + :v", v(r#"{"N":"1"}"#), "incorrect data type"),
        ("SET a = :v + :v", v(r#"{"S":"1"}"#), "Incorrect operand type for operator or function"),
        ("ADD t :v", v(r#"{"N":"1"}"#), "incorrect data type"),
        ("ADD a :v", v(r#"{"S":"1"}"#), "operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"),
        (
            "DELETE a :v",
            v(r#"{"N":"1"}"#),
            "operand type: NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND",
        ),
        (
            "SET m.x = :v",
            v(r#"{"N":"1"}"#),
            "document path provided in the update expression is invalid",
        ),
        (
            "SET t[0] = :v",
            v(r#"{"N":"1"}"#),
            "document path provided in the update expression is invalid",
        ),
        ("SET a = size(t)", String::new(), "not allowed in an update expression; function: size"),
        ("SET a = list_append(l, list_append(l, l))", String::new(), "function: list_append"),
        ("SET n = n + :v", v(r#"{"N":"1e38"}"#), "Number overflow"),
        (
            "SET a = :v",
            v(&format!(r#"{{"S":"{}"}}"#, "x".repeat(409_600))),
            "Item size to update has exceeded",
        ),
    ] {
        let refused = world.refused("UpdateItem", &update(expression, &values));
        assert!(refused.starts_with("ValidationException: "), "{refused}");
        assert!(refused.contains(why), "{expression}: {refused}");
    }
    let key = r#"{"TableName":"Tab","Key":{"p":{"S":"a"},"s":{"S":"b"}}}"#;
    let found = world.ok("GetItem", key);
    assert_eq!(text(found.member("Item").unwrap().member("n")), r#"{"N":"1"}"#);
}

#[test]
fn what_an_update_touched_can_be_returned_as_it_was_and_as_it_is() {
    let mut world = World::with_table("S", "S");
    let item = r#"{"p":{"S":"a"},"s":{"S":"b"},"n":{"N":"1"},"other":{"N":"7"}}"#;
    world.ok("PutItem", &format!(r#"{{"TableName":"Tab","Item":{item}}}"#));
    let mut returned = |which: &str| {
        let request = update("SET n = n + :v", r#"{":v":{"N":"1"}}"#).replace("ALL_NEW", which);
        text(world.ok("UpdateItem", &request).member("Attributes"))
    };
    assert_eq!(returned("UPDATED_OLD"), r#"{"n":{"N":"1"}}"#);
    assert_eq!(returned("UPDATED_NEW"), r#"{"n":{"N":"3"}}"#);
    assert_eq!(returned("NONE"), "");
    assert_eq!(
        returned("ALL_OLD"),
        r#"{"n":{"N":"4"},"other":{"N":"7"},"p":{"S":"a"},"s":{"S":"b"}}"#
    );
}

#[test]
fn an_update_of_nothing_makes_an_item_unless_it_only_removes() {
    let mut world = World::with_table("S", "S");
    let key = r#"{"TableName":"Tab","Key":{"p":{"S":"a"},"s":{"S":"b"}}}"#;
    world.ok("UpdateItem", &update("REMOVE n", ""));
    assert_eq!(text(Some(&world.ok("GetItem", key))), "{}");
    world.ok("UpdateItem", &update("ADD n :v", r#"{":v":{"N":"1"}}"#));
    let found = world.ok("GetItem", key);
    assert_eq!(text(found.member("Item")), r#"{"n":{"N":"1"},"p":{"S":"a"},"s":{"S":"b"}}"#);
}
