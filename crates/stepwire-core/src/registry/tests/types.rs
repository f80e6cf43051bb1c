use super::Shelf;

const MINUTE: i64 = 60_000;

#[test]
fn creating_the_same_type_again_answers_the_same_and_another_is_refused() {
    let mut shelf = Shelf::default();
    let lamp = r#"{"thingTypeName":"lamp","thingTypeProperties":
        {"thingTypeDescription":"light","searchableAttributes":["a","b"]}}"#;
    let created = shelf.call("CreateThingType", lamp).unwrap();
    assert!(
        created.contains(r#""thingTypeArn":"arn:aws:iot:us-east-1:000000000000:thingtype/lamp""#)
    );
    shelf.now = 1;
    let reordered = lamp.replace(r#"["a","b"]"#, r#"["b","a"]"#);
    assert_eq!(shelf.call("CreateThingType", &reordered).unwrap(), created);
    let other = lamp.replace("light", "dark");
    shelf.refused("CreateThingType", &other, "ResourceAlreadyExistsException");
}

#[test]
fn properties_that_an_update_does_not_name_stay() {
    let mut shelf = Shelf::default();
    shelf.done(
        "CreateThingType",
        r#"{"thingTypeName":"lamp","thingTypeProperties":{"thingTypeDescription":"x"}}"#,
    );
    shelf.done(
        "UpdateThingType",
        r#"{"thingTypeName":"lamp","thingTypeProperties":{"searchableAttributes":["a"]}}"#,
    );
    let described = shelf.call("DescribeThingType", r#"{"thingTypeName":"lamp"}"#).unwrap();
    let properties = r#"{"thingTypeDescription":"x","searchableAttributes":["a"]}"#;
    assert!(described.contains(properties), "{described}");
}

#[test]
fn what_the_model_does_not_allow_is_refused_by_name() {
    let mut shelf = Shelf::default();
    for (properties, why) in [
        (r#"{"searchableAttributes":["a","b","c","d"]}"#, "at most 3"),
        (r#"{"searchableAttributes":["a b"]}"#, "`a b` is not an attribute's name"),
        (r#"{"mqtt5Configuration":{}}"#, "`mqtt5Configuration` is not supported"),
        (r#"{"thingTypeDescription":"é"}"#, "thingTypeDescription"),
    ] {
        let body = format!(r#"{{"thingTypeName":"t","thingTypeProperties":{properties}}}"#);
        shelf.refused("CreateThingType", &body, why);
    }
    shelf.refused("CreateThingType", r#"{"thingTypeName":"a b"}"#, "thingTypeName");
}

#[test]
fn a_deprecated_type_is_given_to_no_thing_and_kept_by_those_that_have_it() {
    let mut shelf = Shelf::default();
    shelf.done("CreateThingType", r#"{"thingTypeName":"lamp"}"#);
    shelf.done("CreateThing", r#"{"thingName":"old","thingTypeName":"lamp"}"#);
    shelf.things(["new"]);
    shelf.now = 7_000;
    shelf.done("DeprecateThingType", r#"{"thingTypeName":"lamp"}"#);
    let described = shelf.call("DescribeThingType", r#"{"thingTypeName":"lamp"}"#).unwrap();
    assert!(described.contains(r#""deprecated":true,"deprecationDate":7"#), "{described}");

    let create = r#"{"thingName":"third","thingTypeName":"lamp"}"#;
    let update = r#"{"thingName":"new","thingTypeName":"lamp"}"#;
    shelf.refused("CreateThing", create, "deprecated thing type: lamp");
    shelf.refused("UpdateThing", update, "deprecated thing type: lamp");
    shelf.done("UpdateThing", r#"{"thingName":"old","thingTypeName":"lamp"}"#);

    shelf.done("DeprecateThingType", r#"{"thingTypeName":"lamp","undoDeprecate":true}"#);
    shelf.done("CreateThing", create);
}

#[test]
fn a_type_is_deleted_five_minutes_after_its_deprecation_once_no_thing_has_it() {
    let mut shelf = Shelf::default();
    let lamp = r#"{"thingTypeName":"lamp"}"#;
    shelf.done("CreateThingType", lamp);
    shelf.done("CreateThing", r#"{"thingName":"a","thingTypeName":"lamp"}"#);
    shelf.refused("DeleteThingType", lamp, "not been deprecated");
    shelf.now = MINUTE;
    shelf.done("DeprecateThingType", lamp);
    shelf.now = 3 * MINUTE;
    // Again: the time runs from the first.
    shelf.done("DeprecateThingType", lamp);
    shelf.refused("DeleteThingType", lamp, "Things are still associated with it");
    shelf.done("UpdateThing", r#"{"thingName":"a","removeThingType":true}"#);
    shelf.now = 6 * MINUTE - 1;
    shelf.refused("DeleteThingType", lamp, "wait for 5 minutes after deprecation and then retry");
    shelf.now = 6 * MINUTE;
    shelf.done("DeleteThingType", lamp);
    shelf.refused("DescribeThingType", lamp, "ResourceNotFoundException");
}

#[test]
fn types_are_listed_in_pages_or_by_name() {
    let mut shelf = Shelf::default();
    for name in ["a", "b", "c"] {
        shelf.done("CreateThingType", &format!(r#"{{"thingTypeName":"{name}"}}"#));
    }
    let mut names = |body: &str| shelf.names("ListThingTypes", body, "thingTypes", "thingTypeName");
    assert_eq!(names(r#"{"maxResults":2}"#), ["a", "b"]);
    assert_eq!(names(r#"{"maxResults":2,"nextToken":"b"}"#), ["c"]);
    assert_eq!(names(r#"{"thingTypeName":"b"}"#), ["b"]);
    assert_eq!(names(r#"{"thingTypeName":"x"}"#), [""; 0]);
}
