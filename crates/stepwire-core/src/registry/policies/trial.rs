//! What policies would say: TestAuthorization and GetEffectivePolicies.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwire_asl::Json;

use super::request::{Test, TestQuestion};
use super::view::named;
use super::{Facts, Question, Target, ThingOf, Verdict};
use crate::broker::{Action, ConnectAttributes};
use crate::error::ApiError;
use crate::registry::error::invalid;
use crate::registry::names::policy_arn;
use crate::registry::{Registry, Turn};
use crate::settings::Settings;

impl Registry {
    pub(super) fn test_authorization(
        &self,
        test: &Test,
        turn: &Turn<'_>,
    ) -> Result<Json, ApiError> {
        let mut names = BTreeSet::new();
        let (mut certificate, mut thing) = (None, None);
        if let Some(principal) = &test.principal {
            self.target(principal)?;
            if let Target::Certificate(id) = principal {
                certificate = self.certificates.find(id).map(|known| known.facts.as_ref());
                let client_id = test.client_id.as_deref().unwrap_or_default();
                thing = self.thing_of(id, client_id).map(|(thing, _)| thing);
            }
            names.extend(self.policies_of(principal, thing.map(|thing| thing.name.as_ref())));
        }
        for name in &test.add {
            self.policy(name)?;
            names.insert(Arc::clone(name));
        }
        for name in &test.skip {
            self.policy(name)?;
            names.remove(name);
        }
        let find = || thing;
        let facts = Facts {
            client_id: test.client_id.as_deref(),
            certificate,
            ip: None,
            now: Some(turn.now),
            connect: None,
            thing: ThingOf::new(&find),
        };
        let results = test.questions.iter().map(|question| {
            // A trial connects without a will and with a clean session.
            let connect = matches!(question.action, Action::Connect);
            let connect = connect.then(ConnectAttributes::default);
            let thing = ThingOf::new(&find);
            let facts = Facts { connect, thing, ..facts };
            self.result(question, &names, &facts, turn.settings)
        });
        let results: Result<Vec<Json>, ApiError> = results.collect();
        Ok(Json::object([("authResults", Json::array(results?))]))
    }

    /// One of the `authResults`: all resources must be allowed.
    fn result(
        &self,
        question: &TestQuestion,
        names: &BTreeSet<Arc<str>>,
        facts: &Facts<'_>,
        settings: &Settings,
    ) -> Result<Json, ApiError> {
        let (mut allowing, mut denying) = (BTreeSet::new(), BTreeSet::new());
        let (mut missing, mut all_allowed) = (Vec::new(), true);
        for resource in &question.resources {
            let question = asked(question.action, resource)?;
            let mut allowed = false;
            for name in names {
                let Some(policy) = self.policies.find(name) else { continue };
                policy.missing(question.action, facts, &mut missing);
                match policy.verdict(question, facts) {
                    Verdict::Allowed => {
                        allowing.insert(name);
                        allowed = true;
                    }
                    Verdict::Denied => {
                        denying.insert(name);
                    }
                    Verdict::Silent => {}
                }
            }
            all_allowed &= allowed;
        }
        let decision = match (denying.is_empty(), all_allowed) {
            (false, _) => "EXPLICIT_DENY",
            (true, true) => "ALLOWED",
            (true, false) => "IMPLICIT_DENY",
        };
        let silent =
            names.iter().filter(|name| !allowing.contains(name) && !denying.contains(name));
        let silent: BTreeSet<_> =
            if decision == "IMPLICIT_DENY" { silent.collect() } else { BTreeSet::new() };
        let policies = |names: &BTreeSet<&Arc<str>>| {
            let list = Json::array(names.iter().map(|name| named(name, settings)));
            Json::object([("policies", list)])
        };
        Ok(Json::object([
            ("authInfo", info(question)),
            ("allowed", policies(&allowing)),
            (
                "denied",
                Json::object([
                    ("implicitDeny", policies(&silent)),
                    ("explicitDeny", policies(&denying)),
                ]),
            ),
            ("authDecision", decision.into()),
            (
                "missingContextValues",
                Json::array(missing.iter().map(|variable| Json::from(variable.name()))),
            ),
        ]))
    }

    /// GetEffectivePolicies
    pub(super) fn effective_policies(
        &self,
        principal: Option<&Target>,
        thing: Option<&str>,
        settings: &Settings,
    ) -> Result<Json, ApiError> {
        if let Some(thing) = thing {
            self.thing(thing)?;
        }
        let mut names = BTreeSet::new();
        match principal {
            Some(principal) => {
                self.target(principal)?;
                names.extend(self.policies_of(principal, thing));
            }
            None => names.extend(thing.into_iter().flat_map(|thing| self.policies_above(thing))),
        }
        let policies = names.iter().filter_map(|name| {
            let record = self.policies.record(name)?;
            Some(Json::object([
                ("policyName", Json::String(Arc::clone(name))),
                ("policyArn", policy_arn(settings, name)),
                ("policyDocument", record.document().into()),
            ]))
        });
        Ok(Json::object([("effectivePolicies", Json::array(policies.collect::<Vec<_>>()))]))
    }

    /// The policies that count when `principal` connects for `thing`.
    fn policies_of(&self, principal: &Target, thing: Option<&str>) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.policies.attached_to(principal).cloned().collect();
        match principal {
            Target::Certificate(_) => {
                names.extend(thing.into_iter().flat_map(|thing| self.policies_above(thing)));
            }
            Target::Group(group) => {
                let above = self.groups_above(group);
                names.extend(above.iter().flat_map(|g| self.policies.of_group(g)).cloned());
            }
        }
        names
    }

    /// The policies of the groups that a thing is in, and of those above.
    fn policies_above(&self, thing: &str) -> Vec<Arc<str>> {
        let groups = self.lineage(thing);
        groups.iter().flat_map(|group| self.policies.of_group(group)).cloned().collect()
    }
}

fn asked(action: Action, arn: &str) -> Result<Question<'_>, ApiError> {
    let resource = arn.strip_prefix("arn:").and_then(|rest| rest.splitn(5, ':').nth(4));
    let kind = Question::new(action, "").kind;
    let named = resource.and_then(|resource| resource.split_once('/'));
    match named {
        Some((found, name)) if found == kind => Ok(Question { action, kind, name }),
        _ => Err(invalid(format!(
            "`{arn}` is no resource of {}: it must be the ARN of a `{kind}`",
            action.name()
        ))),
    }
}

fn info(question: &TestQuestion) -> Json {
    let action = match question.action {
        Action::Connect => "CONNECT",
        Action::Publish | Action::RetainPublish => "PUBLISH",
        Action::Subscribe => "SUBSCRIBE",
        Action::Receive => "RECEIVE",
    };
    let resources = question.resources.iter().map(|arn| Json::String(Arc::clone(arn)));
    Json::object([("actionType", action.into()), ("resources", Json::array(resources))])
}
