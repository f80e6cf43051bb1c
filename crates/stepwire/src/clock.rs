//! The node's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use stepwire_asl::Timestamp;

/// A wall clock further than this from where it was expected has been set, and is not followed.
const JUMP_MS: i64 = 2_000;

/// Wall time that never runs backwards and does not follow jumps of the system clock, so that no
/// timer fires early or late because somebody set the clock. Small corrections (NTP) are followed.
#[derive(Clone)]
pub struct Clock {
    started: Instant,
    state: Arc<State>,
}

struct State {
    /// Wall time at `started`, corrected as the wall clock is.
    origin_ms: AtomicI64,
    latest_ms: AtomicI64,
}

impl Clock {
    /// A clock that begins at the system's time.
    pub fn system() -> Clock {
        let now = wall_ms();
        let state = State { origin_ms: now.into(), latest_ms: now.into() };
        Clock { started: Instant::now(), state: Arc::new(state) }
    }

    /// The time now, at or after every time told before.
    pub fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let expected = self.state.origin_ms.load(Ordering::Relaxed).saturating_add(elapsed);
        let wall = wall_ms();
        let drift = wall - expected;
        let now = if drift != 0 && drift.abs() < JUMP_MS {
            self.state.origin_ms.fetch_add(drift, Ordering::Relaxed);
            wall
        } else {
            expected
        };
        let latest = self.state.latest_ms.fetch_max(now, Ordering::Relaxed);
        Timestamp(now.max(latest))
    }
}

fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
