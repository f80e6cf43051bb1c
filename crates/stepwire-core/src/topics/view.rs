//! Requests that read.

use std::sync::Arc;

use stepwire_asl::Json;

use super::record::{self, Protocol, Subscription, Topic};
use super::retry::Policy;
use super::{Request, arn, name_of_arn, no_subscription, no_topic, nothing, parts_of_arn};
use crate::error::ApiError;
use crate::read::{Range, Read};
use crate::record::Corrupt;
use crate::settings::Settings;

/// Most entries of a page.
const PAGE_MAX: usize = 100;

/// The answer to a request that reads.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::ListTopics { after } => {
            let range = record::topics();
            let (topics, next) = page(range, after, record::topic_key, read)?;
            let topics: Vec<Topic> = topics;
            let next = next.then(|| topics.last().map(|topic| Arc::clone(&topic.name))).flatten();
            let shown = topics
                .iter()
                .map(|topic| Json::object([("TopicArn", Json::from(arn(&topic.name, settings)))]));
            Ok(listed("Topics", shown, next))
        }
        Request::GetTopicAttributes { topic } => topic_attributes(topic, read, settings),
        Request::ListSubscriptions { after } => subscriptions("", after, read, settings),
        Request::ListSubscriptionsByTopic { topic, after } => {
            let topic = found(topic, read, settings)?;
            subscriptions(&topic.name, after, read, settings)
        }
        Request::GetSubscriptionAttributes { subscription } => {
            let (topic, id) = parts_of_arn(subscription, settings)?;
            let key = record::subscription_key(topic, id);
            let value = read.get(&key).ok_or_else(no_subscription)?;
            let found: Subscription = record::record(&key, &value).map_err(|c| unreadable(&c))?;
            Ok(Json::object([("Attributes", subscription_attributes(&found, settings))]))
        }
        Request::ListTagsForResource { topic } => {
            let missing = |_| ApiError::new("ResourceNotFound", "Resource does not exist");
            let topic = found(topic, read, settings).map_err(missing)?;
            let tags = topic.tags.into_iter().map(|(key, value)| {
                Json::object([("Key", Json::String(key)), ("Value", Json::String(value))])
            });
            Ok(Json::object([("Tags", Json::array(tags))]))
        }
        Request::CreateTopic { .. }
        | Request::DeleteTopic { .. }
        | Request::SetTopicAttributes { .. }
        | Request::AddPermission { .. }
        | Request::RemovePermission { .. }
        | Request::Subscribe(_)
        | Request::ConfirmSubscription { .. }
        | Request::Unsubscribe { .. }
        | Request::SetSubscriptionAttributes { .. }
        | Request::Publish { .. }
        | Request::PublishBatch { .. }
        | Request::TagResource { .. }
        | Request::UntagResource { .. } => Ok(nothing()),
    }
}

fn found(topic: &str, read: &dyn Read, settings: &Settings) -> Result<Topic, ApiError> {
    let key = record::topic_key(name_of_arn(topic, settings)?);
    let value = read.get(&key).ok_or_else(no_topic)?;
    record::record(&key, &value).map_err(|corrupt| unreadable(&corrupt))
}

/// A page of records after the one that `after` names, and whether there are more.
fn page<T: serde::de::DeserializeOwned>(
    range: Range,
    after: &str,
    key: impl Fn(&str) -> Vec<u8>,
    read: &dyn Read,
) -> Result<(Vec<T>, bool), ApiError> {
    let from = if after.is_empty() { range.from.clone() } else { [key(after), vec![0]].concat() };
    let range = Range { from: from.max(range.from.clone()), ..range }.limit(PAGE_MAX + 1);
    let entries = read.range(&range);
    let record = |(key, value): &(Vec<u8>, Vec<u8>)| {
        record::record(key, value).map_err(|corrupt| unreadable(&corrupt))
    };
    let records = entries.iter().take(PAGE_MAX).map(record).collect::<Result<_, _>>()?;
    Ok((records, entries.len() > PAGE_MAX))
}

fn listed(member: &'static str, shown: impl Iterator<Item = Json>, next: Option<Arc<str>>) -> Json {
    let list = (member, Json::array(shown));
    Json::object([list].into_iter().chain(next.map(|next| ("NextToken", Json::String(next)))))
}

fn subscriptions(
    topic: &str,
    after: &str,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let key = |after: &str| match after.split_once(':') {
        Some((topic, id)) => record::subscription_key(topic, id),
        None => record::subscription_key(after, ""),
    };
    let (some, more) = page::<Subscription>(record::subscriptions(topic), after, key, read)?;
    let next =
        some.last().filter(|_| more).map(|last| format!("{}:{}", last.topic, last.id).into());
    let shown = some.iter().map(|one| {
        let arn = match one.pending {
            Some(_) => "PendingConfirmation".to_owned(),
            None => one.arn(settings),
        };
        Json::object([
            ("SubscriptionArn", Json::from(arn)),
            ("Owner", Json::from(&*settings.account)),
            ("Protocol", one.protocol.name().into()),
            ("Endpoint", Json::String(Arc::clone(&one.endpoint))),
            ("TopicArn", super::arn(&one.topic, settings).into()),
        ])
    });
    Ok(listed("Subscriptions", shown, next))
}

fn subscription_attributes(one: &Subscription, settings: &Settings) -> Json {
    let text = |text: &Arc<str>| Json::String(Arc::clone(text));
    let truth = |truth: bool| Json::from(if truth { "true" } else { "false" });
    let mut members = vec![
        ("SubscriptionArn", Json::from(one.arn(settings))),
        ("TopicArn", arn(&one.topic, settings).into()),
        ("Protocol", one.protocol.name().into()),
        ("Endpoint", text(&one.endpoint)),
        ("Owner", Json::from(&*settings.account)),
        ("ConfirmationWasAuthenticated", truth(one.authenticated)),
        ("PendingConfirmation", truth(one.pending.is_some())),
        ("RawMessageDelivery", truth(one.raw)),
        ("SubscriptionPrincipal", format!("arn:aws:iam::{}:root", settings.account).into()),
    ];
    if let Some(policy) = &one.delivery {
        members.push(("DeliveryPolicy", text(policy)));
    }
    if let Protocol::Http | Protocol::Https = one.protocol {
        let policy = one.delivery.as_deref().and_then(|text| Policy::parse(text, false).ok());
        let shown = policy.unwrap_or_default().shown();
        let effective = Json::object([("healthyRetryPolicy", shown)]);
        members.push(("EffectiveDeliveryPolicy", effective.to_text().into()));
    }
    if let Some(redrive) = &one.redrive {
        members.push(("RedrivePolicy", text(&redrive.text)));
    }
    if let Some(filter) = &one.filter {
        let scope = if one.filters_body { "MessageBody" } else { "MessageAttributes" };
        members.extend([("FilterPolicy", text(filter)), ("FilterPolicyScope", scope.into())]);
    }
    Json::object(members)
}

fn topic_attributes(topic: &str, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let topic = found(topic, read, settings)?;
    let mut counts = [0_u64; 2];
    for (key, value) in read.range(&record::subscriptions(&topic.name)) {
        let one: Subscription = record::record(&key, &value).map_err(|c| unreadable(&c))?;
        counts[usize::from(one.pending.is_some())] += 1;
    }
    let mut members: Vec<(Arc<str>, Json)> = vec![
        ("TopicArn".into(), arn(&topic.name, settings).into()),
        ("Owner".into(), Json::from(&*settings.account)),
        ("SubscriptionsConfirmed".into(), counts[0].to_string().into()),
        ("SubscriptionsPending".into(), counts[1].to_string().into()),
        ("SubscriptionsDeleted".into(), topic.deleted.to_string().into()),
        ("EffectiveDeliveryPolicy".into(), effective(&topic).into()),
    ];
    if topic.is_fifo() && !topic.attributes.iter().any(|(n, _)| **n == *"ContentBasedDeduplication")
    {
        members.push(("ContentBasedDeduplication".into(), "false".into()));
    }
    for (name, default) in [("DisplayName", String::new()), ("Policy", policy(&topic, settings))] {
        if !topic.attributes.iter().any(|(given, _)| **given == *name) {
            members.push((name.into(), default.into()));
        }
    }
    members.extend(topic.attributes.into_iter().map(|(name, text)| (name, Json::String(text))));
    Ok(Json::object([("Attributes", Json::object(members))]))
}

/// What holds for its HTTP endpoints that have no policy of their own.
fn effective(topic: &Topic) -> String {
    let given = topic.attributes.iter().find(|(name, _)| **name == *"DeliveryPolicy");
    let policy = given.and_then(|(_, text)| Policy::parse(text, true).ok()).unwrap_or_default();
    let request = Json::object([("headerContentType", Json::from("text/plain; charset=UTF-8"))]);
    let http = Json::object([
        ("defaultHealthyRetryPolicy", policy.shown()),
        ("disableSubscriptionOverrides", Json::from(false)),
        ("defaultRequestPolicy", request),
    ]);
    Json::object([("http", http)]).to_text()
}

/// The policy that a topic has as long as it is given none.
pub(super) fn policy(topic: &Topic, settings: &Settings) -> String {
    let actions = [
        "GetTopicAttributes",
        "SetTopicAttributes",
        "AddPermission",
        "RemovePermission",
        "DeleteTopic",
        "Subscribe",
        "ListSubscriptionsByTopic",
        "Publish",
    ];
    let owner = Json::object([("AWS:SourceOwner", Json::from(&*settings.account))]);
    let statement = Json::object([
        ("Sid", Json::from("__default_statement_ID")),
        ("Effect", "Allow".into()),
        ("Principal", Json::object([("AWS", Json::from("*"))])),
        ("Action", Json::array(actions.map(|action| format!("SNS:{action}").into()))),
        ("Resource", arn(&topic.name, settings).into()),
        ("Condition", Json::object([("StringEquals", owner)])),
    ]);
    let policy = Json::object([
        ("Version", Json::from("2008-10-17")),
        ("Id", "__default_policy_ID".into()),
        ("Statement", Json::array([statement])),
    ]);
    policy.to_text()
}

fn unreadable(corrupt: &Corrupt) -> ApiError {
    ApiError::new("InternalError", corrupt.to_string())
}
