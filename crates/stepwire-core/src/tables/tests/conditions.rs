//! Filters and conditions, and what is refused in them.

use super::{World, text};

/// An item that has everything.
const ITEM: &str = r#"{"p":{"S":"a"},"s":{"S":"b"},"n":{"N":"5"},"t":{"S":"text"},"yes":{"BOOL":true},
    "nil":{"NULL":true},"bytes":{"B":"AAEC"},"m":{"M":{"x":{"N":"1"},"l":{"L":[{"S":"first"}]}}},
    "l":{"L":[{"N":"1"},{"S":"two"}]},"ss":{"SS":["red","blue"]},"ns":{"NS":["1","2.5"]},
    "big":{"N":"10"}}"#;
const VALUES: &str = r#"{":n5":{"N":"5.00"},":n10":{"N":"10"},":n1":{"N":"1"},":t":{"S":"text"},
    ":te":{"S":"te"},":xt":{"S":"xt"},":red":{"S":"red"},":z":{"S":"z"},":S":{"S":"S"},":N":{"S":"N"},
    ":b":{"B":"AAE="},":yes":{"BOOL":true},":none":{"NULL":true},":m":{"M":{}},":two":{"S":"two"}}"#;

fn world() -> World {
    let mut world = World::with_table("S", "S");
    world.ok("PutItem", &format!(r#"{{"TableName":"Tab","Item":{ITEM}}}"#));
    world
}

/// The members of a request that use `expression`, with the values it names.
fn request(expression: &str) -> String {
    let all = stepwire_asl::Json::parse(VALUES).unwrap();
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':');
    let used: Vec<&str> = expression.split(word).filter(|w| w.starts_with(':')).collect();
    let members = all.as_object().unwrap().iter();
    let members: Vec<String> = members
        .filter(|(name, _)| used.contains(&&***name))
        .map(|(name, value)| format!("\"{name}\":{}", value.to_text()))
        .collect();
    let values = if members.is_empty() {
        String::new()
    } else {
        format!(r#","ExpressionAttributeValues":{{{}}}"#, members.join(","))
    };
    format!(r#"{{"TableName":"Tab","FilterExpression":"{expression}"{values}}}"#)
}

#[test]
fn a_filter_takes_what_it_says() {
    let mut world = world();
    for (filter, taken) in [
        ("n = :n5", true),
        (":n5 = n", true),
        ("n <> :n5", false),
        ("n = :t", false),
        ("n <> :t", true),
        ("nowhere <> :t", true),
        ("nowhere = :t", false),
        ("n < :n10", true),
        ("big < n", false),
        ("n < :t", false),
        ("t < :z", true),
        ("bytes > :b", true),
        ("n BETWEEN :n1 AND :n10", true),
        ("n BETWEEN :n5 AND :n5", true),
        ("nowhere BETWEEN :n1 AND :n10", false),
        ("t IN (:red, :t)", true),
        ("t IN (:red)", false),
        ("attribute_exists(m.x)", true),
        ("attribute_exists(m.y)", false),
        ("attribute_not_exists(l[2])", true),
        ("attribute_type(n, :N)", true),
        ("attribute_type(n, :S)", false),
        ("begins_with(t, :te)", true),
        ("begins_with(t, :xt)", false),
        ("begins_with(bytes, :b)", true),
        ("contains(t, :xt)", true),
        ("contains(ss, :red)", true),
        ("contains(ns, :n1)", true),
        ("contains(l, :two)", true),
        ("contains(n, :n5)", false),
        ("size(t) < :n5", true),
        ("size(ss) = size(l)", true),
        ("size(n) > :n1", false),
        ("m.l[0] > :red", false),
        ("l[1] = :two", true),
        ("yes = :yes AND nil = :none", true),
        ("n = :n5 AND t = :z", false),
        ("n = :n1 OR t = :t", true),
        ("NOT n = :n1", true),
        ("NOT (n = :n5 OR t = :z)", false),
        ("n = :n1 AND t = :t OR n = :n5", true),
        ("n = :n1 AND (t = :t OR n = :n5)", false),
        ("not attribute_exists(n) or n between :n1 and :n10", true),
    ] {
        let found = world.ok("Scan", &request(filter));
        assert_eq!(text(found.member("Count")), if taken { "1" } else { "0" }, "{filter}");
    }
}

#[test]
fn what_is_no_condition_is_refused_with_what_is_wrong() {
    let mut world = world();
    for (filter, why) in [
        ("", "The expression can not be empty;"),
        ("n", r#"Syntax error; token: "<EOF>", near: "n""#),
        ("n =", r#"Syntax error; token: "<EOF>", near: "=""#),
        ("= :n5", r#"Syntax error; token: "=", near: "= :n5""#),
        ("(n = :n5", r#"Syntax error; token: "<EOF>", near: ":n5""#),
        ("n = :n5)", r#"Syntax error; token: ")", near: ":n5)""#),
        ("n = 5", r#"Syntax error; token: "5", near: "= 5""#),
        ("n = :n5; DROP", r#"Syntax error; token: ";", near: ":n5; DROP""#),
        ("l[x] = :n5", r#"Syntax error; token: "x", near: "[x]""#),
        ("((n = :n5))", "The expression has redundant parentheses;"),
        (
            "n = :nope",
            "An expression attribute value used in expression is not defined; attribute value: :nope",
        ),
        (
            "#n = :n5",
            "An expression attribute name used in the document path is not defined; attribute name: #n",
        ),
        ("status = :t", "Attribute name is a reserved keyword; reserved keyword: status"),
        ("nope(n)", "Invalid function name; function: nope"),
        (
            "size(n)",
            "The function is not allowed to be used this way in an expression; function: size",
        ),
        (
            "if_not_exists(n, :n5)",
            "The function is not allowed to be used this way in an expression; function: if_not_exists",
        ),
        (
            "begins_with(t)",
            "Incorrect number of operands for operator or function; operator or function: begins_with, number of operands: 1",
        ),
        (
            "begins_with(t, :n5)",
            "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
        ),
        (
            "m < :m",
            "Incorrect operand type for operator or function; operator or function: <, operand type: M",
        ),
        (
            "n = n",
            "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [n]",
        ),
        (
            "attribute_type(n, :z)",
            "Invalid attribute type name found; type: z, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
        ),
        (
            "n BETWEEN :n10 AND :n1",
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:10}, upper bound operand: AttributeValue: {N:1}",
        ),
    ] {
        let refused = world.refused("Scan", &request(filter));
        assert_eq!(
            refused,
            format!("ValidationException: Invalid FilterExpression: {why}"),
            "{filter}"
        );
    }
}

#[test]
fn expressions_are_bounded() {
    let mut world = world();
    for (filter, why) in [
        (format!("{}n = :n5{}", "(".repeat(70), ")".repeat(70)), "nested too deeply"),
        (format!("{}n = :n5", "NOT ".repeat(70)), "nested too deeply"),
        ("n = :n5 AND ".repeat(400) + "n = :n5", "Expression size has exceeded the maximum"),
        (format!("t IN ({}:t)", ":t,".repeat(100)), "too many operands; number of operands: 101"),
        (format!("m{} = :n5", ".x".repeat(40)), "too many nesting elements; nesting levels: 41"),
        ("l[99999999999999999999] = :n5".to_owned(), "List index is not within"),
    ] {
        let refused = world.refused("Scan", &request(&filter));
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn a_projection_shows_the_parts_it_names() {
    let mut world = world();
    for (projection, shown) in [
        ("n, t", r#"{"n":{"N":"5"},"t":{"S":"text"}}"#),
        ("m.x", r#"{"m":{"M":{"x":{"N":"1"}}}}"#),
        ("l[1], m.l[0]", r#"{"l":{"L":[{"S":"two"}]},"m":{"M":{"l":{"L":[{"S":"first"}]}}}}"#),
        ("nowhere", "{}"),
    ] {
        let get = format!(
            r#"{{"TableName":"Tab","Key":{{"p":{{"S":"a"}},"s":{{"S":"b"}}}},"ProjectionExpression":"{projection}"}}"#
        );
        assert_eq!(text(world.ok("GetItem", &get).member("Item")), shown, "{projection}");
    }
    for (projection, why) in [
        ("n, n", "Two document paths overlap with each other"),
        ("m, m.x", "Two document paths overlap with each other"),
        ("m.x, m[0]", "Two document paths conflict with each other"),
        ("n,", "Syntax error"),
    ] {
        let get = format!(
            r#"{{"TableName":"Tab","Key":{{"p":{{"S":"a"}},"s":{{"S":"b"}}}},"ProjectionExpression":"{projection}"}}"#
        );
        let refused = world.refused("GetItem", &get);
        assert!(refused.contains(why), "{projection}: {refused}");
    }
}
