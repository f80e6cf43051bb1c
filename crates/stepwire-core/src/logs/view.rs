//! Requests that only read logs, answered from committed records.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::call::{no_group, no_stream};
use super::filters::{Family, FilterRecord, Purpose};
use super::pattern::Pattern;
use super::record::{self, Place};
use super::request::{INVALID, Page, Span};
use super::{EventRecord, GroupRecord, Request, StreamRecord};
use crate::error::ApiError;
use crate::read::{Range, Read, after_prefix};
use crate::record::Corrupt;
use crate::settings::Settings;

/// Most bytes of messages in one answer, as on AWS.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Most events that one FilterLogEvents looks at; its answer then has a token to go on with.
const LOOKED_AT_MAX: usize = 10_000;

type Members = Vec<(&'static str, Json)>;

/// The answer to a request that reads.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::DescribeGroups { prefix, part, page } => {
            describe_groups(prefix.as_deref(), part.as_deref(), page, read, settings)
        }
        Request::DescribeStreams { group, prefix, by_time, descending, page } => {
            let group = stored(group, read)?;
            let prefix = prefix.as_deref().unwrap_or_default();
            let order = Order { by_time: *by_time, descending: *descending };
            describe_streams(&group, prefix, order, page, read, settings)
        }
        Request::Get { group, stream, span, from_head, page } => {
            let group = stored(group, read)?;
            get_events(&group, stream, *span, *from_head, page, read)
        }
        Request::Filter { group, streams, prefix, span, pattern, page } => {
            let group = stored(group, read)?;
            let streams = chosen(&group, streams.as_deref(), prefix.as_deref(), read)?;
            filter_events(&group, streams, *span, &|text| pattern.fits(text), page, read)
        }
        Request::ListTags(group) => {
            let tags = stored(group, read)?.tags;
            let tags = tags.into_iter().map(|(key, value)| (key, Json::String(value)));
            Ok(Json::object([("tags", Json::Object(Arc::new(tags.collect())))]))
        }
        Request::TestPattern(pattern, messages) => Ok(tested(pattern, messages)),
        Request::DescribeFilters { group, family, prefix, metric, page } => {
            let groups = match group {
                Some(group) => vec![stored(group, read)?],
                None => groups(read)?,
            };
            let wanted = |filter: &FilterRecord| {
                filter.name.starts_with(&**prefix)
                    && metric.as_ref().is_none_or(|(namespace, name)| match &filter.purpose {
                        Purpose::Metric(made) => {
                            made.namespace == *namespace && made.metric == *name
                        }
                        Purpose::Subscription { .. } => false,
                    })
            };
            describe_filters(&groups, *family, &wanted, page, read)
        }
        Request::CreateGroup(..)
        | Request::DeleteGroup(_)
        | Request::CreateStream(..)
        | Request::DeleteStream(..)
        | Request::Put { .. }
        | Request::Retention(..)
        | Request::Tag(..)
        | Request::PutFilter { .. }
        | Request::DeleteFilter(..)
        | Request::Untag(..) => Err(ApiError::new(INVALID, "this request changes something")),
    }
}

fn internal(corrupt: Corrupt) -> ApiError {
    ApiError::new("InternalFailure", corrupt.to_string())
}

fn bad_token() -> ApiError {
    ApiError::new(INVALID, "The specified nextToken is invalid.")
}

fn stored(name: &str, read: &dyn Read) -> Result<GroupRecord, ApiError> {
    let key = record::group_key(name);
    let value = read.get(&key).ok_or_else(no_group)?;
    record::group(&key, &value).map_err(internal)
}

fn streams(group: u64, read: &dyn Read) -> Result<Vec<(u64, StreamRecord)>, ApiError> {
    let all = read.range(&record::streams(group));
    all.iter()
        .map(|(key, value)| record::stream(key, value))
        .collect::<Result<_, _>>()
        .map_err(internal)
}

/// The streams of a group that a request wants. Those that it names must be there.
fn chosen(
    group: &GroupRecord,
    names: Option<&[Arc<str>]>,
    prefix: Option<&str>,
    read: &dyn Read,
) -> Result<Vec<(u64, StreamRecord)>, ApiError> {
    let mut all = streams(group.number, read)?;
    let there = |name: &Arc<str>| all.iter().any(|(_, stream)| stream.name == *name);
    if !names.unwrap_or_default().iter().all(there) {
        return Err(no_stream());
    }
    all.retain(|(_, stream)| {
        names.is_none_or(|names| names.contains(&stream.name))
            && prefix.is_none_or(|prefix| stream.name.starts_with(prefix))
    });
    Ok(all)
}

fn millis(at: Timestamp) -> Json {
    at.0.into()
}

/// A page token that shows nothing of what it holds.
fn token(place: &str) -> Json {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(place).into()
}

fn place(token: &str) -> Result<String, ApiError> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token);
    bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(bad_token)
}

/// In order of name.
fn describe_groups(
    prefix: Option<&str>,
    part: Option<&str>,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let mut range = record::groups();
    if let Some(token) = &page.token {
        range.from = after_prefix(&record::group_key(&place(token)?));
    }
    let mut found = Vec::new();
    for (key, value) in read.range(&range) {
        let group = record::group(&key, &value).map_err(internal)?;
        let wanted = prefix.is_none_or(|prefix| group.name.starts_with(prefix))
            && part.is_none_or(|part| group.name.contains(part));
        if wanted {
            found.push(group);
        }
    }
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|last| token(&last.name));
    let mut items = Vec::new();
    for group in &found {
        let bytes: u64 = streams(group.number, read)?.iter().map(|(_, stream)| stream.bytes).sum();
        let arn = settings.arn("logs", &format!("log-group:{}", group.name));
        let metrics = read.range(&record::filters(group.number, Family::Metric)).len() as i64;
        let mut members: Members = vec![
            ("logGroupName", Json::String(Arc::clone(&group.name))),
            ("creationTime", millis(group.created)),
            ("metricFilterCount", metrics.into()),
            ("arn", format!("{arn}:*").into()),
            ("storedBytes", i64::try_from(bytes).unwrap_or(i64::MAX).into()),
            ("logGroupClass", "STANDARD".into()),
            ("logGroupArn", arn.into()),
        ];
        let days = group.retention_days;
        members.extend(days.map(|days| ("retentionInDays", i64::from(days).into())));
        items.push(Json::object(members));
    }
    Ok(listed("logGroups", items, next))
}

fn listed(name: &'static str, items: Vec<Json>, next: Option<Json>) -> Json {
    let mut members = vec![(name, Json::array(items))];
    members.extend(next.map(|token| ("nextToken", token)));
    Json::object(members)
}

fn groups(read: &dyn Read) -> Result<Vec<GroupRecord>, ApiError> {
    let all = read.range(&record::groups()).into_iter();
    all.map(|(key, value)| record::group(&key, &value).map_err(internal)).collect()
}

/// In order of group, then of name.
fn describe_filters(
    groups: &[GroupRecord],
    family: Family,
    wanted: &dyn Fn(&FilterRecord) -> bool,
    page: &Page,
    read: &dyn Read,
) -> Result<Json, ApiError> {
    let mut found = Vec::new();
    for group in groups {
        for (key, value) in read.range(&record::filters(group.number, family)) {
            let filter = record::filter(&key, &value).map_err(internal)?;
            if wanted(&filter) {
                found.push(shown_filter(group, &filter));
            }
        }
    }
    let from: usize = match &page.token {
        Some(token) => place(token)?.parse().map_err(|_| bad_token())?,
        None => 0,
    };
    let to = from.saturating_add(page.limit);
    let next = (to < found.len()).then(|| token(&to.to_string()));
    let items = found.into_iter().skip(from).take(page.limit).collect();
    let list = match family {
        Family::Subscription => "subscriptionFilters",
        Family::Metric => "metricFilters",
    };
    Ok(listed(list, items, next))
}

fn shown_filter(group: &GroupRecord, filter: &FilterRecord) -> Json {
    let text = |text: &Arc<str>| Json::String(Arc::clone(text));
    let mut members: Members = vec![
        ("filterName", text(&filter.name)),
        ("logGroupName", text(&group.name)),
        ("filterPattern", text(&filter.pattern)),
        ("creationTime", millis(filter.created)),
        ("applyOnTransformedLogs", false.into()),
    ];
    match &filter.purpose {
        Purpose::Subscription { destination, role, distribution } => {
            members.push(("destinationArn", text(destination)));
            members.extend(role.as_ref().map(|role| ("roleArn", text(role))));
            members.push(("distribution", text(distribution)));
        }
        Purpose::Metric(made) => {
            let mut shown: Members = vec![
                ("metricName", text(&made.metric)),
                ("metricNamespace", text(&made.namespace)),
                ("metricValue", text(&made.value)),
            ];
            let default = made.default.and_then(Json::from_f64);
            shown.extend(default.map(|value| ("defaultValue", value)));
            shown.extend(made.unit.as_ref().map(|unit| ("unit", text(unit))));
            if !made.dimensions.is_empty() {
                let all = made.dimensions.iter().map(|(name, of)| (Arc::clone(name), text(of)));
                shown.push(("dimensions", Json::object(all)));
            }
            members.push(("metricTransformations", Json::array([Json::object(shown)])));
        }
    }
    Json::object(members)
}

#[derive(Debug, Clone, Copy)]
struct Order {
    by_time: bool,
    descending: bool,
}

fn describe_streams(
    group: &GroupRecord,
    prefix: &str,
    order: Order,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let mut all = streams(group.number, read)?;
    all.retain(|(_, stream)| stream.name.starts_with(prefix));
    let rank = |stream: &StreamRecord| order.by_time.then_some(stream.last).flatten();
    all.sort_by(|(_, one), (_, two)| (rank(one), &one.name).cmp(&(rank(two), &two.name)));
    if order.descending {
        all.reverse();
    }
    let from: usize = match &page.token {
        Some(token) => place(token)?.parse().map_err(|_| bad_token())?,
        None => 0,
    };
    let next = from.saturating_add(page.limit);
    let next = (next < all.len()).then(|| token(&next.to_string()));
    let items = all.iter().skip(from).take(page.limit).map(|(_, stream)| {
        let resource = format!("log-group:{}:log-stream:{}", group.name, stream.name);
        let mut members: Members = vec![
            ("logStreamName", Json::String(Arc::clone(&stream.name))),
            ("creationTime", millis(stream.created)),
            ("arn", settings.arn("logs", &resource).into()),
            ("storedBytes", 0.into()),
            ("uploadSequenceToken", format!("{:056}", stream.next).into()),
        ];
        members.extend(stream.first.map(|at| ("firstEventTimestamp", millis(at))));
        members.extend(stream.last.map(|at| ("lastEventTimestamp", millis(at))));
        members.extend(stream.ingested.map(|at| ("lastIngestionTime", millis(at))));
        Json::object(members)
    });
    Ok(listed("logStreams", items.collect(), next))
}

/// The events of a stream in a span of time.
fn within(group: u64, stream: u64, span: Span) -> Range {
    let key = |at| Place { group, stream, at, number: 0 }.key();
    let all = record::events(group, stream);
    let to = if span.to.0 == i64::MAX { all.to.clone() } else { key(span.to) };
    Range { from: key(span.from), to, ..all }
}

fn shown(place: Place, event: &EventRecord) -> Members {
    vec![
        ("timestamp", millis(place.at)),
        ("message", Json::String(Arc::clone(&event.message))),
        ("ingestionTime", millis(event.ingested)),
    ]
}

/// Always oldest first; a token says from where on or back to where, so a reader can wait at the end.
fn get_events(
    group: &GroupRecord,
    name: &Arc<str>,
    span: Span,
    from_head: bool,
    page: &Page,
    read: &dyn Read,
) -> Result<Json, ApiError> {
    let all = streams(group.number, read)?;
    let stream = all.into_iter().find(|(_, stream)| stream.name == *name);
    let (number, _) = stream.ok_or_else(no_stream)?;
    let range = within(group.number, number, span);
    let (forwards, edge) = match &page.token {
        None => (from_head, None),
        Some(token) => {
            let (way, edge) = token.split_at_checked(2).ok_or_else(bad_token)?;
            let (at, of) = edge.split_once('.').ok_or_else(bad_token)?;
            let at = at.parse().map(Timestamp).map_err(|_| bad_token())?;
            let of = of.parse().map_err(|_| bad_token())?;
            let edge = Place { group: group.number, stream: number, at, number: of }.key();
            match way {
                "f/" => (true, Some(edge)),
                "b/" => (false, Some(edge)),
                _ => return Err(bad_token()),
            }
        }
    };
    let range = match (forwards, &edge) {
        (true, Some(edge)) => Range { from: edge.clone().max(range.from), ..range },
        (false, Some(edge)) => Range { to: edge.clone().min(range.to), ..range },
        (_, None) => range,
    };
    let range = if forwards { range } else { range.reversed() };
    let mut found = Vec::new();
    let mut bytes = 0;
    for (key, value) in read.range(&range.clone().limit(page.limit)) {
        let (place, event) = record::event(&key, &value).map_err(internal)?;
        bytes += event.message.len();
        if bytes > ANSWER_BYTES_MAX && !found.is_empty() {
            break;
        }
        found.push((place, event));
    }
    if !forwards {
        found.reverse();
    }
    let same = page.token.as_deref().map(|token| token.get(2..).unwrap_or_default().to_owned());
    let edge = |place: Place, after: u64| format!("{}.{}", place.at.0, place.number + after);
    let start = format!("{}.0", span.from.0);
    let first = found.first().map_or_else(|| same.clone(), |(place, _)| Some(edge(*place, 0)));
    let last = found.last().map_or(same, |(place, _)| Some(edge(*place, 1)));
    let (first, last) = (first.unwrap_or_else(|| start.clone()), last.unwrap_or(start));
    Ok(Json::object([
        (
            "events",
            Json::array(found.iter().map(|(place, event)| Json::object(shown(*place, event)))),
        ),
        ("nextForwardToken", format!("f/{last}").into()),
        ("nextBackwardToken", format!("b/{first}").into()),
    ]))
}

/// Events read from a stream at a time.
const RUN: usize = 32;

/// The events of a stream, as they are wanted.
struct Cursor {
    name: Arc<str>,
    rest: Range,
    read: VecDeque<(Place, EventRecord)>,
}

impl Cursor {
    /// Where its next event is.
    fn head(&mut self, read: &dyn Read) -> Result<Option<Place>, ApiError> {
        if self.read.is_empty() {
            for (key, value) in read.range(&self.rest.clone().limit(RUN)) {
                self.read.push_back(record::event(&key, &value).map_err(internal)?);
                self.rest.from = [key.as_slice(), &[0]].concat();
            }
        }
        Ok(self.read.front().map(|(place, _)| *place))
    }
}

/// How events of all streams come: by time, then by stream.
fn order(place: Place) -> (Timestamp, u64, u64) {
    (place.at, place.stream, place.number)
}

/// Oldest event first, whatever its stream; the token says where to go on.
fn filter_events(
    group: &GroupRecord,
    streams: Vec<(u64, StreamRecord)>,
    span: Span,
    fits: &dyn Fn(&str) -> bool,
    page: &Page,
    read: &dyn Read,
) -> Result<Json, ApiError> {
    let start = match &page.token {
        Some(token) => {
            let place = place(token)?;
            let mut parts = place.split('.').map(|part| part.parse::<u64>().ok());
            let mut part = || parts.next().flatten().ok_or_else(bad_token);
            let (at, stream, number) = (part()?, part()?, part()?);
            let at = Timestamp(i64::try_from(at).map_err(|_| bad_token())?);
            Some(Place { group: group.number, stream, at, number })
        }
        None => None,
    };
    let mut cursors = BTreeMap::new();
    for (number, stream) in streams {
        let outside = stream.last.is_none_or(|last| last < span.from)
            || stream.first.is_some_and(|first| first >= span.to);
        if outside {
            continue;
        }
        let mut rest = within(group.number, number, span);
        if let Some(start) = start {
            // Of the moment where the page before ended, streams with smaller numbers are done.
            let at = if number < start.stream { start.at.plus_ms(1) } else { start.at };
            let of = if number == start.stream { start.number } else { 0 };
            let from = Place { group: group.number, stream: number, at, number: of };
            rest.from = from.key().max(rest.from);
        }
        let mut cursor = Cursor { name: stream.name, rest, read: VecDeque::new() };
        if let Some(head) = cursor.head(read)? {
            cursors.insert(order(head), cursor);
        }
    }
    let (mut items, mut looked_at, mut bytes) = (Vec::new(), 0, 0);
    while let Some(((at, stream, number), mut cursor)) = cursors.pop_first() {
        let full = items.len() == page.limit || bytes > ANSWER_BYTES_MAX;
        if full || looked_at == LOOKED_AT_MAX {
            let at = u64::try_from(at.0).unwrap_or(0);
            return Ok(filtered(items, Some(token(&format!("{at}.{stream}.{number}")))));
        }
        looked_at += 1;
        if let Some((place, event)) =
            cursor.read.pop_front().filter(|(_, event)| fits(&event.message))
        {
            bytes += event.message.len();
            let mut members = shown(place, &event);
            members.push(("logStreamName", Json::String(Arc::clone(&cursor.name))));
            let id = format!("{:020}{:010}{:010}", place.at.0, stream, place.number);
            members.push(("eventId", id.into()));
            items.push(Json::object(members));
        }
        if let Some(head) = cursor.head(read)? {
            cursors.insert(order(head), cursor);
        }
    }
    Ok(filtered(items, None))
}

/// Which of some messages a pattern fits, and what it finds in them.
fn tested(pattern: &Pattern, messages: &[Arc<str>]) -> Json {
    let matches = messages.iter().zip(1_i64..).filter(|(message, _)| pattern.fits(message));
    let matches = matches.map(|(message, number)| {
        let found = pattern.extracted(message).into_iter();
        let found = found.map(|(name, value)| (Arc::<str>::from(name), Json::from(value)));
        Json::object([
            ("eventNumber", number.into()),
            ("eventMessage", Json::String(Arc::clone(message))),
            ("extractedValues", Json::object(found)),
        ])
    });
    Json::object([("matches", Json::array(matches))])
}

fn filtered(items: Vec<Json>, next: Option<Json>) -> Json {
    let mut members = vec![("events", Json::array(items)), ("searchedLogStreams", Json::array([]))];
    members.extend(next.map(|token| ("nextToken", token)));
    Json::object(members)
}
