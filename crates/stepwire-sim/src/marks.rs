//! Situations that must come up somewhere across the seeds, or the simulation proves nothing.

use std::collections::BTreeMap;

/// Every situation the simulation is meant to reach.
pub const ALL: &[&str] = &[
    "crash before commit",
    "crash after commit",
    "crash between effects",
    "crash during recovery",
    "batch decided while another is committed",
    "profile service failed and was retried",
    "device answered",
    "silent device timed out",
    "answer came before its token was stored",
    "answer sent again after a lost PUBACK",
    "forged answer refused",
    "device taken over by itself",
    "message held until the device subscribed",
    "late answer refused",
    "retried task got a new token",
    "replayed completion refused",
    "start repeated after an unknown outcome",
    "http call repeated after a crash",
    "execution read back from its history",
];

/// How often each situation came up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks(BTreeMap<&'static str, u64>);

impl Marks {
    /// Notes that `what`, one of [`ALL`], has come up.
    ///
    /// # Panics
    /// If `what` is not listed: a mark nobody requires proves nothing.
    pub fn sometimes(&mut self, what: &'static str) {
        assert!(ALL.contains(&what), "`{what}` is not in marks::ALL");
        *self.0.entry(what).or_default() += 1;
    }

    /// Adds what another world came to.
    pub fn add(&mut self, other: &Marks) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    /// Situations that never came up.
    pub fn missing(&self) -> Vec<&'static str> {
        ALL.iter().copied().filter(|what| !self.0.contains_key(what)).collect()
    }

    /// How often each came up.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(what, times)| (*what, *times))
    }
}
