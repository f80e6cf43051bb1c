//! IoT policies, compiled.
//!
//! Source: AWS IoT developer guide, "AWS IoT Core policies".

use stepwire_asl::Json;
use stepwire_asl::diagnostic::nearest;

use super::actions::Actions;
use super::condition::{self, Condition};
use super::facts::Facts;
use super::malformed::Malformed;
use super::resource::Resource;
use super::variable::Variable;
use crate::broker::Action;

/// Longest document, without white space.
const DOCUMENT_MAX: usize = 2_048;

/// A compiled policy. The default one says nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq)]
struct Statement {
    allows: bool,
    actions: Actions,
    resources: Vec<Resource>,
    /// `NotResource`: about everything but `resources`.
    excepts: bool,
    conditions: Vec<Condition>,
}

/// What a policy, or a set of them, says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Some statement allows it and none denies it.
    Allowed,
    /// Some statement denies it.
    Denied,
    /// No statement speaks of it.
    Silent,
}

/// Something a device wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What.
    pub action: Action,
    /// On what kind of resource: `client`, `topic`, `topicfilter`.
    pub kind: &'static str,
    /// Its name.
    pub name: &'a str,
}

impl<'a> Question<'a> {
    /// Whether `action` is allowed on the client, topic or topic filter called `name`.
    pub fn new(action: Action, name: &'a str) -> Question<'a> {
        let kind = match action {
            Action::Connect => "client",
            Action::Subscribe => "topicfilter",
            Action::Publish | Action::RetainPublish | Action::Receive => "topic",
        };
        Question { action, kind, name }
    }
}

impl Policy {
    /// The policy that `document` writes; else what is wrong with it. Never panics.
    pub fn parse(document: &str) -> Result<Policy, Malformed> {
        let length = document.chars().filter(|c| !c.is_whitespace()).count();
        if length > DOCUMENT_MAX {
            let fault = format!("the document has {length} characters, at most {DOCUMENT_MAX}");
            return Err(Malformed::new(fault).hint("white space does not count"));
        }
        let json = Json::parse(document).map_err(|error| Malformed::new(error.to_string()))?;
        only(&json, &["Version", "Id", "Statement"], "the document")?;
        match json.member("Version").and_then(Json::as_str) {
            Some("2012-10-17" | "2008-10-17") => {}
            _ => {
                let fault = Malformed::new("`Version` is not a version of the policy language");
                return Err(fault.hint("write `\"Version\": \"2012-10-17\"`"));
            }
        }
        let place = "Statement";
        let statements = match json.member(place) {
            Some(Json::Array(items)) if !items.is_empty() => items
                .iter()
                .enumerate()
                .map(|(at, item)| Statement::parse(item).map_err(|f| f.within(at).within(place)))
                .collect::<Result<_, _>>()?,
            Some(one @ Json::Object(_)) => {
                vec![Statement::parse(one).map_err(|fault| fault.within(place))?]
            }
            _ => return Err(Malformed::new("`Statement` must be a statement or a list of them")),
        };
        Ok(Policy { statements })
    }

    /// What it says of `question`.
    pub fn verdict(&self, question: Question<'_>, facts: &Facts<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in &self.statements {
            match (statement.speaks_of(question, facts), statement.allows) {
                (true, false) => return Verdict::Denied,
                (true, true) => verdict = Verdict::Allowed,
                (false, _) => {}
            }
        }
        verdict
    }

    /// Which statement decides, from 0: the first that denies, else the first that allows. `None`: no
    /// statement says anything.
    pub fn deciding(&self, question: Question<'_>, facts: &Facts<'_>) -> Option<usize> {
        let speaks = |allows: bool| {
            let speaks = |statement: &Statement| {
                statement.allows == allows && statement.speaks_of(question, facts)
            };
            self.statements.iter().position(speaks)
        };
        speaks(false).or_else(|| speaks(true))
    }

    /// Whether it can take rights away that another policy gives.
    pub fn denies(&self) -> bool {
        self.statements.iter().any(|statement| !statement.allows)
    }

    /// The variables that statements about `action` use and that have no value.
    pub(super) fn missing(&self, action: Action, facts: &Facts<'_>, found: &mut Vec<Variable>) {
        for statement in self.statements.iter().filter(|s| s.actions.has(action)) {
            let used = statement.resources.iter().flat_map(Resource::variables);
            let used = used.chain(statement.conditions.iter().flat_map(Condition::variables));
            for variable in used {
                if !found.contains(variable) && !facts.each(variable, &mut |_| {}) {
                    found.push(variable.clone());
                }
            }
        }
    }
}

impl Statement {
    fn parse(json: &Json) -> Result<Statement, Malformed> {
        const KNOWN: [&str; 7] =
            ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"];
        only(json, &KNOWN, "a statement")?;
        let allows = match json.member("Effect").and_then(Json::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return Err(Malformed::new("`Effect` must be `Allow` or `Deny`")),
        };
        if json.member("Sid").is_some_and(|sid| sid.as_str().is_none()) {
            return Err(Malformed::new("`Sid` must be text"));
        }
        let (actions, excepts) = either(json, "Action", "NotAction", Actions::parse)?;
        let actions = actions.into_iter().fold(Actions::default(), Actions::and);
        let actions = if excepts { actions.others() } else { actions };
        let (resources, excepts) = either(json, "Resource", "NotResource", Resource::parse)?;
        let conditions = match json.member("Condition") {
            None => Vec::new(),
            Some(json) => condition::parse(json).map_err(|fault| fault.within("Condition"))?,
        };
        Ok(Statement { allows, actions, resources, excepts, conditions })
    }

    fn speaks_of(&self, question: Question<'_>, facts: &Facts<'_>) -> bool {
        let Question { action, kind, name } = question;
        self.actions.has(action)
            && self.resources.iter().any(|resource| resource.matches(kind, name, facts))
                != self.excepts
            && self.conditions.iter().all(|condition| condition.holds(facts))
    }
}

/// The texts under one of two names, parsed, and whether it is the second.
fn either<T>(
    json: &Json,
    name: &'static str,
    not: &'static str,
    parse: impl Fn(&str) -> Result<T, Malformed>,
) -> Result<(Vec<T>, bool), Malformed> {
    let (there, excepts, value) = match (json.member(name), json.member(not)) {
        (Some(value), None) => (name, false, value),
        (None, Some(value)) => (not, true, value),
        (None, None) => return Err(Malformed::new(format!("`{name}` is missing"))),
        (Some(_), Some(_)) => {
            return Err(Malformed::new(format!("`{name}` and `{not}` exclude each other")));
        }
    };
    let text = |json: &Json| match json.as_str() {
        Some(text) => parse(text),
        None => Err(Malformed::new("it must be text or a list of text")),
    };
    let parsed = match value {
        Json::Array(items) => items
            .iter()
            .enumerate()
            .map(|(at, item)| text(item).map_err(|fault| fault.within(at)))
            .collect(),
        one => text(one).map(|one| vec![one]),
    };
    Ok((parsed.map_err(|fault| fault.within(there))?, excepts))
}

fn only(json: &Json, known: &[&str], what: &str) -> Result<(), Malformed> {
    let members =
        json.as_object().ok_or_else(|| Malformed::new(format!("{what} must be a JSON object")))?;
    match members.keys().find(|name| !known.contains(&name.as_ref())) {
        None => Ok(()),
        Some(name) => {
            let fault = Malformed::new(format!("`{name}` is not known in {what}"));
            Err(match nearest(name, known.iter().copied()) {
                Some(known) => fault.hint(format!("did you mean `{known}`?")),
                None => fault,
            })
        }
    }
}
