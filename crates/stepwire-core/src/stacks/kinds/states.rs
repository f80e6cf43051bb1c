//! `AWS::StepFunctions::*`.

use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::property::{Property, any, boolean, integer, object, objects, tags, text, texts};
use super::resource::{Resource, ask, body, camel, listed, look, made, s, told};
use super::{Ask, Kind, Update};
use crate::request::Service::{S3, States};

/// Errors of what is not there.
const GONE: &[&str] = &["StateMachineDoesNotExist", "ActivityDoesNotExist", "ResourceNotFound"];

pub(super) const KINDS: &[Kind] = &[STATE_MACHINE, ACTIVITY, VERSION, ALIAS];

const ENCRYPTION: Property = object(
    "EncryptionConfiguration",
    &[integer("KmsDataKeyReusePeriodSeconds"), text("KmsKeyId"), text("Type").required()],
)
.shown("histories are not encrypted");

/// What comes before a definition is known: reading the object that it is in.
fn source(machine: &Resource<'_>) -> Result<Option<Ask>, String> {
    let given = ["Definition", "DefinitionS3Location", "DefinitionString"];
    let given: Vec<&str> = given.into_iter().filter(|name| machine.get(name).is_some()).collect();
    match given.as_slice() {
        [] => {
            Err("one of Definition, DefinitionString and DefinitionS3Location must be given"
                .to_owned())
        }
        ["DefinitionS3Location"] => {
            let of = |name: &str| machine.get("DefinitionS3Location")?.member(name).cloned();
            let asked =
                [("Bucket", of("Bucket")), ("Key", of("Key")), ("VersionId", of("Version"))];
            Ok(Some(ask(S3, "GetObject", asked)))
        }
        [_] => Ok(None),
        _ => Err("only one of Definition, DefinitionString and DefinitionS3Location can be given"
            .to_owned()),
    }
}

/// The definition with what stands for `${NAME}`.
fn definition(machine: &Resource<'_>, object: Option<&Json>) -> Result<String, String> {
    let substitutions = machine.get("DefinitionSubstitutions").and_then(Json::as_object);
    let with = |text: String| match substitutions {
        Some(substitutions) => substituted(&text, substitutions),
        None => text,
    };
    match (machine.get("Definition"), machine.text("DefinitionString"), object) {
        (Some(definition), _, _) => Ok(with(definition.to_text())),
        (_, Some(text), _) => Ok(with(text.to_owned())),
        (_, _, Some(object)) => {
            let text = object.member("Body").and_then(Json::as_str);
            let text = text.ok_or("the definition's object is not text")?;
            // Before it is read: what stands for a number may stand without quotes.
            written_as_json(&with(text.to_owned()))
        }
        _ => Ok(String::new()),
    }
}

fn substituted(text: &str, substitutions: &Object) -> String {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        made.push_str(before);
        let found = after.split_once('}').and_then(|(name, behind)| {
            let value = substitutions.get(name.trim())?;
            Some((value, behind))
        });
        match found {
            Some((Json::String(value), behind)) => {
                made.push_str(value);
                rest = behind;
            }
            Some((value, behind)) => {
                made.push_str(&value.to_text());
                rest = behind;
            }
            None => {
                made.push_str("${");
                rest = after;
            }
        }
    }
    made.push_str(rest);
    made
}

/// The JSON text of a definition that is written in JSON or YAML.
pub fn written_as_json(text: &str) -> Result<String, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') {
        return Ok(text.to_owned());
    }
    match stepwire_cloudformation::read(text) {
        Ok(value) if value.as_map().is_some() => Ok(value.to_json().to_text()),
        Ok(_) => Err("the definition is neither a JSON nor a YAML object".to_owned()),
        Err(wrong) => {
            Err(format!("the definition is not YAML: {} ({})", wrong.message, wrong.place))
        }
    }
}

fn logging(machine: &Resource<'_>) -> Option<Json> {
    machine.get("LoggingConfiguration").map(|given| camel(given, &[]))
}

fn tracing(machine: &Resource<'_>) -> Option<Json> {
    machine.get("TracingConfiguration").map(|given| camel(given, &[]))
}

fn encryption(machine: &Resource<'_>) -> Option<Json> {
    machine.get("EncryptionConfiguration").map(|given| camel(given, &[]))
}

fn retag(update: &Update<'_>) -> Vec<Ask> {
    let tags = update.retagged();
    let arn = || update.id();
    let mut asks = Vec::new();
    if !tags.gone.is_empty() {
        let asked = [("resourceArn", arn()), ("tagKeys", tags.keys())];
        asks.push(ask(States, "UntagResource", asked));
    }
    if !tags.set.is_empty() {
        let set = listed(tags.set, "key", "value");
        asks.push(ask(States, "TagResource", [("resourceArn", arn()), ("tags", Some(set))]));
    }
    asks
}

fn machine_name(machine: &Resource<'_>) -> String {
    let given = machine.text("StateMachineName");
    given.map_or_else(|| machine.context.short_name(80), str::to_owned)
}

const STATE_MACHINE: Kind = Kind {
    attributes: &["Arn", "Name", "StateMachineRevisionId"],
    create: |machine, answers| {
        let source = source(machine)?;
        if source.is_some() && answers.is_empty() {
            return Ok(source.into_iter().collect());
        }
        let object = answers.first().filter(|_| source.is_some());
        let asked = [
            ("name", s(machine_name(machine))),
            ("definition", s(definition(machine, object)?)),
            ("roleArn", machine.take("RoleArn")),
            ("type", machine.take("StateMachineType")),
            ("loggingConfiguration", logging(machine)),
            ("tracingConfiguration", tracing(machine)),
            ("encryptionConfiguration", encryption(machine)),
            ("tags", machine.tag_list("key", "value")),
        ];
        Ok(source.into_iter().chain([ask(States, "CreateStateMachine", asked)]).collect())
    },
    look: |machine| {
        machine.text("StateMachineName")?;
        let arn = machine.arn("states", &format!("stateMachine:{}", machine_name(machine)));
        let asked = [("stateMachineArn", s(arn.as_str()))];
        Some(look(ask(States, "DescribeStateMachine", asked).or(GONE), &arn))
    },
    made: |machine, _| {
        let name = machine_name(machine);
        let arn = machine.arn("states", &format!("stateMachine:{name}"));
        let attributes = [
            ("Arn", arn.clone()),
            ("Name", name),
            ("StateMachineRevisionId", "INITIAL".to_owned()),
        ];
        made(arn, attributes)
    },
    update: |update, answers| {
        let machine = &update.new;
        let mut asks = Vec::new();
        if update.changes_any(&[
            "Definition",
            "DefinitionS3Location",
            "DefinitionString",
            "DefinitionSubstitutions",
            "EncryptionConfiguration",
            "LoggingConfiguration",
            "RoleArn",
            "TracingConfiguration",
        ]) {
            let source = source(machine)?;
            if source.is_some() && answers.is_empty() {
                return Ok(source.into_iter().collect());
            }
            let object = answers.first().filter(|_| source.is_some());
            let off =
                || update.changes("LoggingConfiguration").then(|| body([("level", s("OFF"))]));
            let untraced = || {
                let changes = update.changes("TracingConfiguration");
                changes.then(|| body([("enabled", Some(false.into()))]))
            };
            let asked = [
                ("stateMachineArn", update.id()),
                ("definition", s(definition(machine, object)?)),
                ("roleArn", machine.take("RoleArn")),
                ("loggingConfiguration", logging(machine).or_else(off)),
                ("tracingConfiguration", tracing(machine).or_else(untraced)),
                ("encryptionConfiguration", encryption(machine)),
            ];
            asks.extend(source);
            asks.push(ask(States, "UpdateStateMachine", asked));
        }
        asks.extend(retag(update));
        Ok(asks)
    },
    updated: |update, answers| {
        let mut made = update.made.clone();
        let mut revisions = answers.iter().filter_map(|answer| answer.member("revisionId"));
        if let Some(revision) = revisions.next_back() {
            made.attributes.insert("StateMachineRevisionId".to_owned(), revision.clone());
        }
        made
    },
    delete: |_, made, _| {
        vec![ask(States, "DeleteStateMachine", [("stateMachineArn", made.id())]).or(GONE)]
    },
    ..Kind::new(
        "AWS::StepFunctions::StateMachine",
        &[
            text("RoleArn").required(),
            any("Definition"),
            text("DefinitionString"),
            object(
                "DefinitionS3Location",
                &[text("Bucket").required(), text("Key").required(), text("Version")],
            ),
            super::property::map_of("DefinitionSubstitutions", &super::property::Shape::Any),
            text("StateMachineName").replaces(),
            text("StateMachineType").replaces(),
            object(
                "LoggingConfiguration",
                &[
                    objects(
                        "Destinations",
                        &[object("CloudWatchLogsLogGroup", &[text("LogGroupArn")])],
                    ),
                    boolean("IncludeExecutionData"),
                    text("Level"),
                ],
            ),
            object("TracingConfiguration", &[boolean("Enabled")]).shown("nothing is traced"),
            ENCRYPTION,
            tags(),
        ],
    )
};

const ACTIVITY: Kind = Kind {
    attributes: &["Arn", "Name"],
    create: |activity, _| {
        let asked = [
            ("name", activity.take("Name")),
            ("encryptionConfiguration", encryption(activity)),
            ("tags", activity.tag_list("key", "value")),
        ];
        Ok(vec![ask(States, "CreateActivity", asked)])
    },
    look: |activity| {
        let arn = activity.arn("states", &format!("activity:{}", activity.str("Name")));
        let asked = [("activityArn", s(arn.as_str()))];
        Some(look(ask(States, "DescribeActivity", asked).or(GONE), &arn))
    },
    made: |activity, _| {
        let name = activity.str("Name").to_owned();
        let arn = activity.arn("states", &format!("activity:{name}"));
        made(arn.clone(), [("Arn", arn), ("Name", name)])
    },
    update: |update, _| Ok(retag(update)),
    delete: |_, made, _| vec![ask(States, "DeleteActivity", [("activityArn", made.id())]).or(GONE)],
    ..Kind::new(
        "AWS::StepFunctions::Activity",
        &[text("Name").required().replaces(), ENCRYPTION.replaces(), tags()],
    )
};

const VERSION: Kind = Kind {
    attributes: &["Arn"],
    create: |version, _| {
        let asked = [
            ("stateMachineArn", version.take("StateMachineArn")),
            ("revisionId", version.take("StateMachineRevisionId")),
            ("description", version.take("Description")),
        ];
        Ok(vec![ask(States, "PublishStateMachineVersion", asked)])
    },
    made: |_, answers| {
        let arn = told(answers, 0, "stateMachineVersionArn");
        made(arn, [("Arn", arn.to_owned())])
    },
    delete: |_, made, _| {
        let asked = [("stateMachineVersionArn", made.id())];
        vec![ask(States, "DeleteStateMachineVersion", asked).or(GONE)]
    },
    ..Kind::new(
        "AWS::StepFunctions::StateMachineVersion",
        &[
            text("StateMachineArn").required().replaces(),
            text("StateMachineRevisionId").replaces(),
            text("Description").replaces(),
        ],
    )
};

/// Where an alias leads: all at once, where a gradual deployment is asked for.
fn routes(alias: &Resource<'_>) -> Option<Json> {
    if let Some(preference) = alias.get("DeploymentPreference") {
        let all = body([
            ("stateMachineVersionArn", preference.member("StateMachineVersionArn").cloned()),
            ("weight", Some(100.into())),
        ]);
        return Some(Json::array([all]));
    }
    alias.get("RoutingConfiguration").map(|routes| camel(routes, &[]))
}

const GRADUAL: &str = "the alias leads to the new version at once";

const ALIAS: Kind = Kind {
    attributes: &["Arn"],
    create: |alias, _| {
        let asked = [
            (
                "name",
                s(alias.text("Name").map_or_else(|| alias.context.short_name(80), str::to_owned)),
            ),
            ("description", alias.take("Description")),
            ("routingConfiguration", routes(alias)),
        ];
        Ok(vec![ask(States, "CreateStateMachineAlias", asked)])
    },
    made: |_, answers| {
        let arn = told(answers, 0, "stateMachineAliasArn");
        made(arn, [("Arn", arn.to_owned())])
    },
    update: |update, _| {
        let asked = [
            ("stateMachineAliasArn", update.id()),
            ("description", update.new.take("Description").or_else(|| s(""))),
            ("routingConfiguration", routes(&update.new)),
        ];
        Ok(vec![ask(States, "UpdateStateMachineAlias", asked)])
    },
    delete: |_, made, _| {
        let asked = [("stateMachineAliasArn", made.id())];
        vec![ask(States, "DeleteStateMachineAlias", asked).or(GONE)]
    },
    ..Kind::new(
        "AWS::StepFunctions::StateMachineAlias",
        &[
            text("Name").replaces(),
            text("StateMachineArn").without_effect("its versions say it"),
            text("Description"),
            objects(
                "RoutingConfiguration",
                &[text("StateMachineVersionArn").required(), integer("Weight").required()],
            ),
            object(
                "DeploymentPreference",
                &[
                    text("StateMachineVersionArn").required(),
                    text("Type").without_effect(GRADUAL),
                    integer("Percentage").without_effect(GRADUAL),
                    integer("Interval").without_effect(GRADUAL),
                    texts("Alarms").without_effect(GRADUAL),
                ],
            ),
        ],
    )
};
