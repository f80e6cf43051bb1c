//! IoT SQL, page by page: `tests/cases/sql/*.md`.
//!
//! A page is prose and fenced blocks. ```` ```message TOPIC ```` gives the payload that the blocks
//! behind it are evaluated against.
//!
//! - ```` ```values ````: a line each, an expression and after ` → ` what it is: JSON, or `undefined`.
//! - ```` ```selects ````: a statement and after ` → ` its result, or `no match`; ` → ` may begin
//!   the next line.
//! - ```` ```refused ````: a statement, a line with a caret under the fault and what is said of it.
//! - ```` ```warned ````: the same for what is accepted with a warning.
//!
//! ```` ```version NAME ```` sets the version of the language for what is behind it, and
//! ```` ```outside ```` what others answer. ```` ```properties ```` are those of the message before.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests, which read pages")]

mod sql_answers;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};
use stepwire_core::Settings;
use stepwire_core::message::{Client, Identity, Message, Origin, Profile, Properties, QoS};
use stepwire_core::rules::sql::{Error, Facts, Statement, Value, Version};

use sql_answers::Answers;

/// A message from device `gw-1`.
fn message(topic: &str, payload: &str) -> Message {
    let client = Client {
        id: "gw-1".into(),
        identity: Identity::Certificate("ab".repeat(32).into()),
        profile: Profile::Standard,
        thing: Some("gw-1".into()),
        exclusive: false,
        ip: [192, 0, 2, 7].into(),
        session: "s".into(),
    };
    Message {
        topic: topic.into(),
        payload: payload.to_owned().into(),
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: Properties::default(),
        origin: Origin::Client(Arc::new(client)),
        at: Timestamp(1_700_000_000_000),
    }
}

/// What a statement makes of a message, as text.
fn result(statement: &str, about: &About) -> String {
    let message = &about.message;
    let statement = match Statement::parse(statement, about.version) {
        Ok(statement) => statement,
        Err(error) => return format!("refused: {error}"),
    };
    let payload = Json::parse_bytes(&message.payload).ok();
    let settings = Settings::default();
    let facts = Facts::new(message, payload.as_ref(), &settings, 1).asking(&about.answers);
    match statement.run(&facts) {
        None => "no match".to_owned(),
        Some(Value::Undefined) => "undefined".to_owned(),
        Some(Value::Json(json)) => json.to_text(),
        Some(Value::Bytes(bytes)) => format!("bytes {}", String::from_utf8_lossy(&bytes)),
    }
}

/// A caret under the fault and what is said of it, as pages show it.
fn refusal(statement: &str, version: Version) -> String {
    match Statement::parse(statement, version) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => caret(&error),
    }
}

/// The same for the first warning.
fn warning(statement: &str, version: Version) -> String {
    match Statement::parse(statement, version) {
        Ok(statement) => statement.warnings.first().map_or_else(|| "no warning".to_owned(), caret),
        Err(error) => format!("refused: {error}"),
    }
}

fn caret(error: &Error) -> String {
    let hint = error.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("{}^ {}{hint}", " ".repeat(error.column - 1), error.message)
}

/// What a block is about.
struct About {
    message: Message,
    version: Version,
    answers: Answers,
}

/// The parts of a block: each a text and what is expected of it.
fn pairs(block: &str) -> impl Iterator<Item = (String, String)> {
    let joined = block.replace("\n→ ", " → ");
    let pairs: Vec<_> = joined
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let (text, expected) = line.rsplit_once(" → ").unwrap();
            (text.trim().to_owned(), expected.trim().to_owned())
        })
        .collect();
    pairs.into_iter()
}

#[derive(Default)]
struct Failures(String, usize);

impl Failures {
    fn check(&mut self, text: &str, expected: &str, found: &str) {
        self.1 += 1;
        if found != expected {
            let _ = writeln!(self.0, "{text}\n  wanted {expected}\n  found  {found}");
        }
    }

    fn block(&mut self, kind: &str, block: &str, about: &About) {
        match kind {
            "values" => {
                for (expression, expected) in pairs(block) {
                    let statement = format!("SELECT VALUE ({expression}) FROM 'x'");
                    self.check(&expression, &expected, &result(&statement, about));
                }
            }
            "selects" => {
                for (statement, expected) in pairs(block) {
                    self.check(&statement, &expected, &result(&statement, about));
                }
            }
            "refused" | "warned" => {
                let said = if kind == "refused" { refusal } else { warning };
                let mut statement = Vec::new();
                for line in block.lines() {
                    if line.trim_start().starts_with('^') {
                        let text = std::mem::take(&mut statement).join("\n");
                        self.check(&text, line, &said(&text, about.version));
                    } else {
                        statement.push(line);
                    }
                }
                assert!(statement.is_empty(), "no caret under {statement:?}");
            }
            other => panic!("unknown block `{other}`"),
        }
    }
}

fn page(path: &Path, failures: &mut Failures) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut about =
        About { message: message("x", "{}"), version: Version::V2016, answers: Answers::default() };
    for fenced in text.split("\n```").skip(1).step_by(2) {
        let (head, block) = fenced.split_once('\n').unwrap();
        match head.split_once(' ') {
            Some(("message", topic)) => about.message = message(topic, block),
            Some(("version", name)) => about.version = Version::named(name).unwrap(),
            None if head == "outside" => about.answers = Answers::of(block),
            None if head == "properties" => {
                about.message.properties = sql_answers::properties(block);
            }
            None if head == "proto" => {}
            _ => failures.block(head, block, &about),
        }
    }
}

#[test]
fn every_page_says_what_happens() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/sql"));
    let mut paths: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 4, "pages are in {}", folder.display());
    let mut wrong = String::new();
    for path in paths {
        let mut failures = Failures::default();
        page(&path, &mut failures);
        assert!(failures.1 > 0, "nothing is checked in {}", path.display());
        if !failures.0.is_empty() {
            let _ = writeln!(wrong, "{}\n{}", path.display(), failures.0);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
