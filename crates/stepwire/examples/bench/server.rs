//! Processes that are measured.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A process, as Linux accounts for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// User and system time so far, in microseconds.
    pub(crate) fn cpu_us(self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        (ticks * 10_000) as f64
    }

    pub(crate) fn bytes_written(self) -> u64 {
        self.number("io", "write_bytes:")
    }

    /// Proportional set size.
    pub(crate) fn memory_kib(self) -> u64 {
        self.number("smaps_rollup", "Pss:")
    }

    fn number(self, file: &str, name: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.0)).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

/// A child that ends with this value.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        Running(command.spawn().expect("the program is there"))
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.0.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server of HTTP with a folder of its own.
pub(crate) struct Server {
    pub(crate) process: Process,
    /// Where it serves HTTP.
    pub(crate) address: SocketAddr,
    /// The line that says that it is ready.
    pub(crate) ready: String,
    _running: Running,
    _folder: TempDir,
}

impl Server {
    /// A node, which also serves MQTT.
    pub(crate) fn node() -> Server {
        Server::node_in(tempfile::tempdir_in(".").unwrap())
    }

    /// A node whose data is in `data` of this folder.
    pub(crate) fn node_in(folder: TempDir) -> Server {
        let this = std::env::current_exe().unwrap();
        let mut command = Command::new(this.ancestors().nth(2).unwrap().join("stepwire"));
        command.args(["serve", "--http", "127.0.0.1:0", "--mqtts", "127.0.0.1:0"]);
        command.args(["--mqtt", "127.0.0.1:0", "--allow-anonymous", "--data"]);
        command.arg(folder.path().join("data"));
        Server::start(command, folder, "http://")
    }

    pub(crate) fn floor() -> Server {
        let folder = tempfile::tempdir_in(".").unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("floor-server").arg(folder.path().join("data"));
        Server::start(command, folder, "http://")
    }

    /// A server of bare TLS handshakes, whose certificate the authority in `ca` issues.
    pub(crate) fn handshakes(ca: &Path) -> Server {
        let folder = tempfile::tempdir_in(".").unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("handshake-server").arg(ca);
        Server::start(command, folder, "tls://")
    }

    /// Starts it and waits for the line that names its address.
    fn start(mut command: Command, folder: TempDir, scheme: &str) -> Server {
        let mut child =
            command.stdout(Stdio::piped()).spawn().expect("cargo build --release first");
        let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        let ready = lines
            .map_while(Result::ok)
            .find(|line| line.contains(scheme))
            .expect("the server says where it listens");
        let address = address_in(&ready, scheme).unwrap();
        let running = Running(child);
        Server { process: running.process(), address, ready, _running: running, _folder: folder }
    }
}

/// The address that follows `scheme` in a line.
pub(crate) fn address_in(line: &str, scheme: &str) -> Option<SocketAddr> {
    let (_, text) = line.split_once(scheme)?;
    let end =
        text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(text.len());
    text[..end].parse().ok()
}
