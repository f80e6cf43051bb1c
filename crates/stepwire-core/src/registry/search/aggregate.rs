//! Statistics, cardinality, percentiles and buckets of what matches a query.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::Json;

use super::configuration::{Configuration, FieldType};
use super::query::{Field, number};
use super::request::Want;
use crate::error::ApiError;
use crate::registry::Registry;

/// The values of one field of the things that match.
#[derive(Debug)]
pub(super) struct Tally {
    field: Field,
    kind: FieldType,
    /// Things that match, with the field or without.
    matched: usize,
    /// Values, when numbers are wanted of them.
    numbers: Option<Vec<f64>>,
    /// How many things have each value, when that is wanted.
    texts: Option<BTreeMap<Arc<str>, usize>>,
    /// Things with the field.
    count: usize,
}

impl Tally {
    /// Nothing yet, of the field called `name`.
    pub(super) fn over(
        name: &str,
        want: &Want,
        configuration: &Configuration,
    ) -> Result<Tally, ApiError> {
        let invalid = |why: String| ApiError::new("InvalidAggregationException", why);
        let (field, kind) = configuration.aggregated(name).ok_or_else(|| {
            invalid(format!(
                "the field `{name}` is neither managed nor custom\nhint: declare its type in \
                 `customFields` of UpdateIndexingConfiguration"
            ))
        })?;
        if kind == FieldType::String && matches!(want, Want::Percentiles(..)) {
            return Err(invalid(format!("the field `{name}` has no numbers: it is a String")));
        }
        let has_numbers = kind != FieldType::String
            && matches!(want, Want::Statistics(_) | Want::Percentiles(..));
        let has_texts = matches!(want, Want::Cardinality(_) | Want::Buckets(..));
        Ok(Tally {
            field,
            kind,
            matched: 0,
            numbers: has_numbers.then(Vec::new),
            texts: has_texts.then(BTreeMap::new),
            count: 0,
        })
    }

    /// Takes in one value; one of another type than was declared does not count.
    fn add(&mut self, value: &Arc<str>) {
        let number = match self.kind {
            FieldType::Number => number(value),
            FieldType::Boolean if value.eq_ignore_ascii_case("true") => Some(1.0),
            FieldType::Boolean if value.eq_ignore_ascii_case("false") => Some(0.0),
            FieldType::Boolean => None,
            FieldType::String => Some(0.0),
        };
        let Some(number) = number else { return };
        self.count += 1;
        if let Some(numbers) = &mut self.numbers {
            numbers.push(number);
        }
        if let Some(texts) = &mut self.texts {
            *texts.entry(Arc::clone(value)).or_default() += 1;
        }
    }

    /// The operation's output.
    pub(super) fn answer(mut self, want: &Want) -> Json {
        match want {
            Want::Page { .. } | Want::Statistics(_) => {
                Json::object([("statistics", Json::object(self.statistics()))])
            }
            Want::Cardinality(_) => {
                let distinct = self.texts.as_ref().map_or(0, BTreeMap::len);
                Json::object([("cardinality", Json::from(distinct as i64))])
            }
            Want::Percentiles(_, percents) => {
                let mut numbers = self.numbers.take().unwrap_or_default();
                numbers.sort_by(f64::total_cmp);
                let pairs = percents.iter().filter_map(|percent| {
                    let value = percentile(&numbers, *percent)?;
                    Some(Json::object([("percent", float(*percent)), ("value", float(value))]))
                });
                Json::object([("percentiles", Json::array(pairs.collect::<Vec<_>>()))])
            }
            Want::Buckets(_, most) => {
                let mut buckets: Vec<_> =
                    self.texts.take().unwrap_or_default().into_iter().collect();
                // The fullest first; those of one size in order of their values.
                buckets.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
                let buckets = buckets.into_iter().take(*most).map(|(value, count)| {
                    Json::object([
                        ("keyValue", Json::String(value)),
                        ("count", Json::from(count as i64)),
                    ])
                });
                Json::object([
                    ("totalCount", Json::from(self.matched as i64)),
                    ("buckets", Json::array(buckets.collect::<Vec<_>>())),
                ])
            }
        }
    }

    fn statistics(&self) -> Vec<(&'static str, Json)> {
        let mut members = vec![("count", Json::from(self.count as i64))];
        let Some(numbers) = self.numbers.as_ref().filter(|numbers| !numbers.is_empty()) else {
            return members;
        };
        let count = numbers.len() as f64;
        let sum: f64 = numbers.iter().sum();
        let squares: f64 = numbers.iter().map(|number| number * number).sum();
        let average = sum / count;
        let variance = numbers.iter().map(|number| (number - average).powi(2)).sum::<f64>() / count;
        let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        members.extend([
            ("average", float(average)),
            ("sum", float(sum)),
            ("minimum", float(least)),
            ("maximum", float(most)),
            ("sumOfSquares", float(squares)),
            ("variance", float(variance)),
            ("stdDeviation", float(variance.sqrt())),
        ]);
        members
    }
}

/// The value below which `percent` of the numbers are, which are in order: between two of them, as
/// far as the percent is between theirs.
fn percentile(numbers: &[f64], percent: f64) -> Option<f64> {
    let last = numbers.len().checked_sub(1)?;
    let at = percent / 100.0 * last as f64;
    let below = numbers.get(at.floor() as usize)?;
    let above = numbers.get(at.ceil() as usize)?;
    Some(below + (above - below) * at.fract())
}

fn float(value: f64) -> Json {
    Json::from_f64(value).unwrap_or_default()
}

impl Registry {
    /// Counts a thing that matches.
    pub(super) fn count(&self, name: &Arc<str>, tally: &mut Tally) {
        tally.matched += 1;
        let Some(thing) = self.things.find(name) else { return };
        // As they were written: the index has them folded.
        match tally.field.clone() {
            Field::Attribute(attribute) => {
                if let Some(value) = thing.attributes.get(&attribute) {
                    tally.add(value);
                }
            }
            Field::ThingName => tally.add(&thing.name),
            Field::ThingId => tally.add(&thing.id),
            Field::ThingTypeName => thing.thing_type.iter().for_each(|kind| tally.add(kind)),
            Field::ThingGroupNames => {
                self.groups.of(name).for_each(|group| tally.add(&group.name));
            }
            field => {
                let document = self.search.index().and_then(|index| index.find(name));
                let values = document.into_iter().flat_map(|document| document.of(&field));
                let upper = field == Field::DisconnectReason;
                for value in values {
                    let value = if upper { value.to_uppercase() } else { value.to_owned() };
                    tally.add(&value.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_lies_between_its_neighbours() {
        let numbers = [10.0, 20.0, 30.0, 40.0, 50.0];
        for (percent, value) in
            [(0.0, 10.0), (25.0, 20.0), (50.0, 30.0), (90.0, 46.0), (100.0, 50.0)]
        {
            assert_eq!(percentile(&numbers, percent), Some(value), "{percent}");
        }
        assert_eq!(percentile(&[], 50.0), None);
    }
}
