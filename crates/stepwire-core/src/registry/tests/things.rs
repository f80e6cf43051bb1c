use super::Shelf;

#[test]
fn a_thing_has_three_attributes_without_a_type_and_fifty_with_one() {
    let mut shelf = Shelf::default();
    shelf.done("CreateThingType", r#"{"thingTypeName":"lamp"}"#);
    let attributes = |count: usize| {
        let pairs: Vec<_> = (0..count).map(|at| format!(r#""a{at}":"v""#)).collect();
        format!(r#""attributePayload":{{"attributes":{{{}}}}}"#, pairs.join(","))
    };
    let plain = |count| format!(r#"{{"thingName":"plain",{}}}"#, attributes(count));
    let typed =
        |count| format!(r#"{{"thingName":"typed","thingTypeName":"lamp",{}}}"#, attributes(count));
    shelf.refused("CreateThing", &plain(4), "without a thing type has at most 3");
    shelf.done("CreateThing", &plain(3));
    shelf.refused("CreateThing", &typed(51), "with a thing type has at most 50");
    shelf.done("CreateThing", &typed(50));
    let remove = r#"{"thingName":"typed","removeThingType":true}"#;
    shelf.refused("UpdateThing", remove, "without a thing type has at most 3");
}

#[test]
fn a_thing_is_created_once_with_the_same_type_and_attributes() {
    let mut shelf = Shelf::default();
    shelf.done("CreateThingType", r#"{"thingTypeName":"lamp"}"#);
    let lamp = r#"{"thingName":"t","thingTypeName":"lamp"}"#;
    let created = shelf.call("CreateThing", lamp).unwrap();
    shelf.now = 5;
    assert_eq!(shelf.call("CreateThing", lamp).unwrap(), created);
    shelf.refused("CreateThing", r#"{"thingName":"t"}"#, "with different thing type");
    shelf.refused(
        "CreateThing",
        r#"{"thingName":"u","thingTypeName":"nope"}"#,
        "ResourceNotFoundException: Thing type nope cannot be found.",
    );
    shelf.refused(
        "CreateThing",
        r#"{"thingName":"u","billingGroupName":"b"}"#,
        "`billingGroupName` is not supported",
    );
}

#[test]
fn an_update_of_the_type_alone_leaves_the_attributes() {
    let mut shelf = Shelf::default();
    shelf.done("CreateThingType", r#"{"thingTypeName":"lamp"}"#);
    shelf.done("CreateThing", r#"{"thingName":"t","attributePayload":{"attributes":{"a":"1"}}}"#);
    shelf.done("UpdateThing", r#"{"thingName":"t","thingTypeName":"lamp"}"#);
    let described = shelf.call("DescribeThing", r#"{"thingName":"t"}"#).unwrap();
    let expected = r#""thingTypeName":"lamp","attributes":{"a":"1"},"version":2}"#;
    assert!(described.ends_with(expected), "{described}");
    let both = r#"{"thingName":"t","thingTypeName":"lamp","removeThingType":true}"#;
    shelf.refused("UpdateThing", both, "removeThingType");
}

#[test]
fn things_are_listed_by_type_and_attribute() {
    let mut shelf = Shelf::default();
    shelf.done("CreateThingType", r#"{"thingTypeName":"lamp"}"#);
    for (name, of, site) in [("a", "lamp", "north"), ("b", "", "north"), ("c", "lamp", "nord")] {
        let of = if of.is_empty() { String::new() } else { format!(r#""thingTypeName":"{of}","#) };
        let site = format!(r#""attributePayload":{{"attributes":{{"site":"{site}"}}}}"#);
        shelf.done("CreateThing", &format!(r#"{{"thingName":"{name}",{of}{site}}}"#));
    }
    let mut names = |body: &str| shelf.names("ListThings", body, "things", "thingName");
    assert_eq!(names(r"{}"), ["a", "b", "c"]);
    assert_eq!(names(r#"{"thingTypeName":"lamp"}"#), ["a", "c"]);
    assert_eq!(names(r#"{"thingTypeName":"lamp","maxResults":1,"nextToken":"a"}"#), ["c"]);
    let north = r#""attributeName":"site","attributeValue":"nor""#;
    assert_eq!(names(&format!("{{{north}}}")), [""; 0]);
    assert_eq!(names(&format!(r#"{{{north},"usePrefixAttributeValue":true}}"#)), ["a", "b", "c"]);
    let typed = r#""attributeName":"site","attributeValue":"north","thingTypeName":"lamp""#;
    assert_eq!(names(&format!("{{{typed}}}")), ["a"]);
}

#[test]
fn a_thing_that_is_gone_is_of_no_type_and_in_no_group() {
    let mut shelf = Shelf::default();
    shelf.done("CreateThingType", r#"{"thingTypeName":"lamp"}"#);
    shelf.done("CreateThingGroup", r#"{"thingGroupName":"g"}"#);
    shelf.done("CreateThing", r#"{"thingName":"t","thingTypeName":"lamp"}"#);
    shelf.done("AddThingToThingGroup", r#"{"thingName":"t","thingGroupName":"g"}"#);
    shelf.done("DeleteThing", r#"{"thingName":"t"}"#);
    let in_group = r#"{"thingGroupName":"g"}"#;
    assert_eq!(shelf.names("ListThingsInThingGroup", in_group, "things", ""), [""; 0]);
    let of_type = r#"{"thingTypeName":"lamp"}"#;
    assert_eq!(shelf.names("ListThings", of_type, "things", "thingName"), [""; 0]);
    shelf.done("DeprecateThingType", of_type);
    shelf.now += 300_000;
    shelf.done("DeleteThingType", of_type);
}

#[test]
fn a_page_ends_early_where_many_things_are_not_wanted() {
    let mut shelf = Shelf { trusting: true, ..Shelf::default() };
    for number in 0..11_000 {
        shelf.things([format!("t{number:05}").as_str()]);
    }
    let last = r#"{"thingName":"z","attributePayload":{"attributes":{"a":"1"}}}"#;
    shelf.done("CreateThing", last);
    let wanted = r#""attributeName":"a","attributeValue":"1""#;
    assert_eq!(shelf.pages("ListThings", wanted, "things", 25), [vec![], vec!["z"]]);
}
