use std::collections::BTreeSet;

use super::Shelf;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

const THINGS: [&str; 6] = ["t", "t1", "t:2", "u", "v", "w"];
const GROUPS: [&str; 9] = ["a", "a1", "a:1", "b", "b-b", "c", "d", "e", "f"];
const TYPES: [&str; 2] = ["x", "y"];
/// Names that cannot be.
const BAD: [&str; 5] = ["", "a b", "a/b", "\\u0000", "ä"];

fn request(dice: &mut Dice) -> (&'static str, String) {
    let bad = dice.below(20) == 0;
    let mut name = |of: &[&'static str]| if bad { dice.one(&BAD) } else { dice.one(of) };
    let (thing, group, other) = (name(&THINGS), name(&GROUPS), name(&GROUPS));
    let of = name(&TYPES);
    let both = format!(r#"{{"thingName":"{thing}","thingGroupName":"{group}"}}"#);
    match dice.below(16) {
        0 | 1 => ("CreateThing", format!(r#"{{"thingName":"{thing}","thingTypeName":"{of}"}}"#)),
        2 => ("CreateThing", format!(r#"{{"thingName":"{thing}"}}"#)),
        3 => ("UpdateThing", format!(r#"{{"thingName":"{thing}","thingTypeName":"{of}"}}"#)),
        4 => ("UpdateThing", format!(r#"{{"thingName":"{thing}","removeThingType":true}}"#)),
        5 => ("DeleteThing", format!(r#"{{"thingName":"{thing}"}}"#)),
        6 => ("CreateThingType", format!(r#"{{"thingTypeName":"{of}"}}"#)),
        7 => ("DeprecateThingType", format!(r#"{{"thingTypeName":"{of}"}}"#)),
        8 => ("DeleteThingType", format!(r#"{{"thingTypeName":"{of}"}}"#)),
        9 => ("CreateThingGroup", format!(r#"{{"thingGroupName":"{group}"}}"#)),
        10 => (
            "CreateThingGroup",
            format!(r#"{{"thingGroupName":"{group}","parentGroupName":"{other}"}}"#),
        ),
        11 => ("DeleteThingGroup", format!(r#"{{"thingGroupName":"{group}"}}"#)),
        12 | 13 => ("AddThingToThingGroup", both),
        14 => ("RemoveThingFromThingGroup", both),
        _ => (
            "UpdateThingGroupsForThing",
            format!(
                r#"{{"thingName":"{thing}","thingGroupsToAdd":["{group}"],"thingGroupsToRemove":["{other}"]}}"#
            ),
        ),
    }
}

/// What lists say must be what is so.
fn check(shelf: &mut Shelf) {
    for group in GROUPS {
        if shelf.registry.groups.find(group).is_none() {
            continue;
        }
        let body = format!(r#""thingGroupName":"{group}","recursive":true"#);
        let listed = shelf.pages("ListThingsInThingGroup", &body, "things", 2).concat();
        let below = shelf.registry.groups.members_below(group);
        let below: BTreeSet<String> = below.iter().map(ToString::to_string).collect();
        assert_eq!(listed.len(), below.len(), "{group}: a thing is listed twice");
        assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), below);
    }
    for thing in THINGS {
        if shelf.registry.things.find(thing).is_none() {
            continue;
        }
        let body = format!(r#""thingName":"{thing}""#);
        let listed = shelf.pages("ListThingGroupsForThing", &body, "thingGroups", 2).concat();
        let lineage = shelf.registry.groups.lineage(thing);
        assert_eq!(lineage.iter().collect::<BTreeSet<_>>().len(), lineage.len(), "{thing}");
        assert_eq!(listed.len(), lineage.len(), "{thing} is in two groups of one hierarchy");
    }
    for of in TYPES {
        let body = format!(r#"{{"thingTypeName":"{of}"}}"#);
        let listed = shelf.names("ListThings", &body, "things", "thingName");
        let typed = |thing: &&str| {
            let thing = shelf.registry.things.find(thing);
            thing.is_some_and(|thing| thing.thing_type.as_deref() == Some(of))
        };
        assert_eq!(listed, THINGS.into_iter().filter(typed).collect::<Vec<_>>());
    }
}

#[test]
fn whatever_is_asked_lists_and_records_stay_true() {
    for seed in 0..12 {
        let (mut shelf, mut dice) = (Shelf::default(), Dice(seed));
        let mut accepted = 0;
        for number in 0..400 {
            shelf.now += 20_000;
            let (operation, body) = request(&mut dice);
            match shelf.call(operation, &body) {
                Ok(_) => accepted += 1,
                Err(error) => assert!(!error.contains("Internal"), "{operation} {body}: {error}"),
            }
            if number % 8 == 0 {
                check(&mut shelf);
            }
        }
        assert!(accepted > 100, "seed {seed}: {accepted}");
    }
}
