//! A query in the language of fleet indexing, and what it is asked about.
//!
//! What is refused must say so in words; what is understood must find the same thing twice, and not
//! what its negation finds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stepwire_core::registry::search::Query;
use stepwire_core::registry::search::query::{Field, Schema, Values};

/// A thing, or a thing group, one half of whose fields is there.
struct Indexed;

impl Values for Indexed {
    fn any(&self, field: &Field, is: &mut dyn FnMut(&str) -> bool) -> bool {
        match field {
            Field::ThingName | Field::ThingGroupName => is("sensor-1"),
            Field::ThingTypeName => is("gateway"),
            Field::ThingGroupNames => is("north") || is("south"),
            Field::Connected => is("true"),
            Field::Timestamp => is("1600000000000"),
            Field::Attribute(_) => is("75.5") || is("a b"),
            _ => false,
        }
    }
}

fuzz_target!(|text: &str| {
    for schema in [Schema::Things, Schema::ThingGroups] {
        match Query::over(schema, text) {
            Ok(query) => {
                let found = query.matches(&Indexed);
                if let Ok(negated) = Query::over(schema, &format!("NOT ({text})")) {
                    assert!(!(found && negated.matches(&Indexed)), "{text:?}");
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
