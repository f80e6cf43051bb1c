//! The list of executions: from what is known of late, further back from the store.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use stepwire_asl::{Json, Timestamp};
use stepwire_console::Page;
use stepwire_console::pages::Problem;
use stepwire_console::pages::executions as drawn;
use stepwire_console::pages::executions::{Ask, Choice, Deed, Done as Outcome, Row, View, Wanted};
use stepwire_console::words::Status;
use stepwire_core::executions::{self, ExecutionName};
use stepwire_core::read::Range;
use stepwire_core::record::Space;
use stepwire_core::{Read, Service};

use super::Done;
use super::live::{Interest, Topic};
use super::visit::{Form, Visit};
use crate::lately::{Recent, Run, Waits, input_text, older};
use crate::node::Node;
use crate::shard;

/// What values of a query have as it is (RFC 3986, 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Rows of a page.
const ROWS: usize = 50;
/// Stored executions that one look goes through, beyond those that are known.
const LOOKED_MAX: usize = 2_000;
/// Inputs that one look reads.
const INPUTS_MAX: usize = 500;
/// Executions that something is done to at a time.
const DEEDS_MAX: usize = 1_000;
/// Requests of a deed on their way at a time.
const DEEDS_AT_ONCE: usize = 32;
/// Workflows to choose from.
const WORKFLOWS_MAX: usize = 500;

/// How executions stand, as filters tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Running,
    Device,
    Waiting,
    Succeeded,
    Failed,
    TimedOut,
    Stopped,
}

impl Standing {
    const ALL: [(Standing, &'static str, &'static str); 7] = [
        (Standing::Running, "running", "Running"),
        (Standing::Device, "waiting-for-device", "Waiting for device"),
        (Standing::Waiting, "waiting", "Waiting"),
        (Standing::Succeeded, "succeeded", "Succeeded"),
        (Standing::Failed, "failed", "Failed"),
        (Standing::TimedOut, "timed-out", "Timed out"),
        (Standing::Stopped, "stopped", "Stopped"),
    ];

    fn of(run: &Run) -> Standing {
        match (run.status, run.waits()) {
            (executions::Status::Running, Waits::Nothing) => Standing::Running,
            (executions::Status::Running, Waits::Device) => Standing::Device,
            (executions::Status::Running, Waits::Time(_) | Waits::Worker | Waits::Child) => {
                Standing::Waiting
            }
            (executions::Status::Succeeded, _) => Standing::Succeeded,
            (executions::Status::Failed, _) => Standing::Failed,
            (executions::Status::TimedOut, _) => Standing::TimedOut,
            (executions::Status::Aborted, _) => Standing::Stopped,
        }
    }

    /// The word and mark that pages show.
    fn shown(self) -> Status {
        match self {
            Standing::Running => Status::Running,
            Standing::Device => Status::WaitingForDevice,
            Standing::Waiting => Status::Waiting,
            Standing::Succeeded => Status::Succeeded,
            Standing::Failed => Status::Failed,
            Standing::TimedOut => Status::TimedOut,
            Standing::Stopped => Status::Stopped,
        }
    }

    /// Whether it failed by itself: what somebody stopped is redriven when it is chosen, not with all.
    fn has_failed(self) -> bool {
        matches!(self, Standing::Failed | Standing::TimedOut)
    }

    fn is_open(self) -> bool {
        matches!(self, Standing::Running | Standing::Device | Standing::Waiting)
    }
}

/// What is looked for.
struct Filter {
    /// Those that stand in one of these ways; in any, when it is empty.
    standing: Vec<Standing>,
    workflow: Option<String>,
    device: Option<String>,
    after: Option<Timestamp>,
    /// In lower case.
    text: Option<String>,
    inputs: bool,
}

impl Filter {
    fn of(visit: &Visit) -> Result<Filter, Problem> {
        let wanted = visit.query("status").unwrap_or_default();
        let standing = wanted.split(',').filter(|word| !word.is_empty()).map(|word| {
            let found = Standing::ALL.iter().find(|(_, name, _)| *name == word);
            let words: Vec<&str> = Standing::ALL.iter().map(|(_, name, _)| *name).collect();
            found.map(|(standing, ..)| *standing).ok_or_else(|| {
                let hint = format!("it is one of {}", words.join(", "));
                Problem::refused(format!("there is no status `{word}`")).hint(hint)
            })
        });
        let after = visit.query("since").map(|text| {
            back(&text).map(|ms| visit.now().plus_ms(-ms)).ok_or_else(|| {
                let hint = "write a number and s, m, h or d, such as 15m";
                Problem::refused(format!("`{text}` is no span of time")).hint(hint)
            })
        });
        Ok(Filter {
            standing: standing.collect::<Result<_, _>>()?,
            workflow: visit.query("workflow"),
            device: visit.query("device"),
            after: after.transpose()?,
            text: visit.query("q").map(|text| text.to_lowercase()),
            inputs: visit.query("inputs").is_some(),
        })
    }

    /// Whether it may be among what is shown, its standing and text aside.
    fn fits(&self, run: &Run) -> bool {
        self.workflow.as_deref().is_none_or(|workflow| workflow == &*run.workflow)
            && self.after.is_none_or(|after| run.started >= after)
            && self.device.as_deref().is_none_or(|device| is_about(run, device))
    }

    fn has_text(&self, run: &Run) -> bool {
        let Some(text) = &self.text else { return true };
        let holds = |part: &str| part.to_lowercase().contains(text);
        holds(&run.name)
            || run.error.as_deref().is_some_and(holds)
            || run.state().is_some_and(|state| holds(state))
    }

    fn stands(&self, run: &Run) -> bool {
        self.standing.is_empty() || self.standing.contains(&Standing::of(run))
    }

    /// Whether inputs have to be read.
    fn reads(&self) -> bool {
        self.inputs && self.text.is_some()
    }
}

/// Whether a run is about a device, by its thing or its client.
fn is_about(run: &Run, device: &str) -> bool {
    run.origin.as_deref().is_some_and(|origin| origin.devices().any(|name| &**name == device))
}

/// `15m` in milliseconds.
fn back(text: &str) -> Option<i64> {
    let at = text.len().checked_sub(1)?;
    let (number, unit) = text.split_at_checked(at)?;
    let unit = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<i64>().ok().filter(|number| *number >= 0)?.checked_mul(unit)
}

/// A run as lists show it.
pub(super) fn row(run: &Run) -> Row {
    let until = match run.waits() {
        Waits::Time(at) => Some(at),
        _ => None,
    };
    Row {
        workflow: run.workflow.to_string(),
        name: run.name.to_string(),
        status: Standing::of(run).shown(),
        error: run.error.as_deref().map(str::to_owned),
        device: run.device().map(std::string::ToString::to_string),
        state: run.state().map(std::string::ToString::to_string),
        until,
        started: run.started,
        stopped: run.stopped,
        redrives: run.redrives,
    }
}

pub(super) fn interest(visit: &Visit) -> Interest {
    // Further back nothing begins, and reading many inputs again and again would cost too much.
    let is_first = visit.query("before").is_none();
    if !is_first || visit.query("inputs").is_some() {
        return Interest::default();
    }
    let newest = visit.node().recent().runs.first().map_or(0, |run| run.id.number);
    let pin = visit.query("upto").is_none().then(|| format!("upto={newest}"));
    let topics = [Topic::Executions, Topic::Steps];
    Interest { pin, ..Interest::in_topics(topics, 1_000) }
}

pub(super) fn page(visit: &Visit) -> Result<Page, Problem> {
    let filter = Filter::of(visit)?;
    let recent = visit.node().recent();
    let look = look(visit, &filter, &recent, ROWS)?;
    let upto = number(visit, "upto")?;
    let known = || known(&recent).filter(|run| filter.fits(run) && filter.has_text(run));
    let new = upto.map(|upto| {
        let new = known().filter(|run| filter.stands(run));
        let new = new.take_while(|run| run.id.number > upto).count() as u64;
        (new, link(visit, &[("upto", None), ("before", None)]))
    });
    let counted = !filter.reads();
    let mut counts = Standing::ALL.map(|(standing, ..)| (standing, 0_u64));
    for run in known() {
        let standing = Standing::of(run);
        for (of, number) in &mut counts {
            *number += u64::from(*of == standing);
        }
    }
    let count = |is: &dyn Fn(Standing) -> bool| {
        counts.iter().filter(|(of, _)| is(*of)).map(|(_, number)| number).sum::<u64>()
    };
    let mut choices = vec![Choice {
        name: "All",
        href: link(visit, &[("status", None), ("before", None), ("upto", None)]),
        count: counted.then(|| count(&|_| true)),
        chosen: filter.standing.is_empty(),
    }];
    choices.extend(Standing::ALL.map(|(standing, word, name)| Choice {
        name,
        href: link(visit, &[("status", Some(word)), ("before", None), ("upto", None)]),
        count: counted.then(|| count(&|of| of == standing)),
        chosen: filter.standing.contains(&standing),
    }));
    let matching = |is: fn(Standing) -> bool| {
        let stands = |of| filter.standing.is_empty() || filter.standing.contains(&of);
        if counted { count(&|of| stands(of) && is(of)) } else { 0 }
    };
    let older = look
        .up_to
        .map(|number| link(visit, &[("before", Some(&number.to_string())), ("upto", None)]));
    let is_first = visit.query("before").is_none();
    Ok(drawn::page(&View {
        now: visit.now(),
        address: address(visit),
        wanted: Wanted {
            status: visit.query("status"),
            workflow: filter.workflow.clone(),
            device: filter.device.clone(),
            since: visit.query("since"),
            text: visit.query("q"),
            inputs: filter.inputs,
        },
        workflows: workflows(visit.node()),
        choices,
        rows: look.found.iter().map(|run| row(run)).collect(),
        new,
        older,
        newest: (!is_first).then(|| link(visit, &[("before", None), ("upto", None)])),
        searched_to: look.searched_to,
        known_since: recent.since,
        redrivable: matching(Standing::has_failed),
        stoppable: matching(Standing::is_open),
    }))
}

/// What one look came to.
struct Look {
    found: Vec<Arc<Run>>,
    /// More may come below this number.
    up_to: Option<u64>,
    /// So far back it was looked, and not further.
    searched_to: Option<Timestamp>,
}

/// Runs that are all known, newest first.
fn known(recent: &Recent) -> impl Iterator<Item = &Arc<Run>> {
    let from = recent.from.unwrap_or(0);
    recent.runs.iter().take_while(move |run| run.id.number >= from)
}

/// Looks for runs, newest first: among those that are known, then in the store.
fn look(visit: &Visit, filter: &Filter, recent: &Recent, most: usize) -> Result<Look, Problem> {
    let before = number(visit, "before")?.unwrap_or(u64::MAX);
    let upto = number(visit, "upto")?.unwrap_or(u64::MAX);
    let read = visit.node().snapshot();
    let looked = || {
        let known = known(recent).filter(|run| run.id.number < before && run.id.number <= upto);
        let known = known.map(|run| (Arc::clone(run), false));
        let from = recent.from.map(|from| from.min(before));
        let (workflow, device) = (filter.workflow.as_deref(), filter.device.as_deref());
        let stored = from.into_iter().flat_map(|from| older(from, workflow, device, &read));
        let all = known.chain(stored.map(|run| (Arc::new(run), true)));
        search(all, filter, most, &read)
    };
    shard::catch(looked).map_err(|error| Problem {
        status: 500,
        what: format!("the store cannot be read: {error}"),
        hint: None,
    })
}

/// Goes through `runs`, which say whether they come from the store.
fn search(
    runs: impl Iterator<Item = (Arc<Run>, bool)>,
    filter: &Filter,
    most: usize,
    read: &dyn Read,
) -> Look {
    let (mut looked, mut inputs) = (0, 0);
    let mut look = Look { found: Vec::new(), up_to: None, searched_to: None };
    let mut last: Option<Arc<Run>> = None;
    for (run, stored) in runs {
        looked += usize::from(stored);
        let exhausted = looked > LOOKED_MAX || inputs >= INPUTS_MAX;
        let over = filter.after.is_some_and(|after| run.started < after && stored);
        if over {
            return look;
        }
        if look.found.len() == most || exhausted {
            look.up_to = last.as_ref().map(|run| run.id.number);
            look.searched_to = last.filter(|_| exhausted).map(|run| run.started);
            return look;
        }
        let mut takes = filter.fits(&run) && filter.stands(&run);
        if takes && !filter.has_text(&run) {
            takes = filter.reads() && {
                inputs += 1;
                let input = input_text(run.id, read).unwrap_or_default().to_lowercase();
                filter.text.as_ref().is_some_and(|text| input.contains(text))
            };
        }
        if takes {
            look.found.push(Arc::clone(&run));
        }
        last = Some(run);
    }
    look
}

fn number(visit: &Visit, name: &str) -> Result<Option<u64>, Problem> {
    let number = visit.query(name).map(|text| {
        text.parse().map_err(|_| Problem::refused(format!("`{name}` must be a number")))
    });
    number.transpose()
}

/// The page's address, without what pins it.
fn address(visit: &Visit) -> String {
    link(visit, &[("upto", None)])
}

/// The page's address with members of the query set, or taken away.
pub(super) fn link(visit: &Visit, changes: &[(&str, Option<&str>)]) -> String {
    let kept = visit.queries().filter(|(name, value)| {
        !value.is_empty() && !changes.iter().any(|(changed, _)| changed == name)
    });
    let changed = changes.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    let members: Vec<_> = kept
        .chain(changed)
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    let path = visit.path();
    if members.is_empty() { path.to_owned() } else { format!("{path}?{}", members.join("&")) }
}

/// Names of workflows.
pub(super) fn workflows(node: &Node) -> Vec<String> {
    let read = node.snapshot();
    let names = Range::prefix(&[Space::MachineName as u8]).limit(WORKFLOWS_MAX);
    let entries = shard::catch(|| read.range(&names)).unwrap_or_default();
    let names = entries.iter().filter_map(|(key, _)| {
        let text = key.get(1..)?.split(|byte| *byte == 0).next()?;
        Some(std::str::from_utf8(text).ok()?.to_owned())
    });
    names.collect()
}

/// Asks whether to do what a form names, to what it names.
pub(super) fn ask(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let (deed, all) = match form.field("do") {
        "redrive" => (Deed::Redrive, false),
        "stop" => (Deed::Stop, false),
        "redrive-all" => (Deed::Redrive, true),
        "stop-all" => (Deed::Stop, true),
        other => return Err(Problem::refused(format!("`{other}` cannot be done to executions"))),
    };
    let recent = visit.node().recent();
    let (rows, more) = if all {
        let filter = Filter::of(visit)?;
        let can = match deed {
            Deed::Redrive => Standing::has_failed,
            Deed::Stop => Standing::is_open,
        };
        let wanted = known(&recent).filter(|run| {
            filter.fits(run) && filter.has_text(run) && filter.stands(run) && can(Standing::of(run))
        });
        let mut rows: Vec<Row> = wanted.map(|run| row(run)).collect();
        let more = rows.len().saturating_sub(DEEDS_MAX) as u64;
        rows.truncate(DEEDS_MAX);
        (rows, more)
    } else {
        let names = names(form)?;
        let rows = names.iter().map(|name| {
            let found = recent
                .runs
                .iter()
                .find(|run| run.workflow == name.machine && run.name == name.name);
            found.map_or_else(|| unknown(name), |run| row(run))
        });
        (rows.collect(), 0)
    };
    if rows.is_empty() {
        let hint = "tick the boxes in front of their rows";
        return Err(Problem::refused("no execution is selected").hint(hint));
    }
    let back = form.back().to_owned();
    Ok(Done::Page(Box::new(drawn::ask(&Ask { deed, rows, more, back }))))
}

/// One of which nothing more is known here.
fn unknown(name: &ExecutionName) -> Row {
    Row {
        workflow: name.machine.to_string(),
        name: name.name.to_string(),
        status: Status::None,
        error: None,
        device: None,
        state: None,
        until: None,
        started: Timestamp(0),
        stopped: None,
        redrives: 0,
    }
}

/// The executions that a form names.
fn names(form: &Form) -> Result<Vec<ExecutionName>, Problem> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let names = form.fields("run").map(|text| {
        let (machine, name) = text.split_once('/')?;
        Some(ExecutionName { machine: decoded(machine).into(), name: decoded(name).into() })
    });
    let names: Option<Vec<_>> = names.collect();
    let names = names.ok_or_else(|| Problem::refused("`run` must be WORKFLOW/NAME"))?;
    if names.len() > DEEDS_MAX {
        return Err(Problem::refused(format!("that is more than {DEEDS_MAX} at a time")));
    }
    Ok(names)
}

/// Does what a form names.
pub(super) async fn act(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let (deed, operation) = match form.field("do") {
        "redrive" => (Deed::Redrive, "RedriveExecution"),
        "stop" => (Deed::Stop, "StopExecution"),
        other => return Err(Problem::refused(format!("`{other}` cannot be done to executions"))),
    };
    let settings = visit.node().settings();
    let asked = names(form)?.into_iter().map(|ExecutionName { machine, name }| {
        let arn = settings.arn("states", &format!("execution:{machine}:{name}"));
        async move {
            let mut members = vec![("executionArn", Json::from(arn))];
            if deed == Deed::Stop {
                members.push(("cause", "stopped in the console".into()));
            }
            visit.ask(Service::States, operation, members).await
        }
    });
    let answers: Vec<_> = stream::iter(asked).buffer_unordered(DEEDS_AT_ONCE).collect().await;
    let mut outcome = Outcome { deed, done: 0, refused: Vec::new(), back: form.back().to_owned() };
    for answer in answers {
        let Err(error) = answer else {
            outcome.done += 1;
            continue;
        };
        match outcome.refused.iter_mut().find(|(why, _)| *why == error.message) {
            Some((_, count)) => *count += 1,
            None => outcome.refused.push((error.message, 1)),
        }
    }
    Ok(Done::Page(Box::new(drawn::done(&outcome))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_are_read() {
        for (text, ms) in [("15m", Some(900_000)), ("2d", Some(172_800_000)), ("0s", Some(0))] {
            assert_eq!(back(text), ms);
        }
        for text in ["", "m", "5", "-5m", "5w", "5é", "99999999999999999d"] {
            assert_eq!(back(text), None, "{text}");
        }
    }
}
