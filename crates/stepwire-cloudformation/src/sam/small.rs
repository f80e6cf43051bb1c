//! `AWS::Serverless::LayerVersion` and `AWS::Serverless::SimpleTable`.

use super::{Sam, object, stable, tags};
use crate::expanded::{Policy, Resource};
use crate::value::Value;

/// A layer gets a new logical id whenever it changes, so that older versions stay.
pub(super) fn layer(sam: &mut Sam<'_>, origin: &Resource) {
    sam.only(
        origin,
        &[
            "CompatibleArchitectures",
            "CompatibleRuntimes",
            "ContentUri",
            "Description",
            "LayerName",
            "LicenseInfo",
            "PublishLambdaVersion",
            "RetentionPolicy",
        ],
    );
    let get = |name: &str| origin.properties.member(name);
    let Some(uri) = get("ContentUri") else {
        sam.wrong(origin, origin.place, "Missing required property 'ContentUri'.");
        return;
    };
    let Some(content) = sam.location(origin, "ContentUri", uri) else { return };
    let mut retention = match origin.deletion_policy {
        Policy::Delete => Policy::Retain,
        other => other,
    };
    if let Some(wish) = get("RetentionPolicy") {
        match wish.text().map(|text| text.to_lowercase()).as_deref() {
            Some("retain") => retention = Policy::Retain,
            Some("delete") => retention = Policy::Delete,
            _ => sam.wrong(
                origin,
                wish.pointer(),
                "'RetentionPolicy' must be one of the following options: ['Retain', 'Delete'].",
            ),
        }
    }
    let hashed = object([
        ("Type", Some(Value::string("AWS::Serverless::LayerVersion"))),
        ("Properties", sam.written.get(&origin.logical_id).cloned()),
        ("Condition", origin.condition.as_deref().map(Value::string)),
    ]);
    let hashed = Value::map([(origin.logical_id.as_str(), hashed)]);
    let id = format!("{}{}", origin.logical_id, stable::hash(&hashed));
    let name = get("LayerName").cloned();
    let properties = object([
        ("LayerName", Some(name.unwrap_or_else(|| Value::string(origin.logical_id.as_str())))),
        ("Description", get("Description").cloned()),
        ("Content", Some(Value { key: uri.key, place: uri.place, ..content.for_lambda() })),
        ("CompatibleArchitectures", get("CompatibleArchitectures").cloned()),
        ("CompatibleRuntimes", get("CompatibleRuntimes").cloned()),
        ("LicenseInfo", get("LicenseInfo").cloned()),
    ]);
    let resource = Resource {
        logical_id: id.clone(),
        kind: "AWS::Lambda::LayerVersion".to_owned(),
        properties,
        deletion_policy: retention,
        ..origin.clone()
    };
    sam.put(origin, resource);
    sam.renamed.insert(origin.logical_id.clone(), id);
}

/// A table with one key.
pub(super) fn table(sam: &mut Sam<'_>, origin: &Resource) {
    sam.only(
        origin,
        &[
            "PointInTimeRecoverySpecification",
            "PrimaryKey",
            "ProvisionedThroughput",
            "SSESpecification",
            "TableName",
            "Tags",
        ],
    );
    let get = |name: &str| origin.properties.member(name);
    let (name, kind) = match get("PrimaryKey") {
        None => (Value::string("id"), "S"),
        Some(key) => {
            let kind = match key.member("Type").and_then(Value::as_str) {
                Some("String") => "S",
                Some("Number") => "N",
                Some("Binary") => "B",
                other => {
                    let what = format!("Invalid 'Type' \"{}\".", other.unwrap_or_default());
                    sam.wrong(origin, key.pointer(), &what);
                    return;
                }
            };
            let Some(name) = key.member("Name") else {
                sam.wrong(origin, key.pointer(), "Property 'PrimaryKey.Name' is required.");
                return;
            };
            (name.clone(), kind)
        }
    };
    let attribute =
        Value::map([("AttributeName", name.clone()), ("AttributeType", Value::string(kind))]);
    let key = Value::map([("AttributeName", name), ("KeyType", Value::string("HASH"))]);
    let throughput = get("ProvisionedThroughput").cloned();
    let billing = throughput.is_none().then(|| Value::string("PAY_PER_REQUEST"));
    let own_tags = get("Tags").filter(|own| own.as_map().is_some_and(|own| !own.is_empty()));
    let properties = object([
        ("AttributeDefinitions", Some(Value::list([attribute]))),
        ("KeySchema", Some(Value::list([key]))),
        ("PointInTimeRecoverySpecification", get("PointInTimeRecoverySpecification").cloned()),
        ("ProvisionedThroughput", throughput),
        ("BillingMode", billing),
        ("SSESpecification", get("SSESpecification").cloned()),
        ("TableName", get("TableName").cloned()),
        ("Tags", own_tags.map(|own| tags(None, Some(own)))),
    ]);
    sam.put_main(origin, "AWS::DynamoDB::Table", properties);
}
