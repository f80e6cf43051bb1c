//! An invocation's log, framed as Lambda frames it, and what is told of the invocation.

use std::fmt::Write;
use std::time::Duration;

use stepwire_asl::json::Number;
use stepwire_asl::{Json, Timestamp};
use stepwire_core::functions::{Logging, SystemLevel};

use super::process::{Outcome, Process, Unusable};
use super::{Ran, Run};

/// What an invocation came to that ran.
pub(super) fn ran(
    run: &Run,
    process: &Process,
    outcome: &Outcome,
    began_ms: i64,
    took: Duration,
    init: Option<Duration>,
) -> Ran {
    let end = if !outcome.failed {
        End::Success
    } else if outcome.payload.contains(r#""errorType":"Sandbox.Timedout""#) {
        End::Timeout
    } else {
        End::Error
    };
    let frame = Frame { run, began_ms, took, init, memory_mb: process.memory_mb(), end };
    Ran {
        payload: outcome.payload.as_str().into(),
        failed: outcome.failed,
        log: frame.around(&outcome.log).into(),
        stream: std::sync::Arc::clone(&process.stream),
        began_ms,
        took,
        init,
    }
}

/// What an invocation came to whose function has no process.
pub(super) fn unusable(run: &Run, unusable: Unusable, began_ms: i64) -> Ran {
    let took = unusable.took;
    let frame = Frame { run, began_ms, took, init: Some(took), memory_mb: 0, end: End::Error };
    let payload = unusable.payload(&run.request_id);
    let mut log = unusable.log.to_vec();
    log.extend_from_slice(unusable.message().as_bytes());
    log.push(b'\n');
    Ran {
        payload: payload.into(),
        failed: true,
        log: frame.around(&log).into(),
        stream: unusable.stream,
        began_ms: began_ms - i64::try_from(took.as_millis()).unwrap_or(0),
        took,
        init: Some(took),
    }
}

struct Frame<'a> {
    run: &'a Run,
    began_ms: i64,
    took: Duration,
    init: Option<Duration>,
    memory_mb: u64,
    end: End,
}

/// How an invocation ended, as reports say it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Success,
    Error,
    Timeout,
}

impl Frame<'_> {
    fn around(&self, log: &[u8]) -> String {
        let (id, record) = (&self.run.request_id, &self.run.record);
        let logging = record.logging();
        if logging.json {
            return self.as_json(log, &logging);
        }
        let mut text = format!("START RequestId: {id} Version: {}\n", record.version_text());
        text.push_str(&String::from_utf8_lossy(log));
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        let billed = self.took.as_millis() + 1;
        // Writing to text does not fail.
        let _ = write!(
            text,
            "END RequestId: {id}\nREPORT RequestId: {id}\tDuration: {:.2} ms\tBilled Duration: \
             {billed} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
            ms(self.took),
            record.memory_mb,
            self.memory_mb,
        );
        if let Some(init) = self.init {
            let _ = write!(text, "Init Duration: {:.2} ms\t", ms(init));
        }
        text.push('\n');
        text
    }

    /// The same with a frame of JSON. Source: AWS Lambda developer guide, "Lambda Telemetry API Event
    /// schema reference" and "Log-level filtering".
    fn as_json(&self, log: &[u8], logging: &Logging) -> String {
        let (id, record) = (&self.run.request_id, &self.run.record);
        let version = || Json::String(record.version_text());
        let id = || ("requestId", Json::String(std::sync::Arc::clone(id)));
        let ms = |time: Duration| {
            let text = format!("{:.2}", time.as_secs_f64() * 1_000.0);
            Number::from_text(&text).map_or(Json::Null, Json::Number)
        };
        let end_ms = self.began_ms + i64::try_from(self.took.as_millis()).unwrap_or(0);
        let failed = self.end != End::Success;
        let mut text = String::new();
        let event = |text: &mut String, at_ms, kind: &str, members: Vec<(&str, Json)>| {
            let event = Json::object([
                ("time", Json::from(Timestamp(at_ms).rfc3339())),
                ("type", format!("platform.{kind}").into()),
                ("record", Json::object(members)),
            ]);
            text.extend([&event.to_text(), "\n"]);
        };
        let informs = logging.system <= SystemLevel::Info;
        if informs && self.init.is_some() {
            let members = vec![
                ("initializationType", "on-demand".into()),
                ("phase", "init".into()),
                ("functionName", Json::String(std::sync::Arc::clone(&record.name))),
                ("functionVersion", version()),
            ];
            event(&mut text, self.began_ms, "initStart", members);
        }
        if informs {
            event(&mut text, self.began_ms, "start", vec![id(), ("version", version())]);
        }
        text.push_str(&String::from_utf8_lossy(log));
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let status = || {
            let status = match self.end {
                End::Success => "success",
                End::Error => "error",
                End::Timeout => "timeout",
            };
            ("status", status.into())
        };
        if failed || logging.system == SystemLevel::Debug {
            let metrics = ("metrics", Json::object([("durationMs", ms(self.took))]));
            event(&mut text, end_ms, "runtimeDone", vec![id(), status(), metrics]);
        }
        if failed || informs {
            let billed = i64::try_from(self.took.as_millis() + 1).unwrap_or(i64::MAX);
            let mut metrics = vec![
                ("durationMs", ms(self.took)),
                ("billedDurationMs", billed.into()),
                ("memorySizeMB", i64::from(record.memory_mb).into()),
                ("maxMemoryUsedMB", i64::try_from(self.memory_mb).unwrap_or(0).into()),
            ];
            metrics.extend(self.init.map(|init| ("initDurationMs", ms(init))));
            let metrics = ("metrics", Json::object(metrics));
            event(&mut text, end_ms, "report", vec![id(), metrics, status()]);
        }
        text
    }
}
