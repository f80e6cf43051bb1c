//! Lambda requests beyond functions themselves, parsed: versions, aliases, layers, concurrency,
//! asynchronous invocation, event sources, tags.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::name::LATEST;
use super::provisioned::PROCESSES_MAX;
use super::request::{
    INVALID, PAGE_MAX, between, code_of, function, named, service_of, unavailable,
};
use super::{AliasChange, AsyncConfig, FunctionName, Request, SourceChange};
use crate::error::ApiError;
use crate::events::Pattern;
use crate::params::Params;

/// Most filters of an event source mapping.
const FILTERS_MAX: usize = 10;
/// Most messages of a batch of a standard queue.
const BATCH_MAX: i64 = 10_000;

/// The request that `params` make of `operation`; `None` for operations we do not serve.
pub(super) fn parse(operation: &str, params: &Params<'_>) -> Option<Result<Request, ApiError>> {
    Some(match operation {
        "PublishVersion" => publish_version(params),
        "ListVersionsByFunction" => list_versions(params),
        "CreateAlias" => alias_change(params).map(Request::CreateAlias),
        "UpdateAlias" => alias_change(params).map(Request::UpdateAlias),
        "DeleteAlias" => alias(params).map(|(of, name)| Request::DeleteAlias(of, name)),
        "GetAlias" => alias(params).map(|(of, name)| Request::GetAlias(of, name)),
        "ListAliases" => list_aliases(params),
        "PublishLayerVersion" => publish_layer(params),
        "DeleteLayerVersion" => layer(params).map(|(name, n)| Request::DeleteLayer(name, n)),
        "GetLayerVersion" => layer(params).map(|(name, n)| Request::GetLayer(name, n)),
        "GetLayerVersionByArn" => layer_by_arn(params),
        "ListLayers" => list_layers(params),
        "ListLayerVersions" => list_layer_versions(params),
        "PutFunctionConcurrency" => put_concurrency(params),
        "DeleteFunctionConcurrency" => named(params).map(|name| Request::Reserve(name, None)),
        "GetFunctionConcurrency" => named(params).map(Request::GetReserved),
        "PutProvisionedConcurrencyConfig" => provision(params),
        "DeleteProvisionedConcurrencyConfig" => named(params).map(Request::Unprovision),
        "GetProvisionedConcurrencyConfig" => named(params).map(Request::GetProvisioned),
        "ListProvisionedConcurrencyConfigs" => paged(params, &["FunctionName"])
            .and_then(|()| function(params))
            .map(Request::ListProvisioned),
        "PutFunctionEventInvokeConfig" => set_async(params, false),
        "UpdateFunctionEventInvokeConfig" => set_async(params, true),
        "DeleteFunctionEventInvokeConfig" => named(params).map(Request::DeleteAsync),
        "GetFunctionEventInvokeConfig" => named(params).map(Request::GetAsync),
        "ListFunctionEventInvokeConfigs" => {
            paged(params, &["FunctionName"]).and_then(|()| function(params)).map(Request::ListAsync)
        }
        "CreateEventSourceMapping" => create_source(params),
        "UpdateEventSourceMapping" => source_change(params, &["UUID"])
            .and_then(|change| Ok(Request::UpdateSource(uuid(params)?, change))),
        "DeleteEventSourceMapping" => uuid_alone(params).map(Request::DeleteSource),
        "GetEventSourceMapping" => uuid_alone(params).map(Request::GetSource),
        "ListEventSourceMappings" => list_sources(params),
        "TagResource" => tag(params),
        "UntagResource" => untag(params),
        "ListTags" => {
            params.only(&["Resource"]).and_then(|()| resource(params)).map(Request::ListTags)
        }
        "GetAccountSettings" => Ok(Request::AccountSettings),
        "GetFunctionUrlConfig" => named(params).map(Request::GetUrl),
        "CreateFunctionUrlConfig" | "UpdateFunctionUrlConfig" => {
            Err(unavailable("FunctionUrlConfig", "no function URL (use Invoke)"))
        }
        _ => return None,
    })
}

fn optional(params: &Params<'_>, name: &str) -> Result<Option<Arc<str>>, ApiError> {
    Ok(params.optional_text(name)?.map(Arc::from))
}

/// Refuses what is not known besides a page's members. Pages are whole: there is no next one.
fn paged(params: &Params<'_>, own: &[&str]) -> Result<(), ApiError> {
    params.only(&[own, &["Marker", "MaxItems"]].concat())
}

fn publish_version(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["FunctionName", "Description", "CodeSha256", "RevisionId"])?;
    Ok(Request::PublishVersion {
        function: function(params)?,
        description: params.optional_text_within("Description", 256)?.map(Arc::from),
        sha256: optional(params, "CodeSha256")?,
        revision: optional(params, "RevisionId")?,
    })
}

fn list_versions(params: &Params<'_>) -> Result<Request, ApiError> {
    paged(params, &["FunctionName"])?;
    let limit = between(params, "MaxItems", 1, 10_000)?.map_or(PAGE_MAX, i64::from).min(PAGE_MAX);
    let after = optional(params, "Marker")?;
    Ok(Request::ListVersions { function: function(params)?, limit: limit as usize, after })
}

/// A version's number as a caller writes it; 0: `$LATEST`.
fn version(params: &Params<'_>, name: &str, text: &str) -> Result<u64, ApiError> {
    match text {
        LATEST => Ok(0),
        text => text.parse().ok().filter(|n| *n > 0).ok_or_else(|| {
            params.invalid(name, &format!("`{text}` is not a version: `$LATEST` or a number"))
        }),
    }
}

fn alias_name(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    let name = params.text("Name")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let fits = (1..=128).contains(&name.len()) && name.chars().all(plain);
    if !fits || name.bytes().all(|b| b.is_ascii_digit()) {
        let constraint = "Member must satisfy regular expression pattern: \
                          (?!^[0-9]+$)([a-zA-Z0-9-_]+)";
        let message = crate::params::broken("name", Some(name), constraint);
        return Err(ApiError::new("ValidationException", message));
    }
    Ok(name.into())
}

fn alias(params: &Params<'_>) -> Result<(FunctionName, Arc<str>), ApiError> {
    params.only(&["FunctionName", "Name"])?;
    Ok((function(params)?, alias_name(params)?))
}

fn alias_change(params: &Params<'_>) -> Result<AliasChange, ApiError> {
    params.only(&[
        "FunctionName",
        "Name",
        "FunctionVersion",
        "Description",
        "RoutingConfig",
        "RevisionId",
    ])?;
    let other = params.get("RoutingConfig").map(routing).transpose()?;
    let to = params.optional_text("FunctionVersion")?;
    Ok(AliasChange {
        function: function(params)?,
        name: alias_name(params)?,
        version: to.map(|text| version(params, "FunctionVersion", text)).transpose()?,
        description: params.optional_text_within("Description", 256)?.map(Arc::from),
        other,
        revision: optional(params, "RevisionId")?,
    })
}

fn routing(given: &Json) -> Result<Option<(u64, u32)>, ApiError> {
    let params = Params::new(given, INVALID);
    params.only(&["AdditionalVersionWeights"])?;
    let weights = params.get("AdditionalVersionWeights").and_then(Json::as_object);
    let Some(weights) = weights.filter(|weights| !weights.is_empty()) else { return Ok(None) };
    let wrong = |why: &str| params.invalid("AdditionalVersionWeights", why);
    if weights.len() > 1 {
        return Err(wrong("there can be one version besides"));
    }
    let Some((name, weight)) = weights.iter().next() else { return Ok(None) };
    let number = version(&params, "AdditionalVersionWeights", name)?;
    let weight = weight.as_f64().filter(|weight| (0.0..=1.0).contains(weight));
    let weight = weight.ok_or_else(|| wrong("a weight is between 0.0 and 1.0"))?;
    Ok(Some((number, (weight * 1_000_000.0) as u32)))
}

fn list_aliases(params: &Params<'_>) -> Result<Request, ApiError> {
    paged(params, &["FunctionName", "FunctionVersion"])?;
    let of = params.optional_text("FunctionVersion")?;
    let of = of.map(|text| version(params, "FunctionVersion", text)).transpose()?;
    Ok(Request::ListAliases(function(params)?, of))
}

/// The name of a layer in its name or ARN.
fn layer_name(text: &str) -> Option<Arc<str>> {
    let name = match text.strip_prefix("arn:") {
        Some(rest) => rest.split(":layer:").nth(1)?.split(':').next()?,
        None => text,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    ((1..=140).contains(&name.len()) && name.chars().all(plain)).then(|| name.into())
}

fn layer_named(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    let text = params.text("LayerName")?;
    layer_name(text).ok_or_else(|| params.invalid("LayerName", "it is not the name of a layer"))
}

fn layer(params: &Params<'_>) -> Result<(Arc<str>, u64), ApiError> {
    params.only(&["LayerName", "VersionNumber"])?;
    let number = params.optional_int("VersionNumber")?.and_then(|n| u64::try_from(n).ok());
    let number = number.filter(|number| *number > 0);
    let wrong = || params.invalid("VersionNumber", "it must be a number from 1");
    Ok((layer_named(params)?, number.ok_or_else(wrong)?))
}

/// The layer and version that an ARN names.
pub(super) fn layer_of_arn(arn: &str) -> Option<(Arc<str>, u64)> {
    let rest = arn.strip_prefix("arn:")?.split(":layer:").nth(1)?;
    let (name, version) = rest.split_once(':')?;
    Some((layer_name(name)?, version.parse().ok().filter(|n| *n > 0)?))
}

fn layer_by_arn(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["Arn", "find"])?;
    let found = layer_of_arn(params.text("Arn")?);
    let wrong = || params.invalid("Arn", "it is not the ARN of a layer's version");
    found.map(|(name, version)| Request::GetLayer(name, version)).ok_or_else(wrong)
}

fn list_layers(params: &Params<'_>) -> Result<Request, ApiError> {
    paged(params, &["CompatibleRuntime", "CompatibleArchitecture"])?;
    Ok(Request::ListLayers)
}

fn list_layer_versions(params: &Params<'_>) -> Result<Request, ApiError> {
    paged(params, &["LayerName", "CompatibleRuntime", "CompatibleArchitecture"])?;
    Ok(Request::ListLayerVersions(layer_named(params)?))
}

fn publish_layer(params: &Params<'_>) -> Result<Request, ApiError> {
    let shown = ["Description", "CompatibleRuntimes", "CompatibleArchitectures", "LicenseInfo"];
    params.only(&[&["LayerName", "Content"][..], &shown].concat())?;
    let content = params.get("Content");
    let content = content.ok_or_else(|| params.invalid("Content", "it must be given"))?;
    let shown = shown.iter().filter_map(|name| Some(((*name).into(), params.get(name)?.clone())));
    Ok(Request::PublishLayer {
        name: layer_named(params)?,
        code: code_of(&Params::new(content, INVALID))?,
        shown: shown.collect(),
    })
}

fn put_concurrency(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["FunctionName", "ReservedConcurrentExecutions"])?;
    let reserved = between(params, "ReservedConcurrentExecutions", 0, 1_000)?;
    let wrong = || params.invalid("ReservedConcurrentExecutions", "it must be given");
    Ok(Request::Reserve(function(params)?, Some(reserved.ok_or_else(wrong)?)))
}

fn provision(params: &Params<'_>) -> Result<Request, ApiError> {
    let member = "ProvisionedConcurrentExecutions";
    params.only(&["FunctionName", "Qualifier", member])?;
    let processes = between(params, member, 1, 1_000)?;
    let processes = processes.ok_or_else(|| params.invalid(member, "it must be given"))?;
    if processes > PROCESSES_MAX {
        let why = format!("at most {PROCESSES_MAX} processes are kept ready in stepwire");
        return Err(params.invalid(member, &why));
    }
    let function = function(params)?.qualified(params.optional_text("Qualifier")?);
    Ok(Request::Provision(function, processes))
}

fn set_async(params: &Params<'_>, merges: bool) -> Result<Request, ApiError> {
    params.only(&[
        "FunctionName",
        "Qualifier",
        "MaximumRetryAttempts",
        "MaximumEventAgeInSeconds",
        "DestinationConfig",
    ])?;
    let mut config = AsyncConfig {
        retries: between(params, "MaximumRetryAttempts", 0, 2)?.map(|n| n as u8),
        age_s: between(params, "MaximumEventAgeInSeconds", 60, 21_600)?,
        ..AsyncConfig::default()
    };
    if let Some(given) = params.get("DestinationConfig") {
        let destinations = Params::new(given, INVALID);
        destinations.only(&["OnSuccess", "OnFailure"])?;
        config.on_success = destination(&destinations, "OnSuccess")?;
        config.on_failure = destination(&destinations, "OnFailure")?;
    }
    Ok(Request::SetAsync { function: function(params)?, config, merges })
}

fn destination(params: &Params<'_>, name: &str) -> Result<Option<Arc<str>>, ApiError> {
    let Some(given) = params.get(name) else { return Ok(None) };
    let given = Params::new(given, INVALID);
    given.only(&["Destination"])?;
    let arn = given.optional_text("Destination")?.filter(|arn| !arn.is_empty());
    match arn {
        Some(arn) if !matches!(service_of(arn), Some("sqs" | "sns" | "lambda" | "events")) => {
            let message = format!("The destination ARN {arn} is invalid.");
            Err(ApiError::new(INVALID, message))
        }
        other => Ok(other.map(Arc::from)),
    }
}

fn uuid(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    params.text("UUID").map(Arc::from)
}

fn uuid_alone(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    params.only(&["UUID"])?;
    uuid(params)
}

/// Members of an event source that are of streams or clusters: they may say nothing.
const OF_OTHERS: [&str; 15] = [
    "ParallelizationFactor",
    "StartingPosition",
    "StartingPositionTimestamp",
    "DestinationConfig",
    "MaximumRecordAgeInSeconds",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "TumblingWindowInSeconds",
    "Topics",
    "Queues",
    "SourceAccessConfigurations",
    "SelfManagedEventSource",
    "DocumentDBEventSourceConfig",
    "MetricsConfig",
    "ProvisionedPollerConfig",
];

fn create_source(params: &Params<'_>) -> Result<Request, ApiError> {
    let arn = params.optional_text("EventSourceArn")?.unwrap_or_default();
    match service_of(arn) {
        Some("sqs") => {}
        Some(service) => {
            let what = match service {
                "dynamodb" => "streams of tables as event sources are not",
                "kinesis" => "Kinesis streams as event sources are not",
                _ => "such an event source is not",
            };
            let message = format!("`{arn}`: {what} available in stepwire yet; queues are");
            return Err(ApiError::new(INVALID, message));
        }
        None => return Err(params.invalid("EventSourceArn", "it must be the ARN of a queue")),
    }
    let change = source_change(params, &["EventSourceArn"])?;
    if change.function.is_none() {
        params.text("FunctionName")?;
    }
    Ok(Request::CreateSource(change))
}

fn source_change(params: &Params<'_>, own: &[&str]) -> Result<Box<SourceChange>, ApiError> {
    let known = [
        "FunctionName",
        "BatchSize",
        "MaximumBatchingWindowInSeconds",
        "Enabled",
        "FunctionResponseTypes",
        "ScalingConfig",
        "Tags",
        "KMSKeyArn",
        "FilterCriteria",
    ];
    params.only(&[own, &known, &OF_OTHERS].concat())?;
    for name in OF_OTHERS {
        let says = |value: &Json| match value {
            Json::Array(items) => !items.is_empty(),
            Json::Object(members) => !members.is_empty(),
            _ => true,
        };
        if params.get(name).is_some_and(says) {
            return Err(unavailable(name, "nothing of it"));
        }
    }
    let function = params.optional_text("FunctionName")?.map(FunctionName::parse).transpose()?;
    let types = params.get("FunctionResponseTypes").map(|given| {
        let given = given.as_array().unwrap_or_default();
        match given.iter().find(|kind| kind.as_str() != Some("ReportBatchItemFailures")) {
            Some(other) => {
                let why = format!("`{}` is not available", other.to_text());
                Err(params.invalid("FunctionResponseTypes", &why))
            }
            None => Ok(!given.is_empty()),
        }
    });
    let scaling = params.get("ScalingConfig").map(|given| {
        let given = Params::new(given, INVALID);
        given.only(&["MaximumConcurrency"])?;
        between(&given, "MaximumConcurrency", 2, 1_000)
    });
    let batch = between(params, "BatchSize", 1, BATCH_MAX)?;
    let window_s = between(params, "MaximumBatchingWindowInSeconds", 0, 300)?;
    if batch.is_some_and(|batch| batch > 10) && window_s.unwrap_or(0) == 0 {
        let message = "Maximum batch window in seconds must be greater than 0 if maximum batch size \
                       is greater than 10";
        return Err(ApiError::new(INVALID, message));
    }
    let tags = params.get("Tags").map(|tags| ("Tags".into(), tags.clone()));
    Ok(Box::new(SourceChange {
        queue: optional(params, "EventSourceArn").ok().flatten(),
        function,
        batch,
        window_s,
        enabled: params.optional_bool("Enabled")?,
        reports_failures: types.transpose()?,
        concurrency: scaling.transpose()?,
        filters: params.get("FilterCriteria").map(filters).transpose()?,
        shown: tags.into_iter().collect(),
    }))
}

/// The patterns of which a message must fit one.
fn filters(given: &Json) -> Result<Vec<Arc<str>>, ApiError> {
    let criteria = Params::new(given, INVALID);
    criteria.only(&["Filters"])?;
    let given = criteria.get("Filters").and_then(Json::as_array).unwrap_or_default();
    if given.len() > FILTERS_MAX {
        return Err(criteria.invalid("Filters", &format!("there are at most {FILTERS_MAX}")));
    }
    let each = given.iter().map(|filter| {
        let filter = Params::new(filter, INVALID);
        filter.only(&["Pattern"])?;
        let pattern = filter.optional_text("Pattern")?.unwrap_or("{}");
        let read = Pattern::parse(pattern).map_err(|why| {
            ApiError::new(INVALID, format!("Invalid filter pattern definition. {why}"))
        });
        read.map(|_| Arc::from(pattern))
    });
    each.collect()
}

fn list_sources(params: &Params<'_>) -> Result<Request, ApiError> {
    paged(params, &["EventSourceArn", "FunctionName"])?;
    let function = params.optional_text("FunctionName")?.map(FunctionName::parse).transpose()?;
    Ok(Request::ListSources { queue: optional(params, "EventSourceArn")?, function })
}

fn resource(params: &Params<'_>) -> Result<FunctionName, ApiError> {
    let arn = params.text("Resource")?;
    if arn.contains(":event-source-mapping:") || arn.contains(":code-signing-config:") {
        return Err(unavailable("Resource", "tags of functions alone"));
    }
    FunctionName::parse(arn)
}

fn tag(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["Resource", "Tags"])?;
    let tags: Option<Object> = params.get("Tags").and_then(Json::as_object).cloned();
    let wrong = || params.invalid("Tags", "it must be a map of strings");
    let tags = tags.ok_or_else(wrong)?;
    if tags.values().any(|value| value.as_str().is_none()) {
        return Err(wrong());
    }
    Ok(Request::Tag(resource(params)?, tags))
}

fn untag(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["Resource", "TagKeys", "tagKeys"])?;
    let keys = params.get("TagKeys").or_else(|| params.get("tagKeys"));
    let keys = match keys {
        Some(Json::Array(keys)) => keys.iter().filter_map(Json::as_str).map(Arc::from).collect(),
        Some(Json::String(key)) => vec![Arc::clone(key)],
        _ => return Err(params.invalid("TagKeys", "it must be a list of keys")),
    };
    Ok(Request::Untag(resource(params)?, keys))
}
