//! What a kernel records.

use crate::answers::Answer;
use crate::record::Entry;
use crate::{
    alarms, answers, broker, events, executions, functions, iam, jobs, logs, metrics, objects,
    parameters, queues, registry, rules, scheduler, secrets, shadows, stacks, tables, topics,
};

/// One durable change. Absolute: the last write of a key wins, and applying one twice changes
/// nothing more, so state is the fold of the writes and equally of what the store holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Sessions, presence, retained and queued messages.
    Broker(broker::Write),
    /// Things, certificates, policies.
    Registry(registry::Write),
    /// Topic rules.
    Rules(rules::Write),
    /// Topic rule destinations.
    Destinations(rules::destinations::Write),
    /// What topic rules still owe for messages that they took.
    Errand(rules::errands::Write),
    /// DynamoDB tables and items.
    Tables(tables::Write),
    /// State machines, executions, history.
    Executions(executions::Write),
    /// Log groups, streams and events.
    Logs(logs::Write),
    /// An answer that waits for its task; `None` once it no longer does.
    Answer(u64, Option<Answer>),
    /// Functions, their code, invocations that nobody waits for.
    Functions(functions::Write),
    /// Buckets and objects.
    Objects(objects::Write),
    /// Queues and messages in them.
    Queues(queues::Write),
    /// Topics and subscriptions.
    Topics(topics::Write),
    /// Event buses and their rules.
    Events(events::Write),
    /// Metrics and their data points.
    Metrics(metrics::Write),
    /// Alarms and their histories.
    Alarms(alarms::Write),
    /// CloudFormation stacks.
    Stacks(stacks::Write),
    /// Device shadows.
    Shadow(shadows::Write),
    /// Jobs, their templates, and who does them.
    Jobs(jobs::Write),
    /// Roles, policies, instance profiles.
    Iam(iam::Write),
    /// Parameters.
    Parameters(parameters::Write),
    /// Secrets.
    Secrets(secrets::Write),
    /// Schedules and their groups.
    Scheduler(scheduler::Write),
}

impl Write {
    /// The stored form: key (without shard) and value.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Broker(write) => write.entry(),
            Write::Registry(write) => write.entry(),
            Write::Rules(write) => write.entry(),
            Write::Destinations(write) => write.entry(),
            Write::Errand(write) => write.entry(),
            Write::Tables(write) => write.entry(),
            Write::Executions(write) => write.entry(),
            Write::Logs(write) => write.entry(),
            Write::Answer(number, answer) => answers::entry(*number, answer.as_ref()),
            Write::Functions(write) => write.entry(),
            Write::Objects(write) => write.entry(),
            Write::Queues(write) => write.entry(),
            Write::Topics(write) => write.entry(),
            Write::Events(write) => write.entry(),
            Write::Metrics(write) => write.entry(),
            Write::Alarms(write) => write.entry(),
            Write::Stacks(write) => write.entry(),
            Write::Shadow(write) => write.entry(),
            Write::Jobs(write) => write.entry(),
            Write::Iam(write) => write.entry(),
            Write::Parameters(write) => write.entry(),
            Write::Secrets(write) => write.entry(),
            Write::Scheduler(write) => write.entry(),
        }
    }
}
