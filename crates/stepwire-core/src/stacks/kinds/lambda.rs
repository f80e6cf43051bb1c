//! `AWS::Lambda::*`.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::property::{
    Property, Shape, boolean, integer, map_of, number, object, objects, tags, text, texts,
};
use super::resource::{Resource, ask, body, look, made, nothing, pairs, s, told};
use super::{Ask, Kind, Update, inline};
use crate::request::Service::Lambda;

/// The error of what is not there.
const GONE: &[&str] = &["ResourceNotFoundException"];

const DEPLOYED: &str = "a deployment leads to the new version at once";

pub(super) const KINDS: &[Kind] = &[
    FUNCTION,
    PERMISSION,
    VERSION,
    ALIAS,
    LAYER_VERSION,
    Kind::without_effect("AWS::Lambda::LayerVersionPermission", "any function may use any layer"),
    EVENT_SOURCE_MAPPING,
    EVENT_INVOKE_CONFIG,
    Kind {
        made: |config, _| {
            let id = config.context.generated_name(64);
            let arn = config.arn("lambda", &format!("code-signing-config:{id}"));
            made(arn.clone(), [("CodeSigningConfigArn", arn), ("CodeSigningConfigId", id)])
        },
        attributes: &["CodeSigningConfigArn", "CodeSigningConfigId"],
        ..Kind::without_effect(
            "AWS::Lambda::CodeSigningConfig",
            "signatures of code are not checked",
        )
    },
    Kind::refused(
        "AWS::Lambda::Url",
        "invoke the function with the API, or let a workflow or a rule do it",
    ),
    Kind {
        made: |app, _| made(app.name_or("ApplicationName", 100), []),
        ..Kind::without_effect("AWS::CodeDeploy::Application", DEPLOYED)
    },
    Kind {
        made: |group, _| made(group.name_or("DeploymentGroupName", 100), []),
        ..Kind::without_effect("AWS::CodeDeploy::DeploymentGroup", DEPLOYED)
    },
    Kind {
        made: |config, _| made(config.name_or("DeploymentConfigName", 100), []),
        ..Kind::without_effect("AWS::CodeDeploy::DeploymentConfig", DEPLOYED)
    },
];

/// Properties that the API calls the same, and what a function has without them.
const CONFIGURED: [&str; 11] = [
    "DeadLetterConfig",
    "Description",
    "Environment",
    "EphemeralStorage",
    "Handler",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "Role",
    "Runtime",
    "Timeout",
];

/// What a function is given that does not have a property any more.
fn default_of(property: &str) -> Option<Json> {
    match property {
        "DeadLetterConfig" => Some(body([("TargetArn", s(""))])),
        "Description" => s(""),
        "Environment" => Some(body([("Variables", Some(nothing()))])),
        "EphemeralStorage" => Some(body([("Size", Some(512.into()))])),
        "Layers" => Some(Json::array([])),
        "LoggingConfig" => Some(body([("LogFormat", s("Text"))])),
        "MemorySize" => Some(128.into()),
        "Timeout" => Some(3.into()),
        _ => None,
    }
}

/// A property as the API takes it.
fn configured(function: &Resource<'_>, name: &'static str) -> Option<Json> {
    function.take(name)
}

/// The code as the API takes it.
fn code(function: &Resource<'_>) -> Result<Json, String> {
    let given = function.get("Code");
    let of = |name: &str| given.and_then(|given| given.member(name)).cloned();
    if let Some(Json::String(source)) = of("ZipFile") {
        let archive = inline::archive(function.str("Runtime"), &source)?;
        return Ok(body([("ZipFile", s(archive))]));
    }
    let version = of("S3ObjectVersion");
    Ok(body([("S3Bucket", of("S3Bucket")), ("S3Key", of("S3Key")), ("S3ObjectVersion", version)]))
}

const NOT_HERE: &str = "functions run as processes of this machine";
const NO_KMS: &str = "code and environment are not encrypted";
/// Values of variables are text, whatever they look like.
const ANY: Shape = Shape::Text;

const FUNCTION: Kind = Kind {
    attributes: &["Arn"],
    create: |function, _| {
        let name = s(function.name_or("FunctionName", 64));
        let mut members = Object::new();
        members.insert("FunctionName".into(), name.clone().unwrap_or_default());
        members.insert("Code".into(), code(function)?);
        let given = CONFIGURED.iter().chain(&["Architectures", "TracingConfig"]);
        let given = given.filter_map(|name| Some((Arc::from(*name), configured(function, name)?)));
        members.extend(given);
        members.extend(function.tag_map().map(|tags| (Arc::from("Tags"), tags)));
        let body = Json::Object(Arc::new(members));
        let create = Ask { service: Lambda, operation: "CreateFunction", body, tolerate: &[] };
        let reserved = function.take("ReservedConcurrentExecutions").map(|count| {
            let asked = [("FunctionName", name), ("ReservedConcurrentExecutions", Some(count))];
            ask(Lambda, "PutFunctionConcurrency", asked)
        });
        Ok([create].into_iter().chain(reserved).collect())
    },
    made: |function, _| {
        let name = function.name_or("FunctionName", 64);
        let arn = function.arn("lambda", &format!("function:{name}"));
        made(name, [("Arn", arn)])
    },
    update: update_function,
    delete: |_, made, _| {
        vec![ask(Lambda, "DeleteFunction", [("FunctionName", made.id())]).or(GONE)]
    },
    ..Kind::new(
        "AWS::Lambda::Function",
        &[
            text("FunctionName").replaces(),
            object(
                "Code",
                &[
                    text("ZipFile"),
                    text("S3Bucket"),
                    text("S3Key"),
                    text("S3ObjectVersion"),
                    text("SourceKMSKeyArn").without_effect(NO_KMS),
                    text("S3ObjectStorageMode").without_effect("code is copied out of the bucket"),
                    text("ImageUri").refused("there are no container images; give an archive"),
                ],
            )
            .required(),
            text("Role").required(),
            text("Runtime"),
            text("Handler"),
            text("Description"),
            integer("Timeout"),
            integer("MemorySize"),
            object("Environment", &[map_of("Variables", &ANY)]),
            texts("Layers"),
            object("DeadLetterConfig", &[text("TargetArn")]),
            integer("ReservedConcurrentExecutions"),
            tags(),
            texts("Architectures").shown("functions run on this machine's processor"),
            object("EphemeralStorage", &[integer("Size").required()])
                .shown("the folder for temporary files is not bounded"),
            object("TracingConfig", &[text("Mode")]).shown("nothing is traced"),
            object(
                "LoggingConfig",
                &[
                    text("ApplicationLogLevel"),
                    text("LogFormat"),
                    text("LogGroup"),
                    text("SystemLogLevel"),
                ],
            ),
            text("PackageType").replaces(),
            text("KmsKeyArn").without_effect(NO_KMS),
            text("CodeSigningConfigArn").without_effect("signatures of code are not checked"),
            object(
                "VpcConfig",
                &[
                    boolean("Ipv6AllowedForDualStack"),
                    texts("SecurityGroupIds"),
                    texts("SubnetIds"),
                ],
            )
            .without_effect("functions use this machine's network"),
            object("SnapStart", &[text("ApplyOn")]).without_effect(NOT_HERE),
            text("RecursiveLoop").without_effect("loops are not looked for"),
            object(
                "RuntimeManagementConfig",
                &[text("RuntimeVersionArn"), text("UpdateRuntimeOn")],
            )
            .without_effect("the runtime is this machine's"),
            boolean("PublishToLatestPublished").without_effect(NOT_HERE),
            object("FunctionScalingConfig", &[]).without_effect(NOT_HERE),
            object("CapacityProviderConfig", &[]).refused(NOT_HERE),
            object("DurableConfig", &[]).refused("write a workflow"),
            objects("FileSystemConfigs", &[]).refused("functions see this machine's files"),
            object("ImageConfig", &[]).refused("there are no container images; give an archive"),
            object("TenancyConfig", &[]).refused("there is one tenant"),
        ],
    )
};

fn update_function(update: &Update<'_>, _: &[Json]) -> Result<Vec<Ask>, String> {
    let (new, name) = (&update.new, update.id());
    let mut asks = Vec::new();
    let inline = new.get("Code").is_some_and(|code| code.member("ZipFile").is_some());
    if update.changes("Code") || (inline && update.changes("Runtime")) {
        let mut members = Object::new();
        members.insert("FunctionName".into(), name.clone().unwrap_or_default());
        members.extend(
            code(new)?.as_object().into_iter().flatten().map(|(k, v)| (Arc::clone(k), v.clone())),
        );
        if let Some(architectures) = new.take("Architectures") {
            members.insert("Architectures".into(), architectures);
        }
        let body = Json::Object(Arc::new(members));
        asks.push(Ask { service: Lambda, operation: "UpdateFunctionCode", body, tolerate: &[] });
    }
    let changed = CONFIGURED.iter().chain(&["TracingConfig"]).filter(|name| update.changes(name));
    let changed: Vec<(Arc<str>, Json)> = changed
        .filter_map(|name| {
            let passive = || body([("Mode", s("PassThrough"))]);
            let value = configured(new, name).or_else(|| default_of(name));
            let value = value.or_else(|| (*name == "TracingConfig").then(passive));
            Some((Arc::from(*name), value?))
        })
        .collect();
    if !changed.is_empty() {
        let function = [(Arc::from("FunctionName"), name.clone().unwrap_or_default())];
        let body = Json::object(function.into_iter().chain(changed));
        let operation = "UpdateFunctionConfiguration";
        asks.push(Ask { service: Lambda, operation, body, tolerate: &[] });
    }
    if update.changes("ReservedConcurrentExecutions") {
        asks.push(match new.take("ReservedConcurrentExecutions") {
            Some(count) => {
                let asked =
                    [("FunctionName", name.clone()), ("ReservedConcurrentExecutions", Some(count))];
                ask(Lambda, "PutFunctionConcurrency", asked)
            }
            None => ask(Lambda, "DeleteFunctionConcurrency", [("FunctionName", name)]).or(GONE),
        });
    }
    let tags = update.retagged();
    let arn = || s(update.made.attribute("Arn"));
    if !tags.gone.is_empty() {
        let asked = [("Resource", arn()), ("TagKeys", tags.keys())];
        asks.push(ask(Lambda, "UntagResource", asked));
    }
    if !tags.set.is_empty() {
        let asked = [("Resource", arn()), ("Tags", Some(Json::object(tags.set)))];
        asks.push(ask(Lambda, "TagResource", asked));
    }
    Ok(asks)
}

const PERMISSION: Kind = Kind {
    attributes: &["Id"],
    create: |permission, _| {
        let asked = [
            ("FunctionName", permission.take("FunctionName")),
            ("StatementId", s(permission.context.generated_name(100))),
            ("Action", permission.take("Action")),
            ("Principal", permission.take("Principal")),
            ("SourceArn", permission.take("SourceArn")),
            ("SourceAccount", permission.take("SourceAccount")),
        ];
        Ok(vec![ask(Lambda, "AddPermission", asked)])
    },
    made: |permission, _| {
        let id = permission.context.generated_name(100);
        made(id.clone(), [("Id", id)])
    },
    delete: |permission, made, _| {
        let asked = [("FunctionName", permission.take("FunctionName")), ("StatementId", made.id())];
        vec![ask(Lambda, "RemovePermission", asked).or(GONE)]
    },
    ..Kind::new(
        "AWS::Lambda::Permission",
        &[
            text("FunctionName").required().replaces(),
            text("Action").required().replaces(),
            text("Principal").required().replaces(),
            text("SourceArn").replaces(),
            text("SourceAccount").replaces(),
            text("EventSourceToken").refused("there are no Alexa skills"),
            text("FunctionUrlAuthType").refused("there are no function URLs"),
            boolean("InvokedViaFunctionUrl").refused("there are no function URLs"),
            text("PrincipalOrgID").refused("there are no organizations"),
        ],
    )
};

const CONCURRENCY: Property = object(
    "ProvisionedConcurrencyConfig",
    &[integer("ProvisionedConcurrentExecutions").required()],
);

/// How many processes of a version or alias are to be kept ready.
fn provisioned(of: &Resource<'_>, qualifier: Option<Json>) -> Option<Ask> {
    let given = of.get("ProvisionedConcurrencyConfig")?;
    let asked = [
        ("FunctionName", of.take("FunctionName")),
        ("Qualifier", qualifier),
        (
            "ProvisionedConcurrentExecutions",
            given.member("ProvisionedConcurrentExecutions").cloned(),
        ),
    ];
    Some(ask(Lambda, "PutProvisionedConcurrencyConfig", asked))
}

/// What a change of that comes to.
fn reprovisioned(update: &Update<'_>, qualifier: Option<Json>) -> Option<Ask> {
    if !update.changes("ProvisionedConcurrencyConfig") {
        return None;
    }
    provisioned(&update.new, qualifier.clone()).or_else(|| {
        let asked = [("FunctionName", update.new.take("FunctionName")), ("Qualifier", qualifier)];
        let gone = &["ProvisionedConcurrencyConfigNotFoundException", "ResourceNotFoundException"];
        Some(ask(Lambda, "DeleteProvisionedConcurrencyConfig", asked).or(gone))
    })
}

const VERSION: Kind = Kind {
    attributes: &["FunctionArn", "Version"],
    create: |version, answers| {
        let asked = [
            ("FunctionName", version.take("FunctionName")),
            ("CodeSha256", version.take("CodeSha256")),
            ("Description", version.take("Description")),
        ];
        let published = ask(Lambda, "PublishVersion", asked);
        let kept = provisioned(version, s(told(answers, 0, "Version")));
        Ok([published].into_iter().chain(kept).collect())
    },
    update: |update, _| {
        Ok(reprovisioned(update, s(update.made.attribute("Version"))).into_iter().collect())
    },
    made: |_, answers| {
        let (arn, number) = (told(answers, 0, "FunctionArn"), told(answers, 0, "Version"));
        made(arn, [("FunctionArn", arn.to_owned()), ("Version", number.to_owned())])
    },
    delete: |version, made, _| {
        let asked = [
            ("FunctionName", version.take("FunctionName")),
            ("Qualifier", s(made.attribute("Version"))),
        ];
        vec![ask(Lambda, "DeleteFunction", asked).or(GONE)]
    },
    ..Kind::new(
        "AWS::Lambda::Version",
        &[
            text("FunctionName").required().replaces(),
            text("CodeSha256").replaces(),
            text("Description").replaces(),
            CONCURRENCY,
            object("RuntimePolicy", &[text("RuntimeVersionArn"), text("UpdateRuntimeOn")])
                .without_effect("the runtime is this machine's"),
            object("FunctionScalingConfig", &[]).without_effect(NOT_HERE),
        ],
    )
};

fn routing(alias: &Resource<'_>) -> Option<Json> {
    let weights = alias.get("RoutingConfig")?.member("AdditionalVersionWeights");
    let weights = weights.and_then(Json::as_array).unwrap_or_default();
    let weights = Json::object(pairs(weights, "FunctionVersion", "FunctionWeight"));
    Some(body([("AdditionalVersionWeights", Some(weights))]))
}

const ALIAS: Kind = Kind {
    attributes: &["AliasArn"],
    create: |alias, _| {
        let asked = [
            ("FunctionName", alias.take("FunctionName")),
            ("Name", alias.take("Name")),
            ("FunctionVersion", alias.take("FunctionVersion")),
            ("Description", alias.take("Description")),
            ("RoutingConfig", routing(alias)),
        ];
        let created = ask(Lambda, "CreateAlias", asked);
        Ok([created].into_iter().chain(provisioned(alias, alias.take("Name"))).collect())
    },
    made: |_, answers| {
        let arn = told(answers, 0, "AliasArn");
        made(arn, [("AliasArn", arn.to_owned())])
    },
    update: |update, _| {
        let alias = &update.new;
        let none = || {
            let weights = body([("AdditionalVersionWeights", Some(nothing()))]);
            update.changes("RoutingConfig").then_some(weights)
        };
        let asked = [
            ("FunctionName", alias.take("FunctionName")),
            ("Name", alias.take("Name")),
            ("FunctionVersion", alias.take("FunctionVersion")),
            ("Description", alias.take("Description").or_else(|| s(""))),
            ("RoutingConfig", routing(alias).or_else(none)),
        ];
        let updated = ask(Lambda, "UpdateAlias", asked);
        Ok([updated].into_iter().chain(reprovisioned(update, alias.take("Name"))).collect())
    },
    delete: |alias, _, _| {
        let asked = [("FunctionName", alias.take("FunctionName")), ("Name", alias.take("Name"))];
        vec![ask(Lambda, "DeleteAlias", asked).or(GONE)]
    },
    ..Kind::new(
        "AWS::Lambda::Alias",
        &[
            text("FunctionName").required().replaces(),
            text("Name").required().replaces(),
            text("FunctionVersion").required(),
            text("Description"),
            object(
                "RoutingConfig",
                &[objects(
                    "AdditionalVersionWeights",
                    &[text("FunctionVersion").required(), number("FunctionWeight").required()],
                )],
            ),
            CONCURRENCY,
        ],
    )
};

const LAYER_VERSION: Kind = Kind {
    attributes: &["LayerVersionArn"],
    create: |layer, _| {
        let name =
            layer.text("LayerName").map_or_else(|| layer.context.short_name(140), str::to_owned);
        let asked = [
            ("LayerName", s(name)),
            ("Content", layer.take("Content")),
            ("Description", layer.take("Description")),
            ("CompatibleRuntimes", layer.take("CompatibleRuntimes")),
            ("CompatibleArchitectures", layer.take("CompatibleArchitectures")),
            ("LicenseInfo", layer.take("LicenseInfo")),
        ];
        Ok(vec![ask(Lambda, "PublishLayerVersion", asked)])
    },
    made: |_, answers| {
        let arn = told(answers, 0, "LayerVersionArn");
        made(arn, [("LayerVersionArn", arn.to_owned())])
    },
    delete: |_, made, _| {
        let (layer, version) = made.physical_id.rsplit_once(':').unwrap_or_default();
        let name = layer.rsplit(':').next().unwrap_or(layer);
        let Ok(version) = version.parse::<i64>() else { return Vec::new() };
        let asked = [("LayerName", s(name)), ("VersionNumber", Some(version.into()))];
        vec![ask(Lambda, "DeleteLayerVersion", asked).or(GONE)]
    },
    ..Kind::new(
        "AWS::Lambda::LayerVersion",
        &[
            text("LayerName").replaces(),
            object(
                "Content",
                &[
                    text("S3Bucket").required(),
                    text("S3Key").required(),
                    text("S3ObjectVersion"),
                    text("S3ObjectStorageMode")
                        .without_effect("layers are copied out of the bucket"),
                ],
            )
            .required()
            .replaces(),
            text("Description").replaces(),
            texts("CompatibleRuntimes").replaces(),
            texts("CompatibleArchitectures").replaces(),
            text("LicenseInfo").replaces(),
        ],
    )
};

const NO_KAFKA: &str = "there are queues and tables' streams; not Kafka, MQ or DocumentDB";

/// Members of a mapping that the API calls the same, and that can be changed.
const MAPPED: [&str; 13] = [
    "BatchSize",
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "Enabled",
    "FilterCriteria",
    "FunctionName",
    "FunctionResponseTypes",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "ParallelizationFactor",
    "ScalingConfig",
    "TumblingWindowInSeconds",
];

fn mapping(
    operation: &'static str,
    mapping: &Resource<'_>,
    more: Vec<(&'static str, Option<Json>)>,
) -> Ask {
    let given = MAPPED.iter().map(|name| (*name, mapping.take(name))).chain(more);
    let body = Json::object(given.filter_map(|(name, value)| Some((name, value?))));
    Ask { service: Lambda, operation, body, tolerate: &[] }
}

const EVENT_SOURCE_MAPPING: Kind = Kind {
    attributes: &["EventSourceMappingArn", "Id"],
    create: |given, _| {
        let more = vec![
            ("EventSourceArn", given.take("EventSourceArn")),
            ("StartingPosition", given.take("StartingPosition")),
            ("StartingPositionTimestamp", given.take("StartingPositionTimestamp")),
            ("Tags", given.tag_map()),
        ];
        Ok(vec![mapping("CreateEventSourceMapping", given, more)])
    },
    made: |given, answers| {
        let id = told(answers, 0, "UUID").to_owned();
        let arn = given.arn("lambda", &format!("event-source-mapping:{id}"));
        made(id.clone(), [("EventSourceMappingArn", arn), ("Id", id)])
    },
    update: |update, _| {
        Ok(vec![mapping("UpdateEventSourceMapping", &update.new, vec![("UUID", update.id())])])
    },
    delete: |_, made, _| {
        vec![ask(Lambda, "DeleteEventSourceMapping", [("UUID", made.id())]).or(GONE)]
    },
    ..Kind::new(
        "AWS::Lambda::EventSourceMapping",
        &[
            text("EventSourceArn").replaces(),
            text("FunctionName").required(),
            integer("BatchSize"),
            boolean("BisectBatchOnFunctionError"),
            object("DestinationConfig", &[object("OnFailure", &[text("Destination")])]),
            boolean("Enabled"),
            object("FilterCriteria", &[objects("Filters", &[text("Pattern")])]),
            texts("FunctionResponseTypes"),
            integer("MaximumBatchingWindowInSeconds"),
            integer("MaximumRecordAgeInSeconds"),
            integer("MaximumRetryAttempts"),
            integer("ParallelizationFactor"),
            object("ScalingConfig", &[integer("MaximumConcurrency")]),
            text("StartingPosition").replaces(),
            number("StartingPositionTimestamp").replaces(),
            integer("TumblingWindowInSeconds"),
            tags().replaces(),
            text("KmsKeyArn").without_effect("filters are not encrypted"),
            object("LoggingConfig", &[text("SystemLogLevel")])
                .without_effect("the node has one log"),
            object("MetricsConfig", &[texts("Metrics")]).without_effect("mappings have no metrics"),
            object("ProvisionedPollerConfig", &[]).without_effect("nothing polls"),
            object("AmazonManagedKafkaEventSourceConfig", &[]).refused(NO_KAFKA),
            object("DocumentDBEventSourceConfig", &[]).refused(NO_KAFKA),
            texts("Queues").refused(NO_KAFKA),
            object("SelfManagedEventSource", &[]).refused(NO_KAFKA),
            object("SelfManagedKafkaEventSourceConfig", &[]).refused(NO_KAFKA),
            objects("SourceAccessConfigurations", &[]).refused(NO_KAFKA),
            texts("Topics").refused(NO_KAFKA),
        ],
    )
};

fn put_invoke_config(config: &Resource<'_>) -> Ask {
    let asked = [
        ("FunctionName", config.take("FunctionName")),
        ("Qualifier", config.take("Qualifier")),
        ("DestinationConfig", config.take("DestinationConfig")),
        ("MaximumEventAgeInSeconds", config.take("MaximumEventAgeInSeconds")),
        ("MaximumRetryAttempts", config.take("MaximumRetryAttempts")),
    ];
    ask(Lambda, "PutFunctionEventInvokeConfig", asked)
}

const EVENT_INVOKE_CONFIG: Kind = Kind {
    create: |config, _| Ok(vec![put_invoke_config(config)]),
    look: |config| {
        let asked = [
            ("FunctionName", config.take("FunctionName")),
            ("Qualifier", config.take("Qualifier")),
        ];
        let found = ask(Lambda, "GetFunctionEventInvokeConfig", asked).or(GONE);
        Some(look(found, &format!("{}|{}", config.str("FunctionName"), config.str("Qualifier"))))
    },
    made: |config, _| made(config.context.generated_name(128), []),
    update: |update, _| Ok(vec![put_invoke_config(&update.new)]),
    delete: |config, _, _| {
        let asked = [
            ("FunctionName", config.take("FunctionName")),
            ("Qualifier", config.take("Qualifier")),
        ];
        vec![ask(Lambda, "DeleteFunctionEventInvokeConfig", asked).or(GONE)]
    },
    ..Kind::new(
        "AWS::Lambda::EventInvokeConfig",
        &[
            text("FunctionName").required().replaces(),
            text("Qualifier").required().replaces(),
            object(
                "DestinationConfig",
                &[
                    object("OnFailure", &[text("Destination").required()]),
                    object("OnSuccess", &[text("Destination").required()]),
                ],
            ),
            integer("MaximumEventAgeInSeconds"),
            integer("MaximumRetryAttempts"),
        ],
    )
};
