//! A stack through CloudFormation's API: proposed, executed, followed.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::client::{Client, Element, Error};
use super::super::failure::{Exit, Failure};

/// How often a stack is looked at while it changes.
const INTERVAL: Duration = Duration::from_millis(200);
/// Pages of events that are read at a time.
const PAGES_MAX: usize = 50;

/// A stack of this name.
pub(super) struct Stack<'a> {
    pub(super) client: &'a Client,
    pub(super) name: &'a str,
}

/// What DescribeStacks tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) id: String,
    pub(super) status: String,
    reason: String,
    /// Name, value, description.
    pub(super) outputs: Vec<(String, String, String)>,
}

/// A change set that can be executed.
pub(super) struct ChangeSet {
    id: String,
    pub(super) changes: Vec<Change>,
}

/// What is to become of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    action: String,
    logical_id: String,
    kind: String,
    replacement: String,
}

impl Change {
    pub(super) fn json(&self) -> Value {
        json!({
            "action": self.action,
            "logicalId": self.logical_id,
            "type": self.kind,
            "replacement": (!self.replacement.is_empty()).then_some(&self.replacement),
        })
    }
}

impl ChangeSet {
    /// Action, logical id, type, replacement.
    pub(super) fn table(&self) -> String {
        let head = ["Action", "Resource", "Type", "Replacement"].map(str::to_owned);
        let rows = self.changes.iter().map(|change| {
            let replacement = if change.replacement.is_empty() { "-" } else { &change.replacement };
            [&change.action, &change.logical_id, &change.kind, replacement].map(str::to_owned)
        });
        table(std::iter::once(head).chain(rows).collect())
    }
}

/// Rows with their columns below each other.
fn table<const N: usize>(rows: Vec<[String; N]>) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or_default());
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

impl Stack<'_> {
    /// What there is of it.
    pub(super) async fn describe(&self) -> Result<Option<Described>, Error> {
        self.described(self.name).await
    }

    async fn described(&self, name: &str) -> Result<Option<Described>, Error> {
        let answer = self.client.stacks("DescribeStacks", &[pair("StackName", name)]).await;
        let answer = match answer {
            Err(error)
                if error.is("ValidationError") && error.message().contains("does not exist") =>
            {
                return Ok(None);
            }
            answer => answer?,
        };
        let Some(stack) = answer.members("Stacks").first() else { return Ok(None) };
        let outputs = stack.members("Outputs").iter().map(|output| {
            let of = |name| output.text_of(name).to_owned();
            (of("OutputKey"), of("OutputValue"), of("Description"))
        });
        Ok(Some(Described {
            id: stack.text_of("StackId").to_owned(),
            status: stack.text_of("StackStatus").to_owned(),
            reason: stack.text_of("StackStatusReason").to_owned(),
            outputs: outputs.collect(),
        }))
    }

    /// Whether it exists, so that it is updated. What a failed creation left is removed.
    pub(super) async fn prepare(&self, say: &(dyn Fn(&str) + Sync)) -> Result<bool, Failure> {
        let Some(now) = self.describe().await? else { return Ok(false) };
        match now.status.as_str() {
            "REVIEW_IN_PROGRESS" => Ok(false),
            "ROLLBACK_COMPLETE" | "CREATE_FAILED" | "ROLLBACK_FAILED" | "DELETE_FAILED" => {
                say(&format!("{}: removing what a failed deploy left ({})", self.name, now.status));
                self.delete(&now, say).await?;
                Ok(false)
            }
            status if status.ends_with("_IN_PROGRESS") => {
                let why = format!("the stack `{}` is being changed already ({status})", self.name);
                Err(Failure::new(Exit::Rejected, why).hint("wait until that has ended"))
            }
            _ => Ok(true),
        }
    }

    /// Makes the change set of this form; `None`: nothing would change.
    pub(super) async fn propose(
        &self,
        form: &[(String, String)],
    ) -> Result<Option<ChangeSet>, Failure> {
        let answer = self.client.stacks("CreateChangeSet", form).await?;
        let id = answer.find("CreateChangeSetResult").unwrap_or(&answer).text_of("Id").to_owned();
        let mut changes = Vec::new();
        let mut token = String::new();
        loop {
            let mut ask = vec![pair("ChangeSetName", &id), pair("StackName", self.name)];
            if !token.is_empty() {
                ask.push(pair("NextToken", &token));
            }
            let answer = self.client.stacks("DescribeChangeSet", &ask).await?;
            let result = answer.find("DescribeChangeSetResult").unwrap_or(&answer);
            match result.text_of("Status") {
                "CREATE_COMPLETE" => {}
                "FAILED" => {
                    let why = result.text_of("StatusReason").to_owned();
                    let set = ChangeSet { id, changes };
                    self.withdraw(&set).await?;
                    let same = ["didn't contain changes", "No updates are to be performed"];
                    if same.iter().any(|same| why.contains(same)) {
                        return Ok(None);
                    }
                    return Err(Failure::new(Exit::Rejected, why));
                }
                _ => {
                    tokio::time::sleep(INTERVAL).await;
                    continue;
                }
            }
            changes.extend(result.members("Changes").iter().filter_map(change));
            result.text_of("NextToken").clone_into(&mut token);
            if token.is_empty() {
                return Ok(Some(ChangeSet { id, changes }));
            }
        }
    }

    /// Removes a change set, and the stack that was to be made of it alone.
    pub(super) async fn withdraw(&self, set: &ChangeSet) -> Result<(), Failure> {
        self.client.stacks("DeleteChangeSet", &[pair("ChangeSetName", &set.id)]).await?;
        if let Some(now) = self.describe().await?
            && now.status == "REVIEW_IN_PROGRESS"
        {
            self.client.stacks("DeleteStack", &[pair("StackName", &now.id)]).await?;
        }
        Ok(())
    }

    /// Executes a change set and follows the stack to its end.
    pub(super) async fn execute(
        &self,
        set: &ChangeSet,
        say: &(dyn Fn(&str) + Sync),
    ) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        self.events(self.name, &mut seen).await?;
        self.client.stacks("ExecuteChangeSet", &[pair("ChangeSetName", &set.id)]).await?;
        let id = self.describe().await?.map(|now| now.id).unwrap_or_default();
        let followed = self.follow(&id, &mut seen, say).await;
        let now = followed.map_err(|failure| match failure.exit {
            Exit::NoServer => failure.hint(format!(
                "the stack goes on when the node is started again: `aws cloudformation \
                 describe-stack-events --stack-name {}` follows it, with what `stepwire env` prints",
                self.name
            )),
            _ => failure,
        })?;
        match now.status.as_str() {
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" => Ok(()),
            status => {
                let why =
                    if now.reason.is_empty() { String::new() } else { format!(": {}", now.reason) };
                let why = format!("the stack `{}` is {status}{why}", self.name);
                Err(Failure::new(Exit::Failed, why).hint("the first FAILED line above says why"))
            }
        }
    }

    /// Deletes it and follows it to its end.
    pub(super) async fn delete(
        &self,
        now: &Described,
        say: &(dyn Fn(&str) + Sync),
    ) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        self.events(&now.id, &mut seen).await?;
        self.client.stacks("DeleteStack", &[pair("StackName", &now.id)]).await?;
        let end = self.follow(&now.id, &mut seen, say).await?;
        match end.status.as_str() {
            "DELETE_COMPLETE" => Ok(()),
            status => {
                let why = format!("the stack `{}` is {status}: {}", self.name, end.reason);
                Err(Failure::new(Exit::Failed, why))
            }
        }
    }

    /// Tells what happens to the stack of this id until nothing more does.
    async fn follow(
        &self,
        id: &str,
        seen: &mut BTreeSet<String>,
        say: &(dyn Fn(&str) + Sync),
    ) -> Result<Described, Failure> {
        loop {
            let now = self.described(id).await?;
            let events = self.events(id, seen).await?;
            worth_telling(&events).for_each(|event| say(&event.line));
            let gone = || Described {
                id: id.to_owned(),
                status: "DELETE_COMPLETE".to_owned(),
                reason: String::new(),
                outputs: Vec::new(),
            };
            let now = now.unwrap_or_else(gone);
            if !now.status.ends_with("_IN_PROGRESS") {
                return Ok(now);
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// The events that were not seen before, the oldest first.
    async fn events(&self, name: &str, seen: &mut BTreeSet<String>) -> Result<Vec<Event>, Failure> {
        let mut new = Vec::new();
        let mut token = String::new();
        for _ in 0..PAGES_MAX {
            let mut ask = vec![pair("StackName", name)];
            if !token.is_empty() {
                ask.push(pair("NextToken", &token));
            }
            let answer = match self.client.stacks("DescribeStackEvents", &ask).await {
                Err(error) if error.is("ValidationError") => break,
                answer => answer?,
            };
            let mut known = false;
            for event in answer.members("StackEvents") {
                if seen.insert(event.text_of("EventId").to_owned()) {
                    new.push(Event::of(event));
                } else {
                    known = true;
                }
            }
            let result = answer.find("DescribeStackEventsResult").unwrap_or(&answer);
            result.text_of("NextToken").clone_into(&mut token);
            // The newest come first: what follows a known one is known.
            if known || token.is_empty() {
                break;
            }
        }
        new.reverse();
        Ok(new)
    }
}

fn change(member: &Element) -> Option<Change> {
    let change = member.find("ResourceChange")?;
    let of = |name| change.text_of(name).to_owned();
    Some(Change {
        action: of("Action"),
        logical_id: of("LogicalResourceId"),
        kind: of("ResourceType"),
        replacement: of("Replacement"),
    })
}

/// Something that happened to a stack or one of its resources.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    logical_id: String,
    /// Whether it begins something.
    begins: bool,
    line: String,
}

impl Event {
    fn of(event: &Element) -> Event {
        let of = |name| event.text_of(name);
        let time = of("Timestamp").get(11..19).unwrap_or_default();
        let reason = of("ResourceStatusReason");
        let (status, kind, id) =
            (of("ResourceStatus"), of("ResourceType"), of("LogicalResourceId"));
        let line = format!("{time}  {status:<28}  {id}  {kind}  {reason}").trim_end().to_owned();
        Event { logical_id: id.to_owned(), begins: status.ends_with("_IN_PROGRESS"), line }
    }
}

/// The events but those that say that something begins which has gone on in the meantime.
fn worth_telling(events: &[Event]) -> impl Iterator<Item = &Event> {
    events.iter().enumerate().filter_map(|(index, event)| {
        let later = events.get(index + 1..).unwrap_or_default();
        let goes_on = later.iter().any(|other| other.logical_id == event.logical_id);
        (!(event.begins && goes_on)).then_some(event)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_already_is_not_said_to_begin() {
        let event = |id: &str, status: &str| Event {
            logical_id: id.to_owned(),
            begins: status.ends_with("_IN_PROGRESS"),
            line: format!("{id} {status}"),
        };
        let told = |events: &[Event]| {
            worth_telling(events).map(|event| event.line.clone()).collect::<Vec<_>>()
        };
        let quick = [
            event("A", "CREATE_IN_PROGRESS"),
            event("A", "CREATE_IN_PROGRESS"),
            event("A", "CREATE_COMPLETE"),
            event("Slow", "CREATE_IN_PROGRESS"),
        ];
        assert_eq!(told(&quick), ["A CREATE_COMPLETE", "Slow CREATE_IN_PROGRESS"]);
        let failed = [event("B", "CREATE_FAILED"), event("B", "DELETE_COMPLETE")];
        assert_eq!(told(&failed), ["B CREATE_FAILED", "B DELETE_COMPLETE"]);
    }

    #[test]
    fn a_change_set_is_a_table() {
        let change = |action: &str, id: &str, replacement: &str| Change {
            action: action.to_owned(),
            logical_id: id.to_owned(),
            kind: "AWS::IoT::Thing".to_owned(),
            replacement: replacement.to_owned(),
        };
        let changes = vec![change("Add", "A", ""), change("Modify", "Longer", "True")];
        assert_eq!(
            ChangeSet { id: String::new(), changes }.table(),
            "Action  Resource  Type             Replacement\n\
             Add     A         AWS::IoT::Thing  -\n\
             Modify  Longer    AWS::IoT::Thing  True"
        );
    }
}
