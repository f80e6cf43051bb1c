//! `AWS::Serverless::Function`.

use std::sync::Arc;

use super::{Sam, events, invoke, object, policies, stable, tags, trust};
use crate::expanded::{Artifacts, Policy, Resource};
use crate::value::{Data, Map, Value};

const PROPERTIES: &[&str] = &[
    "Architectures",
    "AssumeRolePolicyDocument",
    "AutoPublishAlias",
    "AutoPublishAliasAllProperties",
    "CapacityProviderConfig",
    "DurableConfig",
    "FunctionScalingConfig",
    "PublishToLatestPublished",
    "TenancyConfig",
    "AutoPublishCodeSha256",
    "CodeSigningConfigArn",
    "CodeUri",
    "DeadLetterQueue",
    "DeploymentPreference",
    "Description",
    "Environment",
    "EphemeralStorage",
    "EventInvokeConfig",
    "Events",
    "FileSystemConfigs",
    "FunctionName",
    "FunctionUrlConfig",
    "Handler",
    "ImageConfig",
    "ImageUri",
    "InlineCode",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "PackageType",
    "PermissionsBoundary",
    "Policies",
    "PropagateTags",
    "ProvisionedConcurrencyConfig",
    "RecursiveLoop",
    "ReservedConcurrentExecutions",
    "Role",
    "RolePath",
    "Runtime",
    "RuntimeManagementConfig",
    "SnapStart",
    "SourceKMSKeyArn",
    "Tags",
    "Timeout",
    "Tracing",
    "VersionDeletionPolicy",
    "VersionDescription",
    "VpcConfig",
];

/// Those that `AWS::Lambda::Function` has under the same name and form.
const SAME: &[&str] = &[
    "FunctionName",
    "Handler",
    "Runtime",
    "Description",
    "MemorySize",
    "Timeout",
    "VpcConfig",
    "Environment",
    "KmsKeyArn",
    "ReservedConcurrentExecutions",
    "Layers",
    "FileSystemConfigs",
    "PackageType",
    "Architectures",
    "SnapStart",
    "EphemeralStorage",
    "CodeSigningConfigArn",
    "RuntimeManagementConfig",
    "LoggingConfig",
    "RecursiveLoop",
    "CapacityProviderConfig",
    "DurableConfig",
    "FunctionScalingConfig",
    "PublishToLatestPublished",
    "TenancyConfig",
];

/// How an event's target is named: the function, or the alias that is published.
pub(super) struct Target {
    /// Its logical id.
    pub(super) logical_id: String,
    /// `FunctionName` of a permission or an event source.
    pub(super) name: Value,
    /// Its ARN.
    pub(super) arn: Value,
}

/// A role that the transform makes, while it grows.
#[derive(Default)]
pub(super) struct Role {
    /// ARNs of managed policies.
    pub(super) managed: Vec<Value>,
    /// Policies of its own.
    pub(super) documents: Vec<Value>,
}

pub(super) fn expand(sam: &mut Sam<'_>, origin: &Resource) {
    sam.only(origin, PROPERTIES);
    let id = &*origin.logical_id;
    let get = |name: &str| origin.properties.member(name);
    for image in ["ImageUri", "ImageConfig"] {
        if let Some(value) = get(image) {
            sam.wrong(
                origin,
                value.pointer(),
                &format!("{image}: container images are not supported"),
            );
            sam.hint("use PackageType Zip with CodeUri, Handler and Runtime");
            return;
        }
    }
    if get("PackageType").and_then(Value::text).is_some_and(|kind| &*kind != "Zip") {
        let place = get("PackageType").map_or(origin.place, Value::pointer);
        sam.wrong(origin, place, "PackageType: container images are not supported");
        return;
    }
    if get("Runtime").is_none() || get("Handler").is_none() {
        sam.wrong(
            origin,
            origin.place,
            "Runtime and Handler needs to be present when PackageType is of type `Zip`",
        );
        return;
    }
    // What else is wrong is told too.
    let code = code(sam, origin).unwrap_or_else(|| Value::map::<&str>([]));
    let mut role = Role::default();
    let mut target = Target {
        logical_id: id.to_owned(),
        name: Value::reference(id),
        arn: Value::attribute(id, "Arn"),
    };

    let mut properties = Map::new();
    for name in SAME {
        if let Some(value) = get(name) {
            properties.insert((*name).into(), value.clone());
        }
    }
    properties.insert("Code".into(), code.clone());
    properties.insert("Tags".into(), tags(Some(("lambda:createdBy", "SAM")), get("Tags")));
    let is_traced = get("Tracing").filter(|mode| mode.as_str() != Some("Disabled"));
    if let Some(mode) = is_traced {
        properties.insert("TracingConfig".into(), Value::map([("Mode", mode.clone())]));
    }
    if let Some(dead) = get("DeadLetterQueue") {
        let (kind, arn) = (dead.member("Type").and_then(Value::as_str), dead.member("TargetArn"));
        match (kind, arn) {
            (Some("SQS" | "SNS"), Some(arn)) => {
                properties
                    .insert("DeadLetterConfig".into(), Value::map([("TargetArn", arn.clone())]));
            }
            (Some(_), Some(_)) => {
                sam.wrong(
                    origin,
                    dead.pointer(),
                    "'DeadLetterQueue' requires Type of ['SQS', 'SNS']",
                );
            }
            _ => sam.wrong(
                origin,
                dead.pointer(),
                "'DeadLetterQueue' requires Type and TargetArn properties to be specified.",
            ),
        }
    }
    if get("Role").is_some() {
        properties.insert("Role".into(), get("Role").cloned().unwrap_or_default());
    } else {
        properties.insert("Role".into(), Value::attribute(&format!("{id}Role"), "Arn"));
    }
    let alias = get("AutoPublishAlias");
    let sha = get("AutoPublishCodeSha256").and_then(Value::text).filter(|_| alias.is_some());
    if let Some(sha) = &sha {
        let described = match get("Description").and_then(Value::text) {
            Some(text) => format!("{text} {sha}"),
            None => sha.to_string(),
        };
        properties.insert("Description".into(), Value::string(described));
    }
    let function = Value::new(Data::Map(Arc::new(properties)), origin.properties.place);
    sam.put_main(origin, "AWS::Lambda::Function", function.clone());

    if let Some(alias) = alias {
        publish(sam, origin, alias, &code, &function, sha.as_deref(), &mut target);
    } else if let Some(value) = get("ProvisionedConcurrencyConfig") {
        sam.wrong(
            origin,
            value.pointer(),
            "To set ProvisionedConcurrencyConfig AutoPublishALias must be defined on the function",
        );
    }
    if let Some(config) = get("FunctionUrlConfig") {
        url(sam, origin, config, &target);
    }
    if let Some(preference) = get("DeploymentPreference") {
        let enabled = preference.member("Enabled").is_none_or(|on| on.as_bool() != Some(false));
        if enabled && alias.is_none() {
            sam.wrong(
                origin,
                preference.pointer(),
                "'DeploymentPreference' requires AutoPublishAlias property to be specified.",
            );
        } else if enabled {
            sam.note(
                preference.pointer(),
                format!("DeploymentPreference of {id} is without effect: the alias moves at once"),
            );
        }
    }
    if let Some(propagate) = get("PropagateTags")
        && propagate.as_bool() == Some(true)
    {
        let told = "is without effect: the function and its role have the tags";
        sam.note(propagate.pointer(), format!("PropagateTags of {id} {told}"));
    }
    let makes_role = get("Role").is_none();
    if !makes_role && let Some(policies) = get("Policies") {
        sam.note(
            policies.pointer(),
            format!(
                "Policies of {id} are without effect: it has a Role of its own, as SAM does it"
            ),
        );
    }
    basics(sam, origin, is_traced.is_some(), &mut role);
    let invoked = invoke::expand(sam, origin, &target, alias);
    role.documents.extend(invoked);
    let mut managed = std::mem::take(&mut role.managed);
    let mut documents = std::mem::take(&mut role.documents);
    if makes_role {
        policies::add(sam, origin, get("Policies"), &mut managed, &mut documents);
    }
    role.managed = managed;
    role.documents = documents;

    if makes_role {
        // Its place is before what the events make; its policies grow with them.
        sam.put_beside(origin, &format!("{id}Role"), "AWS::IAM::Role", Value::default());
    }
    events::expand(sam, origin, &target, &mut role);
    if makes_role {
        let documents = (!role.documents.is_empty()).then(|| Value::list(role.documents));
        let assume = get("AssumeRolePolicyDocument").cloned();
        let properties = object([
            (
                "AssumeRolePolicyDocument",
                Some(assume.unwrap_or_else(|| trust("lambda.amazonaws.com"))),
            ),
            ("ManagedPolicyArns", Some(Value::list(role.managed))),
            ("Policies", documents),
            ("Path", get("RolePath").cloned()),
            ("PermissionsBoundary", get("PermissionsBoundary").cloned()),
            ("Tags", Some(tags(Some(("lambda:createdBy", "SAM")), get("Tags")))),
        ]);
        sam.put_beside(origin, &format!("{id}Role"), "AWS::IAM::Role", properties);
    }
}

/// What the role of every function has.
fn basics(sam: &Sam<'_>, origin: &Resource, is_traced: bool, role: &mut Role) {
    let get = |name: &str| origin.properties.member(name);
    let basic = match get("DurableConfig") {
        Some(_) => "service-role/AWSLambdaBasicDurableExecutionRolePolicy",
        None => "service-role/AWSLambdaBasicExecutionRole",
    };
    role.managed.push(sam.managed(basic));
    if is_traced {
        role.managed.push(sam.managed("AWSXrayWriteOnlyAccess"));
    }
    if get("VpcConfig").is_some() {
        role.managed.push(sam.managed("service-role/AWSLambdaVPCAccessExecutionRole"));
    }
    let Some(dead) = get("DeadLetterQueue") else { return };
    let action = match dead.member("Type").and_then(Value::as_str) {
        Some("SNS") => "sns:Publish",
        _ => "sqs:SendMessage",
    };
    let statement = object([
        ("Action", Some(Value::string(action))),
        ("Resource", dead.member("TargetArn").cloned()),
        ("Effect", Some(Value::string("Allow"))),
    ]);
    role.documents.push(Value::map([
        ("PolicyName", Value::string("DeadLetterQueuePolicy")),
        (
            "PolicyDocument",
            Value::map([
                ("Version", Value::string("2012-10-17")),
                ("Statement", Value::list([statement])),
            ]),
        ),
    ]));
}

/// `Code` of the function.
fn code(sam: &mut Sam<'_>, origin: &Resource) -> Option<Value> {
    let get = |name: &str| origin.properties.member(name);
    let mut code = match (get("InlineCode"), get("CodeUri")) {
        (Some(inline), _) => Value::map([("ZipFile", inline.clone())]).at(inline.place),
        (None, Some(uri)) => {
            let key = uri.key;
            let place = uri.place;
            let code = sam.location(origin, "CodeUri", uri)?.for_lambda();
            Value { place, key, ..code }
        }
        (None, None) if sam.given.artifacts == Artifacts::Local => {
            let here = Value::string(".").at(origin.place);
            sam.location(origin, "CodeUri", &here)?.for_lambda()
        }
        (None, None) => {
            sam.wrong(origin, origin.place, "Only one of 'InlineCode' or 'CodeUri' can be set.");
            sam.hint("give the folder of the code as CodeUri");
            return None;
        }
    };
    if let Some(key) = get("SourceKMSKeyArn") {
        let mut members = code.as_map().cloned().unwrap_or_default();
        members.insert("SourceKMSKeyArn".into(), key.clone());
        code.data = Data::Map(Arc::new(members));
    }
    Some(code)
}

/// A version, whose id follows the code, and an alias that points to it.
fn publish(
    sam: &mut Sam<'_>,
    origin: &Resource,
    alias: &Value,
    code: &Value,
    function: &Value,
    sha: Option<&str>,
    target: &mut Target,
) {
    let id = &*origin.logical_id;
    let get = |name: &str| origin.properties.member(name);
    let Some(name) = alias.text() else {
        sam.wrong(
            origin,
            alias.pointer(),
            "'AutoPublishAlias' must be a string or a Ref to a template parameter",
        );
        return;
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(is_name) || name.chars().all(|c| c.is_ascii_digit()) {
        let what = format!(
            "AutoPublishAlias name ('{name}') must contain only alphanumeric characters, hyphens, or underscores matching (?!^[0-9]+$)([a-zA-Z0-9-_]+) pattern."
        );
        sam.wrong(origin, alias.pointer(), &what);
        return;
    }
    let hash = match sha {
        Some(sha) => sha.chars().take(10).filter(char::is_ascii_alphanumeric).collect(),
        None if get("AutoPublishAliasAllProperties").and_then(Value::as_bool) == Some(true) => {
            stable::hash(function)
        }
        None => {
            let mut hashed = code.as_map().cloned().unwrap_or_default();
            let written = |name: &str| sam.written(origin, name);
            let environment = written("Environment").and_then(Value::as_map);
            for (name, value) in environment.into_iter().flatten() {
                hashed.insert(name.clone(), value.clone());
            }
            if let Some(size) = written("MemorySize") {
                hashed.insert("MemorySize".into(), size.clone());
            }
            let snap = get("SnapStart");
            let applies = snap.and_then(|snap| snap.member("ApplyOn")).and_then(Value::text);
            if let (Some(snap), Some(_)) = (snap, applies.filter(|on| &**on != "None")) {
                hashed.insert("SnapStart".into(), snap.clone());
            }
            stable::hash(&Value::new(Data::Map(Arc::new(hashed)), code.place))
        }
    };
    let version_id = format!("{id}Version{hash}");
    let description = get("VersionDescription").cloned();
    let version =
        object([("FunctionName", Some(Value::reference(id))), ("Description", description)]);
    let mut version = super::beside(origin, &version_id, "AWS::Lambda::Version", version);
    let wish = get("VersionDeletionPolicy").and_then(Value::text);
    version.deletion_policy = match wish.as_deref().and_then(Policy::parse) {
        Some(policy) => policy,
        None if origin.deletion_policy == Policy::Delete => Policy::Retain,
        None => origin.deletion_policy,
    };
    sam.put(origin, version);

    let alias_id = format!("{id}Alias{}", name.replace('-', "D").replace('_', "U"));
    let properties = object([
        ("Name", Some(Value::string(name).at(alias.place))),
        ("FunctionName", Some(Value::reference(id))),
        ("FunctionVersion", Some(Value::attribute(&version_id, "Version"))),
        ("ProvisionedConcurrencyConfig", get("ProvisionedConcurrencyConfig").cloned()),
    ]);
    sam.put_beside(origin, &alias_id, "AWS::Lambda::Alias", properties);
    *target = Target {
        name: Value::reference(&alias_id),
        arn: Value::reference(&alias_id),
        logical_id: alias_id.clone(),
    };
    sam.parts.insert((id.to_owned(), "Version"), version_id);
    sam.parts.insert((id.to_owned(), "Alias"), alias_id);
}

fn url(sam: &mut Sam<'_>, origin: &Resource, config: &Value, target: &Target) {
    let id = &*origin.logical_id;
    let auth = config.member("AuthType");
    let is_open = auth.is_some_and(Value::is_open);
    let kind = auth.and_then(Value::as_str);
    if !is_open && !matches!(kind, Some("AWS_IAM" | "NONE")) {
        sam.wrong(
            origin,
            config.pointer(),
            "AuthType is required to configure function property `FunctionUrlConfig`. Please provide either AWS_IAM or NONE.",
        );
        return;
    }
    let properties = object([
        ("Cors", config.member("Cors").cloned()),
        ("AuthType", auth.cloned()),
        ("TargetFunctionArn", Some(target.name.clone())),
        ("InvokeMode", config.member("InvokeMode").cloned()),
    ]);
    sam.put_beside(origin, &format!("{id}Url"), "AWS::Lambda::Url", properties);
    if kind != Some("NONE") {
        return;
    }
    let everybody = |action: &str, extra: (&str, Value)| {
        Value::map([
            ("Action", Value::string(action)),
            ("FunctionName", target.name.clone()),
            ("Principal", Value::string("*")),
            extra,
        ])
    };
    let public =
        everybody("lambda:InvokeFunctionUrl", ("FunctionUrlAuthType", Value::string("NONE")));
    sam.put_beside(origin, &format!("{id}UrlPublicPermissions"), "AWS::Lambda::Permission", public);
    let by_url = everybody("lambda:InvokeFunction", ("InvokedViaFunctionUrl", Value::from(true)));
    sam.put_beside(
        origin,
        &format!("{id}URLInvokeAllowPublicAccess"),
        "AWS::Lambda::Permission",
        by_url,
    );
}
