//! Item readers of objects that name other objects, and of folders of the node.

#![expect(clippy::unwrap_used, reason = "tests")]

mod node;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use node::{Node, text};
use stepwire_asl::Json;
use stepwire_core::Settings;

/// A machine whose Map gives each item back.
fn reading(api: &str, config: &str, parameters: &str) -> String {
    format!(
        r#"{{"StartAt":"M","States":{{"M":{{"Type":"Map","End":true,
        "ItemReader":{{"Resource":"arn:aws:states:::s3:{api}","ReaderConfig":{{{config}}},
            "Parameters":{{{parameters}}}}},
        "ItemBatcher":{{"MaxItemsPerBatch":100}},
        "ItemProcessor":{{"ProcessorConfig":{{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"}},
            "StartAt":"P","States":{{"P":{{"Type":"Pass","End":true}}}}}}}}}}}}"#
    )
}

fn zipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// What became of an execution: its items, or its error.
fn items(node: &mut Node, arn: &str) -> Result<Vec<Json>, String> {
    let described = node.describe(arn);
    let Some(output) = described.member("output").and_then(Json::as_str) else {
        return Err(format!("{}: {}", text(&described, "error"), text(&described, "cause")));
    };
    let output = Json::parse(output).unwrap();
    let batches = output.as_array().unwrap().iter();
    let batches = batches.map(|batch| batch.member("Items").unwrap().as_array().unwrap());
    Ok(batches.flatten().cloned().collect())
}

/// Runs to the end, killed after every so many steps.
fn run_killed(mut node: Node, definition: &str, every: usize) -> Result<Vec<Json>, String> {
    let arn = node.start("m", definition, "{}");
    let mut steps = 0;
    while node.advance() {
        steps += 1;
        assert!(steps < 10_000, "it does not come to an end");
        if steps % every == 0 {
            node.kill();
        }
    }
    node.check();
    items(&mut node, &arn)
}

fn run(node: Node, definition: &str, killed: bool) -> Result<Vec<Json>, String> {
    run_killed(node, definition, if killed { 1 } else { usize::MAX })
}

fn json(items: Result<Vec<Json>, String>) -> String {
    items.map_or_else(|error| error, |items| Json::array(items).to_text())
}

const MANIFEST: &str = r#"{"sourceBucket":"other","destinationBucket":"arn:aws:s3:::lists",
    "version":"2016-11-30","fileFormat":"CSV","fileSchema":"Bucket, Key, Size",
    "files":[{"key":"1.csv.gz","size":7,"MD5checksum":"x"},{"key":"2.csv.gz"}]}"#;
const OF_MANIFEST: &str = r#""Bucket":"lists","Key":"manifest.json""#;

fn inventory(first: &[u8], second: &[u8]) -> Node {
    let mut settings = Settings::default();
    settings.quotas.payload_bytes_max = 1 << 20;
    let mut node = Node::with(settings);
    node.bucket("lists");
    node.put("lists", "manifest.json", MANIFEST);
    node.put("lists", "1.csv.gz", first);
    node.put("lists", "2.csv.gz", second);
    node
}

#[test]
fn an_inventory_names_objects_by_its_schema() {
    let (first, second) = (zipped("\"b\",\"k/1\",\"12\"\n"), zipped("\"b\",\"k,2\",\"0\"\n"));
    let given = r#"[{"Bucket":"b","Key":"k/1","Size":"12"},{"Bucket":"b","Key":"k,2","Size":"0"}]"#;
    for config in
        [r#""InputType":"MANIFEST""#, r#""ManifestType":"S3_INVENTORY","InputType":"CSV""#]
    {
        let definition = reading("getObject", config, OF_MANIFEST);
        assert_eq!(json(run(inventory(&first, &second), &definition, false)), given, "{config}");
    }
}

#[test]
fn a_large_inventory_is_unzipped_in_slices_and_goes_on_after_a_crash() {
    // Numbers that do not compress well, so that the zipped file takes many slices.
    let row = |n: u64| format!("\"b\",\"{}\",\"{n}\"\n", n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let rows: String = (0..9_000).map(row).collect();
    let first = zipped(&rows);
    assert!(first.len() > 3 * (32 << 10), "{} bytes zipped", first.len());
    let definition = reading("getObject", r#""InputType":"MANIFEST""#, OF_MANIFEST);
    // After a crash it is unzipped anew, which takes some slices.
    for every in [usize::MAX, 10, 7] {
        let node = inventory(&first, &zipped(&row(9_000)));
        let read = run_killed(node, &definition, every).unwrap();
        let sizes = read.iter().map(|item| text(item, "Size").parse::<u64>().unwrap());
        assert!(sizes.eq(0..=9_000), "killed after {every}");
    }
}

#[test]
fn what_is_not_gzip_or_ends_early_fails_the_reader() {
    let definition = reading("getObject", r#""InputType":"MANIFEST""#, OF_MANIFEST);
    let whole = zipped("\"b\",\"k\",\"1\"\n");
    for damaged in [b"a,b,c\n".as_slice(), &whole[..whole.len() - 4]] {
        let failed = run(inventory(damaged, &whole), &definition, false).unwrap_err();
        assert!(
            failed.starts_with("States.ItemReaderFailed: 1.csv.gz cannot be unzipped"),
            "{failed}"
        );
    }
}

#[test]
fn an_unloaded_query_is_read_object_by_object() {
    let mut node = Node::new();
    node.bucket("lists");
    node.bucket("data");
    node.put("lists", "manifest.json", "s3://data/a.gz\ns3://data/b\n");
    node.put("data", "a.gz", zipped("{\"n\":1}\n{\"n\":2}\n"));
    node.put("data", "b", "{\"n\":3}");
    let config = r#""ManifestType":"ATHENA_DATA","InputType":"JSONL""#;
    let definition = reading("getObject", config, OF_MANIFEST);
    assert_eq!(json(run(node, &definition, true)), r#"[{"n":1},{"n":2},{"n":3}]"#);
}

fn with_folder(files: &[(&str, &str)]) -> Node {
    let mut settings = Settings::default();
    settings.items_folders.insert("shelf".into());
    let mut node = Node::with(settings);
    node.files = files.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
    node
}

#[test]
fn a_folder_is_read_like_a_bucket() {
    let files = [("a/1.json", "[1]"), ("a/2.json", "{\"x\":[2,3]}"), ("b.csv", "n\n7\n8\n")];
    let csv = reading("getObject", r#""InputType":"CSV""#, r#""Bucket":"shelf","Key":"b.csv""#);
    assert_eq!(json(run(with_folder(&files), &csv, false)), r#"[{"n":"7"},{"n":"8"}]"#);
    let pointed = reading(
        "getObject",
        r#""InputType":"JSON","ItemsPointer":"/x""#,
        r#""Bucket":"shelf","Key":"a/2.json""#,
    );
    // Some slices need several answers, which a crash forgets.
    assert_eq!(json(run_killed(with_folder(&files), &pointed, 5)), "[2,3]");
    let names = reading("listObjectsV2", "", r#""Bucket":"shelf","Prefix":"a/""#);
    let names = run(with_folder(&files), &names, false).unwrap();
    let names: Vec<_> = names.iter().map(|entry| text(entry, "Key")).collect();
    assert_eq!(names, ["a/1.json", "a/2.json"]);
    let flatten = r#""InputType":"JSON","Transformation":"LOAD_AND_FLATTEN""#;
    let flatten = reading("listObjectsV2", flatten, r#""Bucket":"shelf","Prefix":"a/1""#);
    assert_eq!(json(run_killed(with_folder(&files), &flatten, 5)), "[1]");
    let missing = reading("getObject", r#""InputType":"JSON""#, r#""Bucket":"shelf","Key":"c""#);
    let missing = run(with_folder(&files), &missing, false).unwrap_err();
    let why = "States.ItemReaderFailed: The object c of the bucket shelf does not exist.";
    assert_eq!(missing, why);
}

#[test]
fn a_long_file_is_read_in_slices_and_survives_a_crash_after_each() {
    let lines: String = (0..5_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let definition =
        reading("getObject", r#""InputType":"JSONL""#, r#""Bucket":"shelf","Key":"lines""#);
    let read = run(with_folder(&[("lines", &lines)]), &definition, true).unwrap();
    assert!(read.iter().map(|item| node::number(item, "n")).eq(0..5_000));
}

#[test]
fn a_bucket_hides_a_folder_of_its_name() {
    let mut node = with_folder(&[("k", "[1]")]);
    node.bucket("shelf");
    node.put("shelf", "k", "[2]");
    let definition = reading("getObject", r#""InputType":"JSON""#, r#""Bucket":"shelf","Key":"k""#);
    assert_eq!(json(run(node, &definition, false)), "[2]");
}

#[test]
fn a_run_that_is_stopped_while_a_file_is_read_ends() {
    let mut node = with_folder(&[("k", "[1]")]);
    let definition = reading("getObject", r#""InputType":"JSON""#, r#""Bucket":"shelf","Key":"k""#);
    let arn = node.start("m", &definition, "{}");
    node.advance();
    node.ask("StopExecution", &format!("{{\"executionArn\":\"{arn}\"}}"));
    node.run();
    assert_eq!(text(&node.map_run(&arn), "status"), "ABORTED");
    node.check();
}
