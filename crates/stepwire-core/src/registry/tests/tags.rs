use super::Shelf;

const GROUP: &str = "arn:aws:iot:us-east-1:000000000000:thinggroup/g";

fn tags(shelf: &mut Shelf, arn: &str) -> String {
    let body = format!(r#"{{"resourceArn":"{arn}"}}"#);
    shelf.call("ListTagsForResource", &body).unwrap_or_else(|error| error)
}

#[test]
fn tags_are_set_shown_and_removed() {
    let mut shelf = Shelf::default();
    shelf.done("CreateThingGroup", r#"{"thingGroupName":"g","tags":[{"Key":"a","Value":"1"}]}"#);
    let tag =
        format!(r#"{{"resourceArn":"{GROUP}","tags":[{{"Key":"a","Value":"2"}},{{"Key":"b"}}]}}"#);
    shelf.done("TagResource", &tag);
    let shown = r#"{"tags":[{"Key":"a","Value":"2"},{"Key":"b","Value":""}]}"#;
    assert_eq!(tags(&mut shelf, GROUP), shown);
    shelf.done("UntagResource", &format!(r#"{{"resourceArn":"{GROUP}","tagKeys":["a","x"]}}"#));
    assert_eq!(tags(&mut shelf, GROUP), r#"{"tags":[{"Key":"b","Value":""}]}"#);
}

#[test]
fn tags_go_with_what_has_them() {
    let mut shelf = Shelf::default();
    let create = r#"{"thingGroupName":"g","tags":[{"Key":"a","Value":"1"}]}"#;
    shelf.done("CreateThingGroup", create);
    shelf.done("DeleteThingGroup", r#"{"thingGroupName":"g"}"#);
    assert!(tags(&mut shelf, GROUP).contains("ResourceNotFoundException"));
    shelf.done("CreateThingGroup", r#"{"thingGroupName":"g"}"#);
    assert_eq!(tags(&mut shelf, GROUP), r#"{"tags":[]}"#);
}

#[test]
fn what_cannot_have_tags_or_be_one_is_refused() {
    let mut shelf = Shelf::default();
    shelf.things(["t"]);
    let thing = GROUP.replace("thinggroup/g", "thing/t");
    let answer = tags(&mut shelf, &thing);
    assert!(answer.contains("kind `thing` has no tags"), "{answer}");
    assert!(tags(&mut shelf, "g").contains("no ARN of AWS IoT"));
    shelf.done("CreateThingGroup", r#"{"thingGroupName":"g"}"#);
    for (given, why) in [
        (r#"{"Key":"aws:x"}"#, "reserved"),
        (r#"{"Key":"a|b"}"#, "`a|b` is not a tag's key"),
        (r#"{"Key":"a"},{"Key":"a"}"#, "twice"),
    ] {
        let body = format!(r#"{{"resourceArn":"{GROUP}","tags":[{given}]}}"#);
        shelf.refused("TagResource", &body, why);
    }
    for key in 0..50 {
        let body = format!(r#"{{"resourceArn":"{GROUP}","tags":[{{"Key":"k{key}"}}]}}"#);
        shelf.done("TagResource", &body);
    }
    let more = format!(r#"{{"resourceArn":"{GROUP}","tags":[{{"Key":"more"}}]}}"#);
    shelf.refused("TagResource", &more, "LimitExceededException");
}
