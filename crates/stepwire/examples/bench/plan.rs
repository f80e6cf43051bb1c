//! What to measure, from the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

/// The command line. Numbers have the names of the fields, with dashes.
pub(crate) struct Plan {
    what: Option<String>,
    pub(crate) rounds: usize,
    /// W2, W3: HTTP connections.
    pub(crate) connections: usize,
    /// W2: executions in a round.
    pub(crate) executions: usize,
    /// W3: executions that wait.
    pub(crate) waiting: usize,
    /// `idle`, `storm`: devices.
    pub(crate) devices: usize,
    /// `idle`, `storm`: devices that are connecting at a time.
    pub(crate) handshakes: usize,
    /// `fan-in`, `fan-out`, `rules`: messages published in a round.
    pub(crate) messages: usize,
    /// `functions`: calls in a round.
    pub(crate) calls: usize,
    /// `fan-in`, `rules`: publishers.
    pub(crate) publishers: usize,
    /// `fan-out`: subscribers.
    pub(crate) subscribers: usize,
    /// `fan-in`, `fan-out`, `rules`: messages of a publisher that are not acknowledged yet.
    pub(crate) window: usize,
    /// `fan-in`, `fan-out`: bytes of a payload.
    pub(crate) bytes: usize,
    /// `--tls`: messages over mutual TLS, not in plain text.
    pub(crate) tls: bool,
    /// `--durable`: subscribers have sessions that outlive their connections.
    pub(crate) durable: bool,
    /// `--only node|mosquitto`: not the others.
    pub(crate) only: Option<String>,
    /// `--target HOST:PORT`: a broker that runs already, in place of those this process starts.
    pub(crate) target: Option<SocketAddr>,
    /// `--ca DIR`: speak TLS to it; `ca.pem` and `ca.key` in the folder have issued its
    /// certificate, and issue those of the devices.
    pub(crate) ca: Option<PathBuf>,
    /// `--pid PID`: its process, when it runs here: for memory and CPU.
    pub(crate) pid: Option<u32>,
}

impl Plan {
    pub(crate) fn parse(arguments: &[String]) -> Plan {
        let text = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name);
            at.map(|at| arguments.get(at + 1).expect("a value").clone())
        };
        let number = |name: &str, default: usize| {
            text(name).map_or(default, |text| text.parse().expect("a number"))
        };
        let flag = |name: &str| arguments.iter().any(|argument| argument == name);
        Plan {
            what: arguments.first().filter(|a| !a.starts_with('-') && *a != "all").cloned(),
            rounds: number("--rounds", 5),
            connections: number("--connections", 64),
            executions: number("--executions", 20_000),
            waiting: number("--waiting", 100_000),
            devices: number("--devices", 5_000),
            handshakes: number("--handshakes", 32),
            messages: number("--messages", 200_000),
            calls: number("--calls", 5_000),
            publishers: number("--publishers", 8),
            subscribers: number("--subscribers", 50),
            window: number("--window", 32),
            bytes: number("--bytes", 128),
            tls: flag("--tls"),
            durable: flag("--durable"),
            only: text("--only"),
            target: text("--target").map(|target| target.parse().expect("an address and a port")),
            ca: text("--ca").map(PathBuf::from),
            pid: text("--pid").map(|pid| pid.parse().expect("a process id")),
        }
    }

    /// Whether a workload was asked for.
    pub(crate) fn wants(&self, what: &str) -> bool {
        self.what.as_ref().is_none_or(|wanted| wanted == what)
    }
}
