//! Requests of fleet indexing, parsed. Source: AWS IoT API reference (service model `iot`).

use std::sync::Arc;

use stepwire_asl::Json;

use super::configuration::Update;
use super::query::{Query, Schema};
use crate::error::ApiError;
use crate::params::Params;
use crate::registry::attributes::{self, AttributePayload, Attributes};
use crate::registry::names::{checked_name, name};
use crate::registry::tags::{self, Tags};

/// The index of things.
pub(super) const THINGS: &str = "AWS_Things";
/// The index of thing groups.
pub(super) const THING_GROUPS: &str = "AWS_ThingGroups";
/// The one version of the query language.
pub(super) const QUERY_VERSION: &str = "2017-09-30";
/// Most items on a page of a search.
const RESULTS_MAX: i64 = 500;
/// Items on a page if the request does not say.
const RESULTS_DEFAULT: usize = 100;
/// Percentiles if the request does not say.
const PERCENTS_DEFAULT: [f64; 7] = [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0];
/// Most buckets of an aggregation.
const BUCKETS_MAX: i64 = 10_000;
/// Buckets if the request does not say.
const BUCKETS_DEFAULT: usize = 10;

/// A request of fleet indexing.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// UpdateIndexingConfiguration
    Configure(Update),
    /// GetIndexingConfiguration
    Configuration,
    /// DescribeIndex
    Describe(Arc<str>),
    /// ListIndices
    List,
    /// SearchIndex, and the aggregations.
    Look(Look),
    /// GetThingConnectivityData
    Connectivity(Arc<str>),
    /// CreateDynamicThingGroup
    CreateGroup(NewDynamicGroup),
    /// UpdateDynamicThingGroup
    UpdateGroup {
        /// `thingGroupName`
        name: Arc<str>,
        /// `thingGroupProperties.thingGroupDescription`
        description: Option<Arc<str>>,
        /// `thingGroupProperties.attributePayload`
        attributes: AttributePayload,
        /// `expectedVersion`
        expected: Option<i64>,
        /// `queryString`, as it was written.
        query: Option<Arc<str>>,
    },
    /// DeleteDynamicThingGroup
    DeleteGroup {
        /// `thingGroupName`
        name: Arc<str>,
        /// `expectedVersion`
        expected: Option<i64>,
    },
}

/// Something to be found out about what matches a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// What is searched.
    pub schema: Schema,
    /// The query.
    pub query: Query,
    /// What is wanted of it.
    pub want: Want,
}

/// What is wanted of what matches.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    /// SearchIndex
    Page {
        /// `maxResults`
        limit: usize,
        /// `nextToken`: after this name.
        after: Option<Arc<str>>,
    },
    /// GetStatistics over this field.
    Statistics(Arc<str>),
    /// GetCardinality of this field.
    Cardinality(Arc<str>),
    /// GetPercentiles of this field, at these percents.
    Percentiles(Arc<str>, Vec<f64>),
    /// GetBucketsAggregation over this field.
    Buckets(Arc<str>, usize),
}

/// A dynamic thing group that is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDynamicGroup {
    /// `thingGroupName`
    pub name: Arc<str>,
    /// `thingGroupProperties.thingGroupDescription`
    pub description: Option<Arc<str>>,
    /// `thingGroupProperties.attributePayload.attributes`
    pub attributes: Attributes,
    /// `queryString`, as it was written.
    pub query: Arc<str>,
    /// `tags`
    pub tags: Tags,
}

impl Request {
    /// The request that the members make of `operation`; `None` for other operations.
    pub(crate) fn parse(operation: &str, p: &Params<'_>) -> Option<Result<Request, ApiError>> {
        Some(match operation {
            "UpdateIndexingConfiguration" => Update::parse(p).map(Request::Configure),
            "GetIndexingConfiguration" => p.only(&[]).map(|()| Request::Configuration),
            "DescribeIndex" => describe(p),
            "ListIndices" => list(p),
            "SearchIndex" => search(p),
            "GetStatistics" => aggregate(p, &[], |p| Ok(Want::Statistics(aggregated(p)?))),
            "GetCardinality" => aggregate(p, &[], |p| Ok(Want::Cardinality(aggregated(p)?))),
            "GetPercentiles" => {
                aggregate(p, &["percents"], |p| Ok(Want::Percentiles(aggregated(p)?, percents(p)?)))
            }
            "GetBucketsAggregation" => aggregate(p, &["bucketsAggregationType"], |p| {
                Ok(Want::Buckets(p.text("aggregationField")?.into(), buckets(p)?))
            }),
            "GetThingConnectivityData" => connectivity(p),
            "CreateDynamicThingGroup" => create_group(p),
            "UpdateDynamicThingGroup" => update_group(p),
            "DeleteDynamicThingGroup" => delete_group(p),
            _ => return None,
        })
    }

    /// Whether it is answered from committed records alone.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Configuration | Request::List => true,
            // How far the index is and what it finds is known in memory only.
            Request::Describe(_)
            | Request::Look(_)
            | Request::Connectivity(_)
            | Request::Configure(_)
            | Request::CreateGroup(_)
            | Request::UpdateGroup { .. }
            | Request::DeleteGroup { .. } => false,
        }
    }
}

fn describe(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["indexName"])?;
    Ok(Request::Describe(name(p, "indexName")?))
}

fn list(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["nextToken", "maxResults"])?;
    if !matches!(p.optional_int("maxResults")?, None | Some(1..=500)) {
        return Err(p.invalid("maxResults", "it must be 1 to 500"));
    }
    // There are two at most, and a page never ends before them.
    match p.optional_text("nextToken")? {
        Some(_) => Err(p.invalid("nextToken", "it was not given by this operation")),
        None => Ok(Request::List),
    }
}

fn search(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["indexName", "queryString", "nextToken", "maxResults", "queryVersion"])?;
    let limit = match p.optional_int("maxResults")? {
        None => RESULTS_DEFAULT,
        Some(limit @ 1..=RESULTS_MAX) => limit as usize,
        Some(_) => return Err(p.invalid("maxResults", &format!("it must be 1 to {RESULTS_MAX}"))),
    };
    let after = match p.optional_text("nextToken")? {
        None => None,
        Some(token) => Some(
            checked_name(token)
                .ok_or_else(|| p.invalid("nextToken", "it was not given by this operation"))?,
        ),
    };
    look(p, Want::Page { limit, after })
}

fn aggregate(
    p: &Params<'_>,
    more: &[&str],
    want: impl Fn(&Params<'_>) -> Result<Want, ApiError>,
) -> Result<Request, ApiError> {
    let known = ["indexName", "queryString", "aggregationField", "queryVersion"];
    p.only(&[known.as_slice(), more].concat())?;
    let want = want(p)?;
    look(p, want)
}

fn look(p: &Params<'_>, want: Want) -> Result<Request, ApiError> {
    let schema = match p.optional_text("indexName")? {
        None | Some(THINGS) => Schema::Things,
        Some(THING_GROUPS) => Schema::ThingGroups,
        Some(other) => return Err(no_index(other)),
    };
    if schema == Schema::ThingGroups && !matches!(want, Want::Page { .. }) {
        let why = format!("aggregations over `{THING_GROUPS}` are not available in stepwire yet");
        return Err(p.invalid("indexName", &why));
    }
    check_version(p)?;
    let query = parsed(schema, p.text("queryString")?)?;
    Ok(Request::Look(Look { schema, query, want }))
}

/// There is no index of this name.
pub(super) fn no_index(name: &str) -> ApiError {
    let why = format!("Index {name} does not exist");
    ApiError::new("ResourceNotFoundException", why)
}

/// The query that a request writes.
pub(super) fn parsed(schema: Schema, text: &str) -> Result<Query, ApiError> {
    Query::over(schema, text)
        .map_err(|error| ApiError::new("InvalidQueryException", error.to_string()))
}

fn check_version(p: &Params<'_>) -> Result<(), ApiError> {
    match p.optional_text("queryVersion")? {
        None | Some(QUERY_VERSION) => Ok(()),
        Some(other) => {
            let why = format!("`{other}` is not available, only `{QUERY_VERSION}`");
            Err(p.invalid("queryVersion", &why))
        }
    }
}

fn aggregated(p: &Params<'_>) -> Result<Arc<str>, ApiError> {
    Ok(p.optional_text("aggregationField")?.unwrap_or("registry.version").into())
}

fn percents(p: &Params<'_>) -> Result<Vec<f64>, ApiError> {
    let Some(given) = p.get("percents") else { return Ok(PERCENTS_DEFAULT.into()) };
    let percent = |given: &Json| given.as_f64().filter(|percent| (0.0..=100.0).contains(percent));
    let percents: Option<Vec<f64>> =
        given.as_array().and_then(|given| given.iter().map(percent).collect());
    match percents {
        Some(percents) if percents.is_empty() => Ok(PERCENTS_DEFAULT.into()),
        Some(percents) => Ok(percents),
        None => Err(p.invalid("percents", "it must be a list of numbers from 0 to 100")),
    }
}

fn buckets(p: &Params<'_>) -> Result<usize, ApiError> {
    let kind = p.get("bucketsAggregationType");
    let kind = kind.ok_or_else(|| p.invalid("bucketsAggregationType", "it is required"))?;
    let kind = Params::new(kind, "InvalidRequestException");
    kind.only(&["termsAggregation"])?;
    let terms = kind.get("termsAggregation");
    let terms = terms.ok_or_else(|| kind.invalid("termsAggregation", "it is required"))?;
    let terms = Params::new(terms, "InvalidRequestException");
    terms.only(&["maxBuckets"])?;
    match terms.optional_int("maxBuckets")? {
        None => Ok(BUCKETS_DEFAULT),
        Some(most @ 1..=BUCKETS_MAX) => Ok(most as usize),
        Some(_) => Err(terms.invalid("maxBuckets", &format!("it must be 1 to {BUCKETS_MAX}"))),
    }
}

fn connectivity(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingName", "includeSocketInformation"])?;
    if p.optional_bool("includeSocketInformation")? == Some(true) {
        return Err(p.invalid("includeSocketInformation", "it is not available in stepwire yet"));
    }
    Ok(Request::Connectivity(name(p, "thingName")?))
}

fn create_group(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&[
        "thingGroupName",
        "thingGroupProperties",
        "indexName",
        "queryString",
        "queryVersion",
        "tags",
    ])?;
    let name = name(p, "thingGroupName")?;
    let query = group_query(p)?;
    let query = query.ok_or_else(|| p.broken("queryString", None, "Member must not be null"))?;
    let (description, attributes) = match p.get("thingGroupProperties") {
        None => (None, Attributes::new()),
        Some(given) => {
            let inner = Params::new(given, "InvalidRequestException");
            inner.only(&["thingGroupDescription", "attributePayload"])?;
            let description = attributes::description(&inner, "thingGroupDescription")?;
            (description, AttributePayload::of_new(&inner)?)
        }
    };
    Ok(Request::CreateGroup(NewDynamicGroup {
        name,
        description,
        attributes,
        query,
        tags: tags::given(p)?,
    }))
}

fn update_group(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&[
        "thingGroupName",
        "thingGroupProperties",
        "expectedVersion",
        "indexName",
        "queryString",
        "queryVersion",
    ])?;
    let name = name(p, "thingGroupName")?;
    let given = p.get("thingGroupProperties");
    let given =
        given.ok_or_else(|| p.broken("thingGroupProperties", None, "Member must not be null"))?;
    let inner = Params::new(given, "InvalidRequestException");
    inner.only(&["thingGroupDescription", "attributePayload"])?;
    Ok(Request::UpdateGroup {
        name,
        description: attributes::description(&inner, "thingGroupDescription")?,
        attributes: AttributePayload::parse(&inner)?,
        expected: p.optional_int("expectedVersion")?,
        query: group_query(p)?,
    })
}

fn delete_group(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingGroupName", "expectedVersion"])?;
    let expected = p.optional_int("expectedVersion")?;
    Ok(Request::DeleteGroup { name: name(p, "thingGroupName")?, expected })
}

/// The query of a dynamic group, which has been understood.
fn group_query(p: &Params<'_>) -> Result<Option<Arc<str>>, ApiError> {
    match p.optional_text("indexName")? {
        None | Some(THINGS) => {}
        Some(other) => {
            let why = format!("dynamic thing groups are made of `{THINGS}`, not of `{other}`");
            return Err(p.invalid("indexName", &why));
        }
    }
    check_version(p)?;
    let Some(text) = p.optional_text("queryString")? else { return Ok(None) };
    parsed(Schema::Things, text)?;
    Ok(Some(text.into()))
}
