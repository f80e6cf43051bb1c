//! What is known of executions, against a kernel whose commits go to a map.

use stepwire_asl::Json;
use stepwire_core::pipeline::Pipeline;
use stepwire_core::read::Key;
use stepwire_core::{Effect, Input, ReplyId, Request, Service, Settings};

use super::*;

/// A kernel with its store, and what is known from its writes.
struct World {
    pipeline: Pipeline,
    stored: BTreeMap<Key, Vec<u8>>,
    lately: Lately,
    now: Timestamp,
}

const START: Timestamp = Timestamp(1_700_000_000_000);

impl World {
    fn new() -> World {
        let stored = BTreeMap::new();
        let pipeline = Pipeline::recover(Settings::default(), START, &stored).unwrap();
        World { pipeline, stored, lately: Lately::new(START), now: START }
    }

    fn input(&mut self, input: Input) -> Vec<Effect> {
        self.pipeline.take(self.now, input, &self.stored);
        let mut effects = Vec::new();
        while let Some(batch) = self.pipeline.hand_over() {
            for (key, value) in batch.changes.entries() {
                match value {
                    Some(value) => self.stored.insert(key.clone(), value.clone()),
                    None => self.stored.remove(key),
                };
            }
            self.lately.writes(&batch.writes);
            effects.extend(batch.effects);
            self.pipeline.commit_ended();
        }
        effects
    }

    fn call(&mut self, service: Service, operation: &str, body: &str) -> Json {
        let body = Json::parse(body).unwrap();
        let request = Request::parse(service, operation, &body).unwrap().unwrap();
        let effects = self.input(Input::Call { reply: ReplyId(1), request });
        let answer = effects.into_iter().find_map(|effect| match effect {
            Effect::Reply { answer, .. } => Some(answer.unwrap()),
            _ => None,
        });
        answer.unwrap()
    }

    fn machine(&mut self, name: &str, definition: &str) {
        let definition = Json::from(definition).to_text();
        let body = format!(
            r#"{{"name":"{name}","definition":{definition},"roleArn":"arn:aws:iam::000000000000:role/r"}}"#
        );
        self.call(Service::States, "CreateStateMachine", &body);
    }

    fn start(&mut self, machine: &str, name: &str, input: &str) {
        let arn = format!(
            "arn:aws:states:{}:{}:stateMachine:{machine}",
            Settings::default().region,
            Settings::default().account
        );
        let input = Json::from(input).to_text();
        let body = format!(r#"{{"stateMachineArn":"{arn}","name":"{name}","input":{input}}}"#);
        self.call(Service::States, "StartExecution", &body);
        self.now = self.now.plus_ms(10);
    }

    /// What a node knows that finds this in its store.
    fn filled(&self) -> Lately {
        let lately = Lately::new(self.now);
        lately.count_open(&self.stored);
        lately.fill(|| self.stored.clone(), || true);
        lately
    }
}

/// Workflows that end in every way, or do not.
fn world() -> World {
    let mut world = World::new();
    world.machine("Good", r#"{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}"#);
    world.machine(
        "Bad",
        r#"{"StartAt":"Check","States":{"Check":{"Type":"Choice","Choices":[{"Variable":"$.ok","BooleanEquals":true,"Next":"Wait"}],"Default":"Broken"},
        "Wait":{"Type":"Wait","Seconds":60,"Next":"Good"},"Good":{"Type":"Succeed"},"Broken":{"Type":"Fail","Error":"Device.Broken","Cause":"it is"}}}"#,
    );
    world.machine(
        "Both",
        r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","End":true,"Branches":[
        {"StartAt":"Quick","States":{"Quick":{"Type":"Pass","End":true}}},
        {"StartAt":"Slow","States":{"Slow":{"Type":"Wait","Seconds":5,"Next":"Bad"},"Bad":{"Type":"Fail","Error":"Late"}}}]}}}"#,
    );
    world.machine(
        "Asks",
        r#"{"StartAt":"Ask","States":{"Ask":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:iotdataplane:publish.waitForTaskToken",
        "Parameters":{"Topic":"d/req","Payload":{"t.$":"$$.Task.Token"}},"HeartbeatSeconds":30,"End":true}}}"#,
    );
    world.start("Good", "g", "{}");
    world.start("Bad", "b", r#"{"ok":false}"#);
    world.start("Bad", "w", r#"{"ok":true}"#);
    world.start("Both", "p", "{}");
    world.start("Asks", "a", "{}");
    world
}

fn find(recent: &Recent, name: &str) -> Arc<Run> {
    Arc::clone(recent.runs.iter().find(|run| &*run.name == name).unwrap())
}

/// A run in a line: status, state, what it waits for, error.
fn line(run: &Run) -> String {
    let waits = match run.waits() {
        Waits::Nothing => "",
        Waits::Device => " waits for a device",
        Waits::Time(_) => " waits for a time",
        Waits::Worker => " waits for a worker",
        Waits::Child => " waits for a child",
    };
    let state = run.state().map_or("-", |state| state);
    format!("{} {state}{waits} {}", run.status.word(), run.error.as_deref().unwrap_or("-"))
}

#[test]
fn runs_say_where_they_are_and_how_they_ended() {
    let mut world = world();
    let of = |world: &World, name| line(&find(&world.lately.recent(), name));
    assert_eq!(of(&world, "g"), "SUCCEEDED - -");
    assert_eq!(of(&world, "b"), "FAILED Broken Device.Broken");
    assert_eq!(of(&world, "w"), "RUNNING Wait waits for a time -");
    assert_eq!(of(&world, "p"), "RUNNING Slow waits for a time -");
    assert_eq!(of(&world, "a"), "RUNNING Ask waits for a device -");
    assert_eq!(world.lately.recent().open, 3);
    world.now = world.now.plus_ms(31_000);
    world.input(Input::Tick);
    assert_eq!(of(&world, "p"), "FAILED Bad Late");
    assert_eq!(of(&world, "a"), "FAILED Ask States.Timeout");
    assert_eq!(world.lately.recent().open, 1);
}

#[test]
fn what_is_read_from_the_store_is_what_was_seen() {
    let mut world = world();
    for step in 0..3 {
        let (seen, read) = (world.lately.recent(), world.filled().recent());
        assert_eq!(seen.open, read.open, "step {step}");
        assert_eq!(seen.runs.len(), 5);
        assert_eq!((seen.from, read.from), (seen.from, None));
        for (seen, read) in seen.runs.iter().zip(read.runs.iter()) {
            assert_eq!(line(seen), line(read), "step {step}");
            let facts = |run: &Run| (run.id, run.workflow.clone(), run.started, run.stopped);
            assert_eq!(facts(seen), facts(read), "step {step}");
        }
        world.now = world.now.plus_ms(31_000);
        world.input(Input::Tick);
    }
}

#[test]
fn changes_while_the_store_is_read_are_not_lost() {
    let mut world = world();
    // A new process: it sees what happens from here on, and reads the store as it was before.
    let before = world.stored.clone();
    world.lately = Lately::new(world.now);
    world.lately.count_open(&world.stored);
    world.now = world.now.plus_ms(31_000);
    world.input(Input::Tick);
    world.start("Good", "new", "{}");
    let snapshots = std::cell::Cell::new(Some(before));
    world.lately.fill(|| snapshots.take().unwrap_or_else(|| world.stored.clone()), || true);
    let recent = world.lately.recent();
    let lines: Vec<_> =
        recent.runs.iter().map(|run| format!("{} {}", run.name, line(run))).collect();
    assert_eq!(
        lines,
        [
            "new SUCCEEDED - -",
            "a FAILED Ask States.Timeout",
            "p FAILED Bad Late",
            "w RUNNING Wait waits for a time -",
            "b FAILED Broken Device.Broken",
            "g SUCCEEDED - -",
        ]
    );
    assert_eq!(recent.open, 1);
}

#[test]
fn alike_failures_are_one_group() {
    let mut world = world();
    world.start("Bad", "b2", r#"{"ok":false}"#);
    world.start("Good", "g2", "{}");
    let recent = world.lately.recent();
    let groups = attention(&recent.runs, world.now, 3_600_000);
    let [group] = groups.as_slice() else { panic!("{groups:?}") };
    assert_eq!((&*group.workflow, group.count), ("Bad", 2));
    assert_eq!(group.state.as_deref(), Some("Broken"));
    assert_eq!(&*group.example.name, "b2");
    assert_eq!(attention(&recent.runs, world.now.plus_ms(3_700_000), 3_600_000), []);
}

#[test]
fn minutes_are_forgotten_after_a_day() {
    let world = world();
    let now = world.now;
    let count = |now| world.lately.minutes(2, now).iter().map(|minute| minute.started).sum::<u32>();
    assert_eq!(count(now), 5);
    assert_eq!(count(now.plus_ms(2 * 60_000)), 0);
    assert_eq!(count(now.plus_ms(24 * 3_600_000)), 0);
    let read = world.filled();
    assert_eq!(read.minutes(2, now), world.lately.minutes(2, now));
}

#[test]
fn earlier_executions_are_in_the_store_alone() {
    let world = world();
    let newest = world.lately.recent().runs.first().unwrap().id.number;
    let names = |workflow| {
        let older = older(newest, workflow, None, &world.stored);
        older.map(|run| run.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None), ["p", "w", "b", "g"]);
    assert_eq!(names(Some("Bad")), ["w", "b"]);
    let input = input_text(find(&world.lately.recent(), "b").id, &world.stored);
    assert_eq!(input.as_deref(), Some(r#"{"ok":false}"#));
}

#[test]
fn executions_of_a_device_are_found_however_old_they_are() {
    let mut world = world();
    let recent = world.lately.recent();
    let of = [("b", "thing"), ("g", "thing"), ("g", "client"), ("w", "client"), ("p", "other")];
    for (name, device) in of {
        let key = record::of_device_key(device, find(&recent, name).id);
        world.stored.insert(key, Vec::new());
    }
    let names = |runs: &[Arc<Run>]| runs.iter().map(|run| run.name.to_string()).collect::<Vec<_>>();
    for recent in [recent.clone(), Recent::default()] {
        let newest = |names: &[&str], most| newest_of_device(names, most, &recent, &world.stored);
        assert_eq!(names(&newest(&["thing", "client"], 10)), ["w", "b", "g"]);
        assert_eq!(names(&newest(&["thing", "client"], 2)), ["w", "b"]);
        assert_eq!(names(&newest(&["thing"], 10)), ["b", "g"]);
        assert_eq!(names(&newest(&["thin"], 10)), [""; 0]);
        assert_eq!(newest(&["client"], 1), [find(&world.lately.recent(), "w")]);
    }
    let older = |number, workflow, device| {
        let older = older(number, workflow, Some(device), &world.stored);
        older.map(|run| run.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(older(u64::MAX, None, "thing"), ["b", "g"]);
    assert_eq!(older(find(&recent, "b").id.number, None, "thing"), ["g"]);
    assert_eq!(older(u64::MAX, Some("Bad"), "thing"), ["b"]);
    assert_eq!(older(u64::MAX, None, "\0"), [""; 0]);
}

#[test]
fn what_is_not_kept_any_longer_is_forgotten() {
    let mut world = world();
    let id = find(&world.lately.recent(), "b").id;
    let key = record::execution_key(id);
    world.stored.remove(&key);
    let removed = Write::Executions(executions::Write::Removed(key));
    world.lately.writes(std::slice::from_ref(&removed));
    let names =
        |recent: &Recent| recent.runs.iter().map(|run| run.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&world.lately.recent()), ["a", "p", "w", "g"]);
    assert_eq!(names(&world.filled().recent()), names(&world.lately.recent()));
}

#[test]
fn the_oldest_are_let_go() {
    let mut state = State { filled: true, ..State::default() };
    let run = |number: u64| {
        let id = ExecutionId { machine: 1, number };
        let arn = format!("arn:aws:states:r:0:execution:W:n{number}");
        let input = stepwire_asl::history::Payload::Value(Json::Null);
        let (execution_arn, role_arn) = (arn.as_str().into(), "r".into());
        let detail = Detail::ExecutionStarted { input, execution_arn, role_arn };
        (id, [HistoryEvent { seq: 1, id: 1, previous: 0, at: START, frame: 0, detail }])
    };
    for number in 0..RUNS_MAX as u64 + 10 {
        let (id, events) = run(number);
        state.history(id, &events);
    }
    assert_eq!(state.runs.len(), RUNS_MAX);
    assert_eq!(state.from, Some(10));
    // An earlier one that changed is known again, for a while.
    let (id, [event]) = run(3);
    let early = Run::begun(id, "arn:aws:states:r:0:execution:W:n3", &event).unwrap();
    state.insert(early, START);
    assert_eq!((state.runs.len(), state.from), (RUNS_MAX + 1, Some(10)));
}
