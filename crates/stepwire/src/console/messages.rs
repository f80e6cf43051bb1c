//! Live: the messages that are kept, and publishing one.

use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::Json;
use stepwire_console::Page;
use stepwire_console::link::link;
use stepwire_console::pages::{self, Problem, live};
use stepwire_console::payload::{self, Form as Shown};
use stepwire_core::Service;
use stepwire_core::message::{Message, Origin, Properties};
use stepwire_core::rules::evaluate::takes;

use super::Done;
use super::live::{Interest, Topic};
use super::visit::{Form, Visit, problem};
use crate::node::Node;
use crate::recorded::Recording;
use crate::rule_tester;

/// Messages in the list; the page is drawn once a second when there are many, so no more than
/// these are shown in a second.
const LISTED: usize = 50;
/// Messages a second from which on the page is drawn once a second.
const MANY: f64 = 20.0;

pub(super) fn interest(visit: &Visit) -> Interest {
    let pace = if per_second(visit.node()) > MANY { 1_000 } else { 250 };
    let every = Some(std::time::Duration::from_secs(2));
    Interest { every, ..Interest::in_topics([Topic::Messages], pace) }
}

fn per_second(node: &Node) -> f64 {
    node.rates().per_second(5, |totals| totals.received)
}

pub(super) fn page(visit: &Visit) -> Result<Page, Problem> {
    let recorded = visit.node().recorded();
    let all = recorded.latest(None, usize::MAX);
    let filter = visit.query("filter").unwrap_or_default();
    let form = Shown::named(&visit.query("as").unwrap_or_default());
    let fault = fault(&filter);
    let wanted: Vec<&Recording> = match &fault {
        Some(_) => Vec::new(),
        None => all.iter().filter(|it| is_wanted(&filter, &it.message.topic)).collect(),
    };
    let number = |name: &str| visit.query(name)?.parse::<u64>().ok();
    let chosen = number("message").map(|id| {
        recorded.get(id).ok_or_else(|| {
            let why = format!("message {id} is no longer kept");
            Problem::not_found(why).hint("the latest ones are kept: see `--recorded-messages`")
        })
    });
    let again = number("again").and_then(|id| recorded.get(id));
    let draft = again.map(|it| live::Draft {
        topic: it.message.topic.to_string(),
        payload: String::from_utf8_lossy(&it.message.payload).into_owned(),
    });
    let view = live::View {
        per_second: per_second(visit.node()),
        messages: wanted.iter().take(LISTED).map(|it| row(it, form)).collect(),
        more: wanted.len().saturating_sub(LISTED),
        kept: (all.len(), recorded.limits().messages_max),
        topics: live::levels(all.iter().map(|it| &*it.message.topic)),
        chosen: chosen.transpose()?.as_ref().map(|it| self::chosen(it, form)),
        draft: draft.unwrap_or_default(),
        published: visit.query("published"),
        filter,
        fault,
        form,
    };
    Ok(pages::live::page(&view))
}

/// Why a text is no filter.
fn fault(filter: &str) -> Option<String> {
    let levels: Vec<&str> = filter.split('/').collect();
    let last = levels.len() - 1;
    let wrong = levels.iter().enumerate().find(|(at, level)| {
        (level.contains('#') && (level.len() > 1 || *at < last))
            || (level.contains('+') && level.len() > 1)
    });
    wrong.map(|(at, level)| {
        format!("level {} is `{level}`: `+` stands alone, `#` alone and last", at + 1)
    })
}

/// Whether an MQTT filter takes a topic; an empty one takes all.
fn is_wanted(filter: &str, topic: &str) -> bool {
    let parent = filter.strip_suffix("/#").is_some_and(|parent| takes(parent, topic));
    filter.is_empty() || takes(filter, topic) || parent
}

/// A message in a row.
fn row(recording: &Recording, form: Shown) -> live::Message {
    let Recording { id, message, rules } = recording;
    live::Message {
        id: *id,
        at: message.at,
        topic: message.topic.to_string(),
        from: sender(&message.origin),
        bytes: message.payload.len() as u64,
        text: beginning(message, form),
        rules: rules.iter().map(ToString::to_string).collect(),
    }
}

/// The beginning of its payload in one line.
pub(super) fn beginning(message: &Message, form: Shown) -> String {
    let bytes = &message.payload[..message.payload.len().min(1_024)];
    let whole = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    };
    payload::line(whole, form)
}

fn sender(origin: &Origin) -> live::Sender {
    match origin {
        Origin::Service => live::Sender::Service,
        Origin::Client(client) => {
            live::Sender::Device(client.thing.as_ref().unwrap_or(&client.id).to_string())
        }
        Origin::Caller(_) => live::Sender::Caller,
    }
}

fn chosen(recording: &Recording, form: Shown) -> live::Chosen {
    let message = &recording.message;
    live::Chosen {
        message: row(recording, form),
        payload: message.payload.to_vec(),
        qos: message.qos as u8,
        retain: message.retain,
        properties: properties(&message.properties),
    }
}

fn properties(of: &Properties) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        all.extend(value.map(|value| (name.to_owned(), value)));
    };
    let utf8 = of.payload_is_utf8.map(|is| if is { "UTF-8 text" } else { "bytes" }.to_owned());
    add("Format", utf8);
    add("Expiry", of.message_expiry_s.map(|seconds| format!("{seconds} s")));
    add("Content type", of.content_type.as_ref().map(ToString::to_string));
    add("Response topic", of.response_topic.as_ref().map(ToString::to_string));
    let correlation = of.correlation_data.as_ref();
    add("Correlation", correlation.map(|data| payload::line(data, Shown::Auto)));
    let user = of.user_properties.iter();
    all.extend(user.map(|(name, value)| (name.to_string(), value.to_string())));
    all
}

/// Publishes what the form says.
pub(super) async fn publish(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let topic = form.field("topic");
    let retain = form.field("retain") == "yes";
    let members = [
        ("topic", Json::from(topic)),
        ("payload", STANDARD.encode(form.text("payload")).into()),
        ("qos", if form.field("qos") == "0" { 0.into() } else { 1.into() }),
        ("retain", retain.into()),
    ];
    visit.ask(Service::IotData, "Publish", members).await.map_err(problem)?;
    Ok(Done::At(link(form.back(), &[("published", topic)])))
}

/// Answers `GET /-/console/messages.jsonl?filter=F`: the messages that are kept, oldest first, one
/// JSON object a line.
pub(super) fn download(node: &Node, parts: &Parts) -> Response {
    let filter = Visit::new(node, parts).query("filter").unwrap_or_default();
    if let Some(fault) = fault(&filter) {
        return (StatusCode::BAD_REQUEST, format!("{fault}\n")).into_response();
    }
    let all = node.recorded().latest(None, usize::MAX);
    let wanted = all.iter().rev().filter(|it| is_wanted(&filter, &it.message.topic));
    let lines: String = wanted.map(|it| rule_tester::shown(it).to_text() + "\n").collect();
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"messages.jsonl\""),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, lines).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_take_topics_as_subscriptions_do() {
        for (filter, topic, takes) in [
            ("", "$aws/x", true),
            ("#", "a/b", true),
            ("#", "$aws/x", false),
            ("a/#", "a", true),
            ("a/+", "a/b", true),
            ("a/+", "a/b/c", false),
        ] {
            assert_eq!(is_wanted(filter, topic), takes, "{filter} {topic}");
        }
    }

    #[test]
    fn what_is_no_filter_is_told() {
        for filter in ["a/#/b", "a#", "a/b+"] {
            assert!(fault(filter).is_some(), "{filter}");
        }
        for filter in ["", "#", "+", "a/+/#"] {
            assert_eq!(fault(filter), None, "{filter}");
        }
    }
}
