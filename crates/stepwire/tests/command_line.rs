//! The program as users start it: what it prints, and what it exits with.

#![expect(clippy::unwrap_used, reason = "tests")]

mod server;

use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use server::{Server, stepwire};

fn run(arguments: &[&str]) -> Output {
    stepwire(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_node_says_when_it_is_ready_and_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let node = Server::with_data(&folder.path().join("data"));
    assert!(node.told("http").starts_with("http://127.0.0.1:"));
    assert!(node.told("mqtts").starts_with("mqtts://127.0.0.1:"));
    assert_eq!(node.terminate(), 0);
}

#[test]
fn the_environment_of_a_running_node_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let node = Server::with_data(folder.path());
    let output = run(&["env", "--data", data]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("export AWS_ENDPOINT_URL={}\n", node.told("http"))), "{text}");
    assert!(text.contains("export AWS_ACCESS_KEY_ID=AKIA"), "{text}");
    let ca = text.lines().find_map(|line| line.strip_prefix("export STEPWIRE_CA=")).unwrap();
    assert!(Path::new(ca).is_absolute() && Path::new(ca).exists());
    node.terminate();
    assert_eq!(run(&["env", "--data", data]).status.code(), Some(5));
}

#[test]
fn a_taken_port_is_told_with_its_holder() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    for (option, other) in [("--http", "--mqtts"), ("--mqtts", "--http")] {
        let output = run(&["serve", "--data", data, option, &address, other, "0"]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.starts_with(&format!("error: cannot listen on {address}: address in use")));
        assert!(text.contains(&format!("hint: stop it, or use `{option} 127.0.0.1:")), "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}

#[test]
fn a_folder_in_use_is_told_with_the_process_that_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = Server::with_data(folder.path());
    let data = folder.path().to_str().unwrap();
    let output = run(&["serve", "--data", data, "--http", "0", "--mqtts", "0"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let by = format!("is in use by another stepwire (pid {})\nhint: ", node.pid());
    assert!(text.contains(&by), "{text}");
}

#[test]
fn a_folder_that_cannot_be_made_is_told_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("data");
    let output = run(&["serve", "--data", below.to_str().unwrap(), "--http", "0", "--mqtts", "0"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("error: cannot use data folder `"), "{text}");
    assert!(text.contains("\nhint: choose a folder you may write with `--data DIR`"), "{text}");
}

#[test]
fn a_folder_of_a_newer_version_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    Server::with_data(folder.path()).terminate();
    let format = folder.path().join("FORMAT");
    let newer = std::fs::read_to_string(&format).unwrap().replace('1', "9999");
    std::fs::write(&format, &newer).unwrap();
    let output = run(&["serve", "--data", data, "--http", "0", "--mqtts", "0"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("has format 9999; stepwire "), "{text}");
    assert_eq!(std::fs::read_to_string(&format).unwrap(), newer);
}

#[test]
fn plain_text_off_loopback_is_a_usage_error() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:1883"] {
        let output = run(&["serve", "--memory", "--http", "0", "--mqtts", "0", "--mqtt", address]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains("would be open to the network\nhint: "));
    }
    let open = ["--http", "0.0.0.0:0", "--mqtts", "0", "--allow-anonymous"];
    let output = run(&[&["serve", "--memory"][..], &open].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("`--allow-anonymous` needs a plaintext listener"));
}

#[test]
fn what_is_not_understood_is_a_usage_error() {
    for arguments in [
        &["serve", "--http", "nowhere"][..],
        &["serve", "--data", "a", "--memory"],
        &["demo", "--devices", "0"],
        &["demo", "--silent", "101"],
        &["demo", "-o", "yaml"],
        &["demo", "--mqtts", "0.0.0.0:0"],
        &["dance"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).starts_with("error: "));
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for argument in ["--help", "--version"] {
        let output = run(&[argument]);
        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
}
