//! The command line: verbs, and how they fail.

pub(crate) mod check;
mod client;
mod demo;
mod demo_policies;
mod deploy;
mod env;
mod explain;
pub mod failure;
mod logging;
mod run;
mod running;
mod serve;
mod show;
pub mod signals;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::failure::{Exit, Failure};
use crate::config::HostPort;
use crate::runner::attend;

/// Durable workflows for device fleets, in one binary.
#[derive(Debug, Parser)]
#[command(name = "stepwire", version)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
#[command(after_help = "\
Exit codes: 0 done, 1 the work failed, 2 usage, 3 not found, 4 rejected, 5 no server, 130 interrupted")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the README's story with simulated devices
    Demo(demo::Demo),
    /// Run a node
    Serve(Box<serve::Serve>),
    /// Tell what is wrong with workflow definitions, policies and topic rules
    Check(check::Check),
    /// Tell what a code means
    Explain(explain::Explain),
    /// Deploy a CloudFormation or SAM template
    Deploy(Box<deploy::Deploy>),
    /// Show what an execution did, and why
    Show(show::Show),
    /// Run a program so that its AWS SDK and MQTT client reach the node
    Run(run::Run),
    /// Print the exports for AWS tools
    Env(env::Env),
}

/// Does what the command line asks; the whole of `main`.
pub fn run() -> ExitCode {
    if let Some(failed) = attend::become_asked(std::env::args_os()) {
        return failed;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too. Nothing is left to do if they cannot be printed.
            let _ = error.print();
            return if error.use_stderr() { code(Exit::Usage) } else { ExitCode::SUCCESS };
        }
    };
    match perform(cli.verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.exit != Exit::Interrupted {
                let _ = writeln!(std::io::stderr(), "{failure}");
            }
            code(failure.exit)
        }
    }
}

fn perform(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Demo(demo) => on_runtime(demo.run()),
        Verb::Serve(serve) => on_runtime(serve.run()),
        Verb::Check(check) => check.run(),
        Verb::Explain(explain) => explain.run(),
        Verb::Env(env) => env.run(),
        Verb::Deploy(deploy) => on_runtime(deploy.run()),
        Verb::Show(show) => show.run(),
        Verb::Run(run) => run.run(),
    }
}

fn on_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot start worker threads: {error}"))
    })?;
    let outcome = runtime.block_on(work);
    // Requests under way need not hold up the end of the process.
    runtime.shutdown_background();
    outcome
}

fn code(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}

/// Prints a line on standard output. A reader that has gone away is no error.
fn print(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn host_port(text: &str) -> Result<HostPort, String> {
    HostPort::parse(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_fits_one_screen_and_every_verb_has_two_examples() {
        let mut command = Cli::command();
        assert!(command.render_long_help().to_string().lines().count() <= 40);
        for verb in command.get_subcommands_mut() {
            let help = verb.render_long_help().to_string();
            let examples = help.split("Examples:\n").nth(1).unwrap_or_default();
            let count = examples.lines().filter(|line| line.contains("stepwire")).count();
            assert_eq!(count, 2, "{}", verb.get_name());
        }
    }
}
