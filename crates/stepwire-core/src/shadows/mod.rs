//! Device shadows: what a thing is to be (`desired`) and says that it is (`reported`).
//!
//! Source: AWS IoT developer guide, "AWS IoT Device Shadow service". A shadow belongs to the name of
//! a thing, which need not be in the registry. Shadows are in the store alone: a request reads the one
//! it is about, and what it answers and tells others leaves in the commit that changes it.
//!
//! Read in this order: [`Shadow`], [`Request`], [`RequestTopic`], `document`; the kernel's part is
//! `kernel/shadows.rs`.

mod document;
mod record;
mod request;
mod topic;

pub(crate) use document::{Refused, Update, client_token};
pub use record::{Shadow, Write};
pub(crate) use record::{find, live, named};
pub use request::{Name, Request};
pub use topic::{Operation, RequestTopic};

/// Longest state of a shadow, desired and reported together, in bytes of JSON (AWS IoT Device Shadow
/// endpoints and quotas).
pub const STATE_BYTES_MAX: usize = 8 << 10;
/// Deepest nesting of desired or reported.
pub const STATE_LEVELS_MAX: usize = 8;
/// How long a deleted shadow's version is remembered: one made again within it goes on counting.
pub const DELETED_KEPT_MS: i64 = 48 * 3_600_000;
