//! What the node lets the demo watch, over its `/-/events`; and what went by while it was not watched.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use stepwire_asl::{Json, Timestamp};

use super::api::{Api, Error};
use crate::observe::Observation;

/// Executions described at a time.
const AT_A_TIME: usize = 32;

/// The node's observations as they come.
pub(super) struct Feed {
    response: reqwest::Response,
    /// Bytes that are not a whole line yet.
    rest: Vec<u8>,
    observed: VecDeque<Observation>,
}

impl Feed {
    /// Watches the node at `http`: everything that becomes durable from now on.
    pub(super) async fn open(http: SocketAddr) -> Result<Feed, reqwest::Error> {
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
        let response = client.get(format!("http://{http}/-/events")).send().await?;
        let response = response.error_for_status()?;
        Ok(Feed { response, rest: Vec::new(), observed: VecDeque::new() })
    }

    /// The next observation; `None` when the node tells no more.
    pub(super) async fn next(&mut self) -> Option<Observation> {
        loop {
            if let Some(observation) = self.observed.pop_front() {
                return Some(observation);
            }
            let bytes = self.response.chunk().await.ok()??;
            self.take(&bytes);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        for line in whole.split(|byte| *byte == b'\n') {
            let observation = line.strip_prefix(b"data: ").map(serde_json::from_slice);
            self.observed.extend(observation.and_then(Result::ok));
        }
    }
}

/// The beginnings and ends of the executions of `machine` that started at `since` or later: for
/// one who has missed some of them.
pub(super) async fn missed(
    api: &Api,
    machine: &str,
    since: Timestamp,
) -> Result<Vec<Observation>, Error> {
    let mut arns = Vec::new();
    let mut token = None;
    loop {
        let mut members =
            vec![("stateMachineArn", Json::from(machine)), ("maxResults", 1_000.into())];
        members.extend(token.take().map(|token| ("nextToken", token)));
        let page = api.states("ListExecutions", Json::object(members)).await?;
        let executions = page.member("executions").and_then(Json::as_array).unwrap_or_default();
        let recent = executions.iter().take_while(|run| moment(run, "startDate") >= since);
        let recent = recent.filter_map(|run| run.member("executionArn").cloned());
        let before = arns.len();
        arns.extend(recent);
        token = page.member("nextToken").cloned();
        // Newest first: a page with older ones is the last that matters.
        if token.is_none() || arns.len() - before < executions.len() {
            break;
        }
    }
    let described = stream::iter(arns.into_iter().rev()).map(async |arn| {
        api.states("DescribeExecution", Json::object([("executionArn", arn)])).await
    });
    let described: Vec<Json> = described.buffered(AT_A_TIME).try_collect().await?;
    Ok(described.iter().flat_map(story_of).collect())
}

/// How an execution began and, if it has, how it ended.
fn story_of(described: &Json) -> Vec<Observation> {
    let text = |name| described.member(name).and_then(Json::as_str).map(Arc::<str>::from);
    let (Some(execution), Some(input), Some(status)) =
        (text("executionArn"), text("input"), text("status"))
    else {
        return Vec::new();
    };
    let at = moment(described, "startDate");
    let began = Observation::ExecutionStarted { execution: Arc::clone(&execution), input, at };
    if &*status == "RUNNING" {
        return vec![began];
    }
    let (error, at) = (text("error"), moment(described, "stopDate"));
    vec![began, Observation::ExecutionEnded { execution, status, error, at }]
}

fn moment(json: &Json, name: &str) -> Timestamp {
    let seconds = json.member(name).and_then(Json::as_f64).unwrap_or_default();
    Timestamp((seconds * 1_000.0).round() as i64)
}
