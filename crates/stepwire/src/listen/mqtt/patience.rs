//! How long and how fast: what a client may take its time for, and what it is slowed down for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use stepwire_asl::Timestamp;
use stepwire_core::mqtt::Packet;
use stepwire_core::rate::{Bucket, Rate};
use tokio::time::{Sleep, sleep};

/// A wait that begins when it is first looked at. Holds no memory until then.
#[derive(Debug, Default)]
pub(super) struct Patience(Option<Pin<Box<Sleep>>>);

impl Patience {
    /// Begins a wait of `how_long` unless one goes on; ready when it is over.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        how_long: impl FnOnce() -> Duration,
    ) -> Poll<()> {
        self.0.get_or_insert_with(|| Box::pin(sleep(how_long()))).as_mut().poll(context)
    }

    /// Waits no longer.
    pub(super) fn reset(&mut self) {
        self.0 = None;
    }
}

/// Packets that cost the kernel something, and bytes, of one client.
#[derive(Debug)]
pub(super) struct Pace {
    packets: Bucket,
    bytes: Bucket,
    /// Since it was looked at last.
    new_packets: u64,
    new_bytes: u64,
}

/// What a listener lets one client send before it reads on more slowly.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Packets, but for acknowledgements.
    pub packets: Rate,
    /// Bytes of packets.
    pub bytes: Rate,
}

impl Pace {
    pub(super) fn new(rates: Rates, now: Timestamp) -> Pace {
        let (packets, bytes) = (Bucket::full(rates.packets, now), Bucket::full(rates.bytes, now));
        Pace { packets, bytes, new_packets: 0, new_bytes: 0 }
    }

    /// Counts a packet that was read.
    pub(super) fn count(&mut self, packet: &Packet, bytes: usize) {
        let is_answer = matches!(
            packet,
            Packet::PubAck(_) | Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_)
        );
        self.new_packets += u64::from(!is_answer);
        self.new_bytes += bytes as u64;
    }

    /// How long nothing more is to be read, after what was counted.
    pub(super) fn pause(&mut self, rates: Rates, now: Timestamp) -> Option<Duration> {
        self.packets.charge(std::mem::take(&mut self.new_packets), rates.packets, now);
        self.bytes.charge(std::mem::take(&mut self.new_bytes), rates.bytes, now);
        let wait_ms = self.packets.wait_ms(rates.packets).max(self.bytes.wait_ms(rates.bytes));
        (wait_ms > 0).then(|| Duration::from_millis(wait_ms))
    }
}

#[cfg(test)]
mod tests {
    use stepwire_core::mqtt::{Ack, PacketId};

    use super::*;

    #[test]
    fn who_sends_too_fast_is_read_from_more_slowly_and_loses_nothing() {
        let rates = Rates { packets: Rate::new(1_000, 100), bytes: Rate::UNBOUNDED };
        let mut pace = Pace::new(rates, Timestamp(0));
        let mut now = 0;
        for _ in 0..50 {
            (0..100).for_each(|_| pace.count(&Packet::PingReq, 2));
            let pause = pace.pause(rates, Timestamp(now)).unwrap_or_default();
            now += i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        }
        assert_eq!(now, 4_900, "5,000 packets at 1,000 a second, 100 of them at once");
    }

    #[test]
    fn answers_to_what_the_node_sent_are_not_counted() {
        let rates = Rates { packets: Rate::new(1, 1), bytes: Rate::new(1_000, 1_000) };
        let mut pace = Pace::new(rates, Timestamp(0));
        for _ in 0..100 {
            pace.count(&Packet::PubAck(Ack::success(PacketId::MIN)), 4);
        }
        assert_eq!(pace.pause(rates, Timestamp(0)), None);
        pace.count(&Packet::PubAck(Ack::success(PacketId::MIN)), 700);
        assert_eq!(pace.pause(rates, Timestamp(0)), Some(Duration::from_millis(100)));
    }
}
