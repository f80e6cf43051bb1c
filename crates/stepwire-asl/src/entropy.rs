//! Randomness as an argument.

/// A stream of numbers fixed by its seed (SplitMix64). The caller seeds it, so a step can be repeated.
#[derive(Debug, Clone)]
pub struct Entropy(u64);

impl Entropy {
    /// The stream that `seed` names.
    pub fn new(seed: u64) -> Entropy {
        Entropy(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0.0..1.0`.
    pub fn next_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
