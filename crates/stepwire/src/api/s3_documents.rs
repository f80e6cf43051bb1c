//! The documents of S3's requests and answers: XML outside, members of the API's model inside.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::Number;

use super::xml::{self, Element};

/// Lists whose entries stand one after the other: the element and the member.
const LISTS: &[(&str, &str)] = &[
    ("AllowedHeader", "AllowedHeaders"),
    ("AllowedMethod", "AllowedMethods"),
    ("AllowedOrigin", "AllowedOrigins"),
    ("CORSRule", "CORSRules"),
    ("CloudFunctionConfiguration", "LambdaFunctionConfigurations"),
    ("DeleteMarker", "DeleteMarkers"),
    ("Event", "Events"),
    ("ExposeHeader", "ExposeHeaders"),
    ("FilterRule", "FilterRules"),
    ("NoncurrentVersionTransition", "NoncurrentVersionTransitions"),
    ("QueueConfiguration", "QueueConfigurations"),
    ("Rule", "Rules"),
    ("TopicConfiguration", "TopicConfigurations"),
    ("Transition", "Transitions"),
    ("Version", "Versions"),
];

/// Elements that are members under another name.
const RENAMED: &[(&str, &str)] = &[
    ("CloudFunction", "LambdaFunctionArn"),
    ("Queue", "QueueArn"),
    ("S3Key", "Key"),
    ("Topic", "TopicArn"),
];

/// Members that are numbers.
const NUMBERS: &[&str] = &[
    "Days",
    "DaysAfterInitiation",
    "MaxAgeSeconds",
    "NewerNoncurrentVersions",
    "NoncurrentDays",
    "ObjectSizeGreaterThan",
    "ObjectSizeLessThan",
];

/// Members that are truth values.
const FLAGS: &[&str] = &[
    "BlockPublicAcls",
    "BlockPublicPolicy",
    "BucketKeyEnabled",
    "ExpiredObjectDeleteMarker",
    "IgnorePublicAcls",
    "RestrictPublicBuckets",
];

/// What an element says.
pub(super) fn read(element: &Element) -> Json {
    if element.name == "TagSet" {
        return Json::array(element.children.iter().map(read));
    }
    if element.children.is_empty() {
        let name = element.name.as_str();
        let text = element.text.as_str();
        let number = Number::from_text(text.trim()).filter(|_| NUMBERS.contains(&name));
        let flag = text.trim().parse::<bool>().ok().filter(|_| FLAGS.contains(&name));
        let holds = matches!(name, "EventBridgeConfiguration" | "Filter" | "And" | "Tagging");
        return match (number, flag) {
            (Some(number), _) => Json::Number(number),
            (None, Some(flag)) => flag.into(),
            (None, None) if holds || name.ends_with("Configuration") => {
                Json::object::<Arc<str>>([])
            }
            (None, None) => text.into(),
        };
    }
    let mut members: Vec<(Arc<str>, Vec<Json>, bool)> = Vec::new();
    for child in &element.children {
        let tags = element.name == "And" && child.name == "Tag";
        let list = LISTS.iter().find(|(name, _)| *name == child.name).map(|(_, member)| *member);
        let list = list.or_else(|| tags.then_some("Tags"));
        let renamed = RENAMED.iter().find(|(name, _)| *name == child.name);
        let member = list.or_else(|| renamed.map(|(_, member)| *member)).unwrap_or(&child.name);
        match members.iter_mut().find(|(name, ..)| **name == *member) {
            Some((_, values, _)) => values.push(read(child)),
            None => members.push((member.into(), vec![read(child)], list.is_some())),
        }
    }
    Json::object(members.into_iter().map(|(name, mut values, is_list)| {
        let value = if is_list { Json::array(values) } else { values.pop().unwrap_or_default() };
        (name, value)
    }))
}

/// Writes a member as its element.
pub(super) fn write(member: &str, value: &Json, out: &mut String) {
    let known = |pairs: &'static [(&str, &str)]| {
        pairs.iter().find(|(_, known)| *known == member).map(|(element, _)| *element)
    };
    match value {
        Json::Array(entries) if member == "TagSet" => {
            out.push_str("<TagSet>");
            entries.iter().for_each(|entry| write("Tag", entry, out));
            out.push_str("</TagSet>");
        }
        Json::Array(entries) => {
            let element = known(LISTS).or_else(|| (member == "Tags").then_some("Tag"));
            let element = element.unwrap_or(member);
            entries.iter().for_each(|entry| write_as(element, entry, out));
        }
        one => {
            // A filter's `Key` holds rules, that of a tag is text.
            let renamed =
                known(RENAMED).filter(|name| *name != "S3Key" || one.as_object().is_some());
            write_as(renamed.unwrap_or(member), one, out);
        }
    }
}

fn write_as(element: &str, value: &Json, out: &mut String) {
    match value {
        Json::Object(members) => {
            out.extend(["<", element, ">"]);
            members.iter().for_each(|(name, value)| write(name, value, out));
            out.extend(["</", element, ">"]);
        }
        Json::String(text) => {
            out.extend(["<", element, ">", &xml::escaped(text), "</", element, ">"]);
        }
        other => out.extend(["<", element, ">", &other.to_text(), "</", element, ">"]),
    }
}

/// The answer to who may do what: an owner, and grants.
pub(super) fn acl(answer: &Json, namespace: &str) -> String {
    let owner = answer.member("Owner").and_then(|owner| owner.member("ID")).and_then(Json::as_str);
    let owner = xml::escaped(owner.unwrap_or_default());
    format!(
        "<AccessControlPolicy xmlns=\"{namespace}\"><Owner><ID>{owner}</ID></Owner>\
         <AccessControlList><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:type=\"CanonicalUser\"><ID>{owner}</ID></Grantee><Permission>FULL_CONTROL</Permission>\
         </Grant></AccessControlList></AccessControlPolicy>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_written_as_they_are_read() {
        let text = "<R><Rule><ID>a</ID><Filter><And><Prefix>p</Prefix><Tag><Key>k</Key>\
                    <Value>true</Value></Tag></And></Filter><Expiration><Days>3</Days></Expiration>\
                    </Rule><TopicConfiguration><Topic>arn</Topic><Event>s3:*</Event><Filter><S3Key>\
                    <FilterRule><Name>prefix</Name><Value>x</Value></FilterRule></S3Key></Filter>\
                    </TopicConfiguration></R>";
        let document = read(&Element::parse(text.as_bytes()).expect("it is XML"));
        let expected = r#"{"Rules":[{"ID":"a","Filter":{"And":{"Prefix":"p","Tags":[{"Key":"k","Value":"true"}]}},"Expiration":{"Days":3}}],"TopicConfigurations":[{"TopicArn":"arn","Events":["s3:*"],"Filter":{"Key":{"FilterRules":[{"Name":"prefix","Value":"x"}]}}}]}"#;
        assert_eq!(document.to_text(), expected);
        let mut written = String::new();
        write("R", &document, &mut written);
        assert_eq!(written, text);
    }
}
