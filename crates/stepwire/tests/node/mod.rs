//! A real `stepwire serve` under a test.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The program with these arguments, without input.
pub fn stepwire(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepwire"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A node. It is killed at the end of the test, whatever happens.
pub struct Node {
    process: Child,
    ready: String,
    /// What it says on standard error. A pipe that nobody reads would stop it.
    errors: File,
}

impl Node {
    /// A node on free ports.
    pub fn start(data: &Path) -> Node {
        Node::start_with(data, &["--http", "0", "--mqtts", "0"])
    }

    /// A node with these options; returns once it is ready.
    pub fn start_with(data: &Path, options: &[&str]) -> Node {
        let errors = tempfile::tempfile().unwrap();
        let mut process = stepwire(&["serve", "--data", data.to_str().unwrap()])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(errors.try_clone().unwrap())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let mut node = Node { process, ready, errors };
        let told = if node.ready.is_empty() { node.stderr() } else { String::new() };
        assert!(node.ready.starts_with("ready "), "{}{told}", node.ready);
        node
    }

    fn stderr(&mut self) -> String {
        let mut text = String::new();
        self.errors.rewind().unwrap();
        self.errors.read_to_string(&mut text).unwrap();
        text
    }

    /// The line it prints once it is ready.
    pub fn ready(&self) -> &str {
        &self.ready
    }

    /// The value of `name=…` in the ready line.
    pub fn told(&self, name: &str) -> &str {
        let prefix = format!("{name}=");
        self.ready.split_whitespace().find_map(|word| word.strip_prefix(&prefix)).unwrap()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Kills it with SIGKILL.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks it to stop (SIGTERM). Its exit code.
    pub fn terminate(mut self) -> i32 {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.process.wait().unwrap().code().unwrap()
    }

    /// Waits until it ends by itself. Its exit code, and what it said on standard error.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let code = self.process.wait().unwrap().code();
        (code, self.stderr())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
