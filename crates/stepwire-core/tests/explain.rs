//! Why a rule does not match, page by page: `tests/cases/explain/*.md`.
//!
//! A page is prose and fenced blocks. ```` ```message TOPIC ```` gives the payload that the blocks
//! behind it are tried on. ```` ```explain ```` holds a statement, or a `topicRulePayload` as JSON,
//! then a line `---`, then what is said. New expectations: `UPDATE=1 cargo test --test explain`.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests, which read pages")]

use std::fmt::Write as _;
use std::path::Path;

use stepwire_asl::{Json, Timestamp};
use stepwire_core::Settings;
use stepwire_core::rules::evaluate::{Sample, Sources, Tested};

/// What is said of a rule and a message.
fn explained(rule: &str, sample: &Sample) -> String {
    let tested = if rule.trim_start().starts_with('{') {
        Tested::new(Some("tested".into()), &Json::parse(rule).unwrap())
    } else {
        Tested::of_statement(rule, None)
    };
    let tested = match tested {
        Ok(tested) => tested,
        Err(refused) => return format!("refused: {}", refused.error),
    };
    let settings = Settings::default();
    let message = sample.clone().message(Timestamp(1_700_000_000_000), &settings).unwrap();
    let explanation = tested.explain(&message, &settings, &Sources::default());
    let again = explanation.to_json();
    assert_eq!(again.member("matches").and_then(Json::as_bool), Some(explanation.matches));
    explanation.to_string()
}

/// The page with what is said now.
fn told_again(page: &str) -> String {
    let mut made = String::new();
    let mut sample = Sample::new("x", "{}");
    for (at, part) in page.split("\n```").enumerate() {
        if at > 0 {
            made.push_str("\n```");
        }
        if at % 2 == 0 {
            made.push_str(part);
            continue;
        }
        let (head, block) = part.split_once('\n').unwrap();
        match head.split_once(' ') {
            Some(("message", topic)) => {
                sample = Sample::new(topic, block.to_owned());
                sample.client_id = Some("gw-1".into());
                made.push_str(part);
            }
            _ => {
                assert_eq!(head, "explain", "an unknown block");
                let rule = block.split("\n---").next().unwrap();
                let _ = write!(made, "{head}\n{rule}\n---\n{}", explained(rule, &sample));
            }
        }
    }
    made
}

#[test]
fn every_page_says_why() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/explain"));
    let mut paths: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 4, "pages are in {}", folder.display());
    let mut wrong = String::new();
    for path in paths {
        let page = std::fs::read_to_string(&path).unwrap();
        let now = told_again(&page);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, now).unwrap();
            continue;
        }
        for (expected, found) in page.split("\n```").zip(now.split("\n```")) {
            if expected != found {
                let _ = writeln!(wrong, "{}\nwanted {expected}\nfound {found}\n", path.display());
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
