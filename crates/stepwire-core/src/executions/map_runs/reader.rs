//! Item readers: objects, or what is listed of a bucket, become items a run of bytes at a time.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::definition::InputType;
use stepwire_asl::execution::ItemReading;
use stepwire_asl::history::Trouble;
use stepwire_asl::{Failure, Json};

use super::formats::{self, Place};
use super::record::{Ending, Phase, Spec};
use crate::executions::Executions;
use crate::executions::run::Ran;
use crate::objects::{self, Object};
use crate::read::{Read, Reads};
use crate::record::Corrupt;

/// Bytes of an object that one slice looks at: more than any item may have.
const WINDOW: u64 = 512 << 10;
/// Items that one slice reads.
const ITEMS: usize = 1_024;
/// Largest JSON document that is read whole: one whose items are not its outermost array.
const DOCUMENT_MAX: u64 = 16 << 20;

/// How far an item reader is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Listed objects up to this one are done.
    after: Arc<str>,
    /// The object that is being read, and its entity tag.
    object: Option<(Arc<str>, Arc<str>)>,
    /// Its bytes that are done.
    offset: u64,
    place: Place,
    /// Names of its columns.
    headers: Option<Vec<Arc<str>>>,
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
type Slice = Result<(Vec<Json>, Option<Progress>), Trouble>;

impl Executions {
    /// Reads what [`Executions::read_items`] will want.
    pub(super) fn touch_reader(&self, number: u64, read: &dyn Read) {
        let Some(run) = self.map_runs.get(number) else { return };
        if let (Phase::Reading(at), Some(reading)) = (&run.progress.phase, &run.spec.reading) {
            // Reading it is the way to find what reading it needs.
            let _ = next(reading, at, read);
        }
    }

    /// Reads some more items.
    pub(super) fn read_items(
        &mut self,
        number: u64,
        reads: &Reads,
        ran: &mut Ran,
    ) -> Result<(), Corrupt> {
        let Some(run) = self.map_runs.get(number) else { return Ok(()) };
        let (Phase::Reading(at), Some(reading)) = (&run.progress.phase, &run.spec.reading) else {
            return Ok(());
        };
        let found = next(reading, at, reads)?;
        let most = match reading.max_items {
            Some(most) if most > 0 => most as u64,
            _ => u64::MAX,
        };
        let mut progress = run.progress.clone();
        match found {
            Ok((mut items, then)) => {
                items.truncate(usize::try_from(most - progress.items_total).unwrap_or(usize::MAX));
                self.append_items(number, &mut progress, items, ran);
                progress.phase = match then {
                    Some(at) if progress.items_total < most => Phase::Reading(at),
                    _ => Phase::Running,
                };
            }
            Err(trouble) => progress.phase = Phase::Stopping(Ending::Failed(trouble)),
        }
        self.change(number, ran, |before| *before = progress);
        Ok(())
    }
}

fn failed(cause: impl Into<Arc<str>>) -> Trouble {
    Failure::new("States.ItemReaderFailed", cause).into()
}

fn next(reading: &ItemReading, at: &Progress, read: &dyn Read) -> Result<Slice, Corrupt> {
    if reading.max_items.is_some_and(|most| most < 0) {
        return Ok(Err(failed("field MaxItems must be positive")));
    }
    let text = |name| reading.arguments.member(name).and_then(Json::as_str);
    let Some(bucket) = text("Bucket") else {
        return Ok(Err(failed("The parameter Bucket of the item reader must be a string.")));
    };
    if reading.api.as_ref() == "listObjectsV2" {
        return listed(reading, bucket, text("Prefix").unwrap_or_default(), at, read);
    }
    let Some(key) = text("Key") else {
        return Ok(Err(failed("The parameter Key of the item reader must be a string.")));
    };
    object_items(reading, bucket, key, at, read)
}

fn listed(
    reading: &ItemReading,
    bucket: &str,
    prefix: &str,
    at: &Progress,
    read: &dyn Read,
) -> Result<Slice, Corrupt> {
    if reading.load_and_flatten {
        let key = match &at.object {
            Some((key, _)) => Some(Arc::clone(key)),
            None => objects::objects(bucket, prefix, &at.after, 1, read)?.pop().map(|(key, _)| key),
        };
        let Some(key) = key else { return Ok(Ok((Vec::new(), None))) };
        let found = object_items(reading, bucket, &key, at, read)?;
        return Ok(found.map(|(items, then)| {
            let done = || Progress { after: Arc::clone(&key), ..Progress::default() };
            (items, Some(then.unwrap_or_else(done)))
        }));
    }
    let page = objects::objects(bucket, prefix, &at.after, ITEMS, read)?;
    let last = page.last().map(|(key, _)| Arc::clone(key)).filter(|_| page.len() == ITEMS);
    let items = page.iter().map(|(key, object)| entry(key, object)).collect();
    Ok(Ok((items, last.map(|after| Progress { after, ..Progress::default() }))))
}

/// A listed object as an item.
fn entry(key: &Arc<str>, object: &Object) -> Json {
    Json::object([
        ("Etag", Json::from(format!("\"{}\"", object.etag))),
        ("Key", Json::String(Arc::clone(key))),
        ("LastModified", Json::from(object.modified.0.div_euclid(1_000))),
        ("Size", Json::from(object.size() as i64)),
        ("StorageClass", "STANDARD".into()),
    ])
}

fn object_items(
    reading: &ItemReading,
    bucket: &str,
    key: &str,
    at: &Progress,
    read: &dyn Read,
) -> Result<Slice, Corrupt> {
    let Some(object) = objects::find(bucket, key, read)? else {
        let cause = format!("The object {key} of the bucket {bucket} does not exist.");
        return Ok(Err(failed(cause)));
    };
    let mut then = at.clone();
    match &at.object {
        None => then.object = Some((key.into(), Arc::clone(&object.etag))),
        Some((_, etag)) if *etag != object.etag => {
            return Ok(Err(failed(format!("The object {key} was replaced while it was read."))));
        }
        Some(_) => {}
    }
    let end = (at.offset + WINDOW).min(object.size());
    let bytes = bytes_of(&object, at.offset..end, read)?;
    let last = end == object.size();
    if is_document(reading, at, &bytes) {
        return whole(reading, &object, key, read);
    }
    if at.offset == 0
        && let Some(given) = &reading.csv_headers
    {
        match formats::distinct(given.clone()) {
            Ok(headers) => then.headers = Some(headers),
            Err(why) => return Ok(Err(failed(why))),
        }
    }
    let found = match reading.input_type {
        Some(InputType::Jsonl) => formats::json_lines(&bytes, last, ITEMS),
        Some(InputType::Csv) => {
            formats::csv(&bytes, last, reading.csv_delimiter, &mut then.headers, ITEMS)
        }
        Some(InputType::Parquet | InputType::Manifest) => {
            Err("Files of this InputType are not available in stepwire yet.".to_owned())
        }
        Some(InputType::Json) | None => formats::json(&bytes, last, &mut then.place, ITEMS),
    };
    Ok(match found {
        Err(why) => Err(failed(why)),
        Ok((_, 0)) if !last => {
            Err(failed(format!("An item in the object {key} has more than {WINDOW} bytes.")))
        }
        Ok((items, taken)) => {
            then.offset += taken as u64;
            let more = then.offset < object.size();
            Ok((items, more.then_some(then)))
        }
    })
}

/// Whether the items are not those of an outermost array.
fn is_document(reading: &ItemReading, at: &Progress, bytes: &[u8]) -> bool {
    let is_json = matches!(reading.input_type, None | Some(InputType::Json));
    let object = || bytes.trim_ascii_start().first() == Some(&b'{');
    is_json && at.offset == 0 && (reading.items_pointer.is_some() || object())
}

fn whole(
    reading: &ItemReading,
    object: &Object,
    key: &str,
    read: &dyn Read,
) -> Result<Slice, Corrupt> {
    if object.size() > DOCUMENT_MAX {
        let cause = format!(
            "The object {key} has more than {DOCUMENT_MAX} bytes, and its items are not in its outermost array."
        );
        return Ok(Err(failed(cause)));
    }
    let bytes = bytes_of(object, 0..object.size(), read)?;
    let items = formats::document(&bytes, reading.items_pointer.as_deref());
    Ok(items.map(|items| (items, None)).map_err(failed))
}

fn bytes_of(
    object: &Object,
    range: std::ops::Range<u64>,
    read: &dyn Read,
) -> Result<Vec<u8>, Corrupt> {
    // What is missing is asked for all at once.
    let parts: Vec<_> = object.slices(range).map(|slice| slice.read(read)).collect();
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&part?);
    }
    Ok(bytes)
}
