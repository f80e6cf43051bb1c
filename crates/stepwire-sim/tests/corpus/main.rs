//! What was recorded from Step Functions itself, played on the kernel.
//!
//! The recordings are no part of the repository; where they are absent the tests say so and pass.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "tells what was compared")]

mod bench;
mod compare;
mod script;
mod stubs;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use stepwire_asl::Json;

use bench::Crash;
use script::{Case, Played};

/// Lives of one case in which the process is killed once.
const CRASHES_MAX: u64 = 24;

fn cases(wanted: impl Fn(&Case) -> bool) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/asl/open");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: no recordings at {}", folder.display());
        return Vec::new();
    };
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let read = |file: &std::path::PathBuf| {
        Case(Json::parse(&std::fs::read_to_string(file).unwrap()).unwrap())
    };
    let only = std::env::var("CASE").unwrap_or_default();
    let cases = files.iter().map(read);
    let cases = cases.filter(|case| case.0.member("complete") == Some(&Json::Bool(true)));
    cases.filter(|case| case.text("id").contains(&only) && wanted(case)).collect()
}

/// Whether it needs no service but functions and objects.
fn is_playable(case: &Case) -> bool {
    let needs = case.0.member("needs").map(Json::to_text).unwrap_or_default();
    case.text("tier") != "services" || needs == r#"["s3"]"#
}

/// Ids under these headings of `docs/dev/corpus.md`.
fn listed(headings: &[&str]) -> BTreeSet<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/dev/corpus.md");
    let page = std::fs::read_to_string(page).unwrap();
    let wanted = page.split("\n## ").filter(|part| headings.iter().any(|h| part.starts_with(h)));
    let ids = wanted.flat_map(str::lines);
    let ids = ids.filter_map(|line| line.strip_prefix("- `")?.split_once('`'));
    ids.map(|(id, _)| id.to_owned()).collect()
}

#[test]
fn recorded_cases_are_reproduced() {
    let (mut same, mut wrong) = (0, BTreeMap::new());
    let cases = cases(is_playable);
    for case in &cases {
        let played = case.play(Crash::Never);
        match played.and_then(|played| case.judge(&played)) {
            Ok(()) => same += 1,
            Err(why) => drop(wrong.insert(case.text("id"), why)),
        }
    }
    println!("{same} cases as recorded, {} not", wrong.len());
    let by_chance = listed(&["By the clock"]);
    let listed = listed(&["Answered otherwise", "In process"]);
    wrong.retain(|id, _| !by_chance.contains(*id));
    let unlisted: Vec<_> = wrong.iter().filter(|(id, _)| !listed.contains(**id)).collect();
    let tell = |(id, why): &(&&str, &String)| format!("{id}: {why}");
    let told = unlisted.iter().map(tell).collect::<Vec<_>>().join("\n");
    assert!(unlisted.is_empty(), "not in docs/dev/corpus.md:\n{told}");
    let passing = cases.iter().map(|case| case.text("id")).filter(|id| !wrong.contains_key(id));
    let passing: Vec<_> = passing.filter(|id| listed.contains(*id)).collect();
    assert!(passing.is_empty(), "in docs/dev/corpus.md, but as recorded: {passing:?}");
}

#[test]
fn a_crash_after_any_commit_changes_no_history() {
    let (mut crashes, mut wrong) = (0, Vec::new());
    for case in cases(|case| is_playable(case) && case.text("kind") == "execution") {
        let Ok(whole) = case.play(Crash::Never) else { continue };
        // Scripts of many executions are long: a few of their commits, and all in one life each.
        let step = whole.commits.div_ceil(CRASHES_MAX);
        let once = (1..=whole.commits).step_by(step as usize).map(Crash::After);
        for crash in once.chain([Crash::Always]) {
            crashes += 1;
            let why = match case.play(crash) {
                Ok(played) => first_difference(&whole, &played),
                Err(why) => Some(why),
            };
            if let Some(why) = why {
                wrong.push(format!("{}, {crash:?}: {why}", case.text("id")));
            }
        }
    }
    println!("{crashes} lives with crashes");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn first_difference(whole: &Played, killed: &Played) -> Option<String> {
    for ((step, wanted), (_, found)) in whole.histories.iter().zip(&killed.histories) {
        let same = |(a, b): &(&Json, &Json)| compare::placed(a) == compare::placed(b);
        let differs = wanted.iter().zip(found).find(|pair| !same(pair));
        if let Some((wanted, found)) = differs {
            return Some(format!("{step}: {wanted} became {found}"));
        }
        if wanted.len() != found.len() {
            return Some(format!("{step}: {} events became {}", wanted.len(), found.len()));
        }
    }
    None
}
