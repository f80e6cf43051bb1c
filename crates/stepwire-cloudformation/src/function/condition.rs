//! Conditions: what holds, and what is chosen by them.

use super::Evaluator;
use crate::value::{Map, Place, Value};

impl Evaluator<'_> {
    pub(super) fn choose(&mut self, argument: &Value, place: Place) -> Option<Value> {
        let Some([condition, yes, no]) = argument.as_list() else {
            return Some(
                self.wrong(
                    place,
                    "Template error: Fn::If requires a list argument with 3 elements",
                ),
            );
        };
        let Some(name) = condition.as_str().or_else(|| condition.member("Condition")?.as_str())
        else {
            return Some(self.wrong_with(
                place,
                "Template error: Fn::If requires a condition name first".to_owned(),
                "declare the condition under Conditions and name it here".to_owned(),
            ));
        };
        let Some(holds) = self.names.condition(name) else {
            return Some(self.wrong(
                condition.place,
                format!("Template error: unresolved condition dependency {name} in Fn::If"),
            ));
        };
        self.evaluate(if holds { yes } else { no })
    }

    /// Whether the expression of a condition holds.
    pub(crate) fn decide(&mut self, value: &Value) -> bool {
        let pair = value.as_map().filter(|members| members.len() == 1).and_then(Map::first);
        let Some((name, argument)) = pair else {
            if let Some(holds) = value.as_bool() {
                return holds;
            }
            self.wrong(
                value.place,
                "Template format error: Every Condition member must be a single function, such as \
                 Fn::Equals",
            );
            return false;
        };
        match &**name {
            "Condition" => {
                let name = argument.text().unwrap_or_default();
                let known = self.names.condition(&name);
                if known.is_none() {
                    self.wrong(
                        argument.place,
                        format!("Template format error: Unresolved condition dependency {name}"),
                    );
                }
                known.unwrap_or_default()
            }
            "Fn::Not" => match argument.as_list() {
                Some([one]) => !self.decide(one),
                _ => {
                    self.wrong(
                        value.place,
                        "Template error: Fn::Not requires a list argument with one element",
                    );
                    false
                }
            },
            "Fn::And" | "Fn::Or" => {
                let items = argument.as_list().unwrap_or_default();
                if !(2..=10).contains(&items.len()) {
                    self.wrong(
                        value.place,
                        format!("Template error: every {name} object requires a list of at least 2 and at most 10 boolean parameters."),
                    );
                }
                let is_and = &**name == "Fn::And";
                // Each is looked at, so that what is wrong in any of them is told.
                let mut result = is_and;
                for item in items {
                    let holds = self.decide(item);
                    result = if is_and { result && holds } else { result || holds };
                }
                result
            }
            "Fn::Equals" => self.equal(argument, value.place),
            "Fn::Contains" => {
                let Some([list, wanted]) = argument.as_list() else {
                    self.wrong(
                        value.place,
                        "Template error: Fn::Contains requires a list and a text",
                    );
                    return false;
                };
                let (list, wanted) = (self.evaluate(list), self.evaluate(wanted));
                let wanted = wanted.as_ref().and_then(Value::text);
                list.as_ref()
                    .and_then(Value::as_list)
                    .is_some_and(|list| list.iter().any(|item| item.text() == wanted))
            }
            "Fn::EachMemberIn" | "Fn::EachMemberEquals" => {
                self.each_member(name, argument, value.place)
            }
            "Fn::RefAll" | "Fn::ValueOf" | "Fn::ValueOfAll" => {
                self.not_here(name, value.place);
                false
            }
            _ => match self.evaluate(value).as_ref().and_then(Value::as_bool) {
                Some(holds) => holds,
                None => {
                    self.wrong(
                        value.place,
                        format!("Template format error: {name} cannot be a condition"),
                    );
                    false
                }
            },
        }
    }

    /// Whether all of a list are in another, or the same as a text.
    fn each_member(&mut self, name: &str, argument: &Value, place: Place) -> bool {
        let Some([list, wanted]) = argument.as_list() else {
            let why = format!("Template error: {name} requires a list argument with two elements");
            self.wrong(place, why);
            return false;
        };
        let (list, wanted) = (self.evaluate(list), self.evaluate(wanted));
        let (Some(list), Some(wanted)) = (list, wanted) else { return false };
        if list.is_open() || wanted.is_open() {
            self.leaves_open(place, || "a comparison with what is not known here".into());
            return false;
        }
        let one = std::slice::from_ref;
        let wanted = wanted.as_list().unwrap_or_else(|| one(&wanted));
        let all = list.as_list().unwrap_or_else(|| one(&list));
        all.iter().all(|one| wanted.iter().any(|other| one.text() == other.text()))
    }

    pub(super) fn equal(&mut self, argument: &Value, place: Place) -> bool {
        let Some([one, other]) = argument.as_list() else {
            self.wrong(
                place,
                "Template error: Fn::Equals requires a list argument with two elements",
            );
            return false;
        };
        let (one, other) = (self.evaluate(one), self.evaluate(other));
        let is_open = |value: &Option<Value>| value.as_ref().is_some_and(Value::is_open);
        if is_open(&one) || is_open(&other) {
            if self.leaves_open(place, || "a comparison with what is not known here".into()) {
                return false;
            }
            self.wrong_with(
                place,
                "Template format error: Unresolved dependencies in a condition: conditions cannot \
                 refer to resources"
                    .to_owned(),
                "compare parameters, pseudo parameters and mappings".to_owned(),
            );
            return false;
        }
        match (&one, &other) {
            (Some(one), Some(other)) => match (one.text(), other.text()) {
                (Some(one), Some(other)) => one == other,
                _ => one == other,
            },
            _ => one.is_none() && other.is_none(),
        }
    }
}
