//! What needs what, and in which order things can be made.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexSet;

use crate::sub::{self, Part};
use crate::value::{Data, Place, Value};

/// A reference from a value to a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The logical id.
    pub(crate) resource: String,
    /// The attribute, of `Fn::GetAtt`.
    pub(crate) attribute: Option<String>,
    /// Where it stands.
    pub(crate) place: Place,
}

/// The references in `value`, in the order of the source.
pub(crate) fn references(value: &Value) -> Vec<Reference> {
    let mut found = Vec::new();
    collect(value, &mut found);
    found
}

fn collect(value: &Value, found: &mut Vec<Reference>) {
    if let Some(resource) = value.as_reference() {
        // Those of provisioning templates are filled in when a device registers.
        if !resource.starts_with("AWS::") {
            found.push(Reference {
                resource: resource.to_owned(),
                attribute: None,
                place: value.place,
            });
        }
        return;
    }
    if let Some((resource, attribute)) = value.as_attribute() {
        found.push(Reference {
            resource: resource.to_owned(),
            attribute: Some(attribute.to_owned()),
            place: value.place,
        });
        return;
    }
    match value.as_function() {
        Some(("Fn::Sub", argument)) => {
            let text = match &argument.data {
                Data::List(items) => items.first(),
                _ => Some(argument),
            };
            let variables = argument.as_list().and_then(|items| items.get(1));
            let parts = text.and_then(Value::as_str).and_then(|text| sub::parse(text).ok());
            for part in parts.unwrap_or_default() {
                let Part::Name(name) = part else { continue };
                let own = variables.is_some_and(|map| map.member(&name).is_some());
                if own || name.starts_with("AWS::") {
                    continue;
                }
                let (resource, attribute) = match name.split_once('.') {
                    Some((resource, attribute)) => (resource, Some(attribute.to_owned())),
                    None => (&*name, None),
                };
                let place = text.map_or(value.place, |text| text.place);
                found.push(Reference { resource: resource.to_owned(), attribute, place });
            }
            if let Some(variables) = variables {
                collect(variables, found);
            }
        }
        Some((_, argument)) => collect(argument, found),
        None => match &value.data {
            Data::List(items) => items.iter().for_each(|item| collect(item, found)),
            Data::Map(members) => members.values().for_each(|value| collect(value, found)),
            Data::Null | Data::Bool(..) | Data::Number(_) | Data::String(_) => {}
        },
    }
}

/// `names` so that each follows what it needs; ties as they were. Of a circle: those in it.
pub(crate) fn sorted(
    names: &IndexSet<String>,
    needs: &BTreeMap<String, BTreeSet<String>>,
) -> Result<Vec<String>, Vec<String>> {
    let mut waiting: BTreeMap<usize, usize> = BTreeMap::new();
    let mut needed_by: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        let needed = needs.get(name).into_iter().flatten().filter_map(|n| names.get_index_of(n));
        let mut count = 0;
        for other in needed {
            needed_by.entry(other).or_default().push(index);
            count += 1;
        }
        waiting.insert(index, count);
    }
    let mut ready: BTreeSet<usize> =
        waiting.iter().filter(|(_, count)| **count == 0).map(|(index, _)| *index).collect();
    let mut order = Vec::new();
    while let Some(index) = ready.pop_first() {
        waiting.remove(&index);
        order.extend(names.get_index(index).cloned());
        for next in needed_by.get(&index).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(next) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(*next);
                }
            }
        }
    }
    if waiting.is_empty() {
        return Ok(order);
    }
    // What only waits for a circle is not in it: take away what nothing left needs.
    let mut left: BTreeSet<usize> = waiting.keys().copied().collect();
    loop {
        let free: Vec<usize> = left
            .iter()
            .copied()
            .filter(|index| {
                !needed_by.get(index).into_iter().flatten().any(|other| left.contains(other))
            })
            .collect();
        if free.is_empty() {
            break;
        }
        for index in free {
            left.remove(&index);
        }
    }
    Err(left.into_iter().filter_map(|index| names.get_index(index).cloned()).collect())
}
