//! Making and changing the resources of a template, one after the other.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_cloudformation::{self as template, Expanded, Scope, resolve};

use super::events::Turn;
use super::kinds::{self, Recreation};
use super::run::Next;
use super::status::{Policy, Status, Support};
use super::{Before, Body, Deed, Doing, Output, Resource, Stack, Stacks, Work, custom, plan};
use crate::executions::derived_uuid;
use crate::settings::Settings;

/// Most resources that are found unchanged in one turn.
const UNCHANGED_MAX: usize = 100;

/// The resources that a stack has, for those that refer to them.
pub(super) struct Here<'a> {
    pub(super) stacks: &'a Stacks,
    pub(super) stack: u64,
}

impl Here<'_> {
    fn body(&self, logical: &str) -> Option<&kinds::Made> {
        let resource = self.stacks.resource(self.stack, logical)?;
        resource.now.made.as_ref().filter(|_| resource.is_there())
    }
}

impl Scope for Here<'_> {
    fn reference(&self, logical: &str) -> Option<Json> {
        Some(Json::from(self.body(logical)?.physical_id.as_str()))
    }

    fn attribute(&self, logical: &str, name: &str) -> Option<Json> {
        self.body(logical)?.attributes.get(name).cloned()
    }
}

/// What a resource of a template is to be.
pub(super) fn body(
    wanted: &template::Resource,
    plan: &super::Plan,
    scope: &dyn Scope,
    token: Arc<str>,
) -> Result<Body, String> {
    let policy = |policy: template::Policy| match policy {
        template::Policy::Delete | template::Policy::Snapshot => Policy::Delete,
        template::Policy::Retain => Policy::Retain,
        template::Policy::RetainExceptOnCreate => Policy::RetainExceptOnCreate,
    };
    let kind = wanted.kind.as_str();
    let support = plan::support(kind, plan).map_err(|hint| {
        format!("resource type {kind} is not available in stepwire (hint: {hint})")
    })?;
    let properties = resolve(&wanted.properties, scope).map_err(|unresolved| unresolved.message)?;
    let properties = match support {
        Support::Served => kinds::tagged(kind, properties, &plan.tags),
        Support::WithoutEffect | Support::Placeholder => properties,
    };
    let metadata = wanted
        .metadata
        .as_ref()
        .map(|metadata| resolve(metadata, scope).unwrap_or_else(|_| metadata.to_json()));
    Ok(Body {
        kind: kind.into(),
        support,
        properties,
        metadata,
        made: None,
        token,
        deletion: policy(wanted.deletion_policy),
        replacement: policy(wanted.update_replace_policy),
    })
}

/// Whether what is wanted can be had by changing what is there; `None`: there is nothing to change.
pub(super) fn recreation(now: &Body, wanted: &Body) -> Option<Recreation> {
    if now.kind != wanted.kind || now.support != wanted.support {
        return Some(Recreation::Always);
    }
    if now.support == Support::Placeholder {
        return None;
    }
    if kinds::is_own(&now.kind) {
        return custom::recreation(now, wanted);
    }
    let changes = kinds::changes(&now.kind, &now.properties, &wanted.properties);
    changes.iter().map(|change| change.recreation).max()
}

impl Stacks {
    /// The next resource that has to be made or changed.
    pub(super) fn advance(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &mut Stack,
        work: &Work,
        expanded: &Expanded,
    ) -> Next {
        let passed = (stack.operations, work.doing);
        let mut unchanged = 0;
        for (position, logical) in expanded.order.iter().enumerate() {
            let there = self.resource(stack.number, logical).cloned();
            if there.as_ref().is_some_and(|there| there.passed == passed) {
                continue;
            }
            let Some(wanted) = expanded.resources.get(logical) else { continue };
            let logical: Arc<str> = logical.as_str().into();
            let position = position as u32;
            let token = token(stack, &logical, turn.settings);
            let scope = Here { stacks: self, stack: stack.number };
            let body = body(wanted, &work.plan, &scope, token);
            let mut needs = wanted.depends_on.iter().map(|name| Arc::from(name.as_str()));
            let needs: Vec<Arc<str>> = needs.by_ref().collect();
            let body = match body {
                Ok(body) => body,
                Err(why) => {
                    let body = unresolved(wanted);
                    let place = Placed { logical, position, needs, there };
                    self.not_made(turn, stack, place, Deed::Create(body), &why);
                    return Next::Failed;
                }
            };
            let place = Placed { logical, position, needs, there };
            let now = place.there.as_ref().filter(|there| there.is_there()).map(|there| &there.now);
            match now.map(|now| recreation(now, &body)) {
                None => return self.begin(turn, stack, place, Deed::Create(body)),
                Some(Some(Recreation::Always)) => {
                    return self.begin(turn, stack, place, Deed::Replace(body));
                }
                Some(Some(Recreation::Never)) => {
                    return self.begin(turn, stack, place, Deed::Change(body));
                }
                Some(None) => {
                    self.unchanged(turn, stack, place, body, passed);
                    unchanged += 1;
                    if unchanged >= UNCHANGED_MAX {
                        return Next::Again;
                    }
                }
            }
        }
        Next::Done
    }

    /// Nothing has to be done for what is wanted.
    fn unchanged(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &mut Stack,
        place: Placed,
        wanted: Body,
        passed: (u64, Doing),
    ) {
        let Some(there) = place.there else { return };
        let mut resource = Resource::clone(&there);
        let (made, token) = (there.now.made.clone(), Arc::clone(&there.now.token));
        let now = Body { made, token, ..wanted };
        if now != there.now {
            resource.before = earlier(&there);
            resource.now = now;
        }
        if resource.status == Status::UpdateFailed {
            // An earlier update could not change it, and this one need not.
            let of = (&place.logical, &resource.now);
            self.tell_of(turn, stack, of, Status::UpdateComplete, None);
            (resource.status, resource.reason) = (Status::UpdateComplete, None);
            resource.changed = turn.now;
        }
        resource.position = place.position;
        resource.needs = place.needs;
        resource.passed = passed;
        self.keep_resource(stack.number, resource, turn.out);
    }

    /// A resource is about to be made or changed: it has its place in the stack, and the first event.
    fn begin(&mut self, turn: &mut Turn<'_>, stack: &mut Stack, place: Placed, deed: Deed) -> Next {
        let (status, reason) = match &deed {
            Deed::Create(_) => (Status::CreateInProgress, None),
            Deed::Replace(_) => (
                Status::UpdateInProgress,
                Some(
                    "Requested update requires the creation of a new physical resource; hence \
                     creating one.",
                ),
            ),
            _ => (Status::UpdateInProgress, None),
        };
        let told = match &deed {
            Deed::Create(body) => body.clone(),
            _ => place.there.as_ref().map_or_else(empty, |there| there.now.clone()),
        };
        self.tell_of(turn, stack, (&place.logical, &told), status, reason.map(Arc::from));
        let logical = Arc::clone(&place.logical);
        let mut resource = match &place.there {
            Some(there) => Resource::clone(there),
            None => place.resource(told, turn),
        };
        if let Deed::Create(body) = &deed {
            if !place.there.as_ref().is_some_and(|there| there.is_there()) {
                resource.before = before_it_was_made(stack);
            }
            resource.now = body.clone();
        }
        resource.status = status;
        resource.reason = None;
        resource.changed = turn.now;
        resource.position = place.position;
        resource.needs = place.needs;
        self.keep_resource(stack.number, resource, turn.out);
        Next::Do(logical, deed)
    }

    /// What a resource refers to is not there.
    fn not_made(
        &mut self,
        turn: &mut Turn<'_>,
        stack: &mut Stack,
        place: Placed,
        deed: Deed,
        why: &str,
    ) {
        let Deed::Create(body) = deed else { return };
        let is_new = !place.there.as_ref().is_some_and(|there| there.is_there());
        let status = if is_new { Status::CreateFailed } else { Status::UpdateFailed };
        let reason: Option<Arc<str>> = Some(why.into());
        self.tell_of(turn, stack, (&place.logical, &body), status, reason.clone());
        let mut resource = match &place.there {
            Some(there) => Resource::clone(there),
            None => place.resource(body, turn),
        };
        if is_new {
            resource.before = before_it_was_made(stack);
        }
        (resource.status, resource.reason, resource.changed) = (status, reason, turn.now);
        self.keep_resource(stack.number, resource, turn.out);
    }

    /// The outputs of a stack whose resources are all there.
    pub(super) fn outputs(
        &self,
        stack: &Stack,
        expanded: &Expanded,
    ) -> Result<Vec<Output>, String> {
        let scope = Here { stacks: self, stack: stack.number };
        let mut outputs: Vec<Output> = Vec::new();
        for (name, output) in &expanded.outputs {
            let wrong = |why: String| format!("Output {name}: {why}");
            let text = |value: &template::Value| {
                let json = resolve(value, &scope).map_err(|unresolved| unresolved.message)?;
                match json {
                    Json::String(text) => Ok(text),
                    Json::Number(_) | Json::Bool(_) => Ok(json.to_text().into()),
                    _ => Err("Template format error: the value must be a string".to_owned()),
                }
            };
            let export = output.export.as_ref().map(text).transpose().map_err(wrong)?;
            if let Some(export) = &export {
                let other = self
                    .exports()
                    .find(|(other, of, _)| **other == *export && of.number != stack.number);
                if let Some((_, other, _)) = other {
                    let other = &other.name;
                    return Err(format!(
                        "Export with name {export} is already exported by stack {other}."
                    ));
                }
                if outputs.iter().any(|out| out.export.as_ref() == Some(export)) {
                    return Err(format!("Duplicate export names: [{export}]"));
                }
            }
            outputs.push(Output {
                key: name.as_str().into(),
                value: text(&output.value).map_err(wrong)?,
                description: output.description.as_deref().map(Arc::from),
                export,
            });
        }
        self.keeps_exports(stack, &outputs)?;
        Ok(outputs)
    }

    /// Refuses that an export goes or changes that another stack uses.
    pub(super) fn keeps_exports(&self, stack: &Stack, after: &[Output]) -> Result<(), String> {
        for before in &stack.outputs {
            let Some(export) = &before.export else { continue };
            let after = after.iter().find(|after| after.export.as_ref() == Some(export));
            if after.is_some_and(|after| after.value == before.value) {
                continue;
            }
            let using: Vec<_> = self.importers(export).map(|stack| &*stack.name).collect();
            if using.is_empty() {
                continue;
            }
            let (using, verb) =
                (using.join(", "), if after.is_some() { "updated" } else { "deleted" });
            return Err(format!("Export {export} cannot be {verb} as it is in use by {using}"));
        }
        Ok(())
    }
}

/// A resource in its template, and in the stack if it is there.
pub(super) struct Placed {
    logical: Arc<str>,
    position: u32,
    needs: Vec<Arc<str>>,
    there: Option<Arc<Resource>>,
}

impl Placed {
    fn resource(&self, body: Body, turn: &Turn<'_>) -> Resource {
        Resource {
            logical: Arc::clone(&self.logical),
            position: self.position,
            status: Status::CreateInProgress,
            reason: None,
            changed: turn.now,
            now: body,
            before: Before::Absent,
            leftovers: Vec::new(),
            passed: (0, Doing::Create),
            needs: self.needs.clone(),
        }
    }
}

/// What a resource was when its stack was last whole, now that it changes.
pub(super) fn earlier(resource: &Resource) -> Before {
    match &resource.before {
        Before::Same => Before::Other(Box::new(resource.now.clone())),
        before => before.clone(),
    }
}

/// What a new resource was before. What a stack is created with is there from the beginning: when that
/// fails all of it goes, and when it succeeds a later update comes back to it.
fn before_it_was_made(stack: &Stack) -> Before {
    let creates = stack.work.as_ref().is_some_and(|work| work.doing == Doing::Create);
    if creates { Before::Same } else { Before::Absent }
}

/// The end of names that are made up for a resource: 12 letters and digits, other ones each time.
fn token(stack: &Stack, logical: &str, settings: &Settings) -> Arc<str> {
    let uuid = derived_uuid(&settings.secret, logical, &[stack.number, stack.events.1]);
    let mut bits = u128::from_str_radix(&uuid.replace('-', ""), 16).unwrap_or_default();
    let mut letters = String::new();
    for _ in 0..12 {
        let digit = (bits % 36) as u32;
        letters.extend(char::from_digit(digit, 36).map(|letter| letter.to_ascii_uppercase()));
        bits /= 36;
    }
    letters.into()
}

/// What is shown of a resource whose references cannot be followed.
fn unresolved(wanted: &template::Resource) -> Body {
    Body { kind: wanted.kind.as_str().into(), properties: wanted.properties.to_json(), ..empty() }
}

fn empty() -> Body {
    Body {
        kind: "".into(),
        support: Support::Served,
        properties: super::nothing(),
        metadata: None,
        made: None,
        token: "".into(),
        deletion: Policy::Delete,
        replacement: Policy::Delete,
    }
}
