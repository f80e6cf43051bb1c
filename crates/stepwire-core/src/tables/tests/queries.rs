//! Key conditions, pages and limits.

use super::{World, text};

/// Items `a`/`k0` … `a`/`k9` and one of another partition.
fn world() -> World {
    let mut world = World::with_table("S", "S");
    for at in 0..10 {
        put(&mut world, "a", &format!("k{at}"), &format!(r#""n":{{"N":"{at}"}}"#));
    }
    put(&mut world, "b", "k5", r#""n":{"N":"5"}"#);
    world
}

fn put(world: &mut World, partition: &str, sort: &str, more: &str) {
    let item = format!(r#"{{"p":{{"S":"{partition}"}},"s":{{"S":"{sort}"}},{more}}}"#);
    world.ok("PutItem", &format!(r#"{{"TableName":"Tab","Item":{item}}}"#));
}

fn query(condition: &str, values: &str, more: &str) -> String {
    format!(
        r#"{{"TableName":"Tab","KeyConditionExpression":"{condition}",
            "ExpressionAttributeValues":{{":p":{{"S":"a"}}{values}}}{more}}}"#
    )
}

/// The last characters of the sort keys in an answer.
fn sorts(answer: &stepwire_asl::Json) -> String {
    let items = answer.member("Items").unwrap().as_array().unwrap().iter();
    items
        .map(|item| text(item.member("s").unwrap().member("S")).replace("\"k", "").replace('"', ""))
        .collect()
}

#[test]
fn a_key_condition_finds_a_run_of_keys() {
    let mut world = world();
    for (condition, values, found) in [
        ("p = :p", "", "0123456789"),
        ("p = :p AND s = :a", r#","":{"S":"k5"}"#, "5"),
        ("s = :a AND p = :p", r#","":{"S":"k5"}"#, "5"),
        (":p = p AND :a >= s", r#","":{"S":"k2"}"#, "012"),
        ("p = :p AND s < :a", r#","":{"S":"k2"}"#, "01"),
        ("p = :p AND s > :a", r#","":{"S":"k7"}"#, "89"),
        ("p = :p AND s >= :a", r#","":{"S":"k70"}"#, "89"),
        ("p = :p AND begins_with(s, :a)", r#","":{"S":"k"}"#, "0123456789"),
        ("p = :p AND begins_with(s, :a)", r#","":{"S":"k1"}"#, "1"),
        ("(p = :p) AND (s BETWEEN :a AND :a)", r#","":{"S":"k4"}"#, "4"),
    ] {
        let values = values.replace("\"\"", "\":a\"");
        let answer = world.ok("Query", &query(condition, &values, ""));
        assert_eq!(sorts(&answer), found, "{condition}");
        let back = world.ok("Query", &query(condition, &values, r#","ScanIndexForward":false"#));
        assert_eq!(sorts(&back), found.chars().rev().collect::<String>(), "{condition}");
    }
}

#[test]
fn what_is_no_key_condition_is_refused() {
    let mut world = world();
    for (condition, why) in [
        ("s = :p", "Query condition missed key schema element: p"),
        ("p > :p", "Query key condition not supported"),
        ("p = :p AND n = :p", "Query condition missed key schema element: s"),
        ("p = :p AND p = :p", "must only contain one condition per key"),
        ("p = :p OR s = :p", "Invalid operator used in KeyConditionExpression: OR"),
        ("NOT p = :p", "Invalid operator used in KeyConditionExpression: NOT"),
        ("p = :p AND s <> :p", "Invalid operator used in KeyConditionExpression: <>"),
        ("p = :p AND s IN (:p)", "Invalid operator used in KeyConditionExpression: IN"),
        ("p = :p AND contains(s, :p)", "Invalid operator used in KeyConditionExpression: contains"),
        (
            "p = :p AND attribute_exists(s)",
            "Invalid operator used in KeyConditionExpression: attribute_exists",
        ),
        ("p = :p AND s.x = :p", "cannot have conditions on nested attributes"),
        ("p = :p AND size(s) = :p", "KeyConditionExpressions cannot contain nested operations"),
        ("p = s", "Multiple attribute names used in one condition"),
    ] {
        let refused = world.refused("Query", &query(condition, "", ""));
        assert!(
            refused.starts_with("ValidationException: ") && refused.contains(why),
            "{condition}: {refused}"
        );
    }
    let number = query("p = :p", "", "").replace(r#"{"S":"a"}"#, r#"{"N":"1"}"#);
    assert!(world.refused("Query", &number).contains("Condition parameter type does not match"));
}

#[test]
fn pages_go_on_where_the_one_before_ended_in_both_directions() {
    let mut world = world();
    for (order, whole) in [("true", "0123456789"), ("false", "9876543210")] {
        let (mut found, mut after) = (String::new(), String::new());
        loop {
            let more = format!(r#","Limit":3,"ScanIndexForward":{order}{after}"#);
            let page = world.ok("Query", &query("p = :p", "", &more));
            found.push_str(&sorts(&page));
            match page.member("LastEvaluatedKey") {
                Some(last) => after = format!(r#","ExclusiveStartKey":{}"#, last.to_text()),
                None => break,
            }
        }
        assert_eq!(found, whole);
    }
}

#[test]
fn a_limit_counts_what_is_read_and_the_filter_comes_after() {
    let mut world = world();
    let filter = r#","Limit":4,"FilterExpression":"n >= :n""#;
    let page =
        world.ok("Query", &query("p = :p", r#","":{"N":"3"}"#, filter).replace("\"\"", "\":n\""));
    assert_eq!(sorts(&page), "3");
    assert_eq!(
        (text(page.member("Count")), text(page.member("ScannedCount"))),
        ("1".into(), "4".into())
    );
    assert!(page.member("LastEvaluatedKey").is_some());
}

#[test]
fn sort_keys_with_zero_bytes_stay_in_order_and_apart() {
    let mut world = World::with_table("S", "S");
    for sort in ["k1", "k\\u0000", "k", "k\\u0000\\u0001", "k0"] {
        put(&mut world, "a", sort, r#""n":{"N":"0"}"#);
        put(&mut world, "a\\u0000k", sort, r#""n":{"N":"1"}"#);
    }
    let answer = world.ok("Query", &query("p = :p", "", ""));
    let items = answer.member("Items").unwrap().as_array().unwrap().iter();
    let sorts: Vec<String> =
        items.map(|item| text(item.member("s").unwrap().member("S"))).collect();
    assert_eq!(sorts, [r#""k""#, r#""k\u0000""#, r#""k\u0000\u0001""#, r#""k0""#, r#""k1""#]);
}

#[test]
fn an_item_has_at_most_400_kilobytes_names_included() {
    let mut world = World::with_table("S", "S");
    let fits = 409_600 - "p".len() * 2 - "a".len() * 2 - "text".len();
    put(&mut world, "a", "a", &format!(r#""text":{{"S":"{}"}}"#, "x".repeat(fits)));
    let item =
        format!(r#"{{"p":{{"S":"a"}},"s":{{"S":"b"}},"text":{{"S":"{}"}}}}"#, "x".repeat(fits + 1));
    let refused = world.refused("PutItem", &format!(r#"{{"TableName":"Tab","Item":{item}}}"#));
    assert_eq!(refused, "ValidationException: Item size has exceeded the maximum allowed size");
}

#[test]
fn values_nest_32_levels() {
    let mut world = World::with_table("S", "S");
    let nested = |levels: usize| {
        format!(r#""x":{}{{"N":"1"}}{}"#, r#"{"L":["#.repeat(levels), "]}".repeat(levels))
    };
    put(&mut world, "a", "a", &nested(32));
    let item = format!(r#"{{"p":{{"S":"a"}},"s":{{"S":"b"}},{}}}"#, nested(33));
    let refused = world.refused("PutItem", &format!(r#"{{"TableName":"Tab","Item":{item}}}"#));
    assert_eq!(refused, "ValidationException: Nesting Levels have exceeded supported limits");
}
