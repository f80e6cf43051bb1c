//! Topics of Basic Ingest, which name the rule that is to run.
//!
//! Source: AWS IoT developer guide, "Reducing messaging costs with Basic Ingest".

const PREFIX: &str = "$aws/rules/";

/// A topic taken apart: `$aws/rules/<rule>[/<topic>]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ingest<'a> {
    /// The rule.
    pub rule: &'a str,
    /// What follows: what `topic()` and limits see. Empty when nothing does.
    pub topic: &'a str,
}

impl<'a> Ingest<'a> {
    /// The parts of a topic of Basic Ingest; `None` for other topics.
    pub fn of(topic: &'a str) -> Option<Ingest<'a>> {
        let rest = topic.strip_prefix(PREFIX)?;
        let (rule, topic) = rest.split_once('/').unwrap_or((rest, ""));
        (!rule.is_empty()).then_some(Ingest { rule, topic })
    }

    /// Whether a filter asks for nothing but topics of Basic Ingest, which are delivered to nobody.
    pub fn covers(filter: &str) -> bool {
        filter.starts_with(PREFIX) || PREFIX.strip_suffix('/') == Some(filter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_of_basic_ingest_names_its_rule() {
        let parts = |topic| Ingest::of(topic).map(|ingest| (ingest.rule, ingest.topic));
        assert_eq!(parts("$aws/rules/r/a/b"), Some(("r", "a/b")));
        assert_eq!(parts("$aws/rules/r"), Some(("r", "")));
        assert_eq!(parts("$aws/rules/r/"), Some(("r", "")));
        assert_eq!(parts("$aws/rules/"), None);
        assert_eq!(parts("$aws/rules"), None);
        assert_eq!(parts("$aws/rulesx/r"), None);
        assert_eq!(parts("aws/rules/r"), None);
    }

    #[test]
    fn a_filter_of_basic_ingest_is_known() {
        for filter in ["$aws/rules/#", "$aws/rules/r/+", "$aws/rules/+", "$aws/rules"] {
            assert!(Ingest::covers(filter), "{filter}");
        }
        for filter in ["$aws/#", "$aws/+/r", "#", "aws/rules/#"] {
            assert!(!Ingest::covers(filter), "{filter}");
        }
    }
}
