//! Invocations that nobody waits for: durable, tried again, and told of at their end.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::more::qualifier;
use super::{
    ATTEMPTS_MAX, AsyncConfig, FunctionName, Functions, Invocation, Invoked, PENDING_BYTES_MAX,
    PENDING_MAX, Write,
};
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::settings::Settings;

/// The waits before the second and the third attempt (AWS: one minute, then two).
const RETRY_MS: i64 = 60_000;
/// How long an invocation is tried, unless it is configured (AWS: six hours).
const AGE_S: u32 = 21_600;
/// The first wait of an invocation for which there was no room; the next ones are longer.
const PUT_OFF_MS: i64 = 1_000;
/// The longest (AWS: five minutes).
const PUT_OFF_MS_MAX: i64 = 300_000;

/// An invocation that nobody waited for has come to its end.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) invocation: Invocation,
    /// Attempts that were made.
    attempts: u32,
    /// What the function said at last.
    last: Result<Invoked, ApiError>,
    condition: &'static str,
    /// Who is told: ARNs of destinations.
    pub(crate) destination: Option<Arc<str>>,
    /// Who gets the event that failed: the ARN of a queue or topic.
    pub(crate) dead_letter: Option<Arc<str>>,
    /// Why it failed, if it did.
    pub(crate) why: Option<Arc<str>>,
}

impl Ended {
    /// What a destination is told. Source: AWS Lambda developer guide, "Invocation record".
    pub(crate) fn record(&self, now: Timestamp, settings: &Settings) -> Json {
        let of = FunctionName::of(&self.invocation.function);
        let named = self.invocation.qualifier.as_deref().unwrap_or("$LATEST");
        let arn = of.qualified(Some(named)).arn(settings);
        let parsed = |text: &str| Json::parse(text).unwrap_or_else(|_| Json::from(text));
        let mut context = Vec::new();
        let mut payload = None;
        match &self.last {
            Ok(invoked) => {
                context.push(("statusCode", Json::from(200)));
                context.push(("executedVersion", Json::String(Arc::clone(&invoked.version))));
                context.extend(invoked.failed.then(|| ("functionError", "Unhandled".into())));
                payload = Some(parsed(&invoked.payload));
            }
            Err(_) => context.push(("statusCode", Json::from(429))),
        }
        let request = [
            ("requestId", Json::String(Arc::clone(&self.invocation.request_id))),
            ("functionArn", arn.into()),
            ("condition", self.condition.into()),
            ("approximateInvokeCount", i64::from(self.attempts).into()),
        ];
        let mut members = vec![
            ("version", Json::from("1.0")),
            ("timestamp", now.rfc3339().into()),
            ("requestContext", Json::object(request)),
            ("requestPayload", parsed(&self.invocation.payload)),
            ("responseContext", Json::object(context)),
        ];
        members.extend(payload.map(|payload| ("responsePayload", payload)));
        Json::object(members)
    }

    /// Attributes of the message with the event that failed.
    pub(crate) fn dead_letter_attributes(&self) -> Json {
        let attribute = |kind: &str, value: String| {
            Json::object([("DataType", Json::from(kind)), ("StringValue", value.into())])
        };
        let status = if self.last.is_ok() { "200" } else { "429" };
        // Longer values are cut, as Lambda does it.
        let why: String = self.why.as_deref().unwrap_or_default().chars().take(1_000).collect();
        let why = if why.is_empty() { "unknown".to_owned() } else { why };
        Json::object([
            ("RequestID", attribute("String", self.invocation.request_id.to_string())),
            ("ErrorCode", attribute("Number", status.to_owned())),
            ("ErrorMessage", attribute("String", why)),
        ])
    }
}

impl Functions {
    /// Records an invocation that nobody will wait for.
    pub(crate) fn enqueue(
        &mut self,
        now: Timestamp,
        function: &FunctionName,
        payload: Arc<str>,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<(), ApiError> {
        self.enqueue_as(None, now, function, payload, settings, writes)
    }

    /// The same under the request id that the caller was told.
    pub(super) fn enqueue_as(
        &mut self,
        request_id: Option<Arc<str>>,
        now: Timestamp,
        function: &FunctionName,
        payload: Arc<str>,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<(), ApiError> {
        self.find_version(function, settings)?;
        let full = self.pending.len() >= PENDING_MAX
            || self.pending_bytes + payload.len() > PENDING_BYTES_MAX;
        if full {
            let message = "too many invocations wait for their turn";
            return Err(ApiError::new("TooManyRequestsException", message));
        }
        let number = self.next_invocation;
        let derived = || derived_uuid(&settings.secret, "invocation", &[number, now.0 as u64]);
        let invocation = Invocation {
            function: Arc::clone(&function.name),
            payload,
            attempts: 0,
            due: Some(now),
            qualifier: function.qualifier.clone(),
            request_id: request_id.unwrap_or_else(|| derived().into()),
            asked: now,
            put_off: 0,
        };
        self.record(Write::Invocation(number, Some(invocation)), writes);
        Ok(())
    }

    /// Begins the next attempt of a pending invocation.
    pub(crate) fn attempt(&mut self, number: u64, writes: &mut Vec<Write>) -> Option<Invocation> {
        let begun = Invocation { due: None, ..self.pending.get(&number)?.clone() };
        self.record(Write::Invocation(number, Some(begun.clone())), writes);
        Some(begun)
    }

    /// An attempt has ended. Gives the invocation if that was its end.
    pub(crate) fn attempted(
        &mut self,
        now: Timestamp,
        number: u64,
        result: Result<Invoked, ApiError>,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Option<Ended> {
        let invocation = self.pending.get(&number)?.clone();
        let name =
            FunctionName::of(&invocation.function).qualified(invocation.qualifier.as_deref());
        let record = self.by_name.get(&invocation.function);
        let none = AsyncConfig::default();
        let config = record.and_then(|record| record.asynchronous.get(&qualifier(&name)));
        let config = config.unwrap_or(&none).clone();
        let version = self.find_version(&name, settings).ok();
        let dead_letter = version.and_then(|version| version.dead_letter.clone());
        let crowded = matches!(&result, Err(error) if error.code == "TooManyRequestsException");
        let succeeded = matches!(&result, Ok(invoked) if !invoked.failed);
        let attempts = invocation.attempts + u8::from(!crowded);
        let attempts_max = config.retries.map_or(ATTEMPTS_MAX, |retries| retries + 1);
        let oldest = invocation.asked.plus_ms(i64::from(config.age_s.unwrap_or(AGE_S)) * 1_000);
        let (wait_ms, put_off) = if crowded {
            let wait = PUT_OFF_MS << invocation.put_off.min(9);
            (wait.min(PUT_OFF_MS_MAX), invocation.put_off + 1)
        } else {
            (RETRY_MS * i64::from(attempts.max(1)), invocation.put_off)
        };
        let due = now.plus_ms(wait_ms);
        let gone = record.is_none();
        let aged = due > oldest;
        if !succeeded && !gone && !aged && (crowded || attempts < attempts_max) {
            let waiting = Invocation { attempts, due: Some(due), put_off, ..invocation };
            self.record(Write::Invocation(number, Some(waiting)), writes);
            return None;
        }
        self.record(Write::Invocation(number, None), writes);
        let why = match &result {
            Ok(invoked) if !invoked.failed => None,
            Ok(invoked) => Some(Arc::clone(&invoked.payload)),
            Err(error) => Some(error.to_string().into()),
        };
        let condition = match (succeeded, crowded || attempts < attempts_max) {
            (true, _) => "Success",
            (false, true) => "EventAgeExceeded",
            (false, false) => "RetriesExhausted",
        };
        let destination = if succeeded { config.on_success } else { config.on_failure };
        Some(Ended {
            invocation,
            attempts: u32::from(attempts),
            last: result,
            condition,
            destination,
            dead_letter: dead_letter.filter(|_| !succeeded),
            why,
        })
    }
}
