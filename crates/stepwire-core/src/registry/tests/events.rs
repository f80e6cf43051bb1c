use super::Shelf;

const ALL: &str = r#"{"eventConfigurations":{"THING":{"Enabled":true},
    "THING_GROUP":{"Enabled":true},"THING_TYPE":{"Enabled":true},
    "THING_GROUP_MEMBERSHIP":{"Enabled":true},"THING_GROUP_HIERARCHY":{"Enabled":true},
    "THING_TYPE_ASSOCIATION":{"Enabled":true}}}"#;

fn enabled() -> Shelf {
    let mut shelf = Shelf { now: 1_000, ..Shelf::default() };
    shelf.done("UpdateEventConfigurations", ALL);
    shelf
}

/// The payload, without the identifiers that differ from run to run.
fn plain(payload: &str) -> String {
    let mut text = payload.to_owned();
    for name in ["eventId", "thingId", "thingTypeId", "thingGroupId", "groupId", "parentGroupId"] {
        while let Some(at) = text.find(&format!(r#""{name}":""#)) {
            let from = at + name.len() + 4;
            text.replace_range(from..from + 36, "?");
            text = text.replacen(&format!(r#""{name}":""#), &format!(r#""{name}" :""#), 1);
        }
    }
    text.replace("\" :", "\":")
}

#[test]
fn nothing_is_published_until_it_is_switched_on() {
    let mut shelf = Shelf::default();
    shelf.things(["t"]);
    assert_eq!(shelf.published(), []);
    let thing = r#"{"eventConfigurations":{"THING":{"Enabled":true}}}"#;
    shelf.done("UpdateEventConfigurations", thing);
    shelf.done("CreateThingGroup", r#"{"thingGroupName":"g"}"#);
    assert_eq!(shelf.published(), []);
    shelf.things(["u"]);
    assert_eq!(shelf.published().len(), 1);
    shelf.done("UpdateEventConfigurations", &thing.replace("true", "false"));
    shelf.things(["v"]);
    assert_eq!(shelf.published(), []);
}

#[test]
fn configurations_that_an_update_does_not_name_stay() {
    let mut shelf = enabled();
    shelf.now = 2_000;
    shelf.done(
        "UpdateEventConfigurations",
        r#"{"eventConfigurations":{"THING":{"Enabled":false},"JOB":{"Enabled":false}}}"#,
    );
    let described = shelf.call("DescribeEventConfigurations", "{}").unwrap();
    assert_eq!(
        described,
        concat!(
            r#"{"eventConfigurations":{"THING":{"Enabled":false},"THING_GROUP":{"Enabled":true},"#,
            r#""THING_TYPE":{"Enabled":true},"THING_GROUP_MEMBERSHIP":{"Enabled":true},"#,
            r#""THING_GROUP_HIERARCHY":{"Enabled":true},"THING_TYPE_ASSOCIATION":{"Enabled":true},"#,
            r#""JOB":{"Enabled":false},"JOB_EXECUTION":{"Enabled":false},"POLICY":{"Enabled":false},"#,
            r#""CERTIFICATE":{"Enabled":false},"CA_CERTIFICATE":{"Enabled":false}},"#,
            r#""creationDate":1,"lastModifiedDate":2}"#
        )
    );
    let unknown = r#"{"eventConfigurations":{"THINGS":{"Enabled":true}}}"#;
    shelf.refused("UpdateEventConfigurations", unknown, "`THINGS` is not known");
}

#[test]
fn a_thing_tells_of_itself_and_of_its_type() {
    let mut shelf = enabled();
    shelf.done("CreateThingType", r#"{"thingTypeName":"lamp"}"#);
    shelf.published();
    let create = r#"{"thingName":"t","attributePayload":{"attributes":{"a":"1"}}}"#;
    shelf.done("CreateThing", create);
    // The same once more changes nothing.
    shelf.done("CreateThing", create);
    let published = shelf.published();
    assert_eq!(published.len(), 1);
    assert_eq!(published[0].0, "$aws/events/thing/t/created");
    assert_eq!(
        plain(&published[0].1),
        concat!(
            r#"{"eventType":"THING_EVENT","eventId":"?","timestamp":1000,"operation":"CREATED","#,
            r#""accountId":"000000000000","thingId":"?","thingName":"t","versionNumber":1,"#,
            r#""thingTypeName":null,"attributes":{"a":"1"}}"#
        )
    );

    shelf.done("UpdateThing", r#"{"thingName":"t","thingTypeName":"lamp"}"#);
    let published = shelf.published();
    let topics: Vec<_> = published.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(
        topics,
        [
            "$aws/events/thing/t/updated",
            "$aws/events/thingTypeAssociation/thing/t/thingType/lamp/added",
        ]
    );
    assert!(published[0].1.contains(r#""versionNumber":2,"thingTypeName":"lamp""#));
    assert_eq!(
        plain(&published[1].1),
        concat!(
            r#"{"eventId":"?","eventType":"THING_TYPE_ASSOCIATION_EVENT","operation":"ADDED","#,
            r#""thingId":"?","thingName":"t","thingTypeName":"lamp","timestamp":1000}"#
        )
    );

    shelf.done("DeleteThing", r#"{"thingName":"t"}"#);
    let topics: Vec<_> = shelf.published().into_iter().map(|(topic, _)| topic).collect();
    assert_eq!(
        topics,
        [
            "$aws/events/thingTypeAssociation/thing/t/thingType/lamp/removed",
            "$aws/events/thing/t/deleted",
        ]
    );
}

#[test]
fn a_type_tells_of_its_life() {
    let mut shelf = enabled();
    shelf.done(
        "CreateThingType",
        r#"{"thingTypeName":"lamp","thingTypeProperties":{"searchableAttributes":["a"]}}"#,
    );
    shelf.done("DeprecateThingType", r#"{"thingTypeName":"lamp"}"#);
    let published = shelf.published();
    assert_eq!(
        plain(&published[0].1),
        concat!(
            r#"{"eventType":"THING_TYPE_EVENT","eventId":"?","timestamp":1000,"#,
            r#""operation":"CREATED","accountId":"000000000000","thingTypeId":"?","#,
            r#""thingTypeName":"lamp","isDeprecated":false,"deprecationDate":null,"#,
            r#""searchableAttributes":["a"],"propagatingAttributes":[],"description":null}"#
        )
    );
    assert_eq!(published[1].0, "$aws/events/thingType/lamp/updated");
    assert!(published[1].1.contains(r#""isDeprecated":true,"deprecationDate":1000"#));
    shelf.now += 300_000;
    shelf.done("DeleteThingType", r#"{"thingTypeName":"lamp"}"#);
    assert_eq!(shelf.published()[0].0, "$aws/events/thingType/lamp/deleted");
}

#[test]
fn a_group_tells_of_itself_its_parent_and_its_members() {
    let mut shelf = enabled();
    shelf.done("CreateThingGroup", r#"{"thingGroupName":"p"}"#);
    assert!(shelf.published()[0].1.contains(r#""rootToParentThingGroups":null"#));
    shelf.done("CreateThingGroup", r#"{"thingGroupName":"g","parentGroupName":"p"}"#);
    let published = shelf.published();
    assert_eq!(published[0].0, "$aws/events/thingGroup/g/created");
    assert_eq!(
        plain(&published[0].1),
        concat!(
            r#"{"eventType":"THING_GROUP_EVENT","eventId":"?","timestamp":1000,"#,
            r#""operation":"CREATED","accountId":"000000000000","thingGroupId":"?","#,
            r#""thingGroupName":"g","versionNumber":1,"parentGroupName":"p","parentGroupId":"?","#,
            r#""description":null,"rootToParentThingGroups":"#,
            r#"[{"groupArn":"arn:aws:iot:us-east-1:000000000000:thinggroup/p","groupId":"?"}],"#,
            r#""attributes":{},"dynamicGroupMappingId":null}"#
        )
    );
    assert_eq!(
        published[1].0,
        "$aws/events/thingGroupHierarchy/thingGroup/p/childThingGroup/g/added"
    );
    assert!(published[1].1.contains(r#""operation":"ADDED""#));
    assert!(published[1].1.contains(r#""thingGroupName":"p","childGroupId":""#));

    shelf.things(["t"]);
    shelf.published();
    shelf.done("AddThingToThingGroup", r#"{"thingName":"t","thingGroupName":"g"}"#);
    let added = shelf.published();
    assert_eq!(added[0].0, "$aws/events/thingGroupMembership/thingGroup/g/thing/t/added");
    shelf.now = 5_000;
    shelf.done("RemoveThingFromThingGroup", r#"{"thingName":"t","thingGroupName":"g"}"#);
    let removed = shelf.published();
    assert_eq!(removed[0].0, "$aws/events/thingGroupMembership/thingGroup/g/thing/t/removed");
    // One membership, from when it began to when it ended.
    let membership = |payload: &str| payload.split("membershipId").last().map(str::to_owned);
    assert_eq!(membership(&added[0].1), membership(&removed[0].1));

    shelf.done("DeleteThingGroup", r#"{"thingGroupName":"g"}"#);
    let topics: Vec<_> = shelf.published().into_iter().map(|(topic, _)| topic).collect();
    assert_eq!(
        topics,
        [
            "$aws/events/thingGroupHierarchy/thingGroup/p/childThingGroup/g/removed",
            "$aws/events/thingGroup/g/deleted",
        ]
    );
}
