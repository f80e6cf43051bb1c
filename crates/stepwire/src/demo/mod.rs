//! `stepwire demo`: the whole story on one machine, with simulated devices.
//!
//! The demo is a user of a node like any other. It starts one as a process of its own, deploys
//! files by AWS requests, its devices connect over TLS, and it watches what the node lets everyone
//! watch ([`crate::observe`]). So it can kill the node and go on.

pub mod api;
pub mod deploy;
mod feed;
pub mod fleet;
mod keys;
pub mod profiles;
mod progress;
mod server;
mod stage;
pub mod story;
mod summary;
mod tracker;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use stepwire_asl::Entropy;
use stepwire_store::embedded;
use tokio::sync::mpsc::unbounded_channel;

use self::api::Api;
use self::deploy::Identity;
use self::feed::Feed;
use self::fleet::{Behaviour, Fleet};
use self::profiles::Profiles;
use self::progress::Progress;
use self::server::{Server, Start};
use self::stage::Stage;
use self::tracker::Tracker;
use crate::cli::failure::{Exit, Failure};
use crate::cli::signals::{Signal, Signals};
use crate::clock::Clock;
use crate::config::{HTTP_PORT, MQTTS_PORT};
use crate::files;
use crate::node_error::NodeError;
use crate::port_holder;

pub use self::summary::Summary;

/// The data folder unless another is named. It goes when the demo ends.
const DATA_FOLDER: &str = ".stepwire-demo";
/// How long the demo's workflow waits for a device. The slowest device needs three seconds.
const HEARTBEAT_S: i64 = 8;
/// Decides which devices are silent and how long each takes: every demo is the same story.
const SEED: u64 = 4_566;
/// Devices whose story is told line by line.
const STORIES: usize = 3;

/// What the demo is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many devices.
    pub devices: usize,
    /// How many of a hundred never answer.
    pub silent_percent: f64,
    /// End when all executions have.
    pub exit: bool,
    /// Where the data is kept; else in a folder that goes when the demo ends.
    pub data: Option<PathBuf>,
    /// Where the AWS API listens; else the default port, or a free one when that is taken.
    pub http: Option<SocketAddr>,
    /// Where devices connect; else the default port, or a free one when that is taken.
    pub mqtts: Option<SocketAddr>,
}

/// Why the demo ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All executions have ended.
    Settled,
    /// Nothing happened for a long time.
    Stuck,
    /// The user asked for it.
    Asked,
    /// Ctrl-C.
    Interrupted,
}

/// Runs the demo to its end.
pub async fn run(options: Options) -> Result<(Summary, Ending), Failure> {
    check(&options)?;
    let mut signals = Signals::new()?;
    let profiles = profile_service(&options).await?;
    let (mut server, folder) = start_node(&options, &profiles).await?;
    let outcome = tell_story(&options, &mut server, &folder, &profiles, &mut signals).await;
    server.stop().await;
    if options.data.is_none() {
        // It may be gone already; a leftover harms nobody.
        let _ = std::fs::remove_dir_all(&folder);
    }
    outcome
}

impl From<Signal> for Ending {
    fn from(signal: Signal) -> Ending {
        match signal {
            Signal::Interrupt => Ending::Interrupted,
            Signal::Terminate => Ending::Asked,
        }
    }
}

fn check(options: &Options) -> Result<(), Failure> {
    for address in [options.http, options.mqtts].into_iter().flatten() {
        if !address.ip().is_loopback() {
            let message = format!("the demo listens on loopback only, not on `{address}`");
            return Err(
                Failure::new(Exit::Usage, message).hint("`stepwire serve` listens anywhere")
            );
        }
    }
    // Each device is a socket here and one in the node, which has the same limit.
    let needed = options.devices + 256;
    match files_max() {
        Some(max) if max < needed => {
            let message = format!(
                "{} devices need {needed} open files; this shell allows {max}",
                options.devices
            );
            Err(Failure::new(Exit::Usage, message)
                .hint(format!("`ulimit -n {needed}` allows them")))
        }
        _ => Ok(()),
    }
}

/// How many files this process may have open, where the system says so.
fn files_max() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// Starts the third party. On kept data it listens where it did: the workflow names the address.
async fn profile_service(options: &Options) -> Result<Profiles, Failure> {
    let kept =
        options.data.as_deref().unwrap_or_else(|| Path::new(DATA_FOLDER)).join("profiles.port");
    let port = files::read(&kept).ok().flatten().and_then(|text| text.trim().parse().ok());
    Profiles::start(port, SEED).await.map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot start the profile service: {error}"))
    })
}

async fn start_node(options: &Options, profiles: &Profiles) -> Result<(Server, PathBuf), Failure> {
    let folder = match &options.data {
        Some(folder) => folder.clone(),
        // Another demo may be running in the first.
        None => {
            let mut folders = (1..).map(numbered_folder);
            folders.find(|folder| !embedded::is_in_use(folder)).unwrap_or_default()
        }
    };
    let server = Server::start(Start {
        folder: folder.clone(),
        http: options.http.unwrap_or_else(|| default_or_free(HTTP_PORT)),
        mqtts: options.mqtts.unwrap_or_else(|| default_or_free(MQTTS_PORT)),
        http_allow: profiles.address(),
    })
    .await?;
    let port = folder.join("profiles.port");
    files::write(&port, profiles.address().port().to_string().as_bytes())
        .map_err(|error| NodeError::data(port, error))?;
    Ok((server, folder))
}

fn numbered_folder(number: u32) -> PathBuf {
    match number {
        1 => PathBuf::from(DATA_FOLDER),
        _ => PathBuf::from(format!("{DATA_FOLDER}-{number}")),
    }
}

fn default_or_free(port: u16) -> SocketAddr {
    let default = SocketAddr::from(([127, 0, 0, 1], port));
    let free = TcpListener::bind(default).is_ok();
    SocketAddr::new(default.ip(), if free { port } else { 0 })
}

async fn tell_story(
    options: &Options,
    server: &mut Server,
    folder: &Path,
    profiles: &Profiles,
    signals: &mut Signals,
) -> Result<(Summary, Ending), Failure> {
    let devices = cast(options);
    let told = devices.iter().take(STORIES).chain(devices.iter().find(|(_, silent)| *silent));
    let told = told.map(|(name, _)| Arc::clone(name));
    let mut progress = Progress::new(devices.len() as u64, told);
    introduce(options, server, folder, profiles, &progress);
    let tracker = Tracker::new(devices.iter().cloned());
    let api = Api::new(format!("http://{}", server.http()))
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot make requests: {error}")))?;
    let (machine, identities) = tokio::select! {
        deployed = deploy(&api, &devices, profiles, &progress) => deployed?,
        failure = server.ended() => return Err(failure),
        signal = signals.next() => return Ok((tracker.summary(), signal.into())),
    };
    let feed = watch(server).await?;
    let (teller, tales) = unbounded_channel();
    let clock = Clock::system();
    let began = clock.now();
    let behaviour = |((_, silent), seed): (&(Arc<str>, bool), u64)| Behaviour {
        silent: *silent,
        delay_ms: fleet::DELAY_MS,
        seed,
    };
    let fleet = Fleet::start(
        identities.into_iter().zip(devices.iter().zip(SEED..).map(behaviour)),
        server.mqtts(),
        &authority(folder)?,
        &clock,
        &teller,
    )
    .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    deploy::job(&api).await?;
    let mut stage = Stage {
        tracker,
        fleet,
        profiles,
        server,
        feed,
        api,
        machine,
        began,
        progress: &mut progress,
        dice: Entropy::new(SEED),
        chaos: false,
        killed: None,
    };
    let ending = stage.play(options.exit, tales, signals).await;
    let summary = Summary { profile_failures: profiles.failed(), ..stage.tracker.summary() };
    progress.finish();
    Ok(match ending? {
        ending @ Ending::Stuck => (summary.given_up(), ending),
        ending @ (Ending::Settled | Ending::Asked | Ending::Interrupted) => (summary, ending),
    })
}

async fn watch(server: &Server) -> Result<Feed, Failure> {
    let failed = |error| Failure::new(Exit::Failed, format!("cannot watch the node: {error}"));
    Feed::open(server.http()).await.map_err(failed)
}

/// Deploys the story and makes the devices, with what a user has: files and AWS requests. The ARN
/// of the state machine, and the devices.
async fn deploy(
    api: &Api,
    devices: &[(Arc<str>, bool)],
    profiles: &Profiles,
    progress: &Progress,
) -> Result<(String, Vec<Identity>), Failure> {
    let definition = story::definition(&format!("http://{}", profiles.address()), HEARTBEAT_S)
        .map_err(|error| {
            Failure::new(Exit::Rejected, format!("the example is damaged: {error}"))
        })?;
    let machine = deploy::story(api, &definition).await?;
    progress
        .say("deployed   1 workflow, 2 rules, 1 table, 2 policies; 1 job once the fleet connects");
    let names = devices.iter().map(|(name, _)| Arc::clone(name)).collect();
    let began = Instant::now();
    let identities = deploy::devices(api, names).await?;
    progress.say(&format!(
        "fleet      {} devices made in {:.1} s; they answer after 0.2–3 s, {} never",
        devices.len(),
        began.elapsed().as_secs_f64(),
        devices.iter().filter(|(_, silent)| *silent).count(),
    ));
    Ok((machine, identities))
}

/// The certificate of the node's authority, from where users find it.
fn authority(folder: &Path) -> Result<String, NodeError> {
    let path = folder.join("ca.pem");
    std::fs::read_to_string(&path).map_err(|error| NodeError::data(path, error))
}

/// The devices by name, and which of them are silent: exactly the share asked for.
fn cast(options: &Options) -> Vec<(Arc<str>, bool)> {
    let silent = (options.devices as f64 * options.silent_percent / 100.0).round() as usize;
    let width = options.devices.to_string().len().max(4);
    let mut devices: Vec<(Arc<str>, bool)> = (1..=options.devices)
        .map(|number| (format!("gw-{number:0width$}").into(), false))
        .collect();
    // A shuffle's first picks (Fisher and Yates), so that any device may be silent.
    let mut order: Vec<usize> = (0..devices.len()).collect();
    let mut dice = Entropy::new(SEED);
    for pick in 0..silent.min(devices.len()) {
        let rest = (order.len() - pick) as u64;
        order.swap(pick, pick + (dice.next_u64() % rest) as usize);
        devices[order[pick]].1 = true;
    }
    devices
}

fn introduce(
    options: &Options,
    server: &Server,
    folder: &Path,
    profiles: &Profiles,
    progress: &Progress,
) {
    let (http, mqtts) = (server.http(), server.mqtts());
    let version = env!("CARGO_PKG_VERSION");
    let data = folder.display();
    let fate =
        if options.data.is_some() { "kept" } else { "removed at the end; --data DIR keeps it" };
    progress.say(&format!("stepwire {version} demo: loopback only, data in {data} ({fate})"));
    for (asked, default, got) in
        [(options.http, HTTP_PORT, http), (options.mqtts, MQTTS_PORT, mqtts)]
    {
        if asked.is_none() && got.port() != default {
            let taken = port_holder::holder(SocketAddr::from(([127, 0, 0, 1], default)));
            let by = taken.map(|holder| format!(" by {holder}")).unwrap_or_default();
            progress.say(&format!("  port {default} is taken{by}: using {}", got.port()));
        }
    }
    progress.say(&format!("  console  http://{http}/"));
    progress.say(&format!(
        "  aws api  http://{http}/     eval \"$(stepwire env --data {data})\" && aws stepfunctions list-state-machines"
    ));
    progress.say(&format!(
        "  mqtt     mqtts://localhost:{}     mutual TLS, CA in {data}/ca.pem",
        mqtts.port()
    ));
    progress.say(&format!(
        "profiles   http://{}/     {} of 100 requests fail; heartbeat {HEARTBEAT_S} s",
        profiles.address(),
        profiles::FAILURES_PERCENT
    ));
}

impl From<api::Error> for Failure {
    fn from(error: api::Error) -> Failure {
        let exit = match error {
            api::Error::Refused { .. } => Exit::Rejected,
            api::Error::Lost { .. } => Exit::NoServer,
        };
        Failure::new(exit, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(devices: usize, silent_percent: f64) -> Options {
        Options { devices, silent_percent, exit: true, data: None, http: None, mqtts: None }
    }

    #[test]
    fn exactly_the_share_asked_for_is_silent() {
        for (devices, percent, silent) in
            [(200, 2.0, 4), (100, 2.0, 2), (10, 2.0, 0), (3, 100.0, 3), (1_000, 0.25, 3)]
        {
            let cast = cast(&options(devices, percent));
            assert_eq!(cast.len(), devices);
            assert_eq!(cast.iter().filter(|(_, silent)| *silent).count(), silent);
        }
    }

    #[test]
    fn every_demo_has_the_same_cast_of_distinct_names() {
        let cast = cast(&options(500, 10.0));
        assert_eq!(cast, super::cast(&options(500, 10.0)));
        let names: std::collections::HashSet<_> = cast.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 500);
    }

    #[test]
    fn the_demo_does_not_listen_off_loopback() {
        let open = Options { http: Some(([0, 0, 0, 0], 0).into()), ..options(1, 0.0) };
        assert!(check(&open).is_err());
    }
}
