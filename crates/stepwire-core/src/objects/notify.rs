//! Notifications: what is told when objects come and go.
//!
//! Source: Amazon S3 user guide, "Amazon S3 Event Notifications", "Event message structure"; Amazon
//! EventBridge, "Amazon S3 events".

use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use stepwire_asl::json::Object as Members;
use stepwire_asl::{Json, Timestamp};

use super::settings::{self, Kind};
use super::{Name, Objects, Write, hex};
use crate::error::ApiError;
use crate::events::{self, Entry};
use crate::params::Params;
use crate::read::Read;
use crate::settings::Settings;

/// Most configurations of a bucket (AWS: 100).
const CONFIGURATIONS_MAX: usize = 100;
/// What can be told, without `s3:`. Of what never happens here nobody can ask to be told.
const EVENTS: [&str; 9] = [
    "ObjectCreated:Put",
    "ObjectCreated:Copy",
    "ObjectCreated:CompleteMultipartUpload",
    "ObjectRemoved:Delete",
    "ObjectRemoved:DeleteMarkerCreated",
    "ObjectTagging:Put",
    "ObjectTagging:Delete",
    "LifecycleExpiration:Delete",
    "LifecycleExpiration:DeleteMarkerCreated",
];

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Put,
    Copied,
    Completed,
    Deleted,
    MarkerCreated,
    Tagged,
    Untagged,
    Expired,
    ExpiredToMarker,
}

impl What {
    fn event(self) -> &'static str {
        EVENTS[self as usize]
    }

    /// What the default event bus is told: the detail type, the reason, and what kind of deletion
    /// it was.
    fn told(self) -> (&'static str, Option<&'static str>, Option<&'static str>) {
        let (gone, marked) = (Some("Permanently Deleted"), Some("Delete Marker Created"));
        match self {
            What::Put => ("Object Created", Some("PutObject"), None),
            What::Copied => ("Object Created", Some("CopyObject"), None),
            What::Completed => ("Object Created", Some("CompleteMultipartUpload"), None),
            What::Deleted => ("Object Deleted", Some("DeleteObject"), gone),
            What::MarkerCreated => ("Object Deleted", Some("DeleteObject"), marked),
            What::Tagged => ("Object Tags Added", None, None),
            What::Untagged => ("Object Tags Deleted", None, None),
            What::Expired => ("Object Deleted", Some("Lifecycle Expiration"), gone),
            What::ExpiredToMarker => ("Object Deleted", Some("Lifecycle Expiration"), marked),
        }
    }
}

/// Something that happened in this step and may have to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Happened {
    pub(super) name: Name,
    pub(super) what: What,
    pub(super) size: Option<u64>,
    pub(super) etag: Option<Arc<str>>,
    pub(super) version: Option<Arc<str>>,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Destination {
    /// ARN of a queue.
    Queue(Arc<str>),
    /// ARN of a topic.
    Topic(Arc<str>),
    /// ARN of a function.
    Function(Arc<str>),
    /// The default event bus.
    Bus(Box<Entry>),
}

/// Something that is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notice {
    pub(crate) to: Destination,
    /// JSON text.
    pub(crate) body: Arc<str>,
}

/// A configuration: who is told of what.
struct Rule {
    id: Arc<str>,
    to: Destination,
    /// As they were given, without `s3:`.
    events: Vec<Arc<str>>,
    prefix: Arc<str>,
    suffix: Arc<str>,
}

/// Makes a destination of an ARN.
type To = fn(Arc<str>) -> Destination;

/// The lists of a configuration, and the member of an entry that says whom.
const LISTS: [(&str, &str, To); 3] = [
    ("TopicConfigurations", "TopicArn", Destination::Topic),
    ("QueueConfigurations", "QueueArn", Destination::Queue),
    ("LambdaFunctionConfigurations", "LambdaFunctionArn", Destination::Function),
];
/// The member that has everything told to the default event bus.
const BRIDGE: &str = "EventBridgeConfiguration";

impl Rule {
    fn all(document: &Json) -> Vec<Rule> {
        let mut rules = Vec::new();
        for (list, member, to) in LISTS {
            let entries = document.member(list).and_then(Json::as_array).unwrap_or_default();
            rules.extend(entries.iter().map(|entry| Rule::read(entry, member, to)));
        }
        rules
    }

    fn read(entry: &Json, member: &str, to: fn(Arc<str>) -> Destination) -> Rule {
        let text = |name: &str| entry.member(name).and_then(Json::as_str).unwrap_or_default();
        let events = entry.member("Events").and_then(Json::as_array).unwrap_or_default();
        let events = events.iter().filter_map(Json::as_str);
        let part = |wanted: &str| {
            let rules = filter_rules(entry).iter();
            let mut found = rules.filter(|rule| name_of(rule).eq_ignore_ascii_case(wanted));
            let value = found.next().and_then(|rule| rule.member("Value")?.as_str());
            Arc::<str>::from(value.unwrap_or_default())
        };
        Rule {
            id: text("Id").into(),
            to: to(text(member).into()),
            events: events.map(|event| event.trim_start_matches("s3:").into()).collect(),
            prefix: part("prefix"),
            suffix: part("suffix"),
        }
    }

    fn wants(&self, happened: &Happened) -> bool {
        let (event, key) = (happened.what.event(), &*happened.name.key);
        self.events.iter().any(|wanted| covers(wanted, event))
            && key.starts_with(&*self.prefix)
            && key.ends_with(&*self.suffix)
    }

    /// Whether one event could be for both.
    fn overlaps(&self, other: &Rule) -> bool {
        let alike = |a: &Arc<str>, b: &Arc<str>| covers(a, b) || covers(b, a);
        let (prefix, suffix) = (&*self.prefix, &*self.suffix);
        self.events.iter().any(|event| other.events.iter().any(|one| alike(event, one)))
            && (prefix.starts_with(&*other.prefix) || other.prefix.starts_with(prefix))
            && (suffix.ends_with(&*other.suffix) || other.suffix.ends_with(suffix))
    }
}

/// Whether `wanted`, which may end in `*`, is this event or one of its family.
fn covers(wanted: &str, event: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(family) => event.starts_with(family),
        None => wanted == event,
    }
}

fn filter_rules(entry: &Json) -> &[Json] {
    let key = entry.member("Filter").and_then(|filter| filter.member("Key"));
    key.and_then(|key| key.member("FilterRules")?.as_array()).unwrap_or_default()
}

fn name_of(rule: &Json) -> &str {
    rule.member("Name").and_then(Json::as_str).unwrap_or_default()
}

/// The configuration to keep, if it is one that can be carried out: those without an id get one.
pub(super) fn check(document: &Json) -> Result<String, ApiError> {
    let params = Params::new(document, "MalformedXML");
    let lists = LISTS.map(|(list, ..)| list);
    params.only(&[&lists[..], &[BRIDGE]].concat())?;
    let mut kept = Members::new();
    let mut ids: Vec<Arc<str>> = Vec::new();
    for (list, member, _) in LISTS {
        let Some(entries) = document.member(list) else { continue };
        let entries = entries.as_array().ok_or_else(settings::malformed)?;
        let mut whole = Vec::new();
        for entry in entries {
            check_entry(entry, member)?;
            let given = entry.member("Id").and_then(Json::as_str).filter(|id| !id.is_empty());
            let id = given.map_or_else(|| made_up(entry, ids.len()), Arc::from);
            if ids.contains(&id) {
                return Err(invalid(
                    "Same ID used for multiple configurations. IDs must be unique",
                ));
            }
            let mut members: Members = entry.as_object().cloned().unwrap_or_default();
            members.insert("Id".into(), Json::String(Arc::clone(&id)));
            ids.push(id);
            whole.push(Json::Object(Arc::new(members)));
        }
        if !whole.is_empty() {
            kept.insert(list.into(), Json::array(whole));
        }
    }
    if ids.len() > CONFIGURATIONS_MAX {
        return Err(invalid(&format!("a bucket has at most {CONFIGURATIONS_MAX} configurations")));
    }
    if document.member(BRIDGE).is_some() {
        kept.insert(BRIDGE.into(), super::nothing());
    }
    let kept = Json::Object(Arc::new(kept));
    let rules = Rule::all(&kept);
    for (at, rule) in rules.iter().enumerate() {
        if rules[..at].iter().any(|other| rule.overlaps(other)) {
            return Err(invalid(
                "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules \
                 if the prefixes are overlapping for the same event type.",
            ));
        }
    }
    Ok(kept.to_text())
}

fn check_entry(entry: &Json, member: &'static str) -> Result<(), ApiError> {
    let params = Params::new(entry, "MalformedXML");
    params.only(&["Id", member, "Events", "Filter"])?;
    let arn = params.optional_text(member)?.unwrap_or_default();
    if !arn.starts_with("arn:") {
        return Err(invalid("The ARN is not well formed"));
    }
    let events = entry.member("Events").and_then(Json::as_array).unwrap_or_default();
    if events.is_empty() {
        return Err(settings::malformed());
    }
    for event in events {
        let name = event.as_str().and_then(|event| event.strip_prefix("s3:")).unwrap_or_default();
        let families = ["ObjectCreated:*", "ObjectRemoved:*", "ObjectTagging:*"];
        let known = EVENTS.contains(&name)
            || families.contains(&name)
            || name == "LifecycleExpiration:*"
            // Objects do not come by HTML forms here: those who ask for all kinds are told of all.
            || name == "ObjectCreated:Post";
        if !known {
            let event = event.as_str().unwrap_or_default();
            let message = format!("The event '{event}' is not supported for notifications");
            return Err(invalid(&message));
        }
    }
    if let Some(filter) = params.get("Filter") {
        Params::new(filter, "MalformedXML").only(&["Key"])?;
    }
    let mut seen: Vec<String> = Vec::new();
    for rule in filter_rules(entry) {
        let name = name_of(rule).to_ascii_lowercase();
        if !["prefix", "suffix"].contains(&name.as_str()) {
            return Err(invalid("filter rule name must be either prefix or suffix"));
        }
        if seen.contains(&name) {
            return Err(invalid("Cannot specify more than one prefix/suffix rule in a filter."));
        }
        seen.push(name);
    }
    Ok(())
}

/// An id for a configuration that was given none.
fn made_up(entry: &Json, at: usize) -> Arc<str> {
    let text = format!("{at} {}", entry.to_text());
    hex(&Sha256::digest(text.as_bytes())[..16]).into()
}

fn invalid(message: &str) -> ApiError {
    ApiError::new("InvalidArgument", message)
}

/// Those whom a stored configuration names, event bus aside.
pub(crate) fn destinations(document: &str) -> Vec<Destination> {
    let document = Json::parse(document).unwrap_or_default();
    Rule::all(&document).into_iter().map(|rule| rule.to).collect()
}

/// What a queue or a topic is told once it is among a bucket's destinations.
pub(crate) fn test_event(bucket: &str, now: Timestamp) -> Arc<str> {
    Json::object([
        ("Service", Json::from("Amazon S3")),
        ("Event", "s3:TestEvent".into()),
        ("Time", now.rfc3339().into()),
        ("Bucket", bucket.into()),
        ("RequestId", request_id(now.0 as u64).into()),
        ("HostId", host_id(now.0 as u64).into()),
    ])
    .to_text()
    .into()
}

fn request_id(number: u64) -> String {
    format!("{number:016X}")
}

fn host_id(number: u64) -> String {
    hex(&Sha256::digest(number.to_be_bytes()))
}

impl Objects {
    /// Remembers what happened until [`Objects::notices`] is asked for, in the same step.
    pub(super) fn happens(&mut self, happened: Happened) {
        self.passing.happened.push(happened);
    }

    /// What is told of what has happened in this step. `read` must hold what is set on the buckets.
    pub(crate) fn notices(
        &mut self,
        now: Timestamp,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        for happened in std::mem::take(&mut self.passing.happened) {
            // One that cannot be read is told of wherever it is shown.
            let document = settings::get(&happened.name.bucket, Kind::Notification, read);
            let Ok(Some(document)) = document else { continue };
            let rules = Rule::all(&document).into_iter();
            let wanted: Vec<Rule> = rules.filter(|rule| rule.wants(&happened)).collect();
            let bridges = document.member(BRIDGE).is_some();
            if wanted.is_empty() && !bridges {
                continue;
            }
            // Later ones have larger numbers.
            let number = self.number(out);
            notices.extend(wanted.into_iter().map(|rule| {
                let body = happened.record(now, &rule.id, number, settings).to_text().into();
                Notice { to: rule.to, body }
            }));
            if bridges {
                let entry = Box::new(happened.entry(now, number, settings));
                notices.push(Notice { to: Destination::Bus(entry), body: "".into() });
            }
        }
        notices
    }
}

impl Happened {
    fn bucket_arn(&self) -> String {
        format!("arn:aws:s3:::{}", self.name.bucket)
    }

    /// What queues, topics and functions are told.
    fn record(&self, now: Timestamp, id: &Arc<str>, number: u64, settings: &Settings) -> Json {
        let who = || Json::object([("principalId", Json::String(Arc::clone(&settings.account)))]);
        let mut object = vec![("key", Json::from(encoded(&self.name.key)))];
        object.extend(self.size.map(|size| ("size", Json::from(size as i64))));
        object.extend(self.etag.clone().map(|etag| ("eTag", Json::String(etag))));
        object.extend(self.version.clone().map(|id| ("versionId", Json::String(id))));
        object.push(("sequencer", sequencer(number).into()));
        let bucket = Json::object([
            ("name", Json::String(Arc::clone(&self.name.bucket))),
            ("ownerIdentity", who()),
            ("arn", self.bucket_arn().into()),
        ]);
        let answered = Json::object([
            ("x-amz-request-id", Json::from(request_id(number))),
            ("x-amz-id-2", host_id(number).into()),
        ]);
        let record = Json::object([
            ("eventVersion", Json::from("2.1")),
            ("eventSource", "aws:s3".into()),
            ("awsRegion", Json::String(Arc::clone(&settings.region))),
            ("eventTime", now.rfc3339().into()),
            ("eventName", self.what.event().into()),
            ("userIdentity", who()),
            ("requestParameters", Json::object([("sourceIPAddress", Json::from("127.0.0.1"))])),
            ("responseElements", answered),
            (
                "s3",
                Json::object([
                    ("s3SchemaVersion", Json::from("1.0")),
                    ("configurationId", Json::String(Arc::clone(id))),
                    ("bucket", bucket),
                    ("object", Json::object(object)),
                ]),
            ),
        ]);
        Json::object([("Records", Json::array([record]))])
    }

    /// What the default event bus is told.
    fn entry(&self, now: Timestamp, number: u64, settings: &Settings) -> Entry {
        let (detail_type, reason, deletion) = self.what.told();
        let mut object = vec![("key", Json::String(Arc::clone(&self.name.key)))];
        object.extend(self.size.map(|size| ("size", Json::from(size as i64))));
        object.extend(self.etag.clone().map(|etag| ("etag", Json::String(etag))));
        object.extend(self.version.clone().map(|id| ("version-id", Json::String(id))));
        object.push(("sequencer", sequencer(number).into()));
        let bucket = Json::object([("name", Json::String(Arc::clone(&self.name.bucket)))]);
        let mut detail = vec![
            ("version", Json::from("0")),
            ("bucket", bucket),
            ("object", Json::object(object)),
            ("request-id", request_id(number).into()),
            ("requester", Json::String(Arc::clone(&settings.account))),
            ("source-ip-address", "127.0.0.1".into()),
        ];
        detail.extend(reason.map(|reason| ("reason", reason.into())));
        detail.extend(deletion.map(|kind| ("deletion-type", kind.into())));
        Entry {
            bus: events::DEFAULT.into(),
            source: "aws.s3".into(),
            detail_type: detail_type.into(),
            detail: Json::object(detail),
            resources: vec![self.bucket_arn().into()],
            time: Some(now),
        }
    }
}

fn sequencer(number: u64) -> String {
    format!("{number:018X}")
}

/// A key as events show it: as in a form.
fn encoded(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                text.push(byte as char);
            }
            b' ' => text.push('+'),
            other => {
                let _ = write!(text, "%{other:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(events: &str, rules: &str) -> String {
        format!(
            r#"{{"QueueArn":"arn:aws:sqs:r:1:q","Events":{events},"Filter":{{"Key":{{"FilterRules":{rules}}}}}}}"#
        )
    }

    fn checked(entries: &[String]) -> Result<String, String> {
        let text = format!(r#"{{"QueueConfigurations":[{}]}}"#, entries.join(","));
        let document = Json::parse(&text).map_err(|error| error.to_string())?;
        check(&document).map_err(|error| error.message)
    }

    #[test]
    fn an_event_is_for_those_whose_filter_and_kind_it_is() {
        let rules = r#"[{"Name":"Prefix","Value":"in/"},{"Name":"suffix","Value":".csv"}]"#;
        let kept = checked(&[queue(r#"["s3:ObjectCreated:*"]"#, rules)]);
        let kept = kept.and_then(|text| Json::parse(&text).map_err(|error| error.to_string()));
        let rules = Rule::all(&kept.unwrap_or_default());
        let wants = |key: &str, what| {
            let name = Name { bucket: "b".into(), key: key.into() };
            rules[0].wants(&Happened { name, what, size: None, etag: None, version: None })
        };
        assert!(wants("in/a.csv", What::Put) && wants("in/a.csv", What::Completed));
        assert!(!wants("in/a.csv", What::Deleted));
        assert!(!wants("in/a.txt", What::Put) && !wants("out/a.csv", What::Put));
    }

    #[test]
    fn what_cannot_be_carried_out_is_refused() {
        let all = r#"["s3:ObjectCreated:*"]"#;
        let prefix = |value: &str| format!(r#"[{{"Name":"prefix","Value":"{value}"}}]"#);
        let clash = checked(&[queue(all, &prefix("a")), queue(all, &prefix("ab"))]);
        assert!(clash.is_err_and(|why| why.starts_with("Configuration is ambiguously defined")));
        assert!(checked(&[queue(all, &prefix("a")), queue(all, &prefix("b"))]).is_ok());
        let other = queue(r#"["s3:ObjectRemoved:Delete"]"#, &prefix("ab"));
        assert!(checked(&[queue(all, &prefix("a")), other]).is_ok());
        let unknown = checked(&[queue(r#"["s3:ObjectRestore:Post"]"#, "[]")]);
        assert!(unknown.is_err_and(|why| why.contains("s3:ObjectRestore:Post")));
        let twice = r#"[{"Name":"prefix","Value":"a"},{"Name":"PREFIX","Value":"b"}]"#;
        assert!(checked(&[queue(all, twice)]).is_err());
    }

    #[test]
    fn keys_are_encoded_as_in_a_form() {
        assert_eq!(encoded("a b/c+d/\u{e9}.txt"), "a+b/c%2Bd/%C3%A9.txt");
    }
}
