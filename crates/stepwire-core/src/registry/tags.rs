//! Tags of what AWS IoT lets have them: types, groups, rules, jobs, policies, CA certificates.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::{Json, Timestamp};

use super::certificates;
use super::error::{internal, invalid, missing, nothing};
use super::{Out, Registry, Turn};
use crate::error::ApiError;
use crate::params::Params;
use crate::read::{Key, Read};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};
use crate::settings::Settings;

const FORMAT: u8 = 1;

/// Most tags of one resource.
const TAGS_MAX: usize = 50;

/// Key and value.
pub type Tag = (Arc<str>, Arc<str>);

/// The tags of a resource, in the order in which they were set.
pub type Tags = Vec<Tag>;

/// The tags of a resource as they now are; none once it is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tagged {
    /// The end of its ARN, such as `thinggroup/lamps`.
    pub resource: Arc<str>,
    /// Its tags.
    pub tags: Tags,
}

impl Tagged {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        (key(&self.resource), (!self.tags.is_empty()).then(|| encode(FORMAT, self)))
    }
}

fn key(resource: &str) -> Key {
    KeyBuilder::new(Space::RegistryTag).text(resource).build()
}

pub(super) fn stored(key: &[u8], value: &[u8]) -> Result<Tagged, Corrupt> {
    decode(FORMAT, key, value)
}

/// Tags by resource; no list is empty.
pub(super) type AllTags = BTreeMap<Arc<str>, Tags>;

pub(super) fn apply(all: &mut AllTags, write: &Tagged) {
    if write.tags.is_empty() {
        all.remove(&write.resource);
    } else {
        all.insert(Arc::clone(&write.resource), write.tags.clone());
    }
}

/// A request on tags. Resources are the ends of their ARNs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// TagResource
    Tag(Tagged),
    /// UntagResource
    Untag {
        /// The resource.
        resource: Arc<str>,
        /// `tagKeys`
        keys: Vec<Arc<str>>,
    },
    /// ListTagsForResource
    List(Arc<str>),
}

impl Request {
    /// The request that the members make of `operation`; `None` for other operations.
    pub(crate) fn parse(operation: &str, p: &Params<'_>) -> Option<Result<Request, ApiError>> {
        Some(match operation {
            "TagResource" => tag(p),
            "UntagResource" => untag(p),
            "ListTagsForResource" => list(p),
            _ => return None,
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Tag(_) | Request::Untag { .. } => false,
            Request::List(_) => true,
        }
    }

    /// The end of the ARN of what it is about.
    pub(crate) fn resource(&self) -> &str {
        match self {
            Request::Tag(Tagged { resource, .. })
            | Request::Untag { resource, .. }
            | Request::List(resource) => resource,
        }
    }
}

fn tag(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["resourceArn", "tags"])?;
    if p.get("tags").is_none() {
        return Err(p.broken("tags", None, "Member must not be null"));
    }
    Ok(Request::Tag(Tagged { resource: resource(p)?, tags: given(p)? }))
}

fn untag(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["resourceArn", "tagKeys"])?;
    let keys = p.get("tagKeys").and_then(Json::as_array);
    let keys = keys.ok_or_else(|| p.invalid("tagKeys", "it must be a list"))?;
    let keys = keys.iter().map(|key| key.as_str().map(Arc::from)).collect::<Option<_>>();
    let keys = keys.ok_or_else(|| p.invalid("tagKeys", "it must be a list of text"))?;
    Ok(Request::Untag { resource: resource(p)?, keys })
}

fn list(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["resourceArn", "nextToken"])?;
    if p.optional_text("nextToken")?.is_some() {
        return Err(p.invalid("nextToken", "it is not one that was given"));
    }
    Ok(Request::List(resource(p)?))
}

/// Kinds of resources that can have tags, and what the keys of their records begin with.
fn kinds() -> [(&'static str, KeyBuilder); 7] {
    [
        ("thinggroup", KeyBuilder::new(Space::ThingGroup)),
        ("thingtype", KeyBuilder::new(Space::ThingType)),
        ("rule", KeyBuilder::new(Space::Rule)),
        ("job", KeyBuilder::new(Space::Job)),
        ("jobtemplate", KeyBuilder::new(Space::JobTemplate)),
        ("policy", KeyBuilder::new(Space::Policy)),
        ("cacert", certificates::authorities()),
    ]
}

/// The end of `resourceArn`, of a kind that can have tags.
fn resource(p: &Params<'_>) -> Result<Arc<str>, ApiError> {
    let arn = p.text("resourceArn")?;
    let end = arn.strip_prefix("arn:").and_then(|arn| {
        let mut parts = arn.splitn(5, ':');
        let service = parts.nth(1)?;
        parts.nth(2).filter(|_| service == "iot")
    });
    let (kind, name) = end
        .and_then(|end| end.split_once('/'))
        .ok_or_else(|| p.invalid("resourceArn", "it is no ARN of AWS IoT"))?;
    if name.contains('\0') || !kinds().iter().any(|(there, _)| *there == kind) {
        let why = format!("a resource of kind `{kind}` has no tags");
        return Err(p.invalid("resourceArn", &why));
    }
    Ok(format!("{kind}/{name}").into())
}

/// The tags in `tags` of a request's body.
pub fn parse(body: &Json) -> Result<Tags, ApiError> {
    given(&Params::new(body, "InvalidRequestException"))
}

/// The tags in `tags` of `p`, each key once.
pub(crate) fn given(p: &Params<'_>) -> Result<Tags, ApiError> {
    let Some(given) = p.get("tags") else { return Ok(Tags::new()) };
    let given = given.as_array().ok_or_else(|| p.invalid("tags", "it must be a list"))?;
    let mut tags = Tags::new();
    for tag in given {
        let inner = Params::new(tag, "InvalidRequestException");
        inner.only(&["Key", "Value"])?;
        let value = inner.optional_text("Value")?.unwrap_or_default();
        add_checked(p, &mut tags, inner.text("Key")?, value)?;
    }
    Ok(tags)
}

/// The tags in a text such as `key=value&other=value`, as the header `x-amz-tagging` has them.
pub(crate) fn in_header(p: &Params<'_>) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for pair in p.optional_text("tags")?.unwrap_or_default().split('&').filter(|p| !p.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = |text: &str| {
            let text = text.replace('+', " ");
            let text = percent_encoding::percent_decode_str(&text).decode_utf8();
            text.map(std::borrow::Cow::into_owned)
        };
        match (decoded(key), decoded(value)) {
            (Ok(key), Ok(value)) => add_checked(p, &mut tags, &key, &value)?,
            _ => return Err(p.invalid("tags", "it must be UTF-8 in percent-encoding")),
        }
    }
    Ok(tags)
}

fn add_checked(p: &Params<'_>, tags: &mut Tags, key: &str, value: &str) -> Result<(), ApiError> {
    let fits = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
    let length = key.chars().count();
    if !(1..=128).contains(&length) || !key.chars().all(fits) {
        return Err(p.invalid("tags", &format!("`{key}` is not a tag's key")));
    }
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Err(
            p.invalid("tags", &format!("`{key}`: keys that begin with `aws:` are reserved"))
        );
    }
    if value.chars().count() > 256 {
        return Err(
            p.invalid("tags", &format!("the value of `{key}` has more than 256 characters"))
        );
    }
    if tags.iter().any(|(there, _)| there.as_ref() == key) {
        return Err(p.invalid("tags", &format!("the key `{key}` is there twice")));
    }
    tags.push((key.into(), value.into()));
    if tags.len() > TAGS_MAX { Err(too_many()) } else { Ok(()) }
}

fn too_many() -> ApiError {
    ApiError::new("LimitExceededException", format!("a resource has at most {TAGS_MAX} tags"))
}

/// The answer to a request that reads.
pub(super) fn answer(request: &Request, read: &dyn Read) -> Result<Json, ApiError> {
    let Request::List(resource) = request else {
        return Err(invalid("this request changes something"));
    };
    let there = kinds().into_iter().find_map(|(kind, base)| {
        let name = resource.strip_prefix(kind)?.strip_prefix('/')?;
        read.get(&base.text(name).build())
    });
    if there.is_none() {
        return Err(missing(&format!("Resource {resource}")));
    }
    let key = key(resource);
    let tagged = read.get(&key).map(|value| stored(&key, &value)).transpose().map_err(internal)?;
    let tags = tagged.iter().flat_map(|tagged| &tagged.tags).map(|(key, value)| {
        let (key, value) = (Json::String(Arc::clone(key)), Json::String(Arc::clone(value)));
        Json::object([("Key", key), ("Value", value)])
    });
    Ok(Json::object([("tags", Json::array(tags))]))
}

impl Registry {
    /// Carries out a request that changes tags; that a rule or a job is there is the caller's to know.
    pub(super) fn call_tags(
        &mut self,
        request: &Request,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let (Request::Tag(Tagged { resource, .. }) | Request::Untag { resource, .. }) = request
        else {
            return Err(invalid("this request only reads"));
        };
        if !self.can_be_tagged(resource) {
            return Err(missing(&format!("Resource {resource}")));
        }
        let mut tags = self.tags.get(resource).cloned().unwrap_or_default();
        match request {
            Request::Tag(given) => {
                for (key, value) in &given.tags {
                    match tags.iter_mut().find(|(there, _)| there == key) {
                        Some((_, there)) => *there = Arc::clone(value),
                        None => tags.push((Arc::clone(key), Arc::clone(value))),
                    }
                }
            }
            Request::Untag { keys, .. } => tags.retain(|(key, _)| !keys.contains(key)),
            Request::List(_) => {}
        }
        if tags.len() > TAGS_MAX {
            return Err(too_many());
        }
        self.record(Tagged { resource: Arc::clone(resource), tags }, turn);
        Ok(nothing())
    }

    fn can_be_tagged(&self, resource: &str) -> bool {
        match resource.split_once('/') {
            Some(("thinggroup", name)) => self.groups.find(name).is_some(),
            Some(("thingtype", name)) => self.types.find(name).is_some(),
            Some(("policy", name)) => self.policies.find(name).is_some(),
            Some(("cacert", id)) => self.certificates.authorities.find(id).is_some(),
            // Whether these are there is the caller's to know.
            Some(("rule" | "job" | "jobtemplate", _)) => true,
            _ => false,
        }
    }

    /// Sets the tags of something new, or gone, that is not in the registry: the end of its ARN.
    pub(crate) fn tag_other(
        &mut self,
        now: Timestamp,
        resource: &str,
        tags: &[Tag],
        settings: &Settings,
        out: &mut Out,
    ) {
        let turn = &mut Turn { now, settings, out };
        if tags.is_empty() {
            self.untag_gone(resource, turn);
        } else {
            self.tag_new(resource, tags, turn);
        }
    }

    /// Gives something new its tags.
    pub(super) fn tag_new(&mut self, resource: &str, tags: &[Tag], turn: &mut Turn<'_>) {
        if !tags.is_empty() {
            self.record(Tagged { resource: resource.into(), tags: tags.to_vec() }, turn);
        }
    }

    /// Forgets the tags of what is gone.
    pub(super) fn untag_gone(&mut self, resource: &str, turn: &mut Turn<'_>) {
        if self.tags.contains_key(resource) {
            self.record(Tagged { resource: resource.into(), tags: Tags::new() }, turn);
        }
    }
}
