//! A search on its way: it looks at so many things at a time, so that nobody waits long for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::aggregate::Tally;
use super::document::GroupValues;
use super::query::Schema;
use super::request::{Look, THING_GROUPS, THINGS, Want, no_index};
use crate::error::ApiError;
use crate::registry::Registry;

/// A search or an aggregation that has begun.
#[derive(Debug)]
pub(crate) struct Run {
    look: Look,
    /// Names that are still to be looked at; `None`: all after `last`.
    candidates: Option<BTreeSet<Arc<str>>>,
    /// The last name that was looked at.
    last: Option<Arc<str>>,
    found: Found,
}

/// What has been found so far.
#[derive(Debug)]
pub(super) enum Found {
    /// Names, in order, and whether there are more.
    Page {
        /// The names.
        names: Vec<Arc<str>>,
        /// Whether there are more than are wanted.
        more: bool,
    },
    /// Values.
    Tally(Tally),
}

impl Registry {
    /// Begins a search, if what it searches is there.
    pub(crate) fn begin(&self, look: &Look) -> Result<Run, ApiError> {
        let configuration = &self.search.configuration;
        if look.schema == Schema::ThingGroups {
            if configuration.thing_groups.is_none() {
                return Err(no_index(THING_GROUPS));
            }
        } else {
            if configuration.things.is_none() {
                return Err(no_index(THINGS));
            }
            if !self.search.is_active() {
                let why = format!("Index {THINGS} is not ready: it is being built");
                return Err(ApiError::new("IndexNotReadyException", why));
            }
            self.search.check_indexed(&look.query)?;
        }
        let found = match &look.want {
            Want::Page { .. } => Found::Page { names: Vec::new(), more: false },
            Want::Statistics(field)
            | Want::Cardinality(field)
            | Want::Percentiles(field, _)
            | Want::Buckets(field, _) => {
                Found::Tally(Tally::over(field, &look.want, configuration)?)
            }
        };
        let after = match &look.want {
            Want::Page { after, .. } => after.clone(),
            _ => None,
        };
        let index = self.search.index().filter(|_| look.schema == Schema::Things);
        let mut candidates = index.and_then(|index| index.candidates(&look.query));
        if let (Some(names), Some(after)) = (&mut candidates, &after) {
            names.retain(|name| name > after);
        }
        Ok(Run { look: look.clone(), candidates, last: after, found })
    }

    /// Goes on with a search: looks at no more than `most` things or groups. Whether it has ended.
    pub(crate) fn go_on(&self, run: &mut Run, most: usize) -> bool {
        match (run.look.schema, &mut run.candidates) {
            (Schema::ThingGroups, _) => self.go_on_with_groups(run, most),
            (Schema::Things, Some(names)) => {
                let names: Vec<_> = std::iter::from_fn(|| names.pop_first()).take(most).collect();
                let all = names.len() < most;
                names.iter().any(|name| self.look_at(name, run)) || all
            }
            (Schema::Things, None) => self.go_on_with_all(run, most),
        }
    }

    fn go_on_with_all(&self, run: &mut Run, most: usize) -> bool {
        let Some(index) = self.search.index() else { return true };
        let after = run.last.clone();
        let mut looked_at = 0;
        for (name, document) in index.after(after.as_ref()).take(most) {
            looked_at += 1;
            run.last = Some(Arc::clone(name));
            if run.look.query.matches(document) && self.take(name, run) {
                return true;
            }
        }
        looked_at < most
    }

    fn go_on_with_groups(&self, run: &mut Run, most: usize) -> bool {
        let after = run.last.clone();
        let mut looked_at = 0;
        for group in self.groups.after(after.as_ref()).take(most) {
            looked_at += 1;
            run.last = Some(Arc::clone(&group.name));
            let values = GroupValues { group, above: self.groups.ancestors(&group.name) };
            if run.look.query.matches(&values) && self.take(&group.name, run) {
                return true;
            }
        }
        looked_at < most
    }

    /// Whether nothing more is wanted.
    fn look_at(&self, name: &Arc<str>, run: &mut Run) -> bool {
        let document = self.search.index().and_then(|index| index.find(name));
        document.is_some_and(|document| run.look.query.matches(document)) && self.take(name, run)
    }

    /// Takes in what matches; whether nothing more is wanted.
    fn take(&self, name: &Arc<str>, run: &mut Run) -> bool {
        match &mut run.found {
            Found::Page { names, more } => {
                let Want::Page { limit, .. } = run.look.want else { return true };
                *more = names.len() == limit;
                if !*more {
                    names.push(Arc::clone(name));
                }
                *more
            }
            Found::Tally(tally) => {
                self.count(name, tally);
                false
            }
        }
    }
}

impl Run {
    pub(super) fn into_found(self) -> (Look, Found) {
        (self.look, self.found)
    }
}
