//! HTTP APIs: there is no such service, so that what is made here is for being named and refused, or
//! taken as a placeholder, by whoever deploys. Ids are those of AWS's translation; the bodies are not.

use std::collections::BTreeMap;

use super::events::Event;
use super::function::Target;
use super::policies::substitution;
use super::{Sam, allow, object, push, stable, trust};
use crate::expanded::Resource;
use crate::sub::Part;
use crate::value::{Map, Value};

const REST: &str = "ServerlessRestApi";
const HTTP: &str = "ServerlessHttpApi";

/// What events ask of APIs.
#[derive(Default)]
pub(super) struct Apis {
    /// Paths by logical id of the API.
    paths: BTreeMap<String, Vec<String>>,
    /// Whom the implied APIs come from.
    rest: Option<Resource>,
    http: Option<Resource>,
}

/// An API that the template declares.
pub(super) fn declared(sam: &mut Sam<'_>, origin: &Resource) {
    let _ = sam.api.paths.entry(origin.logical_id.clone()).or_default();
}

/// An event `Api` of a function.
pub(super) fn rest_event(sam: &mut Sam<'_>, event: &Event<'_>, target: &Target) {
    let (Some(path), Some(method)) = (event.must(sam, "Path"), event.must(sam, "Method")) else {
        return;
    };
    let (api, suffix) = rest_api(sam, event);
    let path = path.text().unwrap_or_default();
    let method = method.text().unwrap_or_default().to_uppercase();
    let method = if method == "ANY" { "*" } else { &*method };
    let source = source(sam, &api, &format!("/*/{method}{}", wild(&path)));
    push::permit(
        sam,
        event,
        target,
        &suffix,
        "apigateway.amazonaws.com",
        [("SourceArn", Some(source)), ("SourceAccount", None)],
    );
    note_path(sam, &api, &path);
}

/// An event `Api` of a state machine: the API starts it in a role.
pub(super) fn start_event(sam: &mut Sam<'_>, event: &Event<'_>, target: &Target) {
    let Some(path) = event.must(sam, "Path") else { return };
    let (api, _) = rest_api(sam, event);
    let id = format!("{}Role", event.id);
    let policy =
        allow(format!("{id}StartExecutionPolicy"), "states:StartExecution", target.arn.clone());
    let properties = Value::map([
        ("AssumeRolePolicyDocument", trust("apigateway.amazonaws.com")),
        ("Policies", Value::list([policy])),
    ]);
    sam.put_beside(&event.origin, &id, "AWS::IAM::Role", properties);
    note_path(sam, &api, &path.text().unwrap_or_default());
}

/// The API of an event, and what its stage adds to ids.
fn rest_api(sam: &mut Sam<'_>, event: &Event<'_>) -> (Value, String) {
    match event.get("RestApiId") {
        None => {
            if sam.api.rest.is_none() {
                sam.api.rest = Some(event.origin.clone());
            }
            (Value::reference(REST), "Prod".to_owned())
        }
        Some(api) => {
            let id = api.as_reference().filter(|id| sam.source.contains_key(*id));
            let stage = id.and_then(|id| sam.written.get(id)?.member("StageName"));
            let stage = id.map(|_| stage.and_then(Value::text).unwrap_or_default());
            let is_name =
                |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
            let suffix = match stage {
                Some(stage) if is_name(&stage) => stage.to_string(),
                Some(_) => "Stage".to_owned(),
                None => "AllStages".to_owned(),
            };
            (api.clone(), suffix)
        }
    }
}

/// An event `HttpApi` of a function.
pub(super) fn http_event(sam: &mut Sam<'_>, event: &Event<'_>, target: &Target) {
    let api = match event.get("ApiId") {
        Some(api) => api.clone(),
        None => {
            if sam.api.http.is_none() {
                sam.api.http = Some(event.origin.clone());
            }
            Value::reference(HTTP)
        }
    };
    let path = event.get("Path").and_then(Value::text).unwrap_or_else(|| "$default".into());
    let method = event.get("Method").and_then(Value::text).unwrap_or_else(|| "any".into());
    let any = matches!(&*method.to_lowercase(), "any" | "x-amazon-apigateway-any-method");
    let method = if any { "*".to_owned() } else { method.to_uppercase() };
    let below = if &*path == "$default" { String::new() } else { wild(&path) };
    let tail = format!("/*/{method}{below}");
    let source = source(sam, &api, &tail);
    push::permit(
        sam,
        event,
        target,
        "",
        "apigateway.amazonaws.com",
        [("SourceArn", Some(source)), ("SourceAccount", None)],
    );
    note_path(sam, &api, &path);
}

/// The path with a star for each of its parameters.
fn wild(path: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        out.push('*');
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    if out.len() > 1 && out.ends_with('/') {
        out.pop();
    }
    out
}

fn source(sam: &Sam<'_>, api: &Value, tail: &str) -> Value {
    let start = Part::Text(sam.arn("execute-api"));
    let mut open = Map::new();
    let middle = match api.text() {
        Some(text) => Part::Text(text.to_string()),
        None => {
            open.insert("__ApiId__".into(), api.clone());
            Part::Name("__ApiId__".to_owned())
        }
    };
    substitution(&[start, middle, Part::Text(tail.to_owned())], open)
}

fn note_path(sam: &mut Sam<'_>, api: &Value, path: &str) {
    if let Some(id) = api.as_reference() {
        sam.api.paths.entry(id.to_owned()).or_default().push(path.to_owned());
    }
}

/// The APIs themselves, when all events are known.
pub(super) fn finish(sam: &mut Sam<'_>) {
    let apis = std::mem::take(&mut sam.api);
    let declared: Vec<Resource> = sam
        .source
        .values()
        .filter(|one| matches!(&*one.kind, "AWS::Serverless::Api" | "AWS::Serverless::HttpApi"))
        .cloned()
        .collect();
    let implied =
        [(apis.rest, REST, "AWS::Serverless::Api"), (apis.http, HTTP, "AWS::Serverless::HttpApi")]
            .into_iter()
            .filter_map(|(origin, id, kind)| {
                let origin = origin?;
                (!sam.source.contains_key(id)).then(|| {
                    Resource {
                        logical_id: id.to_owned(),
                        kind: kind.to_owned(),
                        properties: Value::map::<&str>([]),
                        depends_on: Vec::new(),
                        metadata: None,
                        condition: None,
                        ..origin
                    }
                    .without_policies()
                })
            });
    let all: Vec<Resource> = declared.into_iter().chain(implied.collect::<Vec<_>>()).collect();
    for api in all {
        let paths = apis.paths.get(&api.logical_id).map(Vec::as_slice).unwrap_or_default();
        if api.kind == "AWS::Serverless::Api" {
            rest(sam, &api, paths);
        } else {
            http(sam, &api, paths);
        }
    }
}

fn body(api: &Resource, paths: &[String]) -> Value {
    if let Some(own) = api.properties.member("DefinitionBody") {
        return own.clone();
    }
    let paths = paths.iter().map(|path| (path.as_str(), Value::map::<&str>([])));
    Value::map([
        ("openapi", Value::string("3.0.1")),
        ("info", Value::map([("version", Value::string("1.0"))])),
        ("paths", Value::map(paths)),
    ])
}

fn rest(sam: &mut Sam<'_>, api: &Resource, paths: &[String]) {
    let id = &*api.logical_id;
    let get = |name: &str| api.properties.member(name).cloned();
    let body = body(api, paths);
    let hash = stable::hash(&body);
    let properties = object([
        ("Name", get("Name")),
        ("Description", get("Description")),
        ("Body", Some(body)),
        ("EndpointConfiguration", get("EndpointConfiguration")),
    ]);
    sam.put_main(api, "AWS::ApiGateway::RestApi", properties);
    let deployment = format!("{id}Deployment{hash}");
    let of = || Value::reference(id);
    sam.put_beside(
        api,
        &deployment,
        "AWS::ApiGateway::Deployment",
        Value::map([("RestApiId", of()), ("StageName", Value::string("Stage"))]),
    );
    let stage = get("StageName").unwrap_or_else(|| Value::string("Prod"));
    let name = stage.text().filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric()));
    let stage_id = match name {
        Some(name) => format!("{id}{name}Stage"),
        None => format!("{id}Stage"),
    };
    let properties = object([
        ("RestApiId", Some(of())),
        ("DeploymentId", Some(Value::reference(&deployment))),
        ("StageName", Some(stage)),
        ("Variables", get("Variables")),
        ("TracingEnabled", get("TracingEnabled")),
    ]);
    sam.put_beside(api, &stage_id, "AWS::ApiGateway::Stage", properties);
    sam.parts.insert((id.to_owned(), "Stage"), stage_id);
    sam.parts.insert((id.to_owned(), "Deployment"), deployment);
}

fn http(sam: &mut Sam<'_>, api: &Resource, paths: &[String]) {
    let id = &*api.logical_id;
    let get = |name: &str| api.properties.member(name).cloned();
    let properties = object([("Name", get("Name")), ("Body", Some(body(api, paths)))]);
    sam.put_main(api, "AWS::ApiGatewayV2::Api", properties);
    let stage = get("StageName").and_then(|name| name.text()).filter(|name| &**name != "$default");
    let stage_id = match &stage {
        Some(name) => {
            let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
            format!("{id}{letters}Stage")
        }
        None => format!("{id}ApiGatewayDefaultStage"),
    };
    let name = stage.unwrap_or_else(|| "$default".into());
    let properties = object([
        ("ApiId", Some(Value::reference(id))),
        ("StageName", Some(Value::string(name))),
        ("AutoDeploy", Some(Value::from(true))),
        ("DefaultRouteSettings", get("DefaultRouteSettings")),
        ("StageVariables", get("StageVariables")),
    ]);
    sam.put_beside(api, &stage_id, "AWS::ApiGatewayV2::Stage", properties);
    sam.parts.insert((id.to_owned(), "Stage"), stage_id);
}
