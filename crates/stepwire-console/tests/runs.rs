//! Runs from recorded histories: ours, drawn as trees, and those of the corpus, checked for what must
//! hold of any history.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test that reads what was recorded"
)]

use std::fs;
use std::path::{Path, PathBuf};

use stepwire_asl::Json;
use stepwire_console::graph::Graph;
use stepwire_console::run::terminal::{self, Style};
use stepwire_console::run::{End, Event, Facts, Run, Scope, events_of, read_history};
use stepwire_console::words::Status;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What a terminal shows of a run.
fn told(run: &Run) -> String {
    let style = Style { colour: false, now: None };
    let why = run.why(&Facts::default()).plain(run.last_at());
    format!("{}\n{}", terminal::head(run, &why, style), terminal::tree(run, style))
}

/// Each folder of `tests/histories` has what a node of ours recorded; `UPDATE=1` writes `tree.txt`.
#[test]
fn recorded_runs_are_told_as_they_were() {
    let mut seen = 0;
    for folder in fs::read_dir(here("tests/histories")).unwrap() {
        let folder = folder.unwrap().path();
        let history = fs::read_to_string(folder.join("history.json")).unwrap();
        let definition = fs::read_to_string(folder.join("definition.json")).unwrap();
        let definition = Json::parse(&definition).unwrap();
        let events = read_history(&history).unwrap();
        let run = Run::of(events.clone(), Some(&definition));
        let whole = told(&run);
        let middle = events.len() / 2;
        let half = Run::of(events.iter().take(middle).cloned(), Some(&definition));
        let count = events.len();
        let text = format!("{whole}\nafter {middle} of {count} events\n\n{}", told(&half));
        let path = folder.join("tree.txt");
        if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
            fs::write(&path, &text).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "{}: UPDATE=1 writes it", folder.display());
        holds(&folder.display().to_string(), &events, Some(&definition));
        seen += 1;
    }
    assert!(seen > 5, "there are recorded runs");
}

#[test]
fn a_round_that_is_tried_again_has_failed_with_what_failed_in_it() {
    let folder = here("tests/histories/map-again");
    let events = read_history(&fs::read_to_string(folder.join("history.json")).unwrap()).unwrap();
    let definition = fs::read_to_string(folder.join("definition.json")).unwrap();
    let run = Run::of(events, Some(&Json::parse(&definition).unwrap()));
    let each = run.visits.iter().find(|visit| &*visit.name == "Each").unwrap();
    assert_eq!(each.attempts.len(), 2);
    for attempt in &each.attempts {
        assert!(attempt.is_failed(), "{attempt:?}");
        assert_eq!(attempt.trouble.error.as_deref(), Some("Item.Bad"));
    }
    let culprit = run.culprit.map(|id| run.visits[id].entered);
    assert_eq!(culprit, Some(42), "the second to fail ended the run");
}

/// What holds of every history, whole and in part, with and without its definition.
fn holds(name: &str, events: &[Event], definition: Option<&Json>) {
    let run = Run::of(events.to_vec(), definition);
    let graph = Graph::of(&run.definition());
    let bare = Run::of(events.to_vec(), None);
    let rebuilt = Graph::of(&bare.definition());
    for (id, visit) in run.visits.iter().enumerate() {
        assert!(run.node_of(&graph, id).is_some(), "{name}: `{}` is not on the graph", visit.name);
        assert!(
            bare.node_of(&rebuilt, id).is_some(),
            "{name}: `{}` is not on the rebuilt graph",
            visit.name
        );
        assert!(
            run.end == End::None || !visit.is_open(),
            "{name}: `{}` is open in a run that ended",
            visit.name
        );
    }
    let entered = events.iter().filter(|event| event.kind.ends_with("StateEntered")).count();
    assert_eq!(run.visits.len(), entered, "{name}");
    if run.end == End::Succeeded {
        let own = (0..run.visits.len()).filter(|id| run.visits[*id].frame == 0);
        for id in own {
            let status = run.status_of(id);
            let well = matches!(status, Status::Succeeded | Status::Retried | Status::Caught);
            assert!(well, "{name}: `{}` is {}", run.visits[id].name, status.word());
        }
    }
    if run.end == End::Failed && !run.visits.is_empty() {
        assert!(run.culprit.is_some(), "{name}: nobody is to blame");
    }
    // Each transition between two states of one frame is on the graph.
    let paint = run.paint(&graph, &Scope::default());
    let taken = run.visits.iter().filter(|visit| visit.from.is_some()).count();
    assert!(
        taken == 0 || paint.edges.values().any(|edge| edge.taken),
        "{name}: no transition was taken"
    );
    for until in 0..events.len() {
        let part = Run::of(events.iter().take(until).cloned(), definition);
        let _ = told(&part);
        let _ = part.paint(&graph, &Scope::default());
    }
}

/// The corpus is beside the repository where there is one.
#[test]
fn histories_of_the_corpus_come_to_what_their_executions_did() {
    let corpus = here("../../../shared/corpus/asl/open");
    let Ok(folder) = fs::read_dir(&corpus) else {
        eprintln!("skipped: there is no {}", corpus.display());
        return;
    };
    let mut seen = 0;
    for path in folder {
        let case = Json::parse(&fs::read_to_string(path.unwrap().path()).unwrap()).unwrap();
        let name = case.member("id").and_then(Json::as_str).unwrap_or_default();
        for execution in case.member("executions").and_then(Json::as_array).unwrap_or_default() {
            let Some(expected) = execution.member("expected") else { continue };
            let Some(history) = expected.member("history").filter(|history| !history.is_null())
            else {
                continue;
            };
            // Of some recordings the events of branches have no numbers: they have no order.
            let Ok(events) = events_of(history) else { continue };
            let of = execution.member("definition").and_then(Json::as_str).unwrap_or_default();
            let definition =
                case.member("definitions").and_then(|all| all.member(of)).map(|given| {
                    given
                        .as_str()
                        .and_then(|text| Json::parse(text).ok())
                        .unwrap_or_else(|| given.clone())
                });
            let run = Run::of(events.clone(), definition.as_ref());
            let status = expected.member("status").and_then(Json::as_str).unwrap_or_default();
            if events.last().is_some_and(|last| {
                last.kind.starts_with("Execution") && &*last.kind != "ExecutionStarted"
            }) {
                assert_eq!(run.status(), Status::of_execution(status), "{name}");
            }
            holds(name, &events, definition.as_ref());
            seen += 1;
        }
    }
    assert!(seen > 200, "{seen} histories were read");
}

#[test]
fn what_is_no_history_is_refused_with_a_reason() {
    for (text, why) in [
        ("", "it is not JSON"),
        ("[]", "it has no events"),
        (r#"{"StartAt":"A","States":{}}"#, "it is a definition"),
        (r#"{"executionArn":"a","status":"RUNNING"}"#, "describe-execution"),
        (r#"{"events":[{"id":1}]}"#, "an event has no `type`"),
        (r#"[{"type":"ExecutionStarted"}]"#, "an event has no `id`"),
    ] {
        let error = read_history(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn a_history_may_come_backwards_or_one_event_a_line() {
    let first = r#"{"id":1,"previousEventId":0,"type":"ExecutionStarted","timestamp":"2026-11-24T12:00:00.000000+00:00"}"#;
    let second =
        r#"{"id":2,"previousEventId":1,"type":"ExecutionSucceeded","timestamp":1795521601.5}"#;
    let expected = read_history(&format!("[{first},{second}]")).unwrap();
    assert_eq!(read_history(&format!("{{\"events\":[{second},{first}]}}")).unwrap(), expected);
    assert_eq!(read_history(&format!("{first}\n{second}\n")).unwrap(), expected);
    let run = Run::of(expected, None);
    let took = run.stopped.unwrap().since_ms(run.started.unwrap());
    assert_eq!((run.status(), took), (Status::Succeeded, 1_500));
}

#[test]
fn nonsense_does_no_harm() {
    let kinds = [
        "TaskScheduled",
        "TaskFailed",
        "MapIterationSucceeded",
        "ParallelStateSucceeded",
        "MapStateFailed",
        "PassStateExited",
        "ExecutionRedriven",
        "MapRunFailed",
        "EvaluationFailed",
        "Whatever",
        "TaskStateAborted",
        "MapStateStarted",
        "MapIterationStarted",
        "ChoiceStateEntered",
        "ParallelStateEntered",
        "ParallelStateStarted",
        "MapStateEntered",
        "ExecutionFailed",
        "LambdaFunctionScheduled",
        "ActivityStarted",
        "MapIterationAborted",
    ];
    let mut dice: u64 = 7;
    let mut roll = |of: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as usize % of
    };
    for _ in 0..300 {
        let events: Vec<String> = (1..40).map(|id| {
            let kind = kinds[roll(kinds.len())];
            let (previous, index) = (roll(45), roll(3));
            let details = format!(r#"{{"name":"S{}","index":{index},"error":"E"}}"#, roll(3));
            format!(r#"{{"id":{id},"previousEventId":{previous},"type":"{kind}","xEventDetails":{details}}}"#)
        }).collect();
        let events = read_history(&format!("[{}]", events.join(","))).unwrap();
        let run = Run::of(events, None);
        let graph = Graph::of(&run.definition());
        let _ = (
            told(&run),
            run.paint(&graph, &Scope::of(&run, &[1])),
            terminal::events(&run, Style { colour: true, now: None }),
        );
    }
}
