//! The demo's node: a process of its own, so that it can be killed while people watch.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::cli::failure::{Exit, Failure};

/// Longest time for a node to be ready or to stop.
const PATIENCE: Duration = Duration::from_mins(1);

/// How a node is started.
#[derive(Debug, Clone)]
pub(super) struct Start {
    /// Its data folder.
    pub folder: PathBuf,
    /// Where its AWS API and console listen.
    pub http: SocketAddr,
    /// Where devices connect.
    pub mqtts: SocketAddr,
    /// The third party that its workflows may call.
    pub http_allow: SocketAddr,
}

/// A running `stepwire serve`. It ends when this process does.
pub(super) struct Server {
    start: Start,
    child: Child,
    input: Option<ChildStdin>,
    lines: UnboundedReceiver<String>,
}

impl Server {
    /// Starts a node and waits until it is ready.
    pub(super) async fn start(start: Start) -> Result<Server, Failure> {
        let mut child = spawn(&start)?;
        let (sender, lines) = unbounded_channel();
        if let Some(errors) = child.stderr.take() {
            tokio::spawn(forward(BufReader::new(errors).lines(), sender));
        }
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut server = Server { start, child, input, lines };
        let ready = tokio::time::timeout(PATIENCE, ready(output)).await;
        match ready.ok().flatten() {
            Some((http, mqtts)) => {
                (server.start.http, server.start.mqtts) = (http, mqtts);
                Ok(server)
            }
            None => Err(server.ended().await),
        }
    }

    /// Where its AWS API and console listen.
    pub(super) fn http(&self) -> SocketAddr {
        self.start.http
    }

    /// Where devices connect.
    pub(super) fn mqtts(&self) -> SocketAddr {
        self.start.mqtts
    }

    /// What it says next on standard error; pending for ever when it will say nothing more.
    pub(super) async fn says(&mut self) -> String {
        match self.lines.recv().await {
            Some(line) => line,
            None => std::future::pending().await,
        }
    }

    /// Waits until it ends by itself, and says why it did.
    pub(super) async fn ended(&mut self) -> Failure {
        let status = self.child.wait().await;
        let mut message = match status {
            Ok(status) => format!("the node ended: {status}"),
            Err(error) => format!("the node is lost: {error}"),
        };
        let mut hint = None;
        while let Some(line) = self.lines.recv().await {
            if let Some(error) = line.strip_prefix("error: ") {
                error.clone_into(&mut message);
            } else if let Some(text) = line.strip_prefix("hint: ") {
                hint = Some(text.to_owned());
            }
        }
        let failure = Failure::new(Exit::Failed, message);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// Kills it as a power cut would (SIGKILL), and starts it again where it was.
    pub(super) async fn kill(&mut self) -> Result<(), Failure> {
        let failed = |error| Failure::new(Exit::Failed, format!("cannot kill the node: {error}"));
        self.child.kill().await.map_err(failed)?;
        *self = Server::start(self.start.clone()).await?;
        Ok(())
    }

    /// Stops it cleanly.
    pub(super) async fn stop(mut self) {
        if let Some(mut input) = self.input.take() {
            // A node that is gone already need not be asked.
            let _ = input.write_all(b"stop\n").await;
            let _ = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        }
    }
}

fn spawn(start: &Start) -> Result<Child, Failure> {
    let failed = |error| Failure::new(Exit::Failed, format!("cannot start a node: {error}"));
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.arg("serve").arg("--attached").arg("--data").arg(&start.folder);
    if [start.http, start.mqtts].iter().all(|address| address.ip().is_loopback()) {
        command.arg("--demo-policies");
    }
    for (option, address) in
        [("--http", start.http), ("--mqtts", start.mqtts), ("--http-allow", start.http_allow)]
    {
        command.arg(option).arg(address.to_string());
    }
    // Ctrl-C is for the demo, which then stops its node.
    #[cfg(unix)]
    command.process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().map_err(failed)
}

/// The addresses in the node's `ready` line: AWS API, MQTT. `None`: it ended before.
async fn ready(output: Option<ChildStdout>) -> Option<(SocketAddr, SocketAddr)> {
    let mut lines = BufReader::new(output?).lines();
    let line = loop {
        let line = lines.next_line().await.ok()??;
        if line.starts_with("ready ") {
            break line;
        }
    };
    let told = |prefix| {
        line.split(' ')
            .find_map(|word| word.strip_prefix(prefix))
            .and_then(|text| text.parse().ok())
    };
    Some((told("http=http://")?, told("mqtts=mqtts://")?))
}

async fn forward<R: tokio::io::AsyncBufRead + Unpin>(
    mut from: Lines<R>,
    to: UnboundedSender<String>,
) {
    while let Ok(Some(line)) = from.next_line().await {
        if to.send(line).is_err() {
            return;
        }
    }
}
