//! Distributed Maps: a map run begins, ends, and is redriven.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::evaluate::About;
use super::{Decider, Ended, runtime};
use crate::definition::{Distributed, Map, Percentage, Reader, State, StateDefinition, Writer};
use crate::execution::map_run::{
    Batch, ItemPlace, ItemReading, ItemSource, MapRunCommand, MapRunStart, ResultWriting,
};
use crate::execution::{Activity, Execution, Start, Turn};
use crate::history::{Detail, EventId, Trouble};
use crate::scope::{Failure, Fault};
use crate::{Json, definition::Transformation};

impl Execution {
    /// A new execution of the item processor of `state`, a Map, run until it waits or ends.
    pub fn start_item(
        machine: Arc<crate::StateMachine>,
        state: crate::definition::StateId,
        start: Start,
        turn: &mut Turn<'_>,
    ) -> (Execution, super::Decision) {
        let first = match &machine.state(state).state {
            State::Map(map) => map.start,
            _ => machine.start,
        };
        Execution::start_at(machine, first, start, turn)
    }

    /// What children of the open map run `started` are given for `items`: the items themselves, or what the state's `ItemSelector` makes of them.
    pub fn select_items(
        &mut self,
        started: EventId,
        place: &ItemPlace<'_>,
        items: Vec<Json>,
        turn: &mut Turn<'_>,
    ) -> Result<Vec<Json>, Failure> {
        let Some(frame) = self.frame_of_run(started) else { return Ok(items) };
        let mut decider = Decider::new(self, turn);
        let selected = decider.select(frame, place, items);
        selected.map_err(|fault| decider.sentence(frame, fault.failure))
    }
}

impl Decider<'_, '_> {
    fn select(
        &mut self,
        frame: u32,
        place: &ItemPlace<'_>,
        items: Vec<Json>,
    ) -> Result<Vec<Json>, Fault> {
        let machine = Arc::clone(&self.machine);
        let Some(position) = self.position(frame) else { return Ok(items) };
        let (definition, raw) = (machine.state(position.state), position.input.clone());
        let State::Map(map) = &definition.state else { return Ok(items) };
        let Some(template) = &map.selector else { return Ok(items) };
        let effective = self.effective(frame, definition, raw.value())?;
        let mut selected = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let index = u32::try_from(place.first + at as u64).unwrap_or(u32::MAX);
            let pair = (item.member("Key").and_then(Json::as_str), item.member("Value"));
            let (key, value) = match pair {
                (Some(key), Some(value)) if place.pairs => (Some(key), value),
                _ => (None, item),
            };
            let source = Some(place.source);
            let about = About { item: Some((index, value)), key, source, ..About::default() };
            selected.push(self.evaluate(frame, &effective, about, |s, e| template.evaluate(s, e))?);
        }
        Ok(selected)
    }

    /// Begins a map run.
    pub(super) fn distribute(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        map: &Map,
        distributed: &Distributed,
        input: &Json,
    ) -> Result<(), Fault> {
        let source = match &distributed.reader {
            Some(reader) => ItemSource::Reader(Box::new(self.reading(frame, reader, input)?)),
            None => ItemSource::Input(self.items(frame, map, input)?),
        };
        let length = match &source {
            ItemSource::Input(Json::Array(items)) => items.len(),
            ItemSource::Input(Json::Object(members)) => members.len(),
            ItemSource::Input(_) | ItemSource::Reader(_) => 0,
        };
        self.record(frame, Detail::DistributedMapStarted { length: length as u32 });
        let (tolerated_count, tolerated_percentage) = self.tolerated(frame, distributed, input)?;
        let concurrency = self.concurrency(frame, map, input)?;
        let batch = self.batch(frame, distributed, input)?;
        let writer = self.writing(frame, distributed.writer.as_ref(), input)?;
        let Some(state) = self.position(frame).map(|at| at.state) else { return Ok(()) };
        let arn: Arc<str> = self.map_run_arn(distributed, &definition.name).into();
        let started = self.execution.last_id + 1;
        self.record(frame, Detail::MapRunStarted { arn: Arc::clone(&arn) });
        self.decision.map_runs.push(MapRunCommand::Begin(Box::new(MapRunStart {
            started,
            arn,
            state,
            source,
            concurrency,
            tolerated_count,
            tolerated_percentage,
            express: distributed.express,
            batch,
            writer,
        })));
        Ok(())
    }

    fn reading(&mut self, frame: u32, reader: &Reader, input: &Json) -> Result<ItemReading, Fault> {
        let arguments = match &reader.arguments {
            Some(template) => {
                self.evaluate(frame, input, About::default(), |s, e| template.evaluate(s, e))?
            }
            None => Json::Object(Arc::default()),
        };
        let max_items = reader.max_items.as_ref();
        Ok(ItemReading {
            api: reader.resource.api().into(),
            arguments,
            input_type: reader.input_type,
            max_items: max_items
                .map(|seconds| self.whole(frame, seconds, input, "MaxItemsPath"))
                .transpose()?,
            csv_headers: reader.csv_headers.given(),
            csv_delimiter: reader.csv_delimiter,
            load_and_flatten: reader.load_and_flatten,
            items_pointer: reader.items_pointer.clone(),
            manifest: reader.manifest,
        })
    }

    pub(super) fn tolerated(
        &mut self,
        frame: u32,
        distributed: &Distributed,
        input: &Json,
    ) -> Result<(u64, f64), Fault> {
        let count = match &distributed.tolerated_count {
            Some(seconds) => self.whole(frame, seconds, input, "ToleratedFailureCountPath")?,
            None => 0,
        };
        let count = u64::try_from(count)
            .map_err(|_| runtime("ToleratedFailureCount cannot be negative."))?;
        let percentage = match &distributed.tolerated_percentage {
            Some(percentage) => self.percentage(frame, percentage, input)?,
            None => 0.0,
        };
        if !(0.0..=100.0).contains(&percentage) {
            return Err(runtime("ToleratedFailurePercentage must be between 0 and 100."));
        }
        Ok((count, percentage))
    }

    fn percentage(
        &mut self,
        frame: u32,
        percentage: &Percentage,
        input: &Json,
    ) -> Result<f64, Fault> {
        match percentage {
            Percentage::Fixed(number) => Ok(*number),
            Percentage::Expression(expression) => {
                let about = About::default();
                let value =
                    self.evaluate(frame, input, about, |s, dice| expression.evaluate(s, dice))?;
                value.as_f64().ok_or_else(|| {
                    runtime(format!(
                        "The ToleratedFailurePercentage field has value {value} which is not a valid float"
                    ))
                })
            }
            Percentage::Path(path) => {
                let value = self.read(frame, path, input)?;
                value.as_f64().ok_or_else(|| {
                    runtime(format!(
                        "The ToleratedFailurePercentagePath field refers to value {value} which is not a valid float: {}",
                        path.text()
                    ))
                })
            }
        }
    }

    pub(super) fn batch(
        &mut self,
        frame: u32,
        distributed: &Distributed,
        input: &Json,
    ) -> Result<Option<Batch>, Fault> {
        let Some(batcher) = &distributed.batcher else { return Ok(None) };
        let mut most = |limit: &Option<crate::definition::Seconds>, field| match limit {
            Some(seconds) => {
                let number = self.whole(frame, seconds, input, field)?;
                u64::try_from(number).map_err(|_| {
                    let field = field.trim_end_matches("Path");
                    runtime(format!("{field} cannot be negative."))
                })
            }
            None => Ok(0),
        };
        let items_max = most(&batcher.max_items, "MaxItemsPerBatchPath")?;
        let bytes_max = most(&batcher.max_bytes, "MaxInputBytesPerBatchPath")?;
        let template = batcher.input.as_ref();
        let input = template
            .map(|template| {
                self.evaluate(frame, input, About::default(), |s, e| template.evaluate(s, e))
            })
            .transpose()?;
        Ok(Some(Batch { items_max, bytes_max, input }))
    }

    fn writing(
        &mut self,
        frame: u32,
        writer: Option<&Writer>,
        input: &Json,
    ) -> Result<ResultWriting, Fault> {
        let Some(writer) = writer else {
            let transformation = Transformation::Compact;
            return Ok(ResultWriting { destination: None, transformation, lines: false });
        };
        let template = writer.arguments.as_ref().filter(|_| writer.resource.is_some());
        let destination = template
            .map(|template| {
                self.evaluate(frame, input, About::default(), |s, e| template.evaluate(s, e))
            })
            .transpose()?;
        let (transformation, lines) = (writer.transformation, writer.lines);
        Ok(ResultWriting { destination, transformation, lines })
    }

    /// `arn:…:mapRun:MACHINE/LABEL:UUID`. Without `Label` the state has one of ours, always the same.
    fn map_run_arn(&mut self, distributed: &Distributed, name: &str) -> String {
        let arn = Arc::clone(&self.execution.execution_arn);
        let parts: Vec<&str> = arn.splitn(8, ':').collect();
        let machine =
            parts.get(6).and_then(|machine| machine.split('/').next()).unwrap_or_default();
        let head = parts.get(..5).unwrap_or_default().join(":");
        let label = match &distributed.label {
            Some(label) => label.to_string(),
            None => uuid(&Sha256::digest(format!("{head}:{machine}/{name}"))),
        };
        let drawn = [self.turn.entropy.next_u64(), self.turn.entropy.next_u64()];
        let run = uuid(&drawn.map(u64::to_be_bytes).concat());
        format!("{head}:mapRun:{machine}/{label}:{run}")
    }

    /// A map run has ended.
    pub(super) fn map_run_ended(&mut self, frame: u32, outcome: Result<Json, Trouble>) {
        match outcome {
            Ok(result) => {
                self.record(frame, Detail::MapRunSucceeded);
                self.record(frame, Detail::MapSucceeded);
                self.within(frame, |decider, definition| decider.finish(frame, definition, result));
            }
            Err(trouble) => {
                self.record(frame, Detail::MapRunFailed(trouble.clone()));
                self.troubled(frame, trouble, Ended::Otherwise);
            }
        }
    }

    /// Tells that the map runs of branch `frame` will not end.
    pub(super) fn abort_map_run(&mut self, frame: u32) {
        if matches!(self.position(frame).map(|at| &at.activity), Some(Activity::MapRun(_))) {
            self.record(frame, Detail::MapRunAborted);
        }
    }

    /// The same of all branches.
    pub(super) fn abort_map_runs(&mut self) {
        for frame in self.execution.frames.keys().copied().collect::<Vec<_>>() {
            self.abort_map_run(frame);
        }
    }
}

/// The first 16 bytes in the form of a UUID. Source: RFC 9562 §5.8.
fn uuid(bytes: &[u8]) -> String {
    let mut hex: String = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    hex.replace_range(12..13, "8");
    hex.replace_range(16..17, "a");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

impl Decider<'_, '_> {
    /// Takes up what did not succeed: every branch in the state in which it ended.
    pub(super) fn redrive(&mut self) {
        let count = self.execution.redrives + 1;
        self.record_always(0, Detail::ExecutionRedriven(count));
        for frame in self.execution.frames.keys().copied().collect::<Vec<_>>() {
            let Some(position) = self.position(frame) else { continue };
            match (&position.activity, &position.failed_run) {
                (Activity::Branches(_), _) => {
                    self.within(frame, |decider, definition| decider.iterate(frame, definition));
                }
                (Activity::Deciding, Some(run)) => {
                    let (arn, count) = (Arc::clone(&run.arn), run.redrives + 1);
                    let started = run.started;
                    self.record(frame, Detail::MapRunRedriven { arn, count });
                    self.decision.map_runs.push(MapRunCommand::Redrive { started });
                }
                _ => self.perform(frame),
            }
        }
        self.run();
    }
}
