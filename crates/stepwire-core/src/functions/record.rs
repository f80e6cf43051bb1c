//! What is durable about functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::{Json, Timestamp};

use super::name::LATEST;
use super::{FunctionName, InvocationType, Invoke, ProvisionedRecord};
use crate::executions::ExecutionId;
use crate::read::{Range, Read};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 2;

/// Code is stored in pieces of this many bytes.
pub(super) const CHUNK_BYTES: usize = 512 << 10;

/// A function as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionRecord {
    /// Unique number: another function of the same name has another.
    pub number: u64,
    /// Name.
    pub name: Arc<str>,
    /// Grows with every change: a process that runs another revision is not this function.
    pub revision: u64,
    /// Its code.
    pub code: CodeRecord,
    /// `Runtime`, such as `python3.12`.
    pub runtime: Arc<str>,
    /// `Handler`; empty where the runtime needs none.
    pub handler: Arc<str>,
    /// `Role`; stored and shown, not enforced.
    pub role: Arc<str>,
    /// `Description`
    pub description: Arc<str>,
    /// `Timeout`, 1 to 900 seconds.
    pub timeout_s: u32,
    /// `MemorySize`, 128 to 10,240 MB; told to the function, not enforced.
    pub memory_mb: u32,
    /// `Environment`
    pub environment: BTreeMap<Arc<str>, Arc<str>>,
    /// When it was changed last.
    pub modified: Timestamp,
    /// Members that are accepted without effect and shown again (`TracingConfig`, `Tags` …).
    pub shown: Json,
    /// Statements of its resource policy by `Sid`; stored and shown, not enforced.
    pub permissions: BTreeMap<Arc<str>, Json>,
    /// Which published version this is; 0: `$LATEST`.
    pub version: u64,
    /// How many versions were published, of `$LATEST` alone.
    pub published: u64,
    /// `Layers`, in order.
    pub layers: Vec<LayerUse>,
    /// `DeadLetterConfig.TargetArn`
    pub dead_letter: Option<Arc<str>>,
    /// `ReservedConcurrentExecutions`, of `$LATEST` alone.
    pub reserved: Option<u32>,
    /// How invocations that nobody waits for are tried and told of, by qualifier; of `$LATEST` alone.
    pub asynchronous: BTreeMap<Arc<str>, AsyncConfig>,
}

impl FunctionRecord {
    /// What runs it.
    pub fn kind(&self) -> Runtime {
        Runtime::of(&self.runtime).unwrap_or(Runtime::Provided)
    }

    /// Its version as callers see it: `$LATEST` or a number.
    pub fn version_text(&self) -> Arc<str> {
        if self.version == 0 { LATEST.into() } else { self.version.to_string().into() }
    }

    /// The log group that its output goes to.
    pub fn log_group(&self) -> Arc<str> {
        let chosen =
            self.shown.member("LoggingConfig").and_then(|config| config.member("LogGroup"));
        match chosen.and_then(Json::as_str) {
            Some(group) => group.into(),
            None => format!("/aws/lambda/{}", self.name).into(),
        }
    }

    /// Its `LoggingConfig`: whether its log is JSON, and from which level on what the function and
    /// what the node writes is kept.
    pub fn logging(&self) -> Logging {
        let config = self.shown.member("LoggingConfig");
        let text = |name| config.and_then(|config| config.member(name)).and_then(Json::as_str);
        Logging {
            json: text("LogFormat") == Some("JSON"),
            application: text("ApplicationLogLevel").unwrap_or("INFO").into(),
            system: match text("SystemLogLevel") {
                Some("DEBUG") => SystemLevel::Debug,
                Some("WARN") => SystemLevel::Warn,
                _ => SystemLevel::Info,
            },
        }
    }

    /// The archives that it needs.
    pub(super) fn archives(&self) -> impl Iterator<Item = u64> + '_ {
        let layers = self.layers.iter().map(|layer| layer.code.number);
        std::iter::once(self.code.number).chain(layers)
    }
}

/// How a function's log is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// Whether lines are JSON.
    pub json: bool,
    /// `ApplicationLogLevel`
    pub application: Arc<str>,
    /// `SystemLogLevel`
    pub system: SystemLevel,
}

/// `SystemLogLevel`: what is kept of what the node itself writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SystemLevel {
    /// Everything.
    Debug,
    /// Beginning and report of every invocation.
    Info,
    /// The report of those that failed.
    Warn,
}

/// A layer that a function uses. It stays as it is when the layer is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerUse {
    /// ARN of the layer's version.
    pub arn: Arc<str>,
    /// Its archive.
    pub code: CodeRecord,
}

/// A version of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// Name of the layer.
    pub name: Arc<str>,
    /// Which version.
    pub version: u64,
    /// Its archive.
    pub code: CodeRecord,
    /// When it was published.
    pub created: Timestamp,
    /// `Description`, `CompatibleRuntimes` … as they were given.
    pub shown: Json,
}

/// An alias of a function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AliasRecord {
    /// Name of the function.
    pub function: Arc<str>,
    /// Its own name.
    pub name: Arc<str>,
    /// The version that it is; 0: `$LATEST`.
    pub version: u64,
    /// `Description`
    pub description: Arc<str>,
    /// Another version, and how many of 1,000,000 invocations it gets.
    pub other: Option<(u64, u32)>,
    /// Grows with every change.
    pub revision: u64,
}

/// How invocations that nobody waits for are tried and told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct AsyncConfig {
    /// `MaximumRetryAttempts`, 0 to 2.
    pub retries: Option<u8>,
    /// `MaximumEventAgeInSeconds`, 60 to 21,600.
    pub age_s: Option<u32>,
    /// ARN of what is told of a success.
    pub on_success: Option<Arc<str>>,
    /// ARN of what is told of a failure.
    pub on_failure: Option<Arc<str>>,
    /// When it was changed last.
    pub modified: Timestamp,
}

/// An archive with a function's code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRecord {
    /// Unique number.
    pub number: u64,
    /// Length of the archive.
    pub bytes: u64,
    /// SHA-256 of the archive.
    pub sha256: [u8; 32],
    /// Where the code runs that is not in an archive: a folder of the node's, by name and path.
    pub folder: Option<Arc<str>>,
}

impl CodeRecord {
    pub(super) fn chunks(&self) -> u32 {
        self.bytes.div_ceil(CHUNK_BYTES as u64) as u32
    }
}

/// What runs a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// `python3.N`
    Python,
    /// `nodejsN.x`
    Node,
    /// `provided`, `provided.al2`, `provided.al2023`: the archive's own `bootstrap`.
    Provided,
}

impl Runtime {
    /// The runtime that `text` names; `None` for those not available.
    pub fn of(text: &str) -> Option<Runtime> {
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if text.strip_prefix("python3.").is_some_and(number) {
            return Some(Runtime::Python);
        }
        let node = text.strip_prefix("nodejs").and_then(|rest| rest.strip_suffix(".x"));
        if node.is_some_and(number) {
            return Some(Runtime::Node);
        }
        matches!(text, "provided" | "provided.al2" | "provided.al2023").then_some(Runtime::Provided)
    }
}

/// An invocation that nobody waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// The function's name.
    pub function: Arc<str>,
    /// JSON text.
    pub payload: Arc<str>,
    /// Attempts that have ended.
    pub attempts: u8,
    /// When the next attempt begins; `None` while one is under way.
    pub due: Option<Timestamp>,
    /// Version or alias, when one was named.
    pub qualifier: Option<Arc<str>>,
    /// Identifies it; a UUID.
    pub request_id: Arc<str>,
    /// When it was asked for.
    pub asked: Timestamp,
    /// Times it was put off because too much was running; not counted as attempts.
    pub put_off: u32,
}

impl Invocation {
    /// What its next attempt asks for.
    pub(crate) fn invoke(&self) -> Invoke {
        Invoke {
            function: FunctionName::of(&self.function).qualified(self.qualifier.as_deref()),
            kind: InvocationType::Event,
            payload: Arc::clone(&self.payload),
            log_tail: false,
            client_context: None,
            request_id: Some(Arc::clone(&self.request_id)),
        }
    }
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// A function as it now is; `None` once it is deleted.
    Function(Arc<str>, Option<Arc<FunctionRecord>>),
    /// A piece of an archive; `None` once nothing uses it.
    Code {
        /// [`CodeRecord::number`]
        number: u64,
        /// Which piece, from 0.
        chunk: u32,
        /// Its bytes.
        bytes: Option<Arc<[u8]>>,
    },
    /// An invocation that nobody waits for; `None` once it is done with.
    Invocation(u64, Option<Invocation>),
    /// A published version of a function; `None` once it is deleted.
    Version(Arc<str>, u64, Option<Arc<FunctionRecord>>),
    /// An alias of a function by its name; `None` once it is deleted.
    Alias(Arc<str>, Arc<str>, Option<Arc<AliasRecord>>),
    /// A version of a layer; `None` once it is deleted.
    Layer(Arc<str>, u64, Option<Arc<LayerRecord>>),
    /// How many versions a layer has had.
    LayerVersions(Arc<str>, u64),
    /// An event source mapping by its number; `None` once it is deleted.
    Source(u64, Option<Arc<SourceRecord>>),
    /// What an invocation by a task came to; `None` once it is forgotten.
    Ran(RanKey, Option<Arc<RanRecord>>),
    /// How many processes are kept ready, of a function by qualifier; `None`: none.
    Provisioned(Arc<str>, Arc<str>, Option<Arc<ProvisionedRecord>>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Function(name, record) => {
                (function_key(name), record.as_ref().map(|record| encode(FORMAT, record.as_ref())))
            }
            Write::Code { number, chunk, bytes } => {
                let key = KeyBuilder::new(Space::FunctionCode).number(*number);
                let key = key.number(u64::from(*chunk)).build();
                (key, bytes.as_ref().map(|bytes| [&[FORMAT], bytes.as_ref()].concat()))
            }
            Write::Invocation(number, invocation) => {
                let key = KeyBuilder::new(Space::Invocation).number(*number).build();
                (key, invocation.as_ref().map(|invocation| encode(FORMAT, invocation)))
            }
            Write::Version(name, version, record) => {
                (version_key(name, *version), record.as_deref().map(|r| encode(FORMAT, r)))
            }
            Write::Alias(function, name, alias) => {
                (alias_key(function, name), alias.as_deref().map(|r| encode(FORMAT, r)))
            }
            Write::Layer(name, version, layer) => {
                (layer_key(name, *version), layer.as_deref().map(|r| encode(FORMAT, r)))
            }
            Write::LayerVersions(name, versions) => {
                (layer_key(name, 0), Some(encode(FORMAT, &(name, versions))))
            }
            Write::Source(number, source) => {
                let key = KeyBuilder::new(Space::EventSource).number(*number).build();
                (key, source.as_deref().map(|r| encode(FORMAT, r)))
            }
            Write::Provisioned(function, qualifier, record) => {
                let key = provisioned_of(function).text(qualifier).build();
                (key, record.as_deref().map(|r| encode(FORMAT, r)))
            }
            Write::Ran(key, ran) => (key.key(), ran.as_deref().map(|r| encode(FORMAT, r))),
        }
    }

    /// The change that a stored entry of a recovered space is.
    pub(super) fn load(key: &[u8], value: &[u8]) -> Result<Write, Corrupt> {
        let corrupt = || Corrupt { key: key.to_vec(), why: "not a function's key".to_owned() };
        if key.first() == Some(&(Space::Function as u8)) {
            let record: FunctionRecord = decode(FORMAT, key, value)?;
            return Ok(Write::Function(Arc::clone(&record.name), Some(Arc::new(record))));
        }
        let number = key.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        let last = key.len().checked_sub(8).and_then(|at| key.get(at..)?.try_into().ok());
        let last = last.map(u64::from_be_bytes);
        match key.first().copied() {
            Some(space) if space == Space::FunctionVersion as u8 => {
                let record: FunctionRecord = decode(FORMAT, key, value)?;
                let (name, version) = (Arc::clone(&record.name), record.version);
                return Ok(Write::Version(name, version, Some(Arc::new(record))));
            }
            Some(space) if space == Space::FunctionAlias as u8 => {
                let record: AliasRecord = decode(FORMAT, key, value)?;
                let (function, name) = (Arc::clone(&record.function), Arc::clone(&record.name));
                return Ok(Write::Alias(function, name, Some(Arc::new(record))));
            }
            Some(space) if space == Space::Layer as u8 && last == Some(0) => {
                let (name, versions) = decode(FORMAT, key, value)?;
                return Ok(Write::LayerVersions(name, versions));
            }
            Some(space) if space == Space::Layer as u8 => {
                let record: LayerRecord = decode(FORMAT, key, value)?;
                let (name, version) = (Arc::clone(&record.name), record.version);
                return Ok(Write::Layer(name, version, Some(Arc::new(record))));
            }
            Some(space) if space == Space::EventSource as u8 => {
                let record = Arc::new(decode(FORMAT, key, value)?);
                return Ok(Write::Source(number.ok_or_else(corrupt)?, Some(record)));
            }
            Some(space) if space == Space::ProvisionedConcurrency as u8 => {
                let record: ProvisionedRecord = decode(FORMAT, key, value)?;
                let (function, qualifier) =
                    (Arc::clone(&record.function), Arc::clone(&record.qualifier));
                return Ok(Write::Provisioned(function, qualifier, Some(Arc::new(record))));
            }
            Some(space) if space == Space::InvocationOf as u8 => {
                let record = Arc::new(decode(FORMAT, key, value)?);
                let key = RanKey::of(key).ok_or_else(corrupt)?;
                return Ok(Write::Ran(key, Some(record)));
            }
            _ => {}
        }
        Ok(Write::Invocation(number.ok_or_else(corrupt)?, Some(decode(FORMAT, key, value)?)))
    }
}

fn function_key(name: &str) -> Vec<u8> {
    KeyBuilder::new(Space::Function).text(name).build()
}

fn version_key(name: &str, version: u64) -> Vec<u8> {
    KeyBuilder::new(Space::FunctionVersion).text(name).number(version).build()
}

fn alias_key(function: &str, name: &str) -> Vec<u8> {
    KeyBuilder::new(Space::FunctionAlias).text(function).text(name).build()
}

/// Version 0 is the counter.
fn layer_key(name: &str, version: u64) -> Vec<u8> {
    KeyBuilder::new(Space::Layer).text(name).number(version).build()
}

/// A stored version of a function.
pub(super) fn version(
    name: &str,
    version: u64,
    read: &dyn Read,
) -> Result<Option<FunctionRecord>, Corrupt> {
    let key = version_key(name, version);
    read.get(&key).map(|value| decode(FORMAT, &key, &value)).transpose()
}

/// A stored alias of a function.
pub(super) fn alias(
    function: &str,
    name: &str,
    read: &dyn Read,
) -> Result<Option<AliasRecord>, Corrupt> {
    let key = alias_key(function, name);
    read.get(&key).map(|value| decode(FORMAT, &key, &value)).transpose()
}

/// The stored entries of a range, in order.
fn entries<T: serde::de::DeserializeOwned>(
    prefix: KeyBuilder,
    read: &dyn Read,
) -> Result<Vec<T>, Corrupt> {
    let entries = read.range(&Range::prefix(&prefix.build())).into_iter();
    entries.map(|(key, value)| decode(FORMAT, &key, &value)).collect()
}

/// All stored versions of a function, oldest first.
pub(super) fn versions(name: &str, read: &dyn Read) -> Result<Vec<FunctionRecord>, Corrupt> {
    entries(KeyBuilder::new(Space::FunctionVersion).text(name), read)
}

/// All stored aliases of a function, by name.
pub(super) fn aliases(name: &str, read: &dyn Read) -> Result<Vec<AliasRecord>, Corrupt> {
    entries(KeyBuilder::new(Space::FunctionAlias).text(name), read)
}

fn provisioned_of(function: &str) -> KeyBuilder {
    KeyBuilder::new(Space::ProvisionedConcurrency).text(function)
}

/// What is kept ready of a function, by qualifier.
pub(super) fn provisioned(
    function: &str,
    read: &dyn Read,
) -> Result<Vec<ProvisionedRecord>, Corrupt> {
    entries(provisioned_of(function), read)
}

/// All stored event source mappings, oldest first.
pub(super) fn sources(read: &dyn Read) -> Result<Vec<SourceRecord>, Corrupt> {
    entries(KeyBuilder::new(Space::EventSource), read)
}

/// A stored version of a layer.
pub(super) fn layer(
    name: &str,
    version: u64,
    read: &dyn Read,
) -> Result<Option<LayerRecord>, Corrupt> {
    let key = layer_key(name, version.max(1));
    read.get(&key).map(|value| decode(FORMAT, &key, &value)).transpose()
}

/// All stored versions of a layer, or of all layers, by name, oldest first.
pub(super) fn layers(name: Option<&str>, read: &dyn Read) -> Result<Vec<LayerRecord>, Corrupt> {
    let prefix = KeyBuilder::new(Space::Layer);
    let prefix = match name {
        Some(name) => prefix.text(name),
        None => prefix,
    }
    .build();
    let entries = read.range(&Range::prefix(&prefix)).into_iter();
    let versions = entries.filter(|(key, _)| !key.ends_with(&[0; 8]));
    versions.map(|(key, value)| decode(FORMAT, &key, &value)).collect()
}

/// An event source mapping: messages of a queue go to a function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// Unique number.
    pub number: u64,
    /// `UUID`
    pub uuid: Arc<str>,
    /// ARN of the queue.
    pub queue: Arc<str>,
    /// The function, as it was named.
    pub function: Arc<str>,
    /// Version or alias.
    pub qualifier: Option<Arc<str>>,
    /// `BatchSize`
    pub batch: u32,
    /// `MaximumBatchingWindowInSeconds`
    pub window_s: u32,
    /// `Enabled`
    pub enabled: bool,
    /// Whether the function says which messages of a batch failed.
    pub reports_failures: bool,
    /// `ScalingConfig.MaximumConcurrency`
    pub concurrency: Option<u32>,
    /// When it was changed last.
    pub modified: Timestamp,
    /// `FilterCriteria`, if there are any.
    pub shown: Json,
}

/// Which invocation by which task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RanKey {
    /// The execution.
    pub execution: ExecutionId,
    /// Its `TaskScheduled` event.
    pub scheduled: u64,
    /// Unique number, larger for later ones.
    pub number: u64,
}

impl RanKey {
    fn key(self) -> Vec<u8> {
        let key = KeyBuilder::new(Space::InvocationOf).number(self.execution.machine);
        key.number(self.execution.number).number(self.scheduled).number(self.number).build()
    }

    fn of(key: &[u8]) -> Option<RanKey> {
        let number = |at: usize| Some(u64::from_be_bytes(key.get(at..at + 8)?.try_into().ok()?));
        let execution = ExecutionId { machine: number(1)?, number: number(9)? };
        Some(RanKey { execution, scheduled: number(17)?, number: number(25)? })
    }
}

/// What an invocation by a task came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RanRecord {
    /// Identifies it; a UUID.
    pub request_id: Arc<str>,
    /// The function's name.
    pub function: Arc<str>,
    /// The version that ran.
    pub version: Arc<str>,
    /// When it began.
    pub began: Timestamp,
    /// How long it took, microseconds.
    pub took_us: u64,
    /// Whether the function failed.
    pub failed: bool,
    /// Its log group.
    pub group: Arc<str>,
    /// Its log stream.
    pub stream: Arc<str>,
    /// What it wrote, bounded. A line that begins with NUL belongs to the event of the one before.
    pub log: Arc<str>,
}

/// A log as it is shown, without what says which lines are one event.
pub fn plain_log(log: &str) -> String {
    log.replace("\n\0", "\n")
}

/// The events of a log, with their ends of lines.
pub fn log_events(log: &str) -> Vec<String> {
    let mut events: Vec<String> = Vec::new();
    for line in log.split_inclusive('\n') {
        match (line.strip_prefix('\0'), events.last_mut()) {
            (Some(more), Some(event)) => event.push_str(more),
            (more, _) => events.push(more.unwrap_or(line).to_owned()),
        }
    }
    events
}

/// What is kept of a log with the task that asked for the invocation: so many bytes of its beginning,
/// and of its end.
const LOG_KEPT: usize = 8 << 10;

impl RanRecord {
    /// The beginning and the end of its log.
    pub(super) fn shortened(&self) -> Arc<str> {
        let log = plain_log(&self.log);
        if log.len() <= 2 * LOG_KEPT {
            return log.into();
        }
        let (mut head, mut tail) = (LOG_KEPT, log.len() - LOG_KEPT);
        while !log.is_char_boundary(head) {
            head -= 1;
        }
        while !log.is_char_boundary(tail) {
            tail += 1;
        }
        let left_out = tail - head;
        let line =
            format!("\n[stepwire: {left_out} bytes are left out here; all are in the log group]\n");
        format!("{}{line}{}", &log[..head], &log[tail..]).into()
    }
}

/// What the tasks of an execution came to, in order of their events.
pub(super) fn ran(
    execution: ExecutionId,
    read: &dyn Read,
) -> Result<Vec<(RanKey, RanRecord)>, Corrupt> {
    let prefix = KeyBuilder::new(Space::InvocationOf).number(execution.machine);
    let prefix = prefix.number(execution.number).build();
    let entries = read.range(&Range::prefix(&prefix)).into_iter();
    entries
        .map(|(key, value)| {
            let corrupt =
                || Corrupt { key: key.clone(), why: "not an invocation's key".to_owned() };
            let found = decode(FORMAT, &key, &value)?;
            Ok((RanKey::of(&key).ok_or_else(corrupt)?, found))
        })
        .collect()
}

/// The stored function of this name.
pub(super) fn named(name: &str, read: &dyn Read) -> Result<Option<FunctionRecord>, Corrupt> {
    let key = function_key(name);
    read.get(&key).map(|value| decode(FORMAT, &key, &value)).transpose()
}

/// All stored functions, by name.
pub(super) fn all(read: &dyn Read) -> Result<Vec<FunctionRecord>, Corrupt> {
    let range = Range::prefix(&KeyBuilder::new(Space::Function).build());
    let entries = read.range(&range).into_iter();
    entries.map(|(key, value)| decode(FORMAT, &key, &value)).collect()
}

/// The archive of a stored function; `None` when it is not (or no longer) there whole.
pub fn code(record: &CodeRecord, read: &dyn Read) -> Option<Vec<u8>> {
    let prefix = KeyBuilder::new(Space::FunctionCode).number(record.number).build();
    let mut archive = Vec::with_capacity(record.bytes as usize);
    for (_, value) in read.range(&Range::prefix(&prefix)) {
        archive.extend_from_slice(value.strip_prefix(&[FORMAT])?);
    }
    (archive.len() as u64 == record.bytes).then_some(archive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_begin_with_nul_belong_to_the_event_before() {
        let log = "\0one\ntwo\n\0  of it\n\0\nthree";
        assert_eq!(log_events(log), ["one\n", "two\n  of it\n\n", "three"]);
        assert_eq!(plain_log("two\n\0  of it\n"), "two\n  of it\n");
    }

    #[test]
    fn a_runtime_is_known_by_its_family() {
        assert_eq!(Runtime::of("python3.12"), Some(Runtime::Python));
        assert_eq!(Runtime::of("nodejs22.x"), Some(Runtime::Node));
        assert_eq!(Runtime::of("provided.al2023"), Some(Runtime::Provided));
        for text in ["python2.7", "python3.", "nodejs", "nodejs20", "java21", "provided.al9", ""] {
            assert_eq!(Runtime::of(text), None, "{text}");
        }
    }
}
