//! What a stack could become, and becoming it.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_cloudformation::{Expanded, Scope};

use super::events::Turn;
use super::kinds::{self, Recreation};
use super::make::{self, Here, recreation};
use super::plan::{For, Prepared, Refused, prepare};
use super::status::{Stage, Status};
use super::{
    CHANGE_SETS_MAX, ChangeSet, ChangeSetName, CreateChangeSet, Plan, Stack, Stacks, Template,
    Write, no_stack, validation,
};
use crate::error::ApiError;
use crate::read::Reads;
use crate::settings::Settings;

/// Where a value will stand that is known only once the change set is executed.
const LATER: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";
/// Why a change set without changes failed: tools look for its first sentence.
const NO_CHANGES: &str = "The submitted information didn't contain changes. Submit different \
                          information to create a change set.";

/// What a plan would do to a stack.
#[derive(Debug)]
pub(super) struct Difference {
    /// `Changes`, as the API shows them.
    pub(super) changes: Vec<Json>,
    /// Whether anything at all would be different.
    pub(super) any: bool,
}

/// The resources of a stack as they would be: what will be made is not known yet.
struct Coming<'a> {
    here: Here<'a>,
    /// Resources that will be made, or made anew.
    made: Vec<&'a str>,
}

impl Scope for Coming<'_> {
    fn reference(&self, logical: &str) -> Option<Json> {
        if self.made.contains(&logical) {
            return Some(LATER.into());
        }
        self.here.reference(logical)
    }

    fn attribute(&self, logical: &str, name: &str) -> Option<Json> {
        if self.made.contains(&logical) {
            return Some(LATER.into());
        }
        self.here.attribute(logical, name)
    }
}

impl Stacks {
    /// What would be done to a stack's resources.
    pub(super) fn difference(
        &self,
        stack: Option<&Stack>,
        plan: &Plan,
        expanded: &Expanded,
    ) -> Difference {
        let number = stack.map_or(0, |stack| stack.number);
        let mut coming = Coming { here: Here { stacks: self, stack: number }, made: Vec::new() };
        let (mut changes, mut any) = (Vec::new(), false);
        for logical in &expanded.order {
            let Some(wanted) = expanded.resources.get(logical) else { continue };
            let there = self.resource(number, logical).filter(|there| there.is_there());
            let Some(there) = there else {
                coming.made.push(logical);
                changes.push(change("Add", logical, None, &wanted.kind, None, Vec::new()));
                continue;
            };
            let body = make::body(wanted, plan, &coming, Arc::clone(&there.now.token));
            let physical = there.now.made.as_ref().map(|made| made.physical_id.as_str());
            let kind = wanted.kind.as_str();
            let Ok(body) = body else {
                // What it refers to is known later only.
                let details = vec![detail("Properties", None, "Conditionally")];
                let modified =
                    change("Modify", logical, physical, kind, Some("Conditional"), details);
                changes.push(modified);
                continue;
            };
            any |= body.deletion != there.now.deletion
                || body.replacement != there.now.replacement
                || body.metadata != there.now.metadata;
            let Some(found) = recreation(&there.now, &body) else { continue };
            let asked = kinds::changes(kind, &there.now.properties, &body.properties);
            let details = asked.iter().map(|change| {
                let recreated = match change.recreation {
                    Recreation::Never => "Never",
                    Recreation::Always => "Always",
                };
                detail("Properties", Some(&change.property), recreated)
            });
            let replacement = match found {
                Recreation::Never => "False",
                Recreation::Always => {
                    coming.made.push(logical);
                    "True"
                }
            };
            let details = details.collect();
            changes.push(change("Modify", logical, physical, kind, Some(replacement), details));
        }
        for there in self.resources_of(number).filter(|there| there.is_there()) {
            if !expanded.resources.contains_key(&*there.logical) {
                let physical = there.now.made.as_ref().map(|made| made.physical_id.as_str());
                let (logical, kind) = (&there.logical, &there.now.kind);
                changes.push(change("Remove", logical, physical, kind, None, Vec::new()));
            }
        }
        any |= !changes.is_empty() || Self::differs(stack, plan, expanded, &coming);
        Difference { changes, any }
    }

    /// Whether anything but resources would be different.
    fn differs(
        stack: Option<&Stack>,
        plan: &Plan,
        expanded: &Expanded,
        scope: &Coming<'_>,
    ) -> bool {
        let Some(stack) = stack else { return true };
        if stack.status == Status::ReviewInProgress {
            return true;
        }
        let before = &stack.plan;
        let text = |value| stepwire_cloudformation::resolve(value, scope).ok();
        let as_text = |value: &Json| match value {
            Json::String(text) => text.to_string(),
            other => other.to_text(),
        };
        let outputs = expanded.outputs.iter().map(|(name, output)| {
            let value = text(&output.value).map(|value| as_text(&value)).unwrap_or_default();
            let export = output.export.as_ref().and_then(text).map(|value| as_text(&value));
            (name.clone(), value, output.description.clone(), export)
        });
        let there = stack.outputs.iter().map(|output| {
            let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
            let (description, export) = (text(&output.description), text(&output.export));
            (output.key.to_string(), output.value.to_string(), description, export)
        });
        before.tags != plan.tags
            || before.notifications != plan.notifications
            || before.rollback_configuration != plan.rollback_configuration
            || !outputs.eq(there)
    }

    /// CreateChangeSet.
    pub(super) fn create_change_set(
        &mut self,
        turn: &mut Turn<'_>,
        create: &CreateChangeSet,
        reads: &Reads,
    ) -> Result<Json, ApiError> {
        let settings = turn.settings;
        let there = self.find(&create.stack, settings).map(Arc::clone);
        let (name, number) = match &there {
            Some(stack) => {
                let reviewed = stack.status == Status::ReviewInProgress;
                let (name, set) = (&stack.name, &create.name);
                if create.creates && !reviewed {
                    return Err(validation(format!(
                        "Stack [{name}] already exists and cannot be created again with the \
                         changeSet [{set}]."
                    )));
                }
                if !create.creates && reviewed {
                    return Err(validation(format!(
                        "Stack [{name}] does not exist: it is in review; use ChangeSetType CREATE"
                    )));
                }
                if !create.creates && !stack.status.takes_updates() {
                    return Err(not_updatable(stack, settings));
                }
                let mut others = self.change_sets_of(stack.number);
                if others.any(|other| other.name == *set && !other.stage.is_over()) {
                    let message = format!("ChangeSet {set} already exists");
                    return Err(ApiError::new("AlreadyExistsException", message));
                }
                if self.change_sets_of(stack.number).count() >= CHANGE_SETS_MAX {
                    let message = "ChangeSet limit exceeded";
                    return Err(ApiError::new("LimitExceededException", message));
                }
                (Arc::clone(name), stack.number)
            }
            None if create.creates => {
                self.has_room()?;
                (Arc::clone(&create.stack), self.next.max(1))
            }
            None => {
                let message = format!("Stack [{}] does not exist", create.stack);
                return Err(validation(message));
            }
        };
        let of = For {
            name: &name,
            number,
            // One in review has nothing yet that could be kept.
            stack: there.as_deref().filter(|_| !create.creates),
            is_change_set: true,
        };
        let (mut plan, template, stage, reason, changes) =
            match prepare(self, of, &create.wanted, reads, settings) {
                Err(Refused::Request(error)) => return Err(error),
                Err(Refused::Template(known, why)) => {
                    let template = Template {
                        source: known.source,
                        parameters: BTreeMap::default(),
                        imports: BTreeMap::default(),
                        ssm: BTreeMap::default(),
                    };
                    (known.plan, template, Stage::Failed, Some(why.into()), Vec::new())
                }
                Ok(Prepared { plan, template, expanded }) => {
                    let difference = self.difference(of.stack, &plan, &expanded);
                    if difference.any {
                        (plan, template, Stage::Available, None, difference.changes)
                    } else {
                        (plan, template, Stage::Failed, Some(NO_CHANGES.into()), Vec::new())
                    }
                }
            };
        let key = match &there {
            Some(stack) => stack.key(),
            None => {
                let number = self.number(turn.out);
                let mut stack = Stack::new(Arc::clone(&name), number, turn.now);
                let reason = Some("User Initiated".into());
                self.moves(turn, &mut stack, Status::ReviewInProgress, reason);
                stack.reason = None;
                let key = stack.key();
                self.keep(stack, turn.out);
                key
            }
        };
        plan.template = self.number(turn.out);
        self.record(Write::Template(plan.template, Some(Arc::new(template))), turn.out);
        let change_set = ChangeSet {
            number: self.number(turn.out),
            name: Arc::clone(&create.name),
            stack: key.clone(),
            stage,
            reason,
            description: create.description.clone(),
            created: turn.now,
            plan,
            creates: create.creates,
            changes: Json::array(changes),
        };
        let id = change_set.id(settings);
        // The AWS CLI names its change sets by the second, and a deployment here may take less.
        let over = self.change_sets_of(key.1).find(|one| one.name == create.name).map(Arc::clone);
        if let Some(over) = over {
            self.drop_change_set(turn, &over);
        }
        self.keep_change_set(change_set, turn);
        let stack_id = super::stack_id(&key.0, key.1, settings);
        Ok(Json::object([("Id", Json::from(id)), ("StackId", stack_id.into())]))
    }

    fn keep_change_set(&mut self, change_set: ChangeSet, turn: &mut Turn<'_>) {
        let (stack, number) = (change_set.stack.1, change_set.number);
        self.record(Write::ChangeSet(stack, number, Some(Arc::new(change_set))), turn.out);
    }

    /// The change set that a request names.
    pub(super) fn change_set(
        &self,
        name: &ChangeSetName,
        settings: &Settings,
    ) -> Result<&Arc<ChangeSet>, ApiError> {
        let missing = || no_change_set(&name.change_set);
        if name.change_set.starts_with("arn:") {
            let found = self.change_sets.values();
            let found = found.filter(|one| name.change_set.contains(&*one.name));
            let mut found = found.filter(|one| one.id(settings) == *name.change_set);
            return found.next().ok_or_else(missing);
        }
        let stack = name.stack.as_deref().unwrap_or_default();
        let of = self.find(stack, settings).ok_or_else(|| no_stack_of(stack))?;
        let mut found = self.change_sets_of(of.number).filter(|one| one.name == name.change_set);
        found.next().ok_or_else(missing)
    }

    /// DeleteChangeSet. One that is not there is gone already.
    pub(super) fn delete_change_set(
        &mut self,
        turn: &mut Turn<'_>,
        name: &ChangeSetName,
    ) -> Result<Json, ApiError> {
        let change_set = match self.change_set(name, turn.settings) {
            Ok(change_set) => Arc::clone(change_set),
            Err(error) if &*error.code == "ChangeSetNotFound" => return Ok(super::nothing()),
            Err(error) => return Err(error),
        };
        if change_set.stage == Stage::Executing {
            let id = change_set.id(turn.settings);
            let message = format!(
                "ChangeSet [{id}] cannot be deleted in its current execution status of [EXECUTE_IN_PROGRESS]"
            );
            return Err(ApiError::new("InvalidChangeSetStatus", message));
        }
        self.drop_change_set(turn, &change_set);
        Ok(super::nothing())
    }

    fn drop_change_set(&mut self, turn: &mut Turn<'_>, change_set: &ChangeSet) {
        if matches!(change_set.stage, Stage::Available | Stage::Failed) {
            self.forget_template(change_set.plan.template, turn);
        }
        let (stack, number) = (change_set.stack.1, change_set.number);
        self.record(Write::ChangeSet(stack, number, None), turn.out);
    }

    /// Every change set of a stack but one goes.
    pub(super) fn drop_change_sets(&mut self, turn: &mut Turn<'_>, stack: u64, but: Option<u64>) {
        let all: Vec<_> = self.change_sets_of(stack).map(Arc::clone).collect();
        for change_set in all.iter().filter(|one| Some(one.number) != but) {
            self.drop_change_set(turn, change_set);
        }
    }

    /// A change set is being executed: the others no longer are what could become of the stack.
    pub(super) fn executing(&mut self, turn: &mut Turn<'_>, change_set: &ChangeSet) {
        self.drop_change_sets(turn, change_set.stack.1, Some(change_set.number));
        let executing = ChangeSet { stage: Stage::Executing, ..change_set.clone() };
        self.keep_change_set(executing, turn);
    }

    /// The change set that is being executed has been, or could not be.
    pub(super) fn executed(&mut self, turn: &mut Turn<'_>, stack: &Stack, stage: Stage) {
        let found = self.change_sets_of(stack.number);
        let found = found.filter(|one| one.stage == Stage::Executing).map(Arc::clone).next();
        if let Some(change_set) = found {
            let executed = ChangeSet { stage, ..ChangeSet::clone(&change_set) };
            self.keep_change_set(executed, turn);
        }
    }
}

fn no_stack_of(stack: &str) -> ApiError {
    if stack.starts_with("arn:") {
        no_stack(stack)
    } else {
        validation(format!("Stack [{stack}] does not exist"))
    }
}

pub(super) fn no_change_set(name: &str) -> ApiError {
    ApiError::new("ChangeSetNotFound", format!("ChangeSet [{name}] does not exist"))
}

/// AWS's refusal to update a stack that is at something else.
pub(super) fn not_updatable(stack: &Stack, settings: &Settings) -> ApiError {
    let (id, status) = (stack.id(settings), stack.status.name());
    validation(format!("Stack:{id} is in {status} state and can not be updated."))
}

fn change(
    action: &'static str,
    logical: &str,
    physical: Option<&str>,
    kind: &str,
    replacement: Option<&'static str>,
    details: Vec<Json>,
) -> Json {
    let mut members = vec![("Action", Json::from(action)), ("LogicalResourceId", logical.into())];
    members.extend(physical.map(|physical| ("PhysicalResourceId", Json::from(physical))));
    members.push(("ResourceType", kind.into()));
    members.extend(replacement.map(|replacement| ("Replacement", Json::from(replacement))));
    let scope = if action == "Modify" { vec![Json::from("Properties")] } else { Vec::new() };
    members.extend([("Scope", Json::array(scope)), ("Details", Json::array(details))]);
    Json::object([("Type", Json::from("Resource")), ("ResourceChange", Json::object(members))])
}

fn detail(attribute: &'static str, name: Option<&str>, recreation: &'static str) -> Json {
    let mut target = vec![("Attribute", Json::from(attribute))];
    target.extend(name.map(|name| ("Name", Json::from(name))));
    target.push(("RequiresRecreation", recreation.into()));
    Json::object([
        ("Target", Json::object(target)),
        ("Evaluation", "Static".into()),
        ("ChangeSource", "DirectModification".into()),
    ])
}
