//! Topics: what is published on one goes to those that subscribe to it (Amazon SNS).
//!
//! Topics and subscriptions are in memory whole. For queues and functions a message is where it
//! belongs in the commit that takes it; for HTTP endpoints it is a durable [`Notification`] of that
//! commit, tried until the endpoint has it or the delivery policy gives up.
//!
//! Read in this order: [`Topics`], [`Request`], [`Write`], [`Subscription`]; then `publish`,
//! `notifications`, `retry`, `filter`, `attributes`, `view`.

mod attributes;
mod filter;
mod notifications;
mod publish;
mod record;
mod request;
mod retry;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub(crate) use publish::{Delivery, To, sequence_number};
pub use record::{Notification, Protocol, Redrive, Subscription, Taken, Topic};
pub use request::{Pairs, Publish, Request, Subscribe};
pub use retry::{Growth, Policy};
pub use view::answer;

use crate::error::ApiError;
use crate::events::Pattern;
use crate::executions::derived_uuid;
use crate::record::{Corrupt, Entry as Stored, Space};
use crate::settings::Settings;
use filter::Scope;
use notifications::Pending;
use publish::DEDUPLICATION_MS;

/// How long an endpoint may take to confirm a subscription.
const CONFIRMATION_MS: i64 = 48 * 3_600_000;
/// Most records that one tick removes because they have been kept long enough.
const TIDIED_MAX: usize = 256;

/// The topics of a shard and who subscribes to them.
#[derive(Debug, Default, PartialEq)]
pub struct Topics {
    topics: BTreeMap<Arc<str>, Arc<Topic>>,
    /// By topic and id.
    subscriptions: BTreeMap<(Arc<str>, Arc<str>), Ready>,
    /// Larger than every number of a subscription or message.
    next: u64,
    /// On their way to HTTP endpoints.
    notifications: Pending,
    /// What FIFO topics have taken lately.
    taken: BTreeMap<u64, Arc<Taken>>,
    /// The last of each topic and key; derived from `taken`.
    taken_last: BTreeMap<(Arc<str>, Arc<str>), u64>,
    /// Since when subscriptions wait for their confirmation, with topic and id; derived.
    unconfirmed: BTreeSet<(Timestamp, Arc<str>, Arc<str>)>,
}

/// A subscription with its filter read.
#[derive(Debug, PartialEq)]
struct Ready {
    subscription: Arc<Subscription>,
    filter: Option<Pattern>,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Numbers go on here.
    Next(u64),
    /// A topic as it now is; `None`: there is none of this name.
    Topic(Arc<str>, Option<Arc<Topic>>),
    /// A subscription of a topic as it now is; `None`: there is none of this id.
    Subscription(Arc<str>, Arc<str>, Option<Arc<Subscription>>),
    /// A notification as it now is; `None` once it is done with.
    Notification(u64, Option<Arc<Notification>>),
    /// A message that a FIFO topic took; `None` once the same may be taken again.
    Taken(u64, Option<Arc<Taken>>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Stored {
        match self {
            Write::Next(next) => (record::counter_key(), Some(record::value(next))),
            Write::Topic(name, topic) => {
                (record::topic_key(name), topic.as_deref().map(record::value))
            }
            Write::Subscription(topic, id, subscription) => {
                let key = record::subscription_key(topic, id);
                (key, subscription.as_deref().map(record::value))
            }
            Write::Notification(number, notification) => {
                (record::notification_key(*number), notification.as_deref().map(record::value))
            }
            Write::Taken(number, taken) => {
                (record::taken_key(*number), taken.as_deref().map(record::value))
            }
        }
    }
}

impl Topics {
    /// What recovery reads into memory.
    pub const SPACES: &'static [Space] =
        &[Space::Topic, Space::Subscription, Space::Notification, Space::TopicDeduplication];

    /// The only thing that changes topics and subscriptions.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Next(next) => self.next = *next,
            Write::Topic(name, Some(topic)) => {
                self.topics.insert(Arc::clone(name), Arc::clone(topic));
            }
            Write::Topic(name, None) => drop(self.topics.remove(name)),
            Write::Subscription(topic, id, subscription) => {
                let key = (Arc::clone(topic), Arc::clone(id));
                let before = match subscription {
                    None => self.subscriptions.remove(&key),
                    Some(subscription) => {
                        self.subscriptions.insert(key, Ready::of(Arc::clone(subscription)))
                    }
                };
                let since = |one: &Subscription| {
                    Some((one.pending?, Arc::clone(&one.topic), Arc::clone(&one.id)))
                };
                if let Some(waited) = before.and_then(|ready| since(&ready.subscription)) {
                    self.unconfirmed.remove(&waited);
                }
                self.unconfirmed.extend(subscription.as_deref().and_then(since));
            }
            Write::Notification(number, notification) => {
                self.notifications.apply(*number, notification.as_ref());
            }
            Write::Taken(number, Some(taken)) => {
                let key = (Arc::clone(&taken.topic), Arc::clone(&taken.key));
                self.taken_last.insert(key, *number);
                self.taken.insert(*number, Arc::clone(taken));
            }
            Write::Taken(number, None) => {
                let Some(taken) = self.taken.remove(number) else { return };
                let key = (Arc::clone(&taken.topic), Arc::clone(&taken.key));
                if self.taken_last.get(&key) == Some(number) {
                    self.taken_last.remove(&key);
                }
            }
        }
    }

    /// Takes in one stored entry of [`Topics::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let write = if key == record::counter_key() {
            Write::Next(record::record(key, value)?)
        } else if key.first() == Some(&(Space::Topic as u8)) {
            let topic: Topic = record::record(key, value)?;
            Write::Topic(Arc::clone(&topic.name), Some(Arc::new(topic)))
        } else if key.first() == Some(&(Space::Notification as u8)) {
            let notification = Some(Arc::new(record::record(key, value)?));
            Write::Notification(record::number(key)?, notification)
        } else if key.first() == Some(&(Space::TopicDeduplication as u8)) {
            Write::Taken(record::number(key)?, Some(Arc::new(record::record(key, value)?)))
        } else {
            let subscription: Subscription = record::record(key, value)?;
            let (topic, id) = (Arc::clone(&subscription.topic), Arc::clone(&subscription.id));
            Write::Subscription(topic, id, Some(Arc::new(subscription)))
        };
        self.apply(&write);
        Ok(())
    }

    fn record(&mut self, write: Write, out: &mut Vec<Write>) {
        self.apply(&write);
        out.push(write);
    }

    fn number(&mut self, out: &mut Vec<Write>) -> u64 {
        let number = self.next;
        self.record(Write::Next(number + 1), out);
        number
    }

    /// Whether a topic is there; the refusal when it is not.
    pub(crate) fn has(&self, arn: &str, settings: &Settings) -> Result<(), ApiError> {
        self.find(arn, settings).map(drop)
    }

    fn find(&self, arn: &str, settings: &Settings) -> Result<Arc<Topic>, ApiError> {
        let topic = self.topics.get(name_of_arn(arn, settings)?);
        topic.cloned().ok_or_else(no_topic)
    }

    fn of_topic(&self, topic: &str) -> impl Iterator<Item = &Ready> {
        let topic: Arc<str> = topic.into();
        let first = (Arc::clone(&topic), Arc::from(""));
        let ready = self.subscriptions.range(first..);
        ready.take_while(move |((of, _), _)| *of == topic).map(|(_, ready)| ready)
    }

    /// What a topic took under a key not long ago.
    fn taken(&self, topic: &Arc<str>, key: &Arc<str>, now: Timestamp) -> Option<&Arc<Taken>> {
        let number = self.taken_last.get(&(Arc::clone(topic), Arc::clone(key)))?;
        let taken = self.taken.get(number)?;
        (taken.at.plus_ms(DEDUPLICATION_MS) > now).then_some(taken)
    }

    /// When something goes on: an attempt, or what has been kept long enough.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        let taken = self.taken.values().next().map(|taken| taken.at.plus_ms(DEDUPLICATION_MS));
        let unconfirmed = self.unconfirmed.first().map(|(at, ..)| at.plus_ms(CONFIRMATION_MS));
        [self.notifications.due(), taken, unconfirmed].into_iter().flatten().min()
    }

    /// Removes some of what has been kept long enough.
    pub(crate) fn tidy(&mut self, now: Timestamp, out: &mut Vec<Write>) {
        let old = self.taken.iter().take_while(|(_, t)| t.at.plus_ms(DEDUPLICATION_MS) <= now);
        let old: Vec<u64> = old.map(|(number, _)| *number).take(TIDIED_MAX).collect();
        for number in old {
            self.record(Write::Taken(number, None), out);
        }
        let late = self.unconfirmed.iter();
        let late = late.take_while(|(at, ..)| at.plus_ms(CONFIRMATION_MS) <= now);
        let late: Vec<_> = late.take(TIDIED_MAX).cloned().collect();
        for (_, topic, id) in late {
            self.record(Write::Subscription(topic, id, None), out);
        }
    }

    /// Carries out a request that changes something. On `Err` nothing has changed. What goes to
    /// queues is added to `deliveries`.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        settings: &Settings,
        out: &mut Vec<Write>,
        deliveries: &mut Vec<Delivery>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::CreateTopic { name, attributes, tags } => {
                self.create(name, attributes, tags, settings, out)
            }
            Request::DeleteTopic { topic } => self.delete(topic, settings, out),
            Request::SetTopicAttributes { topic, name, value } => {
                let topic = self.find(topic, settings)?;
                attributes::check_topic_attribute(name, value, topic.is_fifo())?;
                if **name == *"FifoTopic" {
                    return Err(invalid("AttributeName", ""));
                }
                let mut topic = topic.as_ref().clone();
                topic.attributes.retain(|(known, _)| known != name);
                if !value.is_empty() {
                    topic.attributes.push((Arc::clone(name), Arc::clone(value)));
                }
                self.change(topic, out);
                Ok(nothing())
            }
            Request::AddPermission { topic, label, accounts, actions } => {
                let topic = self.find(topic, settings)?.as_ref().clone();
                self.change(topic.permitting(label, accounts, actions, settings)?, out);
                Ok(nothing())
            }
            Request::RemovePermission { topic, label } => {
                let topic = self.find(topic, settings)?.as_ref().clone();
                self.change(topic.without_permission(label, settings), out);
                Ok(nothing())
            }
            Request::TagResource { topic, tags } => {
                let mut topic = self.resource(topic, settings)?;
                topic.tags.retain(|(key, _)| !tags.iter().any(|(new, _)| new == key));
                topic.tags.extend(tags.iter().cloned());
                request::check_tags(&topic.tags)?;
                self.change(topic, out);
                Ok(nothing())
            }
            Request::UntagResource { topic, keys } => {
                let mut topic = self.resource(topic, settings)?;
                topic.tags.retain(|(key, _)| !keys.contains(key));
                self.change(topic, out);
                Ok(nothing())
            }
            Request::Subscribe(subscribe) => {
                self.subscribe(now, subscribe, settings, out, deliveries)
            }
            Request::ConfirmSubscription { topic, token, keeps, signed } => {
                self.confirm(now, topic, token, (*keeps, *signed), settings, out)
            }
            Request::Unsubscribe { subscription, signed } => {
                self.unsubscribe(now, subscription, *signed, settings, out, deliveries)
            }
            Request::SetSubscriptionAttributes { subscription, name, value } => {
                let there = self.subscription(subscription, settings)?;
                if there.pending.is_some() {
                    let why = "Reason: The subscription is pending confirmation";
                    return Err(invalid("SubscriptionArn", why));
                }
                let changed = there.with(name, value, attributes::Said::Alone, settings)?;
                self.keep(changed, out);
                Ok(nothing())
            }
            Request::Publish { topic, publish } => {
                let topic = self.find(topic, settings)?;
                let published = self.publish(now, &topic, publish, settings, out, deliveries)?;
                Ok(Json::object(published.members()))
            }
            Request::PublishBatch { topic, entries } => {
                let topic = self.find(topic, settings)?;
                Ok(self.publish_batch(now, &topic, entries, settings, out, deliveries))
            }
            Request::ListTopics { .. }
            | Request::GetTopicAttributes { .. }
            | Request::ListSubscriptions { .. }
            | Request::ListSubscriptionsByTopic { .. }
            | Request::GetSubscriptionAttributes { .. }
            | Request::ListTagsForResource { .. } => {
                Err(invalid("Action", "this request changes nothing"))
            }
        }
    }

    fn change(&mut self, topic: Topic, out: &mut Vec<Write>) {
        self.record(Write::Topic(Arc::clone(&topic.name), Some(Arc::new(topic))), out);
    }

    fn resource(&self, arn: &str, settings: &Settings) -> Result<Topic, ApiError> {
        let topic = self
            .find(arn, settings)
            .map_err(|_| ApiError::new("ResourceNotFound", "Resource does not exist"))?;
        Ok(topic.as_ref().clone())
    }

    fn create(
        &mut self,
        name: &Arc<str>,
        attributes: &Pairs,
        tags: &Pairs,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        match self.topics.get(name) {
            None => {
                let (name, attributes) = (Arc::clone(name), attributes.clone());
                self.change(Topic { name, attributes, tags: tags.clone(), deleted: 0 }, out);
            }
            Some(there) => {
                let same = attributes.iter().all(|given| there.attributes.contains(given));
                if !same {
                    let why = "Reason: Topic already exists with different attributes";
                    return Err(invalid("Attributes", why));
                }
                if !tags.iter().all(|given| there.tags.contains(given)) {
                    let why = "Reason: Topic already exists with different tags";
                    return Err(invalid("Tags", why));
                }
            }
        }
        Ok(Json::object([("TopicArn", Json::from(arn(name, settings)))]))
    }

    /// Deleting what is not there succeeds, as on AWS. A topic takes its subscriptions with it.
    fn delete(
        &mut self,
        topic: &str,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let name: Arc<str> = name_of_arn(topic, settings)?.into();
        if self.topics.contains_key(&name) {
            let ids = self.of_topic(&name).map(|ready| Arc::clone(&ready.subscription.id));
            for id in ids.collect::<Vec<_>>() {
                self.record(Write::Subscription(Arc::clone(&name), id, None), out);
            }
            self.record(Write::Topic(name, None), out);
        }
        Ok(nothing())
    }

    fn subscribe(
        &mut self,
        now: Timestamp,
        subscribe: &Subscribe,
        settings: &Settings,
        out: &mut Vec<Write>,
        deliveries: &mut Vec<Delivery>,
    ) -> Result<Json, ApiError> {
        let Subscribe { topic, protocol, endpoint, attributes, shows_arn } = subscribe;
        let topic = self.find(topic, settings)?;
        attributes::check_endpoint(*protocol, endpoint, &topic, settings)?;
        let waits = matches!(protocol, Protocol::Http | Protocol::Https);
        let mut made = Subscription {
            topic: Arc::clone(&topic.name),
            id: "".into(),
            protocol: *protocol,
            endpoint: Arc::clone(endpoint),
            raw: false,
            filter: None,
            filters_body: false,
            redrive: None,
            delivery: None,
            pending: waits.then_some(now),
            authenticated: !waits,
            keeps: false,
        };
        // The scope says what the filter has to be.
        let (scope, others): (Vec<_>, Vec<_>) =
            attributes.iter().partition(|(name, _)| **name == *"FilterPolicyScope");
        for (name, value) in scope.into_iter().chain(others) {
            made = made.with(name, value, attributes::Said::AmongOthers, settings)?;
        }
        let there = self
            .of_topic(&topic.name)
            .map(|ready| &ready.subscription)
            .find(|one| one.endpoint == *endpoint && one.protocol == *protocol)
            .cloned();
        let subscription = if let Some(there) = there {
            let same = Subscription {
                id: Arc::clone(&there.id),
                pending: there.pending,
                authenticated: there.authenticated,
                keeps: there.keeps,
                ..made
            };
            if !attributes.is_empty() && same != *there {
                let why = "Reason: Subscription already exists with different attributes";
                return Err(invalid("Attributes", why));
            }
            there.as_ref().clone()
        } else {
            let number = self.number(out);
            let id = derived_uuid(&settings.secret, "subscription", &[number]).into();
            let made = Subscription { id, ..made };
            self.keep(made.clone(), out);
            made
        };
        if subscription.pending.is_some() {
            let kind = "SubscriptionConfirmation";
            let asked = self.ask_endpoint(now, &topic, &subscription, kind, settings, out);
            deliveries.extend(asked.map(Delivery::to_endpoint));
            if !shows_arn {
                let pending = Json::from("pending confirmation");
                return Ok(Json::object([("SubscriptionArn", pending)]));
            }
        }
        Ok(Json::object([("SubscriptionArn", Json::from(subscription.arn(settings)))]))
    }

    /// The endpoint of a subscription wants its messages.
    fn confirm(
        &mut self,
        now: Timestamp,
        topic: &str,
        token: &str,
        (keeps, signed): (bool, bool),
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let topic = self.find(topic, settings)?;
        let found = self
            .of_topic(&topic.name)
            .map(|ready| Arc::clone(&ready.subscription))
            .find(|one| one.token(settings) == token);
        let found = found.ok_or_else(|| invalid("Token", ""))?;
        let arn = found.arn(settings);
        if let Some(since) = found.pending {
            if since.plus_ms(CONFIRMATION_MS) <= now {
                return Err(invalid("Token", "Reason: the token has expired"));
            }
            let confirmed = Subscription {
                pending: None,
                authenticated: signed,
                keeps: keeps && signed,
                ..found.as_ref().clone()
            };
            self.keep(confirmed, out);
        }
        Ok(Json::object([("SubscriptionArn", Json::from(arn))]))
    }

    fn unsubscribe(
        &mut self,
        now: Timestamp,
        subscription: &str,
        signed: bool,
        settings: &Settings,
        out: &mut Vec<Write>,
        deliveries: &mut Vec<Delivery>,
    ) -> Result<Json, ApiError> {
        // What is not there any more is not an error.
        let (topic, id) = parts_of_arn(subscription, settings)?;
        let key = (Arc::<str>::from(topic), Arc::<str>::from(id));
        let Some(ready) = self.subscriptions.get(&key) else { return Ok(nothing()) };
        let there = Arc::clone(&ready.subscription);
        if !signed && there.keeps {
            let message = "Subscription requires authenticated unsubscribe";
            return Err(ApiError::new("AuthorizationError", message));
        }
        self.record(Write::Subscription(key.0, key.1, None), out);
        if let Some(topic) = self.topics.get(&there.topic).cloned() {
            if there.pending.is_none() && matches!(there.protocol, Protocol::Http | Protocol::Https)
            {
                let kind = "UnsubscribeConfirmation";
                let told = self.ask_endpoint(now, &topic, &there, kind, settings, out);
                deliveries.extend(told.map(Delivery::to_endpoint));
            }
            self.change(Topic { deleted: topic.deleted + 1, ..topic.as_ref().clone() }, out);
        }
        Ok(nothing())
    }

    fn keep(&mut self, subscription: Subscription, out: &mut Vec<Write>) {
        let (topic, id) = (Arc::clone(&subscription.topic), Arc::clone(&subscription.id));
        self.record(Write::Subscription(topic, id, Some(Arc::new(subscription))), out);
    }

    fn subscription(&self, arn: &str, settings: &Settings) -> Result<Arc<Subscription>, ApiError> {
        let (topic, id) = parts_of_arn(arn, settings)?;
        let ready = self.subscriptions.get(&(topic.into(), id.into()));
        ready.map(|ready| Arc::clone(&ready.subscription)).ok_or_else(no_subscription)
    }
}

impl Delivery {
    fn to_endpoint(number: u64) -> Delivery {
        Delivery { to: To::Endpoint(number), dead_letter: None }
    }
}

impl Ready {
    fn of(subscription: Arc<Subscription>) -> Ready {
        let scope = subscription.scope();
        let filter = subscription.filter.as_ref();
        let filter = filter.and_then(|filter| filter::parse(filter, scope).ok());
        Ready { subscription, filter }
    }
}

impl Subscription {
    /// Its ARN.
    pub fn arn(&self, settings: &Settings) -> String {
        format!("{}:{}", arn(&self.topic, settings), self.id)
    }

    /// What its endpoint shows to confirm it.
    fn token(&self, settings: &Settings) -> String {
        let mut token = String::new();
        for part in 0..2 {
            let text = format!("subscription-token {} {}", self.topic, self.id);
            token.push_str(&derived_uuid(&settings.secret, &text, &[part]).replace('-', ""));
        }
        token
    }

    fn scope(&self) -> Scope {
        if self.filters_body { Scope::Body } else { Scope::Attributes }
    }
}

/// The ARN of a topic.
pub fn arn(name: &str, settings: &Settings) -> String {
    settings.arn("sns", name)
}

fn name_of_arn<'a>(arn: &'a str, settings: &Settings) -> Result<&'a str, ApiError> {
    if arn.split(':').count() != 6 || !arn.starts_with("arn:") {
        let parts = arn.split(':').count();
        let why = format!("Reason: An ARN must have at least 6 elements, not {parts}");
        return Err(invalid("TopicArn", &why));
    }
    arn.strip_prefix(&settings.arn("sns", "")).ok_or_else(no_topic)
}

fn parts_of_arn<'a>(arn: &'a str, settings: &Settings) -> Result<(&'a str, &'a str), ApiError> {
    let parts = arn.strip_prefix(&settings.arn("sns", "")).and_then(|rest| rest.split_once(':'));
    parts.ok_or_else(|| invalid("SubscriptionArn", "Reason: An ARN must have at least 6 elements"))
}

fn no_topic() -> ApiError {
    ApiError::new("NotFound", "Topic does not exist")
}

fn no_subscription() -> ApiError {
    ApiError::new("NotFound", "Subscription does not exist")
}

fn invalid(what: &str, why: &str) -> ApiError {
    let message = format!("Invalid parameter: {what} {why}");
    ApiError::new("InvalidParameter", message.trim_end())
}

fn nothing() -> Json {
    Json::Object(Arc::default())
}
