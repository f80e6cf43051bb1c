//! `http`: what a rule sends to a server outside.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stepwire_asl::Json;

/// A request to a server outside, ready to be sent with POST.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpDelivery {
    /// Where to, without templates.
    pub url: Arc<str>,
    /// Headers in order.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// What.
    pub body: Bytes,
    /// How it is signed, if it is.
    pub sign: Option<Sign>,
    /// The URL whose destination must be enabled when it leaves.
    pub confirmation: Arc<str>,
}

/// Signature version 4 of a delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sign {
    /// Name of the service it is signed for.
    pub service: Arc<str>,
    /// Region it is signed for.
    pub region: Arc<str>,
    /// ARN of the role whose key signs it.
    pub role: Arc<str>,
}

/// The confirmation URL of an `http` action, if it is the same for all messages.
pub(in crate::rules) fn confirmation_url(action: &Json) -> Option<Arc<str>> {
    let http = action.member("http")?;
    let of = |name| http.member(name).and_then(Json::as_str);
    let url = of("confirmationUrl").or_else(|| of("url"))?;
    (!url.contains("${")).then(|| url.into())
}

/// Values of headers, queries and bodies can be secret: none is shown.
impl fmt::Debug for HttpDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("HttpDelivery")
            .field("url", &self.url.split('?').next())
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .field("sign", &self.sign)
            .finish()
    }
}
