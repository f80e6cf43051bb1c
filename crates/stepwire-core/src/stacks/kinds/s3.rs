//! `AWS::S3::*`.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::property::{
    Property, any, boolean, document, integer, object, objects, tags, text, texts,
};
use super::resource::{Resource, ask, body, look, made, nothing, s};
use super::{Ask, Kind, Update};
use crate::request::Service::S3;

/// Errors of what is not there.
const GONE: &[&str] = &["NoSuchBucket", "NoSuchBucketPolicy"];

pub(super) const KINDS: &[Kind] = &[
    BUCKET,
    BUCKET_POLICY,
    Kind::refused("AWS::S3::AccessPoint", "use the bucket's name"),
    Kind::refused("AWS::S3::MultiRegionAccessPoint", "there is one region"),
    Kind::refused("AWS::S3::StorageLens", "list the buckets"),
];

/// Buckets have names in small letters.
fn name(bucket: &Resource<'_>) -> String {
    match (bucket.text("BucketName"), bucket.text("BucketNamePrefix")) {
        (Some(name), _) => name.to_owned(),
        (None, Some(prefix)) => {
            format!("{prefix}{}", bucket.context.token.to_ascii_lowercase())
        }
        (None, None) => bucket.context.generated_name(63).to_ascii_lowercase(),
    }
}

/// What a bucket is configured with: the property, the operation that says it, the member, the
/// property as the API takes it, and the operation that takes it back.
struct Aspect {
    property: &'static str,
    put: &'static str,
    member: &'static str,
    value: fn(&Json) -> Json,
    without: Without,
}

/// What is asked for when a property is there no more.
enum Without {
    /// An operation that removes it.
    Delete(&'static str),
    /// The same operation with this.
    Put(fn() -> Json),
}

const ASPECTS: [Aspect; 8] = [
    Aspect {
        property: "VersioningConfiguration",
        put: "PutBucketVersioning",
        member: "VersioningConfiguration",
        value: Json::clone,
        without: Without::Put(|| body([("Status", s("Suspended"))])),
    },
    Aspect {
        property: "BucketEncryption",
        put: "PutBucketEncryption",
        member: "ServerSideEncryptionConfiguration",
        value: encryption,
        without: Without::Delete("DeleteBucketEncryption"),
    },
    Aspect {
        property: "PublicAccessBlockConfiguration",
        put: "PutPublicAccessBlock",
        member: "PublicAccessBlockConfiguration",
        value: Json::clone,
        without: Without::Delete("DeletePublicAccessBlock"),
    },
    Aspect {
        property: "OwnershipControls",
        put: "PutBucketOwnershipControls",
        member: "OwnershipControls",
        value: Json::clone,
        without: Without::Delete("DeleteBucketOwnershipControls"),
    },
    Aspect {
        property: "CorsConfiguration",
        put: "PutBucketCors",
        member: "CORSConfiguration",
        value: cors,
        without: Without::Delete("DeleteBucketCors"),
    },
    Aspect {
        property: "LifecycleConfiguration",
        put: "PutBucketLifecycleConfiguration",
        member: "LifecycleConfiguration",
        value: lifecycle,
        without: Without::Delete("DeleteBucketLifecycle"),
    },
    Aspect {
        property: "NotificationConfiguration",
        put: "PutBucketNotificationConfiguration",
        member: "NotificationConfiguration",
        value: notifications,
        without: Without::Put(nothing),
    },
    Aspect {
        property: "Tags",
        put: "PutBucketTagging",
        member: "Tagging",
        value: |tags| body([("TagSet", Some(tags.clone()))]),
        without: Without::Delete("DeleteBucketTagging"),
    },
];

impl Aspect {
    fn put(&self, bucket: Option<Json>, value: Json) -> Ask {
        ask(S3, self.put, [("Bucket", bucket), (self.member, Some(value))])
    }

    /// The request that makes it what the resource says; `None` where it says nothing.
    fn given(&self, bucket: Option<Json>, resource: &Resource<'_>) -> Option<Ask> {
        let given = resource.get(self.property)?;
        Some(self.put(bucket, (self.value)(given)))
    }

    fn removed(&self, bucket: Option<Json>) -> Ask {
        match self.without {
            Without::Delete(operation) => ask(S3, operation, [("Bucket", bucket)]),
            Without::Put(value) => self.put(bucket, value()),
        }
    }
}

/// The object with its members by other names.
fn renamed(value: &Json, names: &[(&str, &str)]) -> Object {
    let members = value.as_object().into_iter().flatten().map(|(name, value)| {
        let other = names.iter().find(|(from, _)| *from == &**name);
        (other.map_or_else(|| Arc::clone(name), |(_, to)| Arc::from(*to)), value.clone())
    });
    members.collect()
}

fn each(value: &Json, member: &str, change: impl Fn(&Json) -> Json) -> Json {
    let items = value.member(member).and_then(Json::as_array).unwrap_or_default();
    Json::array(items.iter().map(change))
}

fn encryption(given: &Json) -> Json {
    let rules = each(given, "ServerSideEncryptionConfiguration", |rule| {
        let names = [("ServerSideEncryptionByDefault", "ApplyServerSideEncryptionByDefault")];
        let mut rule = renamed(rule, &names);
        if let Some(default) = rule.get_mut("ApplyServerSideEncryptionByDefault") {
            let names = [("KMSMasterKeyID", "KMSMasterKeyID")];
            *default = Json::Object(Arc::new(renamed(default, &names)));
        }
        Json::Object(Arc::new(rule))
    });
    body([("Rules", Some(rules))])
}

fn cors(given: &Json) -> Json {
    let names = [("Id", "ID"), ("MaxAge", "MaxAgeSeconds"), ("ExposedHeaders", "ExposeHeaders")];
    let rules = each(given, "CorsRules", |rule| Json::Object(Arc::new(renamed(rule, &names))));
    body([("CORSRules", Some(rules))])
}

/// A rule of the template has its filter spread over it, and may write one thing in several ways.
fn lifecycle(given: &Json) -> Json {
    let rules = each(given, "Rules", |rule| {
        let of = |name: &str| rule.member(name).cloned();
        let days = |name: &str, member: &'static str| Some(body([(member, Some(of(name)?))]));
        let expiration = [
            ("Days", of("ExpirationInDays")),
            ("Date", of("ExpirationDate")),
            ("ExpiredObjectDeleteMarker", of("ExpiredObjectDeleteMarker")),
        ];
        let expires = expiration.iter().any(|(_, value)| value.is_some());
        let noncurrent = of("NoncurrentVersionExpiration")
            .or_else(|| days("NoncurrentVersionExpirationInDays", "NoncurrentDays"));
        let transition = |transition: &Json| {
            let names = [("TransitionInDays", "Days"), ("TransitionDate", "Date")];
            Json::Object(Arc::new(renamed(transition, &names)))
        };
        let transitions = |many: &str, one: &str, days: &'static str| {
            let all = of(many).or_else(|| Some(Json::array([of(one)?])))?;
            let all = all.as_array().unwrap_or_default().iter().map(|given| {
                let mut made = transition(given).as_object().cloned().unwrap_or_default();
                if let Some(value) = made.shift_remove("Days") {
                    made.insert(days.into(), value);
                }
                Json::Object(Arc::new(made))
            });
            Some(Json::array(all))
        };
        body([
            ("ID", of("Id")),
            ("Status", of("Status")),
            ("Filter", Some(filter(rule))),
            ("Expiration", expires.then(|| body(expiration))),
            ("NoncurrentVersionExpiration", noncurrent),
            ("Transitions", transitions("Transitions", "Transition", "Days")),
            (
                "NoncurrentVersionTransitions",
                transitions(
                    "NoncurrentVersionTransitions",
                    "NoncurrentVersionTransition",
                    "NoncurrentDays",
                ),
            ),
            ("AbortIncompleteMultipartUpload", of("AbortIncompleteMultipartUpload")),
        ])
    });
    body([("Rules", Some(rules))])
}

fn filter(rule: &Json) -> Json {
    let of = |name: &str| rule.member(name).cloned();
    let tags = of("TagFilters").filter(|tags| tags.as_array().is_some_and(|tags| !tags.is_empty()));
    let parts = [
        ("Prefix", of("Prefix")),
        ("ObjectSizeGreaterThan", of("ObjectSizeGreaterThan")),
        ("ObjectSizeLessThan", of("ObjectSizeLessThan")),
        ("Tags", tags),
    ];
    let given = parts.iter().filter(|(_, value)| value.is_some()).count();
    match (&parts[3].1, given) {
        (_, 0) => body([("Prefix", s(""))]),
        (Some(tags), 1) if tags.as_array().is_some_and(|tags| tags.len() == 1) => {
            body([("Tag", tags.as_array().and_then(<[Json]>::first).cloned())])
        }
        (None, 1) => body(parts),
        _ => body([("And", Some(body(parts)))]),
    }
}

fn notifications(given: &Json) -> Json {
    let kinds = [
        ("LambdaConfigurations", "LambdaFunctionConfigurations", "Function", "LambdaFunctionArn"),
        ("QueueConfigurations", "QueueConfigurations", "Queue", "QueueArn"),
        ("TopicConfigurations", "TopicConfigurations", "Topic", "TopicArn"),
    ];
    let mut made = Object::new();
    for (from, to, target, arn) in kinds {
        if given.member(from).is_none() {
            continue;
        }
        let all = each(given, from, |one| {
            let of = |name: &str| one.member(name).cloned();
            let filter = of("Filter").map(|filter| {
                let key = filter.member("S3Key");
                let rules = key.map(|key| body([("FilterRules", key.member("Rules").cloned())]));
                body([("Key", rules)])
            });
            Json::object(
                [
                    (arn, of(target)),
                    ("Events", of("Event").map(|event| Json::array([event]))),
                    ("Filter", filter),
                ]
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
            )
        });
        made.insert(to.into(), all);
    }
    let bridge = given.member("EventBridgeConfiguration");
    let off =
        |bridge: &Json| bridge.member("EventBridgeEnabled").and_then(Json::as_bool) == Some(false);
    if bridge.is_some_and(|bridge| !off(bridge)) {
        made.insert("EventBridgeConfiguration".into(), nothing());
    }
    Json::Object(Arc::new(made))
}

const BUCKET: Kind = Kind {
    attributes: &["Arn", "DomainName", "DualStackDomainName", "RegionalDomainName", "WebsiteURL"],
    create: |bucket, _| {
        let name = s(name(bucket));
        let created = ask(S3, "CreateBucket", [("Bucket", name.clone())]);
        let aspects = ASPECTS.iter().filter_map(|aspect| aspect.given(name.clone(), bucket));
        Ok([created].into_iter().chain(aspects).collect())
    },
    look: |bucket| {
        let name = bucket.text("BucketName")?;
        Some(look(ask(S3, "HeadBucket", [("Bucket", s(name))]).or(GONE), name))
    },
    made: |bucket, _| {
        let (name, context) = (name(bucket), bucket.context);
        let (region, arn) = (context.region, format!("arn:{}:s3:::{name}", context.partition));
        let attributes = [
            ("Arn", arn),
            ("DomainName", format!("{name}.s3.amazonaws.com")),
            ("DualStackDomainName", format!("{name}.s3.dualstack.{region}.amazonaws.com")),
            ("RegionalDomainName", format!("{name}.s3.{region}.amazonaws.com")),
            ("WebsiteURL", format!("http://{name}.s3-website-{region}.amazonaws.com")),
        ];
        made(name, attributes)
    },
    update: |update: &Update<'_>, _| {
        let changed = ASPECTS.iter().filter(|aspect| update.changes(aspect.property));
        let asks = changed.map(|aspect| {
            let given = aspect.given(update.id(), &update.new);
            given.unwrap_or_else(|| aspect.removed(update.id()))
        });
        Ok(asks.collect())
    },
    delete: |_, made, _| vec![ask(S3, "DeleteBucket", [("Bucket", made.id())]).or(GONE)],
    ..Kind::new("AWS::S3::Bucket", PROPERTIES)
};

const TAG_FILTERS: Property =
    objects("TagFilters", &[text("Key").required(), text("Value").required()]);
const FILTER: Property = object(
    "Filter",
    &[object("S3Key", &[objects("Rules", &[text("Name").required(), text("Value").required()])])],
);
const ONE_CLASS: &str = "there is one storage class";
const TRANSITION: &[Property] = &[
    text("StorageClass").required(),
    text("TransitionDate"),
    integer("TransitionInDays"),
    integer("NewerNoncurrentVersions"),
];

const PROPERTIES: &[Property] = &[
    text("BucketName").replaces(),
    text("BucketNamePrefix").replaces(),
    text("BucketNamespace").without_effect("there is one account").replaces(),
    object("VersioningConfiguration", &[text("Status").required()]),
    object(
        "BucketEncryption",
        &[objects(
            "ServerSideEncryptionConfiguration",
            &[
                boolean("BucketKeyEnabled"),
                object("BlockedEncryptionTypes", &[texts("EncryptionType")])
                    .without_effect("objects are not encrypted"),
                object(
                    "ServerSideEncryptionByDefault",
                    &[text("SSEAlgorithm").required(), text("KMSMasterKeyID")],
                ),
            ],
        )
        .required()],
    )
    .shown("objects are not encrypted"),
    object(
        "PublicAccessBlockConfiguration",
        &[
            boolean("BlockPublicAcls"),
            boolean("BlockPublicPolicy"),
            boolean("IgnorePublicAcls"),
            boolean("RestrictPublicBuckets"),
        ],
    )
    .shown("nothing is public"),
    object("OwnershipControls", &[objects("Rules", &[text("ObjectOwnership")]).required()])
        .shown("objects have no access control lists"),
    object(
        "CorsConfiguration",
        &[objects(
            "CorsRules",
            &[
                texts("AllowedHeaders"),
                texts("AllowedMethods").required(),
                texts("AllowedOrigins").required(),
                texts("ExposedHeaders"),
                text("Id"),
                integer("MaxAge"),
            ],
        )
        .required()],
    ),
    object(
        "LifecycleConfiguration",
        &[
            objects(
                "Rules",
                &[
                    text("Id"),
                    text("Status").required(),
                    text("Prefix"),
                    TAG_FILTERS,
                    integer("ObjectSizeGreaterThan"),
                    integer("ObjectSizeLessThan"),
                    integer("ExpirationInDays"),
                    text("ExpirationDate"),
                    boolean("ExpiredObjectDeleteMarker"),
                    object(
                        "NoncurrentVersionExpiration",
                        &[integer("NewerNoncurrentVersions"), integer("NoncurrentDays").required()],
                    ),
                    integer("NoncurrentVersionExpirationInDays"),
                    object(
                        "AbortIncompleteMultipartUpload",
                        &[integer("DaysAfterInitiation").required()],
                    ),
                    object("Transition", TRANSITION),
                    objects("Transitions", TRANSITION),
                    object("NoncurrentVersionTransition", TRANSITION),
                    objects("NoncurrentVersionTransitions", TRANSITION),
                ],
            )
            .required(),
            text("TransitionDefaultMinimumObjectSize").without_effect(ONE_CLASS),
        ],
    ),
    object(
        "NotificationConfiguration",
        &[
            object("EventBridgeConfiguration", &[boolean("EventBridgeEnabled")]),
            objects(
                "LambdaConfigurations",
                &[text("Event").required(), FILTER, text("Function").required()],
            ),
            objects(
                "QueueConfigurations",
                &[text("Event").required(), FILTER, text("Queue").required()],
            ),
            objects(
                "TopicConfigurations",
                &[text("Event").required(), FILTER, text("Topic").required()],
            ),
        ],
    ),
    tags(),
    text("AbacStatus").without_effect("policies of buckets are not enforced"),
    object("AccelerateConfiguration", &[text("AccelerationStatus")])
        .without_effect("there is one endpoint"),
    text("AccessControl").without_effect("objects have no access control lists"),
    objects("AnalyticsConfigurations", &[]).without_effect(ONE_CLASS),
    objects("IntelligentTieringConfigurations", &[]).without_effect(ONE_CLASS),
    objects("MetricsConfigurations", &[]).without_effect("buckets have no metrics"),
    object(
        "LoggingConfiguration",
        &[text("DestinationBucketName"), text("LogFilePrefix"), any("TargetObjectKeyFormat")],
    )
    .without_effect("access to buckets is not logged"),
    objects("InventoryConfigurations", &[]).refused("list the bucket"),
    object("MetadataConfiguration", &[]).refused("list the bucket"),
    object("MetadataTableConfiguration", &[]).refused("list the bucket"),
    object("ObjectLockConfiguration", &[]).refused("objects cannot be locked"),
    boolean("ObjectLockEnabled").refused("objects cannot be locked"),
    object("ReplicationConfiguration", &[]).refused("back up the data folder"),
    object("WebsiteConfiguration", &[]).refused("buckets are no web sites"),
];

const BUCKET_POLICY: Kind = Kind {
    create: |policy, _| {
        let asked =
            [("Bucket", policy.take("Bucket")), ("Policy", policy.document("PolicyDocument"))];
        Ok(vec![ask(S3, "PutBucketPolicy", asked)])
    },
    made: |policy, _| made(policy.str("Bucket"), []),
    update: |update, _| {
        let asked = [("Bucket", update.id()), ("Policy", update.new.document("PolicyDocument"))];
        Ok(vec![ask(S3, "PutBucketPolicy", asked)])
    },
    delete: |_, made, _| vec![ask(S3, "DeleteBucketPolicy", [("Bucket", made.id())]).or(GONE)],
    ..Kind::new(
        "AWS::S3::BucketPolicy",
        &[
            text("Bucket").required().replaces(),
            document("PolicyDocument")
                .required()
                .shown("policies of buckets are kept, not enforced"),
        ],
    )
};
