//! Situations that must come up somewhere across the seeds, or the simulation proves nothing.

use std::collections::BTreeMap;

use stepwire_core::{Write, broker, executions, functions, rules, tables};

/// Every situation the simulation is meant to reach.
pub const ALL: &[&str] = &[
    "crash before commit",
    "crash after commit",
    "crash between effects",
    "crash during recovery",
    "batch decided while another is committed",
    "two batches lost in one crash",
    "profile service failed and was retried",
    "function failed and was tried again",
    "function given up",
    "device answered",
    "silent device timed out",
    "device answered after its time was up",
    "answer came before its token was stored",
    "answer sent again after a lost PUBACK",
    "forged answer refused",
    "device taken over by itself",
    "silent connection ended by its keep-alive",
    "revoked device refused",
    "message held until the device subscribed",
    "late answer refused",
    "retried task got a new token",
    "replayed completion refused",
    "branches ran beside each other",
    "timer fired after a crash that outlasted it",
    "start repeated after an unknown outcome",
    "http call repeated after a crash",
    "invocation repeated after a crash",
    "execution read back from its history",
    "session resumed after a crash",
    "QoS 1 message sent twice and delivered",
    "QoS 2 message sent twice and delivered once",
    "QoS 2 message released twice",
    "retained message replaced",
    "will published",
    "parent told of its child's end",
    "child stopped with its parent",
    "worker did a task",
    "worker was too late",
    "worker vanished while it waited for a task",
    "worker vanished with a task",
    "task came to a worker that had vanished",
    "workflow sent a message",
    "execution announced",
    "map run tolerated failures",
    "map run went on after a crash",
    "map run redriven",
    "Express execution ended",
    "Express execution waited for",
    "connection ended by DeleteConnection",
    "DeleteConnection of a client that is away",
    "thing came into a group",
    "thing left a group",
    "thing got a type",
    "registry event told",
    "session ended by DeleteConnection",
    "messages shared by two",
    "delayed will published",
    "delayed will cancelled by a reconnect",
    "device of the aws profile let in",
    "connection ended by loss of rights",
    "certificate INACTIVE while its device was connected",
    "policy detached while its device was connected",
    "policy version changed while devices were connected",
    "device came back with its rights",
    "message waited for an earlier one of its device",
    "function had no answer for a rule",
    "function asked again by a rule after a crash",
    "destination confirmed",
    "destination confirmed, and that was never heard",
    "destination asked again",
    "destination could not be asked",
    "destination disabled",
    "delivery tried again",
    "delivery attempted again",
    "delivery repeated after a crash",
    "delivery refused for good",
    "delivery failed each time",
    "delivery arrived, and that was never heard",
    "delivery had no enabled destination",
];

/// Kinds of records: a crash must hit the commit of each, before it and after it.
pub const KINDS: &[&str] = &[
    "a connect",
    "a disconnect",
    "a subscription",
    "a queued message",
    "a QoS 2 receipt",
    "a retained message",
    "a held message",
    "a registry change",
    "a rule",
    "an errand of a rule",
    "a destination of rules",
    "a table",
    "an item",
    "a kept answer",
    "a function",
    "an invocation",
    "a log",
    "a part of a state machine",
    "a state machine",
    "a start",
    "a step",
    "a deadline",
    "an end",
    "an activity",
    "a message in a queue",
    "a map run",
    "progress of a map run",
    "an end of a map run",
];

/// When a process dies, as seen from a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// The batch has not reached the disk.
    BeforeCommit,
    /// It has, and nobody has been told.
    AfterCommit,
    /// Half of its effects have left.
    BetweenEffects,
}

impl Moment {
    /// All there are.
    pub const ALL: [Moment; 3] =
        [Moment::BeforeCommit, Moment::AfterCommit, Moment::BetweenEffects];

    /// Its name on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Moment::BeforeCommit => "before",
            Moment::AfterCommit => "after",
            Moment::BetweenEffects => "between",
        }
    }

    fn situation(self) -> &'static str {
        match self {
            Moment::BeforeCommit => "crash before commit",
            Moment::AfterCommit => "crash after commit",
            Moment::BetweenEffects => "crash between effects",
        }
    }
}

/// How often each situation came up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    situations: BTreeMap<&'static str, u64>,
    crashes: BTreeMap<(Moment, &'static str), u64>,
}

impl Marks {
    /// Notes that `what`, one of [`ALL`], has come up.
    ///
    /// # Panics
    /// If `what` is not listed: a mark nobody requires proves nothing.
    pub fn sometimes(&mut self, what: &'static str) {
        assert!(ALL.contains(&what), "`{what}` is not in marks::ALL");
        *self.situations.entry(what).or_default() += 1;
    }

    /// Notes a crash around the commit of `writes`.
    pub fn crash(&mut self, moment: Moment, writes: &[Write]) {
        self.sometimes(moment.situation());
        for write in writes {
            *self.crashes.entry((moment, kind(write))).or_default() += 1;
        }
    }

    /// Adds what another world came to.
    pub fn add(&mut self, other: &Marks) {
        for (what, times) in &other.situations {
            *self.situations.entry(what).or_default() += times;
        }
        for (what, times) in &other.crashes {
            *self.crashes.entry(*what).or_default() += times;
        }
    }

    /// What never came up.
    pub fn missing(&self) -> Vec<String> {
        let situations = ALL.iter().filter(|what| !self.situations.contains_key(**what));
        let situations = situations.map(|what| (*what).to_owned());
        let crashes = Moment::ALL.into_iter().take(2).flat_map(|moment| {
            let missing =
                KINDS.iter().filter(move |kind| !self.crashes.contains_key(&(moment, **kind)));
            missing.map(move |kind| format!("{} of {kind}", moment.situation()))
        });
        situations.chain(crashes).collect()
    }

    /// How often each situation came up.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.situations.iter().map(|(what, times)| (*what, *times))
    }
}

fn kind(write: &Write) -> &'static str {
    match write {
        Write::Broker(write) => match write {
            broker::Write::Session { record: Some(record), .. } if record.connected => "a connect",
            broker::Write::Session { .. } => "a disconnect",
            broker::Write::Subscription { .. } => "a subscription",
            broker::Write::Queued { .. } | broker::Write::Sent { .. } => "a queued message",
            broker::Write::Received { .. } => "a QoS 2 receipt",
            broker::Write::Retained { .. } => "a retained message",
            broker::Write::Held { .. } => "a held message",
        },
        Write::Registry(_) => "a registry change",
        Write::Rules(rules::Write::Rule(..)) => "a rule",
        Write::Errand(_) => "an errand of a rule",
        Write::Destinations(_) => "a destination of rules",
        Write::Tables(write) => match write {
            tables::Write::Item(..) => "an item",
            tables::Write::Entry(..) => "an entry of an index",
            tables::Write::Expiry(..) => "the expiry of an item",
            tables::Write::Token(..) | tables::Write::Aged(..) => "a transaction",
            tables::Write::Table(..)
            | tables::Write::NoTable(..)
            | tables::Write::Counts(..)
            | tables::Write::Retired(..) => "a table",
        },
        Write::Answer(..) => "a kept answer",
        Write::Objects(..) => "an object",
        Write::Queues(..) => "a message in a queue",
        Write::Topics(..) | Write::Events(..) => "an event",
        Write::Logs(..) => "a log",
        Write::Metrics(..) => "a metric",
        Write::Alarms(..) => "an alarm",
        Write::Stacks(..) => "a stack",
        Write::Shadow(..) => "a shadow",
        Write::Jobs(..) => "a job",
        Write::Iam(..) | Write::Parameters(..) | Write::Scheduler(..) | Write::Secrets(..) => {
            "a setting"
        }
        Write::Functions(write) => match write {
            functions::Write::Function(..)
            | functions::Write::Code { .. }
            | functions::Write::Version(..)
            | functions::Write::Alias(..)
            | functions::Write::Layer(..)
            | functions::Write::LayerVersions(..)
            | functions::Write::Provisioned(..)
            | functions::Write::Source(..) => "a function",
            functions::Write::Invocation(..) | functions::Write::Ran(..) => "an invocation",
        },
        Write::Executions(write) => match write {
            executions::Write::Machine(..) | executions::Write::Numbers(..) => "a state machine",
            executions::Write::Name { .. }
            | executions::Write::OfDevice(..)
            | executions::Write::Execution(..) => "a start",
            executions::Write::History(..) => "a step",
            executions::Write::Open(_, Some(_)) => "a deadline",
            executions::Write::Open(_, None)
            | executions::Write::Ended(..)
            | executions::Write::Removed(..) => "an end",
            executions::Write::Activity(..) => "an activity",
            executions::Write::Part(..) => "a part of a state machine",
            executions::Write::MapRunProgress(..) => "progress of a map run",
            executions::Write::MapRunEnded(_) => "an end of a map run",
            executions::Write::MapRunSpec(..)
            | executions::Write::MapRunNamed(_)
            | executions::Write::MapRunOf(_)
            | executions::Write::MapRunItems(..) => "a map run",
        },
    }
}
