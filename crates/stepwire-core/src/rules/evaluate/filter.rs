//! Why a topic filter does not take a topic.

/// At which level `filter` does not take `topic`; nothing if it does. As in AWS IoT rules, `#` wants a
/// level at least.
pub(super) fn fault(filter: &str, topic: &str) -> Option<String> {
    let (wanted, levels): (Vec<&str>, Vec<&str>) =
        (filter.split('/').collect(), topic.split('/').collect());
    if topic.starts_with('$') && matches!(wanted[0], "+" | "#") {
        return Some(format!(
            "the topic begins with `$`, which `{}` at level 1 of the filter does not take",
            wanted[0]
        ));
    }
    for (at, want) in wanted.iter().enumerate() {
        match (*want, levels.get(at)) {
            ("#", Some(_)) => return None,
            ("+", Some(_)) => {}
            (want, Some(level)) if want == *level => {}
            (want, Some(level)) => {
                let case = want.eq_ignore_ascii_case(level);
                let hint = if case { "; they differ in the case of letters" } else { "" };
                return Some(format!(
                    "level {} of the topic is `{level}`, the filter wants `{want}`{hint}",
                    at + 1
                ));
            }
            (want, None) => {
                return Some(format!(
                    "the topic ends after level {at}, the filter wants `{want}` as level {}",
                    at + 1
                ));
            }
        }
    }
    let more = levels.get(wanted.len())?;
    Some(format!("the filter ends after level {}, the topic goes on with `{more}`", wanted.len()))
}

#[cfg(test)]
mod tests {
    use super::super::super::tree::FilterTree;
    use super::*;

    #[test]
    fn a_filter_says_at_which_level_it_fails() {
        for (filter, topic, why) in [
            ("a/+/c", "a/b/d", "level 3 of the topic is `d`, the filter wants `c`"),
            (
                "a/B",
                "a/b",
                "level 2 of the topic is `b`, the filter wants `B`; they differ in the case of letters",
            ),
            ("a/b/+", "a/b", "the topic ends after level 2, the filter wants `+` as level 3"),
            ("a", "a/b", "the filter ends after level 1, the topic goes on with `b`"),
            (
                "#",
                "$aws/x",
                "the topic begins with `$`, which `#` at level 1 of the filter does not take",
            ),
        ] {
            assert_eq!(fault(filter, topic).as_deref(), Some(why));
        }
    }

    #[test]
    fn a_filter_takes_what_the_tree_of_filters_takes() {
        let words = ["a", "b", "", "$x"];
        let mut topics: Vec<String> = words.iter().map(ToString::to_string).collect();
        let mut filters: Vec<String> =
            words.iter().chain(&["+", "#"]).map(ToString::to_string).collect();
        for _ in 0..2 {
            let longer = |of: &[String], with: &[&str]| -> Vec<String> {
                let of = of.iter().filter(|text| !text.contains('#'));
                of.flat_map(|text| with.iter().map(move |word| format!("{text}/{word}"))).collect()
            };
            let more = longer(&topics, &words);
            topics.extend(more);
            let more = longer(&filters, &["a", "", "$x", "+", "#"]);
            filters.extend(more);
        }
        for filter in &filters {
            let mut tree = FilterTree::default();
            tree.insert(filter, "rule");
            for topic in &topics {
                let takes = !tree.matching(topic).is_empty();
                assert_eq!(fault(filter, topic).is_none(), takes, "{filter} {topic}");
            }
        }
    }
}
