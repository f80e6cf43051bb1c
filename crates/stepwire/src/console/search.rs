//! The search box: what has such a name goes to its page, else what there is is listed.

use stepwire_asl::Json;
use stepwire_console::link;
use stepwire_console::pages::Problem;
use stepwire_console::pages::search::{self as drawn, Group, View};
use stepwire_console::words::{encoded, segment};
use stepwire_core::executions::{self, TaskToken, record};
use stepwire_core::read::Range;
use stepwire_core::record::{KeyBuilder, Space};
use stepwire_core::{Read, Service};

use super::Done;
use super::devices::{thing, unreadable};
use super::executions::row;
use super::visit::Visit;
use crate::shard;

/// Most of a kind that are listed.
const LISTED_MAX: usize = 20;
/// Names of a kind that are looked at for one that holds the text.
const LOOKED_MAX: usize = 5_000;

/// Where the text leads, or what was found.
pub(super) async fn page(visit: &Visit) -> Result<Done, Problem> {
    let text = visit.query("q").unwrap_or_default().trim().to_owned();
    if text.is_empty() {
        return Ok(Done::Page(Box::new(drawn::page(&View { text, groups: Vec::new() }))));
    }
    let known = match of_arn(&text) {
        Some(path) => Some(path),
        None => of_holder(visit, &text).await,
    };
    if let Some(path) = known {
        return Ok(Done::At(path));
    }
    let read = visit.node().snapshot();
    let found = shard::catch(|| groups(visit, &text, &read));
    let mut groups = found.map_err(|error| unreadable(&error))?;
    groups.extend(tables(visit, &text).await);
    let exact = |group: &Group| {
        let found = group.found.iter().filter(|(name, ..)| *name == text);
        found.map(|(.., href)| href.clone()).collect::<Vec<_>>()
    };
    let exact: Vec<String> = groups.iter().flat_map(exact).collect();
    let all: Vec<&String> = groups.iter().flat_map(|group| &group.found).map(|it| &it.2).collect();
    match (exact.as_slice(), all.as_slice()) {
        ([only], _) => Ok(Done::At(only.clone())),
        ([], [only]) => Ok(Done::At((*only).clone())),
        _ => Ok(Done::Page(Box::new(drawn::page(&View { text, groups })))),
    }
}

/// The logs of an execution, by its ARN or `WORKFLOW/NAME`: `/logs?exec=…`.
pub(super) fn logs(visit: &Visit) -> Done {
    let text = visit.query("exec").unwrap_or_default();
    let named = text
        .split_once('/')
        .map(|(workflow, name)| format!("/executions/{}/{}", segment(workflow), segment(name)));
    let path = of_arn(&text).filter(|path| path.starts_with("/executions/")).or(named);
    Done::At(match path {
        Some(path) => format!("{path}?view=logs"),
        None => format!("/executions?q={}", encoded(&text)),
    })
}

/// The page of what an ARN names that has none: of a map run that of its execution, of a certificate that
/// of its device, of a task token that of the execution that waits.
async fn of_holder(visit: &Visit, text: &str) -> Option<String> {
    let ask = |service, operation, name: &'static str| {
        visit.ask(service, operation, [(name, Json::from(text))])
    };
    if text.starts_with("arn:") && text.contains(":mapRun:") {
        let described = ask(Service::States, "DescribeMapRun", "mapRunArn").await.ok()?;
        return of_arn(described.member("executionArn")?.as_str()?);
    }
    if text.starts_with("arn:") && text.contains(":cert/") {
        let things = ask(Service::Iot, "ListPrincipalThings", "principal").await.ok()?;
        let [thing] = things.member("things")?.as_array()? else { return None };
        return Some(format!("/devices/{}", segment(thing.as_str()?)));
    }
    let id = TaskToken::execution_in(text)?;
    let read = visit.node().snapshot();
    let arn = shard::catch(|| executions::arn_of(id, &read, visit.node().settings())).ok()??;
    link::execution(&arn)
}

/// The page of what an ARN names.
pub(super) fn of_arn(text: &str) -> Option<String> {
    let mut parts = text.strip_prefix("arn:")?.splitn(5, ':').skip(1);
    let (service, resource) = (parts.next()?, parts.nth(2)?);
    let (kind, name) = resource.split_once([':', '/']).unwrap_or((resource, ""));
    let page = |of: &str| Some(format!("/{of}/{}", segment(name)));
    match (service, kind) {
        ("states", "execution") => {
            let (workflow, name) = name.split_once(':')?;
            Some(format!("/executions/{}/{}", segment(workflow), segment(name)))
        }
        ("states", "stateMachine") => {
            let name = name.split(':').next().unwrap_or(name);
            Some(format!("/workflows/{}", segment(name)))
        }
        ("iot", "thing") => page("devices"),
        ("iot", "rule") => page("rules"),
        ("iot", "job") => page("rollouts"),
        ("lambda", "function") => {
            let name = name.split(':').next().unwrap_or(name);
            Some(format!("/functions/{}", segment(name)))
        }
        ("dynamodb", "table") => {
            let name = name.split('/').next().unwrap_or(name);
            Some(format!("/tables/{}", segment(name)))
        }
        _ => None,
    }
}

fn groups(visit: &Visit, text: &str, read: &dyn Read) -> Vec<Group> {
    let lower = text.to_lowercase();
    let mut groups = vec![
        devices(visit, text, &lower, read),
        executions(visit, text, &lower, read),
        named("Workflows", "workflows", &[Space::MachineName as u8], &lower, read),
        named("Rules", "rules", &[Space::Rule as u8], &lower, read),
        named("Rollouts", "rollouts", &[Space::Job as u8], &lower, read),
        named("Functions", "functions", &[Space::Function as u8], &lower, read),
    ];
    if text.contains('/') && !text.starts_with("arn:") {
        let href = format!("/live?filter={}", encoded(text));
        let about = "messages on this topic, as they come".to_owned();
        groups.push(Group {
            kind: "Topics",
            found: vec![(text.to_owned(), about, href)],
            all: None,
        });
    }
    groups.retain(|group| !group.found.is_empty());
    groups
}

/// Things, and clients that are connected.
fn devices(visit: &Visit, text: &str, lower: &str, read: &dyn Read) -> Group {
    let page = |name: &str| format!("/devices/{}", segment(name));
    let mut found: Vec<(String, String, String)> = Vec::new();
    if let Some(thing) = thing(text, read) {
        found.push((thing.name.to_string(), "thing".to_owned(), page(&thing.name)));
    }
    for name in
        names(&[Space::Thing as u8], read).filter(|name| name.to_lowercase().contains(lower))
    {
        if found.len() < LISTED_MAX && !found.iter().any(|(known, ..)| *known == name) {
            found.push((name.clone(), "thing".to_owned(), page(&name)));
        }
    }
    let clients = visit.node().clients();
    for client in clients.iter().filter(|client| client.to_lowercase().contains(lower)) {
        if found.len() < LISTED_MAX && !found.iter().any(|(known, ..)| **known == **client) {
            found.push((client.to_string(), "connected client".to_owned(), page(client)));
        }
    }
    let all = (found.len() == LISTED_MAX).then(|| format!("/devices?q={}", encoded(text)));
    Group { kind: "Devices", found, all }
}

/// Executions whose names begin with the text, or of late hold it.
fn executions(visit: &Visit, text: &str, lower: &str, read: &dyn Read) -> Group {
    let recent = visit.node().recent();
    let holds = recent.runs.iter().filter(|run| run.name.to_lowercase().contains(lower));
    let mut found: Vec<(String, String, String)> = holds
        .take(LISTED_MAX)
        .map(|run| {
            let row = row(run);
            (row.name.clone(), format!("{} · {}", row.workflow, row.status.word()), row.href())
        })
        .collect();
    // Older ones are found by the beginning of their names.
    for workflow in names(&[Space::MachineName as u8], read) {
        if text.contains('\0') || found.len() >= LISTED_MAX {
            break;
        }
        let prefix = KeyBuilder::new(Space::ExecutionName).text(&workflow).bytes(text.as_bytes());
        let entries = read.range(&Range::prefix(&prefix.build()).limit(LISTED_MAX - found.len()));
        for (key, value) in entries {
            let Ok(id) = record::named(&key, &value) else { continue };
            let key = record::execution_key(id);
            let Some(value) = read.get(&key) else { continue };
            let Ok(summary) = record::execution(&key, &value) else { continue };
            let href = format!("/executions/{}/{}", segment(&workflow), segment(&summary.name));
            if !found.iter().any(|(.., known)| *known == href) {
                let status = summary.status.word().to_lowercase().replace('_', " ");
                found.push((summary.name.to_string(), format!("{workflow} · {status}"), href));
            }
        }
    }
    let all = (found.len() >= LISTED_MAX).then(|| format!("/executions?q={}", encoded(text)));
    Group { kind: "Executions", found, all }
}

/// Tables, of the first hundred.
async fn tables(visit: &Visit, text: &str) -> Option<Group> {
    let lower = text.to_lowercase();
    let asked: [(&str, Json); 0] = [];
    let answer = visit.ask(Service::DynamoDb, "ListTables", asked).await.ok()?;
    let names = answer.member("TableNames").and_then(Json::as_array)?.iter();
    let names = names.filter_map(Json::as_str).filter(|name| name.to_lowercase().contains(&lower));
    let found =
        names.map(|name| (name.to_owned(), String::new(), format!("/tables/{}", segment(name))));
    let found: Vec<_> = found.take(LISTED_MAX).collect();
    (!found.is_empty()).then_some(Group { kind: "Tables", found, all: None })
}

fn named(kind: &'static str, path: &str, prefix: &[u8], lower: &str, read: &dyn Read) -> Group {
    let found = names(prefix, read).filter(|name| name.to_lowercase().contains(lower));
    let found = found.take(LISTED_MAX).map(|name| {
        let href = format!("/{path}/{}", segment(&name));
        (name, String::new(), href)
    });
    Group { kind, found: found.collect(), all: None }
}

/// Names that keys with a prefix hold after it, each once.
fn names(prefix: &[u8], read: &dyn Read) -> impl Iterator<Item = String> + use<> {
    let entries = read.range(&Range::prefix(prefix).limit(LOOKED_MAX));
    let mut names: Vec<String> = entries
        .iter()
        .filter_map(|(key, _)| {
            let text = key.get(prefix.len()..)?.split(|byte| *byte == 0).next()?;
            Some(std::str::from_utf8(text).ok()?.to_owned())
        })
        .collect();
    names.dedup();
    names.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_lead_to_pages() {
        for (arn, path) in [
            ("arn:aws:states:us-east-1:0:execution:Wf:run 1", Some("/executions/Wf/run%201")),
            ("arn:aws:states:us-east-1:0:stateMachine:Wf:3", Some("/workflows/Wf")),
            ("arn:aws:iot:us-east-1:0:thing/gw-1", Some("/devices/gw-1")),
            ("arn:aws:iot:us-east-1:0:job/fw-1", Some("/rollouts/fw-1")),
            ("arn:aws:lambda:us-east-1:0:function:f:live", Some("/functions/f")),
            ("arn:aws:dynamodb:us-east-1:0:table/T/index/I", Some("/tables/T")),
            ("arn:aws:sqs:us-east-1:0:q", None),
            ("gw-1", None),
        ] {
            assert_eq!(of_arn(arn).as_deref(), path, "{arn}");
        }
    }
}
