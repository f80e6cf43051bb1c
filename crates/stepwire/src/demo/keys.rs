//! Single key presses from a terminal.

use std::io::{IsTerminal, Read};
use std::process::{Command, Stdio};

use tokio::sync::mpsc;

/// A terminal that gives each key as it is pressed. Dropped, it is as it was before.
pub(super) struct Keys {
    before: String,
    pressed: mpsc::UnboundedReceiver<u8>,
}

impl Keys {
    /// Listens to the terminal on standard input, if there is one.
    ///
    /// `stty` switches line editing off and leaves everything else: Ctrl-C still interrupts.
    pub(super) fn open() -> Option<Keys> {
        if !std::io::stdin().is_terminal() {
            return None;
        }
        let before = stty(&["-g"])?;
        stty(&["-icanon", "-echo", "min", "1"])?;
        let (sender, pressed) = mpsc::unbounded_channel();
        // A thread of its own: nothing waits for it, and it ends with the process.
        std::thread::spawn(move || {
            for key in std::io::stdin().lock().bytes().map_while(Result::ok) {
                if sender.send(key).is_err() {
                    return;
                }
            }
        });
        Some(Keys { before, pressed })
    }

    /// The next key.
    pub(super) async fn next(&mut self) -> Option<char> {
        self.pressed.recv().await.map(char::from)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        stty(&[self.before.trim()]);
    }
}

fn stty(arguments: &[&str]) -> Option<String> {
    let output = Command::new("stty")
        .args(arguments)
        .stdin(Stdio::inherit())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
