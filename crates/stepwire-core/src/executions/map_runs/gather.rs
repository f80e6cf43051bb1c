//! The results of a map run: looked at child by child, once all have ended.
//!
//! They become the Map state's result, or files of its result writer. How far this is lives in
//! memory alone: after a restart it begins anew and comes to the same.

use std::sync::Arc;

use stepwire_asl::history::Trouble;
use stepwire_asl::{Failure, Json};

use super::child::Child;
use super::record::{self, Cursor, Ending, Spec};
use super::view::map_run_arn;
use crate::executions::run::{Ran, machine_arn};
use crate::executions::{ExecutionId, Executions};
use crate::objects::{self, Name};
use crate::read::{Read, Reads};
use crate::record::Corrupt;
use crate::settings::Settings;

/// Children that one slice looks at.
const CHILDREN: u64 = 64;
/// Bytes of results in one file.
const FILE_BYTES: usize = 4 << 20;

/// A file of results.
#[derive(Debug)]
pub(crate) struct File {
    /// Where it goes.
    pub(crate) name: Name,
    /// What is in it.
    pub(crate) text: String,
}

/// Results so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// The next child to look at.
    next: u64,
    /// The next item that no child was given.
    pending: Option<Cursor>,
    /// Results that are to be the state's.
    results: Vec<Json>,
    /// Bytes of them.
    bytes: usize,
    files: [Kind; 3],
}

/// Result files of children that ended alike.
#[derive(Debug, Default)]
struct Kind {
    /// What the next file will hold.
    text: String,
    /// Names and sizes of those that are there.
    done: Vec<(String, usize)>,
}

const SUCCEEDED: usize = 0;
const FAILED: usize = 1;
const PENDING: usize = 2;
const WORDS: [&str; 3] = ["SUCCEEDED", "FAILED", "PENDING"];

/// Where result files go: the folder of one run.
struct Folder {
    bucket: Arc<str>,
    path: String,
    lines: bool,
}

impl Folder {
    fn of(spec: &Spec) -> Option<Folder> {
        let destination = spec.writing.destination.as_ref()?;
        let text = |name| destination.member(name).and_then(Json::as_str);
        let path = match text("Prefix").map(|prefix| prefix.trim_end_matches('/')) {
            Some(prefix) if !prefix.is_empty() => format!("{prefix}/{}", spec.uuid),
            _ => spec.uuid.to_string(),
        };
        let bucket = text("Bucket").unwrap_or_default().into();
        Some(Folder { bucket, path, lines: spec.writing.lines })
    }

    fn manifest(&self) -> Name {
        self.name("manifest.json")
    }

    fn file(&self, kind: usize, number: usize) -> Name {
        let ending = if self.lines { "jsonl" } else { "json" };
        self.name(&format!("{}_{number}.{ending}", WORDS[kind]))
    }

    fn name(&self, file: &str) -> Name {
        let key = format!("{}/{file}", self.path).into();
        Name { bucket: Arc::clone(&self.bucket), key }
    }

    fn exists(&self, read: &dyn Read, settings: &Settings) -> bool {
        let bucket = Arc::clone(&self.bucket);
        objects::answer(&objects::Request::HeadBucket { bucket }, read, settings).is_ok()
    }
}

impl Executions {
    /// Reads what [`Executions::gather`], and storing its files, will want.
    pub(super) fn touch_gathering(&self, number: u64, read: &dyn Read, settings: &Settings) {
        let Some(run) = self.map_runs.get(number) else { return };
        let end = run.progress.executions.begun.min(run.gathered.next + CHILDREN);
        for index in run.gathered.next..end {
            Child::touch(ExecutionId { machine: number, number: index }, read);
        }
        let Some(folder) = Folder::of(&run.spec) else { return };
        let pending = run.gathered.pending.unwrap_or(run.progress.next);
        read.get(&record::items_key(number, pending.chunk));
        folder.exists(read, settings);
        let next = |(kind, files): (usize, &Kind)| folder.file(kind, files.done.len());
        let names = run.gathered.files.iter().enumerate().map(next);
        for name in names.chain([folder.manifest()]) {
            objects::touch(&name, read);
        }
    }

    /// Looks at the next children of a run. Once it has seen them all: how the run ends, and what
    /// the Map state's result is.
    pub(super) fn gather(
        &mut self,
        number: u64,
        ending: &Ending,
        reads: &Reads,
        settings: &Settings,
        ran: &mut Ran,
    ) -> Result<Option<(Ending, Json)>, Corrupt> {
        let Some(run) = self.map_runs.open.get_mut(&number) else { return Ok(None) };
        let (spec, progress) = (Arc::clone(&run.spec), run.progress.clone());
        let folder = Folder::of(&spec);
        if folder.is_none() && *ending != Ending::Succeeded {
            return Ok(Some((ending.clone(), Json::Null)));
        }
        if let Some(folder) = folder.as_ref().filter(|folder| !folder.exists(reads, settings)) {
            let cause =
                format!("The bucket {} of the result writer does not exist.", folder.bucket);
            let failure = Failure::new("States.ResultWriterFailed", cause);
            return Ok(Some((Ending::Failed(failure.into()), Json::Null)));
        }
        let mut gathered = std::mem::take(&mut run.gathered);
        let most = settings.quotas.payload_bytes();
        let end = progress.executions.begun.min(gathered.next + CHILDREN);
        while gathered.next < end && !gathered.is_full(most) {
            let id = ExecutionId { machine: number, number: gathered.next };
            gathered.take(&Child::read(id, &spec, reads, settings)?, &spec);
            gathered.next += 1;
        }
        if gathered.bytes > most {
            let failure = self.too_large(&spec);
            return Ok(Some((Ending::Failed(Trouble::from(failure)), Json::Null)));
        }
        let mut done = gathered.next == progress.executions.begun;
        if let Some(folder) = &folder {
            done = done && self.take_pending(number, &mut gathered, reads, settings)?;
            let files = gathered.files.iter_mut().enumerate();
            let files = files.filter(|(_, files)| done || files.is_full());
            ran.files.extend(files.filter_map(|(kind, files)| files.file(kind, folder)));
        }
        if !done {
            if let Some(run) = self.map_runs.open.get_mut(&number) {
                run.gathered = gathered;
            }
            return Ok(None);
        }
        self.change(number, ran, |progress| {
            progress.executions.written = progress.executions.begun;
            progress.items.written = progress.items.begun;
        });
        let result = match &folder {
            None => Json::array(gathered.results),
            Some(folder) => {
                ran.files.push(gathered.manifest(folder, &spec, settings));
                let manifest = folder.manifest();
                Json::object([
                    ("MapRunArn", Json::from(map_run_arn(settings, &spec))),
                    (
                        "ResultWriterDetails",
                        Json::object([
                            ("Bucket", Json::String(manifest.bucket)),
                            ("Key", Json::String(manifest.key)),
                        ]),
                    ),
                ])
            }
        };
        Ok(Some((ending.clone(), result)))
    }

    /// Describes items that no child was given, a chunk of them. Whether that was the last.
    fn take_pending(
        &mut self,
        number: u64,
        gathered: &mut Gathered,
        reads: &Reads,
        settings: &Settings,
    ) -> Result<bool, Corrupt> {
        let Some(run) = self.map_runs.get(number) else { return Ok(true) };
        let (spec, chunks) = (Arc::clone(&run.spec), run.progress.chunks);
        let cursor = gathered.pending.unwrap_or(run.progress.next);
        let Some(items) = self.chunk(number, cursor.chunk, reads)? else {
            return Ok(cursor.chunk >= chunks);
        };
        let machine_arn = machine_arn(settings, &spec.name);
        for item in items.iter().skip(cursor.offset as usize) {
            let described = Json::object([
                ("Input", Json::from(item.to_text())),
                ("InputDetails", Json::object([("Included", Json::from(true))])),
                ("StateMachineArn", Json::from(machine_arn.as_str())),
                ("Status", "PENDING".into()),
            ]);
            gathered.files[PENDING].add(&described, spec.writing.lines);
        }
        gathered.pending = Some(Cursor { chunk: cursor.chunk + 1, offset: 0 });
        Ok(cursor.chunk + 1 >= chunks)
    }

    fn too_large(&self, spec: &Spec) -> Failure {
        let machine = self.machines.revision(spec.machine, spec.revision);
        let compiled = machine.and_then(|machine| machine.compiled.as_ref());
        let name = compiled.and_then(|compiled| compiled.state_name(spec.state));
        let name = name.map(ToString::to_string).unwrap_or_default();
        let cause = format!(
            "The state/task '{name}' returned a result with a size exceeding the maximum number of bytes service limit."
        );
        Failure::new("States.DataLimitExceeded", cause)
    }
}

impl Gathered {
    fn take(&mut self, child: &Child, spec: &Spec) {
        let results = child.result(spec.writing.transformation);
        if spec.writing.destination.is_some() {
            let kind = if child.succeeded() { SUCCEEDED } else { FAILED };
            for result in results {
                self.files[kind].add(&result, spec.writing.lines);
            }
            return;
        }
        for result in results {
            self.bytes += result.to_text().len() + 1;
            self.results.push(result);
        }
    }

    /// Whether there is too much for a result, or enough for a file.
    fn is_full(&self, most: usize) -> bool {
        self.bytes > most || self.files.iter().any(Kind::is_full)
    }

    fn manifest(&self, folder: &Folder, spec: &Spec, settings: &Settings) -> File {
        let files = |kind: &Kind| {
            let entry = |(key, size): &(String, usize)| {
                Json::object([
                    ("Key", Json::from(key.as_str())),
                    ("Size", Json::from(*size as i64)),
                ])
            };
            Json::array(kind.done.iter().map(entry))
        };
        let kinds =
            [FAILED, PENDING, SUCCEEDED].map(|kind| (WORDS[kind], files(&self.files[kind])));
        let manifest = Json::object([
            ("DestinationBucket", Json::String(Arc::clone(&folder.bucket))),
            ("MapRunArn", Json::from(map_run_arn(settings, spec))),
            ("ResultFiles", Json::object(kinds)),
        ]);
        File { name: folder.manifest(), text: manifest.to_text() }
    }
}

impl Kind {
    fn add(&mut self, result: &Json, lines: bool) {
        if !lines {
            self.text.push(if self.text.is_empty() { '[' } else { ',' });
        }
        self.text.push_str(&result.to_text());
        if lines {
            self.text.push('\n');
        }
    }

    fn is_full(&self) -> bool {
        self.text.len() >= FILE_BYTES
    }

    /// What has been added since the last file, if anything has.
    fn file(&mut self, kind: usize, folder: &Folder) -> Option<File> {
        if self.text.is_empty() {
            return None;
        }
        let mut text = std::mem::take(&mut self.text);
        if !folder.lines {
            text.push(']');
        }
        let name = folder.file(kind, self.done.len());
        self.done.push((name.key.to_string(), text.len()));
        Some(File { name, text })
    }
}
