//! Conditions of requests: what an object has to be, or must not be.

use super::record::Object;
use super::{Condition, Name, find, no_key, quoted, unreadable};
use crate::error::ApiError;
use crate::read::Read;

impl Condition {
    /// Whether an object may be stored under this name.
    pub(super) fn holds_for_write(&self, name: &Name, read: &dyn Read) -> Result<(), ApiError> {
        let there = find(&name.bucket, &name.key, read).map_err(|corrupt| unreadable(&corrupt))?;
        match (&self.matches, &there) {
            (Some(_), None) => return Err(no_key(&name.key)),
            (Some(etag), Some(there)) if **etag != *there.etag && &**etag != "*" => {
                return Err(precondition("If-Match"));
            }
            _ => {}
        }
        match (self.differs.as_deref(), &there) {
            (None, _) | (Some("*"), None) => Ok(()),
            (Some("*"), Some(_)) => Err(precondition("If-None-Match")),
            (Some(_), _) => {
                let message = "`If-None-Match` of a request that stores can only be `*`";
                Err(ApiError::new("NotImplemented", message))
            }
        }
    }

    /// Whether an object may be shown. An ETag outweighs a time. Source: RFC 9110 §13.2.2.
    pub(super) fn holds_for_read(&self, object: &Object) -> Result<(), ApiError> {
        match (self.broken_match(object), self.unchanged(object)) {
            (Some(which), _) => Err(precondition(which)),
            (None, true) => {
                let error = ApiError::new("NotModified", "Not Modified");
                let modified = object.modified.rfc3339().into();
                Err(error.with("ETag", quoted(&object.etag)).with("LastModified", modified))
            }
            (None, false) => Ok(()),
        }
    }

    /// Whether an object may be copied.
    pub(super) fn holds_for_copy(&self, object: &Object) -> Result<(), ApiError> {
        if self.broken_match(object).is_some() || self.unchanged(object) {
            return Err(precondition("x-amz-copy-source-If-*"));
        }
        Ok(())
    }

    fn broken_match(&self, object: &Object) -> Option<&'static str> {
        match (self.matches.as_deref(), self.until) {
            (Some(etags), _) => (!is_one_of(etags, object)).then_some("If-Match"),
            (None, Some(until)) => (object.modified > until).then_some("If-Unmodified-Since"),
            (None, None) => None,
        }
    }

    fn unchanged(&self, object: &Object) -> bool {
        match (self.differs.as_deref(), self.after) {
            (Some(etags), _) => is_one_of(etags, object),
            (None, Some(after)) => object.modified <= after,
            (None, None) => false,
        }
    }
}

/// Whether a list of ETags names that of an object.
fn is_one_of(etags: &str, object: &Object) -> bool {
    let etags = etags.split(',').map(|etag| etag.trim().trim_start_matches("W/").trim_matches('"'));
    etags.into_iter().any(|etag| etag == "*" || etag == &*object.etag)
}

fn precondition(which: &str) -> ApiError {
    let message = "At least one of the pre-conditions you specified did not hold";
    ApiError::new("PreconditionFailed", message).with("Condition", which.into())
}
