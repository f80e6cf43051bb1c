//! Topic rules: which message starts what.
//!
//! Filters live in a tree, so a message costs what its matching rules cost. A rule is compiled
//! once; its payload is parsed at most once for all rules of a message.

mod action;
pub mod destinations;
pub mod errands;
pub mod evaluate;
mod ingest;
mod request;
pub mod sql;
pub mod template;
mod tree;
mod view;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::{Json, Timestamp};

pub use action::http::{Batch, HttpDelivery, Sign};
pub use action::{Action, Failure, Outcome, Resolved};
pub use ingest::Ingest;
pub use request::Request;
pub use view::answer;

use crate::effect::Heard;
use crate::error::ApiError;
use crate::message::Message;
use crate::read::Key;
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};
use crate::settings::Settings;
use errands::{Errands, Place};
use sql::{Answered, Facts, Outside, Question, Statement};
use tree::FilterTree;

const FORMAT: u8 = 1;

/// A topic rule as it was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleRecord {
    /// Name.
    pub name: Arc<str>,
    /// `topicRulePayload`
    pub payload: Json,
    /// Disabled: it matches nothing.
    pub disabled: bool,
    /// When it was created.
    pub created: Timestamp,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// A rule as it now is, or gone.
    Rule(Arc<str>, Option<RuleRecord>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        let Write::Rule(name, record) = self;
        (rule_key(name), record.as_ref().map(|record| encode(FORMAT, record)))
    }
}

fn rule_key(name: &str) -> Key {
    KeyBuilder::new(Space::Rule).text(name).build()
}

/// A rule ready to run.
#[derive(Debug, PartialEq)]
pub(crate) struct Rule {
    name: Arc<str>,
    /// `topicRulePayload`
    payload: Json,
    statement: Statement,
    actions: Vec<Action>,
    error_action: Option<Action>,
}

/// A rule in the tree of filters: it is the same, and in order, by its name.
#[derive(Debug, Clone)]
struct Filed(Arc<Rule>);

impl PartialEq for Filed {
    fn eq(&self, other: &Filed) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Filed {}

impl PartialOrd for Filed {
    fn partial_cmp(&self, other: &Filed) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Filed {
    fn cmp(&self, other: &Filed) -> Ordering {
        self.0.name.cmp(&other.0.name)
    }
}

/// One rule's run on one message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The rule's name.
    pub rule: Arc<str>,
    /// Its `topicRulePayload` when it took the message.
    pub payload: Json,
    /// The message that it took.
    pub message: Arc<Message>,
    /// How often rules have republished the message.
    pub hops: u8,
    /// Distinguishes the random values of this run from those of others.
    pub salt: u64,
}

/// What a rule makes of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Matched {
    /// The rule's name.
    pub rule: Arc<str>,
    /// See [`Run::payload`].
    pub payload: Json,
    /// See [`Run::salt`].
    pub salt: u64,
    /// What its actions come to, in order; never empty.
    pub outcomes: Vec<Outcome>,
}

/// What the rules make of a message.
#[derive(Debug, Default)]
pub struct Taken {
    /// What is decided.
    pub matched: Vec<Matched>,
    /// Rules that ask others first, or wait for earlier messages; each with its [`Run::salt`].
    pub(crate) asking: Vec<(Arc<Rule>, u64)>,
    /// All rules that the message is for, and whether it is JSON; `None` when there are none.
    pub(crate) heard: Option<Heard>,
}

/// Nothing is known yet.
struct NotYet;

impl Outside for NotYet {
    fn ask(&self, _: &Question) -> Answered {
        Answered::Later
    }
}

/// The rules of a shard.
#[derive(Debug, Default, PartialEq)]
pub struct Rules {
    records: BTreeMap<Arc<str>, RuleRecord>,
    /// Derived from `records`: those that are not disabled.
    active: BTreeMap<Arc<str>, Arc<Rule>>,
    filters: FilterTree<Filed>,
}

impl Rules {
    /// What recovery loads.
    pub const SPACES: &'static [Space] = &[Space::Rule];

    /// The only thing that changes the rules.
    pub fn apply(&mut self, write: &Write) {
        let Write::Rule(name, record) = write;
        // A payload is checked before it is recorded.
        let enabled = record.as_ref().filter(|record| !record.disabled);
        let rule = enabled.and_then(|record| Rule::compile(name, &record.payload).ok());
        self.replace(name, record.as_ref(), rule);
    }

    /// Puts `record`, and what runs for it, in place of what there was.
    fn replace(&mut self, name: &Arc<str>, record: Option<&RuleRecord>, rule: Option<Rule>) {
        self.records.remove(name);
        if let Some(rule) = self.active.remove(name)
            && let Some(filter) = &rule.statement.from
        {
            self.filters.remove(filter, &Filed(Arc::clone(&rule)));
        }
        let Some(record) = record else { return };
        self.records.insert(Arc::clone(name), record.clone());
        if let Some(rule) = rule.map(Arc::new) {
            if let Some(filter) = &rule.statement.from {
                self.filters.insert(filter, Filed(Arc::clone(&rule)));
            }
            self.active.insert(Arc::clone(name), rule);
        }
    }

    /// Whether there is a rule of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.records.contains_key(name)
    }

    /// Takes in one stored rule.
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let record = stored(key, value)?;
        let rule = Rule::compile(&record.name, &record.payload)
            .map_err(|error| Corrupt { key: key.to_vec(), why: error.message })?;
        let rule = (!record.disabled).then_some(rule);
        self.replace(&record.name, Some(&record), rule);
        Ok(())
    }

    /// Carries out a request that changes something. On `Err` nothing has changed.
    pub fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let missing = |name: &str| {
            ApiError::new("UnauthorizedException", format!("rule `{name}` does not exist"))
        };
        let record = match request {
            Request::Create { name, payload, .. } => {
                if self.records.contains_key(name) {
                    let why = format!("Rule with name {name} already exists");
                    return Err(ApiError::new("ResourceAlreadyExistsException", why)
                        .with("resourceId", Json::String(Arc::clone(name)))
                        .with("resourceArn", settings.arn("iot", &format!("rule/{name}")).into()));
                }
                let max = settings.quotas.rules_max;
                if self.records.len() as u64 >= max {
                    let why = format!("there are {max} rules, as many as `rules-max` allows");
                    return Err(ApiError::new("InvalidRequestException", why));
                }
                Some(RuleRecord {
                    name: Arc::clone(name),
                    payload: payload.clone(),
                    disabled: is_disabled(payload),
                    created: now,
                })
            }
            Request::Replace { name, payload } => {
                let there = self.records.get(name).ok_or_else(|| missing(name))?;
                Some(RuleRecord {
                    payload: payload.clone(),
                    disabled: is_disabled(payload),
                    ..there.clone()
                })
            }
            Request::Enable { name, enable } => {
                let there = self.records.get(name).ok_or_else(|| missing(name))?;
                Some(RuleRecord { disabled: !enable, ..there.clone() })
            }
            Request::Delete(name) => {
                if !self.records.contains_key(name) {
                    return Ok(Json::Object(Arc::default()));
                }
                None
            }
            Request::Get(_) | Request::List { .. } | Request::Destination(_) => {
                return Err(ApiError::new("InvalidRequestException", "this request only reads"));
            }
        };
        let write = Write::Rule(Arc::clone(request.name()), record);
        self.apply(&write);
        out.push(write);
        Ok(Json::Object(Arc::default()))
    }

    /// What the rules make of a message: costs what the matching ones cost, and allocates nothing
    /// when there are none.
    ///
    /// A message of Basic Ingest is for the rule that it names, whatever that one's filter, and is
    /// refused if there is none that is enabled.
    pub fn evaluate(
        &self,
        message: &Message,
        settings: &Settings,
        salt: u64,
        errands: &Errands,
        out: &mut Taken,
    ) -> Result<(), RuleNotFound> {
        let named;
        let matching;
        let rules: &[&Filed] = if let Some(ingest) = Ingest::of(&message.topic) {
            let rule = self.active.get(ingest.rule).ok_or_else(|| self.not_found(ingest.rule))?;
            named = Filed(Arc::clone(rule));
            &[&named]
        } else {
            matching = self.filters.matching(&message.topic);
            &matching
        };
        if rules.is_empty() {
            return Ok(());
        }
        let payload = Json::parse_bytes(&message.payload).ok();
        let names = rules.iter().map(|Filed(rule)| Arc::clone(&rule.name)).collect();
        out.heard = Some(Heard { rules: names, is_json: payload.is_some() });
        for (at, Filed(rule)) in rules.iter().enumerate() {
            let salt = salt.wrapping_add((at as u64) << 40);
            let facts = Facts::new(message, payload.as_ref(), settings, salt).asking(&NotYet);
            let matched = rule.run(&facts);
            if facts.open().is_empty() && !errands.is_waited_for(&rule.name, message) {
                out.matched.extend(matched);
            } else {
                out.asking.push((Arc::clone(rule), salt));
            }
        }
        Ok(())
    }

    fn not_found(&self, rule: &str) -> RuleNotFound {
        let why = if self.has(rule) { "it is disabled" } else { "there is no rule of this name" };
        RuleNotFound { rule: rule.into(), why }
    }
}

/// A message of Basic Ingest names a rule that does not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct RuleNotFound {
    /// The rule.
    pub rule: Arc<str>,
    /// Why it does not run.
    pub why: &'static str,
}

impl Rules {
    /// The rule of a run as it was when it took the message, whatever has become of it.
    pub(crate) fn version(&self, run: &Run) -> Option<Arc<Rule>> {
        let active = self.active.get(&run.rule).filter(|rule| rule.payload == run.payload);
        let compile = || Rule::compile(&run.rule, &run.payload).ok().map(Arc::new);
        active.map(Arc::clone).or_else(compile)
    }

    /// What the rule of a run does about actions that failed, if it says.
    pub(crate) fn on_error(
        &self,
        run: &Run,
        failures: &[Failure],
        settings: &Settings,
    ) -> Option<Outcome> {
        self.error_outcome(run, settings, |rule| {
            action::error_document(&rule.name, run, failures, settings)
        })
    }

    /// The same about a request that several runs of a rule shared. Templates of the error action are
    /// filled from the last of them, as headers were.
    pub(crate) fn on_batch_error(
        &self,
        runs: &[&Run],
        batch: Batch,
        failure: &Failure,
        settings: &Settings,
    ) -> Option<Outcome> {
        self.error_outcome(runs.last()?, settings, |rule| {
            action::batch_error_document(&rule.name, runs, batch, failure, settings)
        })
    }

    fn error_outcome(
        &self,
        run: &Run,
        settings: &Settings,
        document: impl Fn(&Rule) -> Json,
    ) -> Option<Outcome> {
        let rule = self.version(run)?;
        let action = rule.error_action.as_ref()?;
        let payload = Json::parse_bytes(&run.message.payload).ok();
        let facts = Facts::new(&run.message, payload.as_ref(), settings, run.salt);
        // Variables have the values they had for the actions; what the error action draws is its own.
        rule.statement.prepare(&facts);
        let facts = facts.again();
        Some(action.resolve(Place::Error, &facts, &document(&rule).into()))
    }
}

impl Rule {
    /// Its name.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// A run of it on `message`.
    pub(crate) fn taking(&self, message: &Arc<Message>, hops: u8, salt: u64) -> Run {
        let (rule, payload) = (Arc::clone(&self.name), self.payload.clone());
        Run { rule, payload, message: Arc::clone(message), hops, salt }
    }

    /// Each of its actions has failed for the same cause.
    pub(crate) fn all_failed(&self, why: &Arc<str>) -> Vec<Failure> {
        self.actions.iter().map(|action| action.failed(why)).collect()
    }

    fn compile(name: &Arc<str>, payload: &Json) -> Result<Rule, ApiError> {
        let (statement, actions, error_action) = request::compile(payload)?;
        let payload = payload.clone();
        Ok(Rule { name: Arc::clone(name), payload, statement, actions, error_action })
    }

    fn run(&self, facts: &Facts<'_>) -> Option<Matched> {
        let result = self.statement.run(facts)?;
        let places = (0..).map(Place::Action);
        let outcomes = places.zip(&self.actions);
        let outcomes: Vec<Outcome> =
            outcomes.map(|(place, action)| action.resolve(place, facts, &result)).collect();
        let (rule, payload) = (Arc::clone(&self.name), self.payload.clone());
        let salt = facts.salt;
        (!outcomes.is_empty()).then_some(Matched { rule, payload, salt, outcomes })
    }
}

fn is_disabled(payload: &Json) -> bool {
    payload.member("ruleDisabled").and_then(Json::as_bool) == Some(true)
}

fn stored(key: &[u8], value: &[u8]) -> Result<RuleRecord, Corrupt> {
    decode(FORMAT, key, value)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_stored_rule_whose_call_lacks_its_role_is_loaded() {
        let sql = "SELECT get_secret('s', 'SecretString', 'k') AS s FROM 'a'";
        let header = "${get_thing_shadow('t', 'n')}";
        let payload = format!(
            r#"{{"sql":"{sql}","awsIotSqlVersion":"2016-03-23","actions":[{{"republish":{{"topic":"b","headers":{{"contentType":"{header}"}}}}}}]}}"#
        );
        let payload = Json::parse(&payload).unwrap();
        let refused = request::compile_new(&payload).unwrap_err();
        assert!(refused.message.contains("roleArn"), "{}", refused.message);
        let record =
            RuleRecord { name: "r".into(), payload, disabled: false, created: Timestamp(0) };
        let (key, value) = Write::Rule("r".into(), Some(record)).entry();
        let mut rules = Rules::default();
        rules.load(&key, &value.unwrap()).unwrap();
        assert!(rules.has("r"));
    }
}
