//! Map states: what is iterated over, and what only a distributed Map has.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Resource, Seconds, StateId};
use crate::jsonata::Expression;
use crate::path::Path;
use crate::template::Template;

/// A Map state.
#[derive(Debug, PartialEq)]
pub struct Map {
    pub(crate) items: Option<Items>,
    pub(crate) start: StateId,
    pub(crate) selector: Option<Template>,
    pub(crate) concurrency: Option<Seconds>,
    /// `None`: its iterations run within the execution.
    pub(crate) distributed: Option<Box<Distributed>>,
}

/// Where the items come from, when not from the whole input.
#[derive(Debug, PartialEq)]
pub enum Items {
    /// `ItemsPath`
    Path(Path),
    /// `Items`: an expression, or an array that may hold some.
    Template(Template),
}

/// What a Map of mode `DISTRIBUTED` has beyond an inline one.
#[derive(Debug, PartialEq)]
pub struct Distributed {
    /// Whether its children are Express executions.
    pub(crate) express: bool,
    /// `Label`, for the ARNs of map runs and children.
    pub(crate) label: Option<Arc<str>>,
    pub(crate) reader: Option<Reader>,
    pub(crate) batcher: Option<Batcher>,
    pub(crate) writer: Option<Writer>,
    pub(crate) tolerated_count: Option<Seconds>,
    pub(crate) tolerated_percentage: Option<Percentage>,
}

/// `ToleratedFailurePercentage`, from 0 to 100.
#[derive(Debug, PartialEq)]
pub enum Percentage {
    /// As written.
    Fixed(f64),
    /// `ToleratedFailurePercentagePath`
    Path(Path),
    /// An expression.
    Expression(Expression),
}

/// `ItemReader`
#[derive(Debug, PartialEq)]
pub struct Reader {
    /// `s3:listObjectsV2` or `s3:getObject`.
    pub(crate) resource: Arc<Resource>,
    /// `Parameters` or `Arguments`.
    pub(crate) arguments: Option<Template>,
    /// `None` for a listing.
    pub(crate) input_type: Option<InputType>,
    /// The object does not hold items but names the objects that do.
    pub(crate) manifest: Option<Manifest>,
    pub(crate) max_items: Option<Seconds>,
    pub(crate) csv_headers: CsvHeaders,
    pub(crate) csv_delimiter: char,
    /// `Transformation: LOAD_AND_FLATTEN`: a listing's objects are read, not only named.
    pub(crate) load_and_flatten: bool,
    /// `ItemsPointer`: where in a JSON document the array is.
    pub(crate) items_pointer: Option<Arc<str>>,
}

/// What an item reader's object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InputType {
    /// An array, one item each.
    Json,
    /// One item a line.
    Jsonl,
    /// Rows.
    Csv,
}

/// `ManifestType`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manifest {
    /// `S3_INVENTORY`: the `manifest.json` of an inventory, whose files are CSV.
    Inventory,
    /// `ATHENA_DATA`: a list of the objects that the result of an unloading query is in.
    Athena,
}

/// Names of a CSV file's columns.
#[derive(Debug, PartialEq)]
pub enum CsvHeaders {
    /// The first row.
    FirstRow,
    /// As written.
    Given(Vec<Arc<str>>),
}

/// `ItemBatcher`
#[derive(Debug, PartialEq)]
pub struct Batcher {
    pub(crate) max_items: Option<Seconds>,
    pub(crate) max_bytes: Option<Seconds>,
    pub(crate) input: Option<Template>,
}

/// `ResultWriter`
#[derive(Debug, PartialEq)]
pub struct Writer {
    /// `s3:putObject`; `None`: results stay in the output.
    pub(crate) resource: Option<Arc<Resource>>,
    /// `Parameters` or `Arguments`.
    pub(crate) arguments: Option<Template>,
    pub(crate) transformation: Transformation,
    /// `OutputType: JSONL`
    pub(crate) lines: bool,
}

/// What a result writer makes of a child's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transformation {
    /// Its whole description.
    None,
    /// Its output.
    Compact,
    /// Its output's items, when it is an array.
    Flatten,
}
