//! Topics on which devices ask for shadows.

const PREFIX: &str = "$aws/things/";

/// What is asked of a shadow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Tell its document.
    Get,
    /// Change it.
    Update,
    /// Delete it.
    Delete,
}

/// A topic taken apart: `$aws/things/<thing>/shadow[/name/<shadow>]/<operation>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestTopic<'a> {
    /// The thing.
    pub thing: &'a str,
    /// The shadow's name; none for the classic one.
    pub shadow: Option<&'a str>,
    /// What is asked.
    pub operation: Operation,
}

impl<'a> RequestTopic<'a> {
    /// What a topic asks for; `None` for other topics, those of answers included.
    pub fn of(topic: &'a str) -> Option<RequestTopic<'a>> {
        let (thing, rest) = topic.strip_prefix(PREFIX)?.split_once("/shadow/")?;
        let (shadow, operation) = match rest.strip_prefix("name/") {
            Some(named) => named.split_once('/').map(|(name, rest)| (Some(name), rest))?,
            None => (None, rest),
        };
        let operation = match operation {
            "get" => Operation::Get,
            "update" => Operation::Update,
            "delete" => Operation::Delete,
            _ => return None,
        };
        let whole = |name: &str| !name.is_empty() && !name.contains('/');
        (whole(thing) && shadow.is_none_or(whole)).then_some(RequestTopic {
            thing,
            shadow,
            operation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_names_thing_shadow_and_operation() {
        let parts = |topic| {
            RequestTopic::of(topic).map(|asked| (asked.thing, asked.shadow, asked.operation))
        };
        assert_eq!(parts("$aws/things/a/shadow/get"), Some(("a", None, Operation::Get)));
        let named = parts("$aws/things/a/shadow/name/b/update");
        assert_eq!(named, Some(("a", Some("b"), Operation::Update)));
        for other in [
            "$aws/things/a/shadow/get/accepted",
            "$aws/things/a/shadow/update/delta",
            "$aws/things/a/shadow/name/b/update/documents",
            "$aws/things/a/shadow/name/get",
            "$aws/things//shadow/get",
            "$aws/things/a/b/shadow/get",
            "$aws/things/a/jobs/get",
            "aws/things/a/shadow/get",
        ] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
