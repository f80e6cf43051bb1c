//! What the actions of a rule would be carried out with.

use stepwire_asl::Json;

use super::Tested;
use crate::rules::sql::Facts;
use crate::rules::template::Template;

/// An action with its templates filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The kind of action, as rules write it: `republish`.
    pub kind: String,
    /// Its fields with every template filled in, or which of them has no value.
    pub would: Result<Json, String>,
}

impl Tested {
    /// The actions, and the error action if one of them cannot be carried out.
    pub(super) fn plans(&self, facts: &Facts<'_>) -> (Vec<Planned>, Option<Planned>) {
        self.statement.prepare(facts);
        let actions = self.payload.member("actions").and_then(Json::as_array).unwrap_or_default();
        let planned: Vec<Planned> =
            actions.iter().filter_map(|action| planned(action, facts)).collect();
        let fails = planned.iter().any(|planned| planned.would.is_err());
        let error_action = self.payload.member("errorAction").filter(|_| fails);
        (planned, error_action.and_then(|action| self::planned(action, facts)))
    }
}

fn planned(action: &Json, facts: &Facts<'_>) -> Option<Planned> {
    let members = action.as_object()?;
    let (kind, fields) = members.iter().find(|(_, fields)| !fields.is_null())?;
    Some(Planned { kind: kind.to_string(), would: filled_in(fields, facts) })
}

/// A field of an action with the templates in it filled in.
fn filled_in(field: &Json, facts: &Facts<'_>) -> Result<Json, String> {
    Ok(match field {
        Json::String(text) if text.contains("${") => {
            Json::from(Template::parse(text)?.text(facts)?)
        }
        Json::Array(items) => {
            let items = items.iter().map(|item| filled_in(item, facts));
            Json::array(items.collect::<Result<Vec<_>, String>>()?)
        }
        Json::Object(members) => {
            let members =
                members.iter().map(|(name, value)| Ok((name.clone(), filled_in(value, facts)?)));
            Json::object(members.collect::<Result<Vec<_>, String>>()?)
        }
        other => other.clone(),
    })
}
