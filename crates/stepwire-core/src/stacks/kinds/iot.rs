//! `AWS::IoT::*`.

use std::sync::Arc;

use stepwire_asl::Json;

use super::property::{
    Property, boolean, integer, map, number, object, objects, tags, text, texts,
};
use super::resource::{Resource, ask, body, camel, look, made, nothing, s, told};
use super::{Ask, Kind, Made, Update};
use crate::request::Service::Iot;

/// The error of what is not there.
const GONE: &[&str] = &["ResourceNotFoundException"];

const NO_PACKAGES: &str =
    "put what jobs install in an S3 bucket, and its address in the job document";

pub(super) const KINDS: &[Kind] = &[
    THING,
    THING_TYPE,
    THING_GROUP,
    CERTIFICATE,
    POLICY,
    POLICY_ATTACHMENT,
    THING_ATTACHMENT,
    TOPIC_RULE,
    DESTINATION,
    Kind {
        made: |group, _| {
            let name = group.name_or("BillingGroupName", 128);
            let arn = group.arn("iot", &format!("billinggroup/{name}"));
            made(name.clone(), [("Arn", arn), ("Id", name)])
        },
        attributes: &["Arn", "Id"],
        ..Kind::without_effect("AWS::IoT::BillingGroup", "nothing is billed")
    },
    Kind {
        made: |profile, _| {
            let name = profile.name_or("SecurityProfileName", 128);
            let arn = profile.arn("iot", &format!("securityprofile/{name}"));
            made(name, [("SecurityProfileArn", arn)])
        },
        attributes: &["SecurityProfileArn"],
        ..Kind::without_effect("AWS::IoT::SecurityProfile", NO_DEFENDER)
    },
    Kind {
        made: |action, _| {
            let name = action.name_or("ActionName", 128);
            let arn = action.arn("iot", &format!("mitigationaction/{name}"));
            made(name.clone(), [("MitigationActionArn", arn), ("MitigationActionId", name)])
        },
        attributes: &["MitigationActionArn", "MitigationActionId"],
        ..Kind::without_effect("AWS::IoT::MitigationAction", NO_DEFENDER)
    },
    Kind {
        made: |audit, _| {
            let name = audit.name_or("ScheduledAuditName", 128);
            let arn = audit.arn("iot", &format!("scheduledaudit/{name}"));
            made(name, [("ScheduledAuditArn", arn)])
        },
        attributes: &["ScheduledAuditArn"],
        ..Kind::without_effect("AWS::IoT::ScheduledAudit", NO_DEFENDER)
    },
    Kind {
        made: |metric, _| {
            let name = metric.name_or("MetricName", 128);
            let arn = metric.arn("iot", &format!("custommetric/{name}"));
            made(name, [("MetricArn", arn)])
        },
        attributes: &["MetricArn"],
        ..Kind::without_effect("AWS::IoT::CustomMetric", NO_DEFENDER)
    },
    Kind {
        made: |dimension, _| {
            let name = dimension.name_or("Name", 128);
            let arn = dimension.arn("iot", &format!("dimension/{name}"));
            made(name, [("Arn", arn)])
        },
        attributes: &["Arn"],
        ..Kind::without_effect("AWS::IoT::Dimension", NO_DEFENDER)
    },
    Kind {
        made: |audit, _| made(audit.context.account, []),
        ..Kind::without_effect("AWS::IoT::AccountAuditConfiguration", NO_DEFENDER)
    },
    Kind {
        made: |logging, _| made(logging.context.account, []),
        ..Kind::without_effect("AWS::IoT::Logging", NO_LOGS)
    },
    Kind::without_effect("AWS::IoT::ResourceSpecificLogging", NO_LOGS),
    Kind::refused(
        "AWS::IoT::Authorizer",
        "custom authorizers are not available in stepwire yet; devices have certificates",
    ),
    Kind::refused(
        "AWS::IoT::CACertificate",
        "register it with `aws iot register-ca-certificate`, which checks its signature",
    ),
    Kind::refused(
        "AWS::IoT::DomainConfiguration",
        "devices connect to the addresses that `stepwire serve` is given",
    ),
    Kind::refused(
        "AWS::IoT::FleetMetric",
        "use SearchIndex and GetStatistics, or a rule with a `CloudwatchMetric` action",
    ),
    JOB_TEMPLATE,
    Kind::refused(
        "AWS::IoT::ProvisioningTemplate",
        "fleet provisioning is not available in stepwire yet; make things and certificates with the \
         API",
    ),
    Kind::refused("AWS::IoT::RoleAlias", "the credentials provider is not available in stepwire"),
    Kind::refused("AWS::IoT::SoftwarePackage", NO_PACKAGES),
    Kind::refused("AWS::IoT::SoftwarePackageVersion", NO_PACKAGES),
    Kind::refused("AWS::IoT::Command", "use jobs: `AWS::IoT::JobTemplate` and CreateJob"),
];

const NO_DEFENDER: &str = "there is no Device Defender";
const NO_LOGS: &str = "the node writes its own log";

fn attributes_of(properties: Option<&Json>) -> Option<Json> {
    let attributes = properties?.member("AttributePayload")?.member("Attributes")?.clone();
    Some(body([("attributes", Some(attributes))]))
}

/// The attributes that are to be there alone.
fn all_attributes(properties: Option<&Json>) -> Option<Json> {
    let attributes =
        properties.and_then(|all| all.member("AttributePayload")?.member("Attributes"));
    let attributes = attributes.cloned().unwrap_or_else(nothing);
    Some(body([("attributes", Some(attributes)), ("merge", Some(false.into()))]))
}

const PAYLOAD: Property = object("AttributePayload", &[map("Attributes")]);

const THING: Kind = Kind {
    attributes: &["Arn", "Id"],
    create: |thing, _| {
        let name = s(thing.name_or("ThingName", 128));
        let payload = attributes_of(Some(&thing.properties));
        Ok(vec![ask(Iot, "CreateThing", [("thingName", name), ("attributePayload", payload)])])
    },
    look: |thing| {
        let name = thing.text("ThingName")?;
        Some(look(ask(Iot, "DescribeThing", [("thingName", s(name))]).or(GONE), name))
    },
    made: |thing, answers| {
        let name = thing.name_or("ThingName", 128);
        let arn = thing.arn("iot", &format!("thing/{name}"));
        made(name, [("Arn", arn), ("Id", told(answers, 0, "thingId").to_owned())])
    },
    update: |update, _| {
        let payload = all_attributes(Some(&update.new.properties));
        let asked = [("thingName", update.id()), ("attributePayload", payload)];
        Ok(vec![ask(Iot, "UpdateThing", asked)])
    },
    delete: |_, made, _| vec![ask(Iot, "DeleteThing", [("thingName", made.id())]).or(GONE)],
    ..Kind::new("AWS::IoT::Thing", &[text("ThingName").replaces(), PAYLOAD])
};

/// The requests that make the tags of `arn` what they are to be.
fn retag(update: &Update<'_>, arn: &str) -> Vec<Ask> {
    let tags = update.retagged();
    let mut asks = Vec::new();
    if !tags.gone.is_empty() {
        let asked = [("resourceArn", s(arn)), ("tagKeys", tags.keys())];
        asks.push(ask(Iot, "UntagResource", asked));
    }
    if !tags.set.is_empty() {
        let set = super::resource::listed(tags.set, "Key", "Value");
        asks.push(ask(Iot, "TagResource", [("resourceArn", s(arn)), ("tags", Some(set))]));
    }
    asks
}

fn type_properties(kind: &Resource<'_>) -> Option<Json> {
    kind.get("ThingTypeProperties").map(|properties| camel(properties, &[]))
}

const THING_TYPE: Kind = Kind {
    attributes: &["Arn", "Id"],
    create: |kind, _| {
        let name = s(kind.name_or("ThingTypeName", 128));
        let asked = [
            ("thingTypeName", name.clone()),
            ("thingTypeProperties", type_properties(kind)),
            ("tags", kind.tag_list("Key", "Value")),
        ];
        let mut asks = vec![ask(Iot, "CreateThingType", asked)];
        if kind.is_true("DeprecateThingType") {
            asks.push(ask(Iot, "DeprecateThingType", [("thingTypeName", name)]));
        }
        Ok(asks)
    },
    look: |kind| {
        let name = kind.text("ThingTypeName")?;
        Some(look(ask(Iot, "DescribeThingType", [("thingTypeName", s(name))]).or(GONE), name))
    },
    made: |kind, answers| {
        let name = kind.name_or("ThingTypeName", 128);
        let arn = kind.arn("iot", &format!("thingtype/{name}"));
        made(name, [("Arn", arn), ("Id", told(answers, 0, "thingTypeId").to_owned())])
    },
    update: |update, _| {
        let mut asks = Vec::new();
        if update.changes("DeprecateThingType") {
            let undo = !update.new.is_true("DeprecateThingType");
            let asked = [("thingTypeName", update.id()), ("undoDeprecate", Some(undo.into()))];
            asks.push(ask(Iot, "DeprecateThingType", asked));
        }
        if update.changes("ThingTypeProperties") {
            let properties = type_properties(&update.new).or_else(|| Some(nothing()));
            let asked = [("thingTypeName", update.id()), ("thingTypeProperties", properties)];
            asks.push(ask(Iot, "UpdateThingType", asked));
        }
        asks.extend(retag(update, update.made.attribute("Arn")));
        Ok(asks)
    },
    // A type goes five minutes after it was deprecated; what says so keeps it from going at once.
    delete: |_, made, _| {
        vec![
            ask(Iot, "DeprecateThingType", [("thingTypeName", made.id())]).or(GONE),
            ask(Iot, "DeleteThingType", [("thingTypeName", made.id())])
                .or(&["ResourceNotFoundException", "InvalidRequestException"]),
        ]
    },
    ..Kind::new(
        "AWS::IoT::ThingType",
        &[
            text("ThingTypeName").replaces(),
            boolean("DeprecateThingType"),
            object(
                "ThingTypeProperties",
                &[
                    text("ThingTypeDescription"),
                    texts("SearchableAttributes"),
                    object("Mqtt5Configuration", &[])
                        .refused("no attribute is added to messages as a user property"),
                ],
            ),
            tags(),
        ],
    )
};

fn group_properties(group: &Resource<'_>, all: bool) -> Option<Json> {
    let given = group.get("ThingGroupProperties");
    let description = given.and_then(|given| given.member("ThingGroupDescription")).cloned();
    let payload = if all { all_attributes(given) } else { attributes_of(given) };
    let properties = body([("thingGroupDescription", description), ("attributePayload", payload)]);
    (all || given.is_some()).then_some(properties)
}

const THING_GROUP: Kind = Kind {
    attributes: &["Arn", "Id"],
    create: |group, _| {
        let name = s(group.name_or("ThingGroupName", 128));
        let properties = group_properties(group, false);
        let tags = group.tag_list("Key", "Value");
        Ok(vec![match group.take("QueryString") {
            Some(query) => {
                let asked = [
                    ("thingGroupName", name),
                    ("thingGroupProperties", properties),
                    ("queryString", Some(query)),
                    ("tags", tags),
                ];
                ask(Iot, "CreateDynamicThingGroup", asked)
            }
            None => {
                let asked = [
                    ("thingGroupName", name),
                    ("parentGroupName", group.take("ParentGroupName")),
                    ("thingGroupProperties", properties),
                    ("tags", tags),
                ];
                ask(Iot, "CreateThingGroup", asked)
            }
        }])
    },
    look: |group| {
        let name = group.text("ThingGroupName")?;
        Some(look(ask(Iot, "DescribeThingGroup", [("thingGroupName", s(name))]).or(GONE), name))
    },
    made: |group, answers| {
        let name = group.name_or("ThingGroupName", 128);
        let arn = group.arn("iot", &format!("thinggroup/{name}"));
        made(name, [("Arn", arn), ("Id", told(answers, 0, "thingGroupId").to_owned())])
    },
    update: |update, _| {
        let mut asks = Vec::new();
        if update.changes_any(&["ThingGroupProperties", "QueryString"]) {
            let query = update.new.take("QueryString");
            let operation =
                if query.is_some() { "UpdateDynamicThingGroup" } else { "UpdateThingGroup" };
            let asked = [
                ("thingGroupName", update.id()),
                ("thingGroupProperties", group_properties(&update.new, true)),
                ("queryString", query),
            ];
            asks.push(ask(Iot, operation, asked));
        }
        asks.extend(retag(update, update.made.attribute("Arn")));
        Ok(asks)
    },
    delete: |group, made, _| {
        let dynamic = group.get("QueryString").is_some();
        let operation = if dynamic { "DeleteDynamicThingGroup" } else { "DeleteThingGroup" };
        vec![ask(Iot, operation, [("thingGroupName", made.id())]).or(GONE)]
    },
    // A group is dynamic from the beginning or never.
    replaces: |change, old, new| {
        change.property == "QueryString"
            && (old.member("QueryString").is_none() || new.member("QueryString").is_none())
    },
    ..Kind::new(
        "AWS::IoT::ThingGroup",
        &[
            text("ThingGroupName").replaces(),
            text("ParentGroupName").replaces(),
            text("QueryString"),
            object("ThingGroupProperties", &[text("ThingGroupDescription"), PAYLOAD]),
            tags(),
        ],
    )
};

const CERTIFICATE: Kind = Kind {
    attributes: &["Arn", "Id"],
    create: |certificate, _| {
        let Some(pem) = certificate.take("CertificatePem") else {
            let hint =
                "give a `CertificatePem`, or make one with `aws iot create-keys-and-certificate`";
            return Err(format!(
                "Model validation failed (#: required key [CertificatePem] not found)\nhint: {hint}"
            ));
        };
        let status = certificate.take("Status");
        let asked = [("certificatePem", Some(pem)), ("status", status)];
        Ok(vec![ask(Iot, "RegisterCertificateWithoutCA", asked)])
    },
    made: |_, answers| {
        let (id, arn) = (told(answers, 0, "certificateId"), told(answers, 0, "certificateArn"));
        made(id, [("Arn", arn.to_owned()), ("Id", id.to_owned())])
    },
    update: |update, _| {
        let asked = [("certificateId", update.id()), ("newStatus", update.new.take("Status"))];
        Ok(vec![ask(Iot, "UpdateCertificate", asked)])
    },
    delete: |_, made, _| {
        let inactive = [("certificateId", made.id()), ("newStatus", s("INACTIVE"))];
        vec![
            ask(Iot, "UpdateCertificate", inactive).or(GONE),
            ask(Iot, "DeleteCertificate", [("certificateId", made.id())]).or(GONE),
        ]
    },
    ..Kind::new(
        "AWS::IoT::Certificate",
        &[
            text("Status").required(),
            text("CertificatePem").replaces(),
            text("CertificateMode").replaces().shown(
                "the certificate is registered without its authority: connections name the node's \
                 address by SNI, as with `SNI_ONLY`",
            ),
            text("CACertificatePem").refused(
                "leave it out and the certificate is registered without its authority; or register \
                 both with the API",
            ),
            text("CertificateSigningRequest").refused(
                "the node's authority signs when it is asked by `aws iot \
                 create-certificate-from-csr`; give the certificate that this makes as \
                 `CertificatePem`",
            ),
        ],
    )
};

/// The numbers of a policy's versions, oldest first, but for the one in force.
fn spare_versions(answers: &[Json]) -> (usize, Vec<&str>) {
    let versions = answers.first().and_then(|answer| answer.member("policyVersions")?.as_array());
    let versions = versions.unwrap_or_default();
    let in_force =
        |version: &&Json| version.member("isDefaultVersion").and_then(Json::as_bool) == Some(true);
    let spare = versions.iter().filter(|version| !in_force(version));
    let mut spare: Vec<&str> =
        spare.filter_map(|version| version.member("versionId")?.as_str()).collect();
    spare.sort_by_key(|version| version.parse::<u64>().unwrap_or_default());
    (versions.len(), spare)
}

/// Versions that a policy has at most.
const VERSIONS_MAX: usize = 5;

const POLICY: Kind = Kind {
    attributes: &["Arn", "Id"],
    create: |policy, _| {
        let asked = [
            ("policyName", s(policy.name_or("PolicyName", 128))),
            ("policyDocument", policy.document("PolicyDocument")),
            ("tags", policy.tag_list("Key", "Value")),
        ];
        Ok(vec![ask(Iot, "CreatePolicy", asked)])
    },
    made: |policy, _| {
        let name = policy.name_or("PolicyName", 128);
        let arn = policy.arn("iot", &format!("policy/{name}"));
        made(name.clone(), [("Arn", arn), ("Id", name)])
    },
    update: |update, answers| {
        let mut asks = Vec::new();
        if update.changes("PolicyDocument") {
            asks.push(ask(Iot, "ListPolicyVersions", [("policyName", update.id())]));
            if answers.is_empty() {
                return Ok(asks);
            }
            let (versions, spare) = spare_versions(answers);
            if let Some(oldest) = spare.first().filter(|_| versions >= VERSIONS_MAX) {
                let asked = [("policyName", update.id()), ("policyVersionId", s(*oldest))];
                asks.push(ask(Iot, "DeletePolicyVersion", asked).or(GONE));
            }
            let asked = [
                ("policyName", update.id()),
                ("policyDocument", update.new.document("PolicyDocument")),
                ("setAsDefault", Some(true.into())),
            ];
            asks.push(ask(Iot, "CreatePolicyVersion", asked));
        }
        asks.extend(retag(update, update.made.attribute("Arn")));
        Ok(asks)
    },
    delete: |_, made, answers| {
        let list = ask(Iot, "ListPolicyVersions", [("policyName", made.id())]).or(GONE);
        if answers.is_empty() {
            return vec![list];
        }
        let (_, spare) = spare_versions(answers);
        let versions = spare.into_iter().map(|version| {
            let asked = [("policyName", made.id()), ("policyVersionId", s(version))];
            ask(Iot, "DeletePolicyVersion", asked).or(GONE)
        });
        let last = ask(Iot, "DeletePolicy", [("policyName", made.id())]).or(GONE);
        std::iter::once(list).chain(versions).chain([last]).collect()
    },
    ..Kind::new(
        "AWS::IoT::Policy",
        &[
            text("PolicyName").replaces(),
            super::property::document("PolicyDocument").required(),
            tags(),
        ],
    )
};

const POLICY_ATTACHMENT: Kind = Kind {
    create: |attachment, _| {
        let asked = [
            ("policyName", attachment.take("PolicyName")),
            ("target", attachment.take("Principal")),
        ];
        Ok(vec![ask(Iot, "AttachPolicy", asked)])
    },
    delete: |attachment, _, _| {
        let asked = [
            ("policyName", attachment.take("PolicyName")),
            ("target", attachment.take("Principal")),
        ];
        vec![ask(Iot, "DetachPolicy", asked).or(GONE)]
    },
    ..Kind::new(
        "AWS::IoT::PolicyPrincipalAttachment",
        &[text("PolicyName").required().replaces(), text("Principal").required().replaces()],
    )
};

const THING_ATTACHMENT: Kind = Kind {
    create: |attachment, _| {
        let asked = [
            ("thingName", attachment.take("ThingName")),
            ("principal", attachment.take("Principal")),
            ("thingPrincipalType", attachment.take("ThingPrincipalType")),
        ];
        Ok(vec![ask(Iot, "AttachThingPrincipal", asked)])
    },
    delete: |attachment, _, _| {
        let asked = [
            ("thingName", attachment.take("ThingName")),
            ("principal", attachment.take("Principal")),
        ];
        vec![ask(Iot, "DetachThingPrincipal", asked).or(GONE)]
    },
    ..Kind::new(
        "AWS::IoT::ThingPrincipalAttachment",
        &[
            text("ThingName").required().replaces(),
            text("Principal").required().replaces(),
            text("ThingPrincipalType").replaces(),
        ],
    )
};

fn rule_name(rule: &Resource<'_>) -> String {
    let fits = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    rule.text("RuleName")
        .map_or_else(|| rule.context.generated_name(128).chars().map(fits).collect(), str::to_owned)
}

/// The payload with the API's names.
fn payload(rule: &Resource<'_>) -> Option<Json> {
    // Names within are those of metrics and headers, which have no other names than the API's.
    rule.get("TopicRulePayload").map(|payload| camel(payload, &[]))
}

const TOPIC_RULE: Kind = Kind {
    attributes: &["Arn"],
    create: |rule, _| {
        // Tags are a header, written like a query.
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
        };
        let tags = rule.get("Tags").map(|_| {
            let pairs = rule.tag_pairs().into_iter().map(|(key, value)| {
                format!("{}={}", encode(&key), encode(value.as_str().unwrap_or_default()))
            });
            Json::from(pairs.collect::<Vec<_>>().join("&"))
        });
        let asked =
            [("ruleName", s(rule_name(rule))), ("topicRulePayload", payload(rule)), ("tags", tags)];
        Ok(vec![ask(Iot, "CreateTopicRule", asked)])
    },
    made: |rule, _| {
        let name = rule_name(rule);
        let arn = rule.arn("iot", &format!("rule/{name}"));
        made(name, [("Arn", arn)])
    },
    update: |update, _| {
        let mut asks = Vec::new();
        if update.changes("TopicRulePayload") {
            let asked = [("ruleName", update.id()), ("topicRulePayload", payload(&update.new))];
            asks.push(ask(Iot, "ReplaceTopicRule", asked));
        }
        asks.extend(retag(update, update.made.attribute("Arn")));
        Ok(asks)
    },
    // AWS says of a rule that is not there that one may not delete it.
    delete: |_, made, _| {
        vec![
            ask(Iot, "DeleteTopicRule", [("ruleName", made.id())])
                .or(&["ResourceNotFoundException", "UnauthorizedException"]),
        ]
    },
    ..Kind::new(
        "AWS::IoT::TopicRule",
        &[
            text("RuleName").replaces(),
            object(
                "TopicRulePayload",
                &[
                    text("Sql").required(),
                    text("Description"),
                    objects("Actions", ACTION).required(),
                    object("ErrorAction", ACTION),
                    boolean("RuleDisabled"),
                    text("AwsIotSqlVersion"),
                ],
            )
            .required(),
            tags(),
        ],
    )
};

const ROLE: Property = text("RoleArn");
const PAIR: &[Property] = &[text("Key").required(), text("Value").required()];

/// An action of a rule. Which of them are carried out is known to the rules, which say so again.
const ACTION: &[Property] = &[
    object(
        "CloudwatchAlarm",
        &[
            text("AlarmName").required(),
            text("StateReason").required(),
            text("StateValue").required(),
            ROLE,
        ],
    ),
    object("CloudwatchLogs", &[text("LogGroupName").required(), boolean("BatchMode"), ROLE]),
    object(
        "CloudwatchMetric",
        &[
            text("MetricName").required(),
            text("MetricNamespace").required(),
            text("MetricTimestamp"),
            text("MetricUnit").required(),
            text("MetricValue").required(),
            ROLE,
        ],
    ),
    object(
        "DynamoDB",
        &[
            text("TableName").required(),
            text("HashKeyField").required(),
            text("HashKeyType"),
            text("HashKeyValue").required(),
            text("RangeKeyField"),
            text("RangeKeyType"),
            text("RangeKeyValue"),
            text("PayloadField"),
            text("Operation"),
            ROLE,
        ],
    ),
    object("DynamoDBv2", &[object("PutItem", &[text("TableName").required()]), ROLE]),
    object(
        "Http",
        &[
            text("Url").required(),
            text("ConfirmationUrl"),
            objects("Headers", PAIR),
            object(
                "Auth",
                &[object(
                    "Sigv4",
                    &[
                        text("RoleArn").required(),
                        text("ServiceName").required(),
                        text("SigningRegion").required(),
                    ],
                )],
            ),
            boolean("EnableBatching"),
            object(
                "BatchConfig",
                &[
                    boolean("BatchAcrossTopics"),
                    integer("MaxBatchOpenMs"),
                    integer("MaxBatchSize"),
                    integer("MaxBatchSizeBytes"),
                ],
            ),
        ],
    ),
    object("Lambda", &[text("FunctionArn")]),
    object(
        "Republish",
        &[
            text("Topic").required(),
            integer("Qos"),
            object(
                "Headers",
                &[
                    text("ContentType"),
                    text("CorrelationData"),
                    text("MessageExpiry"),
                    text("PayloadFormatIndicator"),
                    text("ResponseTopic"),
                    objects("UserProperties", PAIR),
                ],
            ),
            ROLE,
        ],
    ),
    object("S3", &[text("BucketName").required(), text("Key").required(), text("CannedAcl"), ROLE]),
    object("Sns", &[text("TargetArn").required(), text("MessageFormat"), ROLE]),
    object("Sqs", &[text("QueueUrl").required(), boolean("UseBase64"), ROLE]),
    object(
        "StepFunctions",
        &[text("StateMachineName").required(), text("ExecutionNamePrefix"), ROLE],
    ),
    object("Elasticsearch", &[]).refused("use `S3` or `Sqs`"),
    object("Firehose", &[]).refused("use `S3`"),
    object("InfluxDB", &[]).refused("use `DynamoDBv2`"),
    object("IotAnalytics", &[]).refused("use `S3`"),
    object("IotEvents", &[]).refused("use `StepFunctions`"),
    object("IotSiteWise", &[]).refused("use `DynamoDBv2`"),
    object("Kafka", &[]).refused("use `Sqs`"),
    object("Kinesis", &[]).refused("use `Sqs`"),
    object("Location", &[]).refused("use `DynamoDBv2`"),
    object("OpenSearch", &[]).refused("use `S3` or `Sqs`"),
    object("Salesforce", &[]).refused("use `Lambda`"),
    object("Timestream", &[]).refused("use `DynamoDBv2`"),
];

/// A member of a template with the API's names.
fn of_template(template: &Resource<'_>, name: &str) -> Option<Json> {
    let api = |json: Json| {
        let members = json.as_object().into_iter().flatten().map(|(name, value)| {
            let name = match &**name {
                "retryCriteriaList" => "criteriaList",
                "exponentialRolloutRate" => "exponentialRate",
                other => other,
            };
            (Arc::from(name), value.clone())
        });
        Json::object::<Arc<str>>(members)
    };
    template.get(name).map(|value| match camel(value, &[]) {
        object @ Json::Object(_) => api(object),
        other => other,
    })
}

const ROLLOUT: &[Property] = &[
    integer("MaximumPerMinute"),
    object(
        "ExponentialRolloutRate",
        &[
            integer("BaseRatePerMinute").required(),
            number("IncrementFactor").required(),
            object(
                "RateIncreaseCriteria",
                &[integer("NumberOfNotifiedThings"), integer("NumberOfSucceededThings")],
            )
            .required(),
        ],
    ),
];
const ABORT: &[Property] = &[
    text("Action").required(),
    text("FailureType").required(),
    integer("MinNumberOfExecutedThings").required(),
    number("ThresholdPercentage").required(),
];
const RETRIES: &[Property] = &[text("FailureType"), integer("NumberOfRetries")];

const JOB_TEMPLATE: Kind = Kind {
    attributes: &["Arn"],
    create: |template, _| {
        let of = |name| of_template(template, name);
        let asked = [
            ("jobTemplateId", template.take("JobTemplateId")),
            ("jobArn", template.take("JobArn")),
            ("documentSource", template.take("DocumentSource")),
            ("document", template.take("Document")),
            ("description", template.take("Description")),
            ("presignedUrlConfig", of("PresignedUrlConfig")),
            ("jobExecutionsRolloutConfig", of("JobExecutionsRolloutConfig")),
            ("abortConfig", of("AbortConfig")),
            ("timeoutConfig", of("TimeoutConfig")),
            ("jobExecutionsRetryConfig", of("JobExecutionsRetryConfig")),
            ("maintenanceWindows", of("MaintenanceWindows")),
            ("tags", template.tag_list("Key", "Value")),
        ];
        Ok(vec![ask(Iot, "CreateJobTemplate", asked)])
    },
    made: |template, _| {
        let name = template.text("JobTemplateId").unwrap_or_default().to_owned();
        let arn = template.arn("iot", &format!("jobtemplate/{name}"));
        made(name, [("Arn", arn)])
    },
    update: |update, _| Ok(retag(update, update.made.attribute("Arn"))),
    delete: |_, made, _| {
        vec![ask(Iot, "DeleteJobTemplate", [("jobTemplateId", made.id())]).or(GONE)]
    },
    ..Kind::new(
        "AWS::IoT::JobTemplate",
        &[
            text("JobTemplateId").required().replaces(),
            text("JobArn").replaces(),
            text("DocumentSource").replaces(),
            text("Document").replaces(),
            text("Description").required().replaces(),
            object("PresignedUrlConfig", &[text("RoleArn"), integer("ExpiresInSec")]).replaces(),
            object("JobExecutionsRolloutConfig", ROLLOUT).replaces(),
            object("AbortConfig", &[objects("CriteriaList", ABORT).required()]).replaces(),
            object("TimeoutConfig", &[integer("InProgressTimeoutInMinutes").required()]).replaces(),
            object("JobExecutionsRetryConfig", &[objects("RetryCriteriaList", RETRIES)]).replaces(),
            objects(
                "MaintenanceWindows",
                &[text("StartTime").required(), integer("DurationInMinutes").required()],
            )
            .replaces(),
            texts("DestinationPackageVersions")
                .refused("put the address of what is installed in the job document"),
            tags(),
        ],
    )
};

const DESTINATION: Kind = Kind {
    attributes: &["Arn", "StatusReason"],
    create: |destination, _| {
        let http = destination.get("HttpUrlProperties").map(|http| camel(http, &[]));
        let configuration = body([("httpUrlConfiguration", http)]);
        let asked = [("destinationConfiguration", Some(configuration))];
        Ok(vec![ask(Iot, "CreateTopicRuleDestination", asked)])
    },
    made: |_, answers| {
        let created = super::resource::deep(answers, 0, &["topicRuleDestination"]);
        let of = |name| {
            let text = created.and_then(|created| created.member(name)?.as_str());
            text.unwrap_or_default().to_owned()
        };
        made(of("arn"), [("Arn", of("arn")), ("StatusReason", of("statusReason"))])
    },
    update: |update, _| {
        let asked = [("arn", update.id()), ("status", update.new.take("Status"))];
        Ok(vec![ask(Iot, "UpdateTopicRuleDestination", asked)])
    },
    delete: |_, made: &Made, _| {
        vec![ask(Iot, "DeleteTopicRuleDestination", [("arn", made.id())]).or(GONE)]
    },
    ..Kind::new(
        "AWS::IoT::TopicRuleDestination",
        &[
            object("HttpUrlProperties", &[text("ConfirmationUrl").required()]).replaces(),
            text("Status"),
            object("VpcProperties", &[]).refused("use `HttpUrlProperties`"),
            object("InfluxDBProperties", &[]).refused("use `HttpUrlProperties`"),
        ],
    )
};
