//! Events of a history, as AWS writes them.

use std::fmt;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::VisitId;

/// Most events that are read of one history: the service's own limit, and room for redrives.
pub const EVENTS_MAX: usize = 100_000;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number, from 1.
    pub id: u64,
    /// The event that it followed from; 0 for none.
    pub previous: u64,
    /// `type`, such as `TaskScheduled`.
    pub kind: Arc<str>,
    /// When it happened; recordings may leave that out.
    pub at: Option<Timestamp>,
    /// The visit of a state that it belongs to.
    pub visit: Option<VisitId>,
    /// Its `…EventDetails`.
    pub details: Json,
}

/// A text is not a history, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotHistory(pub String);

impl fmt::Display for NotHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotHistory {}

impl Event {
    /// The event that `json` writes; else what it lacks.
    pub fn read(json: &Json) -> Result<Event, String> {
        let number = |name: &str| json.member(name).and_then(Json::as_i64);
        let id = number("id").and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0);
        let kind = json.member("type").and_then(Json::as_str);
        let details = json.as_object().into_iter().flatten();
        let details = details.filter(|(name, _)| name.ends_with("EventDetails"));
        let details = details.map(|(_, details)| details.clone()).next();
        Ok(Event {
            id: id.ok_or("an event has no `id`")?,
            previous: number("previousEventId").and_then(|id| u64::try_from(id).ok()).unwrap_or(0),
            kind: kind.ok_or("an event has no `type`")?.into(),
            at: json.member("timestamp").and_then(time),
            visit: None,
            details: details.unwrap_or_default(),
        })
    }

    /// A text of its details.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.details.member(name)?.as_str()
    }

    /// A whole number of its details.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.details.member(name)?.as_i64()
    }

    /// An input or output of its details: AWS writes JSON as text.
    pub fn payload(&self, name: &str) -> Option<Payload> {
        self.details.member(name).filter(|value| !value.is_null()).cloned().map(Payload)
    }
}

/// JSON as a history holds it, read only when it is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload(Json);

impl Payload {
    /// The value.
    pub fn value(&self) -> Json {
        match &self.0 {
            Json::String(text) => Json::parse(text).unwrap_or_else(|_| self.0.clone()),
            other => other.clone(),
        }
    }

    /// Whether both were written alike.
    pub fn same_text(&self, other: &Payload) -> bool {
        self.0 == other.0
    }
}

/// The events of a history: what `aws stepfunctions get-execution-history` prints, its `events`
/// alone, or JSON Lines of events. In the order of their numbers.
pub fn read_history(text: &str) -> Result<Vec<Event>, NotHistory> {
    match Json::parse(text) {
        Ok(json) => events_of(&json),
        Err(error) => {
            let mut lines = text.lines().filter(|line| !line.trim().is_empty()).map(Json::parse);
            let lines: Option<Vec<Json>> = lines
                .by_ref()
                .map(Result::ok)
                .collect::<Option<_>>()
                .filter(|l: &Vec<_>| l.len() > 1);
            match lines {
                Some(lines) => events_of(&Json::array(lines)),
                None => Err(NotHistory(format!("it is not JSON: {error}"))),
            }
        }
    }
}

/// What these events, in order, lack of the history that they are of; `text` is what they were read from.
pub fn missing(text: &str, events: &[Event]) -> Option<String> {
    let first = events.first().map_or(1, |event| event.id);
    let gap = events.windows(2).find(|pair| pair[1].id > pair[0].id + 1);
    if first > 1 {
        return Some(format!("the beginning is missing: the first event is number {first}"));
    }
    if let Some([before, after]) = gap {
        return Some(format!("events are missing between number {} and {}", before.id, after.id));
    }
    // As a member, not within the text of an input.
    let more = text.contains("\"nextToken\"") || text.contains("\"NextToken\"");
    more.then(|| "it goes on after the last of these events: there is a `nextToken`".to_owned())
}

/// The events that `json` holds: an array, or the answer of GetExecutionHistory.
pub fn events_of(json: &Json) -> Result<Vec<Event>, NotHistory> {
    let list = json.as_array().or_else(|| json.member("events")?.as_array());
    let list = list
        .ok_or_else(|| NotHistory(format!("there is no list of `events` in it{}", guess(json))))?;
    if list.len() > EVENTS_MAX {
        return Err(NotHistory(format!(
            "it has {} events; at most {EVENTS_MAX} are read",
            list.len()
        )));
    }
    let events: Result<Vec<Event>, String> = list.iter().map(Event::read).collect();
    let mut events = events.map_err(NotHistory)?;
    if events.is_empty() {
        return Err(NotHistory("it has no events".to_owned()));
    }
    // With --reverse-order the latest comes first.
    events.sort_by_key(|event| event.id);
    Ok(events)
}

/// What somebody gave instead of a history.
fn guess(json: &Json) -> &'static str {
    let has = |name| json.member(name).is_some();
    if has("States") && has("StartAt") {
        ": it is a definition"
    } else if has("executionArn") && has("status") {
        ": it is the answer of describe-execution"
    } else if has("Parameters") || has("Resources") {
        ": it is a template"
    } else {
        ""
    }
}

/// Seconds or milliseconds since 1970; or RFC 3339, with `T` or, as Python prints it, with a space.
fn time(json: &Json) -> Option<Timestamp> {
    /// The year 5138 in seconds, 1973 in milliseconds.
    const SECONDS_MAX: f64 = 1e11;
    match json {
        Json::String(text) => Timestamp::parse(text).or_else(|| {
            let (date, time) = text.split_once(' ')?;
            Timestamp::parse(&format!("{date}T{time}"))
        }),
        other => {
            let number = other.as_f64().filter(|number| number.abs() < 1e15)?;
            let ms = if number.abs() < SECONDS_MAX { number * 1_000.0 } else { number };
            Some(Timestamp(ms.round() as i64))
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn at(timestamp: &str) -> Option<Timestamp> {
        let text = format!(r#"[{{"id":1,"type":"X","timestamp":{timestamp}}}]"#);
        read_history(&text).unwrap()[0].at
    }

    #[test]
    fn times_are_read_as_tools_print_them() {
        let expected = Timestamp::parse("2026-11-30T21:46:32.545Z");
        for text in [
            r#""2026-11-30T21:46:32.545Z""#,
            r#""2026-11-30 21:46:32.545000+00:00""#,
            r#""2026-11-30T22:46:32.545+01:00""#,
            "1796075192.545",
            "1796075192545",
        ] {
            assert_eq!(at(text), expected, "{text}");
        }
        assert_eq!(at(r#""yesterday""#), None);
    }

    #[test]
    fn what_a_history_lacks_is_told() {
        let told = |text: &str| missing(text, &read_history(text).unwrap());
        let event = |id: u64| format!(r#"{{"id":{id},"type":"X"}}"#);
        let (one, two, four) = (event(1), event(2), event(4));
        assert_eq!(told(&format!("[{one},{two}]")), None);
        assert!(told(&format!("[{two}]")).unwrap().contains("first event is number 2"));
        assert!(told(&format!("[{one},{two},{four}]")).unwrap().contains("between number 2 and 4"));
        let page = format!(r#"{{"events":[{two},{one}],"nextToken":"x"}}"#);
        assert!(told(&page).unwrap().contains("goes on"));
        let input = r#"[{"id":1,"type":"X","d":"{\"nextToken\":1}"}]"#;
        assert_eq!(told(input), None, "the text of an input");
    }
}
