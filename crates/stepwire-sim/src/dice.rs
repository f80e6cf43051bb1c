//! The dice of a world.

use stepwire_asl::Entropy;

/// Chance, fixed by the seed.
#[derive(Debug, Clone)]
pub struct Dice(Entropy);

impl Dice {
    /// The dice of this seed.
    pub fn new(seed: u64) -> Dice {
        Dice(Entropy::new(seed ^ 0x5354_4550_5749_5245))
    }

    /// A whole number in `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = (high - low + 1).max(1) as u64;
        low + (self.0.next_u64() % span) as i64
    }

    /// True once in `n` throws.
    pub fn one_in(&mut self, n: u64) -> bool {
        n > 0 && self.0.next_u64().is_multiple_of(n)
    }

    /// True `percent` times of a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.0.next_u64() % 100 < percent
    }
}
