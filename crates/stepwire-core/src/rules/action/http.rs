//! `http`: what a rule sends to a server outside.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A request to a server outside, ready to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpDelivery {
    /// Where to, without templates.
    pub url: Arc<str>,
    /// Headers in order.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// What.
    pub body: Bytes,
    /// How it is signed, if it is.
    pub sign: Option<Sign>,
}

/// Signature version 4 of a delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sign {
    /// Name of the service it is signed for.
    pub service: Arc<str>,
    /// Region it is signed for.
    pub region: Arc<str>,
}
