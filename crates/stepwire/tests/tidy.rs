//! What must stay true of the source tree, checked mechanically.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Crates that may not do anything but compute.
const PURE: &[&str] = &["stepwire-asl", "stepwire-core"];
/// What would give them a clock, dice, sockets or threads.
const IMPURE: &[&str] = &[
    "tokio",
    "mio",
    "getrandom",
    "rand",
    "fastrand",
    "socket2",
    "reqwest",
    "hyper",
    "rustls",
    "fjall",
    "tempfile",
    "tracing",
    "log",
    "stepwire-store",
    "stepwire-aws",
    "stepwire",
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Reaches dice of its own, which are overridden by ours wherever it is used (ADR 0007).
const TAMED: &str = "jsonata-core";

/// Everything `package` is built from, but for what [`TAMED`] brings to the pure crates.
fn dependencies(package: &str) -> BTreeSet<String> {
    let tree = ["tree", "--offline", "-e", "normal", "--prefix", "none"];
    let prune: &[&str] = if PURE.contains(&package) { &["--prune", TAMED] } else { &[] };
    let arguments = [&tree[..], prune, &["-p", package]].concat();
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn pure_crates_reach_no_clock_dice_or_socket() {
    for package in PURE {
        let reached = dependencies(package);
        assert!(reached.contains(*package), "cargo tree lists the package itself");
        let impure: Vec<_> = IMPURE.iter().filter(|name| reached.contains(**name)).collect();
        assert!(impure.is_empty(), "{package} reaches {impure:?}");
    }
}

#[test]
fn nothing_but_the_shell_reaches_a_runtime() {
    for package in ["stepwire-store", "stepwire-aws", "stepwire-sim"] {
        assert!(!dependencies(package).contains("tokio"), "{package} reaches tokio");
    }
}

#[test]
fn pure_crates_forbid_clocks_and_hash_maps() {
    for package in PURE {
        let lints = root().join("crates").join(package).join("clippy.toml");
        let text = std::fs::read_to_string(lints).unwrap();
        for forbidden in ["SystemTime::now", "Instant::now", "HashMap", "thread::spawn", "fs::read"]
        {
            assert!(text.contains(forbidden), "{package}/clippy.toml does not forbid {forbidden}");
        }
    }
}

#[test]
fn serde_json_keeps_its_own_numbers() {
    let lock = root().join("Cargo.toml");
    let text = std::fs::read_to_string(lock).unwrap();
    assert!(!text.contains("arbitrary_precision"));
}
