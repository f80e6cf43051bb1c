//! Tags of objects.

use std::sync::Arc;

use stepwire_asl::Json;
use url::form_urlencoded;

use super::record::Object;
use super::settings::malformed;
use crate::error::ApiError;

/// Under which name an object keeps its tags, written as the `x-amz-tagging` header writes them.
pub(super) const MEMBER: &str = "Tagging";
/// Most tags of an object.
pub(super) const OBJECT_MAX: usize = 10;

/// The tags of a `Tagging` member, in the header's form.
pub(super) fn parse(tagging: &Json, max: usize) -> Result<Arc<str>, ApiError> {
    let set = tagging.member("TagSet").and_then(Json::as_array).ok_or_else(malformed)?;
    let tags = set.iter().map(|tag| {
        let text = |name| tag.member(name).and_then(Json::as_str).map(str::to_owned);
        Ok((text("Key").ok_or_else(malformed)?, text("Value").ok_or_else(malformed)?))
    });
    written(&tags.collect::<Result<Vec<_>, ApiError>>()?, max)
}

/// The tags of an `x-amz-tagging` header, checked.
pub(super) fn from_header(header: &str) -> Result<Arc<str>, ApiError> {
    let tags = form_urlencoded::parse(header.as_bytes()).into_owned();
    let tags = tags.collect::<Vec<_>>();
    written(&tags, OBJECT_MAX).map_err(|error| match &*error.code {
        "MalformedXML" => {
            let message = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded \
                           URL query parameters without tag name duplicates.";
            ApiError::new("InvalidArgument", message)
        }
        _ => error,
    })
}

fn written(tags: &[(String, String)], max: usize) -> Result<Arc<str>, ApiError> {
    if tags.len() > max {
        let message = format!("Object tags cannot be greater than {max}");
        return Err(ApiError::new("BadRequest", message));
    }
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (at, (key, value)) in tags.iter().enumerate() {
        if key.is_empty() || key.chars().count() > 128 {
            let message = "The TagKey you have provided is invalid";
            return Err(ApiError::new("InvalidTag", message));
        }
        if key.starts_with("aws:") {
            let message = "System tags cannot be added/updated by requester";
            return Err(ApiError::new("InvalidTag", message));
        }
        if value.chars().count() > 256 {
            let message = "The TagValue you have provided is invalid";
            return Err(ApiError::new("InvalidTag", message));
        }
        if tags[..at].iter().any(|(other, _)| other == key) {
            let message = "Cannot provide multiple Tags with the same key";
            return Err(ApiError::new("InvalidTag", message));
        }
        form.append_pair(key, value);
    }
    Ok(form.finish().into())
}

impl Object {
    /// Its tags, in the form of the header; empty without any.
    fn tagging(&self) -> &str {
        self.headers.kept(MEMBER).unwrap_or_default()
    }

    /// How many tags it has.
    pub(super) fn tag_count(&self) -> usize {
        form_urlencoded::parse(self.tagging().as_bytes()).count()
    }

    /// Its tags as answers show them.
    pub(super) fn tag_set(&self) -> Json {
        let tags = form_urlencoded::parse(self.tagging().as_bytes());
        Json::array(tags.map(|(key, value)| {
            Json::object([("Key", Json::from(&*key)), ("Value", Json::from(&*value))])
        }))
    }
}
