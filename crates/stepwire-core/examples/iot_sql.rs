//! IoT SQL on stdin: a case a line as JSON, and a line of JSON as the answer to each.
//!
//! `cargo run -p stepwire-core --example iot_sql < cases.jsonl`. A case has `id`, `sql`,
//! `sqlVersion`, `topic`, and `payload`, `payloadText` or `payloadBase64`; perhaps `clientId`,
//! `context`, `ruleName`, `template`, `stubs`. Answers are `{"id", "output", "outputText"}`,
//! `{"id", "noMatch": true}` or `{"id", "error", "message"}`.
#![expect(clippy::print_stdout, reason = "a tool for developers")]

#[path = "../tests/iot_sql_case/mod.rs"]
mod iot_sql_case;

use std::io::BufRead as _;

use iot_sql_case::Outcome;
use stepwire_asl::Json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let case = Json::parse(&line).map_err(|error| error.to_string())?;
        let id = ("id", case.member("id").cloned().unwrap_or_default());
        let answer = match iot_sql_case::run(&case) {
            Outcome::Output(value, text) => {
                Json::object([id, ("output", value), ("outputText", text.into())])
            }
            Outcome::NoMatch => Json::object([id, ("noMatch", true.into())]),
            Outcome::Refused(why) => {
                Json::object([id, ("error", "SqlParseException".into()), ("message", why.into())])
            }
        };
        println!("{answer}");
    }
    Ok(())
}
