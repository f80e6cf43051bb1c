//! `stepwire check`: what is wrong with workflow definitions and device policies, and where.

mod examine;
mod policy;
mod render;

use std::io::{IsTerminal, Read};

use clap::{Args, ValueEnum};
use stepwire_asl::Severity;
use stepwire_core::executions::Kind;

use self::examine::Examined;
use super::failure::{Exit, Failure};
use super::print;

/// Tells what is wrong with workflow definitions or device policies: line, column and what to do about it.
///
/// Errors are what CreateStateMachine or CreatePolicy refuses; warnings are what it accepts and may still disappoint.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit code: 0 without errors, 4 with
Examples:
  stepwire check statemachine/*.asl.json
  stepwire check --policy device-policy.json")]
pub(super) struct Check {
    /// Definitions in the States Language, or policies; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// What the definitions are for
    #[arg(long = "type", value_name = "TYPE", default_value = "standard")]
    kind: Type,
    /// The files are policies of AWS IoT
    #[arg(long, conflicts_with = "kind")]
    policy: bool,
    /// How to tell
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Form,
    /// Whether to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Type {
    Standard,
    Express,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Check {
    pub(super) fn run(&self) -> Result<(), Failure> {
        if self.policy { self.policies() } else { self.definitions() }
    }

    fn definitions(&self) -> Result<(), Failure> {
        let kind = match self.kind {
            Type::Standard => Kind::Standard,
            Type::Express => Kind::Express,
        };
        let mut examined = Vec::new();
        for file in &self.files {
            examined.push(Examined::new(file, read(file)?, kind));
        }
        match self.output {
            Form::Json => print(&render::json(&examined)),
            Form::Text => examined.iter().for_each(|file| print(&self.told(file))),
        }
        let errors: usize = examined.iter().map(|file| file.count(Severity::Error)).sum();
        if errors == 0 {
            return Ok(());
        }
        let wrong = examined.iter().filter(|file| file.count(Severity::Error) > 0).count();
        let message = format!(
            "{} in {}",
            render::counted(errors, "error"),
            render::counted(wrong, "definition")
        );
        Err(Failure::new(Exit::Rejected, message).hint("`stepwire explain CODE` tells more"))
    }

    fn policies(&self) -> Result<(), Failure> {
        let mut examined = Vec::new();
        for file in &self.files {
            examined.push(policy::Examined::new(file, read(file)?));
        }
        match self.output {
            Form::Json => print(&policy::json(&examined)),
            Form::Text => examined.iter().for_each(|file| print(&file.told(self.is_colored()))),
        }
        let message = match examined.iter().filter(|file| file.is_malformed()).count() {
            0 => return Ok(()),
            1 => "1 policy is malformed".to_owned(),
            count => format!("{count} policies are malformed"),
        };
        Err(Failure::new(Exit::Rejected, message))
    }

    fn told(&self, file: &Examined) -> String {
        render::text(file, self.is_colored())
    }

    fn is_colored(&self) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
                let wanted = std::io::stdout().is_terminal() && !set("NO_COLOR");
                wanted || set("CLICOLOR_FORCE")
            }
        }
    }
}

fn read(file: &str) -> Result<String, Failure> {
    let bytes = if file == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    let bytes = bytes.map_err(|error| {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Failed,
        };
        Failure::new(exit, format!("cannot read `{file}`: {error}"))
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::new(Exit::Rejected, format!("`{file}` is not UTF-8: byte {at}"))
    })
}
