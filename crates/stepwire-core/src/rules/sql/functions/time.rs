//! Points in time.

use super::{Call, Found};

#[expect(clippy::unnecessary_wraps, reason = "as all functions")]
pub(super) fn timestamp(call: &Call<'_>) -> Found {
    Some(call.facts.message.at.0.into())
}
