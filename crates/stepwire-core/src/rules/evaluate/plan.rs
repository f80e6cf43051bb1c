//! What the actions of a rule would be carried out with.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::Tested;
use crate::rules::action::{Action, Resolved};
use crate::rules::errands::Place;
use crate::rules::sql::{Facts, Value};
use crate::rules::template::{self, Template};

/// An action with its templates filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The kind of action, as rules write it: `republish`.
    pub kind: String,
    /// Its fields with every template filled in, or why it fails.
    pub would: Result<Json, String>,
}

impl Tested {
    /// The actions for a message whose statement gave `result`, and the error action if one of them
    /// fails. What is shown draws other random values than what is tried.
    pub(super) fn plans(
        &self,
        shown: &Facts<'_>,
        tried: &Facts<'_>,
        result: &Value,
    ) -> (Vec<Planned>, Option<Planned>) {
        self.statement.prepare(shown);
        self.statement.prepare(tried);
        let plan = |action: &Json, place, result: &Value| {
            let (kind, fields) =
                action.as_object()?.iter().find(|(_, fields)| !fields.is_null())?;
            let tried = match Action::parse(action).ok()?.resolve(place, tried, result).action {
                Resolved::Failed { why } => Err(why + &self.alias_in(fields, shown)),
                _ => Ok(()),
            };
            let would = tried.map(|()| filled_in(fields, shown).unwrap_or_default());
            Some(Planned { kind: kind.to_string(), would })
        };
        let actions = self.payload.member("actions").and_then(Json::as_array).unwrap_or_default();
        let planned = (0..).zip(actions);
        let planned: Vec<Planned> =
            planned.filter_map(|(at, action)| plan(action, Place::Action(at), result)).collect();
        let fails = planned.iter().any(|planned| planned.would.is_err());
        let error_action = self.payload.member("errorAction").filter(|_| fails);
        // What has failed stands in an object.
        let document = Value::Json(Json::Object(Arc::default()));
        let error_action = error_action.and_then(|action| plan(action, Place::Error, &document));
        (planned, error_action)
    }

    /// That a template without a value names an alias of the statement, if one does.
    fn alias_in(&self, fields: &Json, facts: &Facts<'_>) -> String {
        let aliases = self.statement.aliases();
        let missing = |name: &Arc<str>| {
            facts.payload.and_then(|payload| payload.member(name)).is_none()
                && aliases.contains(&name.as_ref())
        };
        match template::without_value(fields, facts).into_iter().find(missing) {
            Some(name) => format!(": `{name}` is an alias of SELECT, which templates do not see"),
            None => String::new(),
        }
    }
}

/// A field of an action with the templates in it filled in; what has no value is left out, as
/// headers are.
fn filled_in(field: &Json, facts: &Facts<'_>) -> Option<Json> {
    Some(match field {
        Json::String(text) if text.contains("${") => {
            Json::from(Template::parse(text).ok()?.text(facts).ok()?)
        }
        Json::Array(items) => Json::array(items.iter().filter_map(|item| {
            let filled = filled_in(item, facts)?;
            let count = |of: &Json| of.as_object().map(Object::len);
            // A header without a value is none.
            (count(&filled) == count(item)).then_some(filled)
        })),
        Json::Object(members) => {
            let members = members.iter();
            let filled = |value: &Json| filled_in(value, facts);
            Json::object(
                members.filter_map(|(name, value)| Some((Arc::clone(name), filled(value)?))),
            )
        }
        other => other.clone(),
    })
}
