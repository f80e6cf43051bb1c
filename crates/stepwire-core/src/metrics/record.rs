//! What is durable about metrics.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use crate::read::{Key, Range};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 1;

/// What identifies a metric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MetricId {
    /// `Namespace`.
    pub namespace: Arc<str>,
    /// `MetricName`.
    pub name: Arc<str>,
    /// Names and values, in order of name: the order in which they are given says nothing.
    pub dimensions: Vec<(Arc<str>, Arc<str>)>,
}

/// A metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricRecord {
    /// Unique among metrics of all times.
    pub number: u64,
    /// Which.
    pub id: Arc<MetricId>,
    /// Begin of the oldest minute that is stored, or of one before it.
    pub oldest: Timestamp,
    /// Begin of the newest minute that something was put into.
    pub newest: Timestamp,
    /// As `oldest`, of the seconds that are stored.
    pub oldest_second: Option<Timestamp>,
}

impl MetricRecord {
    /// From when on points may be stored.
    pub(super) fn oldest(&self) -> impl Iterator<Item = (Grain, Timestamp)> + use<> {
        let minutes = [(Grain::Minute, self.oldest)].into_iter();
        minutes.chain(self.oldest_second.map(|at| (Grain::Second, at)))
    }
}

/// How long a stretch of time the points are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Grain {
    /// Kept for [`Grain::kept_ms`]: three hours, as on AWS.
    Second = 1,
    /// Kept for as long as the quota `metric-retention-seconds` says.
    Minute = 2,
}

impl Grain {
    /// Its length.
    pub fn ms(self) -> i64 {
        match self {
            Grain::Second => 1_000,
            Grain::Minute => 60_000,
        }
    }

    /// The begin of the stretch that `at` is in.
    pub fn begin(self, at: Timestamp) -> Timestamp {
        floor(at, self.ms())
    }

    /// How long its points are kept at least, when minutes are kept for `retention_seconds`.
    pub fn kept_ms(self, retention_seconds: u64) -> i64 {
        match self {
            Grain::Second => 3 * 3_600_000,
            Grain::Minute => {
                i64::try_from(retention_seconds.saturating_mul(1_000)).unwrap_or(i64::MAX)
            }
        }
    }
}

/// The latest multiple of `ms` that is not after `at`.
pub(crate) fn floor(at: Timestamp, ms: i64) -> Timestamp {
    Timestamp(at.0 - at.0.rem_euclid(ms))
}

/// Where a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The metric's number.
    pub metric: u64,
    /// For how long a stretch of time it is.
    pub grain: Grain,
    /// Begin of that.
    pub at: Timestamp,
    /// What is counted.
    pub unit: Unit,
}

/// What was put into a metric in a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// How many values.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub minimum: f64,
    /// The largest.
    pub maximum: f64,
}

impl Point {
    /// `count` times the same value.
    pub fn of(value: f64, count: f64) -> Point {
        Point { count, sum: value * count, minimum: value, maximum: value }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Point) -> Point {
        Point {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            minimum: self.minimum.min(other.minimum),
            maximum: self.maximum.max(other.maximum),
        }
    }
}

macro_rules! units {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        /// What a value counts, as CloudWatch names it. Never renumber.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "as in the API")]
        pub enum Unit {
            $($name = $number,)*
        }

        impl Unit {
            /// Every unit.
            pub const ALL: &'static [Unit] = &[$(Unit::$name,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Unit::$name => $text,)*
                }
            }
        }
    };
}

units! {
    None = 0, "None";
    Seconds = 1, "Seconds";
    Microseconds = 2, "Microseconds";
    Milliseconds = 3, "Milliseconds";
    Bytes = 4, "Bytes";
    Kilobytes = 5, "Kilobytes";
    Megabytes = 6, "Megabytes";
    Gigabytes = 7, "Gigabytes";
    Terabytes = 8, "Terabytes";
    Bits = 9, "Bits";
    Kilobits = 10, "Kilobits";
    Megabits = 11, "Megabits";
    Gigabits = 12, "Gigabits";
    Terabits = 13, "Terabits";
    Percent = 14, "Percent";
    Count = 15, "Count";
    BytesSecond = 16, "Bytes/Second";
    KilobytesSecond = 17, "Kilobytes/Second";
    MegabytesSecond = 18, "Megabytes/Second";
    GigabytesSecond = 19, "Gigabytes/Second";
    TerabytesSecond = 20, "Terabytes/Second";
    BitsSecond = 21, "Bits/Second";
    KilobitsSecond = 22, "Kilobits/Second";
    MegabitsSecond = 23, "Megabits/Second";
    GigabitsSecond = 24, "Gigabits/Second";
    TerabitsSecond = 25, "Terabits/Second";
    CountSecond = 26, "Count/Second";
}

impl Unit {
    /// The unit of this name.
    pub fn named(name: &str) -> Option<Unit> {
        Unit::ALL.iter().copied().find(|unit| unit.name() == name)
    }
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Numbers of metrics go on here.
    Next(u64),
    /// A metric as it now is, or gone.
    Metric(Arc<MetricId>, Option<Arc<MetricRecord>>),
    /// A point as it now is, or gone.
    Point(Place, Option<Point>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Next(next) => (counter_key(), Some(encode(FORMAT, next))),
            Write::Metric(id, record) => {
                (metric_key(id), record.as_deref().map(|record| encode(FORMAT, record)))
            }
            Write::Point(place, point) => {
                (place.key(), point.as_ref().map(|point| encode(FORMAT, point)))
            }
        }
    }

    pub(super) fn load(key: &[u8], value: &[u8]) -> Result<Write, Corrupt> {
        if key == counter_key() {
            return Ok(Write::Next(decode(FORMAT, key, value)?));
        }
        let record = metric(key, value)?;
        Ok(Write::Metric(Arc::clone(&record.id), Some(Arc::new(record))))
    }
}

/// Namespaces are not empty, so it comes first.
fn counter_key() -> Key {
    KeyBuilder::new(Space::Metric).text("").build()
}

pub(super) fn metric_key(id: &MetricId) -> Key {
    let key = KeyBuilder::new(Space::Metric).text(&id.namespace).text(&id.name);
    let dimensions = id.dimensions.iter();
    dimensions.fold(key, |key, (name, value)| key.text(name).text(value)).build()
}

/// The metrics of a namespace, of this name if there is one; without a namespace all.
pub(super) fn metrics(namespace: Option<&str>, name: Option<&str>) -> Range {
    let key = KeyBuilder::new(Space::Metric);
    match (namespace, name) {
        (None, _) => {
            let from = [counter_key().as_slice(), &[0]].concat();
            Range { from, ..Range::prefix(&key.build()) }
        }
        (Some(namespace), None) => Range::prefix(&key.text(namespace).build()),
        (Some(namespace), Some(name)) => Range::prefix(&key.text(namespace).text(name).build()),
    }
}

pub(super) fn metric(key: &[u8], value: &[u8]) -> Result<MetricRecord, Corrupt> {
    decode(FORMAT, key, value)
}

impl Place {
    pub(super) fn key(&self) -> Key {
        let unit = [self.unit as u8];
        start(self.metric, self.grain, self.at).bytes(&unit).build()
    }

    pub(super) fn read(key: &[u8]) -> Option<Place> {
        let (metric, rest) = key.get(1..)?.split_first_chunk()?;
        let (grain, rest) = rest.split_first()?;
        let (at, unit) = rest.split_first_chunk()?;
        let [unit] = unit else { return None };
        Some(Place {
            metric: u64::from_be_bytes(*metric),
            grain: [Grain::Second, Grain::Minute].into_iter().find(|it| *it as u8 == *grain)?,
            at: Timestamp(i64::try_from(u64::from_be_bytes(*at)).ok()?),
            unit: Unit::ALL.iter().copied().find(|it| *it as u8 == *unit)?,
        })
    }
}

fn start(metric: u64, grain: Grain, at: Timestamp) -> KeyBuilder {
    let at = u64::try_from(at.0).unwrap_or(0);
    KeyBuilder::new(Space::MetricPoint).number(metric).bytes(&[grain as u8]).number(at)
}

/// The points of a metric from `from` on and before `to`.
pub(super) fn points(metric: u64, grain: Grain, from: Timestamp, to: Timestamp) -> Range {
    let key = |at| start(metric, grain, at).build();
    Range { from: key(from), to: key(to), reverse: false, limit: usize::MAX }
}

pub(super) fn point(key: &[u8], value: &[u8]) -> Result<(Place, Point), Corrupt> {
    let wrong = || Corrupt { key: key.to_vec(), why: "it is no key of a data point".to_owned() };
    Ok((Place::read(key).ok_or_else(wrong)?, decode(FORMAT, key, value)?))
}
