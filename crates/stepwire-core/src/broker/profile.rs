//! Where a listener's profile makes the broker answer differently.
//!
//! What can be counted is a [`Limits`]; the rest are the questions below. Source for
//! [`Profile::Aws`]: AWS IoT Core developer guide, "MQTT", and quotas of the message broker.

use super::Limits;
use super::session::SessionRecord;
use super::topic::Filter;
use crate::message::{Profile, Properties};
use crate::mqtt::{Packet, Version};

impl Profile {
    /// Whether `a/#` is for `a` too, and not only for what is below it.
    pub(super) fn hash_includes_parent(self) -> bool {
        self == Profile::Standard
    }

    /// Whether a subscription to `filter` is sent the messages that are retained.
    pub(super) fn sends_retained_to(self, filter: Filter<'_>) -> bool {
        let wild = self == Profile::Aws && filter.has_wildcard();
        filter.group.is_none() && !wild
    }

    /// Whether a message of `topic` is for a subscription to `filter`, which matches it.
    pub(super) fn delivers(self, filter: Filter<'_>, topic: &str) -> bool {
        self.hash_includes_parent() || !filter.is_for_parent(topic)
    }

    /// Whether subscriptions may have identifiers.
    pub(super) fn has_subscription_ids(self) -> bool {
        self == Profile::Standard
    }

    /// Whether a client is told that it unsubscribes from what it did not subscribe to.
    pub(super) fn tells_missing_subscriptions(self) -> bool {
        self == Profile::Standard
    }

    /// Whether every CONNACK of MQTT 5.0 tells the keep-alive, also one that the client asked for.
    pub(super) fn always_tells_keep_alive(self) -> bool {
        self == Profile::Aws
    }

    /// Whether the broker uses its own keep-alive also with clients before MQTT 5.0, which cannot
    /// be told of it.
    pub(super) fn changes_keep_alive_untold(self) -> bool {
        self == Profile::Aws
    }

    /// Whether a client may call itself `id`.
    pub(super) fn allows_client_id(self, id: &str) -> bool {
        self == Profile::Standard || !id.starts_with('$')
    }

    /// Whether the packet is part of this listener's protocol.
    pub(super) fn takes(self, packet: &Packet) -> bool {
        let exactly_once =
            matches!(packet, Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_));
        self == Profile::Standard || !exactly_once
    }

    /// Whether a client of this profile and version may go on with the session of `record`. A
    /// session stays under the rules it began with.
    pub(super) fn resumes(self, version: Version, record: &SessionRecord) -> bool {
        let same_generation = (version == Version::V5) == (record.version == Version::V5);
        self == record.client.profile && (self == Profile::Standard || same_generation)
    }
}

impl Limits {
    /// The keep-alive to use with a client that asks for `asked`; both in seconds, 0 for no limit.
    pub(super) fn keep_alive_s(&self, asked: u16) -> u16 {
        let (shortest, longest) = (self.keep_alive_s_min, self.keep_alive_s_max);
        match asked {
            0 if longest == u16::MAX => 0,
            0 => longest,
            asked => asked.clamp(shortest, longest),
        }
    }

    /// Longest time that a session of a client of this version outlives its connection.
    pub(super) fn session_expiry_s_max(&self, version: Version) -> u32 {
        match version {
            Version::V5 => self.session_expiry_s_max,
            Version::V31 | Version::V311 => self.session_expiry_s_unsaid,
        }
    }

    /// Brings a message's expiry within what is taken.
    pub(super) fn bound(&self, properties: &mut Properties) {
        let (shortest, longest) = (self.message_expiry_s_min, self.message_expiry_s_max);
        properties.message_expiry_s =
            properties.message_expiry_s.map(|seconds| seconds.clamp(shortest, longest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_brings_the_keep_alive_within_half_a_minute_and_twenty() {
        for (asked, used) in [(0, 1_200), (1, 30), (29, 30), (30, 30), (900, 900), (1_201, 1_200)] {
            assert_eq!(Limits::AWS.keep_alive_s(asked), used, "{asked}");
        }
        for asked in [0, 1, 1_201, u16::MAX] {
            assert_eq!(Limits::STANDARD.keep_alive_s(asked), asked);
        }
        let capped = Limits { keep_alive_s_max: 60, ..Limits::STANDARD };
        assert_eq!([0, 1, 61].map(|asked| capped.keep_alive_s(asked)), [60, 1, 60]);
    }
}
