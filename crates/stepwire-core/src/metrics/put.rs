//! PutMetricData: what is put becomes part of the point of its minute or second.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::members::{COMBINATION, INVALID, Members};
use super::record::{self, Grain, MetricId, MetricRecord, Place, Point, Unit, Write};
use super::{Metrics, Request};
use crate::error::ApiError;
use crate::read::{Read, Reads};
use crate::record::Corrupt;

/// Most samples of a request.
const SAMPLES_MAX: usize = 1_000;
/// Most different values of a sample.
const VALUES_MAX: usize = 150;
/// How far in the past a sample may be.
const PAST_MS_MAX: i64 = 14 * 24 * 3_600_000;
/// How far in the future.
const FUTURE_MS_MAX: i64 = 2 * 3_600_000;

const MEMBERS: &[&str] = &[
    "MetricName",
    "Dimensions",
    "Timestamp",
    "Value",
    "StatisticValues",
    "Values",
    "Counts",
    "Unit",
    "StorageResolution",
];

/// What is put into a metric at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric.
    pub metric: Arc<MetricId>,
    /// When; `None`: now.
    pub at: Option<Timestamp>,
    /// What is counted.
    pub unit: Unit,
    /// Seconds: it is kept for each second too.
    pub resolution: Grain,
    /// The values.
    pub point: Point,
}

/// The samples of a request's body.
pub(super) fn parse(body: &Json) -> Result<Vec<Sample>, ApiError> {
    let members = Members::of(body, &["Namespace", "MetricData"])?;
    let namespace = members.namespace()?.ok_or_else(|| members.missing("Namespace"))?;
    if namespace.starts_with("AWS/") {
        let why = "Namespaces that begin with `AWS/` are for AWS's services.";
        return Err(members.invalid("Namespace", why));
    }
    let data = members.structures("MetricData", SAMPLES_MAX, MEMBERS)?;
    if data.is_empty() {
        return Err(members.missing("MetricData"));
    }
    data.iter().map(|datum| sample(&namespace, datum)).collect()
}

fn sample(namespace: &Arc<str>, datum: &Members<'_>) -> Result<Sample, ApiError> {
    let resolution = match datum.optional_whole("StorageResolution", 1, i64::MAX)? {
        None | Some(60) => Grain::Minute,
        Some(1) => Grain::Second,
        Some(_) => return Err(datum.invalid("StorageResolution", "It must be 1 or 60.")),
    };
    Ok(Sample {
        metric: Arc::new(MetricId {
            namespace: Arc::clone(namespace),
            name: datum.name("MetricName", 255)?,
            dimensions: datum.dimensions()?,
        }),
        at: datum.optional_time("Timestamp")?,
        unit: datum.unit()?.unwrap_or(Unit::None),
        resolution,
        point: point(datum)?,
    })
}

fn point(datum: &Members<'_>) -> Result<Point, ApiError> {
    let given: Vec<&str> = ["Value", "Values", "StatisticValues"]
        .into_iter()
        .filter(|name| datum.get(name).is_some())
        .collect();
    match given.as_slice() {
        ["Value"] if datum.get("Counts").is_none() => Ok(Point::of(datum.number("Value")?, 1.0)),
        ["Values"] => values(datum),
        ["StatisticValues"] if datum.get("Counts").is_none() => statistics(datum),
        [] => Err(datum.missing("Value")),
        [first, rest @ ..] => {
            let (first, second) =
                (datum.place(first), datum.place(rest.first().unwrap_or(&"Counts")));
            let why = format!(
                "The parameters {first} and {second} are mutually exclusive and you have \
                 specified both."
            );
            Err(ApiError::new(COMBINATION, why))
        }
    }
}

fn values(datum: &Members<'_>) -> Result<Point, ApiError> {
    let values = datum.numbers("Values", VALUES_MAX)?;
    let counts = match datum.get("Counts") {
        None => vec![1.0; values.len()],
        Some(_) => datum.numbers("Counts", VALUES_MAX)?,
    };
    if counts.len() != values.len() {
        let (values, counts) = (datum.place("Values"), datum.place("Counts"));
        let why = format!("The parameters {values} and {counts} must be of the same size.");
        return Err(ApiError::new(INVALID, why));
    }
    if counts.iter().any(|count| *count <= 0.0) {
        return Err(datum.invalid("Counts", "Every count must be greater than 0."));
    }
    let points = values.iter().zip(&counts).map(|(value, count)| Point::of(*value, *count));
    points.reduce(Point::and).ok_or_else(|| datum.missing("Values"))
}

fn statistics(datum: &Members<'_>) -> Result<Point, ApiError> {
    let known = ["SampleCount", "Sum", "Minimum", "Maximum"];
    let set = datum.structure("StatisticValues", &known)?;
    let set = set.ok_or_else(|| datum.missing("StatisticValues"))?;
    let point = Point {
        count: set.number("SampleCount")?,
        sum: set.number("Sum")?,
        minimum: set.number("Minimum")?,
        maximum: set.number("Maximum")?,
    };
    if point.count <= 0.0 {
        return Err(set.invalid("SampleCount", "It must be greater than 0."));
    }
    if point.minimum > point.maximum {
        return Err(set.invalid("Minimum", "It must not be greater than the maximum."));
    }
    Ok(point)
}

impl Metrics {
    /// Takes samples: each metric is made or knows of its newest minute, and what has to be added to
    /// which point is told, for [`Metrics::add`] in the same commit. On `Err` nothing has changed.
    pub(crate) fn put(
        &mut self,
        now: Timestamp,
        samples: &[Sample],
        metrics_max: u64,
        out: &mut Vec<Write>,
    ) -> Result<BTreeMap<Place, Point>, ApiError> {
        for (at, sample) in samples.iter().enumerate() {
            in_time(now, at, sample)?;
        }
        let unknown = samples.iter().map(|sample| &sample.metric);
        let unknown: BTreeSet<_> = unknown.filter(|id| self.find(id).is_none()).collect();
        if !unknown.is_empty() && (self.metrics.len() + unknown.len()) as u64 > metrics_max {
            let why = format!("there are {metrics_max} metrics at most (`metrics-max`)");
            return Err(ApiError::new("LimitExceededFault", why));
        }
        let mut points = BTreeMap::new();
        for sample in samples {
            let at = sample.at.unwrap_or(now);
            let metric = self.seen(sample, at, out);
            let grains = [Some(Grain::Minute), Some(sample.resolution)];
            let grains: BTreeSet<Grain> = grains.into_iter().flatten().collect();
            for grain in grains {
                let place = Place { metric, grain, at: grain.begin(at), unit: sample.unit };
                let sum = points.entry(place);
                sum.and_modify(|sum: &mut Point| *sum = sum.and(sample.point))
                    .or_insert(sample.point);
            }
        }
        Ok(points)
    }

    /// Notes that a metric has data of this time; its number.
    fn seen(&mut self, sample: &Sample, at: Timestamp, out: &mut Vec<Write>) -> u64 {
        let (minute, second) = (Grain::Minute.begin(at), Grain::Second.begin(at));
        let second = (sample.resolution == Grain::Second).then_some(second);
        let there = self.find(&sample.metric).cloned();
        let record = match &there {
            Some(there) => MetricRecord {
                oldest: there.oldest.min(minute),
                newest: there.newest.max(minute),
                oldest_second: match (there.oldest_second, second) {
                    (Some(there), Some(second)) => Some(there.min(second)),
                    (there, second) => there.or(second),
                },
                ..there.as_ref().clone()
            },
            None => {
                let number = self.next;
                self.record(Write::Next(number + 1), out);
                MetricRecord {
                    number,
                    id: Arc::clone(&sample.metric),
                    oldest: minute,
                    newest: minute,
                    oldest_second: second,
                }
            }
        };
        let number = record.number;
        if there.as_deref() != Some(&record) {
            self.record(Write::Metric(Arc::clone(&record.id), Some(Arc::new(record))), out);
        }
        number
    }

    /// Reads what a request that is no plain read looks at.
    pub(crate) fn prefetch(request: &Request, reads: &Reads) {
        if let Request::ListMetrics { .. } = request {
            let _ = Metrics::list_recent(Timestamp(0), request, reads);
        }
    }

    /// Reads the points that something is added to.
    pub(crate) fn touch<'a>(places: impl Iterator<Item = &'a Place>, reads: &Reads) {
        for place in places {
            let _ = reads.get(&place.key());
        }
    }

    /// Adds to points what was put. What cannot be read is left as it is, and told.
    pub(crate) fn add(
        &mut self,
        points: BTreeMap<Place, Point>,
        reads: &Reads,
        out: &mut Vec<Write>,
    ) -> Vec<Corrupt> {
        let mut unreadable = Vec::new();
        for (place, more) in points {
            let key = place.key();
            match reads.get(&key).map(|value| record::point(&key, &value)).transpose() {
                Ok(there) => {
                    let sum = there.map_or(more, |(_, there)| there.and(more));
                    self.record(Write::Point(place, Some(sum)), out);
                }
                Err(corrupt) => unreadable.push(corrupt),
            }
        }
        unreadable
    }
}

fn in_time(now: Timestamp, index: usize, sample: &Sample) -> Result<(), ApiError> {
    let Some(at) = sample.at else { return Ok(()) };
    let ago = now.since_ms(at);
    let bound = if ago > PAST_MS_MAX {
        "within the past two weeks"
    } else if ago < -FUTURE_MS_MAX {
        "no more than two hours in the future"
    } else {
        return Ok(());
    };
    let parameter = format!("MetricData.member.{}.Timestamp", index + 1);
    Err(ApiError::new(INVALID, format!("The parameter {parameter} must specify a time {bound}.")))
}
