//! Topic filters in a tree, so that a topic is compared with those that can match it alone.

use std::collections::BTreeMap;

/// Things by topic filter, several of which may have the same.
#[derive(Debug, PartialEq)]
pub(super) struct FilterTree<T> {
    root: Level<T>,
}

#[derive(Debug, PartialEq)]
struct Level<T> {
    next: BTreeMap<Box<str>, Level<T>>,
    /// Of filters that end here, in order.
    here: Vec<T>,
    /// Of filters that end in `#` here, in order.
    below: Vec<T>,
}

impl<T> Default for FilterTree<T> {
    fn default() -> FilterTree<T> {
        FilterTree { root: Level::default() }
    }
}

impl<T> Default for Level<T> {
    fn default() -> Level<T> {
        Level { next: BTreeMap::new(), here: Vec::new(), below: Vec::new() }
    }
}

impl<T: Ord> FilterTree<T> {
    pub(super) fn insert(&mut self, filter: &str, value: T) {
        let mut level = &mut self.root;
        for part in filter.split('/') {
            if part == "#" {
                return add(&mut level.below, value);
            }
            // looked up first: most levels are there already and need no copy of their name
            if !level.next.contains_key(part) {
                level.next.insert(part.into(), Level::default());
            }
            let Some(next) = level.next.get_mut(part) else { return };
            level = next;
        }
        add(&mut level.here, value);
    }

    pub(super) fn remove(&mut self, filter: &str, value: &T) {
        self.root.remove(Some(filter), value);
    }

    /// What has a filter that matches `topic`, in order. Allocates nothing unless there is some.
    pub(super) fn matching(&self, topic: &str) -> Vec<&T> {
        let mut found = Vec::new();
        self.root.find(Some(topic), topic.starts_with('$'), &mut found);
        found.sort_unstable();
        found
    }
}

fn add<T: Ord>(values: &mut Vec<T>, value: T) {
    if let Err(at) = values.binary_search(&value) {
        values.insert(at, value);
    }
}

fn take<T: Ord>(values: &mut Vec<T>, value: &T) {
    if let Ok(at) = values.binary_search(value) {
        values.remove(at);
    }
}

/// The first level of what is left of a topic or filter, and what is left then.
fn split(rest: &str) -> (&str, Option<&str>) {
    match rest.split_once('/') {
        Some((part, rest)) => (part, Some(rest)),
        None => (rest, None),
    }
}

impl<T: Ord> Level<T> {
    /// Whether nothing is left here.
    fn remove(&mut self, rest: Option<&str>, value: &T) -> bool {
        match rest.map(split) {
            None => take(&mut self.here, value),
            Some(("#", _)) => take(&mut self.below, value),
            Some((part, rest)) => {
                if let Some(next) = self.next.get_mut(part)
                    && next.remove(rest, value)
                {
                    self.next.remove(part);
                }
            }
        }
        self.next.is_empty() && self.here.is_empty() && self.below.is_empty()
    }

    /// `reserved`: the topic begins with `$`, which wildcards at the first level do not match.
    /// As on AWS IoT, `a/#` takes what is below `a`, and not `a` itself.
    fn find<'a>(&'a self, rest: Option<&str>, reserved: bool, found: &mut Vec<&'a T>) {
        if !reserved && rest.is_some() {
            found.extend(&self.below);
        }
        let Some((part, rest)) = rest.map(split) else {
            found.extend(&self.here);
            return;
        };
        if let Some(next) = self.next.get(part) {
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

    fn tree<'a>(filters: &[&'a str]) -> FilterTree<&'a str> {
        let mut tree = FilterTree::default();
        for filter in filters {
            tree.insert(filter, *filter);
        }
        tree
    }

    fn matching<'a>(tree: &FilterTree<&'a str>, topic: &str) -> Vec<&'a str> {
        tree.matching(topic).into_iter().copied().collect()
    }

    #[test]
    fn wildcards_match_their_levels() {
        let tree = tree(&["a/+/c", "a/#", "a/b/c", "+", "#", "$aws/events/+"]);
        assert_eq!(matching(&tree, "a/b/c"), ["#", "a/#", "a/+/c", "a/b/c"]);
        assert_eq!(matching(&tree, "a"), ["#", "+"]);
        assert_eq!(matching(&tree, "$aws/events/x"), ["$aws/events/+"]);
        assert_eq!(matching(&tree, "$SYS"), Vec::<&str>::new());
    }

    #[test]
    fn empty_levels_are_levels() {
        let tree = tree(&["/", "+/+", "a/", "a/+", "/#", "a"]);
        assert_eq!(matching(&tree, "/"), ["+/+", "/", "/#"]);
        assert_eq!(matching(&tree, "a/"), ["+/+", "a/", "a/+"]);
        assert_eq!(matching(&tree, "a"), ["a"]);
    }

    #[test]
    fn several_with_one_filter_come_in_order() {
        let mut tree = FilterTree::default();
        for value in [3, 1, 2] {
            tree.insert("a/+", value);
        }
        tree.insert("a/#", 0);
        assert_eq!(tree.matching("a/b"), [&0, &1, &2, &3]);
        tree.remove("a/+", &2);
        tree.remove("a/+", &7);
        assert_eq!(tree.matching("a/b"), [&0, &1, &3]);
    }

    #[test]
    fn removing_every_filter_leaves_an_empty_tree() {
        let filters = ["a/+/c", "a/#", "a/b/c", "/", "#"];
        let mut tree = tree(&filters);
        for filter in filters {
            tree.remove(filter, &filter);
        }
        assert_eq!(tree, FilterTree::default());
    }
}
