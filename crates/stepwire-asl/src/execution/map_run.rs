//! Distributed Maps: what an execution asks of a map run, and what it is told of it.
//!
//! The iterations of a distributed Map are executions of their own. Whoever runs executions keeps
//! the map run, starts its children with [`Execution::start_item`] and says how it ended with
//! [`Stimulus::MapRunEnded`](super::Stimulus::MapRunEnded).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Activity, Execution};
use crate::Json;
use crate::definition::{CsvHeaders, InputType, Manifest, StateId, Transformation};
use crate::history::EventId;

/// What an execution asks of a map run.
#[derive(Debug, Clone, PartialEq)]
pub enum MapRunCommand {
    /// It is to begin.
    Begin(Box<MapRunStart>),
    /// It failed or was aborted, and is to go on with what did not succeed.
    Redrive {
        /// The `MapRunStarted` event that began it.
        started: EventId,
    },
}

/// A map run that is to begin.
#[derive(Debug, Clone, PartialEq)]
pub struct MapRunStart {
    /// Its `MapRunStarted` event.
    pub started: EventId,
    /// Its ARN: `…:mapRun:MACHINE/LABEL:UUID`.
    pub arn: Arc<str>,
    /// The Map state.
    pub state: StateId,
    /// Where its items come from.
    pub source: ItemSource,
    /// Most children at a time; 0: no limit of its own.
    pub concurrency: u32,
    /// Failed items that do not fail the run.
    pub tolerated_count: u64,
    /// The same in percent of all items, 0 to 100.
    pub tolerated_percentage: f64,
    /// Whether its children are Express executions.
    pub express: bool,
    /// How items are put together.
    pub batch: Option<Batch>,
    /// What becomes of the results.
    pub writer: ResultWriting,
}

/// Where items come from.
#[derive(Debug, Clone, PartialEq)]
pub enum ItemSource {
    /// An array or object in the state's input.
    Input(Json),
    /// An item reader.
    Reader(Box<ItemReading>),
}

/// What an item reader is to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemReading {
    /// `listObjectsV2` or `getObject`.
    pub api: Arc<str>,
    /// Its parameters.
    pub arguments: Json,
    /// `None` for a listing.
    pub input_type: Option<InputType>,
    /// At most this many items; `None` and 0: all.
    pub max_items: Option<i64>,
    /// Names of a CSV file's columns; `None`: its first row.
    pub csv_headers: Option<Vec<Arc<str>>>,
    /// What separates its columns.
    pub csv_delimiter: char,
    /// Whether the listed objects are read too.
    pub load_and_flatten: bool,
    /// Where in a JSON document the array is.
    pub items_pointer: Option<Arc<str>>,
    /// Whether the object names those that hold the items.
    pub manifest: Option<Manifest>,
}

/// Where the items of one child come from.
#[derive(Debug, Clone, Copy)]
pub struct ItemPlace<'a> {
    /// Index of the first.
    pub first: u64,
    /// `$$.Map.Item.Source`
    pub source: &'a str,
    /// Whether they are members of an object, each as `{"Key", "Value"}`.
    pub pairs: bool,
}

/// How items are put together into the input of one child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// At most this many items; 0: no limit.
    pub items_max: u64,
    /// At most this many bytes of input; 0: what any payload may have.
    pub bytes_max: u64,
    /// `BatchInput`, evaluated.
    pub input: Option<Json>,
}

impl Batch {
    /// Most bytes of a child's input, when any payload has at most `most`.
    pub fn most_bytes(&self, most: usize) -> usize {
        match self.bytes_max {
            0 => most,
            bytes => (bytes as usize).min(most),
        }
    }

    /// As many of `items` as fit into one input with the batch's own, and how many those are; `None`
    /// when not even the first does.
    pub fn together(&self, items: Vec<Json>, most: usize) -> Option<(Json, u32)> {
        let own = self
            .input
            .as_ref()
            .map_or(0, |input| input.to_text().len() + r#","BatchInput":"#.len());
        let mut bytes = own + r#"{"Items":[]}"#.len();
        let mut held = Vec::new();
        for item in items {
            bytes += item.to_text().len() + usize::from(!held.is_empty());
            if bytes > self.most_bytes(most) {
                break;
            }
            held.push(item);
        }
        if held.is_empty() {
            return None;
        }
        let count = held.len() as u32;
        let mut members = Vec::new();
        members.extend(self.input.clone().map(|input| ("BatchInput", input)));
        members.push(("Items", Json::array(held)));
        Some((Json::object(members), count))
    }
}

/// What becomes of the children's results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultWriting {
    /// Parameters of `s3:putObject`; `None`: they are the state's result.
    pub destination: Option<Json>,
    /// What is made of each.
    pub transformation: Transformation,
    /// One a line rather than an array.
    pub lines: bool,
}

/// A map run that a Map state waits for, or waited for in vain.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MapRun {
    /// Its `MapRunStarted` event.
    pub(super) started: EventId,
    pub(super) arn: Arc<str>,
    /// Times it was redriven.
    pub(super) redrives: u32,
}

impl Execution {
    /// Whether the map run that this `MapRunStarted` event began is waited for.
    pub fn is_map_run_open(&self, started: EventId) -> bool {
        self.frame_of_run(started).is_some()
    }

    pub(super) fn frame_of_run(&self, started: EventId) -> Option<u32> {
        let mut frames = self.frames.iter();
        let waits = |activity: &Activity| matches!(activity, Activity::MapRun(run) if run.started == started);
        let found =
            frames.find(|(_, frame)| frame.at.as_ref().is_some_and(|at| waits(&at.activity)));
        found.filter(|_| self.is_running()).map(|(frame, _)| *frame)
    }

    /// Whether it is a child of a map run: its ARN then names the run's label after a slash.
    pub fn is_item(&self) -> bool {
        self.execution_arn.split(':').nth(6).is_some_and(|machine| machine.contains('/'))
    }
}

impl CsvHeaders {
    pub(super) fn given(&self) -> Option<Vec<Arc<str>>> {
        match self {
            CsvHeaders::FirstRow => None,
            CsvHeaders::Given(names) => Some(names.clone()),
        }
    }
}
