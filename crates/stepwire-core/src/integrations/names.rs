//! Member names: the service's own on the wire, PascalCase in workflows.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::Object;

/// Renames the members of a structure at every level, but not within what has names of its own.
///
/// Those are maps with keys of callers, and AWS IoT's few members that are large on the wire, too.
pub(super) fn rename(value: &Json, name: &dyn Fn(&str) -> String) -> Json {
    match value {
        Json::Object(members) => {
            let renamed = members.iter().map(|(key, value)| {
                let own = has_own_names(key, value);
                let value = if own { value.clone() } else { rename(value, name) };
                (Arc::from(name(key)), value)
            });
            Json::Object(Arc::new(renamed.collect::<Object>()))
        }
        Json::Array(items) => Json::array(items.iter().map(|item| rename(item, name))),
        other => other.clone(),
    }
}

/// Members within which nothing is renamed.
const OWN_NAMES: [&str; 3] = ["attributes", "eventConfigurations", "tags"];

fn has_own_names(key: &str, value: &Json) -> bool {
    // `iot` nests the map of an execution's details in a structure, `iot-jobs-data` does not.
    let details = |key: &str| {
        key.eq_ignore_ascii_case("detailsMap")
            || key.eq_ignore_ascii_case("statusDetails") && value.member("detailsMap").is_none()
    };
    details(key) || OWN_NAMES.iter().any(|own| key.eq_ignore_ascii_case(own))
}

/// The name with its first letter large.
pub(super) fn pascal(name: &str) -> String {
    with_first(name, |first| first.to_ascii_uppercase())
}

/// The name with its first letter small.
pub(super) fn camel(name: &str) -> String {
    with_first(name, |first| first.to_ascii_lowercase())
}

fn with_first(name: &str, change: impl Fn(char) -> char) -> String {
    let mut chars = name.chars();
    chars.next().map(change).into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_renamed_but_attribute_names_are_not() {
        let wire = Json::parse(r#"{"thingName":"a","attributes":{"lowerCase":"x"}}"#);
        let pascal_case = rename(&wire.unwrap_or_default(), &pascal);
        let text = pascal_case.to_text();
        assert_eq!(text, r#"{"ThingName":"a","Attributes":{"lowerCase":"x"}}"#);
    }
}
