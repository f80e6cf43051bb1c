//! Carrying out an update expression.
//!
//! All operands are read from the item as it was; then values are set in the order of their paths,
//! so that list elements beyond the end are appended by index; then the rest is removed, last
//! element first, so that indexes keep their meaning.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::expression::{Action, Amount, Element, Path, Source, Update};
use super::index::By;
use super::number::{Number, NumberError};
use super::table::Table;
use super::validation;
use super::value::{Attributes, NESTING_MAX, Value};
use crate::error::ApiError;

/// `before` after `update`.
pub(super) fn updated(
    table: &Table,
    before: &Attributes,
    update: &Update,
) -> Result<Attributes, ApiError> {
    check(table, update)?;
    let mut sets = Vec::new();
    let mut removals = Vec::new();
    for action in &update.actions {
        let path = action.path();
        match effect(action, before).map_err(|error| update.says(error))? {
            Effect::Set(value) => sets.push((path, value)),
            Effect::Remove => removals.push(path),
            Effect::Nothing => {}
        }
    }
    sets.sort_by_key(|(path, _)| *path);
    removals.sort_by_key(|path| Reverse(*path));
    let mut after = before.clone();
    for (path, value) in sets {
        set(&mut after, path, value)?;
    }
    for path in removals {
        remove(&mut after, path)?;
    }
    let deep = update.actions.iter().filter_map(|action| after.get(&action.path().root));
    if deep.map(nesting).any(|levels| levels > NESTING_MAX) {
        return Err(validation("Nesting Levels have exceeded supported limits"));
    }
    table.check_index_keys(&after, By::Update)?;
    Ok(after)
}

impl Update {
    /// The error as AWS says it of an update of this kind.
    fn says(&self, error: ApiError) -> ApiError {
        if self.is_legacy && error.message == WRONG_TYPE {
            return validation("Type mismatch for attribute to update");
        }
        error
    }
}

/// Refuses what can be refused without looking at the item.
fn check(table: &Table, update: &Update) -> Result<(), ApiError> {
    for action in &update.actions {
        let path = action.path();
        if table.is_key(&path.root) {
            return Err(validation(format!(
                "One or more parameter values were invalid: Cannot update attribute {}. This \
                 attribute is part of the key",
                path.root
            )));
        }
    }
    for action in &update.actions {
        let (path, value) = match action {
            Action::Set(path, Amount::One(Source::Value(value)))
            | Action::Add(path, value)
            | Action::Delete(path, value) => (path, value),
            Action::Set(..) | Action::Remove(_) => continue,
        };
        if path.rest.is_empty() && !table.indexes.is_empty() {
            let alone = [(Arc::clone(&path.root), value.clone())].into();
            table.check_index_keys(&alone, By::Put)?;
        }
    }
    let mut checked = Ok(());
    update.paths(&mut |path| {
        if checked.is_ok() && !path.rest.is_empty() {
            checked = table.check_nested(&path.root);
        }
    });
    checked
}

/// What an action does to its path.
enum Effect {
    Set(Value),
    Remove,
    Nothing,
}

fn effect(action: &Action, before: &Attributes) -> Result<Effect, ApiError> {
    Ok(match action {
        Action::Set(_, amount) => Effect::Set(amount_of(amount, before)?),
        Action::Remove(_) => Effect::Remove,
        Action::Add(path, value) => match path.read(before) {
            Some(old) => Effect::Set(added(old, value)?),
            None => Effect::Set(value.clone()),
        },
        Action::Delete(path, value) => match path.read(before) {
            Some(old) => without(old, value)?.map_or(Effect::Remove, Effect::Set),
            // Also what there is nothing to take from must be in something.
            None if path.rest.is_empty() || has_parent(before, path) => Effect::Nothing,
            None => return Err(no_such_path()),
        },
    })
}

/// Whether there is a map or a list that the end of a path can be in.
fn has_parent(before: &Attributes, path: &Path) -> bool {
    let Some((last, above)) = path.rest.split_last() else { return true };
    let above = Path { root: Arc::clone(&path.root), rest: above.to_vec() };
    matches!(
        (above.read(before), last),
        (Some(Value::M(_)), Element::Member(_)) | (Some(Value::L(_)), Element::Index(_))
    )
}

const WRONG_TYPE: &str = "An operand in the update expression has an incorrect data type";

fn wrong_type() -> ApiError {
    validation(WRONG_TYPE)
}

fn amount_of(amount: &Amount, before: &Attributes) -> Result<Value, ApiError> {
    let number = |source: &Source| match read(source, before)? {
        Value::N(number) => Ok(number),
        _ => Err(wrong_type()),
    };
    match amount {
        Amount::One(source) => read(source, before),
        Amount::Sum(one, two) => result(number(one)?.plus(&number(two)?)),
        Amount::Difference(one, two) => result(number(one)?.minus(&number(two)?)),
    }
}

fn result(number: Result<Number, NumberError>) -> Result<Value, ApiError> {
    number.map(Value::N).map_err(|error| validation(error.to_string()))
}

fn read(source: &Source, before: &Attributes) -> Result<Value, ApiError> {
    match source {
        Source::Value(value) => Ok(value.clone()),
        Source::Path(path) => path.read(before).cloned().ok_or_else(|| {
            validation(
                "The provided expression refers to an attribute that does not exist in the item",
            )
        }),
        Source::IfNotExists(path, default) => match path.read(before) {
            Some(value) => Ok(value.clone()),
            None => read(default, before),
        },
        Source::ListAppend(one, two) => match (read(one, before)?, read(two, before)?) {
            (Value::L(mut list), Value::L(more)) => {
                Arc::make_mut(&mut list).extend(more.iter().cloned());
                Ok(Value::L(list))
            }
            _ => Err(wrong_type()),
        },
    }
}

fn added(old: &Value, more: &Value) -> Result<Value, ApiError> {
    match (old, more) {
        (Value::N(old), Value::N(more)) => result(old.plus(more)),
        (Value::Ss(old), Value::Ss(more)) => Ok(Value::Ss(union(old, more))),
        (Value::Ns(old), Value::Ns(more)) => Ok(Value::Ns(union(old, more))),
        (Value::Bs(old), Value::Bs(more)) => Ok(Value::Bs(union(old, more))),
        // Only `AttributeUpdates` can ask for it.
        (Value::L(old), Value::L(more)) => {
            Ok(Value::L(Arc::new(old.iter().chain(more.iter()).cloned().collect())))
        }
        _ => Err(wrong_type()),
    }
}

/// The set without some elements; `None` if none is left.
fn without(old: &Value, less: &Value) -> Result<Option<Value>, ApiError> {
    match (old, less) {
        (Value::Ss(old), Value::Ss(less)) => Ok(difference(old, less).map(Value::Ss)),
        (Value::Ns(old), Value::Ns(less)) => Ok(difference(old, less).map(Value::Ns)),
        (Value::Bs(old), Value::Bs(less)) => Ok(difference(old, less).map(Value::Bs)),
        _ => Err(wrong_type()),
    }
}

fn union<T: Ord + Clone>(one: &BTreeSet<T>, two: &BTreeSet<T>) -> Arc<BTreeSet<T>> {
    Arc::new(one | two)
}

fn difference<T: Ord + Clone>(one: &BTreeSet<T>, two: &BTreeSet<T>) -> Option<Arc<BTreeSet<T>>> {
    let rest = one - two;
    (!rest.is_empty()).then(|| Arc::new(rest))
}

fn no_such_path() -> ApiError {
    validation("The document path provided in the update expression is invalid for update")
}

/// The map or list that holds the end of `path`, and that end; the path must not be an attribute.
fn parent<'a, 'p>(
    attributes: &'a mut Attributes,
    path: &'p Path,
) -> Result<(&'a mut Value, &'p Element), ApiError> {
    let (last, above) = path.rest.split_last().ok_or_else(no_such_path)?;
    let mut value = attributes.get_mut(&path.root).ok_or_else(no_such_path)?;
    for element in above {
        value = match (element, value) {
            (Element::Member(name), Value::M(members)) => Arc::make_mut(members).get_mut(name),
            (Element::Index(index), Value::L(items)) => Arc::make_mut(items).get_mut(*index),
            _ => None,
        }
        .ok_or_else(no_such_path)?;
    }
    Ok((value, last))
}

fn set(attributes: &mut Attributes, path: &Path, value: Value) -> Result<(), ApiError> {
    if path.rest.is_empty() {
        attributes.insert(Arc::clone(&path.root), value);
        return Ok(());
    }
    match parent(attributes, path)? {
        (Value::M(members), Element::Member(name)) => {
            Arc::make_mut(members).insert(Arc::clone(name), value);
        }
        (Value::L(items), Element::Index(index)) => {
            let items = Arc::make_mut(items);
            match items.get_mut(*index) {
                Some(item) => *item = value,
                None => items.push(value),
            }
        }
        _ => return Err(no_such_path()),
    }
    Ok(())
}

fn remove(attributes: &mut Attributes, path: &Path) -> Result<(), ApiError> {
    if path.rest.is_empty() {
        attributes.remove(&path.root);
        return Ok(());
    }
    match parent(attributes, path)? {
        (Value::M(members), Element::Member(name)) => {
            Arc::make_mut(members).remove(name);
        }
        (Value::L(items), Element::Index(index)) if *index < items.len() => {
            Arc::make_mut(items).remove(*index);
        }
        (Value::L(_), Element::Index(_)) => {}
        _ => return Err(no_such_path()),
    }
    Ok(())
}

/// Levels of maps and lists.
fn nesting(value: &Value) -> usize {
    match value {
        Value::M(members) => 1 + members.values().map(nesting).max().unwrap_or(0),
        Value::L(items) => 1 + items.iter().map(nesting).max().unwrap_or(0),
        _ => 0,
    }
}
