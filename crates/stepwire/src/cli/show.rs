//! `stepwire show`: a run as a tree of its states, from a node or from a file.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Read, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::Timestamp as Clock;
use stepwire_asl::diagnostic::nearest;
use stepwire_asl::{Json, Timestamp};
use stepwire_console::graph::{self, Collapsed, Graph, Options};
use stepwire_console::json::indented;
use stepwire_console::run::terminal::{self, Style};
use stepwire_console::run::{
    Event, Facts, Payload, Run, Scope, events_of, missing, processor_of, read_history,
};

use super::client::{Client, Error};
use super::failure::{Exit, Failure};
use super::running::Running;
use super::{on_runtime, print};

/// Executions of one state machine that are looked through for a name.
const LOOKED_AT_MAX: usize = 20_000;
/// Names that are told when several match.
const TOLD_MAX: usize = 5;
/// Map runs whose items are counted.
const MAP_RUNS_MAX: usize = 50;

/// Shows what an execution did, and why it stands as it does: its states with their marks, times, attempts and errors.
///
/// The run is one of a node, or a history that was downloaded: what `aws stepfunctions get-execution-history` printed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stepwire show a3f9 --io WaitForConfirmation
  aws stepfunctions get-execution-history --execution-arn ARN > h.json && stepwire show h.json --svg run.svg")]
pub(super) struct Show {
    /// Name of an execution or the beginning of one, WORKFLOW/NAME, an ARN, or a file; `-` is standard input
    #[arg(value_name = "ID|ARN|FILE")]
    what: String,
    /// The definition, for a history from a file
    #[arg(long, value_name = "FILE")]
    definition: Option<PathBuf>,
    /// Every event of the history
    #[arg(long)]
    events: bool,
    /// Input, output and variables of this state, of its last visit
    #[arg(long, value_name = "STATE")]
    io: Option<String>,
    /// Draw the graph into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Only the first N events: how it stood then
    #[arg(long, value_name = "N")]
    at: Option<usize>,
    /// How to tell
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Form,
    /// Whether to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Color,
    /// Data folder of the node [default: .stepwire here or in a folder above]
    #[arg(long, value_name = "DIR", env = "STEPWIRE_DATA")]
    data: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

/// A history with what it is of.
struct Shown {
    title: String,
    events: Vec<Event>,
    definition: Option<Json>,
    /// The present, when it is a run of a node.
    now: Option<Timestamp>,
    /// What is known beside the history.
    facts: Facts,
}

impl Show {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut shown = if self.is_file() { self.file()? } else { self.of_node()? };
        if let Some(path) = &self.definition {
            shown.definition = Some(definition(path)?);
        }
        let all = shown.events.len();
        if let Some(at) = self.at {
            if at == 0 || at > all {
                let failure = Failure::new(Exit::Usage, format!("there is no event {at}"));
                return Err(failure.hint(format!("the history has events 1 to {all}")));
            }
            shown.events.truncate(at);
        }
        let run = Run::of(shown.events, shown.definition.as_ref());
        let now = shown.now.filter(|_| self.at.is_none());
        if let Some(path) = &self.svg {
            Show::draw(path, &run, &shown.title)?;
        }
        if let Some(state) = &self.io {
            return self.print_io(&run, state);
        }
        if self.output == Form::Json {
            print(&as_json(&run, &shown.facts, now).to_text());
            return Ok(());
        }
        let style = Style { colour: self.coloured(), now };
        let mut text = format!("{}\n", shown.title);
        text.push_str(&terminal::head(&run, &run.why(&shown.facts).plain(now), style));
        text.push('\n');
        text.push_str(&if self.events {
            terminal::events(&run, style)
        } else {
            terminal::tree(&run, style)
        });
        print(text.trim_end());
        Ok(())
    }

    fn coloured(&self) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
                std::io::stdout().is_terminal() && !set("NO_COLOR") || set("CLICOLOR_FORCE")
            }
        }
    }

    /// What is no ARN and looks like a file is one, whether or not there is such a file.
    fn is_file(&self) -> bool {
        let path = Path::new(&self.what);
        let named = path
            .extension()
            .is_some_and(|it| it.eq_ignore_ascii_case("json") || it.eq_ignore_ascii_case("jsonl"));
        self.what == "-" || !self.what.starts_with("arn:") && (named || path.is_file())
    }

    fn file(&self) -> Result<Shown, Failure> {
        let text = read(&self.what)?;
        let events = read_history(&text).map_err(|error| {
            Failure::new(Exit::Rejected, format!("`{}` is no history: {error}", self.what)).hint(
                "give it what `aws stepfunctions get-execution-history --execution-arn ARN` prints",
            )
        })?;
        if let Some(missing) = missing(&text, &events) {
            let told = format!("warning: this is not the whole history: {missing}");
            let _ = writeln!(std::io::stderr(), "{told}");
        }
        let facts = Facts::default();
        Ok(Shown { title: self.what.clone(), events, definition: None, now: None, facts })
    }

    fn of_node(&self) -> Result<Shown, Failure> {
        let running = Running::find(self.data.as_deref()).map_err(|failure| {
            let hint = format!(
                "`{}` is no file either; a node must run to show its executions",
                self.what
            );
            if self.data.is_none() { failure.hint(hint) } else { failure }
        })?;
        let mut shown = None;
        on_runtime(async {
            shown = Some(asked(&Client::new(&running)?, &self.what).await?);
            Ok(())
        })?;
        shown.ok_or_else(|| Failure::new(Exit::Failed, "nothing was read"))
    }

    fn draw(path: &Path, run: &Run, title: &str) -> Result<(), Failure> {
        let graph = Graph::of(&run.definition());
        let layout = graph.layout(&Collapsed::default());
        let paint = run.paint(&graph, &Scope::default());
        let options =
            Options { id_prefix: "", name: title, links: None, toggles: None, standalone: true };
        let drawing = graph::svg(&graph, &layout, &paint, &options).into_string();
        let written = std::fs::write(path, drawing);
        written.map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot write `{}`: {error}", path.display()))
        })
    }

    fn print_io(&self, run: &Run, state: &str) -> Result<(), Failure> {
        let found = run.visits.iter().rev().find(|visit| *visit.name == *state);
        let Some(visit) = found else {
            let failure =
                Failure::new(Exit::NotFound, format!("the run did not come to a state `{state}`"));
            let names = run.visits.iter().map(|visit| &*visit.name);
            return Err(match nearest(state, names) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint("without `--io` all its states are listed"),
            });
        };
        let value =
            |payload: &Option<Payload>| payload.as_ref().map(Payload::value).unwrap_or_default();
        let members = [
            ("input", value(&visit.input)),
            ("output", value(&visit.output)),
            ("assigned", visit.assigned.clone().unwrap_or_default()),
        ];
        if self.output == Form::Json {
            print(&Json::object(members).to_text());
            return Ok(());
        }
        for (name, value) in
            members.iter().filter(|(name, value)| *name != "assigned" || !value.is_null())
        {
            print(&format!("{name}\n{}", indented(value)));
        }
        Ok(())
    }
}

fn read(path: &str) -> Result<String, Failure> {
    let read = if path == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    read.map_err(|error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound {
            Exit::NotFound
        } else {
            Exit::Failed
        };
        Failure::new(exit, format!("cannot read `{path}`: {error}"))
    })
}

fn definition(path: &Path) -> Result<Json, Failure> {
    let text = read(&path.to_string_lossy())?;
    let rejected =
        |why: String| Failure::new(Exit::Rejected, format!("`{}` {why}", path.display()));
    let json = Json::parse(&text).map_err(|error| rejected(format!("is not JSON: {error}")))?;
    // The answer of describe-state-machine has it as text.
    let inner =
        json.member("definition").and_then(Json::as_str).and_then(|text| Json::parse(text).ok());
    let json = inner.unwrap_or(json);
    if json.member("States").is_none() {
        return Err(rejected("is no definition: it has no `States`".to_owned())
            .hint("give it a file in the States Language, or what `aws stepfunctions describe-state-machine` prints"));
    }
    Ok(json)
}

/// The run that `what` names on a node.
async fn asked(client: &Client, what: &str) -> Result<Shown, Failure> {
    let arn = if what.starts_with("arn:") { what.to_owned() } else { named(client, what).await? };
    let of = |arn: &str| Json::object([("executionArn", Json::from(arn))]);
    let gone = |error: Error| {
        if !error.is("ExecutionDoesNotExist") {
            return Failure::from(error);
        }
        let hint = "Express executions have no history, and others are removed when they have been kept long enough";
        Failure::new(Exit::NotFound, format!("there is no execution `{arn}`")).hint(hint)
    };
    let mut events = Vec::new();
    let mut token: Option<Json> = None;
    loop {
        let mut members =
            vec![("executionArn", Json::from(arn.as_str())), ("maxResults", 1_000.into())];
        members.extend(token.take().map(|token| ("nextToken", token)));
        let page =
            client.states("GetExecutionHistory", &Json::object(members)).await.map_err(gone)?;
        let broken = |error: stepwire_console::run::NotHistory| {
            Failure::new(Exit::Failed, error.to_string())
        };
        events.extend(events_of(&page).map_err(broken)?);
        token = page.member("nextToken").cloned();
        if token.is_none() {
            break;
        }
    }
    let described = client.states("DescribeStateMachineForExecution", &of(&arn)).await;
    let definition = described.ok().and_then(|described| {
        let whole = Json::parse(described.member("definition")?.as_str()?).ok()?;
        let label = described.member("label").and_then(Json::as_str);
        Some(label.and_then(|label| processor_of(&whole, label)).unwrap_or(whole))
    });
    let mut title = arn.rsplitn(3, ':').collect::<Vec<_>>();
    title.pop();
    title.reverse();
    let now = Timestamp(Clock::now().as_millisecond());
    let facts = Facts { failed_items: failed_items(client, &events).await, ..Facts::default() };
    Ok(Shown { title: title.join(" / "), events, definition, now: Some(now), facts })
}

/// Items of its map runs that did not succeed.
async fn failed_items(client: &Client, events: &[Event]) -> u64 {
    let started = events.iter().filter(|event| &*event.kind == "MapRunStarted");
    let arns: BTreeSet<&str> = started.filter_map(|event| event.text("mapRunArn")).collect();
    let mut failed = 0;
    for arn in arns.into_iter().take(MAP_RUNS_MAX) {
        let asked = Json::object([("mapRunArn", Json::from(arn))]);
        let Ok(described) = client.states("DescribeMapRun", &asked).await else { continue };
        let counts = described.member("itemCounts");
        let of = |name| counts.and_then(|counts| counts.member(name)?.as_i64()).unwrap_or(0);
        failed += (of("failed") + of("timedOut") + of("aborted")).unsigned_abs();
    }
    failed
}

/// The ARN of the only execution that is called so, else of the only one whose name begins so.
async fn named(client: &Client, what: &str) -> Result<String, Failure> {
    let (workflow, prefix) = match what.rsplit_once('/') {
        Some((workflow, prefix)) => (Some(workflow), prefix),
        None => (None, what),
    };
    let text = |json: &Json, name: &str| {
        json.member(name).and_then(Json::as_str).unwrap_or_default().to_owned()
    };
    let machines = client
        .states("ListStateMachines", &Json::object([("maxResults", Json::from(1_000))]))
        .await?;
    let machines =
        machines.member("stateMachines").and_then(Json::as_array).unwrap_or_default().to_vec();
    let (mut found, mut exact): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for machine in &machines {
        let name = text(machine, "name");
        if text(machine, "type") == "EXPRESS" || workflow.is_some_and(|workflow| workflow != name) {
            continue;
        }
        let (mut token, mut seen): (Option<Json>, usize) = (None, 0);
        loop {
            let arn = machine.member("stateMachineArn").cloned().unwrap_or_default();
            let mut members = vec![("stateMachineArn", arn), ("maxResults", 1_000.into())];
            members.extend(token.take().map(|token| ("nextToken", token)));
            let page = client.states("ListExecutions", &Json::object(members)).await?;
            let list = page.member("executions").and_then(Json::as_array).unwrap_or_default();
            for execution in list {
                let name = text(execution, "name");
                let arn = text(execution, "executionArn");
                if name == prefix {
                    exact.push(arn);
                } else if name.starts_with(prefix) {
                    found.push(arn);
                }
            }
            seen += list.len();
            token = page.member("nextToken").cloned();
            if token.is_none() || seen >= LOOKED_AT_MAX {
                break;
            }
        }
    }
    let (found, how) = if exact.is_empty() { (found, "begin with") } else { (exact, "are called") };
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::new(Exit::NotFound, format!("there is no execution or file `{what}`"))
            .hint("give the beginning of an execution's name, its ARN (of one of a deleted workflow always), or a file with a history")),
        several => {
            let names = several.iter().take(TOLD_MAX).map(|arn| {
                let mut parts = arn.rsplitn(3, ':');
                let (name, workflow) =
                    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                format!("{workflow}/{name}")
            });
            let names = names.collect::<Vec<_>>().join(", ");
            let more = if several.len() > TOLD_MAX { ", …" } else { "" };
            let message =
                format!("{} executions {how} `{what}`: {names}{more}", several.len());
            Err(Failure::new(Exit::Usage, message).hint("give more of the name, or WORKFLOW/NAME"))
        }
    }
}

/// The run for programs.
fn as_json(run: &Run, facts: &Facts, now: Option<Timestamp>) -> Json {
    let time = |at: Option<Timestamp>| at.map_or(Json::Null, |at| Json::from(at.rfc3339()));
    let text = |text: &Option<std::sync::Arc<str>>| text.clone().map_or(Json::Null, Json::String);
    let number = |number: Option<i64>| number.map_or(Json::Null, Json::from);
    let states = (0..run.visits.len()).map(|id| {
        let visit = &run.visits[id];
        let within = run.way_to(id).into_iter().map(|(container, frame)| {
            let (name, frame) = (&run.visits[container].name, &run.frames[frame]);
            let kind = if frame.iteration { "item" } else { "branch" };
            Json::object([
                ("state", Json::String(name.clone())),
                (kind, Json::from(frame.index as i64)),
            ])
        });
        let attempts = visit.attempts.iter().map(|attempt| {
            Json::object([
                (
                    "call",
                    if attempt.resource.is_empty() {
                        Json::Null
                    } else {
                        Json::from(attempt.call())
                    },
                ),
                ("scheduled", time(attempt.scheduled_at)),
                ("ended", time(attempt.ended_at)),
                ("error", text(&attempt.trouble.error)),
                ("cause", text(&attempt.trouble.cause)),
            ])
        });
        Json::object([
            ("name", Json::String(visit.name.clone())),
            ("type", Json::String(visit.kind.clone())),
            ("status", Json::from(run.status_of(id).word())),
            ("entered", time(visit.entered_at)),
            ("ended", time(visit.ended_at)),
            ("tookMs", number(visit.took_ms(now))),
            ("within", Json::array(within)),
            ("attempts", Json::array(attempts)),
        ])
    });
    Json::object([
        ("status", Json::from(run.status().word())),
        ("why", Json::from(run.why(facts).plain(now))),
        ("started", time(run.started)),
        ("ended", time(run.stopped)),
        ("redrives", Json::from(i64::from(run.redrives))),
        ("events", Json::from(run.events.len() as i64)),
        ("states", Json::array(states)),
    ])
}
