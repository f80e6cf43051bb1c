//! Which variables each state reads: `variableReferences` of DescribeStateMachine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::Json;
use crate::intrinsic::Intrinsic;
use crate::jsonata;
use crate::path::{Path, Root};

/// Members that hold templates: of these only names that end in `.$` are expressions.
const TEMPLATES: &[&str] =
    &["Parameters", "ResultSelector", "ItemSelector", "Assign", "BatchInput", "Credentials"];

/// The variables that each state of `definition` reads, by name of the state; states that read none
/// are left out. Nothing for a text that is not a definition.
pub fn variable_references(definition: &str) -> BTreeMap<Arc<str>, BTreeSet<Arc<str>>> {
    let mut found = BTreeMap::new();
    if let Ok(machine) = Json::parse(definition) {
        let jsonata = is_jsonata(&machine, false);
        flow(&machine, jsonata, &mut found);
    }
    found
}

fn is_jsonata(value: &Json, around: bool) -> bool {
    let language = value.member("QueryLanguage").and_then(Json::as_str);
    language.map_or(around, |language| language == "JSONata")
}

/// The states of a machine or branch, and of those within.
fn flow(flow_of: &Json, jsonata: bool, found: &mut BTreeMap<Arc<str>, BTreeSet<Arc<str>>>) {
    let states = flow_of.member("States").and_then(Json::as_object);
    for (name, state) in states.into_iter().flatten() {
        let mut reads = BTreeSet::new();
        let language = is_jsonata(state, jsonata);
        for (member, value) in state.as_object().into_iter().flatten() {
            match member.as_ref() {
                "Branches" => value.as_array().into_iter().flatten().for_each(|branch| {
                    flow(branch, jsonata, found);
                }),
                "ItemProcessor" | "Iterator" => flow(value, jsonata, found),
                "Result" | "Comment" => {}
                _ if language => queries(value, &mut reads),
                member => paths(member, value, false, &mut reads),
            }
        }
        if !reads.is_empty() {
            found.insert(Arc::clone(name), reads);
        }
    }
}

/// The variables in every expression of a JSONata field.
fn queries(value: &Json, reads: &mut BTreeSet<Arc<str>>) {
    match value {
        Json::String(text) => {
            if let Some(source) = jsonata::written_in(text) {
                reads.extend(jsonata::variables_of(source));
            }
        }
        Json::Array(items) => items.iter().for_each(|item| queries(item, reads)),
        Json::Object(members) => members.values().for_each(|value| queries(value, reads)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// The variables in the paths and calls of the JSONPath field `name`.
fn paths(name: &str, value: &Json, in_template: bool, reads: &mut BTreeSet<Arc<str>>) {
    match value {
        Json::String(text) => {
            let is_path = !in_template && (name.ends_with("Path") || name == "Variable");
            if name.ends_with(".$") || is_path {
                expression(text, reads);
            }
        }
        Json::Array(items) => {
            items.iter().for_each(|item| paths(name, item, in_template, reads));
        }
        Json::Object(members) => {
            let in_template = in_template || TEMPLATES.contains(&name);
            for (name, value) in members.iter() {
                paths(name, value, in_template, reads);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

fn expression(text: &str, reads: &mut BTreeSet<Arc<str>>) {
    if let Ok(call) = Intrinsic::parse(text) {
        call.paths(&mut |path| read(path, reads));
    } else if let Ok(path) = Path::parse(text) {
        read(&path, reads);
    }
}

fn read(path: &Path, reads: &mut BTreeSet<Arc<str>>) {
    if let Root::Variable(name) = path.root() {
        reads.insert(Arc::clone(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(states: &str) -> String {
        let found = variable_references(&format!(r#"{{"StartAt":"A","States":{states}}}"#));
        let lines = found.iter().map(|(state, names)| {
            let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
            format!("{state}: {}", names.join(" "))
        });
        lines.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn paths_and_calls_name_variables_but_literals_do_not() {
        let choice = r#"{"A":{"Type":"Choice","Choices":[{"And":[{"Variable":"$a.b","StringEqualsPath":"$c"}],"Assign":{"x.$":"$d"},"Next":"B"}]}}"#;
        assert_eq!(of(choice), "A: a c d");
        let pass = r#"{"A":{"Type":"Pass","InputPath":"$in","Parameters":{"a.$":"States.Format('$no {}', States.Array($yes))","FilePath":"$no"},"Result":{"b.$":"$no"},"OutputPath":"$$.x"}}"#;
        assert_eq!(of(pass), "A: in yes");
    }

    #[test]
    fn states_within_a_map_stand_beside_it() {
        let map = r#"{"A":{"Type":"Map","ItemsPath":"$items","ItemReader":{"ReaderConfig":{"MaxItemsPath":"$most"}},"ItemProcessor":{"StartAt":"B","States":{"B":{"Type":"Pass","Parameters":{"a.$":"$outer"}}}}}}"#;
        assert_eq!(of(map), "A: items most; B: outer");
    }

    #[test]
    fn expressions_name_what_they_neither_bind_nor_find_built_in() {
        let state = |output: &str| {
            of(&format!(
                r#"{{"A":{{"Type":"Pass","QueryLanguage":"JSONata","Output":"{{% {output} %}}"}}}}"#
            ))
        };
        assert_eq!(state("$sum($a) + $states.input.b + $c"), "A: a c");
        assert_eq!(state("($x := $y; $x + $map($z, function($v, $i) { $v * $i }))"), "A: y z");
        assert_eq!(state("$x ~> $uppercase"), "A: x");
        assert_eq!(state("$f(1)"), "A: f");
    }
}
