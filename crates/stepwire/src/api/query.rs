//! The query protocol: the operation in a form field, XML back.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use stepwire_aws::rest;
use stepwire_core::ApiError;

use super::{not_available, not_served};
use crate::node::Node;

/// `sts` GetCallerIdentity: tools ask who they are before anything else.
pub(super) fn answer(node: &Node, service: &str, body: &[u8]) -> Result<Response, ApiError> {
    if service != "sts" {
        return Err(not_served(service));
    }
    let form = String::from_utf8_lossy(body).into_owned();
    let action =
        rest::query_pairs(&form).find(|(name, _)| name == "Action").map(|(_, action)| action);
    match action.as_deref() {
        Some("GetCallerIdentity") => {
            let account = &node.settings().account;
            let xml = format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <GetCallerIdentityResult><Arn>arn:aws:iam::{account}:root</Arn><UserId>{account}</UserId>\
                 <Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
            );
            Ok(([(header::CONTENT_TYPE, "text/xml")], xml).into_response())
        }
        other => Err(not_available(other.unwrap_or("?"))),
    }
}
