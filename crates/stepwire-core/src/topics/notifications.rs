//! Documents for HTTP endpoints: they are durable before anybody is answered, and are tried as the
//! subscription's delivery policy says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::publish::{headers, signature};
use super::record::{Notification, Subscription, Topic};
use super::retry::{self, Policy};
use super::{Topics, Write, arn};
use crate::executions::derived_uuid;
use crate::queues::Send;
use crate::rules::HttpDelivery;
use crate::settings::Settings;

/// Most notifications that wait; further ones are dead letters, or lost and reported.
const PENDING_MAX: usize = 20_000;
/// Most bytes that they have together.
const PENDING_BYTES_MAX: usize = 128 << 20;

/// Notifications that are not done with.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Pending {
    by_number: BTreeMap<u64, Arc<Notification>>,
    /// Of all bodies; derived.
    bytes: usize,
    /// Those that wait for a time; derived.
    deadlines: BTreeSet<(Timestamp, u64)>,
}

impl Pending {
    pub(super) fn apply(&mut self, number: u64, notification: Option<&Arc<Notification>>) {
        if let Some(before) = self.by_number.remove(&number) {
            self.bytes -= before.body.len();
            if let Some(due) = before.due {
                self.deadlines.remove(&(due, number));
            }
        }
        let Some(notification) = notification else { return };
        self.bytes += notification.body.len();
        self.deadlines.extend(notification.due.map(|due| (due, number)));
        self.by_number.insert(number, Arc::clone(notification));
    }

    pub(super) fn due(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(due, _)| *due)
    }
}

impl Topics {
    /// Records a notification. The error is why there is no room for it.
    pub(super) fn notify(
        &mut self,
        subscription: &Subscription,
        topic: &Topic,
        mut headers: Vec<(Arc<str>, Arc<str>)>,
        send: Send,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<u64, String> {
        let pending = &self.notifications;
        if pending.by_number.len() >= PENDING_MAX {
            return Err(format!("{PENDING_MAX} notifications wait already"));
        }
        if pending.bytes + send.body.len() > PENDING_BYTES_MAX {
            return Err(format!("notifications that wait have {} bytes", pending.bytes));
        }
        let own = subscription.delivery.as_deref();
        let of_topic = topic.attributes.iter().find(|(name, _)| **name == *"DeliveryPolicy");
        let of_topic = of_topic.map(|(_, text)| &**text);
        let overrides = of_topic.is_none_or(|text| !disables_overrides(text));
        let own = own.filter(|_| overrides);
        let policy = match (own, of_topic) {
            (Some(own), _) => Policy::parse(own, false),
            (None, Some(of_topic)) => Policy::parse(of_topic, true),
            (None, None) => Ok(Policy::default()),
        };
        let kind = own.and_then(retry::content_type);
        let kind = kind.or_else(|| of_topic.and_then(retry::content_type));
        let kind = kind.unwrap_or_else(|| "text/plain; charset=UTF-8".to_owned());
        headers.push(("content-type".into(), kind.into()));
        let notification = Notification {
            subscription: subscription.arn(settings).into(),
            url: Arc::clone(&subscription.endpoint),
            headers,
            body: send.body,
            policy: policy.unwrap_or_default(),
            failed: 0,
            due: None,
            dead_letters: subscription.redrive.as_ref().map(|redrive| Arc::clone(&redrive.queue)),
            attributes: send.attributes,
        };
        let number = self.number(out);
        self.record(Write::Notification(number, Some(Arc::new(notification))), out);
        Ok(number)
    }

    /// The request that brings a notification. `None`: there is none of this number.
    pub(crate) fn begin(&mut self, number: u64, out: &mut Vec<Write>) -> Option<HttpDelivery> {
        let notification = Arc::clone(self.notifications.by_number.get(&number)?);
        let delivery = HttpDelivery {
            url: Arc::clone(&notification.url),
            headers: notification.headers.clone(),
            body: bytes::Bytes::copy_from_slice(notification.body.as_bytes()),
            sign: None,
            confirmation: Arc::clone(&notification.url),
            batch: None,
        };
        if notification.due.is_some() {
            let begun = Notification { due: None, ..notification.as_ref().clone() };
            self.record(Write::Notification(number, Some(Arc::new(begun))), out);
        }
        Some(delivery)
    }

    /// An attempt has ended: `again` if another may do better. The notification, if it failed and is
    /// given up.
    pub(crate) fn notified(
        &mut self,
        now: Timestamp,
        number: u64,
        result: Result<(), bool>,
        out: &mut Vec<Write>,
    ) -> Option<Arc<Notification>> {
        let notification = Arc::clone(self.notifications.by_number.get(&number)?);
        let failed = notification.failed + 1;
        let wait = match result {
            Err(true) => notification.policy.wait_ms(failed),
            Ok(()) | Err(false) => None,
        };
        if let Some(wait) = wait {
            let due = Some(now.plus_ms(wait));
            let waiting = Notification { failed, due, ..notification.as_ref().clone() };
            self.record(Write::Notification(number, Some(Arc::new(waiting))), out);
            return None;
        }
        self.record(Write::Notification(number, None), out);
        result.is_err().then_some(notification)
    }

    /// Notifications whose next attempt is due.
    pub(crate) fn overdue(&self, now: Timestamp) -> Vec<u64> {
        let due = self.notifications.deadlines.iter().take_while(|(due, _)| *due <= now);
        due.map(|(_, number)| *number).collect()
    }

    /// Notifications whose attempt was under way when the node ended.
    pub(crate) fn interrupted(&self) -> Vec<u64> {
        let running = self.notifications.by_number.iter().filter(|(_, one)| one.due.is_none());
        running.map(|(number, _)| *number).collect()
    }

    /// Asks an endpoint whether it wants messages, or tells it that it gets no more.
    pub(super) fn ask_endpoint(
        &mut self,
        now: Timestamp,
        topic: &Topic,
        subscription: &Subscription,
        kind: &'static str,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Option<u64> {
        let number = self.number(out);
        let id: Arc<str> = derived_uuid(&settings.secret, "notification", &[number]).into();
        let (name, token) = (arn(&topic.name, settings), subscription.token(settings));
        let message = if kind == "SubscriptionConfirmation" {
            format!(
                "You have chosen to subscribe to the topic {name}.\nTo confirm the subscription, \
                 visit the SubscribeURL included in this message."
            )
        } else {
            format!(
                "You have chosen to deactivate subscription {}.\nTo cancel this operation and \
                 restore the subscription, visit the SubscribeURL included in this message.",
                subscription.arn(settings)
            )
        };
        let url =
            format!("{}/?Action=ConfirmSubscription&TopicArn={name}&Token={token}", settings.url);
        let mut members = vec![
            ("Type", Json::from(kind)),
            ("MessageId", Json::String(Arc::clone(&id))),
            ("Token", token.into()),
            ("TopicArn", name.into()),
            ("Message", message.as_str().into()),
            ("SubscribeURL", url.into()),
            ("Timestamp", now.rfc3339().into()),
        ];
        members.extend(signature(topic, &id, &message, "SigningCertURL", settings));
        let body: Arc<str> = Json::object(members).to_text().into();
        let send = Send { body, ..Send::default() };
        let headers = headers(kind, &id, &topic.name, settings);
        // Dead letters are messages, not questions.
        let asked = Subscription { redrive: None, ..subscription.clone() };
        self.notify(&asked, topic, headers, send, settings, out).ok()
    }
}

fn disables_overrides(policy: &str) -> bool {
    let json = Json::parse(policy).ok();
    let http = json.as_ref().and_then(|json| json.member("http"));
    let disables = http.and_then(|http| http.member("disableSubscriptionOverrides"));
    disables.and_then(Json::as_bool).unwrap_or_default()
}
