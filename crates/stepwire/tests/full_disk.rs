//! A disk that fills up, and has room again: a small tmpfs in a mount namespace of its own.

#![expect(clippy::unwrap_used, reason = "tests")]
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use stepwire::demo::api::{Api, Error};
use stepwire_asl::{Entropy, Json};

/// Runs the node on a disk of 8 MiB until it ends, then on the same disk with more room.
const SCRIPT: &str = r#"mount -t tmpfs -o size=8m tmpfs "$0" || exit 77
"$@"
echo "exit $?"
mount -o remount,size=256m "$0" || exit 77
exec "$@""#;
/// More than the disk holds, in items of 100 kB.
const ITEMS: usize = 200;

/// The script and what it prints. It ends with the test.
struct Disk {
    script: Child,
    lines: BufReader<ChildStdout>,
    errors: File,
}

impl Disk {
    /// `None` where this user may not mount a file system of its own.
    fn new(folder: &Path) -> Option<Disk> {
        let errors = tempfile::tempfile().unwrap();
        let mut script = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", SCRIPT])
            .arg(folder)
            .arg(env!("CARGO_BIN_EXE_stepwire"))
            .args(["serve", "--http", "0", "--mqtts", "0", "--data"])
            .arg(folder.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone().unwrap())
            .process_group(0)
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(script.stdout.take().unwrap());
        let started = !lines.fill_buf().unwrap().is_empty();
        let mut disk = Disk { script, lines, errors };
        if !started {
            let told = format!("skipped: no file system can be mounted here: {}", disk.told());
            std::io::stderr().write_all(told.as_bytes()).unwrap();
            return None;
        }
        Some(disk)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    /// A client of the node that has just become ready.
    fn api(&mut self) -> Api {
        let ready = self.line();
        let endpoint = ready.split_whitespace().find_map(|word| word.strip_prefix("http="));
        let endpoint = endpoint.unwrap_or_else(|| panic!("`{ready}`: {}", self.told()));
        Api::new(endpoint.to_owned()).unwrap()
    }

    /// Everything on standard error so far.
    fn told(&mut self) -> String {
        let mut text = String::new();
        self.errors.rewind().unwrap();
        self.errors.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let group = format!("-{}", self.script.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.script.wait();
    }
}

#[tokio::test]
async fn a_full_disk_ends_the_node_with_a_hint_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut disk) = Disk::new(folder.path()) else { return };
    let api = disk.api();
    create_table(&api).await;
    let mut stored = 0;
    while stored < ITEMS && put(&api, stored).await.is_ok() {
        stored += 1;
    }
    assert!((1..ITEMS).contains(&stored), "{stored} items stored");
    assert_eq!(disk.line(), "exit 1\n");
    let data = folder.path().join("data").display().to_string();
    let full =
        format!("error: the disk of `{data}` is full\nhint: free some space and start again");
    let told = disk.told();
    assert!(told.starts_with(&full) && told.lines().count() == 2, "{told}");

    let api = disk.api();
    for number in 0..stored {
        assert!(has(&api, number).await, "item {number} of {stored} is lost");
    }
    put(&api, stored).await.unwrap();
}

async fn create_table(api: &Api) {
    let table = Json::parse(
        r#"{"TableName": "items", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}]}"#,
    );
    api.tables("CreateTable", table.unwrap()).await.unwrap();
}

fn text(text: &str) -> Json {
    Json::object([("S", Json::from(text))])
}

async fn put(api: &Api, number: usize) -> Result<Json, Error> {
    // 100 kB that no engine can make smaller.
    let mut dice = Entropy::new(number as u64);
    let value: String = (0..6_250).map(|_| format!("{:016x}", dice.next_u64())).collect();
    let item = Json::object([("k", text(&number.to_string())), ("v", text(&value))]);
    api.tables("PutItem", Json::object([("TableName", Json::from("items")), ("Item", item)])).await
}

async fn has(api: &Api, number: usize) -> bool {
    let key = Json::object([("k", text(&number.to_string()))]);
    let body = Json::object([("TableName", Json::from("items")), ("Key", key)]);
    api.tables("GetItem", body).await.unwrap().member("Item").is_some()
}
