//! Topic filters and what is kept for each, found by topic.

use std::sync::Arc;

use indexmap::IndexMap;

/// Values by topic filter.
///
/// Filters without wildcards are one hash look-up; the others are a tree with a node for each
/// level, so that a topic costs what its matching filters cost. Filters must be well formed and of
/// bounded depth (see [`super::topic`]).
#[derive(Debug, Default)]
pub(super) struct FilterTree<V> {
    exact: IndexMap<Arc<str>, V>,
    root: Node<V>,
}

#[derive(Debug)]
struct Node<V> {
    children: IndexMap<Box<str>, Node<V>>,
    any: Option<Box<Node<V>>>,
    /// Of the filter that ends here.
    here: Option<V>,
    /// Of the filter that goes on with `#` only.
    below: Option<V>,
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Node { children: IndexMap::new(), any: None, here: None, below: None }
    }
}

impl<V> Node<V> {
    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.any.is_none()
            && self.here.is_none()
            && self.below.is_none()
    }
}

impl<V: Default> FilterTree<V> {
    /// The value of `filter`, made if there is none.
    pub(super) fn entry(&mut self, filter: &str) -> &mut V {
        if !filter.contains(['+', '#']) {
            if !self.exact.contains_key(filter) {
                self.exact.insert(filter.into(), V::default());
            }
            return &mut self.exact[filter];
        }
        let mut node = &mut self.root;
        for level in filter.split('/') {
            node = match level {
                "#" => return node.below.get_or_insert_default(),
                "+" => node.any.get_or_insert_default(),
                _ => node.children.entry(level.into()).or_default(),
            };
        }
        node.here.get_or_insert_default()
    }

    /// The value of `filter`, if it has one.
    pub(super) fn get(&self, filter: &str) -> Option<&V> {
        if !filter.contains(['+', '#']) {
            return self.exact.get(filter);
        }
        let mut node = &self.root;
        for level in filter.split('/') {
            node = match level {
                "#" => return node.below.as_ref(),
                "+" => node.any.as_deref()?,
                _ => node.children.get(level)?,
            };
        }
        node.here.as_ref()
    }

    /// Changes the value of `filter`, if it has one; `change` says whether to drop it.
    pub(super) fn update(&mut self, filter: &str, change: impl FnOnce(&mut V) -> Keep) {
        if filter.contains(['+', '#']) {
            update(&mut self.root, filter, change);
        } else if let Some(value) = self.exact.get_mut(filter)
            && change(value) == Keep::No
        {
            self.exact.swap_remove(filter);
        }
    }

    /// Calls `found` with the value of each filter that matches `topic`, and how it does.
    pub(super) fn matches<'a>(&'a self, topic: &str, found: &mut impl FnMut(&'a V, Reach)) {
        if let Some(value) = self.exact.get(topic) {
            found(value, Reach::Itself);
        }
        if !self.root.is_empty() {
            let own = topic.starts_with('$');
            walk(&self.root, Some(topic), own, found);
        }
    }

    /// Whether nothing is kept.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.root.is_empty()
    }
}

/// How a filter matches a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Level by level.
    Itself,
    /// As `a/#` does `a`.
    Parent,
}

/// Whether a value stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// It does.
    Yes,
    /// It goes.
    No,
}

fn update<V>(node: &mut Node<V>, filter: &str, change: impl FnOnce(&mut V) -> Keep) {
    let (level, rest) = match filter.split_once('/') {
        Some((level, rest)) => (level, Some(rest)),
        None => (filter, None),
    };
    if level == "#" {
        return drop_or_keep(&mut node.below, change);
    }
    let child = match level {
        "+" => node.any.as_deref_mut(),
        _ => node.children.get_mut(level),
    };
    let Some(child) = child else { return };
    match rest {
        Some(rest) => update(child, rest, change),
        None => drop_or_keep(&mut child.here, change),
    }
    if child.is_empty() {
        match level {
            "+" => node.any = None,
            _ => drop(node.children.swap_remove(level)),
        }
    }
}

fn drop_or_keep<V>(slot: &mut Option<V>, change: impl FnOnce(&mut V) -> Keep) {
    if let Some(value) = slot
        && change(value) == Keep::No
    {
        *slot = None;
    }
}

/// `own`: the topic starts with `$`, which wildcards at the first level do not match.
fn walk<'a, V>(
    node: &'a Node<V>,
    levels: Option<&str>,
    own: bool,
    found: &mut impl FnMut(&'a V, Reach),
) {
    if !own && let Some(value) = &node.below {
        found(value, if levels.is_none() { Reach::Parent } else { Reach::Itself });
    }
    let Some(levels) = levels else {
        if let Some(value) = &node.here {
            found(value, Reach::Itself);
        }
        return;
    };
    let (level, rest) = match levels.split_once('/') {
        Some((level, rest)) => (level, Some(rest)),
        None => (levels, None),
    };
    if let Some(child) = node.children.get(level) {
        walk(child, rest, false, found);
    }
    if !own && let Some(child) = &node.any {
        walk(child, rest, false, found);
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::Limits;
    use super::super::topic::Filter;
    use super::*;
    use stepwire_asl::Entropy;

    fn text(entropy: &mut Entropy, levels: &[&str]) -> String {
        let count = 1 + entropy.next_u64() as usize % 4;
        let pick = |_| levels[entropy.next_u64() as usize % levels.len()];
        (0..count).map(pick).collect::<Vec<_>>().join("/")
    }

    #[test]
    fn the_tree_finds_exactly_the_filters_that_match() {
        let mut entropy = Entropy::new(1);
        let limits = Limits::default();
        for _ in 0..200 {
            let mut tree: FilterTree<Vec<String>> = FilterTree::default();
            let mut filters = Vec::new();
            for _ in 0..20 {
                let filter = text(&mut entropy, &["a", "b", "", "+", "#", "$x"]);
                if Filter::parse(&filter, &limits).is_some() && !filters.contains(&filter) {
                    tree.entry(&filter).push(filter.clone());
                    filters.push(filter);
                }
            }
            let gone = filters.split_off(filters.len() / 2);
            for filter in &gone {
                tree.update(filter, |_| Keep::No);
            }
            for _ in 0..50 {
                let topic = text(&mut entropy, &["a", "b", "", "$x"]);
                let mut found = Vec::new();
                tree.matches(&topic, &mut |value: &Vec<String>, reach| {
                    for filter in value {
                        let parsed = Filter::parse(filter, &limits);
                        let parent = parsed.is_some_and(|it| it.is_for_parent(&topic));
                        assert_eq!(reach == Reach::Parent, parent, "{filter} {topic}");
                    }
                    found.extend(value.clone());
                });
                let mut expected = filters.clone();
                expected.retain(|f| Filter::parse(f, &limits).is_some_and(|f| f.matches(&topic)));
                found.sort();
                expected.sort();
                assert_eq!(found, expected, "{topic}");
            }
            for filter in &filters {
                tree.update(filter, |_| Keep::No);
            }
            assert!(tree.is_empty(), "a node without filters stays behind");
        }
    }
}
