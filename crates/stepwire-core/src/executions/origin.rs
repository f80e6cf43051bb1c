//! What began an execution: a rule, and the message that it took.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The rule that started an execution, and the device that its message came from or tells of.
///
/// Executions that another one starts, and children of map runs, have the origin of that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Name of the rule.
    pub rule: Arc<str>,
    /// Topic of the message.
    pub topic: Arc<str>,
    /// The client that published it, or that an event of presence or subscriptions tells of.
    pub client: Option<Arc<str>>,
    /// The thing of that client's connection, or the one that a reserved topic of AWS is about.
    pub thing: Option<Arc<str>>,
}

impl Origin {
    /// The name that a person knows the device by: its thing's, else its client's.
    pub fn device(&self) -> Option<&Arc<str>> {
        self.thing.as_ref().or(self.client.as_ref())
    }

    /// The names that the device goes by: its thing's, and its client's if that is another.
    pub fn devices(&self) -> impl Iterator<Item = &Arc<str>> {
        let client = self.client.as_ref().filter(|client| self.thing.as_ref() != Some(client));
        self.thing.iter().chain(client)
    }
}
