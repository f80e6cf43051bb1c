//! A state that is tried by itself does what it does in an execution, and shows how.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use stepwire_asl::execution::{Outcome, Setup, Stage, Trial};
use stepwire_asl::{
    Entropy, Execution, Json, Limits, SingleState, Start, StateMachine, Status, Stimulus,
    Timestamp, Trouble, Turn,
};

const NOW: Timestamp = Timestamp(1_000_000);

fn start(input: &str) -> Start {
    Start {
        execution_arn: "arn:aws:states:us-east-1:000000000000:express:machine:name".into(),
        role_arn: "".into(),
        input: input.into(),
    }
}

fn in_turn<T>(run: impl FnOnce(&mut Turn<'_>) -> T) -> T {
    let mut entropy = Entropy::new(1);
    run(&mut Turn {
        now: NOW,
        entropy: &mut entropy,
        token: &|scheduled| format!("token-{scheduled}"),
        activity: &|_| true,
        limits: Limits::default(),
    })
}

fn tried(state: &str, input: &str, setup: Setup) -> Trial {
    let state = SingleState::parse(state, None).unwrap().unwrap();
    in_turn(|turn| Trial::begin(&state, setup, start(input), turn)).0
}

fn output(trial: &Trial) -> String {
    match trial.outcome().unwrap() {
        Outcome::Succeeded { output, .. } | Outcome::Caught { output, .. } => output.text(),
        other => panic!("no output: {other:?}"),
    }
}

fn stage(trial: &Trial, stage: Stage) -> Option<String> {
    trial.inspection().stages.get(&stage).map(Json::to_text)
}

fn trouble(error: &str) -> Trouble {
    Trouble { error: Some(error.into()), cause: None }
}

const TASK: &str = r#"{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","End":true"#;

#[test]
fn a_state_gives_the_output_that_an_execution_of_it_gives() {
    for (state, input) in [
        (r#"{"Type":"Pass","End":true}"#, r#"{"a":1}"#),
        (
            r#"{"Type":"Pass","InputPath":"$.a","Parameters":{"b.$":"$[0]"},"ResultPath":"$.c","End":true}"#,
            r#"{"a":[1,2]}"#,
        ),
        (r#"{"Type":"Pass","Result":[1.50],"OutputPath":"$[0]","End":true}"#, "{}"),
        (
            r#"{"Type":"Pass","QueryLanguage":"JSONata","Output":"{% $sum($states.input) %}","End":true}"#,
            "[1,2,3]",
        ),
        (r#"{"Type":"Succeed","InputPath":"$.a"}"#, r#"{"a":"x"}"#),
    ] {
        let text = format!(r#"{{"StartAt":"StateName","States":{{"StateName":{state}}}}}"#);
        let machine = Arc::new(StateMachine::parse(&text).unwrap());
        let (execution, _) = in_turn(|turn| Execution::start(machine, start(input), turn));
        let Status::Succeeded { output: wanted } = execution.status() else { panic!("{state}") };
        assert_eq!(output(&tried(state, input, Setup::default())), wanted.text(), "{state}");
    }
}

#[test]
fn every_value_between_input_and_output_is_kept() {
    let state = format!(
        r#"{TASK},"InputPath":"$.in","Parameters":{{"x.$":"$.n"}},"ResultSelector":{{"y.$":"$.m"}},"ResultPath":"$.out"}}"#
    );
    let mock = Some(Ok(Json::parse(r#"{"m":7}"#).unwrap()));
    let trial = tried(&state, r#"{"in":{"n":5}}"#, Setup { mock, ..Setup::default() });
    for (at, shown) in [
        (Stage::AfterInputPath, r#"{"n":5}"#),
        (Stage::AfterParameters, r#"{"x":5}"#),
        (Stage::Result, r#"{"m":7}"#),
        (Stage::AfterResultSelector, r#"{"y":7}"#),
        (Stage::AfterResultPath, r#"{"in":{"n":5},"out":{"y":7}}"#),
    ] {
        assert_eq!(stage(&trial, at).as_deref(), Some(shown), "{at:?}");
    }
    assert_eq!(output(&trial), r#"{"in":{"n":5},"out":{"y":7}}"#);
}

#[test]
fn a_task_without_a_mock_waits_for_its_answer() {
    let state = SingleState::parse(&format!("{TASK}}}"), None).unwrap().unwrap();
    let begin = |turn: &mut Turn<'_>| Trial::begin(&state, Setup::default(), start("{}"), turn);
    let (mut trial, tasks) = in_turn(begin);
    assert_eq!((tasks.len(), trial.outcome()), (1, None));
    let result = Ok(Json::from("done"));
    let answer = Stimulus::TaskReturned { scheduled: tasks[0].scheduled, result };
    in_turn(|turn| trial.step(answer, turn)).unwrap();
    assert_eq!(output(&trial), r#""done""#);
}

#[test]
fn retries_that_were_used_decide_between_retrier_and_catcher() {
    let state = format!(
        r#"{TASK},"Retry":[{{"ErrorEquals":["E"],"MaxAttempts":2,"IntervalSeconds":3}}],"Catch":[{{"ErrorEquals":["E"],"Next":"C"}}]}}"#
    );
    let after = |retries| {
        let mock = Some(Err(trouble("E")));
        tried(&state, "{}", Setup { mock, retries, ..Setup::default() })
    };
    let first = after(1);
    assert_eq!(first.outcome(), Some(&Outcome::Retriable(trouble("E"))));
    assert_eq!(first.inspection().backoff_ms, Some(6_000));
    let last = after(2);
    let Some(Outcome::Caught { next, .. }) = last.outcome() else { panic!("not caught") };
    assert_eq!(next.as_deref(), Some("C"));
    assert_eq!((last.inspection().retrier, last.inspection().catcher), (Some(0), Some(0)));
}

#[test]
fn a_context_object_that_is_given_is_all_there_is() {
    let state = r#"{"Type":"Pass","Parameters":{"all.$":"$$"},"End":true}"#;
    let context = Json::parse(r#"{"State":{"Name":"mine"}}"#).ok();
    let trial = tried(state, "{}", Setup { context, ..Setup::default() });
    assert_eq!(output(&trial), r#"{"all":{"State":{"Name":"mine"}}}"#);
}

#[test]
fn a_wait_is_due_when_its_time_has_come() {
    let mut trial = tried(r#"{"Type":"Wait","Seconds":5,"End":true}"#, "{}", Setup::default());
    assert_eq!(trial.due(), Some(NOW.plus_ms(5_000)));
    let mut entropy = Entropy::new(1);
    let mut turn = Turn {
        now: NOW.plus_ms(5_000),
        entropy: &mut entropy,
        token: &|_| String::new(),
        activity: &|_| true,
        limits: Limits::default(),
    };
    trial.step(Stimulus::Timer, &mut turn).unwrap();
    assert_eq!(output(&trial), "{}");
}
