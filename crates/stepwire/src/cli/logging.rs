//! What a node tells its operator while it runs: lines on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::failure::{Exit, Failure};

/// The variable that says what is told, such as `debug` or `stepwire::listen=debug`.
const VARIABLE: &str = "STEPWIRE_LOG";

/// From now on, warnings and what `STEPWIRE_LOG` asks for are written to standard error, in colour
/// on a terminal unless `NO_COLOR` is set.
pub(super) fn start() -> Result<(), Failure> {
    let wanted = std::env::var(VARIABLE).unwrap_or_else(|_| "warn".to_owned());
    let filter = EnvFilter::builder().parse(&wanted).map_err(|error| {
        let message = format!("`{VARIABLE}={wanted}` cannot be understood: {error}");
        Failure::new(Exit::Usage, message).hint(format!("for example `{VARIABLE}=debug`"))
    })?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .init();
    Ok(())
}
