//! The thread that starts processes. They end with the thread that started them, so it is one that
//! lives as long as the node.

use std::io;
use std::sync::mpsc;
use std::thread;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

type Order = (Command, oneshot::Sender<io::Result<Child>>);

/// Starts processes, until it is dropped.
pub(super) struct Spawner(mpsc::Sender<Order>);

impl Spawner {
    /// On the runtime of the caller.
    pub(super) fn start() -> io::Result<Spawner> {
        let (sender, orders) = mpsc::channel::<Order>();
        let runtime = Handle::current();
        thread::Builder::new().name("functions".to_owned()).spawn(move || {
            let _inside = runtime.enter();
            for (mut command, done) in orders {
                // Whoever gave the order may be gone; then so is the process.
                let _ = done.send(command.spawn());
            }
        })?;
        Ok(Spawner(sender))
    }

    /// Starts a process.
    pub(super) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (sender, done) = oneshot::channel();
        let gone = || io::Error::other("the node is stopping");
        self.0.send((command, sender)).map_err(|_| gone())?;
        done.await.unwrap_or_else(|_| Err(gone()))
    }
}
