//! What the store knows of executions, newest first.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::history::Detail;
use stepwire_core::Read;
use stepwire_core::executions::record::{self, MachineRecord};
use stepwire_core::executions::{ExecutionId, ExecutionRecord, Kind, Status};
use stepwire_core::read::{Key, Range};
use stepwire_core::record::Space;

use super::Recent;
use super::run::Run;

/// Summaries of one workflow that are read at a time.
const PAGE: usize = 64;
/// Open executions that are read at a time.
const OPEN_PAGE: usize = 10_000;

/// Executions of Standard workflows, in the order of their numbers from the end. Records that cannot
/// be read are left out.
pub(super) struct Newest<'a> {
    read: &'a dyn Read,
    workflows: Vec<Workflow>,
}

/// The executions of one state machine that are still to come.
struct Workflow {
    name: Arc<str>,
    range: Range,
    /// Read already; the next is the last.
    page: Vec<(ExecutionId, ExecutionRecord)>,
    over: bool,
}

impl Workflow {
    fn new(machine: &MachineRecord, before: Option<u64>) -> Workflow {
        let mut range = record::executions_of(machine.number).reversed().limit(PAGE);
        if let Some(number) = before {
            range.to = record::execution_key(ExecutionId { machine: machine.number, number });
        }
        Workflow { name: Arc::clone(&machine.name), range, page: Vec::new(), over: false }
    }

    /// The number of the next one.
    fn peek(&mut self, read: &dyn Read) -> Option<u64> {
        while self.page.is_empty() && !self.over {
            let entries = read.range(&self.range);
            self.over = entries.len() < PAGE;
            if let Some((last, _)) = entries.last() {
                self.range.to.clone_from(last);
            }
            let found = entries.iter().rev();
            self.page = found.filter_map(|(key, value)| summary(key, value)).collect();
        }
        self.page.last().map(|(id, _)| id.number)
    }
}

fn summary(key: &Key, value: &[u8]) -> Option<(ExecutionId, ExecutionRecord)> {
    Some((record::id_of(key).ok()?, record::execution(key, value).ok()?))
}

impl<'a> Newest<'a> {
    /// All there are.
    pub(super) fn all(read: &'a dyn Read) -> Newest<'a> {
        Newest::before(read, None, &|_| true)
    }

    /// Those with smaller numbers, of the workflows that are wanted.
    pub(super) fn before(
        read: &'a dyn Read,
        number: Option<u64>,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Newest<'a> {
        let entries = read.range(&Range::prefix(&[Space::StateMachine as u8]));
        let machines = entries.iter().filter_map(|(key, value)| record::machine(key, value).ok());
        let standard = machines.filter(|machine| machine.kind == Kind::Standard);
        let wanted = standard.filter(|machine| wanted(&machine.name));
        let workflows = wanted.map(|machine| Workflow::new(&machine, number)).collect();
        Newest { read, workflows }
    }
}

impl Iterator for Newest<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let next = self.workflows.iter_mut().enumerate();
        let next = next.filter_map(|(index, of)| Some((of.peek(self.read)?, index)));
        let (_, index) = next.max()?;
        let workflow = self.workflows.get_mut(index)?;
        let (id, record) = workflow.page.pop()?;
        let mut run = Run::stored(id, Arc::clone(&workflow.name), &record);
        fold(&mut run, self.read);
        Some(run)
    }
}

/// Folds the history of a stored execution in. Of one that succeeded there is nothing to know.
fn fold(run: &mut Run, read: &dyn Read) {
    if run.status == Status::Succeeded {
        return;
    }
    for (key, value) in read.range(&record::history_of(run.id)) {
        for event in record::events(&key, &value).unwrap_or_default() {
            run.apply(&event);
        }
    }
}

/// A stored execution of a Standard workflow.
pub(super) fn load(id: ExecutionId, read: &dyn Read) -> Option<Run> {
    let key = record::machine_key(id.machine);
    let machine = record::machine(&key, &read.get(&key)?).ok()?;
    let key = record::execution_key(id);
    let record = record::execution(&key, &read.get(&key)?).ok()?;
    let mut run = Run::stored(id, machine.name, &record);
    fold(&mut run, read);
    (machine.kind == Kind::Standard).then_some(run)
}

/// How many executions of Standard workflows have not ended.
pub(super) fn open(read: &dyn Read) -> u64 {
    let mut standard: BTreeMap<u64, bool> = BTreeMap::new();
    let mut is_standard = |machine: u64| {
        *standard.entry(machine).or_insert_with(|| {
            let key = record::machine_key(machine);
            let stored = read.get(&key).and_then(|value| record::machine(&key, &value).ok());
            stored.is_some_and(|machine| machine.kind == Kind::Standard)
        })
    };
    let mut range = Range::prefix(&[Space::Open as u8]).limit(OPEN_PAGE);
    let mut open = 0;
    loop {
        let entries = read.range(&range);
        let ids = entries.iter().filter_map(|(key, _)| record::id_of(key).ok());
        let own = ids.filter(|id| id.map_run().is_none());
        open += own.filter(|id| is_standard(id.machine)).count() as u64;
        match entries.last() {
            Some((last, _)) if entries.len() == OPEN_PAGE => {
                range.from = [last.as_slice(), &[0]].concat();
            }
            _ => return open,
        }
    }
}

/// Stored executions with numbers below `number`, newest first; of `workflow` and about `device`, if
/// those are given.
pub(crate) fn older<'a>(
    number: u64,
    workflow: Option<&'a str>,
    device: Option<&'a str>,
    read: &'a dyn Read,
) -> impl Iterator<Item = Run> + use<'a> {
    let wanted = move |name: &str| workflow.is_none_or(|workflow| workflow == name);
    let all = device.is_none().then(|| Newest::before(read, Some(number), &wanted));
    let about = device.map(|device| of_device(device, number, read));
    let about = about.into_iter().flatten().filter_map(|id| load(id, read));
    all.into_iter().flatten().chain(about.filter(move |run| wanted(&run.workflow)))
}

/// Executions about a device with numbers below `number`, newest first.
fn of_device<'a>(
    device: &str,
    number: u64,
    read: &'a dyn Read,
) -> impl Iterator<Item = ExecutionId> + use<'a> {
    // No device has a name that a key cannot hold.
    let range = (!device.contains('\0')).then(|| record::executions_of_device(device, number));
    let mut range = range.map(|range| range.reversed().limit(PAGE));
    let pages = std::iter::from_fn(move || {
        let range = range.as_mut()?;
        let entries = read.range(range);
        range.to.clone_from(&entries.last()?.0);
        Some(entries)
    });
    pages.flatten().filter_map(|(key, _)| record::id_of_device_key(&key).ok())
}

/// The newest executions about a device that goes by these names, at most `most`; what is known of
/// them is taken from `recent`.
pub(crate) fn newest_of_device(
    names: &[&str],
    most: usize,
    recent: &Recent,
    read: &dyn Read,
) -> Vec<Arc<Run>> {
    let ids = names.iter().flat_map(|name| of_device(name, u64::MAX, read).take(most));
    let mut ids: Vec<ExecutionId> = ids.collect();
    ids.sort_unstable_by_key(|id| Reverse(id.number));
    ids.dedup();
    let runs = ids
        .into_iter()
        .filter_map(|id| recent.run(id).cloned().or_else(|| Some(Arc::new(load(id, read)?))));
    runs.take(most).collect()
}

/// The input text of a stored execution.
pub(crate) fn input_text(id: ExecutionId, read: &dyn Read) -> Option<String> {
    let (key, value) = read.range(&record::history_of(id).limit(1)).pop()?;
    match record::events(&key, &value).ok()?.into_iter().next()?.detail {
        Detail::ExecutionStarted { input, .. } => Some(input.text()),
        _ => None,
    }
}
