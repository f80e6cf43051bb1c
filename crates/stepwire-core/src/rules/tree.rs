//! Topic filters in a tree, so that a topic is compared with those that can match it alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rule names by topic filter.
#[derive(Debug, Default, PartialEq)]
pub(super) struct FilterTree {
    root: Level,
}

#[derive(Debug, Default, PartialEq)]
struct Level {
    next: BTreeMap<Box<str>, Level>,
    /// Filters that end here.
    here: BTreeSet<Arc<str>>,
    /// Filters that end in `#` here.
    below: BTreeSet<Arc<str>>,
}

impl FilterTree {
    pub(super) fn insert(&mut self, filter: &str, rule: &Arc<str>) {
        let mut level = &mut self.root;
        for part in filter.split('/') {
            if part == "#" {
                level.below.insert(Arc::clone(rule));
                return;
            }
            level = level.next.entry(part.into()).or_default();
        }
        level.here.insert(Arc::clone(rule));
    }

    pub(super) fn remove(&mut self, filter: &str, rule: &Arc<str>) {
        let parts: Vec<&str> = filter.split('/').collect();
        self.root.remove(&parts, rule);
    }

    /// Rules whose filter matches `topic`, in order of their names.
    pub(super) fn matching(&self, topic: &str) -> Vec<Arc<str>> {
        let mut found = BTreeSet::new();
        let parts: Vec<&str> = topic.split('/').collect();
        self.root.find(&parts, topic.starts_with('$'), &mut found);
        found.into_iter().collect()
    }
}

impl Level {
    /// Whether nothing is left here.
    fn remove(&mut self, parts: &[&str], rule: &Arc<str>) -> bool {
        match parts.split_first() {
            None => {
                self.here.remove(rule);
            }
            Some((&"#", _)) => {
                self.below.remove(rule);
            }
            Some((part, rest)) => {
                if let Some(next) = self.next.get_mut(*part)
                    && next.remove(rest, rule)
                {
                    self.next.remove(*part);
                }
            }
        }
        self.next.is_empty() && self.here.is_empty() && self.below.is_empty()
    }

    /// `reserved`: the topic begins with `$`, which wildcards at the first level do not match.
    /// As on AWS IoT, `a/#` takes what is below `a`, and not `a` itself.
    fn find(&self, parts: &[&str], reserved: bool, found: &mut BTreeSet<Arc<str>>) {
        if !reserved && !parts.is_empty() {
            found.extend(self.below.iter().cloned());
        }
        let Some((part, rest)) = parts.split_first() else {
            found.extend(self.here.iter().cloned());
            return;
        };
        if let Some(next) = self.next.get(*part) {
            next.find(rest, false, found);
        }
        if !reserved && let Some(next) = self.next.get("+") {
            next.find(rest, false, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(filters: &[&str]) -> FilterTree {
        let mut tree = FilterTree::default();
        for filter in filters {
            tree.insert(filter, &Arc::from(*filter));
        }
        tree
    }

    fn matching(tree: &FilterTree, topic: &str) -> Vec<String> {
        tree.matching(topic).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn wildcards_match_their_levels() {
        let tree = tree(&["a/+/c", "a/#", "a/b/c", "+", "#", "$aws/events/+"]);
        assert_eq!(matching(&tree, "a/b/c"), ["#", "a/#", "a/+/c", "a/b/c"]);
        assert_eq!(matching(&tree, "a"), ["#", "+"]);
        assert_eq!(matching(&tree, "$aws/events/x"), ["$aws/events/+"]);
        assert_eq!(matching(&tree, "$SYS"), Vec::<String>::new());
    }

    #[test]
    fn removing_every_filter_leaves_an_empty_tree() {
        let filters = ["a/+/c", "a/#", "a/b/c"];
        let mut tree = tree(&filters);
        for filter in filters {
            tree.remove(filter, &Arc::from(filter));
        }
        assert_eq!(tree, FilterTree::default());
    }
}
