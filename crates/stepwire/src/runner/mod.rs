//! Runs functions: a few processes each, which speak the Lambda Runtime API.
//!
//! A process belongs to one revision of one version of a function, answers one invocation at a time
//! and is kept for the next. It gets none of the node's environment, a folder of its own for temporary
//! files, and ends with the node. Unless [`Confinement`] says more it is no sandbox: it runs as the
//! node's user, with that user's files and network.
//!
//! Handlers for Python and Node.js run on the interpreter that this machine has, whichever version
//! `Runtime` names, through a small program of ours; for `provided` the archive's `bootstrap` runs.
//!
//! Read in this order: [`Runner`], `pool` (who gets which process, when another is started),
//! `process`, `runtime_api`; then `code`, `environment`, `log`, `report`, `watch`.

mod archive;
pub mod attend;
mod code;
mod environment;
mod log;
pub(crate) mod place;
mod pool;
mod process;
mod report;
mod runtime_api;
mod spawner;
mod sweep;
mod watch;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stepwire_core::ApiError;
use stepwire_core::functions::{CodeRecord, FunctionRecord, Runtime};

use self::code::CodeStore;
use self::pool::Pools;
use self::process::{Launch, Process, Unusable};
use self::runtime_api::Job;
use self::spawner::Spawner;
use self::sweep::Sweeper;
use crate::files;

pub use self::archive::{Refused, check};
pub use self::attend::{Confinement, user};

/// How long it may take until a process for which nobody waits is started at all.
const PREWARM_TIMEOUT: Duration = Duration::from_mins(1);

/// What a node's functions are told about it, and what they may take.
#[derive(Clone)]
pub struct About {
    /// AWS region.
    pub region: String,
    /// How functions reach the node.
    pub reach: Option<crate::capture::Reach>,
    /// The `stepwire` program.
    pub program: PathBuf,
    /// Most processes of one function without reserved concurrency.
    pub processes_max: usize,
    /// What the processes may not do.
    pub confinement: Confinement,
    /// Folders whose code runs where it is, by name.
    pub code_folders: std::collections::BTreeMap<String, PathBuf>,
    /// A folder with `node_modules` and `python` that functions fall back to.
    pub modules: Option<PathBuf>,
}

/// Most processes of one function unless it is said: four for each core, at least eight.
pub fn processes_max() -> usize {
    cores().saturating_mul(4).max(8)
}

/// Cores that this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Reads an archive from where the node keeps it.
pub type Source = Arc<dyn Fn(&CodeRecord) -> Option<Vec<u8>> + Send + Sync>;
/// The key that a function's process signs its requests with, as variables.
pub type Credentials = Arc<dyn Fn(&FunctionRecord) -> Vec<(String, String)> + Send + Sync>;

/// One invocation that is to run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The version that runs.
    pub record: Arc<FunctionRecord>,
    /// How it was called.
    pub arn: String,
    /// Identifies the invocation; a UUID.
    pub request_id: Arc<str>,
    /// JSON text.
    pub payload: Arc<str>,
    /// JSON text.
    pub client_context: Option<String>,
    /// The trace header.
    pub trace: String,
    /// Seconds that it has.
    pub timeout_s: u32,
    /// Most invocations of the function at a time, if that is reserved.
    pub reserved: Option<u32>,
}

/// What an invocation came to.
#[derive(Debug, Clone)]
pub struct Ran {
    /// JSON text: what the function returned, or its error.
    pub payload: Arc<str>,
    /// Whether it is an error.
    pub failed: bool,
    /// What it wrote, framed as Lambda frames it.
    pub log: Arc<str>,
    /// The log stream of its process.
    pub stream: Arc<str>,
    /// Milliseconds since the epoch.
    pub began_ms: i64,
    /// How long it took.
    pub took: Duration,
    /// How long its process took to be ready, if it was made for it.
    pub init: Option<Duration>,
}

/// Runs functions. All processes end when it is dropped.
pub struct Runner(Arc<Inner>);

pub(in crate::runner) struct Inner {
    about: About,
    /// All that functions have on the disk; removed with the runner.
    folder: PathBuf,
    scratch: PathBuf,
    sweeper: Arc<Sweeper>,
    spawner: Spawner,
    /// Where processes are started that nobody waits for.
    runtime: tokio::runtime::Handle,
    interpreters: Interpreters,
    code: CodeStore,
    credentials: Credentials,
    pools: Pools,
}

/// The programs that run handlers; `None` where this machine has none.
struct Interpreters {
    python: Option<PathBuf>,
    node: Option<Node>,
    bootstrap_py: PathBuf,
    bootstrap_mjs: PathBuf,
}

/// Node.js, and what it takes for an ES module besides what is declared as one.
struct Node {
    program: PathBuf,
    /// `require` and `detect`, as far as it knows them.
    lenient: Vec<String>,
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Runner {
    /// Runs functions in `folder`, which [`place::make`] has made for the node's `data`.
    pub async fn start(
        folder: PathBuf,
        data: &Path,
        mut about: About,
        source: Source,
        credentials: Credentials,
    ) -> io::Result<Runner> {
        if let Some(modules) = &mut about.modules {
            *modules = modules.canonicalize().map_err(|error| {
                let folder = modules.display();
                io::Error::new(error.kind(), format!("--function-modules `{folder}`: {error}"))
            })?;
        }
        let confinement = &about.confinement;
        if let Some(why) = attend::unconfinable(confinement) {
            return Err(io::Error::other(why));
        }
        if confinement.user.is_some() {
            // The first thing that the process of a function does is to run our program.
            let asked = asked(&about.program, &["--version"], confinement).await;
            asked.ok_or_else(|| {
                let program = about.program.display();
                let hint = "put it where everybody can run it, such as /usr/local/bin";
                io::Error::other(format!("the user of functions cannot run `{program}`: {hint}"))
            })?;
        }
        let interpreters = Interpreters::find(&folder, confinement).await?;
        let node = interpreters.node.as_ref().map(|node| node.program.as_path());
        let programs = [interpreters.python.as_deref(), node];
        let programs: Vec<&Path> = programs.into_iter().flatten().collect();
        if let Some(why) = confinement.exposes(data, &programs) {
            return Err(io::Error::other(why));
        }
        let scratch = folder.join("scratch");
        std::fs::create_dir_all(&scratch)?;
        if confinement.user.is_some() {
            place::enterable(&scratch)?;
        }
        let sweeper = Sweeper::start()?;
        place::left_over(&folder)?.into_iter().for_each(|left| sweeper.sweep(left));
        let folders = about.code_folders.clone();
        let code = CodeStore::new(folder.clone(), source, folders, Arc::clone(&sweeper));
        let pools = Pools::new(about.processes_max);
        let spawner = Spawner::start()?;
        let inner = Arc::new(Inner {
            about,
            folder,
            scratch,
            sweeper,
            spawner,
            runtime: tokio::runtime::Handle::current(),
            interpreters,
            code,
            credentials,
            pools,
        });
        watch::start(Arc::downgrade(&inner));
        Ok(Runner(inner))
    }

    /// Runs one invocation. A function's own error is an answer; `Err` says that nothing ran.
    pub async fn invoke(&self, run: Run) -> Result<Ran, ApiError> {
        let inner = &self.0;
        let _counted = inner.pools.admit(&run.record, run.reserved)?;
        let process = Inner::acquire(inner, &run).await?;
        let began_ms = jiff::Timestamp::now().as_millisecond();
        let began = Instant::now();
        let mut lease = match process {
            Ok(lease) => lease,
            Err(unusable) => return Ok(report::unusable(&run, unusable, began_ms)),
        };
        let job = Job {
            id: Arc::clone(&run.request_id),
            deadline_ms: began_ms + i64::from(run.timeout_s) * 1_000,
            arn: run.arn.clone(),
            client_context: run.client_context.clone(),
            trace: run.trace.clone(),
            payload: Arc::clone(&run.payload),
        };
        let init = lease.process().take_init();
        let outcome = lease.process().invoke(job, run.timeout_s).await;
        let took = began.elapsed();
        let ran = report::ran(&run, lease.process(), &outcome, began_ms, took, init);
        lease.end(outcome.alive, took);
        if ran.failed {
            tracing::debug!("function `{}` failed: {}", run.record.name, ran.payload);
        }
        Ok(ran)
    }

    /// Has one process of this function be ready, unless there is one. Says why there is none.
    pub async fn prewarm(&self, record: Arc<FunctionRecord>) -> Result<(), String> {
        let warmed = Inner::prewarm(&self.0, record);
        match tokio::time::timeout(PREWARM_TIMEOUT, warmed).await {
            Ok(result) => result,
            Err(_) => Err("it took too long to start".to_owned()),
        }
    }

    /// Has so many processes of these versions of a function be ready from now on, and of no others.
    pub fn provision(&self, function: &str, wanted: Vec<(Arc<FunctionRecord>, usize)>) {
        Inner::provision(&self.0, function, wanted);
    }

    /// Ends every process; those that come back from an invocation are not kept.
    pub fn stop(&self) {
        self.0.pools.stop();
    }

    /// Lets go of what is kept for a function that is gone.
    pub fn forget(&self, function: &str) {
        self.0.pools.forget(function);
        self.0.code.forget(function);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pools.stop();
        self.sweeper.finish();
        // What cannot be removed is removed when the node starts again.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Inner {
    /// Starts a process for this revision and waits until it is ready.
    async fn launch(&self, record: &FunctionRecord) -> Result<Process, Unusable> {
        let entry = |why: String| Unusable::entry(&why);
        let interpreter = self.interpreters.program(record).map_err(entry)?;
        let code = self.code.of(record).await.map_err(entry)?;
        let program = match interpreter {
            Some(program) => program,
            None => {
                let places = [code.folder().join("bootstrap"), code.layers().join("bootstrap")];
                let found = places.iter().find(|place| place.is_file());
                let missing = || {
                    entry(format!("Couldn't find valid bootstrap(s): [{}]", places[0].display()))
                };
                vec![found.ok_or_else(missing)?.clone()]
            }
        };
        let launch = Launch {
            record,
            code,
            program,
            own: (self.credentials)(record),
            about: &self.about,
            scratch: &self.scratch,
            sweeper: &self.sweeper,
            spawner: &self.spawner,
        };
        Process::start(launch).await
    }
}

impl Interpreters {
    async fn find(folder: &Path, confinement: &Confinement) -> io::Result<Interpreters> {
        let bootstrap_py = folder.join("bootstrap.py");
        let bootstrap_mjs = folder.join("bootstrap.mjs");
        std::fs::write(&bootstrap_py, include_str!("bootstrap.py"))?;
        std::fs::write(&bootstrap_mjs, include_str!("bootstrap.mjs"))?;
        for bootstrap in [&bootstrap_py, &bootstrap_mjs] {
            files::readable_by_all(bootstrap)?;
        }
        let (python, node) = tokio::join!(
            located("python3", &["-c", "import sys; print(sys.executable)"], confinement),
            asked(Path::new("node"), &["-p", ABOUT_NODE], confinement),
        );
        let node = node.and_then(|told| {
            let mut lines = told.lines();
            let program = PathBuf::from(lines.next()?);
            let lenient = lines.map(str::to_owned).collect();
            program.is_absolute().then_some(Node { program, lenient })
        });
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
                let node = self.node.as_ref().ok_or_else(|| missing("node"))?;
                let mut program = vec![node.program.clone()];
                let chosen = record.environment.get("NODE_OPTIONS");
                let chooses = |option: &str| chosen.is_some_and(|options| options.contains(option));
                for lenient in node.lenient.iter().filter(|name| strict(record, name)) {
                    let option = format!("experimental-{lenient}-module");
                    if !chooses(&option) {
                        program.push(format!("--no-{option}").into());
                    }
                }
                if !chooses("max-old-space-size") {
                    // Collects before the function is ended for what it would not have needed.
                    let heap_mb = u64::from(record.memory_mb) * 9 / 10;
                    program.push(format!("--max-old-space-size={heap_mb}").into());
                }
                program.push(self.bootstrap_mjs.clone());
                Ok(Some(program))
            }
            Runtime::Provided => Ok(None),
        }
    }
}

/// Tells where Node.js is, and which of the two it knows.
const ABOUT_NODE: &str = "[process.execPath, ...['require', 'detect'].filter((name) => \
    process.allowedNodeEnvironmentFlags.has(`--experimental-${name}-module`))].join('\\n')";

/// Whether AWS's runtime does not do this: `require` of an ES module, or `detect` one by its text.
fn strict(record: &FunctionRecord, lenient: &str) -> bool {
    let family = record.runtime.trim_start_matches("nodejs").trim_end_matches(".x");
    match family.parse::<u32>() {
        Ok(20) => lenient == "require",
        Ok(family) => family <= 22,
        Err(_) => false,
    }
}

/// Where an interpreter really is: what is on the path may be a script that needs our environment.
async fn located(name: &str, ask: &[&str], confinement: &Confinement) -> Option<PathBuf> {
    let path = PathBuf::from(asked(Path::new(name), ask, confinement).await?.trim());
    path.is_absolute().then_some(path)
}

/// What a program says to the user of functions: the first of the path that this user can run.
async fn asked(program: &Path, ask: &[&str], confinement: &Confinement) -> Option<String> {
    let mut command = std::process::Command::new(program);
    command.args(ask).stdin(std::process::Stdio::null());
    if confinement.user.is_some() {
        confinement.as_user(&mut command);
        command.current_dir("/");
    }
    let asked = tokio::process::Command::from(command).kill_on_drop(true).output();
    let told = tokio::time::timeout(Duration::from_secs(10), asked).await.ok()?.ok()?;
    told.status.success().then(|| String::from_utf8(told.stdout).ok())?
}
