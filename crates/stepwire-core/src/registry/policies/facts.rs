//! What variables and condition keys stand for.

use std::cell::OnceCell;
use std::net::IpAddr;

use stepwire_asl::Timestamp;

use super::variable::{Pick, Variable};
use crate::broker::ConnectAttributes;
use crate::registry::certificates;
use crate::registry::things::Thing;

/// Longest value that a variable is replaced by, characters.
const VALUE_MAX: usize = 1_024;

/// What is known of who asks.
#[derive(Debug)]
pub struct Facts<'a> {
    /// MQTT client id; `None` over HTTP.
    pub client_id: Option<&'a str>,
    /// The certificate it has proved to own.
    pub certificate: Option<&'a certificates::Facts>,
    /// Where it connects from.
    pub ip: Option<IpAddr>,
    /// When it asks.
    pub now: Option<Timestamp>,
    /// What its CONNECT asks for; `None` for anything but a CONNECT.
    pub connect: Option<ConnectAttributes>,
    /// The thing the connection speaks for, found when it is first wanted.
    pub thing: ThingOf<'a>,
}

/// Finds the thing that a connection speaks for.
pub struct ThingOf<'a> {
    find: &'a dyn Fn() -> Option<&'a Thing>,
    found: OnceCell<Option<&'a Thing>>,
}

impl<'a> ThingOf<'a> {
    /// The thing that `find` finds.
    pub fn new(find: &'a dyn Fn() -> Option<&'a Thing>) -> ThingOf<'a> {
        ThingOf { find, found: OnceCell::new() }
    }

    /// The thing, if there is one.
    pub fn get(&self) -> Option<&'a Thing> {
        *self.found.get_or_init(self.find)
    }
}

impl std::fmt::Debug for ThingOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ThingOf")
    }
}

impl Facts<'_> {
    /// Gives `use_it` what replaces `variable`: its first value, unless there is none, or it could
    /// be taken for a pattern, or is too long.
    pub(super) fn with_value<R>(
        &self,
        variable: &Variable,
        use_it: impl FnOnce(Option<&str>) -> R,
    ) -> R {
        // Most are texts that need no copy.
        let borrowed = match variable {
            Variable::ClientId => self.client_id,
            Variable::ThingName => self.thing.get().map(|thing| thing.name.as_ref()),
            Variable::Attribute(name) => {
                let thing = self.thing.get();
                thing.and_then(|thing| thing.attributes.get(name)).map(AsRef::as_ref)
            }
            Variable::Certificate(field, Pick::At(at)) => {
                let values = self.certificate.map_or(&[][..], |facts| facts.values(*field));
                values.get(usize::from(*at)).map(AsRef::as_ref)
            }
            _ => {
                let mut first = None;
                self.each(variable, &mut |value| {
                    first.get_or_insert_with(|| value.to_owned());
                });
                return use_it(first.as_deref().filter(|value| is_plain(value)));
            }
        };
        use_it(borrowed.filter(|value| is_plain(value)))
    }

    /// Shows every value of `variable` to `see`. Whether it has any; a list may be there and empty.
    pub(super) fn each(&self, variable: &Variable, see: &mut dyn FnMut(&str)) -> bool {
        let mut one = |value: Option<&str>| value.map(&mut *see).is_some();
        match variable {
            Variable::ClientId => one(self.client_id),
            Variable::SourceIp => one(self.ip.map(|ip| ip.to_string()).as_deref()),
            Variable::CurrentTime => one(self.now.map(Timestamp::rfc3339).as_deref()),
            Variable::EpochTime => one(self.now.map(|now| (now.0 / 1000).to_string()).as_deref()),
            Variable::ThingName => one(self.thing.get().map(|thing| thing.name.as_ref())),
            Variable::ThingTypeName => {
                one(self.thing.get().and_then(|thing| thing.thing_type.as_deref()))
            }
            Variable::IsAttached => one(self.client_id.map(|_| match self.thing.get() {
                Some(_) => "true",
                None => "false",
            })),
            Variable::Attribute(name) => {
                let thing = self.thing.get();
                one(thing.and_then(|thing| thing.attributes.get(name)).map(AsRef::as_ref))
            }
            Variable::ConnectAttributes => {
                let Some(ConnectAttributes { last_will, persistent }) = self.connect else {
                    return false;
                };
                one(last_will.then_some("LastWill"));
                one(persistent.then_some("PersistentConnect"));
                true
            }
            Variable::Certificate(field, pick) => {
                let values = self.certificate.map_or(&[][..], |facts| facts.values(*field));
                match pick {
                    Pick::At(at) => one(values.get(usize::from(*at)).map(AsRef::as_ref)),
                    Pick::All => {
                        values.iter().for_each(|value| {
                            one(Some(value));
                        });
                        !values.is_empty()
                    }
                }
            }
            Variable::AvailableKeys => {
                let fields = self.certificate.into_iter().flat_map(certificates::Facts::fields);
                fields.for_each(|field| {
                    one(Some(&field.variable()));
                });
                self.certificate.is_some()
            }
        }
    }
}

/// A value with these characters could be taken for a pattern.
fn is_plain(value: &str) -> bool {
    !value.contains(['*', '$', '+', '?', '#'])
        && (value.len() <= VALUE_MAX || value.chars().count() <= VALUE_MAX)
}
