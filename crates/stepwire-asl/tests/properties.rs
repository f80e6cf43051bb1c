//! What holds for any text, any definition and any order of events.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use stepwire_asl::history::{decode_chunk, encode_chunk};
use stepwire_asl::intrinsic::Intrinsic;
use stepwire_asl::path::{Path, ReferencePath};
use stepwire_asl::scope::Scope;
use stepwire_asl::template::Template;
use stepwire_asl::{
    Decision, Entropy, Execution, Failure, HistoryEvent, Json, Start, StateMachine, Status,
    Stimulus, Timestamp, Turn,
};

/// Pieces of paths and calls, so that some of what they make is nearly right.
const PIECES: &[&str] = &[
    "$",
    "$$",
    "$v",
    ".a",
    ".b",
    "['a']",
    "[0]",
    "[-1]",
    "[*]",
    "[1:]",
    "[0,1]",
    "..",
    "[?(",
    ")]",
    "@",
    " == ",
    " > ",
    " && ",
    " || ",
    "!",
    " =~ /a.*/i",
    "'x'",
    "1.5",
    "null",
    ".length()",
    "(",
    ")",
    ", ",
    "States.",
    "Format",
    "Array",
    "ArrayRange",
    "ArrayPartition",
    "ArrayGetItem",
    "MathAdd",
    "MathRandom",
    "StringSplit",
    "StringToJson",
    "JsonMerge",
    "Hash",
    "Base64Decode",
    "UUID",
    "'{} {}'",
    "'MD5'",
    "9223372036854775807",
    "-1",
    "true",
    "\\",
    "'",
    "é",
    "{}",
    "\u{0}",
];

fn pieces() -> impl Strategy<Value = String> {
    vec(select(PIECES), 0..8).prop_map(|pieces| pieces.concat())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![3 => pieces(), 1 => any::<String>()]
}

fn call() -> impl Strategy<Value = String> {
    let names = select(vec![
        "Array",
        "ArrayContains",
        "ArrayGetItem",
        "ArrayLength",
        "ArrayPartition",
        "ArrayRange",
        "ArrayUnique",
        "Base64Decode",
        "Base64Encode",
        "Format",
        "Hash",
        "JsonMerge",
        "JsonToString",
        "MathAdd",
        "MathRandom",
        "StringSplit",
        "StringToJson",
        "UUID",
    ]);
    let argument = select(vec![
        "$",
        "$.a",
        "$.b",
        "$v",
        "$$.x",
        "1",
        "0",
        "-1",
        "2.5",
        "9223372036854775807",
        "1e400",
        "'a,b'",
        "'{} {}'",
        "''",
        "'SHA-512'",
        "true",
        "null",
        "States.Array($.a, 1)",
        "$.a[*]",
    ]);
    (names, vec(argument, 0..4))
        .prop_map(|(name, args)| format!("States.{name}({})", args.join(", ")))
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        select(vec!["0.0", "-0", "1e3", "12345678901234567890123", "2.50"])
            .prop_map(|text| Json::parse(text).unwrap()),
        text().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let name = prop_oneof![select(vec!["a", "b", "a.$", "n"]).prop_map(str::to_owned), text()];
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Json::array),
            vec((name, inner), 0..5).prop_map(Json::object),
        ]
    })
}

/// Something with the members of definitions, rarely a definition.
fn near_definition() -> impl Strategy<Value = Json> {
    let names = vec![
        "StartAt",
        "States",
        "Type",
        "Next",
        "End",
        "Result",
        "Parameters",
        "ResultPath",
        "Choices",
        "Default",
        "Variable",
        "And",
        "Not",
        "StringEquals",
        "NumericLessThanPath",
        "IsPresent",
        "Retry",
        "Catch",
        "ErrorEquals",
        "IntervalSeconds",
        "BackoffRate",
        "MaxAttempts",
        "Resource",
        "TimeoutSeconds",
        "Branches",
        "ItemProcessor",
        "ItemsPath",
        "MaxConcurrency",
        "Seconds",
        "Timestamp",
        "Error",
        "Cause",
        "Assign",
        "QueryLanguage",
        "A",
        "B",
        "InputPath",
    ];
    let leaf = prop_oneof![
        3 => select(vec![
            "A", "B", "Pass", "Task", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map", "$.a",
            "$", "JSONPath", "JSONata", "arn:aws:states:::http:invoke", "States.ALL", "2026-01-01T00:00:00Z",
        ]).prop_map(Json::from),
        1 => any::<bool>().prop_map(Json::from),
        1 => any::<i64>().prop_map(Json::from),
        1 => json(),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Json::array),
            4 => vec((select(names.clone()), inner), 0..8).prop_map(Json::object),
        ]
    })
}

/// A state, and the branches within it.
#[derive(Debug, Clone)]
enum Tree {
    Plain(&'static str),
    Parallel(Vec<Vec<Tree>>),
    Map(Vec<Tree>, i64),
}

/// States without branches, less how they are left.
const PLAIN: &[&str] = &[
    r#"{"Type": "Pass"}"#,
    r#"{"Type": "Pass", "Result": [1, 2, 3], "ResultPath": "$.a"}"#,
    r#"{"Type": "Pass", "Parameters": {"a.$": "$", "name.$": "$$.State.Name"}}"#,
    r#"{"Type": "Pass", "Assign": {"v.$": "$"}}"#,
    r#"{"Type": "Pass", "InputPath": "$.a"}"#,
    r#"{"Type": "Pass", "InputPath": "$v"}"#,
    r#"{"Type": "Wait", "Seconds": 3}"#,
    r#"{"Type": "Wait", "SecondsPath": "$.go"}"#,
    r#"{"Type": "Fail", "Error": "E"}"#,
    r#"{"Type": "Succeed"}"#,
    r#"{"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "ResultPath": "$.a"}"#,
    r#"{"Type": "Task", "Resource": "arn:aws:lambda:a:1:function:f", "TimeoutSeconds": 5}"#,
    r#"{"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem.waitForTaskToken",
        "TimeoutSeconds": 9, "HeartbeatSeconds": 4, "Parameters": {"t.$": "$$.Task.Token"}}"#,
];

fn trees() -> impl Strategy<Value = Vec<Tree>> {
    let plain = select(PLAIN).prop_map(Tree::Plain);
    let tree = plain.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            vec(vec(inner.clone(), 1..4), 1..4).prop_map(Tree::Parallel),
            (vec(inner, 1..4), 0..3_i64).prop_map(|(states, most)| Tree::Map(states, most)),
        ]
    });
    vec(tree, 1..6)
}

/// These states in a row after a Choice that leads to any of them. Those that can are retried once,
/// and all but the last of them caught.
fn flow(trees: &[Tree], names: &mut u32) -> Json {
    let first = *names;
    *names += trees.len() as u32 + 1;
    let name = |at: usize| Json::from(format!("S{}", first as usize + at));
    let mut states = Vec::new();
    for (at, tree) in trees.iter().enumerate() {
        let state = match tree {
            Tree::Plain(text) => Json::parse(text).unwrap(),
            Tree::Parallel(branches) => Json::object([
                ("Type", Json::from("Parallel")),
                ("Branches", Json::array(branches.iter().map(|branch| flow(branch, names)))),
            ]),
            Tree::Map(inner, most) => Json::object([
                ("Type", Json::from("Map")),
                ("ItemsPath", Json::from("$.a")),
                ("MaxConcurrency", Json::from(*most)),
                ("ItemProcessor", flow(inner, names)),
            ]),
        };
        let mut members = state.as_object().unwrap().clone();
        let (kind, last) = (members["Type"].as_str().unwrap().to_owned(), at + 1 == trees.len());
        match (&*kind, last) {
            ("Fail" | "Succeed", _) => None,
            (_, true) => members.insert("End".into(), Json::from(true)),
            (_, false) => members.insert("Next".into(), name(at + 1)),
        };
        if matches!(&*kind, "Task" | "Parallel" | "Map") {
            let retry =
                r#"[{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1, "JitterStrategy": "FULL"}]"#;
            members.insert("Retry".into(), Json::parse(retry).unwrap());
            if !last {
                let all = Json::array([Json::from("States.ALL")]);
                let catcher = Json::object([("ErrorEquals", all), ("Next", name(at + 1))]);
                members.insert("Catch".into(), Json::array([catcher]));
            }
        }
        states.push((name(at), Json::Object(Arc::new(members))));
    }
    let ways = (0..trees.len()).map(|at| {
        let equals = Json::parse(&format!(r#"{{"Variable": "$.go", "NumericEquals": {at}}}"#));
        let present = Json::parse(r#"{"Variable": "$.go", "IsPresent": true}"#);
        Json::object([
            ("And", Json::array([present.unwrap(), equals.unwrap()])),
            ("Next", name(at)),
        ])
    });
    let choice = Json::object([
        ("Type", Json::from("Choice")),
        ("Choices", Json::array(ways)),
        ("Default", name(0)),
    ]);
    states.push((name(trees.len()), choice));
    let states = states.into_iter().map(|(name, state)| (name.as_str().unwrap().to_owned(), state));
    Json::object([("StartAt", name(trees.len())), ("States", Json::object(states))])
}

/// What may happen to an execution; tasks are chosen among all that were ever scheduled.
#[derive(Debug, Clone)]
enum Happening {
    Returned(usize),
    Refused(usize),
    Succeeded(usize),
    Failed(usize),
    Heartbeat(usize),
    Tick(i64),
    Stop,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        6 => (0..20_usize).prop_map(Happening::Returned),
        2 => (0..20_usize).prop_map(Happening::Refused),
        6 => (0..20_usize).prop_map(Happening::Succeeded),
        2 => (0..20_usize).prop_map(Happening::Failed),
        2 => (0..20_usize).prop_map(Happening::Heartbeat),
        8 => (0..6_000_i64).prop_map(Happening::Tick),
        1 => Just(Happening::Stop),
    ];
    vec(one, 0..40)
}

/// An execution, and its history as it is stored.
struct Run {
    machine: Arc<StateMachine>,
    execution: Execution,
    events: Vec<HistoryEvent>,
    scheduled: Vec<u64>,
    now: Timestamp,
    entropy: Entropy,
}

impl Run {
    fn start(machine: Arc<StateMachine>, input: &str) -> Run {
        let (now, mut entropy) = (Timestamp(1_700_000_000_000), Entropy::new(3));
        let token = |id| format!("token-{id}");
        let mut turn = Turn { now, entropy: &mut entropy, token: &token, activity: &|_| true };
        let start = Start {
            execution_arn: "arn:aws:states:us-east-1:1:execution:m:n".into(),
            role_arn: "role".into(),
            input: input.into(),
        };
        let (execution, decision) = Execution::start(Arc::clone(&machine), start, &mut turn);
        let (events, scheduled) = (Vec::new(), Vec::new());
        let mut run = Run { machine, execution, events, scheduled, now, entropy };
        run.take(decision);
        run
    }

    fn happen(&mut self, happening: &Happening) {
        let task = |at: usize| self.scheduled.get(at % self.scheduled.len().max(1)).copied();
        let text = |text: &str| Some(Arc::from(text));
        let stimulus = match *happening {
            Happening::Returned(at) => task(at).map(|scheduled| Stimulus::TaskReturned {
                scheduled,
                result: Ok(Json::parse(r#"{"a": [1, [2], {"a": []}]}"#).unwrap()),
            }),
            Happening::Refused(at) => task(at).map(|scheduled| Stimulus::TaskReturned {
                scheduled,
                result: Err(Failure::new("Busy", "now")),
            }),
            Happening::Succeeded(at) => task(at).map(|scheduled| Stimulus::TokenSucceeded {
                scheduled,
                output: r#"{"a": [5, 6],  "go": 1}"#.into(),
            }),
            Happening::Failed(at) => task(at).map(|scheduled| Stimulus::TokenFailed {
                scheduled,
                error: text("No"),
                cause: None,
            }),
            Happening::Heartbeat(at) => task(at).map(|scheduled| Stimulus::Heartbeat { scheduled }),
            Happening::Tick(ms) => {
                self.now = self.now.plus_ms(ms);
                Some(Stimulus::Timer)
            }
            Happening::Stop => Some(Stimulus::Stop { error: None, cause: text("enough") }),
        };
        let Some(stimulus) = stimulus else { return };
        let token = |id| format!("token-{id}");
        let mut turn =
            Turn { now: self.now, entropy: &mut self.entropy, token: &token, activity: &|_| true };
        let before = self.execution.clone();
        match self.execution.step(stimulus, &mut turn) {
            Ok(decision) => self.take(decision),
            Err(_) => assert_eq!(self.execution, before, "a refused stimulus changed something"),
        }
    }

    fn take(&mut self, decision: Decision) {
        for task in &decision.tasks {
            assert!(self.execution.is_open(task.scheduled), "a task is asked for that is not open");
        }
        self.scheduled.extend(decision.tasks.iter().map(|task| task.scheduled));
        let stored = decode_chunk(&encode_chunk(&decision.events)).unwrap();
        assert_eq!(stored, decision.events, "the stored history is another one");
        self.events.extend(stored);
        let running = *self.execution.status() == Status::Running;
        let ends = self.events.iter().filter(|event| event.detail.is_terminal()).count();
        assert_eq!(ends, usize::from(!running), "an execution ends once");
        assert!(running || self.events.last().unwrap().detail.is_terminal());
        let due = self.execution.due();
        assert!(due.is_none_or(|due| due > self.now), "what is due has not happened");
        let outstanding = self.execution.outstanding();
        assert!(outstanding.iter().all(|task| self.execution.is_open(task.scheduled)));
        assert_eq!(self.execution.is_owed(), !outstanding.is_empty());
        assert!(
            !running
                || due.is_some()
                || self.scheduled.iter().any(|id| self.execution.is_open(*id)),
            "it waits for nothing"
        );
        let replayed = Execution::replay(Arc::clone(&self.machine), self.events.iter().cloned());
        assert_eq!(replayed.as_ref(), Ok(&self.execution), "the history is not the execution");
        let public = self.events.iter().filter(|event| event.id > 0);
        for (event, id) in public.zip(1..) {
            assert!(event.id == id && event.previous < id, "ids have a gap or lead ahead");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_path_or_is_not(text in text(), from in json()) {
        if let Ok(path) = Path::parse(&text) {
            prop_assert_eq!(Path::parse(path.text()), Ok(path.clone()));
            let _ = path.read_from(&from);
        }
        if let Ok(path) = ReferencePath::parse(&text) {
            let written = path.write(&from, Json::from(7));
            let read = Path::parse(&text).unwrap();
            if let Ok(written) = written {
                prop_assert_eq!(read.read_from(&written), Ok(Json::from(7)));
            }
        }
    }

    #[test]
    fn any_call_gives_a_value_or_a_failure(
        text in prop_oneof![3 => call(), 1 => text()],
        input in json(),
    ) {
        if let Ok(call) = Intrinsic::parse(&text) {
            let variables = BTreeMap::from([(Arc::from("v"), input.clone())]);
            let scope = Scope::new(&input, &input, &variables, Timestamp(0));
            let first = call.evaluate(&scope, &mut Entropy::new(5));
            prop_assert_eq!(call.evaluate(&scope, &mut Entropy::new(5)), first);
        }
    }

    #[test]
    fn any_template_gives_a_value_or_a_failure(template in json(), input in json()) {
        if let Ok(template) = Template::compile(&template) {
            let variables = BTreeMap::new();
            let scope = Scope::new(&input, &Json::Null, &variables, Timestamp(0));
            let _ = template.evaluate(&scope, &mut Entropy::new(5));
        }
    }

    #[test]
    fn any_json_prints_as_it_reads(value in json()) {
        let text = value.to_text();
        let read = Json::parse(&text).unwrap();
        prop_assert_eq!(&read, &value);
        prop_assert_eq!(read.to_text(), text);
    }

    #[test]
    fn any_json_is_a_definition_or_has_faults(definition in near_definition()) {
        match StateMachine::parse(&definition.to_text()) {
            Ok(machine) => drop(Run::start(Arc::new(machine), "{}")),
            Err(found) => prop_assert!(!found.is_empty()),
        }
    }

    #[test]
    fn any_bytes_are_a_history_or_are_not(mut bytes in vec(any::<u8>(), 0..200), plausible in any::<bool>()) {
        if plausible && !bytes.is_empty() {
            bytes[0] = 1;
        }
        let _ = decode_chunk(&bytes);
    }

    #[test]
    fn an_execution_is_its_history_whatever_happens(
        trees in trees(),
        input in select(vec!["{}", r#"{"a": [1, 2], "go": 1}"#, r#"{"a": [[1], 2, 3], "go": 3}"#]),
        happenings in happenings(),
    ) {
        let definition = flow(&trees, &mut 0).to_text();
        let machine = match StateMachine::parse(&definition) {
            Ok(machine) => Arc::new(machine),
            Err(found) => panic!("{found:?} in {definition}"),
        };
        let mut run = Run::start(machine, input);
        for happening in &happenings {
            run.happen(happening);
        }
    }

    #[test]
    fn a_damaged_history_is_refused_or_replayed(
        trees in trees(),
        happenings in happenings(),
        damage in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4),
    ) {
        let machine = Arc::new(StateMachine::parse(&flow(&trees, &mut 0).to_text()).unwrap());
        let mut run = Run::start(Arc::clone(&machine), r#"{"a": [1, 2], "go": 0}"#);
        for happening in &happenings {
            run.happen(happening);
        }
        let mut events = run.events;
        for (a, b) in damage {
            let (a, b) = (a.index(events.len()), b.index(events.len()));
            events[a].detail = events[b].detail.clone();
        }
        let _ = Execution::replay(machine, events);
    }
}
