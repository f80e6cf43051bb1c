//! Lifecycles: objects, versions and uploads that are removed when they are old enough.
//!
//! Once a day, at midnight UTC, and when a lifecycle is set, the names of its bucket are gone through
//! a slice at a time. How far that is lives in memory: after a restart a pass begins anew.
//!
//! Source: Amazon S3 user guide, "Lifecycle configuration elements", "How lifecycle rules work".

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};
use url::form_urlencoded;

use super::notify::{Happened, What};
use super::record::{self, Object, Upload};
use super::settings::{self, Kind};
use super::versions::{self, Status, Version};
use super::{Name, Objects, Write, find, list, unreadable, upload};
use crate::error::ApiError;
use crate::params::Params;
use crate::read::{Key, Range, Read};

const DAY_MS: i64 = 86_400_000;
/// Names that one slice looks at, at most.
const NAMES_MAX: usize = 64;
/// Uploads that one slice looks at, at most.
const UPLOADS_MAX: usize = 64;
/// Most rules of a lifecycle (AWS: 1,000).
const RULES_MAX: usize = 1_000;

/// How far a pass over a bucket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pass {
    bucket: Arc<str>,
    /// Names from here on, then uploads.
    names: Option<Key>,
    uploads: Key,
}

/// Something whose time has come.
#[derive(Debug, PartialEq, Eq)]
enum Doomed {
    /// What a name stands for.
    Current(Name),
    /// A version, or a delete marker that nothing is left below.
    Version(Name, Arc<str>),
    /// An upload that was not completed.
    Upload(Name, Arc<str>),
}

impl Doomed {
    fn touch(&self, read: &dyn Read) {
        match self {
            Doomed::Current(name) | Doomed::Version(name, _) => versions::touch(name, read),
            Doomed::Upload(name, id) => upload::touch(&name.bucket, id, read),
        }
    }
}

/// A rule that is enabled.
struct Rule {
    prefix: Arc<str>,
    tags: Vec<(Arc<str>, Arc<str>)>,
    larger: Option<u64>,
    smaller: Option<u64>,
    days: Option<i64>,
    date: Option<Timestamp>,
    /// Whether delete markers go that nothing is left below.
    markers: bool,
    /// Days after which versions go, and how many of the newest stay all the same.
    noncurrent: Option<(i64, usize)>,
    abort_days: Option<i64>,
}

impl Rule {
    fn read(rule: &Json) -> Rule {
        let filter = rule.member("Filter");
        let and = filter.and_then(|filter| filter.member("And"));
        let parts = [Some(rule), filter, and];
        let of = |name: &str| parts.iter().flatten().find_map(|part| part.member(name));
        let text =
            |json: Option<&Json>| Arc::<str>::from(json.and_then(Json::as_str).unwrap_or(""));
        let tag = filter.and_then(|filter| filter.member("Tag")).into_iter();
        let more = and.and_then(|and| and.member("Tags")?.as_array()).unwrap_or_default();
        let tags = tag.chain(more).map(|tag| (text(tag.member("Key")), text(tag.member("Value"))));
        let size = |name| of(name).and_then(number).and_then(|size| u64::try_from(size).ok());
        let inside = |part: &str, name: &str| rule.member(part).and_then(|part| part.member(name));
        let days = |part, name| inside(part, name).and_then(number);
        let versions = "NoncurrentVersionExpiration";
        let newer = days(versions, "NewerNoncurrentVersions").unwrap_or(0).max(0) as usize;
        Rule {
            prefix: text(of("Prefix")),
            tags: tags.collect(),
            larger: size("ObjectSizeGreaterThan"),
            smaller: size("ObjectSizeLessThan"),
            days: days("Expiration", "Days"),
            date: inside("Expiration", "Date").and_then(date),
            markers: inside("Expiration", "ExpiredObjectDeleteMarker").and_then(settings::truth)
                == Some(true),
            noncurrent: days(versions, "NoncurrentDays").map(|days| (days, newer)),
            abort_days: days("AbortIncompleteMultipartUpload", "DaysAfterInitiation"),
        }
    }

    fn takes(&self, key: &str, object: Option<&Object>) -> bool {
        let Some(object) = object else {
            // A delete marker has no tags and no size.
            let plain = self.tags.is_empty() && self.larger.is_none() && self.smaller.is_none();
            return plain && key.starts_with(&*self.prefix);
        };
        let given = object.headers.kept(super::tagging::MEMBER).unwrap_or_default();
        let given: Vec<_> = form_urlencoded::parse(given.as_bytes()).collect();
        let has = |(key, value): &(Arc<str>, Arc<str>)| {
            given.iter().any(|(k, v)| **k == **key && **v == **value)
        };
        key.starts_with(&*self.prefix)
            && self.larger.is_none_or(|size| object.size() > size)
            && self.smaller.is_none_or(|size| object.size() < size)
            && self.tags.iter().all(has)
    }

    /// Whether what was stored then goes now.
    fn expires(&self, modified: Timestamp, now: Timestamp) -> bool {
        self.days.is_some_and(|days| is_over(modified, days, now))
            || self.date.is_some_and(|date| date <= now)
    }
}

/// Whether so many days have passed at the last midnight: what is left of a day counts as one.
fn is_over(since: Timestamp, days: i64, now: Timestamp) -> bool {
    day(now) > day(since).saturating_add(days)
}

fn day(at: Timestamp) -> i64 {
    at.0.div_euclid(DAY_MS)
}

/// A number, or what a template made of one.
fn number(json: &Json) -> Option<i64> {
    json.as_i64().or_else(|| json.as_str()?.trim().parse().ok())
}

/// A date, as the API or a template writes it.
fn date(json: &Json) -> Option<Timestamp> {
    let text = json.as_str()?;
    Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")))
}

/// The lifecycle to keep, if it is one that can be carried out.
pub(super) fn check(document: &Json) -> Result<String, ApiError> {
    let given = settings::rules(document, "Rules")?;
    if given.len() > RULES_MAX {
        return Err(invalid(&format!("a lifecycle has at most {RULES_MAX} rules")));
    }
    let mut ids: Vec<&str> = Vec::new();
    for rule in given {
        if !matches!(rule.member("Status").and_then(Json::as_str), Some("Enabled" | "Disabled")) {
            return Err(settings::malformed());
        }
        for transition in ["Transitions", "Transition", "NoncurrentVersionTransitions"] {
            if rule.member(transition).is_some() {
                let message =
                    "`Transitions` are not available in stepwire: there is one storage class";
                return Err(ApiError::new("NotImplemented", message));
            }
        }
        let known = ["ID", "Prefix", "Filter", "Status", "Expiration"];
        let more = ["NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"];
        let params = Params::new(rule, "MalformedXML");
        params.only(&[&known[..], &more].concat())?;
        let acts = known[4..].iter().chain(&more).any(|action| rule.member(action).is_some());
        if !acts {
            let message = "At least one action needs to be specified in a rule";
            return Err(ApiError::new("InvalidRequest", message));
        }
        if let Some(id) = params.optional_text("ID")?.filter(|id| !id.is_empty()) {
            if ids.contains(&id) {
                return Err(invalid(
                    "Rule ID must be unique. Found same ID for more than one rule",
                ));
            }
            ids.push(id);
        }
        check_actions(rule)?;
        check_filter(rule)?;
    }
    Ok(document.to_text())
}

fn check_actions(rule: &Json) -> Result<(), ApiError> {
    let inside = |part: &str, known: &[&str]| match rule.member(part) {
        None => Ok(None),
        Some(part) => Params::new(part, "MalformedXML").only(known).map(|()| Some(part)),
    };
    let positive = |part: &Json, member: &str, action: &str| match part.member(member) {
        Some(days) if number(days).is_none_or(|days| days < 1) => {
            Err(invalid(&format!("'{member}' for {action} action must be a positive integer")))
        }
        other => Ok(other.is_some()),
    };
    if let Some(part) = inside("Expiration", &["Days", "Date", "ExpiredObjectDeleteMarker"])? {
        let days = positive(part, "Days", "Expiration")?;
        let at = part.member("Date").map(|at| {
            let at = date(at).ok_or_else(settings::malformed)?;
            let midnight = at.0.rem_euclid(DAY_MS) == 0;
            midnight.then_some(()).ok_or_else(|| invalid("'Date' must be at midnight GMT"))
        });
        let at = at.transpose()?.is_some();
        let markers = part.member("ExpiredObjectDeleteMarker").is_some();
        if [days, at, markers].into_iter().filter(|given| *given).count() != 1 {
            return Err(settings::malformed());
        }
    }
    let members = ["NoncurrentDays", "NewerNoncurrentVersions"];
    if let Some(part) = inside("NoncurrentVersionExpiration", &members)? {
        positive(part, "NewerNoncurrentVersions", "NoncurrentVersionExpiration")?;
        if !positive(part, "NoncurrentDays", "NoncurrentVersionExpiration")? {
            return Err(settings::malformed());
        }
    }
    if let Some(part) = inside("AbortIncompleteMultipartUpload", &["DaysAfterInitiation"])?
        && !positive(part, "DaysAfterInitiation", "AbortIncompleteMultipartUpload")?
    {
        return Err(settings::malformed());
    }
    Ok(())
}

fn check_filter(rule: &Json) -> Result<(), ApiError> {
    let sizes = ["ObjectSizeGreaterThan", "ObjectSizeLessThan"];
    if let Some(filter) = rule.member("Filter") {
        let params = Params::new(filter, "MalformedXML");
        params.only(&[&["Prefix", "Tag", "And"][..], &sizes].concat())?;
        let members = filter.as_object().map_or(0, indexmap::IndexMap::len);
        if members > 1 || rule.member("Prefix").is_some() {
            return Err(settings::malformed());
        }
        if let Some(and) = filter.member("And") {
            let params = Params::new(and, "MalformedXML");
            params.only(&[&["Prefix", "Tags"][..], &sizes].concat())?;
        }
        let by_tag = Rule::read(rule).tags;
        let aborts = rule.member("AbortIncompleteMultipartUpload").is_some();
        if aborts && !by_tag.is_empty() {
            let message = "AbortIncompleteMultipartUpload cannot be specified with Tags.";
            return Err(ApiError::new("InvalidRequest", message));
        }
    }
    Ok(())
}

fn invalid(message: &str) -> ApiError {
    ApiError::new("InvalidArgument", message)
}

/// What a slice of a pass found, and where the pass goes on.
struct Found {
    doomed: Vec<Doomed>,
    rest: Option<Pass>,
}

impl Objects {
    /// When a lifecycle is to be looked at.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        let next = |passed: &Option<i64>| Timestamp(passed.map_or(0, |day| (day + 1) * DAY_MS));
        self.lifecycles.values().map(next).min()
    }

    /// The pass that goes on now, or begins.
    fn pass(&self, now: Timestamp) -> Option<Pass> {
        let is_due = |bucket: &Arc<str>| {
            self.lifecycles.get(bucket).is_some_and(|day_of| day_of.is_none_or(|d| d < day(now)))
        };
        if let Some(pass) = self.passing.pass.as_ref().filter(|pass| is_due(&pass.bucket)) {
            return Some(pass.clone());
        }
        let bucket = self.lifecycles.keys().find(|bucket| is_due(bucket))?;
        Some(Pass { bucket: Arc::clone(bucket), names: Some(Key::new()), uploads: Key::new() })
    }

    /// A pass through the bucket that goes on began with another lifecycle.
    pub(super) fn begin_again(&mut self, bucket: &Arc<str>) {
        self.passing.pass.take_if(|pass| pass.bucket == *bucket);
    }

    /// Reads what [`Objects::expire`] will want.
    pub(crate) fn prefetch_expiry(&self, now: Timestamp, read: &dyn Read) {
        let Some(pass) = self.pass(now) else { return };
        if let Ok(found) = look(&pass, now, read) {
            found.doomed.iter().for_each(|doomed| doomed.touch(read));
        }
    }

    /// Removes a slice of what is old enough.
    pub(crate) fn expire(&mut self, now: Timestamp, read: &dyn Read, out: &mut Vec<Write>) {
        let Some(pass) = self.pass(now) else { return };
        let bucket = Arc::clone(&pass.bucket);
        // What cannot be read stays; the pass of the next day comes to it again.
        let rest = look(&pass, now, read).ok().and_then(|found| {
            for doomed in found.doomed {
                let _ = self.doom(now, &doomed, read, out);
            }
            found.rest
        });
        if rest.is_none() {
            self.record(Write::Passed(bucket, Some(day(now))), out);
        }
        self.passing.pass = rest;
        self.clean(out);
    }

    fn doom(
        &mut self,
        now: Timestamp,
        doomed: &Doomed,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<(), ApiError> {
        let (name, what, version) = match doomed {
            Doomed::Upload(name, id) => {
                self.abort_upload(name, id, read, out)?;
                return Ok(());
            }
            Doomed::Current(name) => {
                let changed = self.replace(now, name, None, read, out)?;
                let marked = changed.is_marker;
                let what = if marked { What::ExpiredToMarker } else { What::Expired };
                (name, what, changed.version)
            }
            Doomed::Version(name, id) => {
                self.remove_version(now, name, id, read, out)?;
                (name, What::Expired, Some(Arc::clone(id)))
            }
        };
        self.happens(Happened { name: name.clone(), what, size: None, etag: None, version });
        Ok(())
    }
}

/// Looks at the next names of a pass, then at its uploads. Of a name one thing goes at a time: when
/// more does, the next slice begins there.
fn look(pass: &Pass, now: Timestamp, read: &dyn Read) -> Result<Found, ApiError> {
    let bucket = &pass.bucket;
    let document = settings::get(bucket, Kind::Lifecycle, read)?;
    let rules = document.as_ref().and_then(|document| document.member("Rules")?.as_array());
    let enabled = |rule: &&Json| rule.member("Status").and_then(Json::as_str) == Some("Enabled");
    let rules: Vec<Rule> =
        rules.unwrap_or_default().iter().filter(enabled).map(Rule::read).collect();
    let mut doomed = Vec::new();
    let Some(first) = &pass.names else {
        let rest = look_at_uploads(pass, &rules, now, read, &mut doomed)?;
        return Ok(Found { doomed, rest });
    };
    let status = versions::status(bucket, read)?;
    let (mut from, mut again) = (first.clone(), None);
    for _ in 0..NAMES_MAX {
        let Some(key) = next_name(bucket, &from, read)? else {
            let names = again;
            let rest = Pass { names, ..pass.clone() };
            return Ok(Found { doomed, rest: Some(rest) });
        };
        let name = Name { bucket: Arc::clone(bucket), key: Arc::clone(&key) };
        let mut of_name = of_name(&name, status, &rules, now, read)?.into_iter();
        doomed.extend(of_name.next());
        if of_name.next().is_some() && again.is_none() {
            again = Some(key.as_bytes().to_vec());
        }
        from = [key.as_bytes(), &[0]].concat();
    }
    let rest = Pass { names: Some(again.unwrap_or(from)), ..pass.clone() };
    Ok(Found { doomed, rest: Some(rest) })
}

/// The first name, from `from` on, of an object or a version.
fn next_name(bucket: &str, from: &[u8], read: &dyn Read) -> Result<Option<Arc<str>>, ApiError> {
    let object =
        list::first_from(bucket, "", from, read).map_err(|corrupt| unreadable(&corrupt))?;
    let version = record::first_version(bucket, "", from, read);
    Ok(match (object, version) {
        (Some(object), Some(version)) => Some(object.min(version)),
        (object, version) => object.or(version),
    })
}

/// What of a name goes, the first of it first.
fn of_name(
    name: &Name,
    status: Status,
    rules: &[Rule],
    now: Timestamp,
    read: &dyn Read,
) -> Result<Vec<Doomed>, ApiError> {
    let key = &*name.key;
    let expires = |object: &Object| {
        let takes = |rule: &&Rule| rule.takes(key, Some(object));
        rules.iter().filter(takes).any(|rule| rule.expires(object.modified, now))
    };
    if status == Status::Never {
        let object = find(&name.bucket, key, read).map_err(|corrupt| unreadable(&corrupt))?;
        let goes = object.is_some_and(|object| expires(&object));
        return Ok(goes.then(|| Doomed::Current(name.clone())).into_iter().collect());
    }
    let versions = versions::Versions::versions_of(name, read)?;
    let mut doomed = Vec::new();
    let Some(newest) = versions.first() else { return Ok(doomed) };
    match &newest.object {
        Some(object) if expires(object) => doomed.push(Doomed::Current(name.clone())),
        // Nothing is left below this delete marker.
        None if versions.len() == 1 => {
            let goes = rules
                .iter()
                .filter(|rule| rule.takes(key, None))
                .any(|rule| rule.markers || rule.expires(newest.modified, now));
            doomed.extend(goes.then(|| Doomed::Version(name.clone(), Arc::clone(&newest.id))));
        }
        _ => {}
    }
    for (newer, pair) in versions.windows(2).enumerate() {
        let [after, version] = pair else { continue };
        let goes = rules.iter().filter(|rule| takes_version(rule, key, version)).any(|rule| {
            rule.noncurrent
                .is_some_and(|(days, kept)| newer >= kept && is_over(after.modified, days, now))
        });
        if goes {
            doomed.push(Doomed::Version(name.clone(), Arc::clone(&version.id)));
        }
    }
    Ok(doomed)
}

fn takes_version(rule: &Rule, key: &str, version: &Version) -> bool {
    rule.takes(key, version.object.as_ref())
}

/// The next uploads of a pass; where it goes on, if it does.
fn look_at_uploads(
    pass: &Pass,
    rules: &[Rule],
    now: Timestamp,
    read: &dyn Read,
    doomed: &mut Vec<Doomed>,
) -> Result<Option<Pass>, ApiError> {
    if !rules.iter().any(|rule| rule.abort_days.is_some()) {
        return Ok(None);
    }
    let prefix = record::uploads_prefix(&pass.bucket);
    let range = Range::prefix(&prefix);
    let from = prefix.clone().max(pass.uploads.clone());
    let mut looked = 0;
    let mut from = Some(from);
    while let Some(start) = from.take() {
        let Some((key, value)) = read.range(&Range { from: start, ..range.clone() }.limit(1)).pop()
        else {
            return Ok(None);
        };
        if looked == UPLOADS_MAX {
            return Ok(Some(Pass { uploads: key, ..pass.clone() }));
        }
        looked += 1;
        let Some(id) = record::upload_id(&prefix, &key) else { return Ok(None) };
        let upload: Upload =
            record::record(&key, &value).map_err(|corrupt| unreadable(&corrupt))?;
        let goes = rules.iter().any(|rule| {
            upload.key.starts_with(&*rule.prefix)
                && rule.abort_days.is_some_and(|days| is_over(upload.begun, days, now))
        });
        if goes {
            let name = Name { bucket: Arc::clone(&pass.bucket), key: Arc::clone(&upload.key) };
            doomed.push(Doomed::Upload(name, Arc::from(id)));
        }
        // Its parts follow it.
        from = Some(record::parts(&pass.bucket, id).to);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap_or(Timestamp(0))
    }

    #[test]
    fn what_is_left_of_a_day_counts_as_one() {
        let stored = at("2024-01-15T10:30:00Z");
        assert!(!is_over(stored, 3, at("2024-01-18T23:59:59Z")));
        assert!(is_over(stored, 3, at("2024-01-19T00:00:00Z")));
        assert!(!is_over(stored, i64::MAX, at("2024-01-19T00:00:00Z")));
    }

    #[test]
    fn a_lifecycle_that_cannot_be_carried_out_is_refused() {
        let refused = |rule: &str| {
            let rule = rule.replace('\'', "\"");
            let text = format!(r#"{{"Rules":[{{"Status":"Enabled",{rule}}}]}}"#);
            check(&Json::parse(&text).unwrap_or_default()).err().map(|error| error.code)
        };
        assert_eq!(refused("'Filter':{'Prefix':''},'Expiration':{'Days':1}"), None);
        assert_eq!(refused("'Prefix':'a','Expiration':{'Date':'2030-01-01T00:00:00Z'}"), None);
        let newer = "'Filter':{},'NoncurrentVersionExpiration':{'NoncurrentDays':1,'NewerNoncurrentVersions':2}";
        assert_eq!(refused(newer), None);
        for (rule, code) in [
            ("'Filter':{'Prefix':''}", "InvalidRequest"),
            ("'Filter':{},'Expiration':{'Days':0}", "InvalidArgument"),
            ("'Filter':{},'Expiration':{'Date':'2030-01-01T01:00:00Z'}", "InvalidArgument"),
            (
                "'Filter':{},'Expiration':{'Days':1,'ExpiredObjectDeleteMarker':true}",
                "MalformedXML",
            ),
            ("'Filter':{},'Transitions':[{'Days':1}]", "NotImplemented"),
            (
                "'Filter':{'Prefix':'a','Tag':{'Key':'k','Value':'v'}},'Expiration':{'Days':1}",
                "MalformedXML",
            ),
        ] {
            assert_eq!(refused(rule).as_deref(), Some(code), "{rule}");
        }
    }
}
