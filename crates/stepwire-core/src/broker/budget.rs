//! What all clients together may take, and all clients of one certificate.

use crate::rate::Rate;

/// Bounds for the whole node. What is there already when one is lowered stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Sessions, connected or lasting, of one certificate.
    pub sessions_per_certificate_max: usize,
    /// Client identifiers that are remembered for an hour after their last session, so that
    /// version numbers grow; the oldest are forgotten first.
    pub remembered_max: usize,
    /// Bytes of sessions, their wills and their subscriptions.
    pub session_bytes_max: usize,
    /// Subscriptions of all sessions.
    pub subscriptions_max: usize,
    /// Bytes queued for all sessions. A session may have as much as is still free, so those that
    /// have least are refused last.
    pub queued_bytes_max: usize,
    /// Retained messages of one certificate, or of one client that has none.
    pub retained_per_owner_max: usize,
    /// Bytes of retained messages of one certificate, or of one client that has none.
    pub retained_bytes_per_owner_max: usize,
    /// Topic filters in SUBSCRIBE and UNSUBSCRIBE of all clients.
    pub filters: Rate,
}

impl Budget {
    /// What a node of 15,000 devices needs many times over, and a small machine can hold.
    pub const STANDARD: Budget = Budget {
        sessions_per_certificate_max: 20_000,
        remembered_max: 100_000,
        session_bytes_max: 512 << 20,
        subscriptions_max: 1_000_000,
        queued_bytes_max: 512 << 20,
        retained_per_owner_max: 50_000,
        retained_bytes_per_owner_max: 128 << 20,
        filters: Rate::new(50_000, 200_000),
    };
}

impl Default for Budget {
    fn default() -> Budget {
        Budget::STANDARD
    }
}
