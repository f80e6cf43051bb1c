//! `Globals`: what all resources of a serverless type have in common.

use std::sync::Arc;

use stepwire_asl::diagnostic::nearest;

use crate::diagnostic::Diagnostic;
use crate::expanded::Expanded;
use crate::value::{Data, Map, Value};

/// Bytes that Globals may add to all resources together.
const BYTES_MAX: usize = 16 << 20;

const SECTIONS: &[(&str, &[&str])] = &[
    (
        "Api",
        &[
            "AccessLogSetting",
            "AlwaysDeploy",
            "Auth",
            "BinaryMediaTypes",
            "CacheClusterEnabled",
            "CacheClusterSize",
            "CanarySetting",
            "Cors",
            "DefinitionUri",
            "Domain",
            "EndpointConfiguration",
            "GatewayResponses",
            "MergeDefinitions",
            "MethodSettings",
            "MinimumCompressionSize",
            "Name",
            "OpenApiVersion",
            "PropagateTags",
            "SecurityPolicy",
            "TracingEnabled",
            "Variables",
        ],
    ),
    (
        "Function",
        &[
            "Architectures",
            "AssumeRolePolicyDocument",
            "AutoPublishAlias",
            "AutoPublishAliasAllProperties",
            "CodeSigningConfigArn",
            "CodeUri",
            "DeadLetterQueue",
            "DeploymentPreference",
            "Description",
            "Environment",
            "EphemeralStorage",
            "EventInvokeConfig",
            "FileSystemConfigs",
            "FunctionUrlConfig",
            "Handler",
            "KmsKeyArn",
            "Layers",
            "LoggingConfig",
            "MemorySize",
            "PermissionsBoundary",
            "PropagateTags",
            "ProvisionedConcurrencyConfig",
            "RecursiveLoop",
            "ReservedConcurrentExecutions",
            "RolePath",
            "Runtime",
            "RuntimeManagementConfig",
            "SnapStart",
            "SourceKMSKeyArn",
            "Tags",
            "Timeout",
            "Tracing",
            "VersionDeletionPolicy",
            "VpcConfig",
        ],
    ),
    (
        "HttpApi",
        &[
            "AccessLogSettings",
            "Auth",
            "CorsConfiguration",
            "DefaultRouteSettings",
            "Domain",
            "FailOnWarnings",
            "PropagateTags",
            "RouteSettings",
            "StageVariables",
            "Tags",
        ],
    ),
    ("LayerVersion", &["PublishLambdaVersion"]),
    ("SimpleTable", &["SSESpecification"]),
    ("StateMachine", &["PropagateTags"]),
];

/// Adds them to the resources; what is wrong with them. They come twice: filled in, and as they are
/// written.
pub(super) fn merge(expanded: &mut Expanded, globals: Option<(&Value, &Value)>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let Some((globals, written)) = globals else { return problems };
    let Some(sections) = globals.as_map() else {
        return vec![Diagnostic::new(
            globals.pointer(),
            "'Globals' section is invalid. It must be a non-empty dictionary",
        )];
    };
    for (name, properties) in sections {
        let known = SECTIONS.iter().find(|(section, _)| *section == &**name);
        let Some((section, known)) = known else {
            let names: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
            problems.push(Diagnostic::new(
                properties.pointer(),
                format!("'Globals' section is invalid. '{name}' is not supported. Must be one of the following values - {names:?}").replace('"', "'"),
            ));
            continue;
        };
        let Some(shared) = properties.as_map() else {
            problems.push(Diagnostic::new(
                properties.pointer(),
                format!("'Globals' section is invalid. Value of {section} must be a dictionary"),
            ));
            continue;
        };
        for (property, value) in shared {
            if !known.contains(&&**property) {
                let told = Diagnostic::new(
                    value.pointer(),
                    format!(
                        "'Globals' section is invalid. '{property}' is not a supported property of '{section}'."
                    ),
                );
                problems.push(match nearest(property, known.iter().copied()) {
                    Some(near) => told.hint(format!("did you mean `{near}`?")),
                    None => told.hint(format!("it takes {}", known.join(", "))),
                });
            }
        }
        let kind = format!("AWS::Serverless::{section}");
        let size = properties.size();
        let mut bytes = 0_usize;
        for resource in expanded.resources.values_mut().filter(|one| one.kind == kind) {
            bytes = bytes.saturating_add(size);
            if bytes > BYTES_MAX {
                problems.push(Diagnostic::new(
                    properties.pointer(),
                    "'Globals' section is invalid. It comes to more than 16 MB in all resources",
                ));
                break;
            }
            let ignored = expanded.ignore_globals.get(&resource.logical_id);
            let mut applied = shared.clone();
            match ignored.map(|ignored| (ignored.as_str(), ignored.as_list())) {
                Some((Some("*"), _)) => applied.clear(),
                Some((_, Some(items))) => {
                    for name in items.iter().filter_map(Value::as_str) {
                        applied.shift_remove(name);
                    }
                }
                Some(_) => problems.push(Diagnostic::new(
                    resource.place,
                    format!(
                        "Resource {} has invalid resource attribute 'IgnoreGlobals'.",
                        resource.logical_id
                    ),
                )),
                None => {}
            }
            let own = resource.properties.as_map().cloned().unwrap_or_default();
            let merged = members(&applied, &own);
            if let (Some(own), Some(shared)) = (
                expanded.written.get_mut(&resource.logical_id),
                written.member(section).and_then(Value::as_map),
            ) {
                let shared = shared.iter().filter(|(name, _)| applied.contains_key(*name));
                let shared: Map = shared.map(|(n, v)| (n.clone(), v.clone())).collect();
                let empty = Map::new();
                let merged = members(&shared, own.as_map().unwrap_or(&empty));
                own.data = Data::Map(Arc::new(merged));
            }
            resource.properties =
                Value { data: Data::Map(Arc::new(merged)), ..resource.properties.clone() };
        }
    }
    problems
}

/// Objects are merged, lists joined (the shared items first), everything else is the resource's own.
fn both(shared: &Value, own: &Value) -> Value {
    if shared.as_function().is_some() || own.as_function().is_some() {
        return own.clone();
    }
    let data = match (&shared.data, &own.data) {
        (Data::Map(shared), Data::Map(own)) => Data::Map(Arc::new(members(shared, own))),
        (Data::List(shared), Data::List(own)) => {
            Data::List(Arc::new(shared.iter().chain(own.iter()).cloned().collect()))
        }
        _ => return own.clone(),
    };
    Value { data, ..own.clone() }
}

fn members(shared: &Map, own: &Map) -> Map {
    let mut merged = shared.clone();
    for (name, value) in own {
        let value = match shared.get(name) {
            Some(shared) => both(shared, value),
            None => value.clone(),
        };
        merged.insert(name.clone(), value);
    }
    merged
}
