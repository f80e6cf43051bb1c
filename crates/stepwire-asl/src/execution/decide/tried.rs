//! What differs in a trial: values are kept, and branches and iterations come from a mock.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Decider, Ended};
use crate::Json;
use crate::definition::{Data, Map, State, StateDefinition};
use crate::execution::trial::{Probe, Stage};
use crate::execution::{Batch, Execution, Start, Turn};
use crate::history::{Detail, Payload, Trouble};
use crate::scope::Fault;

impl<'e, 't> Decider<'e, 't> {
    pub(in crate::execution) fn watched(
        execution: &'e mut Execution,
        turn: &'e mut Turn<'t>,
        probe: &'e mut Probe,
    ) -> Self {
        Decider { probe: Some(probe), ..Decider::new(execution, turn) }
    }

    /// Runs the one state of a trial; a task comes to `mock`, if there is one.
    pub(in crate::execution) fn try_state(
        &mut self,
        start: Start,
        variables: BTreeMap<Arc<str>, Json>,
        mock: Option<Result<Json, Trouble>>,
    ) {
        let input = Payload::from_text(start.input);
        let (execution_arn, role_arn) = (start.execution_arn, start.role_arn);
        self.record(0, Detail::ExecutionStarted { input: input.clone(), execution_arn, role_arn });
        if let Some(frame) = self.execution.frames.get_mut(&0) {
            frame.variables = variables;
        }
        self.work.push_back((0, self.machine.start, input));
        self.run();
        if self.execution.tasks.is_empty() {
            return;
        }
        match mock {
            Some(Ok(result)) => self.task_succeeded(0, Payload::Value(result)),
            Some(Err(trouble)) => self.task_failed(0, trouble),
            None => return,
        }
        self.run();
    }

    /// Tells the probe something, in a trial.
    pub(super) fn watch(&mut self, tell: impl FnOnce(&mut Probe)) {
        if let Some(probe) = &mut self.probe {
            tell(probe);
        }
    }

    /// Keeps a value that the state under test has made.
    pub(super) fn note(&mut self, stage: Stage, value: &Json) {
        self.watch(|probe| {
            probe.inspection.stages.insert(stage, value.clone());
        });
    }

    /// Keeps the state's input after `InputPath`, where TestState shows it.
    pub(super) fn note_input(&mut self, definition: &StateDefinition, effective: &Json) {
        let shown = match &definition.state {
            State::Parallel { .. } | State::Pass { result: Some(_) } => false,
            _ => matches!(definition.data, Data::JsonPath(_)),
        };
        if shown {
            self.note(Stage::AfterInputPath, effective);
        }
    }

    /// Branches and iterations do not run in a trial: the state comes to its mock.
    pub(super) fn come_to_mock(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        input: &Json,
    ) -> Result<(), Fault> {
        let exceeded = match &definition.state {
            State::Map(map) => self.try_map(frame, definition, map, input)?,
            _ => {
                self.parameters(frame, definition, input, super::evaluate::About::default())?;
                false
            }
        };
        let mock = self.probe.as_ref().and_then(|probe| probe.setup.mock.clone());
        let mock =
            if exceeded { mock.map(|mock| mock.and(Err(threshold_exceeded()))) } else { mock };
        match mock {
            Some(Ok(result)) => return self.finish(frame, definition, result),
            Some(Err(trouble)) => self.troubled(frame, trouble, Ended::Otherwise),
            None => {}
        }
        Ok(())
    }

    /// Whether more iterations failed than the Map tolerates.
    fn try_map(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        map: &Map,
        input: &Json,
    ) -> Result<bool, Fault> {
        let items = self.tried_items(frame, definition, map, input)?;
        let total = items.as_ref().map_or(0, Vec::len);
        let concurrency = self.concurrency(frame, map, input)?;
        self.note(Stage::MaxConcurrency, &Json::from(i64::from(concurrency)));
        let mut inputs = Vec::with_capacity(total);
        for (index, item) in items.iter().flatten().enumerate() {
            inputs.push(self.selected(frame, definition, map, index as u32, item)?);
        }
        if items.is_some() && map.selector.is_some() {
            self.note(Stage::AfterItemSelector, &Json::array(inputs.iter().cloned()));
        }
        let Some(distributed) = &map.distributed else { return Ok(false) };
        if let Some(batch) = self.batch(frame, distributed, input)?
            && items.is_some()
        {
            let bytes_max = self.turn.limits.payload_bytes_max;
            let batches = batches(&batch, &inputs, bytes_max);
            self.note(Stage::AfterItemBatcher, &Json::array(batches));
        }
        let failures = self.probe.as_ref().and_then(|probe| probe.setup.failures).unwrap_or(0);
        let (count, percentage) = self.tolerated(frame, distributed, input)?;
        let mut exceeded = false;
        if distributed.tolerated_count.is_some() {
            self.note(Stage::ToleratedFailureCount, &Json::from(count as i64));
            exceeded |= u64::from(failures) > count;
        }
        if distributed.tolerated_percentage.is_some() {
            let shown = Json::from_f64(percentage).unwrap_or_default();
            self.note(Stage::ToleratedFailurePercentage, &shown);
            exceeded |= f64::from(failures) * 100.0 / total.max(1) as f64 > percentage;
        }
        Ok(exceeded)
    }

    /// The items; `None` when an item reader would read them and the caller gives nothing for it.
    fn tried_items(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        map: &Map,
        input: &Json,
    ) -> Result<Option<Vec<Json>>, Fault> {
        let reader = map.distributed.as_ref().and_then(|distributed| distributed.reader.as_ref());
        let items = if let Some(reader) = reader {
            let read = self.probe.as_ref().and_then(|probe| probe.setup.reader_data.clone());
            let Some(mut read) = read else { return Ok(None) };
            if let Some(pointer) = &reader.items_pointer {
                read = at(&read, pointer).cloned().unwrap_or_default();
                self.note(Stage::AfterItemsPointer, &read);
            }
            read
        } else {
            let items = self.items(frame, map, input)?;
            if matches!(definition.data, Data::JsonPath(_)) {
                self.note(Stage::AfterItemsPath, &items);
            }
            // A distributed Map also iterates over the members of an object.
            if let (Some(members), Some(_)) = (items.as_object(), &map.distributed) {
                return Ok(Some(members.iter().map(entry).collect()));
            }
            self.array_of_items(frame, definition, map, input)?
        };
        Ok(items.as_array().map(<[Json]>::to_vec))
    }
}

fn entry((name, value): (&Arc<str>, &Json)) -> Json {
    Json::object([("Key", Json::String(Arc::clone(name))), ("Value", value.clone())])
}

/// The inputs of the children that a batcher makes of `items`.
fn batches(batch: &Batch, items: &[Json], bytes_max: usize) -> Vec<Json> {
    let most = usize::try_from(batch.items_max).ok().filter(|most| *most > 0);
    let (mut made, mut left) = (Vec::new(), items);
    while !left.is_empty() {
        let next = &left[..left.len().min(most.unwrap_or(usize::MAX))];
        let Some((input, count)) = batch.together(next.to_vec(), bytes_max) else {
            break;
        };
        made.push(input);
        left = &left[count as usize..];
    }
    made
}

fn threshold_exceeded() -> Trouble {
    Trouble {
        error: Some("States.ExceedToleratedFailureThreshold".into()),
        cause: Some("The specified tolerated failure threshold was exceeded".into()),
    }
}

/// What the JSON pointer names.
fn at<'a>(value: &'a Json, pointer: &str) -> Option<&'a Json> {
    let mut steps = pointer.split('/').skip(1);
    steps.try_fold(value, |value, step| {
        let name = step.replace("~1", "/").replace("~0", "~");
        match value {
            Json::Array(items) => items.get(name.parse::<usize>().ok()?),
            value => value.member(&name),
        }
    })
}
