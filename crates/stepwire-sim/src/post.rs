//! Messages in queues: each workflow that came to an end has sent its own, once, and the bus has told
//! of its beginning and its end, once each.

use std::collections::BTreeMap;

use stepwire_asl::Json;

use crate::marks::Marks;

/// What has been put into queues.
#[derive(Debug, Default)]
pub struct Post {
    /// How often each name was sent by the workflow of that name.
    told: BTreeMap<String, u32>,
    /// How often each status of each execution was announced.
    announced: BTreeMap<(String, String), u32>,
}

impl Post {
    /// A message that has become durable.
    pub fn sent(&mut self, body: &str, marks: &mut Marks) {
        let event = Json::parse(body).unwrap_or_default();
        let Some(detail) = event.member("detail") else {
            marks.sometimes("workflow sent a message");
            *self.told.entry(body.to_owned()).or_default() += 1;
            return;
        };
        let text = |name| detail.member(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        marks.sometimes("execution announced");
        *self.announced.entry((text("name"), text("status"))).or_default() += 1;
    }

    /// What does not fit an execution of this name that ended with this event.
    pub fn problems(&self, name: &str, ended: &str) -> Vec<String> {
        let succeeded = ended == "ExecutionSucceeded";
        let told = self.told.get(name).copied().unwrap_or_default();
        let mut problems = Vec::new();
        if told != u32::from(succeeded) {
            problems.push(format!("P1: {name} ended by {ended} and sent {told} messages"));
        }
        let end = match ended {
            "ExecutionSucceeded" => "SUCCEEDED",
            "ExecutionFailed" => "FAILED",
            "ExecutionTimedOut" => "TIMED_OUT",
            _ => "ABORTED",
        };
        for status in ["RUNNING", end] {
            let key = (name.to_owned(), status.to_owned());
            let times = self.announced.get(&key).copied().unwrap_or_default();
            if times != 1 {
                problems.push(format!("P1: {status} of {name} was announced {times} times"));
            }
        }
        problems
    }
}
