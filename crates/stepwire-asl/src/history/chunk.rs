//! How a run of events is stored: compact, with a payload that stands in the chunk already kept
//! as a reference to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Detail, HistoryEvent, Kind, Payload, Trouble};
use crate::definition::StateId;
use crate::{Json, Timestamp};

const FORMAT: u8 = 1;

/// Stored events that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("history cannot be read: {0}")]
pub struct Broken(String);

/// The bytes of these events; [`decode_chunk`] gives them back.
pub fn encode_chunk(events: &[HistoryEvent]) -> Vec<u8> {
    let mut payloads = Payloads::default();
    let mut names: Vec<Arc<str>> = Vec::new();
    let mut name = |text: &Arc<str>| {
        if let Some(at) = names.iter().position(|known| known == text) {
            at as u32
        } else {
            names.push(Arc::clone(text));
            names.len() as u32 - 1
        }
    };
    let first = events.first().map_or((0, Timestamp(0)), |event| (event.seq, event.at));
    let stored: Vec<Stored> = events
        .iter()
        .map(|event| Stored {
            id: event.id,
            previous: event.previous,
            after_ms: event.at.since_ms(first.1),
            frame: event.frame,
            what: What::of(&event.detail, &mut payloads, &mut name),
        })
        .collect();
    let chunk = Chunk { seq: first.0, at: first.1, texts: payloads.texts, names, events: stored };
    postcard::to_extend(&chunk, vec![FORMAT]).expect("plain data can be written")
}

/// The events that [`encode_chunk`] wrote.
pub fn decode_chunk(bytes: &[u8]) -> Result<Vec<HistoryEvent>, Broken> {
    let rest = match bytes.split_first() {
        Some((&FORMAT, rest)) => rest,
        Some((found, _)) => return Err(Broken(format!("format {found}"))),
        None => return Err(Broken("empty".to_owned())),
    };
    let chunk: Chunk = postcard::from_bytes(rest).map_err(|error| Broken(error.to_string()))?;
    let values = chunk.texts.iter().map(|text| Json::parse(text));
    let values = values.collect::<Result<_, _>>().map_err(|error| Broken(error.to_string()))?;
    let source = Source { texts: chunk.texts, values, names: chunk.names };
    let event = |(at, stored): (usize, Stored)| {
        Some(HistoryEvent {
            seq: chunk.seq + at as u64,
            id: stored.id,
            previous: stored.previous,
            at: chunk.at.plus_ms(stored.after_ms),
            frame: stored.frame,
            detail: stored.what.detail(&source)?,
        })
    };
    let events: Option<Vec<_>> = chunk.events.into_iter().enumerate().map(event).collect();
    events.ok_or_else(|| Broken("a reference leads nowhere".to_owned()))
}

#[derive(Serialize, Deserialize)]
struct Chunk {
    seq: u64,
    at: Timestamp,
    texts: Vec<String>,
    names: Vec<Arc<str>>,
    events: Vec<Stored>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    id: u64,
    previous: u64,
    after_ms: i64,
    frame: u32,
    what: What,
}

/// A payload's place in the chunk; whether its text is the caller's own.
#[derive(Serialize, Deserialize, Clone, Copy)]
struct Place(u32, bool);

/// Stored by position: new kinds come last.
#[derive(Serialize, Deserialize)]
enum What {
    ExecutionStarted(Place, u32, u32),
    ExecutionSucceeded(Place),
    ExecutionFailed(Trouble),
    ExecutionTimedOut(Trouble),
    ExecutionAborted(Trouble),
    Entered(Kind, StateId, u32, Place),
    Exited(Kind, u32, Place, Option<StateId>, Vec<(Arc<str>, Json)>),
    Aborted(Kind),
    Scheduled(u32, u32, u32, Place, Option<i64>, Option<i64>),
    Started(bool, u32, u32),
    Submitted(u32, u32, Place),
    TaskSucceeded(bool, u32, u32, Place),
    TaskEnded(bool, bool, bool, u32, u32, Trouble),
    ParallelStarted(u32),
    ParallelSucceeded,
    ParallelFailed(Trouble),
    MapStarted(Place, u32),
    MapSucceeded,
    MapFailed(Trouble),
    IterationStarted(u32, u32),
    IterationSucceeded(u32, u32),
    IterationFailed(u32, u32),
    IterationAborted(u32, u32),
    WaitUntil(Timestamp),
    RetryScheduled(u32, Timestamp),
    RetryDue,
    BranchStarted(u32, u32),
    Heartbeat,
    BranchFailed,
    ActivityStarted(Option<u32>),
    EvaluationFailed(u32, Option<Arc<str>>, bool, Trouble),
    /// As `Scheduled`, with a role.
    ScheduledAs(u32, u32, u32, Place, Option<i64>, Option<i64>, u32),
    DistributedMapStarted(u32),
    MapRunStarted(u32),
    MapRunSucceeded,
    MapRunFailed(Trouble),
    MapRunAborted,
    MapRunRedriven(u32, u32),
    ExecutionRedriven(u32),
}

/// Payloads written so far: the last few are looked at for one that is the same.
#[derive(Default)]
struct Payloads {
    texts: Vec<String>,
    recent: Vec<(Json, u32)>,
}

impl Payloads {
    fn place(&mut self, payload: &Payload) -> Place {
        let written = matches!(payload, Payload::Text(..));
        let value = payload.value();
        let known = self.recent.iter().rev().find(|(other, _)| other.same(value));
        if let Some((_, at)) = known {
            return Place(*at, written);
        }
        let text = payload.text();
        let known =
            self.recent.iter().rev().take(4).find(|(_, at)| self.texts[*at as usize] == text);
        let at = if let Some((_, at)) = known {
            *at
        } else {
            self.texts.push(text);
            self.texts.len() as u32 - 1
        };
        if self.recent.len() >= 16 {
            self.recent.remove(0);
        }
        self.recent.push((value.clone(), at));
        Place(at, written)
    }
}

struct Source {
    texts: Vec<String>,
    values: Vec<Json>,
    names: Vec<Arc<str>>,
}

impl Source {
    fn payload(&self, place: Place) -> Option<Payload> {
        let value = self.values.get(place.0 as usize)?.clone();
        Some(if place.1 {
            Payload::Text(self.texts.get(place.0 as usize)?.as_str().into(), value)
        } else {
            Payload::Value(value)
        })
    }

    fn name(&self, at: u32) -> Option<Arc<str>> {
        self.names.get(at as usize).cloned()
    }
}

impl What {
    fn of(
        detail: &Detail,
        payloads: &mut Payloads,
        name: &mut impl FnMut(&Arc<str>) -> u32,
    ) -> What {
        match detail {
            Detail::ExecutionStarted { input, execution_arn, role_arn } => {
                What::ExecutionStarted(payloads.place(input), name(execution_arn), name(role_arn))
            }
            Detail::ExecutionSucceeded(output) => What::ExecutionSucceeded(payloads.place(output)),
            Detail::ExecutionFailed(trouble) => What::ExecutionFailed(trouble.clone()),
            Detail::ExecutionTimedOut(trouble) => What::ExecutionTimedOut(trouble.clone()),
            Detail::ExecutionAborted(trouble) => What::ExecutionAborted(trouble.clone()),
            Detail::Entered { kind, state, name: text, input } => {
                What::Entered(*kind, *state, name(text), payloads.place(input))
            }
            Detail::Exited { kind, name: text, output, next, assigned } => {
                let assigned = assigned.iter().map(|(k, v)| (Arc::clone(k), v.clone())).collect();
                What::Exited(*kind, name(text), payloads.place(output), *next, assigned)
            }
            Detail::Aborted(kind) => What::Aborted(*kind),
            Detail::Scheduled {
                resource_type,
                resource,
                region,
                parameters,
                timeout_s,
                heartbeat_s,
                role_arn,
            } => {
                let (kind, operation, region) = (name(resource_type), name(resource), name(region));
                let (place, timeout, heartbeat) =
                    (payloads.place(parameters), *timeout_s, *heartbeat_s);
                match role_arn {
                    None => What::Scheduled(kind, operation, region, place, timeout, heartbeat),
                    Some(role) => What::ScheduledAs(
                        kind,
                        operation,
                        region,
                        place,
                        timeout,
                        heartbeat,
                        name(role),
                    ),
                }
            }
            Detail::Started { function, resource_type, resource } => {
                What::Started(*function, name(resource_type), name(resource))
            }
            Detail::Submitted { resource_type, resource, output } => {
                What::Submitted(name(resource_type), name(resource), payloads.place(output))
            }
            Detail::TaskSucceeded { function, resource_type, resource, output } => {
                What::TaskSucceeded(
                    *function,
                    name(resource_type),
                    name(resource),
                    payloads.place(output),
                )
            }
            Detail::TaskEnded {
                function,
                timed_out,
                heartbeat,
                resource_type,
                resource,
                trouble,
            } => {
                let (kind, operation) = (name(resource_type), name(resource));
                What::TaskEnded(*function, *timed_out, *heartbeat, kind, operation, trouble.clone())
            }
            Detail::ParallelStarted(branches) => What::ParallelStarted(*branches),
            Detail::ParallelSucceeded => What::ParallelSucceeded,
            Detail::ParallelFailed(trouble) => What::ParallelFailed(trouble.clone()),
            Detail::MapStarted { items, concurrency } => {
                What::MapStarted(payloads.place(items), *concurrency)
            }
            Detail::MapSucceeded => What::MapSucceeded,
            Detail::MapFailed(trouble) => What::MapFailed(trouble.clone()),
            Detail::IterationStarted { name: text, index } => {
                What::IterationStarted(name(text), *index)
            }
            Detail::IterationSucceeded { name: text, index } => {
                What::IterationSucceeded(name(text), *index)
            }
            Detail::IterationFailed { name: text, index } => {
                What::IterationFailed(name(text), *index)
            }
            Detail::IterationAborted { name: text, index } => {
                What::IterationAborted(name(text), *index)
            }
            Detail::WaitUntil(until) => What::WaitUntil(*until),
            Detail::RetryScheduled { retrier, due } => What::RetryScheduled(*retrier, *due),
            Detail::RetryDue => What::RetryDue,
            Detail::BranchStarted { parent, index } => What::BranchStarted(*parent, *index),
            Detail::BranchFailed => What::BranchFailed,
            Detail::Heartbeat => What::Heartbeat,
            Detail::ActivityStarted { worker } => What::ActivityStarted(worker.as_ref().map(name)),
            Detail::EvaluationFailed { state, location, evaluated, trouble } => {
                What::EvaluationFailed(name(state), location.clone(), *evaluated, trouble.clone())
            }
            Detail::DistributedMapStarted { length } => What::DistributedMapStarted(*length),
            Detail::MapRunStarted { arn } => What::MapRunStarted(name(arn)),
            Detail::MapRunSucceeded => What::MapRunSucceeded,
            Detail::MapRunFailed(trouble) => What::MapRunFailed(trouble.clone()),
            Detail::MapRunAborted => What::MapRunAborted,
            Detail::MapRunRedriven { arn, count } => What::MapRunRedriven(name(arn), *count),
            Detail::ExecutionRedriven(count) => What::ExecutionRedriven(*count),
        }
    }

    fn detail(self, source: &Source) -> Option<Detail> {
        Some(match self {
            What::ExecutionStarted(input, arn, role) => Detail::ExecutionStarted {
                input: source.payload(input)?,
                execution_arn: source.name(arn)?,
                role_arn: source.name(role)?,
            },
            What::ExecutionSucceeded(output) => Detail::ExecutionSucceeded(source.payload(output)?),
            What::ExecutionFailed(trouble) => Detail::ExecutionFailed(trouble),
            What::ExecutionTimedOut(trouble) => Detail::ExecutionTimedOut(trouble),
            What::ExecutionAborted(trouble) => Detail::ExecutionAborted(trouble),
            What::Entered(kind, state, name, input) => Detail::Entered {
                kind,
                state,
                name: source.name(name)?,
                input: source.payload(input)?,
            },
            What::Exited(kind, name, output, next, assigned) => Detail::Exited {
                kind,
                name: source.name(name)?,
                output: source.payload(output)?,
                next,
                assigned: assigned.into_iter().collect::<BTreeMap<_, _>>(),
            },
            What::Aborted(kind) => Detail::Aborted(kind),
            What::Scheduled(kind, operation, region, parameters, timeout_s, heartbeat_s) => {
                Detail::Scheduled {
                    resource_type: source.name(kind)?,
                    resource: source.name(operation)?,
                    region: source.name(region)?,
                    parameters: source.payload(parameters)?,
                    timeout_s,
                    heartbeat_s,
                    role_arn: None,
                }
            }
            What::ScheduledAs(
                kind,
                operation,
                region,
                parameters,
                timeout_s,
                heartbeat_s,
                role,
            ) => Detail::Scheduled {
                resource_type: source.name(kind)?,
                resource: source.name(operation)?,
                region: source.name(region)?,
                parameters: source.payload(parameters)?,
                timeout_s,
                heartbeat_s,
                role_arn: Some(source.name(role)?),
            },
            What::EvaluationFailed(state, location, evaluated, trouble) => {
                let state = source.name(state)?;
                Detail::EvaluationFailed { state, location, evaluated, trouble }
            }
            What::Started(function, kind, operation) => Detail::Started {
                function,
                resource_type: source.name(kind)?,
                resource: source.name(operation)?,
            },
            What::Submitted(kind, operation, output) => Detail::Submitted {
                resource_type: source.name(kind)?,
                resource: source.name(operation)?,
                output: source.payload(output)?,
            },
            What::TaskSucceeded(function, kind, operation, output) => Detail::TaskSucceeded {
                function,
                resource_type: source.name(kind)?,
                resource: source.name(operation)?,
                output: source.payload(output)?,
            },
            What::TaskEnded(function, timed_out, heartbeat, kind, operation, trouble) => {
                Detail::TaskEnded {
                    function,
                    timed_out,
                    heartbeat,
                    resource_type: source.name(kind)?,
                    resource: source.name(operation)?,
                    trouble,
                }
            }
            What::ParallelStarted(branches) => Detail::ParallelStarted(branches),
            What::ParallelSucceeded => Detail::ParallelSucceeded,
            What::ParallelFailed(trouble) => Detail::ParallelFailed(trouble),
            What::MapStarted(items, concurrency) => {
                Detail::MapStarted { items: source.payload(items)?, concurrency }
            }
            What::MapSucceeded => Detail::MapSucceeded,
            What::MapFailed(trouble) => Detail::MapFailed(trouble),
            What::IterationStarted(name, index) => {
                Detail::IterationStarted { name: source.name(name)?, index }
            }
            What::IterationSucceeded(name, index) => {
                Detail::IterationSucceeded { name: source.name(name)?, index }
            }
            What::IterationFailed(name, index) => {
                Detail::IterationFailed { name: source.name(name)?, index }
            }
            What::IterationAborted(name, index) => {
                Detail::IterationAborted { name: source.name(name)?, index }
            }
            What::WaitUntil(until) => Detail::WaitUntil(until),
            What::RetryScheduled(retrier, due) => Detail::RetryScheduled { retrier, due },
            What::RetryDue => Detail::RetryDue,
            What::BranchStarted(parent, index) => Detail::BranchStarted { parent, index },
            What::BranchFailed => Detail::BranchFailed,
            What::Heartbeat => Detail::Heartbeat,
            What::ActivityStarted(None) => Detail::ActivityStarted { worker: None },
            What::ActivityStarted(Some(at)) => {
                Detail::ActivityStarted { worker: Some(source.name(at)?) }
            }
            What::DistributedMapStarted(length) => Detail::DistributedMapStarted { length },
            What::MapRunStarted(arn) => Detail::MapRunStarted { arn: source.name(arn)? },
            What::MapRunSucceeded => Detail::MapRunSucceeded,
            What::MapRunFailed(trouble) => Detail::MapRunFailed(trouble),
            What::MapRunAborted => Detail::MapRunAborted,
            What::MapRunRedriven(arn, count) => {
                Detail::MapRunRedriven { arn: source.name(arn)?, count }
            }
            What::ExecutionRedriven(count) => Detail::ExecutionRedriven(count),
        })
    }
}
