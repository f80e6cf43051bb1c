use std::sync::Arc;

use super::Shelf;

/// A hierarchy: `a` has `a1` and `a2`, `a1` has `a11`; `b` is alone.
fn hierarchy() -> Shelf {
    let mut shelf = Shelf::default();
    for (name, parent) in [("a", ""), ("a1", "a"), ("a2", "a"), ("a11", "a1"), ("b", "")] {
        group(&mut shelf, name, parent);
    }
    shelf
}

fn group(shelf: &mut Shelf, name: &str, parent: &str) {
    let parent =
        if parent.is_empty() { String::new() } else { format!(r#","parentGroupName":"{parent}""#) };
    shelf.done("CreateThingGroup", &format!(r#"{{"thingGroupName":"{name}"{parent}}}"#));
}

fn member(thing: &str, group: &str) -> String {
    format!(r#"{{"thingName":"{thing}","thingGroupName":"{group}"}}"#)
}

#[test]
fn a_group_is_described_with_the_groups_above_it() {
    let mut shelf = hierarchy();
    let described = shelf.call("DescribeThingGroup", r#"{"thingGroupName":"a11"}"#).unwrap();
    let above = r#""parentGroupName":"a1","rootToParentThingGroups":[{"groupName":"a","#;
    assert!(described.contains(above), "{described}");
    let root = shelf.call("DescribeThingGroup", r#"{"thingGroupName":"a"}"#).unwrap();
    assert!(!root.contains("rootToParentThingGroups"), "{root}");
    assert!(root.contains(r#""version":1,"thingGroupProperties":{}"#), "{root}");
}

#[test]
fn creating_the_same_group_again_answers_the_same_and_another_is_refused() {
    let mut shelf = hierarchy();
    let same = r#"{"thingGroupName":"a1","parentGroupName":"a"}"#;
    let first = shelf.call("CreateThingGroup", same).unwrap();
    shelf.now = 9;
    assert_eq!(shelf.call("CreateThingGroup", same).unwrap(), first);
    for other in [
        r#"{"thingGroupName":"a1"}"#,
        r#"{"thingGroupName":"a1","parentGroupName":"a",
            "thingGroupProperties":{"thingGroupDescription":"x"}}"#,
    ] {
        shelf.refused(
            "CreateThingGroup",
            other,
            "already exists in current account with different",
        );
    }
    let orphan = r#"{"thingGroupName":"c","parentGroupName":"nope"}"#;
    shelf.refused("CreateThingGroup", orphan, "Thing group nope cannot be found.");
}

#[test]
fn a_hierarchy_has_seven_levels_and_a_group_a_hundred_children() {
    let mut shelf = Shelf::default();
    group(&mut shelf, "l1", "");
    for level in 2..=7 {
        group(&mut shelf, &format!("l{level}"), &format!("l{}", level - 1));
    }
    let eighth = r#"{"thingGroupName":"l8","parentGroupName":"l7"}"#;
    shelf.refused("CreateThingGroup", eighth, "at most 7 levels");
    for child in 1..100 {
        group(&mut shelf, &format!("c{child}"), "l1");
    }
    let more = r#"{"thingGroupName":"c100","parentGroupName":"l1"}"#;
    shelf.refused("CreateThingGroup", more, "has 100 children");
}

#[test]
fn a_group_is_updated_by_version() {
    let mut shelf = hierarchy();
    let update = r#"{"thingGroupName":"a","expectedVersion":1,"thingGroupProperties":
        {"thingGroupDescription":"x","attributePayload":{"attributes":{"k":"v"}}}}"#;
    assert_eq!(shelf.call("UpdateThingGroup", update).unwrap(), r#"{"version":2}"#);
    shelf.refused("UpdateThingGroup", update, "VersionConflictException");
    let described = shelf.call("DescribeThingGroup", r#"{"thingGroupName":"a"}"#).unwrap();
    let properties = r#"{"thingGroupDescription":"x","attributePayload":{"attributes":{"k":"v"}}}"#;
    assert!(described.contains(properties), "{described}");
}

#[test]
fn a_group_with_children_is_not_deleted_and_one_with_things_is() {
    let mut shelf = hierarchy();
    shelf.things(["t"]);
    shelf.done("AddThingToThingGroup", &member("t", "a11"));
    let a1 = r#"{"thingGroupName":"a1"}"#;
    shelf.refused(
        "DeleteThingGroup",
        a1,
        "Cannot delete thing group : a1 when there are still child groups attached to it",
    );
    let wrong = r#"{"thingGroupName":"a11","expectedVersion":2}"#;
    shelf.refused("DeleteThingGroup", wrong, "VersionConflictException");
    shelf.done("DeleteThingGroup", r#"{"thingGroupName":"a11"}"#);
    shelf.done("DeleteThingGroup", a1);
    // One that is not there is gone already.
    shelf.done("DeleteThingGroup", a1);
    let of_thing = r#"{"thingName":"t"}"#;
    assert_eq!(shelf.names("ListThingGroupsForThing", of_thing, "thingGroups", "x"), [""; 0]);
}

#[test]
fn groups_are_listed_by_prefix_parent_and_depth() {
    let mut shelf = hierarchy();
    let mut names = |body: &str| shelf.names("ListThingGroups", body, "thingGroups", "groupName");
    assert_eq!(names(r"{}"), ["a", "a1", "a11", "a2", "b"]);
    assert_eq!(names(r#"{"namePrefixFilter":"a1"}"#), ["a1", "a11"]);
    assert_eq!(names(r#"{"recursive":false}"#), ["a", "b"]);
    assert_eq!(names(r#"{"parentGroup":"a"}"#), ["a1", "a11", "a2"]);
    assert_eq!(names(r#"{"parentGroup":"a","recursive":false}"#), ["a1", "a2"]);
    let filtered = r#"{"parentGroup":"a","namePrefixFilter":"a1","recursive":false}"#;
    assert_eq!(names(filtered), ["a1"]);
    shelf.refused("ListThingGroups", r#"{"parentGroup":"x"}"#, "Thing group x cannot be found.");
}

#[test]
fn pages_of_groups_and_things_below_a_group_join_to_the_whole() {
    let mut shelf = hierarchy();
    shelf.things(["t1", "t2", "t3", "t4", "t5"]);
    for (thing, group) in [("t1", "a"), ("t5", "a"), ("t2", "a1"), ("t4", "a11"), ("t3", "a2")] {
        shelf.done("AddThingToThingGroup", &member(thing, group));
    }
    for limit in 1..=4 {
        let body = r#""parentGroup":"a","recursive":true"#;
        let pages = shelf.pages("ListThingGroups", body, "thingGroups", limit);
        assert_eq!(pages.concat(), ["a1", "a11", "a2"], "{limit}");
        assert!(pages.iter().rev().skip(1).all(|page| page.len() == limit), "{pages:?}");
        let body = r#""thingGroupName":"a","recursive":true"#;
        let pages = shelf.pages("ListThingsInThingGroup", body, "things", limit);
        assert_eq!(pages.concat(), ["t1", "t5", "t2", "t4", "t3"], "{limit}");
        let pages =
            shelf.pages("ListThingsInThingGroup", r#""thingGroupName":"a""#, "things", limit);
        assert_eq!(pages.concat(), ["t1", "t5"], "{limit}");
    }
    let bad = r#"{"thingGroupName":"a","nextToken":"x y"}"#;
    shelf.refused("ListThingsInThingGroup", bad, "nextToken");
}

#[test]
fn a_page_goes_on_where_it_was_though_that_is_gone() {
    let mut shelf = hierarchy();
    let first = r#"{"parentGroup":"a","recursive":true,"maxResults":2}"#;
    let answer = shelf.call("ListThingGroups", first).unwrap();
    assert!(answer.contains(r#""nextToken":"a1/a11""#), "{answer}");
    shelf.done("DeleteThingGroup", r#"{"thingGroupName":"a11"}"#);
    shelf.done("DeleteThingGroup", r#"{"thingGroupName":"a1"}"#);
    let next = r#"{"parentGroup":"a","recursive":true,"nextToken":"a1/a11"}"#;
    assert_eq!(shelf.names("ListThingGroups", next, "thingGroups", "groupName"), ["a2"]);
}

#[test]
fn a_thing_is_in_its_groups_and_in_all_above_them() {
    let mut shelf = hierarchy();
    shelf.things(["t"]);
    for group in ["a11", "b"] {
        shelf.done("AddThingToThingGroup", &member("t", group));
        shelf.done("AddThingToThingGroup", &member("t", group));
    }
    let of = r#""thingName":"t""#;
    let names = shelf.pages("ListThingGroupsForThing", of, "thingGroups", 3);
    assert_eq!(names, [vec!["a", "a1", "a11"], vec!["b"]]);
    let lineage = ["a", "a1", "a11", "b"].map(Arc::from);
    assert_eq!(shelf.registry.groups.lineage("t"), lineage);
    shelf.done("RemoveThingFromThingGroup", &member("t", "a11"));
    shelf.done("RemoveThingFromThingGroup", &member("t", "a11"));
    assert_eq!(shelf.registry.groups.lineage("t"), ["b".into()]);
    shelf.refused("ListThingGroupsForThing", r#"{"thingName":"x"}"#, "Thing x cannot be found.");
}

#[test]
fn a_thing_is_in_one_group_of_a_hierarchy_and_in_ten_groups() {
    let mut shelf = hierarchy();
    shelf.things(["t"]);
    shelf.done("AddThingToThingGroup", &member("t", "a11"));
    for group in ["a", "a1", "a2"] {
        shelf.refused("AddThingToThingGroup", &member("t", group), "of one hierarchy");
    }
    for number in 2..=10 {
        group(&mut shelf, &format!("g{number}"), "");
        shelf.done("AddThingToThingGroup", &member("t", &format!("g{number}")));
    }
    shelf.refused("AddThingToThingGroup", &member("t", "b"), "more than 10 groups");
    let change = r#"{"thingName":"t","thingGroupsToRemove":["g2"],"thingGroupsToAdd":["b"]}"#;
    shelf.done("UpdateThingGroupsForThing", change);
    assert_eq!(shelf.registry.groups.of("t").count(), 10);
    let moved = r#"{"thingName":"t","thingGroupsToRemove":["a11"],"thingGroupsToAdd":["a2"]}"#;
    shelf.done("UpdateThingGroupsForThing", moved);
    let both = r#"{"thingName":"t","thingGroupsToRemove":["b"],"thingGroupsToAdd":["b"]}"#;
    shelf.refused("UpdateThingGroupsForThing", both, "`b` is also to be removed");
}

#[test]
fn members_are_named_by_name_or_arn() {
    let mut shelf = hierarchy();
    shelf.things(["t"]);
    let arn = |kind: &str, name: &str| format!("arn:aws:iot:us-east-1:000000000000:{kind}/{name}");
    let (thing, group) = (arn("thing", "t"), arn("thinggroup", "b"));
    let by_arn = format!(r#"{{"thingArn":"{thing}","thingGroupArn":"{group}"}}"#);
    shelf.done("AddThingToThingGroup", &by_arn);
    assert_eq!(shelf.registry.groups.lineage("t"), ["b".into()]);
    for (body, why) in [
        (format!(r#"{{"thingName":"t","thingGroupArn":"{thing}"}}"#), "no ARN of a thinggroup"),
        (
            format!(r#"{{"thingName":"u","thingArn":"{thing}","thingGroupName":"b"}}"#),
            "does not match `thingName`",
        ),
        (r#"{"thingName":"t"}"#.to_owned(), "Need to specify at least one of them"),
    ] {
        shelf.refused("AddThingToThingGroup", &body, why);
    }
}

#[test]
fn things_leave_a_deleted_group_a_thousand_at_a_time() {
    let mut shelf = Shelf { trusting: true, ..hierarchy() };
    for number in 0..2_500 {
        let thing = format!("t{number:04}");
        shelf.things([thing.as_str()]);
        shelf.done("AddThingToThingGroup", &member(&thing, "b"));
    }
    shelf.trusting = false;
    shelf.done("DeleteThingGroup", r#"{"thingGroupName":"b"}"#);
    assert!(shelf.registry.groups.are_to_be_swept());
    // The last is in no group any more, whatever is still written.
    let last = r#"{"thingName":"t2499"}"#;
    assert!(shelf.registry.groups.lineage("t2499").is_empty());
    assert_eq!(shelf.names("ListThingGroupsForThing", last, "thingGroups", "groupName"), [""; 0]);
    shelf.sweep();
    assert!(shelf.registry.groups.are_to_be_swept());
    shelf.sweep();
    assert!(!shelf.registry.groups.are_to_be_swept());
}

#[test]
fn a_group_with_the_name_of_one_that_is_being_emptied_is_empty() {
    let mut shelf = Shelf { trusting: true, ..hierarchy() };
    for number in 0..1_001 {
        let thing = format!("t{number:04}");
        shelf.things([thing.as_str()]);
        shelf.done("AddThingToThingGroup", &member(&thing, "b"));
    }
    shelf.trusting = false;
    shelf.done("DeleteThingGroup", r#"{"thingGroupName":"b"}"#);
    group(&mut shelf, "b", "");
    let things = r#"{"thingGroupName":"b"}"#;
    assert_eq!(shelf.names("ListThingsInThingGroup", things, "things", "x"), [""; 0]);
    assert!(!shelf.registry.groups.are_to_be_swept());
}

#[test]
fn a_page_ends_early_where_many_groups_have_nothing_to_show() {
    let mut shelf = Shelf { trusting: true, ..hierarchy() };
    for first in 0..11 {
        group(&mut shelf, &format!("c{first:02}"), "b");
        for second in 0..99 {
            group(&mut shelf, &format!("c{first:02}-{second:02}"), &format!("c{first:02}"));
        }
    }
    shelf.things(["t"]);
    shelf.done("AddThingToThingGroup", &member("t", "c10-98"));
    let things = r#""thingGroupName":"b","recursive":true"#;
    let pages = shelf.pages("ListThingsInThingGroup", things, "things", 250);
    assert_eq!(pages, [vec![], vec!["t"]]);
    let groups = r#""parentGroup":"b","recursive":true,"namePrefixFilter":"c10-98""#;
    let pages = shelf.pages("ListThingGroups", groups, "thingGroups", 250);
    assert_eq!(pages, [vec![], vec!["c10-98"]]);
}
