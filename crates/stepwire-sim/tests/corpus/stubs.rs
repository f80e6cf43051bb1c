//! The functions that the recorded workflows call: eight trivial shapes.

use std::collections::BTreeMap;

use stepwire_asl::Json;
use stepwire_core::functions::Invoked;
use stepwire_core::{Effect, Input};

/// What a stub function does.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    Identity,
    Return(Json),
    Format(String),
    SleepThenIdentity(i64),
    Raise { kind: String, message: String },
}

impl Behaviour {
    pub(crate) fn of(described: &Json) -> Result<Behaviour, String> {
        let text = |name: &str| {
            described.member(name).and_then(Json::as_str).unwrap_or_default().to_owned()
        };
        let number = |name: &str| described.member(name).and_then(Json::as_i64).unwrap_or_default();
        Ok(match text("kind").as_str() {
            "identity" => Behaviour::Identity,
            "return" => Behaviour::Return(described.member("value").cloned().unwrap_or_default()),
            "format" => Behaviour::Format(text("template")),
            "sleep_then_identity" => Behaviour::SleepThenIdentity(number("seconds")),
            "raise" => Behaviour::Raise { kind: text("errorType"), message: text("errorMessage") },
            "return_repeated" => {
                Behaviour::Return(text("char").repeat(number("bytes") as usize).into())
            }
            other => return Err(format!("no stub does `{other}`")),
        })
    }
}

#[derive(Default)]
pub(crate) struct Stubs {
    functions: BTreeMap<String, Behaviour>,
    invoked: u64,
}

impl Stubs {
    pub(crate) fn add(&mut self, name: &str, behaviour: Behaviour) {
        self.functions.insert(name.to_owned(), behaviour);
    }

    /// How many milliseconds an effect takes and what comes back from it, if anything does.
    pub(crate) fn carry_out(&mut self, effect: Effect) -> Option<(i64, Input)> {
        match effect {
            Effect::Continue { map_run } => Some((0, Input::MapRun(map_run))),
            Effect::ContinueStack { stack } => Some((0, Input::Stack(stack))),
            Effect::ContinueIndexing => Some((0, Input::Indexing)),
            Effect::Invoke { caller, invoke } => {
                self.invoked += 1;
                let request_id = format!("00000000-0000-4000-8000-{:012}", self.invoked);
                let behaviour = self.functions.get(invoke.function.name.as_ref())?;
                let (takes_ms, payload, failed) = behaviour.run(&invoke.payload, &request_id);
                let log = invoke.log_tail.then(|| "U1RBUlQ=".into());
                let result = Ok(Invoked {
                    status: 200,
                    payload: payload.into(),
                    failed,
                    log,
                    version: "$LATEST".into(),
                });
                let request_id = request_id.into();
                Some((takes_ms, Input::FunctionReturned { caller, request_id, result }))
            }
            _ => None,
        }
    }
}

impl Behaviour {
    /// How long it takes, what it returns, and whether that is an error.
    fn run(&self, event: &str, request_id: &str) -> (i64, String, bool) {
        match self {
            Behaviour::Identity => (0, event.to_owned(), false),
            Behaviour::Return(value) => (0, value.to_text(), false),
            Behaviour::Format(template) => {
                (0, Json::from(template.replace("{event}", event)).to_text(), false)
            }
            Behaviour::SleepThenIdentity(seconds) => (seconds * 1_000, event.to_owned(), false),
            Behaviour::Raise { kind, message } => {
                let (line, code) = match kind.as_str() {
                    "Exception" => {
                        (2, format!("raise Exception({})", Json::from(message.as_str())))
                    }
                    other => (9, format!("raise {other}()")),
                };
                let trace = format!(
                    "  File \"/var/task/handler.py\", line {line}, in handler\n    {code}\n"
                );
                let error = Json::object([
                    ("errorMessage", Json::from(message.as_str())),
                    ("errorType", kind.as_str().into()),
                    ("requestId", request_id.into()),
                    ("stackTrace", Json::array([Json::from(trace)])),
                ]);
                (0, error.to_text(), true)
            }
        }
    }
}
