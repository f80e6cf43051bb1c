//! A resource on its way: its properties, and how names and requests are made of them.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::{Ask, Context, Look, Made};
use crate::request::Service;

/// A resource with its properties as its type wants them.
#[derive(Debug, Clone)]
pub(super) struct Resource<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) properties: Json,
}

impl Resource<'_> {
    /// A property, unless it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<&Json> {
        self.properties.member(name).filter(|value| !value.is_null())
    }

    /// The property as a member of a request, by whatever name.
    pub(super) fn take(&self, name: &str) -> Option<Json> {
        self.get(name).cloned()
    }

    /// The text of a property.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Json::as_str)
    }

    /// The text of a property, which is required; nothing where it is not there.
    pub(super) fn str(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// A document's text, compact.
    pub(super) fn document(&self, name: &str) -> Option<Json> {
        self.get(name).map(document_text)
    }

    /// The name that the property gives, or one that is made up: at most `max` characters.
    pub(super) fn name_or(&self, property: &str, max: usize) -> String {
        self.text(property).map_or_else(|| self.context.generated_name(max), str::to_owned)
    }

    /// The ARN of `resource` in `service`, in this region and account.
    pub(super) fn arn(&self, service: &str, resource: &str) -> String {
        self.context.arn(service, resource)
    }

    /// The items of a list; none where it is not there.
    pub(super) fn items(&self, name: &str) -> &[Json] {
        self.get(name).and_then(Json::as_array).unwrap_or_default()
    }

    /// The texts of a list.
    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.items(name).iter().filter_map(Json::as_str)
    }

    /// Whether a truth value is there and true.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name).and_then(Json::as_bool) == Some(true)
    }

    /// `Tags`, a list of `Key` and `Value` or a map, as pairs.
    pub(super) fn tag_pairs(&self) -> Vec<(Arc<str>, Json)> {
        match self.get("Tags") {
            Some(Json::Object(map)) => {
                map.iter().map(|(key, value)| (Arc::clone(key), value.clone())).collect()
            }
            _ => pairs(self.items("Tags"), "Key", "Value").collect(),
        }
    }

    /// `Tags` as a map of names and values.
    pub(super) fn tag_map(&self) -> Option<Json> {
        self.get("Tags").map(|_| Json::object(self.tag_pairs()))
    }

    /// `Tags` as a list of `key` and `value`, or whatever they are called.
    pub(super) fn tag_list(&self, key: &'static str, value: &'static str) -> Option<Json> {
        self.get("Tags").map(|_| listed(self.tag_pairs(), key, value))
    }
}

impl Context<'_> {
    /// A name of at most `max` characters: `STACK-LOGICALID-XXXXXXXXXXXX`, both parts shortened
    /// where they must be.
    pub(in crate::stacks) fn generated_name(&self, max: usize) -> String {
        let (stack, logical, token) = (self.stack_name, self.logical_id, self.token);
        let room = max.saturating_sub(token.chars().count() + 2);
        let (long, short) = (stack.chars().count(), logical.chars().count());
        let half = room / 2;
        let (first, second) = if long + short <= room {
            (long, short)
        } else if long <= half {
            (long, room - long)
        } else if short <= half {
            (room - short, short)
        } else {
            (half, half)
        };
        let cut = |text: &str, length: usize| text.chars().take(length).collect::<String>();
        format!("{}-{}-{token}", cut(stack, first), cut(logical, second))
    }

    /// A name of at most `max` characters without the stack's: `LOGICALID-XXXXXXXXXXXX`.
    pub(super) fn short_name(&self, max: usize) -> String {
        let room = max.saturating_sub(self.token.chars().count() + 1);
        let logical: String = self.logical_id.chars().take(room).collect();
        format!("{logical}-{}", self.token)
    }

    /// The ARN of `resource` in `service`, in this region and account.
    pub(super) fn arn(&self, service: &str, resource: &str) -> String {
        let (partition, region, account) = (self.partition, self.region, self.account);
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

/// The text of a JSON document; of a text, itself.
pub(super) fn document_text(document: &Json) -> Json {
    match document {
        Json::String(_) => document.clone(),
        other => Json::from(other.to_text()),
    }
}

/// An object of the members that have a value.
pub(super) fn body<const N: usize>(members: [(&'static str, Option<Json>); N]) -> Json {
    Json::object(members.into_iter().filter_map(|(name, value)| Some((name, value?))))
}

/// A request that must succeed.
pub(super) fn ask<const N: usize>(
    service: Service,
    operation: &'static str,
    members: [(&'static str, Option<Json>); N],
) -> Ask {
    Ask { service, operation, body: body(members), tolerate: &[] }
}

impl Ask {
    /// The same request, done also when it is answered by one of these errors.
    pub(super) fn or(mut self, tolerate: &'static [&'static str]) -> Ask {
        self.tolerate = tolerate;
        self
    }
}

/// A look for a resource that `ask` answers with, and else with an error that it tolerates.
pub(super) fn look(ask: Ask, identifier: &str) -> Look {
    Look { ask, identifier: identifier.to_owned(), listed: None }
}

/// A look for a resource in a list of the answer, where this member is its identifier.
pub(super) fn look_in(ask: Ask, listed: (&'static str, &'static str), identifier: &str) -> Look {
    Look { ask, identifier: identifier.to_owned(), listed: Some(listed) }
}

/// A resource that is there.
pub(super) fn made<const N: usize>(
    physical_id: impl Into<String>,
    attributes: [(&'static str, String); N],
) -> Made {
    let attributes =
        attributes.into_iter().map(|(name, value)| (name.to_owned(), Json::from(value))).collect();
    Made { physical_id: physical_id.into(), attributes }
}

/// Text as a member's value.
pub(super) fn s(text: impl Into<Arc<str>>) -> Option<Json> {
    Some(Json::string(text))
}

/// The text of a member of an answer; nothing where it is not there.
pub(super) fn told<'a>(answers: &'a [Json], index: usize, member: &str) -> &'a str {
    answers.get(index).and_then(|answer| answer.member(member)?.as_str()).unwrap_or_default()
}

/// The value with the first letter of every member's name small, at every level but within members
/// named in `own`, whose names are the user's.
pub(super) fn camel(value: &Json, own: &[&str]) -> Json {
    match value {
        Json::Object(members) => {
            let renamed = members.iter().map(|(name, value)| {
                let value = if own.contains(&&**name) { value.clone() } else { camel(value, own) };
                (Arc::<str>::from(small(name)), value)
            });
            Json::Object(Arc::new(renamed.collect::<Object>()))
        }
        Json::Array(items) => Json::array(items.iter().map(|item| camel(item, own))),
        other => other.clone(),
    }
}

fn small(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

/// The pairs that objects with two such members are.
pub(super) fn pairs<'a>(
    items: &'a [Json],
    name: &'a str,
    value: &'a str,
) -> impl Iterator<Item = (Arc<str>, Json)> + 'a {
    items.iter().filter_map(move |item| {
        let name = item.member(name)?.as_str()?;
        Some((Arc::from(name), item.member(value).cloned().unwrap_or_else(|| Json::from(""))))
    })
}

/// Pairs as a list of objects with two such members.
pub(super) fn listed(
    pairs: Vec<(Arc<str>, Json)>,
    name: &'static str,
    value: &'static str,
) -> Json {
    let of =
        |(key, text): (Arc<str>, Json)| Json::object([(name, Json::String(key)), (value, text)]);
    Json::array(pairs.into_iter().map(of))
}

/// What becomes of tags: those that are set, and the keys of those that go.
pub(super) struct Retagged {
    pub(super) set: Vec<(Arc<str>, Json)>,
    pub(super) gone: Vec<Arc<str>>,
}

impl Retagged {
    /// The keys that go, as a list.
    pub(super) fn keys(&self) -> Option<Json> {
        Some(Json::array(self.gone.iter().map(|key| Json::String(Arc::clone(key)))))
    }
}

impl super::Update<'_> {
    /// What becomes of the tags.
    pub(super) fn retagged(&self) -> Retagged {
        let (old, new) = (self.old.tag_pairs(), self.new.tag_pairs());
        let set = new.iter().filter(|pair| !old.contains(pair)).cloned().collect();
        let gone = old.into_iter().map(|(key, _)| key);
        let gone = gone.filter(|key| !new.iter().any(|(there, _)| there == key)).collect();
        Retagged { set, gone }
    }

    /// The physical id, as a member.
    pub(super) fn id(&self) -> Option<Json> {
        s(self.made.physical_id.as_str())
    }
}

impl Made {
    /// The physical id, as a member.
    pub(super) fn id(&self) -> Option<Json> {
        s(self.physical_id.as_str())
    }

    /// An attribute's text; nothing where it is not there.
    pub(super) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).and_then(Json::as_str).unwrap_or_default()
    }
}

/// A member within members of an answer.
pub(super) fn deep<'a>(answers: &'a [Json], index: usize, path: &[&str]) -> Option<&'a Json> {
    path.iter().try_fold(answers.get(index)?, |value, name| value.member(name))
}

/// An empty object.
pub(super) fn nothing() -> Json {
    Json::Object(Arc::default())
}
