//! Topic names and topic filters (MQTT 5.0, 4.7).

use super::limits::Limits;
use crate::message::asks_service;
use crate::rules::Ingest;

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
        let name_fits = filter.group.unwrap_or_default().len() <= limits.share_name_bytes_max;
        let fits = name_fits && fits(text, filter.path, limits);
        (fits && !filter.path.is_empty() && well_formed(filter.path)).then_some(filter)
    }

    /// Whether it matches `topic` only because `a/#` includes `a`.
    pub(super) fn is_for_parent(&self, topic: &str) -> bool {
        let parent = self.path.strip_suffix("/#");
        parent.is_some_and(|path| Filter { group: None, path }.matches(topic))
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
    let counted = without_rule(topic);
    !topic.is_empty() && !topic.contains(['+', '#']) && fits(topic, counted, limits)
}

/// Longest topic name or filter with all there is before it, in bytes: it fits a stored key.
const TEXT_BYTES_MAX: usize = 32_768;

/// Whether `text` is within the limits, of which only `counted` counts.
fn fits(text: &str, counted: &str, limits: &Limits) -> bool {
    text.len() <= TEXT_BYTES_MAX.max(limits.topic_bytes_max)
        && counted.len() <= limits.topic_bytes_max
        && counted.split('/').count() <= limits.topic_levels_max
        && !text.as_bytes().contains(&0)
}

/// The topic without `$aws/rules/<rule>/` (Basic Ingest).
fn without_rule(topic: &str) -> &str {
    Ingest::of(topic).map_or(topic, |ingest| ingest.topic)
}

/// Whether only the service may publish to `topic`. To those of Basic Ingest, and those that ask for
/// shadows or jobs, others may.
pub(super) fn is_reserved(topic: &str) -> bool {
    let Some(rest) = topic.strip_prefix('$') else { return false };
    let first = rest.split('/').next().unwrap_or(rest);
    matches!(first, "aws" | "SYS" | "share") && Ingest::of(topic).is_none() && !asks_service(topic)
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
    fn what_stands_before_a_topic_does_not_count() {
        let long = "x".repeat(256);
        let deep = "a/b/c/d/e/f/g/h";
        for counted in [&long, deep] {
            let ingest = format!("$aws/rules/{}/{counted}", "r".repeat(100));
            assert!(is_topic_name(&ingest, &Limits::AWS));
            assert!(!is_topic_name(&format!("{ingest}/x"), &Limits::AWS));
            let shared = format!("$share/{}/{counted}", "s".repeat(128));
            assert!(Filter::parse(&shared, &Limits::AWS).is_some());
            assert!(Filter::parse(&format!("{shared}/x"), &Limits::AWS).is_none());
        }
        let name = format!("$share/{}/a", "s".repeat(129));
        assert!(Filter::parse(&name, &Limits::AWS).is_none());
        assert!(Filter::parse(&name, &Limits::STANDARD).is_some());
    }

    #[test]
    fn only_a_parent_is_matched_as_a_parent() {
        let parent = |filter, topic| {
            Filter::parse(filter, &Limits::STANDARD).is_some_and(|it| it.is_for_parent(topic))
        };
        assert!(parent("a/#", "a"));
        assert!(parent("+/#", "a"));
        assert!(!parent("a/#", "a/"));
        assert!(!parent("a/#", "a/b"));
        assert!(!parent("#", "a"));
        assert!(!parent("a", "a"));
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
        assert!(is_reserved("$aws/rules/"));
        assert!(!is_reserved("$aws/rules/a_rule/b"));
        assert!(!is_reserved("$TopicA/B"));
        assert!(!is_reserved("aws/x"));
    }
}
