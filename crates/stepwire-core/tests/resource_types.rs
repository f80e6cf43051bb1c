//! What resources of CloudFormation become, page by page: `tests/cases/resource-types/*.md`.
//!
//! A page is prose and fenced blocks. ```` ```create TYPE ```` holds properties, a line `---`, then
//! the requests that make the resource and what `Ref` and `Fn::GetAtt` give; ```` ```update ```` the
//! same for other properties of the resource made last, ```` ```delete ```` for its removal;
//! ```` ```examine TYPE ```` what becomes of each property. ```` ```answers ```` before a block has
//! the services' answers, one a line; what is not given is `{}`. New expectations:
//! `UPDATE=1 cargo test --test resource_types`.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests, which read pages")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use stepwire_asl::Json;
use stepwire_core::Request;
use stepwire_core::stacks::kinds::{
    self, Around, Ask, Context, Made, Recreation, Support, Verdict,
};

const CONTEXT: Context<'_> = Context {
    partition: "aws",
    region: "us-east-1",
    account: "000000000000",
    stack_name: "fleet",
    stack_id: "arn:aws:cloudformation:us-east-1:000000000000:stack/fleet/1",
    logical_id: "It",
    token: "1A2B3C4D5E6F",
};

/// More requests than this make no resource.
const ASKS_MAX: usize = 50;

/// All requests, each asked for after the answers to those before.
fn all(
    answers: &[Json],
    mut next: impl FnMut(&[Json]) -> Result<Option<Ask>, String>,
) -> Result<(Vec<Ask>, Vec<Json>), String> {
    let (mut asks, mut given) = (Vec::new(), Vec::new());
    while let Some(ask) = next(&given)? {
        let none = || Json::object::<&str>([]);
        given.push(answers.get(asks.len()).cloned().unwrap_or_else(none));
        asks.push(ask);
        assert!(asks.len() < ASKS_MAX, "no end of requests: {asks:?}");
    }
    Ok((asks, given))
}

fn shown(asks: &[Ask]) -> String {
    let mut text = String::new();
    for ask in asks {
        let _ = write!(text, "{:?} {} {}", ask.service, ask.operation, ask.body.to_text());
        let tolerated = ask.tolerate.join(", ");
        let _ = writeln!(
            text,
            "{}",
            if tolerated.is_empty() { "" } else { " or " }.to_owned() + &tolerated
        );
    }
    text
}

fn shown_made(made: &Made) -> String {
    let mut text = format!("Ref: {}\n", made.physical_id);
    for (name, value) in &made.attributes {
        let _ = writeln!(
            text,
            "{name}: {}",
            value.as_str().map_or_else(|| value.to_text(), str::to_owned)
        );
    }
    text
}

/// The resource made last.
struct Current {
    kind: String,
    properties: Json,
    made: Made,
}

#[derive(Default)]
struct Page {
    answers: Vec<Json>,
    current: Option<Current>,
    asks: Vec<Ask>,
}

impl Page {
    /// What a block says now, below its line `---`.
    fn block(&mut self, head: &str, given: &str) -> String {
        let answers = std::mem::take(&mut self.answers);
        let properties = || Json::parse(given).unwrap_or_else(|error| panic!("{head}: {error}"));
        let (word, kind) = head.split_once(' ').unwrap_or((head, ""));
        match word {
            "create" => {
                let properties = properties();
                let asked =
                    all(&answers, |answers| kinds::create(kind, &CONTEXT, &properties, answers));
                let (asks, answers) = match asked {
                    Ok(asked) => asked,
                    Err(why) => return format!("refused: {why}\n"),
                };
                let made = kinds::made(kind, &CONTEXT, &properties, &answers);
                let text = shown(&asks) + &shown_made(&made);
                self.asks.extend(asks);
                self.current = Some(Current { kind: kind.to_owned(), properties, made });
                text
            }
            "update" => {
                let new = properties();
                let current = self.current.as_mut().expect("created before");
                let Current { kind, properties: old, made } = &*current;
                let changes = kinds::changes(kind, old, &new);
                let replaces = changes.iter().filter(|it| it.recreation == Recreation::Always);
                let replaces: Vec<_> = replaces.map(|it| it.property.as_str()).collect();
                if !replaces.is_empty() {
                    return format!("replaced: {}\n", replaces.join(", "));
                }
                if changes.is_empty() {
                    return "nothing changes\n".to_owned();
                }
                let asked = all(&answers, |answers| {
                    kinds::update(kind, &CONTEXT, old, &new, made, answers)
                });
                let (asks, answers) = match asked {
                    Ok(asked) => asked,
                    Err(why) => return format!("refused: {why}\n"),
                };
                let updated = kinds::updated(kind, &CONTEXT, old, &new, made, &answers);
                let mut text = shown(&asks);
                if updated != *made {
                    text += &shown_made(&updated);
                }
                current.made = updated;
                current.properties = new;
                self.asks.extend(asks);
                text
            }
            "delete" => {
                let Current { kind, properties, made } = self.current.as_ref().unwrap();
                let asked = all(&answers, |answers| {
                    Ok(kinds::delete(kind, &CONTEXT, properties, made, answers))
                });
                let (asks, _) = asked.unwrap();
                let text = shown(&asks);
                self.asks.extend(asks);
                if text.is_empty() { "nothing is asked for\n".to_owned() } else { text }
            }
            "examine" => {
                let findings = kinds::examine(kind, &properties(), &Around::NOTHING);
                findings.iter().map(|finding| format!("{finding}\n")).collect()
            }
            _ => panic!("unknown block `{head}`"),
        }
    }

    /// The page with what is said now.
    fn again(&mut self, page: &str) -> String {
        let mut made = String::new();
        for (at, part) in page.split("\n```").enumerate() {
            if at > 0 {
                made.push_str("\n```");
            }
            if at % 2 == 0 {
                made.push_str(part);
                continue;
            }
            let (head, block) = part.split_once('\n').unwrap_or((part, ""));
            if head == "answers" {
                let lines = block.lines().filter(|line| !line.trim().is_empty());
                self.answers = lines.map(|line| Json::parse(line).unwrap()).collect();
                made.push_str(part);
                continue;
            }
            let given = match block.split_once("\n---") {
                Some((given, _)) => given.trim(),
                None => "",
            };
            let said = self.block(head, given);
            let given = if given.is_empty() { String::new() } else { format!("{given}\n") };
            let _ = write!(made, "{head}\n{given}---\n{}", said.trim_end());
        }
        made
    }
}

fn pages() -> Vec<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/resource-types"));
    let mut paths: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 10, "pages are in {}", folder.display());
    paths
}

#[test]
fn every_page_says_what_resources_become() {
    let mut wrong = String::new();
    for path in pages() {
        let page = std::fs::read_to_string(&path).unwrap();
        let now = Page::default().again(&page);
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

#[test]
fn services_know_every_request_that_the_pages_show() {
    let mut unknown = BTreeSet::new();
    for path in pages() {
        let page = std::fs::read_to_string(&path).unwrap();
        let mut read = Page::default();
        read.again(&page);
        for ask in read.asks {
            match Request::parse(ask.service, ask.operation, &ask.body) {
                Some(Ok(_)) => {}
                None => {
                    unknown
                        .insert(format!("{:?} {}: no such operation", ask.service, ask.operation));
                }
                Some(Err(error)) => {
                    let (service, operation) = (ask.service, ask.operation);
                    let body = ask.body.to_text();
                    unknown.insert(format!("{service:?} {operation}: {error}\n    {body}"));
                }
            }
        }
    }
    let unknown: Vec<_> = unknown.into_iter().collect();
    assert!(unknown.is_empty(), "\n{}", unknown.join("\n"));
}

#[test]
fn every_served_type_has_a_case() {
    let all: String = pages().iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let missing: Vec<_> = kinds::known()
        .filter(|(_, support)| *support == Support::Served)
        .map(|(kind, _)| kind)
        .filter(|kind| {
            !["create", "delete"].iter().all(|word| match *word {
                "create" => all.contains(&format!("```create {kind}\n")),
                _ => all
                    .split(&format!("```create {kind}\n"))
                    .skip(1)
                    .any(|rest| rest.split("```create ").next().unwrap().contains("```delete")),
            })
        })
        .collect();
    assert!(missing.is_empty(), "no case, or none that deletes: {missing:?}");
}

#[test]
fn types_are_listed_once_each() {
    let mut seen = BTreeSet::new();
    for (kind, _) in kinds::known() {
        assert!(kind.starts_with("AWS::"), "{kind}");
        assert!(seen.insert(kind), "{kind} is there twice");
    }
}

#[test]
fn an_unknown_type_is_refused_with_a_hint_of_its_service() {
    let refused = |kind: &str| match kinds::support(kind) {
        Support::Refused(hint) => hint,
        other => panic!("{other:?}"),
    };
    assert!(refused("AWS::Cognito::ManagedLoginBranding").contains("certificates"));
    assert_eq!(refused("AWS::New::Thing"), "stepwire does not know this type");
}

#[test]
fn what_stacks_make_themselves_is_examined_like_any_other_type() {
    let refused = |kind: &str, properties: &str| -> Vec<String> {
        assert_eq!(kinds::support(kind), Support::Served, "{kind}");
        let findings =
            kinds::examine(kind, &Json::parse(properties).unwrap(), &Around::NOTHING).into_iter();
        let refused = findings.filter(|finding| finding.verdict == Verdict::Refused);
        refused.map(|finding| finding.message).collect()
    };
    let whole = r#"{"ServiceToken":{"Fn::GetAtt":["F","Arn"]},"Anything":{"at":["all"]}}"#;
    for kind in ["Custom::Seed", "AWS::CloudFormation::CustomResource"] {
        assert_eq!(refused(kind, whole), [""; 0]);
        assert!(refused(kind, "{}")[0].contains("required key [ServiceToken] not found"));
    }
    let stack = "AWS::CloudFormation::Stack";
    let given =
        r#"{"TemplateURL":"http://b/k","Parameters":{"A":{"Ref":"B"}},"TimeoutInMinutes":5}"#;
    assert_eq!(refused(stack, given), [""; 0]);
    let misspelt = refused(stack, r#"{"TemplateURL":"http://b/k","Paramters":{}}"#);
    assert!(misspelt[0].contains("hint: there is `Parameters`"), "{misspelt:?}");
}

#[test]
fn a_value_that_is_not_known_yet_is_taken_as_good() {
    let properties =
        r#"{"QueueName":{"Fn::Sub":"${AWS::StackName}-in"},"DelaySeconds":{"Ref":"Delay"}}"#;
    let findings =
        kinds::examine("AWS::SQS::Queue", &Json::parse(properties).unwrap(), &Around::NOTHING);
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::ActedOn), "{findings:?}");
    let rule = r#"{"TopicRulePayload":{"Sql":{"Fn::Sub":["SELECT aws_lambda('${F}', *) AS a FROM 'b'",
        {"F":{"Fn::GetAtt":["Function","Arn"]}}]},"Actions":[]}}"#;
    let findings =
        kinds::examine("AWS::IoT::TopicRule", &Json::parse(rule).unwrap(), &Around::NOTHING);
    assert!(findings.iter().all(|finding| finding.verdict != Verdict::Refused), "{findings:?}");
}

#[test]
fn the_table_of_types_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/resource-types.md");
    let mut table = String::from(
        "# Resource types\n\nWhat becomes of each resource type of CloudFormation. Properties that a \
         type has and that are not acted on are\nnamed by `stepwire deploy --dry-run`; a property that \
         it does not have is refused by its path. Types that are not\nin the table are refused. This \
         page is written by `UPDATE=1 cargo test --test resource_types`.\n\n## Served\n\n\
         | type | `Fn::GetAtt` | taken without effect | refused |\n|---|---|---|---|\n",
    );
    let names = |names: Vec<&str>| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    for (kind, support) in kinds::known() {
        if support == Support::Served {
            let known = kinds::describe(kind).unwrap();
            let _ = writeln!(
                table,
                "| {kind} | {} | {} | {} |",
                names(known.attributes.to_vec()),
                names(known.without_effect),
                names(known.refused)
            );
        }
    }
    table.push_str(
        "\nStacks make two types themselves: AWS::CloudFormation::Stack, whose `NotificationARNs` and \
         `TimeoutInMinutes` are\nwithout effect, and what functions make: \
         AWS::CloudFormation::CustomResource and `Custom::…`, whose `ServiceToken` is\na function of \
         this node.\n",
    );
    table.push_str("\n## In the stack alone\n\n`Ref` and `Fn::GetAtt` give what looks like AWS's; nothing else is there.\n\n| type | why |\n|---|---|\n");
    for (kind, support) in kinds::known() {
        if let Support::WithoutEffect(why) = support {
            let _ = writeln!(table, "| {kind} | {why} |");
        }
    }
    table.push_str("\n## Refused\n\n| type | instead |\n|---|---|\n");
    for (kind, support) in kinds::known() {
        if let Support::Refused(hint) = support {
            let _ = writeln!(table, "| {kind} | {hint} |");
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(there, table, "UPDATE=1 cargo test --test resource_types");
}

/// Any JSON, not deep, with names that properties have.
fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        "[ -~]{0,12}".prop_map(Json::from),
        Just(Json::from("${It}")),
        Just(Json::from("arn:aws:sns:us-east-1:000000000000:x")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::array),
            prop::collection::vec((name(), inner), 0..4).prop_map(Json::object),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    let names = [
        "Key",
        "Value",
        "Tags",
        "Rules",
        "Ref",
        "Fn::Sub",
        "AttributeName",
        "Id",
        "Name",
        "Arn",
        "Filters",
        "Status",
        "Enabled",
        "Actions",
        "Sql",
        "ZipFile",
        "S3Bucket",
        "Runtime",
    ];
    prop_oneof![prop::sample::select(names.to_vec()).prop_map(str::to_owned), "[A-Za-z]{0,6}"]
}

/// Properties of a type, mostly by their names.
fn properties(kind: &'static str) -> impl Strategy<Value = Json> {
    let names: Vec<String> = kinds::describe(kind)
        .map(|known| known.properties.iter().map(|name| (*name).to_owned()).collect())
        .unwrap_or_default();
    let names = if names.is_empty() { vec!["Name".to_owned()] } else { names };
    let members = prop::collection::vec((prop::sample::select(names), json()), 0..8);
    prop_oneof![4 => members.prop_map(Json::object), 1 => json()]
}

fn kind() -> impl Strategy<Value = &'static str> {
    prop::sample::select(kinds::known().map(|(kind, _)| kind).collect::<Vec<_>>())
}

fn case() -> impl Strategy<Value = (&'static str, Json, Json, Vec<Json>)> {
    kind().prop_flat_map(|kind| {
        let answers = prop::collection::vec(json(), 0..4);
        (Just(kind), properties(kind), properties(kind), answers)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_whatever_the_properties((kind, old, new, answers) in case()) {
        let _ = kinds::examine(kind, &old, &Around::NOTHING);
        let _ = kinds::changes(kind, &old, &new);
        let asked = all(&answers, |answers| kinds::create(kind, &CONTEXT, &old, answers));
        if let Ok((asks, _)) = asked {
            for ask in asks {
                let _ = Request::parse(ask.service, ask.operation, &ask.body);
            }
        }
        let made = kinds::made(kind, &CONTEXT, &old, &answers);
        let _ = all(&answers, |answers| kinds::update(kind, &CONTEXT, &old, &new, &made, answers));
        let _ = kinds::updated(kind, &CONTEXT, &old, &new, &made, &answers);
        let _ = all(&answers, |answers| Ok(kinds::delete(kind, &CONTEXT, &new, &made, answers)));
        let _ = kinds::placeholder(kind, &CONTEXT);
    }
}
