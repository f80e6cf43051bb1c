//! One process of a function: it starts, answers one invocation after the other, and is ended.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use stepwire_asl::Json;
use stepwire_core::functions::FunctionRecord;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::attend;
use super::log::Log;
use super::runtime_api::{ANSWER_BYTES_MAX, Job, RuntimeApi, Said};
use super::spawner::Spawner;

/// How long a process may take to become ready (AWS: 10 s).
const INIT_MAX: Duration = Duration::from_secs(10);

/// How to start a process of a function.
pub(super) struct Launch<'a> {
    pub(super) record: &'a FunctionRecord,
    /// Its code, unpacked.
    pub(super) code: PathBuf,
    /// What to run, with its arguments.
    pub(super) program: Vec<PathBuf>,
    /// What it is told besides its own variables.
    pub(super) environment: Vec<(&'static str, String)>,
    /// The program that ties its life to ours.
    pub(super) attendant: PathBuf,
    pub(super) spawner: &'a Spawner,
}

/// A process that was ready at least once.
pub(super) struct Process {
    child: Child,
    api: RuntimeApi,
    log: Log,
    /// Where the next invocation goes, once the runtime has asked for one.
    next: Option<oneshot::Sender<Job>>,
    /// Its `/tmp`; removed with it.
    _scratch: TempDir,
}

/// What an invocation came to.
#[derive(Debug)]
pub(super) struct Outcome {
    /// JSON text.
    pub(super) payload: Arc<str>,
    pub(super) failed: bool,
    pub(super) log: Vec<u8>,
    /// Whether the process can take another.
    pub(super) alive: bool,
}

impl Drop for Process {
    fn drop(&mut self) {
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
    /// Starts a process and waits until it is ready; an outcome when it will not be.
    pub(super) async fn start(launch: Launch<'_>, id: &str) -> Result<Process, Outcome> {
        let failed = |why: String| unusable(id, &why);
        let api = RuntimeApi::start().await;
        let api = api.map_err(|error| failed(format!("no port for the Runtime API: {error}")))?;
        let scratch = tempfile::Builder::new().prefix("stepwire-function-").tempdir();
        let scratch = scratch.map_err(|error| failed(format!("no temporary folder: {error}")))?;
        let command = command(&launch, &api, &scratch);
        let spawned = launch.spawner.spawn(command).await;
        let mut child = spawned.map_err(|error| {
            let program = launch.program.first().map(|program| program.display().to_string());
            failed(format!("`{}` cannot be started: {error}", program.unwrap_or_default()))
        })?;
        let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(failed("its output cannot be read".to_owned()));
        };
        let log = Log::new(out, err);
        let mut process = Process { child, api, log, next: None, _scratch: scratch };
        // A process that is slow to begin goes on beginning on its first invocation's time.
        match timeout_at(Instant::now() + INIT_MAX, process.ready(id)).await {
            Ok(Err(payload)) => Err(process.failed(payload).await),
            Ok(Ok(())) | Err(_) => Ok(process),
        }
    }

    /// Waits until the runtime asks for an invocation; the error's JSON text if it never will.
    async fn ready(&mut self, id: &str) -> Result<(), String> {
        while self.next.is_none() {
            tokio::select! {
                biased;
                said = self.api.said.recv() => match said {
                    Some(Said::Next(next)) => self.next = Some(next),
                    Some(Said::Unable { error }) => {
                        return Err(String::from_utf8_lossy(&error).into_owned());
                    }
                    // An answer that comes after its time is dropped.
                    Some(Said::Returned { .. } | Said::TooLong { .. } | Said::Failed { .. }) => {}
                    None => return Err(exited(id, None)),
                },
                status = self.child.wait() => return Err(exited(id, status.ok())),
            }
        }
        Ok(())
    }

    /// Whether it has not ended on its own.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Runs one invocation, for at most `timeout_s`.
    pub(super) async fn invoke(&mut self, job: Job, timeout_s: u32) -> Outcome {
        let id = Arc::clone(&job.id);
        let deadline = Instant::now() + Duration::from_secs(u64::from(timeout_s));
        match timeout_at(deadline, self.answer(job)).await {
            Ok(Ok((payload, failed))) => {
                let log = self.log.take().await;
                Outcome { payload: payload.into(), failed, log, alive: true }
            }
            Ok(Err(payload)) => self.failed(payload).await,
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
    async fn answer(&mut self, job: Job) -> Result<(String, bool), String> {
        let id = Arc::clone(&job.id);
        let mut job = Some(job);
        while let Some(waiting) = job.take() {
            self.ready(&id).await?;
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
                        | Said::Unable { .. },
                    ) => {}
                    None => return Err(exited(&id, None)),
                },
                status = self.child.wait() => return Err(exited(&id, status.ok())),
            }
        }
    }

    /// The end of a process, by our hand or its own.
    async fn failed(&mut self, payload: String) -> Outcome {
        end(&self.child);
        let log = self.log.take().await;
        Outcome { payload: payload.into(), failed: true, log, alive: false }
    }
}

/// An outcome without a process.
pub(super) fn unusable(id: &str, why: &str) -> Outcome {
    let payload = error("Runtime.InvalidEntrypoint", &format!("RequestId: {id} Error: {why}"));
    Outcome { payload: payload.into(), failed: true, log: Vec::new(), alive: false }
}

fn command(launch: &Launch<'_>, api: &RuntimeApi, scratch: &TempDir) -> Command {
    let record = launch.record;
    let mut command = Command::new(&launch.attendant);
    command.arg(attend::FLAG).arg(std::process::id().to_string()).args(&launch.program);
    // Nothing of our own environment: it may hold secrets.
    command.env_clear().current_dir(&launch.code);
    let code = launch.code.display().to_string();
    let stream =
        format!("{}/[$LATEST]{}", jiff::Timestamp::now().strftime("%Y/%m/%d"), record.revision);
    command
        .env("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin")
        .env("LANG", "en_US.UTF-8")
        .env("TZ", ":UTC")
        .env("HOME", scratch.path())
        .env("TMPDIR", scratch.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("_HANDLER", &*record.handler)
        .env("LAMBDA_TASK_ROOT", &code)
        .env("LAMBDA_RUNTIME_DIR", &code)
        .env("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", record.runtime))
        .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .env("AWS_LAMBDA_FUNCTION_NAME", &*record.name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", record.memory_mb.to_string())
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", record.name))
        .env("AWS_LAMBDA_LOG_STREAM_NAME", stream)
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .envs(record.environment.iter().map(|(name, value)| (&**name, &**value)))
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

/// The error of a process that ended on its own.
fn exited(id: &str, status: Option<ExitStatus>) -> String {
    let why = match status {
        Some(status) if status.success() => "Runtime exited without providing a reason".to_owned(),
        Some(status) => format!("Runtime exited with error: {}", ended(status)),
        None => "Runtime exited".to_owned(),
    };
    error("Runtime.ExitError", &format!("RequestId: {id} Error: {why}"))
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
