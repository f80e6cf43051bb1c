//! One process of a function: it starts, answers one invocation after the other, and is ended.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use stepwire_asl::Json;
use stepwire_core::functions::FunctionRecord;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::code::Code;
use super::log::Log;
use super::runtime_api::{ANSWER_BYTES_MAX, Job, RuntimeApi, Said};
use super::spawner::Spawner;
use super::sweep::{Sweeper, Swept};
use super::watch::{Excess, Watched};
use super::{About, attend, environment};

/// How long a process may take to become ready (AWS: 10 s).
const INIT_MAX: Duration = Duration::from_secs(10);

/// How long a runtime may take after an error to ask for another invocation.
const AGAIN_MAX: Duration = Duration::from_secs(1);

/// How to start a process of a function.
pub(super) struct Launch<'a> {
    pub(super) record: &'a FunctionRecord,
    /// Its code and layers, unpacked.
    pub(super) code: Arc<Code>,
    /// What to run, with its arguments.
    pub(super) program: Vec<PathBuf>,
    /// The key that it signs with, as variables.
    pub(super) own: Vec<(String, String)>,
    pub(super) about: &'a About,
    /// Where its temporary folder is made.
    pub(super) scratch: &'a Path,
    pub(super) sweeper: &'a Arc<Sweeper>,
    pub(super) spawner: &'a Spawner,
}

/// A process that was ready at least once.
pub(super) struct Process {
    child: Child,
    api: RuntimeApi,
    log: Log,
    watched: Arc<Watched>,
    /// Where the next invocation goes, once the runtime has asked for one.
    next: Option<oneshot::Sender<Job>>,
    /// How long it took to start, until that was reported.
    init: Option<Duration>,
    /// Its log stream.
    pub(super) stream: Arc<str>,
    /// Which revision of its function it runs.
    pub(super) revision: u64,
    /// Which state of code that runs where it is.
    pub(super) generation: u64,
    /// Kept as long as it runs.
    _code: Arc<Code>,
    /// Its `/tmp`; removed with it.
    _scratch: Swept,
}

/// What an invocation came to.
#[derive(Debug)]
pub(super) struct Outcome {
    /// JSON text.
    pub(super) payload: String,
    pub(super) failed: bool,
    pub(super) log: Vec<u8>,
    /// Whether the process can take another.
    pub(super) alive: bool,
}

/// Why a function has no process: told to every invocation that waits for one.
#[derive(Debug, Clone)]
pub(super) struct Unusable {
    why: Why,
    /// What the process wrote before.
    pub(super) log: Arc<[u8]>,
    /// Its log stream; empty when there was no process.
    pub(super) stream: Arc<str>,
    /// How long it took to find out.
    pub(super) took: Duration,
}

#[derive(Debug, Clone)]
enum Why {
    /// JSON text of the runtime.
    Told(Arc<str>),
    /// Ours.
    Ours { kind: &'static str, message: Arc<str> },
}

impl Unusable {
    /// There is nothing to run.
    pub(super) fn entry(why: &str) -> Unusable {
        Unusable::ours("Runtime.InvalidEntrypoint", why)
    }

    fn ours(kind: &'static str, why: &str) -> Unusable {
        let why = Why::Ours { kind, message: why.into() };
        Unusable { why, log: Arc::from([]), stream: "".into(), took: Duration::ZERO }
    }

    /// What the invocation `id` answers.
    pub(super) fn payload(&self, id: &str) -> String {
        match &self.why {
            Why::Told(text) => text.to_string(),
            Why::Ours { kind, message } => {
                error(kind, &format!("RequestId: {id} Error: {message}"))
            }
        }
    }

    /// In words.
    pub(super) fn message(&self) -> String {
        match &self.why {
            Why::Told(text) => text.to_string(),
            Why::Ours { message, .. } => message.to_string(),
        }
    }
}

/// How a process ends an invocation that it does not answer.
enum End {
    /// The runtime says so: JSON text.
    Told(String),
    /// It is gone.
    Exited(Option<ExitStatus>),
}

impl Drop for Process {
    fn drop(&mut self) {
        self.watched.end();
        end(&self.child);
    }
}

/// Ends a process and what it has started.
fn end(child: &Child) {
    #[cfg(unix)]
    if let Some(group) = child.id().and_then(|id| rustix::process::Pid::from_raw(id as i32)) {
        // One that has ended already is no error.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

impl Process {
    /// Starts a process and waits until it is ready; why not when it will not be.
    pub(super) async fn start(launch: Launch<'_>) -> Result<Process, Unusable> {
        let failed = |why: String| Unusable::entry(&why);
        let began = Instant::now();
        let api = RuntimeApi::start().await;
        let api = api.map_err(|error| failed(format!("no port for the Runtime API: {error}")))?;
        let scratch = scratch(&launch);
        let scratch = scratch.map_err(|error| failed(format!("no temporary folder: {error}")))?;
        let stream = stream(launch.record);
        let command = command(&launch, &api, &scratch, &stream);
        let spawned = launch.spawner.spawn(command).await;
        let mut child = spawned.map_err(|error| {
            let program = launch.program.first().map(|program| program.display().to_string());
            failed(format!("`{}` cannot be started: {error}", program.unwrap_or_default()))
        })?;
        let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(failed("its output cannot be read".to_owned()));
        };
        let watched = Watched::new(child.id(), launch.record.memory_mb);
        let mut process = Process {
            child,
            api,
            log: Log::new(out, err),
            watched,
            next: None,
            init: None,
            stream,
            revision: launch.record.revision,
            generation: 0,
            _code: launch.code,
            _scratch: scratch,
        };
        // A process that is slow to begin goes on beginning on its first invocation's time.
        let ready = timeout_at(began + INIT_MAX, process.ready()).await;
        process.init = Some(began.elapsed());
        let Ok(Err(end)) = ready else { return Ok(process) };
        // An error that the runtime tells of still has its text to write.
        let why = match end {
            End::Told(text) => Why::Told(text.into()),
            End::Exited(status) => {
                let (kind, message) = process.exited(status);
                Why::Ours { kind, message: message.into() }
            }
        };
        end_of(&mut process.child).await;
        let log = process.log.take().await.into();
        Err(Unusable { why, log, stream: Arc::clone(&process.stream), took: began.elapsed() })
    }

    /// Waits until the runtime asks for an invocation; how it ended if it never will.
    async fn ready(&mut self) -> Result<(), End> {
        while self.next.is_none() {
            tokio::select! {
                biased;
                said = self.api.said.recv() => match said {
                    Some(Said::Next(next)) => self.next = Some(next),
                    Some(Said::Unable { error }) => {
                        return Err(End::Told(String::from_utf8_lossy(&error).into_owned()));
                    }
                    // An answer that comes after its time is dropped.
                    Some(
                        Said::Returned { .. }
                        | Said::TooLong { .. }
                        | Said::Streams { .. }
                        | Said::Failed { .. },
                    ) => {}
                    None => return Err(End::Exited(None)),
                },
                status = self.child.wait() => return Err(End::Exited(status.ok())),
            }
        }
        Ok(())
    }

    /// Whether the runtime soon asks for another invocation.
    async fn goes_on(&mut self) -> bool {
        matches!(timeout(AGAIN_MAX, self.ready()).await, Ok(Ok(())))
    }

    /// Whether it has not ended on its own.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// How long it took to start, if an invocation had to wait for that and it was not told yet.
    pub(super) fn take_init(&mut self) -> Option<Duration> {
        self.init.take()
    }

    /// Nobody waits for its start.
    pub(super) fn prewarmed(&mut self) {
        self.init = None;
    }

    /// Most memory that it and what it has started had at a time, as far as seen; MB.
    pub(super) fn memory_mb(&self) -> u64 {
        self.watched.look().div_ceil(1_024)
    }

    /// Runs one invocation, for at most `timeout_s`.
    pub(super) async fn invoke(&mut self, job: Job, timeout_s: u32) -> Outcome {
        let id = Arc::clone(&job.id);
        let deadline = Instant::now() + Duration::from_secs(u64::from(timeout_s));
        match timeout_at(deadline, self.answer(job)).await {
            // One that told of an error may be about to end, as Node.js does after an uncaught one.
            Ok(Ok((payload, true))) if !self.goes_on().await => self.failed(payload).await,
            Ok(Ok((payload, failed))) => {
                let log = self.log.take().await;
                Outcome { payload, failed, log, alive: true }
            }
            Ok(Err(End::Told(payload))) => self.failed(payload).await,
            Ok(Err(End::Exited(status))) => {
                let (kind, message) = self.exited(status);
                let message = format!("RequestId: {id} Error: {message}");
                let mut outcome = self.failed(error(kind, &message)).await;
                outcome.log.extend_from_slice(format!("{message}\n{kind}\n").as_bytes());
                outcome
            }
            Err(_) => {
                let message = format!("Task timed out after {timeout_s}.00 seconds");
                let text = error("Sandbox.Timedout", &format!("RequestId: {id} Error: {message}"));
                let mut outcome = self.failed(text).await;
                let now = jiff::Timestamp::now();
                let line = format!("{now:.3} {id} {message}\n\n");
                outcome.log.extend_from_slice(line.as_bytes());
                outcome
            }
        }
    }

    /// What the handler answers, and whether that is an error. `Err`: the process is of no use.
    async fn answer(&mut self, job: Job) -> Result<(String, bool), End> {
        let id = Arc::clone(&job.id);
        let mut job = Some(job);
        while let Some(waiting) = job.take() {
            self.ready().await?;
            if let Some(next) = self.next.take() {
                // A runtime that asked and went away asks again.
                job = next.send(waiting).err();
            }
        }
        loop {
            tokio::select! {
                biased;
                said = self.api.said.recv() => match said {
                    Some(Said::Returned { id: of, answer }) if of == *id => {
                        return Ok(returned(&answer));
                    }
                    Some(Said::Failed { id: of, error }) if of == *id => {
                        return Ok((String::from_utf8_lossy(&error).into_owned(), true));
                    }
                    Some(Said::TooLong { id: of }) if of == *id => {
                        return Ok((too_long(), true));
                    }
                    Some(Said::Streams { id: of }) if of == *id => {
                        let why = "response streaming is not available in stepwire yet: return the \
                                   whole response";
                        return Ok((error("Runtime.StreamingNotAvailable", why), true));
                    }
                    // It will not answer this one any more.
                    Some(Said::Next(next)) => {
                        self.next = Some(next);
                        let why = "the runtime asked for another invocation without an answer";
                        return Ok((error("Runtime.Unknown", why), true));
                    }
                    Some(
                        Said::Returned { .. }
                        | Said::Failed { .. }
                        | Said::TooLong { .. }
                        | Said::Streams { .. }
                        | Said::Unable { .. },
                    ) => {}
                    None => return Err(End::Exited(None)),
                },
                status = self.child.wait() => return Err(End::Exited(status.ok())),
            }
        }
    }

    /// The end of a process, by our hand or its own.
    async fn failed(&mut self, payload: String) -> Outcome {
        end(&self.child);
        let log = self.log.take().await;
        Outcome { payload, failed: true, log, alive: false }
    }

    /// The error of a process that ended on its own, or because it took too much.
    fn exited(&self, status: Option<ExitStatus>) -> (&'static str, String) {
        match self.watched.excess() {
            Some(Excess::Memory) => {
                let message = "Runtime exited with error: signal: killed".to_owned();
                return ("Runtime.OutOfMemory", message);
            }
            Some(Excess::Processes) => {
                let message =
                    "Runtime exited with error: it had more than 1024 processes and threads";
                return ("Runtime.ExitError", message.to_owned());
            }
            None => {}
        }
        let why = match status {
            Some(status) if status.success() => {
                "Runtime exited without providing a reason".to_owned()
            }
            Some(status) => format!("Runtime exited with error: {}", ended(status)),
            None => "Runtime exited".to_owned(),
        };
        ("Runtime.ExitError", why)
    }
}

/// Ends a process that has told why it cannot go on, after what it still writes.
async fn end_of(child: &mut Child) {
    let _ = tokio::time::timeout(Duration::from_millis(200), child.wait()).await;
    end(child);
}

fn scratch(launch: &Launch<'_>) -> std::io::Result<Swept> {
    let folder = Swept::make(launch.scratch, "tmp-", launch.sweeper)?;
    #[cfg(unix)]
    if let Some((user, group)) = launch.about.confinement.user {
        std::os::unix::fs::chown(folder.path(), Some(user), Some(group))?;
    }
    Ok(folder)
}

/// The name of a new process' log stream, as Lambda's: `2026/11/29/[$LATEST]0123…`.
fn stream(record: &FunctionRecord) -> Arc<str> {
    let id = crate::functions::request_id().replace('-', "");
    let day = jiff::Timestamp::now().strftime("%Y/%m/%d");
    format!("{day}/[{}]{id}", record.version_text()).into()
}

fn command(launch: &Launch<'_>, api: &RuntimeApi, scratch: &Swept, stream: &str) -> Command {
    let mut command = Command::new(&launch.about.program);
    let reach = launch.about.reach.as_ref().map(|reach| reach.installed.folder.as_path());
    let modules = launch.about.modules.as_deref();
    let own = [Some(launch.code.folder()), Some(launch.code.layers()), reach, modules];
    let own: Vec<&Path> = own.into_iter().flatten().collect();
    let confined = launch.about.confinement.words(&own, scratch.path(), &launch.program);
    command
        .arg(attend::FLAG)
        .arg(std::process::id().to_string())
        .arg(confined)
        .args(&launch.program);
    // Nothing of our own environment: it may hold secrets.
    command.env_clear().current_dir(launch.code.folder());
    command
        .envs(environment::of(launch, api.address, scratch.path(), stream))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    command
}

/// An answer, if it is JSON as callers expect it.
fn returned(answer: &[u8]) -> (String, bool) {
    if answer.len() > ANSWER_BYTES_MAX {
        return (too_long(), true);
    }
    match std::str::from_utf8(answer) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (error("Runtime.InvalidResponse", "the answer is not UTF-8 text"), true),
    }
}

fn too_long() -> String {
    let message = format!(
        "Response payload size exceeded maximum allowed payload size ({ANSWER_BYTES_MAX} bytes)."
    );
    error("Function.ResponseSizeTooLarge", &message)
}

fn ended(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = match signal {
            6 => "aborted".to_owned(),
            9 => "killed".to_owned(),
            11 => "segmentation fault".to_owned(),
            15 => "terminated".to_owned(),
            other => other.to_string(),
        };
        return format!("signal: {name}");
    }
    format!("exit status {}", status.code().unwrap_or(-1))
}

fn error(kind: &str, message: &str) -> String {
    Json::object([("errorType", Json::from(kind)), ("errorMessage", message.into())]).to_text()
}
