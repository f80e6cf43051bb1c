//! Filters of log groups: events that fit are told to a function, or counted in a metric, in the
//! commit that takes them.
//!
//! Source: Amazon CloudWatch Logs User Guide, "Creating metrics from log events using filters",
//! "Log group-level subscription filters".

use std::io::Write as _;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use stepwire_asl::{Json, Timestamp};

use super::pattern::Pattern;
use super::record::Place;
use super::{Logs, Write};
use crate::error::ApiError;
use crate::metrics::{Grain, MetricId, Point, Sample, Unit};
use crate::settings::Settings;

/// Most bytes of messages that a function is told at a time; one message alone may have more.
const TOLD_BYTES: usize = 128 << 10;
/// Most filters of a group that functions are told by (AWS: 2).
const SUBSCRIPTIONS_MAX: usize = 2;
/// Most filters of a group that metrics are made by (AWS: 100).
const METRICS_MAX: usize = 100;

/// Which of a group's two lists of filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Those that functions are told by.
    Subscription,
    /// Those that metrics are made by.
    Metric,
}

/// A filter of a log group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FilterRecord {
    /// Number of the group.
    pub group: u64,
    /// Name, unique in the group and family.
    pub name: Arc<str>,
    /// `filterPattern`, as it was given.
    pub pattern: Arc<str>,
    /// When it was created.
    pub created: Timestamp,
    /// What becomes of events that fit.
    pub purpose: Purpose,
}

/// What becomes of events that a filter fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Purpose {
    /// A function is told of them.
    Subscription {
        /// ARN of the function.
        destination: Arc<str>,
        /// `roleArn`; shown, not enforced.
        role: Option<Arc<str>>,
        /// `distribution`; shown: a function is told of each stream by itself.
        distribution: Arc<str>,
    },
    /// They are counted.
    Metric(Transformation),
}

/// What a metric is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transformation {
    /// `metricName`
    pub metric: Arc<str>,
    /// `metricNamespace`
    pub namespace: Arc<str>,
    /// `metricValue`: a number, or what names one in an event.
    pub value: Arc<str>,
    /// `defaultValue`: what counts for an event that does not fit.
    pub default: Option<f64>,
    /// `unit`
    pub unit: Option<Arc<str>>,
    /// `dimensions`: names, and what names their values in an event.
    pub dimensions: Vec<(Arc<str>, Arc<str>)>,
}

impl FilterRecord {
    /// The list that it is in.
    pub fn family(&self) -> Family {
        match self.purpose {
            Purpose::Subscription { .. } => Family::Subscription,
            Purpose::Metric(_) => Family::Metric,
        }
    }
}

/// A filter with its pattern read.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) record: Arc<FilterRecord>,
    pattern: Pattern,
}

impl PartialEq for Ready {
    fn eq(&self, other: &Ready) -> bool {
        self.record == other.record
    }
}

impl Ready {
    pub(super) fn of(record: Arc<FilterRecord>) -> Ready {
        // It was read before it was stored.
        let pattern = Pattern::parse(&record.pattern).unwrap_or_default();
        Ready { record, pattern }
    }
}

/// What filters make of the events of this step: nothing that the records do not say.
#[derive(Debug, Default)]
pub(super) struct Passing(Vec<Heard>);

impl PartialEq for Passing {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Events that have just come in and that a filter is for.
#[derive(Debug)]
struct Heard {
    filter: Arc<FilterRecord>,
    group: Arc<str>,
    stream: Arc<str>,
    events: Vec<(Place, Arc<str>)>,
    samples: Vec<Sample>,
}

/// What follows from events that have come in.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A function is told.
    Tell {
        /// ARN of the function.
        function: Arc<str>,
        /// JSON text.
        payload: Arc<str>,
    },
    /// A metric grows.
    Count {
        /// Its name.
        metric: Arc<str>,
        /// By this.
        samples: Vec<Sample>,
    },
}

impl Logs {
    /// Keeps a filter, in the place of one of the same name.
    pub(super) fn put_filter(
        &mut self,
        now: Timestamp,
        group: &str,
        name: &Arc<str>,
        pattern: &Arc<str>,
        purpose: &Purpose,
        out: &mut Vec<Write>,
    ) -> Result<(), ApiError> {
        let group = self.group(group)?.number;
        let (name, pattern, purpose) = (Arc::clone(name), Arc::clone(pattern), purpose.clone());
        let mut record = FilterRecord { group, name, pattern, created: now, purpose };
        let family = record.family();
        let key = (group, family, Arc::clone(&record.name));
        match self.filters.get(&key) {
            Some(there) => record.created = there.record.created,
            None => {
                let max = match family {
                    Family::Subscription => SUBSCRIPTIONS_MAX,
                    Family::Metric => METRICS_MAX,
                };
                if self.filters_of(group).filter(|r| r.record.family() == family).count() >= max {
                    let why = format!("Resource limit exceeded: {max} filters of a log group.");
                    return Err(ApiError::new("LimitExceededException", why));
                }
            }
        }
        self.record(Write::Filter(key.0, key.1, key.2, Some(Arc::new(record))), out);
        Ok(())
    }

    pub(super) fn delete_filter(
        &mut self,
        group: &str,
        family: Family,
        name: &Arc<str>,
        out: &mut Vec<Write>,
    ) -> Result<(), ApiError> {
        let group = self.group(group)?.number;
        if !self.filters.contains_key(&(group, family, Arc::clone(name))) {
            let what = match family {
                Family::Subscription => "subscription",
                Family::Metric => "metric",
            };
            let why = format!("The specified {what} filter does not exist.");
            return Err(ApiError::new("ResourceNotFoundException", why));
        }
        self.record(Write::Filter(group, family, Arc::clone(name), None), out);
        Ok(())
    }

    /// Filters go with their group.
    pub(super) fn drop_filters(&mut self, group: u64, out: &mut Vec<Write>) {
        let all = self.filters_of(group).map(|ready| Arc::clone(&ready.record));
        for record in all.collect::<Vec<_>>() {
            let (family, name) = (record.family(), Arc::clone(&record.name));
            self.record(Write::Filter(group, family, name, None), out);
        }
    }

    fn filters_of(&self, group: u64) -> impl Iterator<Item = &Ready> {
        let first = (group, Family::Subscription, Arc::from(""));
        let filters = self.filters.range(first..);
        filters.take_while(move |((of, ..), _)| *of == group).map(|(_, ready)| ready)
    }

    /// Has the filters of a group look at events that come in.
    pub(super) fn hear(&mut self, group: u64, stream: &Arc<str>, events: &[(Place, Arc<str>)]) {
        let mut heard = Vec::new();
        for Ready { record, pattern } in self.filters_of(group) {
            let (mut fitting, mut samples) = (Vec::new(), Vec::new());
            for (place, message) in events {
                match (&record.purpose, pattern.fits(message)) {
                    (Purpose::Subscription { .. }, true) => {
                        fitting.push((*place, Arc::clone(message)));
                    }
                    (Purpose::Subscription { .. }, false) => {}
                    (Purpose::Metric(made), fits) => {
                        samples.extend(made.sample(pattern, place.at, message, fits));
                    }
                }
            }
            if fitting.is_empty() && samples.is_empty() {
                continue;
            }
            let named = self.groups.values().find(|one| one.number == group);
            heard.push(Heard {
                filter: Arc::clone(record),
                group: named.map(|group| Arc::clone(&group.name)).unwrap_or_default(),
                stream: Arc::clone(stream),
                events: fitting,
                samples,
            });
        }
        self.passing.0.extend(heard);
    }

    /// What filters have made of the events of this step.
    pub(crate) fn outcomes(&mut self, settings: &Settings) -> Vec<Outcome> {
        let heard = std::mem::take(&mut self.passing.0);
        heard.into_iter().flat_map(|heard| heard.outcomes(settings)).collect()
    }
}

impl Heard {
    fn outcomes(self, settings: &Settings) -> Vec<Outcome> {
        match &self.filter.purpose {
            Purpose::Metric(made) => {
                vec![Outcome::Count { metric: Arc::clone(&made.metric), samples: self.samples }]
            }
            Purpose::Subscription { destination, .. } => {
                let mut outcomes = Vec::new();
                let mut rest = self.events.as_slice();
                while !rest.is_empty() {
                    let mut bytes = 0;
                    let fits = rest.iter().take_while(|(_, message)| {
                        bytes += message.len();
                        bytes <= TOLD_BYTES
                    });
                    let (these, others) = rest.split_at(fits.count().max(1));
                    rest = others;
                    let (function, payload) =
                        (Arc::clone(destination), self.payload(these, settings));
                    outcomes.push(Outcome::Tell { function, payload });
                }
                outcomes
            }
        }
    }

    /// What a function is told: the document, compressed, in base64.
    fn payload(&self, events: &[(Place, Arc<str>)], settings: &Settings) -> Arc<str> {
        let events = events.iter().map(|(place, message)| {
            Json::object([
                ("id", Json::from(event_id(*place))),
                ("timestamp", place.at.0.into()),
                ("message", Json::String(Arc::clone(message))),
            ])
        });
        let document = Json::object([
            ("messageType", Json::from("DATA_MESSAGE")),
            ("owner", Json::String(Arc::clone(&settings.account))),
            ("logGroup", Json::String(Arc::clone(&self.group))),
            ("logStream", Json::String(Arc::clone(&self.stream))),
            ("subscriptionFilters", Json::array([Json::String(Arc::clone(&self.filter.name))])),
            ("logEvents", Json::array(events)),
        ]);
        let mut zip = GzEncoder::new(Vec::new(), Compression::fast());
        // Writing to memory cannot fail.
        let _ = zip.write_all(document.to_text().as_bytes());
        let data = STANDARD.encode(zip.finish().unwrap_or_default());
        let logs = Json::object([("data", Json::from(data))]);
        Json::object([("awslogs", logs)]).to_text().into()
    }
}

/// The id of an event: as FilterLogEvents shows it, in 56 digits.
fn event_id(place: Place) -> String {
    format!("{:0>56}", format!("{:020}{:010}{:010}", place.at.0, place.stream, place.number))
}

impl Transformation {
    /// What an event comes to; `None` where it has no such number.
    fn sample(
        &self,
        pattern: &Pattern,
        at: Timestamp,
        message: &str,
        fits: bool,
    ) -> Option<Sample> {
        let value = match (fits, self.value.parse::<f64>()) {
            (true, Ok(value)) => value,
            (true, Err(_)) => pattern.value_of(&self.value, message)?.trim().parse().ok()?,
            (false, _) => self.default?,
        };
        let mut dimensions = Vec::new();
        for (name, of) in self.dimensions.iter().filter(|_| fits) {
            dimensions.push((Arc::clone(name), pattern.value_of(of, message)?.into()));
        }
        dimensions.sort();
        let (namespace, name) = (Arc::clone(&self.namespace), Arc::clone(&self.metric));
        value.is_finite().then(|| Sample {
            metric: Arc::new(MetricId { namespace, name, dimensions }),
            at: Some(at),
            unit: self.unit.as_deref().and_then(Unit::named).unwrap_or(Unit::None),
            resolution: Grain::Minute,
            point: Point::of(value, 1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(value: &str, pattern: &str, message: &str) -> Option<f64> {
        let made = Transformation {
            metric: "m".into(),
            namespace: "n".into(),
            value: value.into(),
            default: Some(0.0),
            unit: None,
            dimensions: Vec::new(),
        };
        let pattern = Pattern::parse(pattern).unwrap_or_default();
        let fits = pattern.fits(message);
        made.sample(&pattern, Timestamp(0), message, fits).map(|sample| sample.point.sum)
    }

    #[test]
    fn a_metric_counts_events_or_takes_a_number_of_them() {
        assert_eq!(sample("1", "ERROR", "an ERROR"), Some(1.0));
        assert_eq!(sample("1", "ERROR", "fine"), Some(0.0));
        assert_eq!(sample("$.ms", "{ $.ms = * }", r#"{"ms":12.5}"#), Some(12.5));
        // It need not be a part of the pattern.
        assert_eq!(sample("$.ms", "{ $.ok IS TRUE }", r#"{"ok":true,"ms":3}"#), Some(3.0));
        assert_eq!(sample("$.ms", "{ $.ok IS TRUE }", r#"{"ok":true,"ms":"slow"}"#), None);
        assert_eq!(sample("$size", "[ip, size]", "127.0.0.1 42"), Some(42.0));
    }
}
