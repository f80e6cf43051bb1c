//! What of a template names something on this machine: the list of `sam package`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use stepwire_cloudformation::{Data, Diagnostic, Place, Value};

/// A file or folder that a property names, to be stored where the node can read it.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    /// The resource.
    pub logical_id: String,
    /// Its type.
    pub kind: String,
    /// The property.
    pub property: &'static str,
    /// What it names, absolute or relative to the working folder.
    pub path: PathBuf,
    /// What is stored.
    pub content: Content,
    /// How the stored object is named in its place.
    written: Written,
    /// Where the property stands.
    pub place: Place,
    /// `Metadata` of the resource.
    pub metadata: Option<Value>,
    /// `Runtime` of a function, or the first of `CompatibleRuntimes` of a layer, if it is a text.
    pub runtime: Option<Arc<str>>,
    /// Why it cannot be stored.
    pub fault: Option<Diagnostic>,
}

/// What is stored of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// An archive of the folder, built first where it needs it.
    Code,
    /// The same, of a layer.
    Layer,
    /// The file as it is.
    File,
    /// A template, whose own artifacts are stored first.
    Template,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// `s3://bucket/key`
    Uri,
    /// A URL of the object.
    Url,
    /// Members of these names.
    Members(&'static str, &'static str),
}

/// Type, property, what is stored, how it is written. Source: AWS SAM CLI, `sam package`.
const KNOWN: [(&str, &str, Content, Written); 13] = [
    ("AWS::Serverless::Function", "CodeUri", Content::Code, Written::Uri),
    ("AWS::Lambda::Function", "Code", Content::Code, Written::Members("S3Bucket", "S3Key")),
    ("AWS::Serverless::LayerVersion", "ContentUri", Content::Layer, Written::Uri),
    ("AWS::Lambda::LayerVersion", "Content", Content::Layer, Written::Members("S3Bucket", "S3Key")),
    (
        "AWS::Serverless::StateMachine",
        "DefinitionUri",
        Content::File,
        Written::Members("Bucket", "Key"),
    ),
    (
        "AWS::StepFunctions::StateMachine",
        "DefinitionS3Location",
        Content::File,
        Written::Members("Bucket", "Key"),
    ),
    ("AWS::Serverless::Api", "DefinitionUri", Content::File, Written::Uri),
    ("AWS::Serverless::HttpApi", "DefinitionUri", Content::File, Written::Uri),
    (
        "AWS::ApiGateway::RestApi",
        "BodyS3Location",
        Content::File,
        Written::Members("Bucket", "Key"),
    ),
    ("AWS::ApiGatewayV2::Api", "BodyS3Location", Content::File, Written::Members("Bucket", "Key")),
    ("AWS::AppSync::GraphQLSchema", "DefinitionS3Location", Content::File, Written::Uri),
    ("AWS::CloudFormation::Stack", "TemplateURL", Content::Template, Written::Url),
    ("AWS::Serverless::Application", "Location", Content::Template, Written::Url),
];

/// Where an artifact was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// The object.
    pub key: String,
}

/// What the template with this content, which is in `folder`, names on this machine. What is not
/// there has a fault.
pub fn artifacts(root: &Value, folder: &Path) -> Vec<Artifact> {
    let mut found = Vec::new();
    let resources = root.member("Resources").and_then(Value::as_map);
    for (logical_id, resource) in resources.into_iter().flatten() {
        let Some(kind) = resource.member("Type").and_then(Value::as_str) else { continue };
        let known = KNOWN.iter().find(|(known, ..)| *known == kind);
        let Some(&(_, property, content, written)) = known else { continue };
        let Some(value) = named(root, resource, kind, property) else { continue };
        let Some(path) = value.as_str().filter(|text| is_local(text)) else { continue };
        let path = folder.join(path.strip_prefix("file://").unwrap_or(path));
        let fault = fault(&path, property, content);
        found.push(Artifact {
            logical_id: logical_id.to_string(),
            kind: kind.to_owned(),
            property,
            path,
            content,
            written,
            place: value.place,
            metadata: resource.member("Metadata").cloned(),
            runtime: runtime(root, resource, kind),
            fault: fault.map(|told| Diagnostic { place: value.place, ..told }),
        });
    }
    found
}

/// Why what the property names cannot be stored.
fn fault(path: &Path, property: &str, content: Content) -> Option<Diagnostic> {
    if !path.exists() {
        let why = format!("`{}` is not there, which `{property}` names", path.display());
        return Some(Diagnostic::new(Place::NOWHERE, why).hint(
            "paths are relative to the template; what a build makes has to be built before",
        ));
    }
    let must_be_file = matches!(content, Content::File | Content::Template);
    (must_be_file && path.is_dir()).then(|| {
        let why = format!("`{}` is a folder, and `{property}` names a file", path.display());
        Diagnostic::new(Place::NOWHERE, why)
    })
}

/// The property's value: the resource's own, or that of all functions.
fn named<'a>(
    root: &'a Value,
    resource: &'a Value,
    kind: &str,
    property: &str,
) -> Option<&'a Value> {
    let properties = resource.member("Properties");
    let is_function = kind == "AWS::Serverless::Function";
    // The code that is in the template is taken where both are there.
    if is_function
        && property == "CodeUri"
        && properties.is_some_and(|own| own.member("InlineCode").is_some())
    {
        return None;
    }
    let own = properties.and_then(|properties| properties.member(property));
    let global = || {
        is_function.then(|| root.member("Globals")?.member("Function")?.member(property)).flatten()
    };
    own.or_else(global)
}

fn runtime(root: &Value, resource: &Value, kind: &str) -> Option<Arc<str>> {
    let properties = resource.member("Properties");
    if kind.ends_with("LayerVersion") {
        let all = properties?.member("CompatibleRuntimes")?.as_list()?;
        return all.first()?.as_str().map(Into::into);
    }
    named(root, resource, kind, "Runtime")?.as_str().map(Into::into)
}

/// Whether a text names something on this machine.
fn is_local(text: &str) -> bool {
    !["s3://", "http://", "https://", "arn:"].iter().any(|scheme| text.starts_with(scheme))
        && !text.is_empty()
}

/// The template with each artifact's property naming where it was stored. Places stay.
pub fn relocated(root: &Value, stored: &[(&Artifact, Location)], endpoint: &str) -> Value {
    let mut root = root.clone();
    for (artifact, location) in stored {
        let Location { bucket, key } = location;
        let value = match artifact.written {
            Written::Uri => Value::string(format!("s3://{bucket}/{key}")),
            Written::Url => Value::string(format!("{endpoint}/{bucket}/{key}")),
            Written::Members(bucket_name, key_name) => Value::map([
                (bucket_name, Value::string(bucket.as_str())),
                (key_name, Value::string(key.as_str())),
            ]),
        };
        let path = ["Resources", &artifact.logical_id, "Properties", artifact.property];
        root = with(&root, &path, value.at(artifact.place));
    }
    root
}

/// `value` with another value at `path`.
fn with(value: &Value, path: &[&str], new: Value) -> Value {
    let Some((name, rest)) = path.split_first() else {
        return Value { key: value.key, ..new };
    };
    let mut members = value.as_map().cloned().unwrap_or_else(IndexMap::new);
    let old = members.get(*name).cloned().unwrap_or_default();
    members.insert(Arc::from(*name), with(&old, rest, new));
    Value { data: Data::Map(Arc::new(members)), ..value.clone() }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn template(properties: Value, kind: &str) -> Value {
        let resource = Value::map([("Type", Value::string(kind)), ("Properties", properties)]);
        Value::map([("Resources", Value::map([("R", resource)]))])
    }

    #[test]
    fn paths_of_this_machine_are_found_and_others_are_left() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("code")).unwrap();
        let found = |uri: &str| {
            let properties = Value::map([("CodeUri", Value::string(uri))]);
            artifacts(&template(properties, "AWS::Serverless::Function"), folder.path())
        };
        assert_eq!(found("code")[0].path, folder.path().join("code"));
        assert_eq!(found("code")[0].fault, None);
        assert!(found("s3://b/k").is_empty());
        assert!(found("elsewhere")[0].fault.as_ref().unwrap().message.contains("is not there"));
    }

    #[test]
    fn each_property_is_rewritten_in_its_own_form() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("f"), "").unwrap();
        for (kind, property, _, written) in KNOWN {
            let root = template(Value::map([(property, Value::string("f"))]), kind);
            let found = artifacts(&root, folder.path());
            let at = Location { bucket: "b".to_owned(), key: "k".to_owned() };
            let root = relocated(&root, &[(&found[0], at)], "http://e");
            let path = ["Resources", "R", "Properties", property];
            let value = root.nearest(&path).0.to_json().to_text();
            let expected = match written {
                Written::Uri => "\"s3://b/k\"".to_owned(),
                Written::Url => "\"http://e/b/k\"".to_owned(),
                Written::Members(bucket, key) => format!("{{\"{bucket}\":\"b\",\"{key}\":\"k\"}}"),
            };
            assert_eq!(value, expected, "{kind}");
        }
    }
}
