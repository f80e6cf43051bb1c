//! Topic names and topic filters (MQTT 5.0, 4.7).

use super::limits::Limits;

/// A topic filter taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter<'a> {
    /// Name of the group when the subscription is shared: `g` of `$share/g/a/+`.
    pub group: Option<&'a str>,
    /// The filter that topics are matched against.
    pub path: &'a str,
}

impl<'a> Filter<'a> {
    /// Reads a filter; `None` if it is not valid or breaks a limit.
    pub fn parse(text: &'a str, limits: &Limits) -> Option<Filter<'a>> {
        let filter = match text.strip_prefix("$share/") {
            None => Filter { group: None, path: text },
            Some(rest) => {
                let (group, path) = rest.split_once('/')?;
                if group.is_empty() || group.contains(['+', '#']) {
                    return None;
                }
                Filter { group: Some(group), path }
            }
        };
        (fits(text, limits) && !filter.path.is_empty() && well_formed(filter.path))
            .then_some(filter)
    }

    /// Whether some of its levels are wildcards.
    pub fn has_wildcard(&self) -> bool {
        has_wildcard(self.path)
    }

    /// The start that every matching topic shares, up to the first wildcard.
    pub fn literal_prefix(&self) -> &'a str {
        let end = self.path.find(['+', '#']).unwrap_or(self.path.len());
        // `a/#` matches `a` too
        self.path[..end]
            .strip_suffix('/')
            .filter(|_| self.path[end..] == *"#")
            .unwrap_or(&self.path[..end])
    }

    /// Whether a message published to `topic` is for this filter.
    pub fn matches(&self, topic: &str) -> bool {
        let mut topic_levels = topic.split('/');
        let mut first = true;
        for level in self.path.split('/') {
            if first && topic.starts_with('$') && matches!(level, "+" | "#") {
                return false;
            }
            first = false;
            if level == "#" {
                return true;
            }
            match topic_levels.next() {
                Some(name) if level == "+" || level == name => {}
                _ => return false,
            }
        }
        topic_levels.next().is_none()
    }
}

/// Whether a filter has levels that are wildcards.
pub(super) fn has_wildcard(path: &str) -> bool {
    path.contains(['+', '#'])
}

fn well_formed(path: &str) -> bool {
    let mut levels = path.split('/').peekable();
    while let Some(level) = levels.next() {
        let wild = level.contains(['+', '#']);
        if wild && (level.len() > 1 || level == "#" && levels.peek().is_some()) {
            return false;
        }
    }
    true
}

/// Whether `topic` can be published to: no wildcards, within the limits.
pub fn is_topic_name(topic: &str, limits: &Limits) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#']) && fits(topic, limits)
}

fn fits(text: &str, limits: &Limits) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= limits.topic_bytes_max
        && text.split('/').count() <= limits.topic_levels_max
        && !bytes.contains(&0)
}

/// Whether only the service may publish to `topic`.
pub(super) fn is_reserved(topic: &str) -> bool {
    let Some(rest) = topic.strip_prefix('$') else { return false };
    let first = rest.split('/').next().unwrap_or(rest);
    matches!(first, "aws" | "SYS" | "share")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(filter: &str, topic: &str) -> bool {
        Filter::parse(filter, &Limits::default()).is_some_and(|filter| filter.matches(topic))
    }

    #[test]
    fn a_filter_matches_as_the_specification_says() {
        let yes = [
            ("a/b", "a/b"),
            ("a/+", "a/b"),
            ("a/+", "a/"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("sport/tennis/player1/#", "sport/tennis/player1"),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
            ("#", "a"),
            ("$aws/+/b", "$aws/x/b"),
            ("$share/g/a/+", "a/b"),
        ];
        for (filter, topic) in yes {
            assert!(matches(filter, topic), "{filter} {topic}");
        }
        let no = [
            ("a/b", "a/b/c"),
            ("a/+", "a"),
            ("+", "/finance"),
            ("a/#", "ab"),
            ("#", "$aws/x"),
            ("+/x", "$aws/x"),
            ("A", "a"),
        ];
        for (filter, topic) in no {
            assert!(!matches(filter, topic), "{filter} {topic}");
        }
    }

    #[test]
    fn a_malformed_filter_is_refused() {
        let limits = Limits { topic_bytes_max: 20, topic_levels_max: 4, ..Limits::default() };
        for text in [
            "",
            "a#",
            "a/#/b",
            "+a",
            "a/b+",
            "$share/g",
            "$share/g/",
            "$share//a",
            "$share/+/a",
            "a\0b",
            "a/b/c/d/e",
            "a_text_of_more_than_20_bytes",
        ] {
            assert_eq!(Filter::parse(text, &limits), None, "{text}");
        }
    }

    #[test]
    fn the_literal_prefix_is_shared_by_all_matching_topics() {
        let prefix =
            |text| Filter::parse(text, &Limits::default()).map(|f| f.literal_prefix().to_owned());
        assert_eq!(prefix("a/b/+/c").as_deref(), Some("a/b/"));
        assert_eq!(prefix("a/b/#").as_deref(), Some("a/b"));
        assert_eq!(prefix("a/b").as_deref(), Some("a/b"));
        assert_eq!(prefix("#").as_deref(), Some(""));
    }

    #[test]
    fn clients_cannot_publish_to_topics_of_the_service() {
        assert!(is_reserved("$aws/events/presence/connected/x"));
        assert!(is_reserved("$SYS"));
        assert!(!is_reserved("$TopicA/B"));
        assert!(!is_reserved("aws/x"));
    }
}
