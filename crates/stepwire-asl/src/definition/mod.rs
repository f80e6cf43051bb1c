//! State machines: validated definitions.
//!
//! Parsing checks everything that can be known from the text; a [`StateMachine`] cannot be wrong in
//! shape. Paths, templates and choice rules are compiled, transitions are numbers.

mod map;
mod parse;
mod references;
mod resource;
mod single;

use std::sync::Arc;

pub use map::{
    Batcher, CsvHeaders, Distributed, InputType, Items, Manifest, Map, Percentage, Reader,
    Transformation, Writer,
};
pub use references::variable_references;
pub use resource::{Pattern, Resource};
pub use single::SingleState;

use crate::Json;
use crate::compare::Rule;
use crate::diagnostic::Diagnostic;
use crate::intrinsic::Intrinsic;
use crate::jsonata::Expression;
use crate::path::{Path, ReferencePath};
use crate::template::Template;
use crate::time::Timestamp;

/// Number of a state in its machine, across all branches.
pub type StateId = u32;

/// A validated definition: every transition leads somewhere.
#[derive(Debug, PartialEq)]
pub struct StateMachine {
    pub(crate) states: Vec<StateDefinition>,
    pub(crate) start: StateId,
    pub(crate) timeout_s: Option<i64>,
    comment: Option<Arc<str>>,
    tasks: Vec<(String, Arc<Resource>)>,
}

/// One entry of `States`.
#[derive(Debug, PartialEq)]
pub struct StateDefinition {
    /// Its name.
    pub name: Arc<str>,
    pub(crate) state: State,
    pub(crate) data: Data,
    pub(crate) assign: Option<Template>,
    pub(crate) next: Next,
    pub(crate) retry: Vec<Retrier>,
    pub(crate) catch: Vec<Catcher>,
    /// Whether some expression of it reads the context object.
    pub(crate) reads_context: bool,
}

/// The language that a state's fields are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryLanguage {
    /// Paths, payload templates and intrinsic functions.
    JsonPath,
    /// Expressions in `{% %}`.
    Jsonata,
}

/// What a state takes of its input and makes of its result, in its query language.
#[derive(Debug, PartialEq)]
pub(crate) enum Data {
    JsonPath(Box<Paths>),
    Jsonata { arguments: Option<Template>, output: Option<Template> },
}

#[derive(Debug, PartialEq)]
pub(crate) struct Paths {
    /// `None`: `null`, the state sees an empty object.
    pub(crate) input: Option<Path>,
    /// `None`: `null`, the state gives an empty object.
    pub(crate) output: Option<Path>,
    /// `None`: `null`, the result is dropped.
    pub(crate) result: Option<ReferencePath>,
    pub(crate) parameters: Option<Template>,
    pub(crate) result_selector: Option<Template>,
}

impl StateDefinition {
    /// The language of its fields.
    pub fn query_language(&self) -> QueryLanguage {
        match self.data {
            Data::JsonPath(_) => QueryLanguage::JsonPath,
            Data::Jsonata { .. } => QueryLanguage::Jsonata,
        }
    }

    /// Whether its output is its input, untouched.
    pub(crate) fn is_transparent(&self) -> bool {
        let whole = |path: &Option<Path>| path.as_ref().is_some_and(Path::is_whole);
        match &self.data {
            Data::JsonPath(paths) => {
                let plain = paths.result.as_ref().is_none_or(ReferencePath::is_root);
                whole(&paths.input) && whole(&paths.output) && paths.parameters.is_none() && plain
            }
            Data::Jsonata { output, .. } => output.is_none(),
        }
    }
}

/// Where a state leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// To another state of the same branch.
    State(StateId),
    /// Nowhere: its output is the branch's.
    End,
    /// Where its rules say.
    Chosen,
}

/// What a state does.
#[derive(Debug, PartialEq)]
pub(crate) enum State {
    Pass { result: Option<Json> },
    Task(Box<TaskDefinition>),
    Choice { rules: Vec<ChoiceRule>, default: Option<StateId> },
    Wait(Wait),
    Succeed,
    Fail { error: Option<Text>, cause: Option<Text> },
    Parallel { branches: Vec<StateId> },
    Map(Box<Map>),
}

#[derive(Debug, PartialEq)]
pub(crate) struct TaskDefinition {
    pub(crate) resource: Arc<Resource>,
    pub(crate) timeout: Option<Seconds>,
    pub(crate) heartbeat: Option<Seconds>,
    /// `Credentials`: an object with `RoleArn`.
    pub(crate) credentials: Option<Template>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct ChoiceRule {
    pub(crate) test: Test,
    pub(crate) next: StateId,
    pub(crate) assign: Option<Template>,
    /// In JSONata; goes before the state's own.
    pub(crate) output: Option<Template>,
}

/// When a choice rule applies.
#[derive(Debug, PartialEq)]
pub(crate) enum Test {
    Rule(Rule),
    Condition(Expression),
    /// `Condition` written as `true` or `false`.
    Always(bool),
}

#[derive(Debug, PartialEq)]
pub(crate) enum Wait {
    Seconds(Seconds),
    Until(Timestamp),
    TimestampPath(Path),
    Expression(Expression),
}

/// A number of seconds (or of anything counted), written or read.
#[derive(Debug, PartialEq)]
pub(crate) enum Seconds {
    Fixed(i64),
    Path(Path),
    Expression(Expression),
}

/// A text, written or computed.
#[derive(Debug, PartialEq)]
pub(crate) enum Text {
    Literal(Arc<str>),
    Path(Path),
    Call(Intrinsic),
    Expression(Expression),
}

/// One entry of `Retry`.
#[derive(Debug, PartialEq)]
pub struct Retrier {
    pub(crate) errors: Vec<Arc<str>>,
    pub(crate) interval_s: f64,
    pub(crate) attempts_max: u32,
    pub(crate) backoff: f64,
    pub(crate) delay_max_s: f64,
    pub(crate) full_jitter: bool,
}

/// One entry of `Catch`.
#[derive(Debug, PartialEq)]
pub struct Catcher {
    pub(crate) errors: Vec<Arc<str>>,
    pub(crate) next: StateId,
    pub(crate) result_path: Option<ReferencePath>,
    /// In JSONata: in place of the error's object.
    pub(crate) output: Option<Template>,
    pub(crate) assign: Option<Template>,
}

impl StateMachine {
    /// The machine that `text` defines, or everything that is wrong with it.
    pub fn parse(text: &str) -> Result<StateMachine, Vec<Diagnostic>> {
        parse::machine(text)
    }

    /// Every task's resource, with the JSON pointer of its `Resource`.
    pub fn tasks(&self) -> impl Iterator<Item = (&str, &Resource)> {
        self.tasks.iter().map(|(pointer, resource)| (pointer.as_str(), resource.as_ref()))
    }

    /// How many states it has, in all its branches.
    pub fn state_count(&self) -> usize {
        self.states.len()
    }

    /// `Comment`
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    /// The name of a state.
    pub fn state_name(&self, id: StateId) -> Option<&Arc<str>> {
        self.states.get(id as usize).map(|state| &state.name)
    }

    /// Whether it uses what the language got in November 2024, JSONata or variables. What the
    /// service has answered otherwise since about then, it is recorded to answer for such machines.
    pub fn is_recent(&self) -> bool {
        self.states.iter().any(|state| {
            let catches = state.catch.iter().any(|catcher| catcher.assign.is_some());
            state.assign.is_some() || catches || state.query_language() == QueryLanguage::Jsonata
        })
    }

    pub(crate) fn state(&self, id: StateId) -> &StateDefinition {
        &self.states[id as usize]
    }
}

impl Retrier {
    /// The wait before retry number `used + 1`, in milliseconds; `roll` in `0.0..1.0` is used only
    /// for `FULL` jitter. Source: States Language, "Retrying after error".
    pub(crate) fn delay_ms(&self, used: u32, roll: f64) -> i64 {
        let grown = self.interval_s * self.backoff.powi(i32::try_from(used).unwrap_or(i32::MAX));
        let bounded = grown.min(self.delay_max_s);
        let delay = if self.full_jitter { bounded * roll } else { bounded };
        (delay * 1_000.0).round() as i64
    }
}

/// Whether an error name is among those of a retrier or catcher; `heartbeat` says that it is a
/// `States.Timeout` for want of a heartbeat.
///
/// `States.Runtime` ends the execution before anybody asks, so nothing here matches it.
pub(crate) fn matches_error(errors: &[Arc<str>], error: &str, heartbeat: bool) -> bool {
    errors.iter().any(|wanted| match wanted.as_ref() {
        "States.ALL" => true,
        "States.TaskFailed" => error != "States.Timeout",
        "States.HeartbeatTimeout" => heartbeat || error == "States.HeartbeatTimeout",
        wanted => wanted == error,
    })
}
