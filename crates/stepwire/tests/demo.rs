//! The demo from the outside: the whole story with real sockets, keys and a real disk.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stepwire"))
        .args(["demo", "--exit", "-o", "json", "--http", "0", "--mqtts", "0"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The summary of a demo that must have gone well.
fn summary(output: &Output) -> Value {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_device_is_configured_and_the_silent_ones_fail_by_their_heartbeat() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let summary = summary(&demo(&["--devices", "30", "--silent", "10", "--data", data]));
    for (name, count) in
        [("devices", 30), ("started", 30), ("succeeded", 27), ("failed", 3), ("lost", 0)]
    {
        assert_eq!(summary[name], count, "{name} in {summary}");
    }
    for name in [
        "connect_to_published_p50_ms",
        "connect_to_published_p99_ms",
        "answer_to_closed_p50_ms",
        "answer_to_closed_p99_ms",
    ] {
        assert!(summary[name].is_u64(), "{name} in {summary}");
    }
}

#[test]
fn a_demo_goes_on_with_the_data_of_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    for _ in 0..2 {
        let summary = summary(&demo(&["--devices", "5", "--silent", "0", "--data", data]));
        assert_eq!(summary["succeeded"], 5, "{summary}");
    }
}

#[test]
fn the_folder_of_a_demo_without_data_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_stepwire"))
        .args(["demo", "--devices", "2", "--silent", "0", "--exit", "--http", "0", "--mqtts", "0"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
