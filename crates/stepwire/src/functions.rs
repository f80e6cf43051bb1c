//! From an invocation that somebody asks for to the function that runs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::{Json, Timestamp};
use stepwire_core::executions::uuid_text;
use stepwire_core::functions::{
    self, FunctionRecord, InvocationType, Invoke, Invoked, InvokedBy, RanRecord, Told,
};
use stepwire_core::{ApiError, Input, Request, Settings, Write};
use stepwire_store::Store;

use crate::driver::Inputs;
use crate::effects::{Caller, Replies};
use crate::invocations::{Invocation, Invocations, beginning};
use crate::runner::{Ran, Run, Runner};
use crate::shard::{self, Shard, ShardRead};

/// Seconds that a function has to answer a statement (AWS IoT developer guide, `aws_lambda`).
const ANSWER_S: u32 = 2;
/// Bytes of a log that `LogType` `Tail` shows.
const TAIL_BYTES: usize = 4_096;

/// The functions of a node.
pub(crate) struct Functions {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) shard: Shard,
    pub(crate) settings: Settings,
    pub(crate) replies: Arc<Replies>,
    pub(crate) runner: Runner,
    /// Functions of which a process is to be ready.
    pub(crate) cold: Mutex<Cold>,
    /// What ran lately.
    pub(crate) recent: Invocations,
}

/// Functions that are to be made ready, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Cold {
    names: BTreeSet<Arc<str>>,
    /// Whether somebody is at it.
    busy: bool,
}

impl Functions {
    /// Does what the caller asks for: runs the function, records that it is to run, or neither.
    pub(crate) async fn invoke(
        self: &Arc<Self>,
        by: Option<InvokedBy>,
        invoke: &Invoke,
        request_id: &str,
        inputs: &Inputs,
    ) -> Result<Invoked, ApiError> {
        match invoke.kind {
            InvocationType::RequestResponse => self.run(by, invoke, request_id, inputs).await,
            InvocationType::DryRun => self.find(invoke).map(|_| nothing(204)),
            InvocationType::Event => {
                let request = Request::Functions(functions::Request::Enqueue {
                    function: invoke.function.clone(),
                    payload: Arc::clone(&invoke.payload),
                    request_id: Some(request_id.into()),
                });
                let mut caller = Caller::new(Arc::clone(&self.replies), inputs.clone());
                let stopped = || ApiError::new("ServiceException", "the node is stopping");
                if !inputs.send(Input::Call { reply: caller.reply(), request }).await {
                    return Err(stopped());
                }
                caller.answer().await.unwrap_or_else(|| Err(stopped())).map(|_| nothing(202))
            }
        }
    }

    /// Runs the function, whoever waits for it, and has kept what it writes. It runs to its end also
    /// when the caller goes away.
    pub(crate) async fn run(
        self: &Arc<Self>,
        by: Option<InvokedBy>,
        invoke: &Invoke,
        request_id: &str,
        inputs: &Inputs,
    ) -> Result<Invoked, ApiError> {
        let found = self.find(invoke)?;
        let timeout_s = match by {
            // A statement waits no longer.
            Some(InvokedBy::Rule { .. }) => found.record.timeout_s.min(ANSWER_S),
            _ => found.record.timeout_s,
        };
        let run = Run {
            arn: invoke.function.arn(&self.settings),
            request_id: request_id.into(),
            payload: Arc::clone(&invoke.payload),
            client_context: invoke.client_context.as_deref().and_then(decoded),
            trace: trace(by, request_id, &self.settings),
            timeout_s,
            reserved: found.reserved,
            record: Arc::new(found.record),
        };
        let (this, inputs, log_tail) = (Arc::clone(self), inputs.clone(), invoke.log_tail);
        let running = tokio::spawn(async move {
            let record = Arc::clone(&run.record);
            let id = Arc::clone(&run.request_id);
            let input = Arc::clone(&run.payload);
            let ran = this.runner.invoke(run).await?;
            this.recent.add(&record.name, recent(by, &record, &id, &input, &ran));
            let invoked = Invoked {
                status: 200,
                payload: Arc::clone(&ran.payload),
                failed: ran.failed,
                log: log_tail.then(|| tail(&functions::plain_log(&ran.log))),
                version: record.version_text(),
            };
            Ok((invoked, told(by, &record, id, ran), inputs))
        });
        let stopped = |_| ApiError::new("ServiceException", "the function was stopped");
        let (invoked, told, inputs) = running.await.map_err(stopped)??;
        // On its way before the answer is; durable with it, or soon after.
        inputs.send(Input::FunctionTold(Box::new(told))).await;
        Ok(invoked)
    }

    fn find(&self, invoke: &Invoke) -> Result<functions::Found, ApiError> {
        let read = ShardRead::new(self.store.as_ref(), self.shard);
        let roll = (random() % 1_000_000) as u32;
        shard::catch(|| functions::find(&invoke.function, roll, &read, &self.settings))
            .unwrap_or_else(|error| Err(ApiError::new("ServiceException", error.to_string())))
    }

    /// Looks at what has become durable: functions that are gone are let go of, and those that are
    /// new or changed are to be ready.
    pub(crate) fn observe(self: &Arc<Self>, writes: &[Write]) {
        let mut changed = Vec::new();
        for write in writes {
            let Write::Functions(write) = write else { continue };
            match write {
                functions::Write::Function(name, Some(_))
                | functions::Write::Alias(name, ..)
                | functions::Write::Provisioned(name, ..) => changed.push(Arc::clone(name)),
                functions::Write::Function(name, None) => self.runner.forget(name),
                _ => {}
            }
        }
        self.prewarm(changed);
    }

    /// Has every function be ready, one after the other.
    pub(crate) fn prewarm_all(self: &Arc<Self>) {
        let read = ShardRead::new(self.store.as_ref(), self.shard);
        let all = shard::catch(|| functions::all(&read));
        let all = all.map(Result::unwrap_or_default).unwrap_or_default();
        self.prewarm(all.into_iter().map(|record| record.name).collect());
    }

    /// How many functions are new or changed and have no process yet.
    pub(crate) fn starting(&self) -> usize {
        self.cold.lock().unwrap_or_else(PoisonError::into_inner).names.len()
    }

    fn prewarm(self: &Arc<Self>, names: Vec<Arc<str>>) {
        if names.is_empty() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        {
            let mut cold = self.cold.lock().unwrap_or_else(PoisonError::into_inner);
            cold.names.extend(names);
            if std::mem::replace(&mut cold.busy, true) {
                return;
            }
        }
        let this = Arc::clone(self);
        runtime.spawn(async move {
            // What changes once is often changed again at once.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            loop {
                let name = {
                    let mut cold = this.cold.lock().unwrap_or_else(PoisonError::into_inner);
                    // What changes meanwhile comes again.
                    let name = cold.names.pop_first();
                    cold.busy = name.is_some();
                    name
                };
                let Some(name) = name else { return };
                let read = ShardRead::new(this.store.as_ref(), this.shard);
                let found = shard::catch(|| functions::named(&name, &read));
                let kept = shard::catch(|| functions::provisioned(&name, &read));
                drop(read);
                if let Ok(Ok(kept)) = kept {
                    let kept = kept.into_iter();
                    let kept = kept.map(|(record, n)| (Arc::new(record), n as usize)).collect();
                    this.runner.provision(&name, kept);
                }
                if let Ok(Ok(Some(record))) = found
                    && let Err(why) = this.runner.prewarm(Arc::new(record)).await
                {
                    tracing::warn!("function `{name}` is not ready beforehand: {why}");
                }
            }
        });
    }
}

fn nothing(status: u16) -> Invoked {
    Invoked { status, payload: "".into(), failed: false, log: None, version: "".into() }
}

/// The end of a log, in base64.
fn tail(log: &str) -> Arc<str> {
    STANDARD.encode(&log.as_bytes()[log.len().saturating_sub(TAIL_BYTES)..]).into()
}

/// What is shown of an invocation.
fn recent(
    by: Option<InvokedBy>,
    record: &FunctionRecord,
    request_id: &Arc<str>,
    input: &Arc<str>,
    ran: &Ran,
) -> Invocation {
    Invocation {
        request_id: Arc::clone(request_id),
        version: record.version_text(),
        at: Timestamp(ran.began_ms),
        took: ran.took,
        init: ran.init,
        failed: ran.failed,
        by,
        input: beginning(input),
        result: beginning(&ran.payload),
        log: beginning(&functions::plain_log(&ran.log).into()),
        step: OnceLock::new(),
    }
}

/// What is kept of an invocation.
fn told(by: Option<InvokedBy>, record: &FunctionRecord, request_id: Arc<str>, ran: Ran) -> Told {
    let task = match by {
        Some(InvokedBy::Task { execution, scheduled, .. }) => Some((execution, scheduled)),
        _ => None,
    };
    let stream = if ran.stream.is_empty() {
        let at = Timestamp(ran.began_ms).rfc3339();
        let day = at.get(..10).unwrap_or_default().replace('-', "/");
        format!("{day}/[{}]not-started", record.version_text()).into()
    } else {
        ran.stream
    };
    let ran = RanRecord {
        request_id,
        function: Arc::clone(&record.name),
        version: record.version_text(),
        began: Timestamp(ran.began_ms),
        took_us: u64::try_from(ran.took.as_micros()).unwrap_or(u64::MAX),
        failed: ran.failed,
        group: record.log_group(),
        stream,
        log: ran.log,
    };
    Told { task, ran }
}

/// The trace header of an invocation: all invocations of an execution have the same root.
fn trace(by: Option<InvokedBy>, request_id: &str, settings: &Settings) -> String {
    let parent = random();
    let root = match by {
        Some(InvokedBy::Task { execution, .. }) => {
            let parts = [execution.machine, execution.number];
            stepwire_core::executions::derived_uuid(&settings.secret, "trace", &parts)
        }
        _ => request_id.to_owned(),
    };
    let digits = root.replace('-', "");
    let (time, rest) = digits.split_at_checked(8).unwrap_or((&digits, ""));
    let rest = rest.get(..24).unwrap_or(rest);
    format!("Root=1-{time}-{rest};Parent={parent:016x};Sampled=0")
}

/// The client context in base64, if it is JSON.
fn decoded(base64: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(base64).ok()?).ok()?;
    Json::parse(&text).ok()?;
    // A header has one line.
    Some(text.replace(['\r', '\n'], " "))
}

fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(1)
}

/// Random, in the form of a UUID.
pub(crate) fn request_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    let (a, b) = (RandomState::new().hash_one(1), RandomState::new().hash_one(2));
    uuid_text(u128::from(a) << 64 | u128::from(b))
}
