//! Stored records that cannot be read: one execution or one state machine is set aside and told
//! of, the others run on.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use stepwire_asl::{Json, Timestamp};
use stepwire_core::effect::Report;
use stepwire_core::executions::record::{self, ExecutionRecord};
use stepwire_core::executions::{self, ExecutionId};
use stepwire_core::overlay::Changes;
use stepwire_core::{Effect, Input, Kernel, ReplyId, Request, Service, Settings, Step, Write};

type Disk = BTreeMap<Vec<u8>, Vec<u8>>;

const START: Timestamp = Timestamp(1_000_000);
const WAIT: &str = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":1,"End":true}}}"#;

/// Steps `input` and stores what it changes.
fn turn(kernel: &mut Kernel, disk: &mut Disk, now: Timestamp, input: Input) -> Step {
    let mut changes = Changes::default();
    let step = kernel.turn(now, input, &mut changes, disk);
    store(disk, &changes);
    step
}

fn store(disk: &mut Disk, changes: &Changes) {
    for (key, value) in changes.entries() {
        match value {
            Some(value) => disk.insert(key.clone(), value.clone()),
            None => disk.remove(key),
        };
    }
}

fn call(kernel: &mut Kernel, disk: &mut Disk, operation: &str, body: &Json) -> Json {
    let request = Request::parse(Service::States, operation, body).unwrap().unwrap();
    let step = turn(kernel, disk, START, Input::Call { reply: ReplyId(1), request });
    let answers = step.effects.into_iter().find_map(|effect| match effect {
        Effect::Reply { answer, .. } => Some(answer),
        _ => None,
    });
    answers.unwrap().unwrap()
}

/// A kernel with two executions that wait for a second, and their identifiers.
fn two_waiting() -> (Disk, Vec<ExecutionId>) {
    let (mut kernel, mut disk) = (Kernel::new(Settings::default()), Disk::new());
    let machine = Json::object([
        ("name", Json::from("wait")),
        ("definition", WAIT.into()),
        ("roleArn", "arn:aws:iam::000000000000:role/x".into()),
    ]);
    let created = call(&mut kernel, &mut disk, "CreateStateMachine", &machine);
    let arn = created.member("stateMachineArn").unwrap();
    for name in ["first", "second"] {
        let start = Json::object([("stateMachineArn", arn.clone()), ("name", name.into())]);
        call(&mut kernel, &mut disk, "StartExecution", &start);
    }
    let ids = disk.keys().filter_map(|key| {
        let id = record::id_of(key).ok()?;
        (record::execution_key(id) == *key).then_some(id)
    });
    let ids = ids.collect();
    (disk, ids)
}

/// What was told of as unreadable, and the executions that ended, from a restart to two seconds on.
fn after_a_restart(disk: &mut Disk) -> (Vec<String>, Vec<ExecutionId>) {
    let (mut kernel, first) = Kernel::recover(Settings::default(), START, disk).unwrap();
    let mut changes = Changes::default();
    let mut steps = vec![kernel.settle(START, first, &mut changes, disk)];
    store(disk, &changes);
    steps.push(turn(&mut kernel, disk, START.plus_ms(2_000), Input::Tick));
    let mut told = Vec::new();
    let mut ended = Vec::new();
    for step in steps {
        told.extend(step.effects.into_iter().filter_map(|effect| match effect {
            Effect::Report(Report::Unreadable { why }) => Some(why.to_string()),
            _ => None,
        }));
        ended.extend(step.writes.into_iter().filter_map(|write| match write {
            Write::Executions(executions::Write::Open(id, None)) => Some(id),
            _ => None,
        }));
    }
    (told, ended)
}

fn summary(disk: &Disk, id: ExecutionId) -> ExecutionRecord {
    let key = record::execution_key(id);
    record::execution(&key, &disk[&key]).unwrap()
}

#[test]
fn undamaged_executions_end_after_a_restart() {
    let (mut disk, ids) = two_waiting();
    assert_eq!(after_a_restart(&mut disk), (vec![], ids));
}

#[test]
fn an_execution_with_a_damaged_history_is_set_aside_alone() {
    let (mut disk, ids) = two_waiting();
    let chunk = record::history_key(ids[0], 1);
    disk.get_mut(&chunk).unwrap().truncate(3);
    let (told, ended) = after_a_restart(&mut disk);
    assert_eq!((told.len(), ended), (1, vec![ids[1]]), "{told:?}");
}

#[test]
fn an_execution_that_a_newer_interpreter_began_is_set_aside_alone() {
    let (mut disk, ids) = two_waiting();
    let newer = ExecutionRecord { revision: stepwire_asl::REVISION + 1, ..summary(&disk, ids[1]) };
    let (key, value) = executions::Write::Execution(ids[1], newer).entry();
    disk.insert(key, value.unwrap());
    let (told, ended) = after_a_restart(&mut disk);
    assert!(told.len() == 1 && told[0].contains("a newer interpreter began it"), "{told:?}");
    assert_eq!(ended, [ids[0]]);
}

#[test]
fn a_definition_that_is_no_longer_valid_does_not_stop_the_others() {
    let (mut disk, ids) = two_waiting();
    let key = record::machine_key(ids[0].machine);
    let stored = record::machine(&key, &disk[&key]).unwrap();
    let other = executions::MachineRecord {
        number: stored.number + 1,
        name: "bad".into(),
        definition: r#"{"StartAt":"Nowhere","States":{}}"#.into(),
        ..stored
    };
    let (key, value) = executions::Write::Machine(other.into()).entry();
    disk.insert(key, value.unwrap());
    let (told, ended) = after_a_restart(&mut disk);
    assert!(told.len() == 1 && told[0].contains("`bad`"), "{told:?}");
    assert_eq!(ended, ids);
}
