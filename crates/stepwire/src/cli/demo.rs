//! `stepwire demo`: its command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::failure::{Exit, Failure};
use super::print;
use crate::config::parse_address;
use crate::demo::{self, Ending, Options, Summary};

/// Runs the story of the README with simulated devices, on this machine alone.
///
/// Exit code 0 with `--exit` says: nothing was lost, and every execution ended as it should.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stepwire demo
  stepwire demo --devices 200 --exit -o json")]
pub(super) struct Demo {
    /// How many devices connect
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    devices: u32,
    /// How many devices in a hundred never answer
    #[arg(long, value_name = "PCT", default_value_t = 2.0, value_parser = percent)]
    silent: f64,
    /// End when all executions have ended, and print a summary
    #[arg(long)]
    exit: bool,
    /// How the summary is printed
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    output: Format,
    /// Keep the data in this folder
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the AWS API and the console listen [default: 127.0.0.1:4566, or a free port]
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    http: Option<SocketAddr>,
    /// Where devices connect [default: 127.0.0.1:8883, or a free port]
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    mqtts: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object
    Json,
}

impl Demo {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let format = self.output;
        let exit = self.exit;
        let (summary, ending) = demo::run(self.options()).await?;
        print(&match format {
            Format::Table => summary.to_string(),
            Format::Json => serde_json::to_string(&summary).unwrap_or_default(),
        });
        verdict(&summary, ending, exit)
    }

    fn options(self) -> Options {
        Options {
            devices: self.devices as usize,
            silent_percent: self.silent,
            exit: self.exit,
            data: self.data,
            http: self.http,
            mqtts: self.mqtts,
        }
    }
}

fn verdict(summary: &Summary, ending: Ending, exit: bool) -> Result<(), Failure> {
    match ending {
        Ending::Interrupted => Err(Failure::new(Exit::Interrupted, "interrupted")),
        Ending::Asked if !exit => Ok(()),
        Ending::Settled | Ending::Asked if summary.is_good() => Ok(()),
        Ending::Settled | Ending::Asked | Ending::Stuck => {
            let missing = summary.devices - summary.connected;
            Err(Failure::new(
                Exit::Failed,
                format!(
                    "{} lost, {} unfinished, {} ended otherwise than they should, {missing} devices never online",
                    summary.lost, summary.running, summary.unexpected
                ),
            )
            .hint("`--data DIR` keeps the data, so that `aws stepfunctions get-execution-history` can tell why"))
        }
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("must be a number from 0 to 100".to_owned()),
    }
}
