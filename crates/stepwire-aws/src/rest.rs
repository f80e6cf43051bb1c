//! restJson: from method, path and query to an operation and its members.

use percent_encoding::percent_decode_str;

use crate::routes::Route;

/// A request matched to its route.
#[derive(Debug, PartialEq, Eq)]
pub struct Matched<'r> {
    /// The route.
    pub route: &'r Route,
    /// Members in the path, decoded.
    pub labels: Vec<(&'static str, String)>,
}

/// The route that a method and (still encoded) path name. Literal segments win over labels.
pub fn find<'r>(routes: &'r [Route], method: &str, path: &str) -> Option<Matched<'r>> {
    let candidates = routes.iter().filter(|route| route.method == method);
    candidates
        .filter_map(|route| Some((route, labels(route.path, path)?)))
        .min_by_key(|(_, labels)| labels.len())
        .map(|(route, labels)| Matched { route, labels })
}

/// Whether some route has this path with another method.
pub fn path_exists(routes: &[Route], path: &str) -> bool {
    routes.iter().any(|route| labels(route.path, path).is_some())
}

fn labels(template: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut found = Vec::new();
    let mut rest = path.trim_start_matches('/');
    let segments =
        template.trim_start_matches('/').split('/').filter(|segment| !segment.is_empty());
    for segment in segments {
        let label = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}'));
        // Topics have slashes, whether the client encodes them or not.
        let greedy = label.is_some_and(|label| label.ends_with('+') || label == "topic");
        let (value, after) =
            if greedy { (rest, "") } else { rest.split_once('/').unwrap_or((rest, "")) };
        match label {
            Some(label) if !value.is_empty() => {
                found.push((label.trim_end_matches('+'), decoded(value)?));
            }
            None if decoded(value)? == segment => {}
            _ => return None,
        }
        rest = after;
    }
    rest.is_empty().then_some(found)
}

/// The pairs of a query string, decoded; those that are not UTF-8 are left out.
pub fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(&name.replace('+', " "))?, decoded(&value.replace('+', " "))?))
    })
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::{IOT, IOT_DATA};

    fn operation(method: &str, path: &str) -> Option<&'static str> {
        find(IOT, method, path).map(|matched| matched.route.operation)
    }

    #[test]
    fn paths_name_operations() {
        assert_eq!(operation("POST", "/things/gw-1"), Some("CreateThing"));
        assert_eq!(operation("GET", "/things"), Some("ListThings"));
        assert_eq!(operation("GET", "/rules/a"), Some("GetTopicRule"));
        assert_eq!(operation("POST", "/keys-and-certificate"), Some("CreateKeysAndCertificate"));
        assert_eq!(operation("PUT", "/target-policies/p"), Some("AttachPolicy"));
        assert_eq!(operation("GET", "/nowhere"), None);
    }

    #[test]
    fn labels_are_decoded_and_greedy_ones_take_the_rest() {
        let matched = find(IOT_DATA, "POST", "/topics/devices%2Fa%20b/c");
        let labels = matched.map(|matched| matched.labels);
        let topic = labels.and_then(|labels| labels.into_iter().next());
        assert_eq!(topic, Some(("topic", "devices/a b/c".to_owned())));
    }
}
