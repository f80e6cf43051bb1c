//! Runs functions: a few processes each, which speak the Lambda Runtime API.
//!
//! A process belongs to one revision of one function, answers one invocation at a time and is kept
//! for the next. It gets none of the node's environment, a folder of its own for temporary files,
//! and ends with the node. It is no sandbox: it runs as the node's user, with that user's files and
//! network.
//!
//! Handlers for Python and Node.js run on the interpreter that this machine has, whichever version
//! `Runtime` names, through a small program of ours; for `provided` the archive's `bootstrap` runs.

mod archive;
pub mod attend;
mod log;
mod process;
mod runtime_api;
mod spawner;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_core::ApiError;
use stepwire_core::functions::{FunctionRecord, Invoke, Invoked, Runtime};
use tokio::sync::Semaphore;

use self::process::{Launch, Outcome, Process, unusable};
use self::runtime_api::Job;
use self::spawner::Spawner;
use crate::files;

pub use self::archive::{Refused, check};

/// Invocations at a time, of all functions.
const RUNNING_MAX: usize = 64;
/// Invocations that wait for their turn; more are refused.
const WAITING_MAX: usize = 1_000;
/// Processes kept that have nothing to do, of all functions.
const IDLE_MAX: usize = 32;
/// A process that has had nothing to do for so long is ended.
const IDLE_LIFE: Duration = Duration::from_mins(5);
/// Bytes of a log that `LogType` `Tail` shows.
const TAIL_BYTES: usize = 4_096;

/// What a node's functions are told about it.
#[derive(Debug, Clone)]
pub struct About {
    /// AWS region.
    pub region: String,
    /// Where the node's own AWS API answers without a key, if it does anywhere.
    pub endpoint: Option<String>,
    /// The `stepwire` program.
    pub program: PathBuf,
}

/// Runs functions. All processes end when it is dropped.
pub struct Runner {
    about: About,
    folder: PathBuf,
    spawner: Spawner,
    interpreters: Interpreters,
    turns: Semaphore,
    waiting: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The newest unpacked code of each function.
    code: HashMap<Arc<str>, Slot>,
    /// Longest idle first.
    idle: Vec<Idle>,
    stopped: bool,
}

/// Code of this number. A lock of its own: it is unpacked once, whoever comes first.
type Slot = (u64, Arc<tokio::sync::Mutex<Option<Arc<Code>>>>);

struct Idle {
    function: Arc<str>,
    /// Number and revision of what it runs.
    version: (u64, u64),
    code: Arc<Code>,
    process: Process,
    since: Instant,
}

/// Unpacked code: removed when nothing runs it any more.
struct Code(PathBuf);

impl Drop for Code {
    fn drop(&mut self) {
        // What cannot be removed is removed when the node starts again.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The programs that run handlers; `None` where this machine has none.
struct Interpreters {
    python: Option<PathBuf>,
    node: Option<PathBuf>,
    bootstrap_py: PathBuf,
    bootstrap_mjs: PathBuf,
}

impl Runner {
    /// Runs functions in `folder`, which is emptied.
    pub async fn start(folder: PathBuf, about: About) -> io::Result<Runner> {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        files::create_folder(&folder)?;
        let interpreters = Interpreters::find(&folder).await?;
        Ok(Runner {
            about,
            folder,
            spawner: Spawner::start()?,
            interpreters,
            turns: Semaphore::new(RUNNING_MAX),
            waiting: AtomicUsize::new(0),
            state: Mutex::default(),
        })
    }

    /// Runs one invocation of `record`, whose archive `code` reads. A function's own error is an
    /// answer; `Err` says that nothing ran.
    pub async fn invoke(
        &self,
        record: &FunctionRecord,
        arn: String,
        invoke: &Invoke,
        request_id: &str,
        code: impl FnOnce() -> Option<Vec<u8>> + Send + 'static,
    ) -> Result<Invoked, ApiError> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(ApiError::new("TooManyRequestsException", "Rate Exceeded."));
        }
        let turn = self.turns.acquire().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let began = Instant::now();
        let job = |timeout_s: u32| Job {
            id: request_id.into(),
            deadline_ms: jiff::Timestamp::now().as_millisecond() + i64::from(timeout_s) * 1_000,
            arn,
            client_context: invoke.client_context.as_deref().and_then(decoded),
            payload: Arc::clone(&invoke.payload),
        };
        let outcome = match self.process(record, request_id, code).await? {
            Ok((code, mut process)) => {
                let outcome = process.invoke(job(record.timeout_s), record.timeout_s).await;
                if outcome.alive {
                    self.keep(record, code, process);
                }
                outcome
            }
            Err(outcome) => outcome,
        };
        drop(turn);
        let log = written(record, request_id, began.elapsed(), &outcome);
        if outcome.failed {
            tracing::debug!("function `{}` failed: {}", record.name, outcome.payload);
        }
        Ok(Invoked {
            status: 200,
            payload: outcome.payload,
            failed: outcome.failed,
            log: invoke
                .log_tail
                .then(|| STANDARD.encode(&log[log.len().saturating_sub(TAIL_BYTES)..]).into()),
        })
    }

    /// Ends every process; those that come back from an invocation are not kept.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        state.idle.clear();
    }

    /// A process for this revision: one that is idle, or a new one.
    async fn process(
        &self,
        record: &FunctionRecord,
        request_id: &str,
        code: impl FnOnce() -> Option<Vec<u8>> + Send + 'static,
    ) -> Result<Result<(Arc<Code>, Process), Outcome>, ApiError> {
        while let Some((code, mut process)) = self.idle(record) {
            if process.is_alive() {
                return Ok(Ok((code, process)));
            }
        }
        let program = match self.interpreters.program(record) {
            Ok(program) => program,
            Err(why) => return Ok(Err(unusable(request_id, &why))),
        };
        let code = match self.unpacked(record, code).await? {
            Ok(code) => code,
            Err(why) => return Ok(Err(unusable(request_id, &why.to_string()))),
        };
        let program = program.unwrap_or_else(|| vec![code.0.join("bootstrap")]);
        if !program[0].exists() {
            let why = format!("Couldn't find valid bootstrap(s): [{}]", program[0].display());
            return Ok(Err(unusable(request_id, &why)));
        }
        let mut environment = vec![
            ("AWS_REGION", self.about.region.clone()),
            ("AWS_DEFAULT_REGION", self.about.region.clone()),
        ];
        if let Some(endpoint) = &self.about.endpoint {
            environment.push(("AWS_ENDPOINT_URL", endpoint.clone()));
            environment.push(("AWS_ACCESS_KEY_ID", "function".to_owned()));
            environment.push(("AWS_SECRET_ACCESS_KEY", "function".to_owned()));
        }
        let launch = Launch {
            record,
            code: code.0.clone(),
            program,
            environment,
            attendant: self.about.program.clone(),
            spawner: &self.spawner,
        };
        Ok(Process::start(launch, request_id).await.map(|process| (code, process)))
    }

    /// An idle process of this revision; those of older ones, and those idle for long, are ended.
    fn idle(&self, record: &FunctionRecord) -> Option<(Arc<Code>, Process)> {
        let mut state = self.state();
        state.idle.retain(|idle| {
            let outdated = idle.function == record.name && idle.version != version(record);
            !outdated && idle.since.elapsed() < IDLE_LIFE
        });
        // The one used last: the others may then grow old.
        let at = state.idle.iter().rposition(|idle| idle.function == record.name)?;
        let idle = state.idle.remove(at);
        Some((idle.code, idle.process))
    }

    fn keep(&self, record: &FunctionRecord, code: Arc<Code>, process: Process) {
        let mut state = self.state();
        if state.stopped {
            return;
        }
        let (function, version) = (Arc::clone(&record.name), version(record));
        state.idle.push(Idle { function, version, code, process, since: Instant::now() });
        if state.idle.len() > IDLE_MAX {
            state.idle.remove(0);
        }
    }

    /// The function's code in a folder.
    async fn unpacked(
        &self,
        record: &FunctionRecord,
        code: impl FnOnce() -> Option<Vec<u8>> + Send + 'static,
    ) -> Result<Result<Arc<Code>, Refused>, ApiError> {
        let number = record.code.number;
        let slot = {
            let mut state = self.state();
            let slot = state.code.entry(Arc::clone(&record.name)).or_default();
            if slot.0 < number {
                *slot = (number, Arc::default());
            }
            if slot.0 == number { Arc::clone(&slot.1) } else { Arc::default() }
        };
        let mut slot = slot.lock().await;
        if let Some(code) = &*slot {
            return Ok(Ok(Arc::clone(code)));
        }
        let folder = self.folder.join(number.to_string());
        let work = {
            let folder = folder.clone();
            move || code().map(|archive| archive::unpack(&archive, &folder))
        };
        let gone = || ApiError::new("ServiceException", "the function's code was replaced");
        let unpacked = tokio::task::spawn_blocking(work).await.ok().flatten().ok_or_else(gone)?;
        let code = Arc::new(Code(folder));
        Ok(unpacked.map(|()| {
            *slot = Some(Arc::clone(&code));
            code
        }))
    }

    /// Lets go of what is kept for a function that is gone.
    pub fn forget(&self, function: &str) {
        let mut state = self.state();
        state.code.remove(function);
        state.idle.retain(|idle| *idle.function != *function);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn version(record: &FunctionRecord) -> (u64, u64) {
    (record.number, record.revision)
}

impl Interpreters {
    async fn find(folder: &Path) -> io::Result<Interpreters> {
        let bootstrap_py = folder.join("bootstrap.py");
        let bootstrap_mjs = folder.join("bootstrap.mjs");
        fs::write(&bootstrap_py, include_str!("bootstrap.py"))?;
        fs::write(&bootstrap_mjs, include_str!("bootstrap.mjs"))?;
        let (python, node) = tokio::join!(
            located("python3", &["-c", "import sys; print(sys.executable)"]),
            located("node", &["-p", "process.execPath"]),
        );
        Ok(Interpreters { python, node, bootstrap_py, bootstrap_mjs })
    }

    /// What to run for this function: `None` for the archive's own `bootstrap`.
    fn program(&self, record: &FunctionRecord) -> Result<Option<Vec<PathBuf>>, String> {
        let missing =
            |name: &str| format!("this machine has no `{name}`, which runs `{}`", record.runtime);
        match record.kind() {
            Runtime::Python => {
                let python = self.python.clone().ok_or_else(|| missing("python3"))?;
                Ok(Some(vec![python, "-u".into(), self.bootstrap_py.clone()]))
            }
            Runtime::Node => {
                let node = self.node.clone().ok_or_else(|| missing("node"))?;
                Ok(Some(vec![node, self.bootstrap_mjs.clone()]))
            }
            Runtime::Provided => Ok(None),
        }
    }
}

/// Where an interpreter really is: what is on the path may be a script that needs our environment.
async fn located(name: &str, ask: &[&str]) -> Option<PathBuf> {
    let asked = tokio::process::Command::new(name).args(ask).kill_on_drop(true).output();
    let told = tokio::time::timeout(Duration::from_secs(10), asked).await.ok()?.ok()?;
    let path = PathBuf::from(String::from_utf8(told.stdout).ok()?.trim());
    (told.status.success() && path.is_absolute()).then_some(path)
}

fn decoded(base64: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(base64).ok()?).ok()
}

/// The log of an invocation, as Lambda frames it.
fn written(record: &FunctionRecord, id: &str, took: Duration, outcome: &Outcome) -> Vec<u8> {
    let mut log = format!("START RequestId: {id} Version: $LATEST\n").into_bytes();
    log.extend_from_slice(&outcome.log);
    let (ms, billed, memory) =
        (took.as_secs_f64() * 1_000.0, took.as_millis() + 1, record.memory_mb);
    let end = format!(
        "END RequestId: {id}\nREPORT RequestId: {id}\tDuration: {ms:.2} ms\tBilled Duration: \
         {billed} ms\tMemory Size: {memory} MB\t\n"
    );
    log.extend_from_slice(end.as_bytes());
    log
}
