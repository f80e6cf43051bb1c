//! From an invocation that somebody asks for to the function that runs.

use std::sync::Arc;

use stepwire_core::executions::uuid_text;
use stepwire_core::functions::{self, FunctionRecord, InvocationType, Invoke, Invoked};
use stepwire_core::{ApiError, Input, Request, Settings};
use stepwire_store::Store;

use crate::driver::Inputs;
use crate::effects::{Caller, Replies};
use crate::runner::Runner;
use crate::shard::{self, Shard, ShardRead};

/// Seconds that a function has to answer a statement (AWS IoT developer guide, `aws_lambda`).
const ANSWER_S: u32 = 2;

/// The functions of a node.
pub(crate) struct Functions {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) shard: Shard,
    pub(crate) settings: Settings,
    pub(crate) replies: Arc<Replies>,
    pub(crate) runner: Runner,
}

impl Functions {
    /// Does what the caller asks for: runs the function, records that it is to run, or neither.
    pub(crate) async fn invoke(
        &self,
        invoke: &Invoke,
        request_id: &str,
        inputs: &Inputs,
    ) -> Result<Invoked, ApiError> {
        let nothing = |status| Invoked { status, payload: "".into(), failed: false, log: None };
        match invoke.kind {
            InvocationType::RequestResponse => self.run(invoke, request_id).await,
            InvocationType::DryRun => self.find(invoke).map(|_| nothing(204)),
            InvocationType::Event => {
                let (function, payload) = (invoke.function.clone(), Arc::clone(&invoke.payload));
                let request = Request::Functions(functions::Request::Enqueue { function, payload });
                let mut caller = Caller::new(Arc::clone(&self.replies), inputs.clone());
                let stopped = || ApiError::new("ServiceException", "the node is stopping");
                if !inputs.send(Input::Call { reply: caller.reply(), request }).await {
                    return Err(stopped());
                }
                caller.answer().await.unwrap_or_else(|| Err(stopped())).map(|_| nothing(202))
            }
        }
    }

    /// Runs the function, whoever waits for it.
    pub(crate) async fn run(&self, invoke: &Invoke, request_id: &str) -> Result<Invoked, ApiError> {
        let record = self.find(invoke)?;
        self.start(record, invoke, request_id).await
    }

    async fn start(
        &self,
        record: FunctionRecord,
        invoke: &Invoke,
        request_id: &str,
    ) -> Result<Invoked, ApiError> {
        let (store, shard, code) = (Arc::clone(&self.store), self.shard, record.code.clone());
        let read = move || {
            let read = ShardRead::new(store.as_ref(), shard);
            shard::catch(|| functions::code(&code, &read)).ok().flatten()
        };
        let arn = invoke.function.arn(&self.settings);
        self.runner.invoke(&record, arn, invoke, request_id, read).await
    }

    /// Runs the function for a statement of a rule, which waits no longer than [`ANSWER_S`].
    pub(crate) async fn answer(
        &self,
        invoke: &Invoke,
        request_id: &str,
    ) -> Result<Invoked, ApiError> {
        let record = self.find(invoke)?;
        let timeout_s = record.timeout_s.min(ANSWER_S);
        self.start(FunctionRecord { timeout_s, ..record }, invoke, request_id).await
    }

    fn find(&self, invoke: &Invoke) -> Result<FunctionRecord, ApiError> {
        let read = ShardRead::new(self.store.as_ref(), self.shard);
        shard::catch(|| functions::find(&invoke.function, &read, &self.settings))
            .unwrap_or_else(|error| Err(ApiError::new("ServiceException", error.to_string())))
    }
}

/// Random, in the form of a UUID.
pub(crate) fn request_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    let (a, b) = (RandomState::new().hash_one(1), RandomState::new().hash_one(2));
    uuid_text(u128::from(a) << 64 | u128::from(b))
}
