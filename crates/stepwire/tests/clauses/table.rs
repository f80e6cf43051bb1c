//! The table of clauses, `docs/dev/mqtt-clauses.md`, against the pages.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::clause::Clause;
use crate::packet::Version;
use crate::page::Script;

/// How many numbered statements each section has, in the order of the specification.
const STATEMENTS_311: &str = "1.5.3:3 2.2.2:2 2.3.1:7 3.1.0:2 3.1.2:24 3.1.3:11 3.1.4:5 3.2.0:1 \
    3.2.2:6 3.3.1:12 3.3.2:3 3.3.4:1 3.3.5:2 3.6.1:1 3.8.1:1 3.8.3:4 3.8.4:6 3.9.3:2 3.10.1:1 \
    3.10.3:2 3.10.4:6 3.12.4:1 3.14.1:1 3.14.4:3 4.1.0:2 4.3.1:1 4.3.2:2 4.3.3:2 4.4.0:1 4.5.0:2 \
    4.6.0:6 4.7.1:3 4.7.2:1 4.7.3:4 4.8.0:2 6.0.0:4 7.0.0:2 7.1.1:1 7.1.2:1";
/// The same of 5.0, whose 2.2.1 begins with number 2.
const STATEMENTS_5: &str = "1.5.4:3 1.5.5:1 1.5.7:1 2.1.3:1 2.2.1:6 2.2.2:1 3.1.0:2 3.1.2:30 \
    3.1.3:12 3.1.4:6 3.2.0:2 3.2.2:22 3.3.1:13 3.3.2:20 3.3.4:10 3.4.2:3 3.5.2:3 3.6.1:1 3.6.2:3 \
    3.7.2:3 3.8.1:1 3.8.3:5 3.8.4:8 3.9.2:2 3.9.3:2 3.10.1:1 3.10.3:2 3.10.4:6 3.11.2:2 3.11.3:2 \
    3.12.4:1 3.14.0:1 3.14.1:1 3.14.2:4 3.14.4:3 3.15.1:1 3.15.2:3 4.1.0:2 4.2:1 4.3.1:1 4.3.2:5 \
    4.3.3:13 4.4.0:2 4.5.0:2 4.6.0:6 4.7.0:1 4.7.1:2 4.7.2:1 4.7.3:4 4.8.2:6 4.9.0:3 4.12.0:7 \
    4.12.1:2 4.13.1:1 4.13.2:1 6.0.0:4";

/// Every number there is.
fn statements() -> Vec<Clause> {
    let of = |specification, sections: &'static str| {
        sections.split_whitespace().flat_map(move |section| {
            let (section, count) = section.split_once(':').unwrap();
            let numbers = 1..=count.parse::<u32>().unwrap();
            numbers.map(move |number| {
                Clause::parse(specification, &format!("{section}-{number}")).unwrap()
            })
        })
    };
    let missing = Clause::parse(Version::V5, "2.2.1-1");
    let all = of(Version::V311, STATEMENTS_311).chain(of(Version::V5, STATEMENTS_5));
    all.filter(|clause| Some(clause) != missing.as_ref()).collect()
}

pub(crate) fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/dev/mqtt-clauses.md")
}

/// The table as it must be: every row of a proven clause says where it is proven.
pub(crate) fn rewritten(text: &str, scripts: &[Script]) -> String {
    let proofs = proofs(scripts);
    let mut specification = None;
    let mut result = String::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## MQTT ") {
            specification = Version::parse(title);
        }
        match row(line, specification) {
            Some((clause, demand, reason)) => {
                let place = proofs.get(&clause).cloned().unwrap_or_else(|| reason.to_owned());
                writeln!(result, "| {clause} | {demand} | {place} |").unwrap();
            }
            None => writeln!(result, "{line}").unwrap(),
        }
    }
    result
}

/// What is wrong with the table itself: numbers that are missing, repeated or not in order, and
/// rows without a proof that do not say why.
pub(crate) fn faults(text: &str, scripts: &[Script]) -> String {
    let proofs = proofs(scripts);
    let mut faults = String::new();
    let mut specification = None;
    let mut listed = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## MQTT ") {
            specification = Version::parse(title);
        }
        let Some((clause, demand, place)) = row(line, specification) else { continue };
        let reasons = ["client: ", "not seen: ", "not offered: ", "elsewhere: "];
        let said = reasons.iter().any(|reason| place.starts_with(reason));
        if demand.is_empty() || !proofs.contains_key(&clause) && !said {
            writeln!(faults, "{clause}: neither proven nor a reason why not: {place}").unwrap();
        }
        listed.push(clause);
    }
    let wanted = statements();
    for clause in wanted.iter().filter(|clause| !listed.contains(clause)) {
        writeln!(faults, "{:?} {clause}: not in the table", clause.specification).unwrap();
    }
    for clause in listed.iter().chain(proofs.keys()).filter(|clause| !wanted.contains(clause)) {
        writeln!(faults, "{:?} {clause}: no such statement", clause.specification).unwrap();
    }
    if faults.is_empty() && listed != wanted {
        faults.push_str("the rows are not in the order of the specification\n");
    }
    faults
}

/// Clause, what it demands, and the third column.
fn row(line: &str, specification: Option<Version>) -> Option<(Clause, &str, &str)> {
    let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
    let &[clause, demand, place] = cells.as_slice() else { return None };
    Some((Clause::parse(specification?, clause)?, demand, place))
}

/// Links to the scripts that prove each clause.
fn proofs(scripts: &[Script]) -> BTreeMap<Clause, String> {
    let mut proofs: BTreeMap<Clause, String> = BTreeMap::new();
    for script in scripts {
        let Script { page, title, .. } = script;
        let link = format!(
            "[{page}: {title}](../../crates/stepwire/tests/clauses/{page}.md#{})",
            anchor(title)
        );
        for clause in &script.clauses {
            let links = proofs.entry(clause.clone()).or_default();
            if !links.is_empty() {
                links.push_str(", ");
            }
            links.push_str(&link);
        }
    }
    proofs
}

/// How a heading is linked to.
fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}
