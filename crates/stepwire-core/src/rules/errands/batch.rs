//! Batches: deliveries of one lane that share a request.
//!
//! Source: AWS IoT developer guide, "Batching HTTP action messages".

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use stepwire_asl::Json;

use super::record::{Delivery, Stage};
use super::{Errand, Errands};
use crate::rules::{Batch, HttpDelivery};

impl Errands {
    /// The errands whose request an errand's is: itself, and those that share it.
    pub(crate) fn sharing(&self, number: u64) -> Vec<u64> {
        self.shared.get(&number).cloned().unwrap_or_else(|| vec![number])
    }

    /// Whether errands wait for others, though there is room for no more.
    pub(super) fn is_full(&self, first: u64, batch: Batch) -> bool {
        let waits = self.get(first).is_some_and(|errand| errand.due().is_some());
        waits && !self.shared.contains_key(&first) && self.group(first, batch).1
    }

    /// The request of `first` and those that share it, from now on.
    pub(super) fn share(&mut self, first: u64, batch: Batch) -> Option<HttpDelivery> {
        if !self.shared.contains_key(&first) {
            let (group, _) = self.group(first, batch);
            self.shared.insert(first, group);
        }
        self.merged(self.shared.get(&first)?)
    }

    /// The errands from `first` on that its request has room for, and whether it has none for more.
    fn group(&self, first: u64, batch: Batch) -> (Vec<u64>, bool) {
        let (most, bytes_max) = (usize::from(batch.messages_max), batch.bytes_max as usize);
        let (mut group, mut bytes) = (Vec::new(), 2);
        let lane = self.get(first).and_then(|errand| self.lanes.get(&errand.lane()));
        for number in lane.into_iter().flat_map(|lane| lane.range(first..)) {
            let Some(http) = self.get(*number).and_then(|errand| http(errand)) else { continue };
            bytes += http.body.len() + 1;
            if !group.is_empty() && bytes > bytes_max {
                return (group, true);
            }
            group.push(*number);
            if group.len() >= most {
                return (group, true);
            }
        }
        (group, false)
    }

    /// One request for all of them.
    fn merged(&self, group: &[u64]) -> Option<HttpDelivery> {
        let all: Vec<_> = group.iter().filter_map(|number| http(self.get(*number)?)).collect();
        // The headers are those of the last.
        let mut merged = HttpDelivery::clone(all.last()?);
        let mut body = BytesMut::new();
        for (at, http) in all.iter().enumerate() {
            body.put_u8(if at == 0 { b'[' } else { b',' });
            body.extend_from_slice(&as_json(&http.body));
        }
        body.put_u8(b']');
        merged.body = body.freeze();
        merged.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        merged.headers.push(("content-type".into(), "application/json".into()));
        Some(merged)
    }
}

/// Text that is not JSON becomes a string.
fn as_json(body: &Bytes) -> Bytes {
    if Json::parse_bytes(body).is_ok() {
        return body.clone();
    }
    Bytes::from(Json::from(&*String::from_utf8_lossy(body)).to_text())
}

fn http(errand: &Arc<Errand>) -> Option<&HttpDelivery> {
    match &errand.stage {
        Stage::Deliver { delivery: Delivery::Http(http), .. } => Some(http),
        Stage::Evaluate { .. } => None,
    }
}

/// How the request of an errand may be shared, if it may.
pub(super) fn batch(errand: &Errand) -> Option<Batch> {
    match &errand.stage {
        Stage::Deliver { delivery: Delivery::Http(http), .. } => http.batch,
        Stage::Evaluate { .. } => None,
    }
}
