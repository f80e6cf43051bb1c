//! The pages under `tests/cases`: how workflows behave, in prose and exactly.
//!
//! A page holds blocks. `json` is a definition. `script` says what happens to it, on virtual time;
//! what must come of it follows: `history`, every event; `outcome`, how each execution ends; or
//! `diagnostics`, what is wrong with the definition; `advice`, what its author should know. Each case also replays its history, as it is
//! and as it is stored, and must reach the same state.
//!
//! `CASE=retry cargo test -p stepwire-asl --test cases` runs the pages whose path has `retry` in
//! it; `UPDATE=1` writes what came out into the pages: read the diff.
//!
//! | line of a script | what happens |
//! |---|---|
//! | `start INPUT` | an execution starts with this JSON; `{}` when there is none |
//! | `tick SECONDS` | time passes, everything due fires |
//! | `return JSON`, `refuse ERROR CAUSE` | the task's service answers |
//! | `succeed JSON`, `fail ERROR CAUSE`, `heartbeat` | somebody with the task's token reports |
//! | `stop ERROR CAUSE` | StopExecution |
//! | `repeat N COMMAND` | the command, N times |
//!
//! A task is the oldest open one, or the one scheduled at event `#N`: `fail #4 Busy`. In JSON,
//! `{N x TEXT}` is a string of N times TEXT. In a history, events that AWS does not show have no
//! id, and `!` is a refusal.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "pages are files, chosen by the environment")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stepwire_asl::advice;
use stepwire_asl::history::{decode_chunk, encode_chunk};
use stepwire_asl::{
    Decision, Entropy, Execution, Failure, HistoryEvent, Json, Start, StateMachine, Status,
    Stimulus, Timestamp, Turn,
};

/// Characters of a line's details that are shown.
const SHOWN_MAX: usize = 800;

#[test]
fn every_page_says_what_happens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let wanted = std::env::var("CASE").unwrap_or_default();
    let update = std::env::var("UPDATE").is_ok_and(|value| value == "1");
    let mut pages = Vec::new();
    collect(&folder, &mut pages);
    pages.sort();
    pages.retain(|page| page.strip_prefix(&folder).unwrap().to_string_lossy().contains(&wanted));
    assert!(!pages.is_empty(), "no page has `{wanted}` in its path");
    let mut wrong = String::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let now = rewritten(&text, &page);
        if now == text {
            continue;
        }
        if update {
            std::fs::write(&page, now).unwrap();
        } else {
            writeln!(wrong, "{}\n{}", page.display(), difference(&text, &now)).unwrap();
        }
    }
    assert!(wrong.is_empty(), "what happened is not what the pages say:\n{wrong}");
}

fn collect(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}

fn difference(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("  - {line}\n"));
    let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("  + {line}\n"));
    gone.chain(come).collect()
}

/// The page with what happens in place of what it expects.
fn rewritten(page: &str, path: &Path) -> String {
    let (mut made, mut definition, mut script) = (String::new(), String::new(), String::new());
    let mut lines = page.lines();
    let mut expects = 0;
    while let Some(line) = lines.next() {
        made.push_str(line);
        made.push('\n');
        let Some(kind) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let block: String = block.iter().flat_map(|line| [*line, "\n"]).collect();
        expects += usize::from(!matches!(kind, "json" | "script"));
        let now = match kind {
            "json" => {
                definition.clone_from(&block);
                block
            }
            "script" => {
                script.clone_from(&block);
                block
            }
            "history" => World::run(&definition, &script).history(),
            "outcome" => World::run(&definition, &script).outcome(),
            "diagnostics" => diagnostics(&definition),
            "advice" => advice(&definition),
            other => panic!("{}: unknown block `{other}`", path.display()),
        };
        made.push_str(&now);
        made.push_str("```\n");
    }
    assert!(expects > 0, "{} expects nothing", path.display());
    made
}

fn diagnostics(definition: &str) -> String {
    match StateMachine::parse(definition) {
        Ok(_) => "none\n".to_owned(),
        Err(found) => found.iter().flat_map(|found| [found.to_string(), "\n".to_owned()]).collect(),
    }
}

fn advice(definition: &str) -> String {
    let json = Json::parse(definition).unwrap();
    let found = [advice::linted(&json), advice::advised(&json)].concat();
    if found.is_empty() {
        return "none\n".to_owned();
    }
    found.iter().fold(String::new(), |mut told, found| {
        writeln!(told, "{found}").unwrap();
        for related in &found.help.related {
            writeln!(told, "  {} at {}", related.label, related.place).unwrap();
        }
        if let Some(hint) = &found.help.hint {
            writeln!(told, "  hint: {hint}").unwrap();
        }
        told
    })
}

/// Executions of one machine, one after the other.
struct World {
    machine: Arc<StateMachine>,
    now: Timestamp,
    entropy: Entropy,
    runs: Vec<Run>,
}

/// One execution and what happened in it.
struct Run {
    execution: Execution,
    events: Vec<HistoryEvent>,
    /// The same events as they come out of the store.
    stored: Vec<HistoryEvent>,
    told: String,
}

impl World {
    fn run(definition: &str, script: &str) -> World {
        let machine = StateMachine::parse(definition).map(Arc::new);
        let machine = machine.unwrap_or_else(|found| panic!("it is refused: {found:?}"));
        let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let mut world = World { machine, now, entropy: Entropy::new(1), runs: Vec::new() };
        script.lines().filter(|line| !line.is_empty()).for_each(|line| world.command(line));
        world
    }

    fn command(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "repeat" => {
                let (times, command) = rest.split_once(' ').unwrap();
                (0..times.parse().unwrap()).for_each(|_: u32| self.command(command));
            }
            "start" => self.start(&json_text(rest)),
            "tick" => {
                let seconds: f64 = rest.parse().unwrap();
                self.now = self.now.plus_ms((seconds * 1_000.0).round() as i64);
                self.step(Stimulus::Timer);
            }
            _ => self.step(self.stimulus(word, rest)),
        }
    }

    fn start(&mut self, input: &str) {
        let start = Start {
            execution_arn: "arn:aws:states:eu-west-1:123456789012:execution:machine:run".into(),
            role_arn: "arn:aws:iam::123456789012:role/role".into(),
            input: input.into(),
        };
        let token = |id| format!("token-{id}");
        let mut turn =
            Turn { now: self.now, entropy: &mut self.entropy, token: &token, activity: &|_| true };
        let (execution, decision) = Execution::start(Arc::clone(&self.machine), start, &mut turn);
        let (events, stored) = (Vec::new(), Vec::new());
        let mut run = Run { execution, events, stored, told: String::new() };
        run.take(decision, &self.machine);
        self.runs.push(run);
    }

    fn stimulus(&self, word: &str, rest: &str) -> Stimulus {
        let run = self.runs.last().unwrap();
        let mut ids = run.events.iter().map(|event| event.id);
        let oldest = ids.find(|id| run.execution.is_open(*id)).unwrap_or(0);
        let (scheduled, rest) = match rest.strip_prefix('#') {
            Some(rest) => {
                let (id, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                (id.parse().unwrap(), rest)
            }
            None => (oldest, rest),
        };
        let (error, cause) = rest.split_once(' ').unwrap_or((rest, ""));
        let some = |text: &str| (!text.is_empty()).then(|| Arc::from(text));
        match word {
            "return" => {
                let result = Ok(Json::parse(&json_text(rest)).unwrap());
                Stimulus::TaskReturned { scheduled, result }
            }
            "refuse" => {
                Stimulus::TaskReturned { scheduled, result: Err(Failure::new(error, cause)) }
            }
            "succeed" => Stimulus::TokenSucceeded { scheduled, output: json_text(rest).into() },
            "fail" => Stimulus::TokenFailed { scheduled, error: some(error), cause: some(cause) },
            "heartbeat" => Stimulus::Heartbeat { scheduled },
            "stop" => Stimulus::Stop { error: some(error), cause: some(cause) },
            other => panic!("unknown command `{other}`"),
        }
    }

    fn step(&mut self, stimulus: Stimulus) {
        let run = self.runs.last_mut().unwrap();
        let token = |id| format!("token-{id}");
        let mut turn =
            Turn { now: self.now, entropy: &mut self.entropy, token: &token, activity: &|_| true };
        let before = run.execution.clone();
        match run.execution.step(stimulus, &mut turn) {
            Ok(decision) => run.take(decision, &self.machine),
            Err(rejected) => {
                assert_eq!(run.execution, before, "a refused stimulus changed something");
                writeln!(run.told, "       !            {rejected}").unwrap();
            }
        }
    }

    fn history(&self) -> String {
        self.runs.iter().map(|run| run.told.as_str()).collect::<Vec<_>>().join("\n")
    }

    fn outcome(&self) -> String {
        self.runs.iter().map(|run| run.outcome() + "\n").collect()
    }
}

/// JSON as a script writes it: `{N x TEXT}` in it is a string of N times TEXT.
fn json_text(text: &str) -> String {
    if text.is_empty() {
        return "{}".to_owned();
    }
    let long = regex::Regex::new(r"\{(\d+) x ([^}]*)\}").unwrap();
    let string =
        |found: &regex::Captures<'_>| format!("\"{}\"", found[2].repeat(found[1].parse().unwrap()));
    long.replace_all(text, string).into_owned()
}

impl Run {
    fn take(&mut self, decision: Decision, machine: &Arc<StateMachine>) {
        let open = |scheduled| self.execution.is_open(scheduled);
        assert!(
            decision.tasks.iter().all(|task| open(task.scheduled)),
            "a closed task is asked for"
        );
        let started = self.execution.started_at();
        self.told.extend(decision.events.iter().map(|event| told(event, started)));
        self.stored.extend(decode_chunk(&encode_chunk(&decision.events)).unwrap());
        self.events.extend(decision.events);
        self.check(machine);
    }

    fn check(&self, machine: &Arc<StateMachine>) {
        assert_eq!(self.stored, self.events, "the stored history is another one");
        let replayed = Execution::replay(Arc::clone(machine), self.stored.iter().cloned());
        assert_eq!(replayed.as_ref(), Ok(&self.execution), "the history is not the execution");
        let public = self.events.iter().filter(|event| event.id > 0);
        for (event, id) in public.zip(1..) {
            assert_eq!(event.id, id, "ids have a gap");
            assert!(event.previous < event.id, "an event follows from a later one");
        }
        let ends = self.events.iter().filter(|event| event.detail.is_terminal()).count();
        let ended = *self.execution.status() != Status::Running;
        assert_eq!(ends, usize::from(ended), "an execution ends once");
        if ended {
            assert!(self.events.last().unwrap().detail.is_terminal(), "something follows the end");
            assert!(self.execution.due().is_none() && self.execution.outstanding().is_empty());
        }
    }

    fn outcome(&self) -> String {
        let (word, error, cause) = match self.execution.status() {
            Status::Running => return "RUNNING".to_owned(),
            Status::Succeeded { output } => return shortened(&output.text()),
            Status::Failed { error, cause } => ("FAILED", error, cause),
            Status::TimedOut { error, cause } => ("TIMED_OUT", error, cause),
            Status::Aborted { error, cause } => ("ABORTED", error, cause),
        };
        let told = [Some(word), error.as_deref(), cause.as_deref()];
        shortened(&told.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }
}

/// `id <previous   milliseconds   type   details`
fn told(event: &HistoryEvent, started: Timestamp) -> String {
    let at = event.at.since_ms(started);
    if event.id == 0 {
        return format!("   -    {at:>8} ms {:?}\n", event.detail);
    }
    let aws = event.to_aws(true);
    let members = aws.as_object().unwrap();
    let kind = members["type"].as_str().unwrap();
    let details = members.iter().find(|(name, _)| name.ends_with("EventDetails"));
    let details = details.map(|(_, details)| plain(details)).unwrap_or_default();
    let line = format!("{:>4} <{:<3}{at:>7} ms {kind} {}", event.id, event.previous, details);
    format!("{}\n", line.trim_end())
}

/// Details without what every event has.
fn plain(details: &Json) -> String {
    const EVERYWHERE: [&str; 5] =
        ["inputDetails", "outputDetails", "assignedVariablesDetails", "roleArn", "region"];
    let members = details.as_object().unwrap().iter();
    let own = members.filter(|(name, _)| !EVERYWHERE.contains(&name.as_ref()));
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_text(), str::to_owned);
    let told = own.map(|(name, value)| format!("{name}={}", shortened(&text(value))));
    told.collect::<Vec<_>>().join(" ")
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= SHOWN_MAX {
        return text.to_owned();
    }
    let start: String = text.chars().take(60).collect();
    format!("{start}… ({} bytes)", text.len())
}
