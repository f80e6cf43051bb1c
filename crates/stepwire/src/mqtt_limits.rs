//! What devices may take, by name: the keys of `--mqtt-limit`.

use std::time::Duration;

use stepwire_asl::diagnostic::nearest;
use stepwire_core::broker::{self, Overrun, Profile};
use stepwire_core::rate::Rate;

use crate::listen::{gate, mqtt};

/// Everything that bounds what MQTT clients take. `docs/limits.md` says what each bound does.
#[derive(Debug, Clone, Default)]
pub struct MqttLimits {
    /// One client, in the standard profile.
    pub client: broker::Limits,
    /// All clients together, and those of one certificate.
    pub all: broker::Budget,
    /// Who is let in at all.
    pub gate: gate::Limits,
    /// What waits to be sent.
    pub room: mqtt::Room,
    /// How long a connection may take for what it does.
    pub connection: mqtt::Limits,
}

/// A limit by its name in the configuration.
#[derive(Debug, Clone, Copy)]
pub struct MqttLimit {
    /// Its key, such as `connections-max`.
    pub key: &'static str,
    value: fn(&MqttLimits) -> u64,
    set: fn(&mut MqttLimits, u64),
}

impl MqttLimit {
    /// The limit of this key.
    pub fn named(key: &str) -> Option<MqttLimit> {
        MqttLimits::ALL.iter().find(|limit| limit.key == key).copied()
    }

    /// Its value in `limits`: a number, or whole seconds.
    pub fn value(self, limits: &MqttLimits) -> u64 {
        (self.value)(limits)
    }

    /// Sets it in `limits`. What is too large for it stands for the largest there can be.
    pub fn set(self, limits: &mut MqttLimits, value: u64) {
        (self.set)(limits, value);
    }
}

macro_rules! limit {
    ($key:literal, $($field:ident).+) => {
        MqttLimit {
            key: $key,
            value: |limits| limits.$($field).+.to_number(),
            set: |limits, value| limits.$($field).+ = Number::from_number(value),
        }
    };
}

impl MqttLimits {
    /// Every limit, in the order of the reference page.
    pub const ALL: &'static [MqttLimit] = &[
        limit!("connections-max", gate.connections_max),
        limit!("connections-per-address-max", gate.connections_per_address_max),
        limit!("connects-per-second", gate.connects.per_s),
        limit!("connects-at-once", gate.connects.at_once),
        limit!("connects-per-address-per-second", gate.connects_per_address.per_s),
        limit!("connects-per-address-at-once", gate.connects_per_address.at_once),
        limit!("strangers-max", gate.strangers_max),
        limit!("strangers-per-address-max", gate.strangers_per_address_max),
        limit!("failures-per-address-per-second", gate.failures_per_address.per_s),
        limit!("failures-per-address-at-once", gate.failures_per_address.at_once),
        limit!("loopback-bounded", gate.is_loopback_bounded),
        limit!("connect-seconds-max", connection.connect_timeout),
        limit!("connect-bytes-max", connection.connect_bytes_max),
        limit!("packet-bytes-max", client.packet_bytes_max),
        limit!("packet-seconds-max", connection.packet_timeout),
        limit!("stall-seconds-max", connection.stall_timeout),
        limit!("waiting-bytes-max", room.bytes_max),
        limit!("waiting-bytes-all-max", room.bytes_all_max),
        limit!("publishes-per-second", client.rates.publishes.per_s),
        limit!("publishes-at-once", client.rates.publishes.at_once),
        limit!("publish-bytes-per-second", client.rates.publish_bytes.per_s),
        limit!("publish-bytes-at-once", client.rates.publish_bytes.at_once),
        limit!("unreleased-max", client.unreleased_max),
        limit!("topic-bytes-max", client.topic_bytes_max),
        limit!("topic-levels-max", client.topic_levels_max),
        limit!("subscriptions-max", client.subscriptions_max),
        limit!("wildcard-subscriptions-max", client.wildcard_subscriptions_max),
        limit!("subscriptions-all-max", all.subscriptions_max),
        limit!("filters-per-second", client.rates.filters.per_s),
        limit!("filters-at-once", client.rates.filters.at_once),
        limit!("filters-all-per-second", all.filters.per_s),
        limit!("filters-all-at-once", all.filters.at_once),
        limit!("retained-max", client.retained_max),
        limit!("retained-bytes-max", client.retained_bytes_max),
        limit!("retained-per-owner-max", all.retained_per_owner_max),
        limit!("retained-bytes-per-owner-max", all.retained_bytes_per_owner_max),
        limit!("retained-looks-per-second", client.rates.retained.per_s),
        limit!("retained-looks-at-once", client.rates.retained.at_once),
        limit!("queued-max", client.queued_max),
        limit!("queued-bytes-max", client.queued_bytes_max),
        limit!("queued-bytes-all-max", all.queued_bytes_max),
        limit!("held-max", client.held_max),
        limit!("held-bytes-max", client.held_bytes_max),
        limit!("sessions-max", client.sessions_max),
        limit!("sessions-per-certificate-max", all.sessions_per_certificate_max),
        limit!("session-bytes-all-max", all.session_bytes_max),
        limit!("remembered-max", all.remembered_max),
        limit!("connects-per-client-per-second", client.rates.connects.per_s),
        limit!("connects-per-client-at-once", client.rates.connects.at_once),
        limit!("take-overs-per-second", client.rates.takeovers.per_s),
        limit!("take-overs-at-once", client.rates.takeovers.at_once),
        limit!("refusals-per-second", client.rates.refusals.per_s),
        limit!("refusals-at-once", client.rates.refusals.at_once),
    ];

    /// These limits, each in the places where it is kept to.
    #[must_use]
    pub fn consistent(mut self) -> MqttLimits {
        // stored keys hold no longer topic
        self.client.topic_bytes_max = self.client.topic_bytes_max.min(32_768);
        self
    }

    /// What a listener of this profile bounds.
    pub fn of_listener(&self, profile: Profile) -> mqtt::Limits {
        let client = match profile {
            Profile::Standard => &self.client,
            Profile::Aws => &broker::Limits::AWS,
        };
        let rates = &client.rates;
        let (packets, bytes) = match rates.overrun {
            Overrun::Slow => (rates.publishes, rates.publish_bytes),
            // the broker counts them
            Overrun::Refuse => (Rate::UNBOUNDED, Rate::UNBOUNDED),
        };
        mqtt::Limits {
            packet_bytes_max: usize::try_from(client.packet_bytes_max).unwrap_or(usize::MAX),
            rates: mqtt::Rates { packets, bytes },
            ..self.connection.clone()
        }
    }
}

/// A value that can be given as a number.
trait Number {
    fn to_number(self) -> u64;
    fn from_number(number: u64) -> Self;
}

macro_rules! number {
    ($($type:ty),*) => {
        $(impl Number for $type {
            fn to_number(self) -> u64 {
                u64::try_from(self).unwrap_or(u64::MAX)
            }

            fn from_number(number: u64) -> Self {
                <$type>::try_from(number).unwrap_or(<$type>::MAX)
            }
        })*
    };
}

number!(u32, u64, usize);

impl Number for bool {
    fn to_number(self) -> u64 {
        u64::from(self)
    }

    fn from_number(number: u64) -> Self {
        number > 0
    }
}

impl Number for Duration {
    fn to_number(self) -> u64 {
        self.as_secs()
    }

    fn from_number(number: u64) -> Self {
        Duration::from_secs(number)
    }
}

/// The limit and value that `text` names: `KEY=NUMBER`.
pub fn parse(text: &str) -> Result<(MqttLimit, u64), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not KEY=NUMBER"))?;
    let unknown = || {
        let keys = MqttLimits::ALL.iter().map(|limit| limit.key);
        let hint = match nearest(key, keys) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "docs/limits.md lists them all".to_owned(),
        };
        format!("`{key}` is no limit; {hint}")
    };
    let limit = MqttLimit::named(key).ok_or_else(unknown)?;
    let value = value.parse().map_err(|_| format!("`{value}` is not a whole number"))?;
    Ok((limit, value))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_set_by_its_key_and_no_other_changes() {
        for limit in MqttLimits::ALL {
            let mut limits = MqttLimits::default();
            limit.set(&mut limits, 1);
            assert_eq!(limit.value(&limits), 1, "{}", limit.key);
            for other in MqttLimits::ALL.iter().filter(|other| other.key != limit.key) {
                let usual = other.value(&MqttLimits::default());
                assert_eq!(other.value(&limits), usual, "{} {}", limit.key, other.key);
            }
        }
        assert!(parse("conections-max=1").unwrap_err().contains("`connections-max`"));
        assert!(parse("nonsense=1").unwrap_err().contains("docs/limits.md"));
        for text in ["connections-max", "connections-max=", "connections-max=-1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_reference_page_names_every_limit_with_its_default() {
        let page = include_str!("../../../docs/limits.md");
        let page = page.split("\n## What rules owe").next().unwrap();
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
        let named = |row: &str| {
            let (key, rest) = row.split_once('`')?;
            let value = rest.split('|').nth(1)?.trim().parse::<u64>().ok()?;
            Some((key.to_owned(), value))
        };
        let named: Vec<_> = rows.filter_map(named).collect();
        let usual = MqttLimits::default();
        let limits = MqttLimits::ALL.iter();
        let expected: Vec<_> =
            limits.map(|limit| (limit.key.to_owned(), limit.value(&usual))).collect();
        assert_eq!(named, expected);
    }

    #[test]
    fn what_the_listener_keeps_to_is_what_was_set() {
        let mut limits = MqttLimits::default();
        for (key, value) in [("packet-bytes-max", 5_000), ("publishes-per-second", 7)] {
            MqttLimit::named(key).unwrap().set(&mut limits, value);
        }
        let standard = limits.of_listener(Profile::Standard);
        assert_eq!((standard.packet_bytes_max, standard.rates.packets.per_s), (5_000, 7));
        let aws = limits.of_listener(Profile::Aws);
        assert_eq!((aws.packet_bytes_max, aws.rates.packets.per_s), (149_504, 0));
    }
}
