//! The pages under `tests/cases`: templates, and what they come to.
//!
//! A page holds blocks. `yaml` or `json` is a template. `given` has what is given to it, one to a line: `NAME =
//! VALUE` for a parameter, `import NAME = VALUE`, `ssm NAME = VALUE`, `local files`, `unknown open`. What comes of it
//! follows: `expanded`, the template with everything filled in; `order`, how its resources can be
//! made; `diagnostics`, what is wrong with it; `notes`; `capabilities`; `changes`, against the
//! template before it on the page.
//!
//! `CASE=sam cargo test --workspace --test templates` runs the pages whose path has `sam` in it;
//! `UPDATE=1` writes what came out into the pages: read the diff. `TEMPLATES=FOLDER` says of every
//! template under a folder what becomes of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "pages are files, chosen by the environment")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use stepwire_asl::Json;
use stepwire_cloudformation::{Artifacts, Diagnostic, Expanded, Given, Template, Unknown, compare};

fn given() -> Given {
    Given {
        region: "eu-west-1".into(),
        account: "123456789012".into(),
        partition: "aws".into(),
        stack_name: "fleet".into(),
        stack_id: "arn:aws:cloudformation:eu-west-1:123456789012:stack/fleet/1".into(),
        url_suffix: "amazonaws.com".into(),
        ..Given::default()
    }
}

#[test]
fn every_page_says_what_comes_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let wanted = std::env::var("CASE").unwrap_or_default();
    let update = std::env::var("UPDATE").is_ok_and(|value| value == "1");
    let mut pages = files(&folder);
    pages.retain(|page| page.strip_prefix(&folder).unwrap().to_string_lossy().contains(&wanted));
    assert!(!pages.is_empty(), "no page has `{wanted}` in its path");
    let mut wrong = String::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let now = rewritten(&text);
        if now == text {
            continue;
        }
        if update {
            std::fs::write(&page, now).unwrap();
            continue;
        }
        let (line, was, is) = first_difference(&text, &now);
        let _ = writeln!(wrong, "{}:{line}\n  page: {was}\n  now:  {is}", page.display());
    }
    assert!(wrong.is_empty(), "{wrong}UPDATE=1 writes what is now");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn first_difference(was: &str, is: &str) -> (usize, String, String) {
    let (mut was, mut is) = (was.lines(), is.lines());
    for number in 1.. {
        match (was.next(), is.next()) {
            (a, b) if a == b && a.is_some() => {}
            (a, b) => return (number, a.unwrap_or("").to_owned(), b.unwrap_or("").to_owned()),
        }
    }
    unreachable!()
}

/// What came of a template.
struct Came {
    result: Result<Expanded, Vec<Diagnostic>>,
    capabilities: String,
}

/// The page with its results as they are now.
fn rewritten(page: &str) -> String {
    let mut out = String::new();
    let mut lines = page.lines();
    let mut template = String::new();
    let mut before: Option<Expanded> = None;
    let mut given = given();
    let mut came: Option<Came> = None;
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let Some(kind) = line.strip_prefix("```").filter(|kind| !kind.is_empty()) else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let body = body.join("\n");
        let result = match kind {
            "yaml" | "json" => {
                before = came.take().and_then(|came| came.result.ok());
                given = self::given();
                template.clone_from(&body);
                body
            }
            "given" => {
                given = self::given();
                came = None;
                body.lines().for_each(|line| give(&mut given, line));
                body
            }
            _ => {
                let came = came.get_or_insert_with(|| run(&template, &given));
                shown(kind, came, before.as_ref())
            }
        };
        out.push_str(result.trim_end());
        out.push_str("\n```\n");
    }
    out
}

fn give(given: &mut Given, line: &str) {
    if line == "local files" {
        given.artifacts = Artifacts::Local;
        return;
    }
    if line == "unknown open" {
        given.unknown = Unknown::Open;
        return;
    }
    let (name, value) = line.split_once(" = ").unwrap_or_else(|| (line.trim_end_matches(" ="), ""));
    if let Some(name) = name.strip_prefix("import ") {
        given.imports.insert(name.into(), Json::from(value));
    } else if let Some(name) = name.strip_prefix("ssm ") {
        given.ssm.insert(name.into(), Json::from(value));
    } else {
        given.parameters.insert(name.into(), value.into());
    }
}

fn run(template: &str, given: &Given) -> Came {
    let parsed = Template::parse(template);
    let capabilities = parsed.as_ref().map(Template::capabilities).unwrap_or_default();
    let result = parsed.and_then(|template| template.expand(given));
    let mut text = String::new();
    for needed in &capabilities {
        let _ = writeln!(text, "{}: {}", needed.capability.name(), needed.reason);
    }
    if let Ok(expanded) = &result {
        for needed in expanded.capabilities() {
            let of = needed.resources.join(", ");
            let _ = writeln!(text, "expanded: {}: {of}", needed.capability.name());
        }
    }
    Came { result, capabilities: text }
}

fn shown(kind: &str, came: &Came, before: Option<&Expanded>) -> String {
    let told = |all: &[Diagnostic]| all.iter().map(|one| format!("{one}\n")).collect::<String>();
    let expanded = match &came.result {
        Ok(expanded) => expanded,
        Err(problems) => return told(problems),
    };
    match kind {
        "expanded" => pretty(&expanded.to_json()),
        "ids" => {
            let lines = expanded.resources.values();
            lines.map(|one| format!("{} {} {}\n", one.place, one.logical_id, one.kind)).collect()
        }
        "order" => expanded.order.join("\n"),
        "notes" => told(&expanded.notes),
        "capabilities" => came.capabilities.clone(),
        "diagnostics" => "none".to_owned(),
        "changes" => {
            let before = before.map(|before| before.resources.clone()).unwrap_or_default();
            let mut text = String::new();
            for change in compare(&before, &expanded.resources) {
                let _ = write!(text, "{:?} {} {}", change.action, change.logical_id, change.kind);
                for property in &change.properties {
                    let _ = write!(text, "; {} {:?}", property.name, property.evaluation);
                    if let Some(cause) = &property.causing_entity {
                        let _ = write!(text, " by {cause}");
                    }
                }
                for attribute in &change.attributes {
                    let _ = write!(text, "; {attribute}");
                }
                text.push('\n');
            }
            text
        }
        other => panic!("no block `{other}`"),
    }
}

/// JSON for reading: indented, short lists and objects on one line.
fn pretty(json: &Json) -> String {
    fn write(json: &Json, level: usize, out: &mut String) {
        let flat = json.to_text();
        if flat.len() + level * 2 <= 90 {
            out.push_str(&flat);
            return;
        }
        let inner = "  ".repeat(level + 1);
        match json {
            Json::Object(members) => {
                out.push_str("{\n");
                for (index, (name, value)) in members.iter().enumerate() {
                    let _ = write!(out, "{inner}{}: ", Json::from(&**name));
                    write(value, level + 1, out);
                    out.push_str(if index + 1 < members.len() { ",\n" } else { "\n" });
                }
                let _ = write!(out, "{}}}", "  ".repeat(level));
            }
            Json::Array(items) => {
                out.push_str("[\n");
                for (index, value) in items.iter().enumerate() {
                    out.push_str(&inner);
                    write(value, level + 1, out);
                    out.push_str(if index + 1 < items.len() { ",\n" } else { "\n" });
                }
                let _ = write!(out, "{}]", "  ".repeat(level));
            }
            other => out.push_str(&other.to_text()),
        }
    }
    let mut out = String::new();
    write(json, 0, &mut out);
    out
}

/// The seed's templates, read where they are.
fn seed(name: &str) -> Expanded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/seed").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let local = Given { artifacts: Artifacts::Local, ..given() };
    Template::parse(&text).and_then(|template| template.expand(&local)).unwrap()
}

#[test]
fn the_blogs_template_comes_to_sixteen_resources() {
    let expanded = seed("config_management.template.yaml");
    assert_eq!(expanded.resources.len(), 16);
    let rule = &expanded.resources["EventReceivedFunctionEventReceived"];
    assert_eq!(rule.kind, "AWS::IoT::TopicRule");
    let payload = rule.properties.member("TopicRulePayload").unwrap().to_json();
    // An unquoted date is a text.
    assert_eq!(payload.member("AwsIotSqlVersion").unwrap().as_str(), Some("2016-03-23"));
    let permission = &expanded.resources["EventReceivedFunctionEventReceivedPermission"];
    assert_eq!(
        permission.properties.member("SourceAccount").unwrap().as_str(),
        Some("123456789012")
    );
    let machine = &expanded.resources["CMStateMachine"].properties;
    assert_eq!(machine.member("StateMachineName").unwrap().as_str(), Some("ConfigManagement"));
    let place = |name: &str| expanded.order.iter().position(|one| one == name).unwrap();
    assert!(place("CMStateMachineRole") < place("CMStateMachine"));
}

#[test]
fn the_template_for_firmware_is_understood() {
    let expanded = seed("firmware_upgrade.template.yaml");
    assert_eq!(expanded.resources.len(), 34);
    let kinds: Vec<&str> = expanded.resources.values().map(|one| &*one.kind).collect();
    assert!(!kinds.iter().any(|kind| kind.starts_with("AWS::Serverless::")));
}

/// Not a test of its own: says what becomes of the templates in a folder that the environment names.
#[test]
fn templates_of_a_folder() {
    let Ok(folder) = std::env::var("TEMPLATES") else { return };
    let mut counts = [0_usize; 3];
    let out = std::env::var("EXPANDED").ok().map(PathBuf::from);
    let mut report = String::new();
    for path in files(Path::new(&folder)) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let mut given = Given { artifacts: Artifacts::Local, ..given() };
        let parsed = Template::parse(&text);
        if let Ok(template) = &parsed {
            for (name, parameter) in template.parameters() {
                if parameter.default.is_none() {
                    let value = parameter.allowed_values.first().map(|value| &**value);
                    let number = parameter.kind.name().contains("Number");
                    let value = value.unwrap_or(if number { "1" } else { "value" });
                    given.parameters.insert(name.clone(), value.to_owned());
                }
            }
            for name in template.stored_names(&given) {
                given.ssm.insert(name, Json::from("stored"));
            }
        }
        let which = if parsed.is_ok() { 1 } else { 2 };
        match parsed.and_then(|template| template.expand(&given)) {
            Ok(expanded) => {
                counts[0] += 1;
                if let Some(out) = &out {
                    let name =
                        path.strip_prefix(&folder).unwrap().to_string_lossy().replace('/', "+");
                    std::fs::write(out.join(name), expanded.to_json().to_text()).unwrap();
                }
                for note in &expanded.notes {
                    let _ = writeln!(report, "note {}: {note}", path.display());
                }
            }
            Err(problems) => {
                counts[which] += 1;
                for problem in problems {
                    let _ = writeln!(report, "{}: {problem}", path.display());
                }
            }
        }
    }
    let summary = format!("expanded {}, refused {}, not read {}", counts[0], counts[1], counts[2]);
    std::fs::write(std::env::var("REPORT").unwrap(), format!("{report}{summary}\n")).unwrap();
}
