//! What statements ask others: tables, the registry, objects, functions.
//!
//! An evaluation never waits. A question that cannot be answered at once is noted by the
//! [`Facts`](super::Facts), the result is thrown away, and the evaluation is made again with the
//! answer.

use std::cmp::Ordering;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Json;

use super::{Expr, Value};

/// What secrets can be asked for.
pub(crate) const SECRET_TYPES: [&str; 2] = ["SecretString", "SecretBinary"];

/// What a statement asks others while it is evaluated.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Question {
    /// The bytes of an object: a set of protobuf descriptors for `decode`.
    Object {
        /// Bucket.
        bucket: Arc<str>,
        /// Key.
        key: Arc<str>,
    },
    /// An item of a table: `get_dynamodb`.
    Item {
        /// Table name.
        table: Arc<str>,
        /// Name and value of the partition key.
        partition: (Arc<str>, Json),
        /// Name and value of the sort key.
        sort: Option<(Arc<str>, Json)>,
    },
    /// What the registry says of a thing: `get_registry_data`.
    Registry {
        /// `DescribeThing` or `ListThingGroupsForThing`.
        api: Arc<str>,
        /// Thing name.
        thing: Arc<str>,
    },
    /// A shadow: `get_thing_shadow`.
    Shadow {
        /// Thing name.
        thing: Arc<str>,
        /// Shadow name; none for the classic one.
        name: Option<Arc<str>>,
    },
    /// What a function makes of something: `aws_lambda`.
    Lambda {
        /// ARN.
        function: Arc<str>,
        /// JSON text.
        payload: Arc<str>,
    },
    /// The current value of a secret: `get_secret`.
    Secret {
        /// Name or ARN.
        id: Arc<str>,
        /// `SecretString` or `SecretBinary`.
        kind: Arc<str>,
        /// Which member of a secret that is a JSON object.
        key: Option<Arc<str>>,
    },
    /// Nothing: the call has no role, without which nobody may be asked.
    NoRole {
        /// The function.
        function: Arc<str>,
    },
    /// What a model of Amazon Machine Learning says of a record: `machinelearning_predict`.
    Prediction {
        /// Its id.
        model: Arc<str>,
        /// An object; its members are texts.
        record: Json,
    },
}

impl Question {
    /// What tells one question from another: its kind, and its parts as text.
    fn parts(&self) -> (u8, Vec<Arc<str>>) {
        let key = |(name, value): &(Arc<str>, Json)| [Arc::clone(name), value.to_text().into()];
        match self {
            Question::Object { bucket, key } => (0, vec![Arc::clone(bucket), Arc::clone(key)]),
            Question::Item { table, partition, sort } => {
                let keys = [Some(partition), sort.as_ref()].into_iter().flatten();
                let keys = keys.flat_map(key);
                (1, std::iter::once(Arc::clone(table)).chain(keys).collect())
            }
            Question::Registry { api, thing } => (2, vec![Arc::clone(api), Arc::clone(thing)]),
            Question::Shadow { thing, name } => {
                (3, std::iter::once(thing).chain(name).map(Arc::clone).collect())
            }
            Question::Lambda { function, payload } => {
                (4, vec![Arc::clone(function), Arc::clone(payload)])
            }
            Question::Secret { id, kind, key } => {
                (5, [id, kind].into_iter().chain(key).map(Arc::clone).collect())
            }
            Question::NoRole { function } => (7, vec![Arc::clone(function)]),
            Question::Prediction { model, record } => {
                (6, vec![Arc::clone(model), record.to_text().into()])
            }
        }
    }
}

impl PartialEq for Question {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Question {}

impl PartialOrd for Question {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Question {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

/// What is known of a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Answered {
    /// The answer; Undefined when there is none.
    Now(Value),
    /// Not known yet: the evaluation is made again once it is.
    Later,
}

/// Whom statements ask.
pub trait Outside {
    /// What is known of `question`. Asked once for each evaluation.
    fn ask(&self, question: &Question) -> Answered;
}

/// Nobody to ask: every answer is Undefined.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Outside for Nobody {
    fn ask(&self, _: &Question) -> Answered {
        Answered::Now(Value::Undefined)
    }
}

/// Whom a statement or template may ask, told when it is parsed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asks {
    /// What this node keeps itself: objects, items, things, shadows, secrets.
    pub local: bool,
    /// Calls of `get_dynamodb` among that.
    pub items: usize,
    /// Functions, which take their time.
    pub lambda: bool,
    /// Models, which take their time and are outside.
    pub models: bool,
}

impl Asks {
    /// Whether nobody is asked.
    pub fn is_none(self) -> bool {
        self == Asks::default()
    }

    /// Whom either asks.
    #[must_use]
    pub fn and(self, other: Asks) -> Asks {
        Asks {
            local: self.local || other.local,
            items: self.items + other.items,
            lambda: self.lambda || other.lambda,
            models: self.models || other.models,
        }
    }

    /// Whom these expressions ask.
    pub(super) fn of<'a>(expressions: impl IntoIterator<Item = &'a Expr>) -> Asks {
        let mut asks = Asks::default();
        for expression in expressions {
            expression.each(&mut |part| {
                if let Expr::Call(function, arguments) = part {
                    asks = asks.and(Asks::of_call(function.name(), arguments.len()));
                }
            });
        }
        asks
    }

    fn of_call(function: &str, arguments: usize) -> Asks {
        match function {
            "aws_lambda" => Asks { lambda: true, ..Asks::default() },
            "machinelearning_predict" => Asks { models: true, ..Asks::default() },
            "get_dynamodb" => Asks { local: true, items: 1, ..Asks::default() },
            "get_registry_data" | "get_secret" | "get_thing_shadow" => {
                Asks { local: true, ..Asks::default() }
            }
            // With a descriptor set, which is an object.
            "decode" if arguments > 2 => Asks { local: true, ..Asks::default() },
            _ => Asks::default(),
        }
    }
}
