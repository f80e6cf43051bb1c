//! Item readers: objects, or what is listed of a bucket, become items a run of bytes at a time.
//!
//! A slice first looks ([`look`]): everything that has to be read is read there, and nothing
//! changes. Then it makes items of what it saw ([`make`]).

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stepwire_asl::Json;
use stepwire_asl::definition::InputType;
use stepwire_asl::execution::ItemReading;

use super::files::{Answer, Ask, File};
use super::formats::{self, Place};
use super::manifest;
use super::record::{Ending, Phase, Spec};
use super::sources::{Sources, Stop};
use super::unzip::Unzip;
use crate::executions::Executions;
use crate::executions::run::Ran;
use crate::read::{Read, Reads};
use crate::record::Corrupt;
use crate::settings::Settings;

/// Bytes of an object that one slice looks at: more than any item may have.
const WINDOW: u64 = 512 << 10;
/// Items that one slice reads.
const ITEMS: usize = 1_024;
/// Largest document that is read whole: JSON whose items are not its outermost array, a manifest.
const DOCUMENT_MAX: u64 = 16 << 20;

/// How far an item reader is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Listed objects up to this one are done.
    after: Arc<str>,
    /// The object that is being read, and its entity tag.
    object: Option<(Arc<str>, Arc<str>)>,
    /// Its bytes that are done; of a zipped one, those that it unzips to.
    offset: u64,
    place: Place,
    /// Names of its columns.
    headers: Option<Vec<Arc<str>>>,
    /// Objects of a manifest that are done.
    files: u32,
}

impl Progress {
    /// How far it is in an object that it has begun.
    fn begun(&self) -> Option<u64> {
        self.object.as_ref().map(|_| self.offset)
    }
}

/// `$$.Map.Item.Source`
pub(super) fn source(spec: &Spec) -> String {
    let text = |name| spec.reading.as_ref()?.arguments.member(name)?.as_str();
    match (text("Bucket"), text("Key").or_else(|| text("Prefix"))) {
        (Some(bucket), Some(key)) => format!("S3://{bucket}/{key}"),
        (Some(bucket), None) => format!("S3://{bucket}"),
        _ => "STATE_DATA".to_owned(),
    }
}

/// What one slice of reading gave: items, and how far the reader then is; `None`: at the end.
type Slice = Result<(Vec<Json>, Option<Progress>), Stop>;

impl Executions {
    /// Reads what [`Executions::read_items`] will want.
    pub(super) fn touch_reader(&self, number: u64, read: &dyn Read, settings: &Settings) {
        let Some(run) = self.map_runs.get(number) else { return };
        if let (Phase::Reading(at), Some(reading)) = (&run.progress.phase, &run.spec.reading) {
            let folders = &settings.items_folders;
            let sources = Sources { read, folders, answers: &run.answers };
            // Reading it is the way to find what reading it needs.
            let _ = look(reading, at, &sources, &run.unzip);
        }
    }

    /// Takes in what the rim has read for a run.
    pub(crate) fn items_read(&mut self, number: u64, ask: Ask, answer: Answer) {
        if let Some(run) = self.map_runs.open.get_mut(&number) {
            run.answers.push((ask, answer));
        }
    }

    /// Reads some more items, unless the rim has to read first.
    pub(super) fn read_items(
        &mut self,
        number: u64,
        reads: &Reads,
        settings: &Settings,
        ran: &mut Ran,
    ) -> Result<(), Corrupt> {
        let Some(run) = self.map_runs.open.get_mut(&number) else { return Ok(()) };
        let (Phase::Reading(at), Some(reading)) = (&run.progress.phase, &run.spec.reading) else {
            return Ok(());
        };
        let folders = &settings.items_folders;
        let sources = Sources { read: reads, folders, answers: &run.answers };
        let seen = look(reading, at, &sources, &run.unzip);
        let found = seen.and_then(|seen| make(reading, at, seen, &mut run.unzip));
        let most = match reading.max_items {
            Some(most) if most > 0 => most as u64,
            _ => u64::MAX,
        };
        let mut progress = run.progress.clone();
        match found {
            Ok((mut items, then)) => {
                items.truncate(usize::try_from(most - progress.items_total).unwrap_or(usize::MAX));
                run.answers.clear();
                self.append_items(number, &mut progress, items, ran);
                progress.phase = match then {
                    Some(at) if progress.items_total < most => Phase::Reading(at),
                    _ => Phase::Running,
                };
            }
            Err(Stop::Failed(trouble)) => progress.phase = Phase::Stopping(Ending::Failed(trouble)),
            Err(Stop::Corrupt(corrupt)) => return Err(corrupt),
            Err(Stop::Asks(ask)) => {
                ran.asks.push((number, ask));
                return Ok(());
            }
        }
        self.change(number, ran, |before| *before = progress);
        Ok(())
    }
}

/// What a slice has read.
enum Seen {
    /// There is nothing more.
    Nothing,
    /// Names of objects.
    Names(Vec<(Arc<str>, File)>),
    /// An object whole, and where the reader is after it.
    Document(Bytes, Option<Progress>),
    /// Bytes of an object.
    Part(Part),
}

struct Part {
    key: Arc<str>,
    file: File,
    bytes: Bytes,
    zipped: bool,
    /// Names of its columns, when it does not say.
    columns: Option<Vec<Arc<str>>>,
    /// Where the reader is after the object.
    after: Option<Progress>,
}

fn look(
    reading: &ItemReading,
    at: &Progress,
    sources: &Sources<'_>,
    unzip: &Unzip,
) -> Result<Seen, Stop> {
    if reading.max_items.is_some_and(|most| most < 0) {
        return Err(Stop::failed("field MaxItems must be positive"));
    }
    let text = |name| reading.arguments.member(name).and_then(Json::as_str);
    let needed = |name| {
        let missing =
            || Stop::failed(format!("The parameter {name} of the item reader must be a string."));
        text(name).map(Arc::<str>::from).ok_or_else(missing)
    };
    let bucket = needed("Bucket")?;
    if reading.api.as_ref() == "listObjectsV2" {
        let prefix = text("Prefix").unwrap_or_default();
        if !reading.load_and_flatten {
            return sources.list(&bucket, prefix, &at.after, ITEMS).map(Seen::Names);
        }
        let key = match &at.object {
            Some((key, _)) => Some(Arc::clone(key)),
            None => sources.list(&bucket, prefix, &at.after, 1)?.pop().map(|(key, _)| key),
        };
        let Some(key) = key else { return Ok(Seen::Nothing) };
        let after = Progress { after: Arc::clone(&key), ..Progress::default() };
        let given = reading.csv_headers.clone();
        return look_into(reading, at, sources, unzip, (&bucket, &key), given, Some(after));
    }
    let key = needed("Key")?;
    let Some(kind) = reading.manifest else {
        let given = reading.csv_headers.clone();
        return look_into(reading, at, sources, unzip, (&bucket, &key), given, None);
    };
    let listed = whole(sources, &bucket, &key)?;
    let listed = manifest::read(kind, &listed, &bucket).map_err(Stop::failed)?;
    let Some((bucket, key)) = listed.files.get(at.files as usize) else { return Ok(Seen::Nothing) };
    let files = at.files + 1;
    let more = (files as usize) < listed.files.len();
    let after = more.then(|| Progress { files, ..Progress::default() });
    let columns = listed.columns.or_else(|| reading.csv_headers.clone());
    look_into(reading, at, sources, unzip, (bucket, key), columns, after)
}

fn look_into(
    reading: &ItemReading,
    at: &Progress,
    sources: &Sources<'_>,
    unzip: &Unzip,
    (bucket, key): (&Arc<str>, &Arc<str>),
    columns: Option<Vec<Arc<str>>>,
    after: Option<Progress>,
) -> Result<Seen, Stop> {
    let zipped = reading.manifest.is_some() && key.ends_with(".gz");
    let range =
        if zipped { unzip.wanted(key, at.begun(), WINDOW) } else { at.offset..at.offset + WINDOW };
    let (file, bytes) = sources.find(bucket, key, range)?;
    if at.object.as_ref().is_some_and(|(_, etag)| *etag != file.etag) {
        return Err(Stop::failed(format!("The object {key} was replaced while it was read.")));
    }
    if is_document(reading, at, &bytes) {
        return whole(sources, bucket, key).map(|bytes| Seen::Document(bytes, after));
    }
    Ok(Seen::Part(Part { key: Arc::clone(key), file, bytes, zipped, columns, after }))
}

/// Whether the items are not those of an outermost array.
fn is_document(reading: &ItemReading, at: &Progress, bytes: &[u8]) -> bool {
    let is_json = matches!(reading.input_type, None | Some(InputType::Json));
    let object = || bytes.trim_ascii_start().first() == Some(&b'{');
    is_json && at.offset == 0 && (reading.items_pointer.is_some() || object())
}

fn whole(sources: &Sources<'_>, bucket: &Arc<str>, key: &Arc<str>) -> Result<Bytes, Stop> {
    let (file, bytes) = sources.find(bucket, key, 0..DOCUMENT_MAX)?;
    if file.size > DOCUMENT_MAX {
        return Err(Stop::failed(format!(
            "The object {key} has more than {DOCUMENT_MAX} bytes, and its items are not in its outermost array."
        )));
    }
    Ok(bytes)
}

fn make(reading: &ItemReading, at: &Progress, seen: Seen, unzip: &mut Unzip) -> Slice {
    match seen {
        Seen::Nothing => Ok((Vec::new(), None)),
        Seen::Names(names) => {
            let last = names.last().filter(|_| names.len() == ITEMS);
            let last = last.map(|(key, _)| Arc::clone(key));
            let items = names.iter().map(|(key, file)| entry(key, file)).collect();
            Ok((items, last.map(|after| Progress { after, ..Progress::default() })))
        }
        Seen::Document(bytes, after) => {
            let items = formats::document(&bytes, reading.items_pointer.as_deref());
            items.map(|items| (items, after)).map_err(Stop::failed)
        }
        Seen::Part(part) => items_of(reading, at, part, unzip),
    }
}

/// A listed object as an item.
fn entry(key: &Arc<str>, file: &File) -> Json {
    Json::object([
        ("Etag", Json::from(format!("\"{}\"", file.etag))),
        ("Key", Json::String(Arc::clone(key))),
        ("LastModified", Json::from(file.modified.0.div_euclid(1_000))),
        ("Size", Json::from(file.size as i64)),
        ("StorageClass", "STANDARD".into()),
    ])
}

fn items_of(reading: &ItemReading, at: &Progress, part: Part, unzip: &mut Unzip) -> Slice {
    let Part { key, file, bytes, zipped, columns, after } = part;
    let mut then = at.clone();
    then.object = Some((Arc::clone(&key), Arc::clone(&file.etag)));
    if at.offset == 0
        && let Some(columns) = columns
    {
        then.headers = Some(formats::distinct(columns).map_err(Stop::failed)?);
    }
    let (bytes, last) = if zipped {
        let unzipped = unzip.take(&key, at.begun(), &bytes, file.size);
        unzipped.map_err(|error| Stop::failed(format!("{key} cannot be unzipped: {error}")))?
    } else {
        (&*bytes, at.offset + bytes.len() as u64 >= file.size)
    };
    let found = match reading.input_type {
        Some(InputType::Jsonl) => formats::json_lines(bytes, last, ITEMS),
        Some(InputType::Csv) => {
            formats::csv(bytes, last, reading.csv_delimiter, &mut then.headers, ITEMS)
        }
        Some(InputType::Json) | None => formats::json(bytes, last, &mut then.place, ITEMS),
    };
    let (items, taken) = found.map_err(Stop::failed)?;
    if taken == 0 && !last && bytes.len() as u64 >= WINDOW {
        let cause = format!("An item in the object {key} has more than {WINDOW} bytes.");
        return Err(Stop::failed(cause));
    }
    then.offset += taken as u64;
    let more = !last || taken < bytes.len();
    Ok((items, if more { Some(then) } else { after }))
}
