//! `stepwire run`: a program whose AWS SDK and MQTT client reach a node.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use super::failure::{Exit, Failure};
use super::running::Running;
use crate::capture;

/// Runs a program so that its AWS SDK, old or new, and its MQTT client reach the node.
///
/// Prints what it sets on standard error. The program takes this one's place: signals, exit code and terminal are its own. See docs/run.md.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stepwire run -- node simulator.js
  stepwire run --data /var/lib/stepwire -- python3 provision.py")]
pub(super) struct Run {
    /// Data folder of the node [default: .stepwire here or in a folder above]
    #[arg(long, value_name = "DIR", env = "STEPWIRE_DATA")]
    data: Option<PathBuf>,
    /// Do not print what is set
    #[arg(short, long)]
    quiet: bool,
    /// The program and its arguments
    #[arg(
        value_name = "CMD",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

impl Run {
    pub(super) fn run(self) -> Result<(), Failure> {
        let running = Running::find(self.data.as_deref())?;
        let theirs = |name: &str| std::env::var(name).ok();
        let set = capture::environment(&running.reach(&theirs)?, &theirs);
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let mut unset: Vec<String> = names.filter(|name| capture::misleads(name)).collect();
        unset.sort();
        if !self.quiet {
            tell(&running, &set, &unset);
        }
        let Some((program, arguments)) = self.command.split_first() else { return Ok(()) };
        let mut command = Command::new(program);
        command.args(arguments).envs(set);
        unset.iter().for_each(|name| {
            command.env_remove(name);
        });
        become_it(command)
    }
}

/// What is set, a line each. That nobody reads it is no error.
fn tell(running: &Running, set: &[(String, String)], unset: &[String]) {
    let mut told = format!("stepwire run: the node at {}\n", running.node.endpoint());
    for (name, value) in set {
        let value = if name == capture::SECRET { "****" } else { value };
        told.extend([format!("  {name}={value}\n")]);
    }
    for name in unset {
        told.extend([format!("  {name} is taken away\n")]);
    }
    let _ = std::io::stderr().write_all(told.as_bytes());
}

#[cfg(unix)]
fn become_it(mut command: Command) -> Result<(), Failure> {
    use std::os::unix::process::CommandExt;
    // It comes back only if there is no such program.
    let error = command.exec();
    Err(cannot_run(&command, &error))
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> Result<(), Failure> {
    let status = command.status().map_err(|error| cannot_run(&command, &error))?;
    std::process::exit(status.code().unwrap_or(1));
}

fn cannot_run(command: &Command, error: &std::io::Error) -> Failure {
    let program = command.get_program().to_string_lossy();
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::new(Exit::NotFound, format!("there is no program `{program}`")).hint(
                "name it as a shell would find it: on PATH, or with its folder, as in `./simulate`",
            )
        }
        _ => Failure::new(Exit::Failed, format!("`{program}` cannot be run: {error}")),
    }
}
