//! Shadow documents: how an update changes one, and what the service tells of it.
//!
//! Source: AWS IoT developer guide, "Device Shadow service documents".

use std::sync::Arc;

use stepwire_asl::json::Object;
use stepwire_asl::{Json, Timestamp};

use super::record::Section;
use super::{Name, STATE_BYTES_MAX, STATE_LEVELS_MAX, Shadow};
use crate::error::ApiError;

/// Longest client token, in bytes.
const TOKEN_BYTES_MAX: usize = 64;

/// Why a request on a shadow was not done. Source: the guide's "Device Shadow error messages".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// As HTTP has it.
    pub(crate) code: u16,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn bad(message: impl Into<String>) -> Refused {
        Refused { code: 400, message: message.into() }
    }

    pub(crate) fn none(name: &Name) -> Refused {
        let thing = &name.thing;
        let shadow = name.shadow.as_ref().map(|shadow| format!("~{shadow}")).unwrap_or_default();
        Refused { code: 404, message: format!("No shadow exists with name: '{thing}{shadow}'") }
    }

    /// The same as callers of the API are told it.
    pub(crate) fn into_error(self) -> ApiError {
        let code = match self.code {
            404 => "ResourceNotFoundException",
            409 => "ConflictException",
            413 => "RequestEntityTooLargeException",
            500 => "InternalFailureException",
            _ => "InvalidRequestException",
        };
        ApiError::new(code, self.message)
    }
}

/// What an update asks for.
#[derive(Debug, PartialEq)]
pub(crate) struct Update {
    desired: Option<Json>,
    reported: Option<Json>,
    version: Option<i64>,
    token: Option<Arc<str>>,
}

/// What an update came to.
#[derive(Debug)]
pub(crate) struct Updated {
    pub(crate) shadow: Shadow,
    /// What the one who asked is told.
    pub(crate) accepted: Json,
    /// What `desired` wants that `reported` does not say, if there is such.
    pub(crate) delta: Option<Json>,
    /// The shadow before and after.
    pub(crate) documents: Json,
}

/// The client token of a request's payload, if it can be read.
pub(crate) fn client_token(payload: &[u8]) -> Option<Arc<str>> {
    let body = Json::parse_bytes(payload).ok()?;
    let token = body.member("clientToken")?.as_str()?;
    (token.len() <= TOKEN_BYTES_MAX).then(|| token.into())
}

impl Update {
    /// The update that a payload asks for.
    pub(crate) fn parse(payload: &[u8]) -> Result<Update, Refused> {
        let body = Json::parse_bytes(payload)
            .map_err(|_| Refused::bad("Payload contains invalid json"))?;
        let members = body.as_object();
        let members = members.ok_or_else(|| Refused::bad("Payload contains invalid json"))?;
        let known = ["state", "version", "clientToken"];
        if let Some(other) = members.keys().find(|name| !known.contains(&&***name)) {
            return Err(Refused::bad(format!("Payload contains an invalid node: '{other}'")));
        }
        let state =
            body.member("state").ok_or_else(|| Refused::bad("Missing required node: state"))?;
        let state =
            state.as_object().ok_or_else(|| Refused::bad("State node must be an object"))?;
        if let Some(other) = state.keys().find(|name| !["desired", "reported"].contains(&&***name))
        {
            return Err(Refused::bad(format!("State contains an invalid node: '{other}'")));
        }
        let version = match body.member("version") {
            None | Some(Json::Null) => None,
            Some(version) => {
                let version = version.as_i64().filter(|version| *version >= 0);
                Some(version.ok_or_else(|| Refused::bad("Invalid version"))?)
            }
        };
        let token = match body.member("clientToken") {
            None | Some(Json::Null) => None,
            Some(token) => {
                let token = token.as_str().filter(|token| token.len() <= TOKEN_BYTES_MAX);
                Some(token.ok_or_else(|| Refused::bad("Invalid clientToken"))?.into())
            }
        };
        Ok(Update {
            desired: section(state, "desired", "Desired node must be an object")?,
            reported: section(state, "reported", "Reported node must be an object")?,
            version,
            token,
        })
    }

    /// What the update makes of a shadow: `old` is its record, if there is one.
    pub(crate) fn apply(
        self,
        now: Timestamp,
        name: &Name,
        old: Option<&Shadow>,
    ) -> Result<Updated, Refused> {
        let before = Shadow::version_before(old, now);
        if self.version.is_some_and(|version| version != before) {
            return Err(Refused { code: 409, message: "Version conflict".to_owned() });
        }
        let old = old.filter(|old| !old.deleted);
        let changed = |old: Option<&Section>, change: Option<&Json>| match change {
            None => old.cloned(),
            Some(Json::Null) => None,
            Some(change) => Some(merge(old, change, now)),
        };
        let shadow = Shadow {
            name: name.shadow.clone(),
            desired: changed(old.and_then(|old| old.desired.as_ref()), self.desired.as_ref()),
            reported: changed(old.and_then(|old| old.reported.as_ref()), self.reported.as_ref()),
            version: before + 1,
            at: now,
            deleted: false,
        };
        if shadow.state().to_text().len() > STATE_BYTES_MAX {
            let message = "The payload exceeds the maximum size allowed".to_owned();
            return Err(Refused { code: 413, message });
        }
        let (mut state, mut metadata) = (Vec::new(), Vec::new());
        for (half, change) in [("desired", &self.desired), ("reported", &self.reported)] {
            let Some(change) = change else { continue };
            state.push((half, change.clone()));
            if !change.is_null() {
                metadata.push((half, stamped(change, now)));
            }
        }
        let accepted = told(&shadow, now, self.token.as_ref(), state, metadata);
        let delta = shadow.delta().map(|(state, metadata)| {
            let members = [("version", Json::from(shadow.version)), ("timestamp", seconds(now))];
            let members = members.into_iter().chain([("state", state), ("metadata", metadata)]);
            let token = self.token.as_ref().map(|token| ("clientToken", Json::from(&**token)));
            Json::object(members.chain(token))
        });
        let document = |shadow: Option<&Shadow>, version| {
            let state = shadow.map_or_else(empty, Shadow::state);
            let metadata = shadow.map_or_else(empty, Shadow::metadata);
            let version = ("version", Json::from(version));
            Json::object([("state", state), ("metadata", metadata), version])
        };
        let documents = [
            ("previous", document(old, before)),
            ("current", document(Some(&shadow), shadow.version)),
            ("timestamp", seconds(now)),
        ];
        let token = self.token.as_ref().map(|token| ("clientToken", Json::from(&**token)));
        let documents = Json::object(documents.into_iter().chain(token));
        Ok(Updated { shadow, accepted, delta, documents })
    }
}

impl Shadow {
    /// The whole document: state with delta, metadata, version, and `now` as its timestamp.
    pub(crate) fn document(&self, now: Timestamp, token: Option<&Arc<str>>) -> Json {
        let mut state = self.halves(|section| &section.state);
        let metadata = self.halves(|section| &section.metadata);
        state.extend(self.delta().map(|(delta, _)| ("delta", delta)));
        told(self, now, token, state, metadata)
    }

    /// What the one who deletes it is told.
    pub(crate) fn farewell(&self, now: Timestamp, token: Option<&Arc<str>>) -> Json {
        let members = [("version", Json::from(self.version)), ("timestamp", seconds(now))];
        Json::object(
            members.into_iter().chain(token.map(|token| ("clientToken", (&**token).into()))),
        )
    }

    fn halves<'a>(&'a self, part: fn(&'a Section) -> &'a Json) -> Vec<(&'static str, Json)> {
        let halves = [("desired", &self.desired), ("reported", &self.reported)];
        let halves = halves.into_iter().filter_map(|(half, section)| {
            section.as_ref().map(|section| (half, part(section).clone()))
        });
        halves.collect()
    }

    fn state(&self) -> Json {
        Json::object(self.halves(|section| &section.state))
    }

    fn metadata(&self) -> Json {
        Json::object(self.halves(|section| &section.metadata))
    }

    /// What is desired and not reported, with its metadata.
    fn delta(&self) -> Option<(Json, Json)> {
        let desired = self.desired.as_ref()?;
        let reported = self.reported.as_ref().map(|section| &section.state);
        difference(&desired.state, &desired.metadata, reported)
    }
}

/// A half of an update: nothing, null, or an object that is not too deep.
fn section(state: &Object, half: &str, otherwise: &str) -> Result<Option<Json>, Refused> {
    let Some(change) = state.get(half) else { return Ok(None) };
    if !change.is_null() && change.as_object().is_none() {
        return Err(Refused::bad(otherwise));
    }
    if !change.is_within(STATE_LEVELS_MAX) {
        let text =
            format!("JSON contains too many levels of nesting; maximum is {STATE_LEVELS_MAX}");
        return Err(Refused::bad(text));
    }
    Ok(Some(change.clone()))
}

/// A section with a change merged in: null removes, objects are merged, all else is replaced.
fn merge(old: Option<&Section>, change: &Json, now: Timestamp) -> Section {
    let (state, metadata) = (old.map(|old| &old.state), old.map(|old| &old.metadata));
    let Json::Object(changes) = change else {
        return Section { state: change.clone(), metadata: stamped(change, now) };
    };
    let members = |of: Option<&Json>| of.and_then(Json::as_object).cloned().unwrap_or_default();
    // Of what was no object nothing is left.
    let was_object = state.is_some_and(|state| state.as_object().is_some());
    let (mut state, mut metadata) =
        if was_object { (members(state), members(metadata)) } else { Default::default() };
    for (name, change) in changes.iter() {
        if change.is_null() {
            state.shift_remove(name);
            metadata.shift_remove(name);
            continue;
        }
        let old = state.get(name).zip(metadata.get(name));
        let old = old
            .map(|(state, metadata)| Section { state: state.clone(), metadata: metadata.clone() });
        let merged = merge(old.as_ref(), change, now);
        state.insert(Arc::clone(name), merged.state);
        metadata.insert(Arc::clone(name), merged.metadata);
    }
    Section { state: Json::Object(state.into()), metadata: Json::Object(metadata.into()) }
}

/// Metadata of a value that was given now; members that remove have none.
fn stamped(value: &Json, now: Timestamp) -> Json {
    match value {
        Json::Object(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            Json::object(members.map(|(name, value)| (Arc::clone(name), stamped(value, now))))
        }
        Json::Array(items) => Json::array(items.iter().map(|item| stamped(item, now))),
        _ => Json::object([("timestamp", seconds(now))]),
    }
}

/// The members of `desired` that `reported` lacks or has otherwise, with their metadata.
fn difference(desired: &Json, metadata: &Json, reported: Option<&Json>) -> Option<(Json, Json)> {
    let (Some(wanted), Some(said)) = (desired.as_object(), reported.and_then(Json::as_object))
    else {
        let same = reported == Some(desired);
        let empty = desired.as_object().is_some_and(indexmap::IndexMap::is_empty);
        return (!same && !(empty && reported.is_none()))
            .then(|| (desired.clone(), metadata.clone()));
    };
    let none = Json::Null;
    let differing = wanted.iter().filter_map(|(name, value)| {
        let metadata = metadata.member(name).unwrap_or(&none);
        Some((name, difference(value, metadata, said.get(name))?))
    });
    let (state, metadata): (Vec<_>, Vec<_>) = differing
        .map(|(name, (value, metadata))| ((Arc::clone(name), value), (Arc::clone(name), metadata)))
        .unzip();
    (!state.is_empty()).then(|| (Json::object(state), Json::object(metadata)))
}

fn told(
    shadow: &Shadow,
    now: Timestamp,
    token: Option<&Arc<str>>,
    state: Vec<(&'static str, Json)>,
    metadata: Vec<(&'static str, Json)>,
) -> Json {
    let members = [
        ("state", Json::object(state)),
        ("metadata", Json::object(metadata)),
        ("version", shadow.version.into()),
        ("timestamp", seconds(now)),
    ];
    Json::object(members.into_iter().chain(token.map(|token| ("clientToken", (&**token).into()))))
}

fn empty() -> Json {
    Json::Object(Arc::default())
}

/// Whole seconds, as everything about shadows has them.
fn seconds(at: Timestamp) -> Json {
    at.0.div_euclid(1_000).into()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn update(old: Option<&Shadow>, second: i64, text: &str) -> Result<Updated, Refused> {
        let name = Name { thing: "lamp".into(), shadow: None };
        Update::parse(text.as_bytes())?.apply(Timestamp(second * 1_000), &name, old)
    }

    #[test]
    fn an_update_merges_objects_and_null_removes() {
        let first = r#"{"state":{"desired":{"light":{"on":true,"color":[1,2]},"name":"a"}}}"#;
        let first = update(None, 10, first).unwrap();
        assert_eq!(
            first.accepted.to_text(),
            r#"{"state":{"desired":{"light":{"on":true,"color":[1,2]},"name":"a"}},"metadata":{"desired":{"light":{"on":{"timestamp":10},"color":[{"timestamp":10},{"timestamp":10}]},"name":{"timestamp":10}}},"version":1,"timestamp":10}"#
        );
        let second = r#"{"state":{"desired":{"light":{"color":[3]},"name":null},"reported":{"light":{"on":true}}},"version":1,"clientToken":"t"}"#;
        let second = update(Some(&first.shadow), 20, second).unwrap();
        assert_eq!(
            second.shadow.document(Timestamp(21_000), None).to_text(),
            r#"{"state":{"desired":{"light":{"on":true,"color":[3]}},"reported":{"light":{"on":true}},"delta":{"light":{"color":[3]}}},"metadata":{"desired":{"light":{"on":{"timestamp":10},"color":[{"timestamp":20}]}},"reported":{"light":{"on":{"timestamp":20}}}},"version":2,"timestamp":21}"#
        );
        assert_eq!(
            second.delta.unwrap().to_text(),
            r#"{"version":2,"timestamp":20,"state":{"light":{"color":[3]}},"metadata":{"light":{"color":[{"timestamp":20}]}},"clientToken":"t"}"#
        );
        let third = r#"{"state":{"reported":{"light":{"color":[3]}}}}"#;
        let third = update(Some(&second.shadow), 30, third).unwrap();
        assert!(third.delta.is_none());
        let cleared = update(Some(&third.shadow), 40, r#"{"state":{"desired":null}}"#).unwrap();
        assert_eq!(cleared.shadow.desired, None);
        assert_eq!(cleared.shadow.version, 4);
    }

    #[test]
    fn what_cannot_be_done_is_said_in_aws_words() {
        let deep =
            format!(r#"{{"state":{{"desired":{}1{}}}}}"#, r#"{"a":"#.repeat(9), "}".repeat(9));
        let long = format!(r#"{{"state":{{"desired":{{"a":"{}"}}}}}}"#, "x".repeat(8_192));
        for (text, code, message) in [
            ("{", 400, "Payload contains invalid json"),
            ("[]", 400, "Payload contains invalid json"),
            ("{}", 400, "Missing required node: state"),
            (r#"{"state":1}"#, 400, "State node must be an object"),
            (r#"{"state":{"desired":1}}"#, 400, "Desired node must be an object"),
            (r#"{"state":{"reported":[]}}"#, 400, "Reported node must be an object"),
            (r#"{"state":{"wanted":{}}}"#, 400, "State contains an invalid node: 'wanted'"),
            (r#"{"state":{},"version":"1"}"#, 400, "Invalid version"),
            (r#"{"state":{},"clientToken":1}"#, 400, "Invalid clientToken"),
            (r#"{"state":{},"version":3}"#, 409, "Version conflict"),
            (&deep, 400, "JSON contains too many levels of nesting; maximum is 8"),
            (&long, 413, "The payload exceeds the maximum size allowed"),
        ] {
            let refused = update(None, 1, text).unwrap_err();
            assert_eq!((refused.code, &*refused.message), (code, message), "{text}");
        }
    }

    #[test]
    fn a_deleted_shadow_goes_on_counting_for_two_days() {
        let mut shadow = update(None, 0, r#"{"state":{"desired":{"a":1}}}"#).unwrap().shadow;
        shadow.deleted = true;
        let text = r#"{"state":{"reported":{"b":1}}}"#;
        let again = update(Some(&shadow), 48 * 3_600 - 1, text).unwrap();
        assert_eq!((again.shadow.version, again.shadow.desired), (2, None));
        assert_eq!(update(Some(&shadow), 48 * 3_600, text).unwrap().shadow.version, 1);
    }
}
