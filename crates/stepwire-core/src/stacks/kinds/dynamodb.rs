//! `AWS::DynamoDB::*`.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::property::{Property, boolean, document, integer, object, objects, tags, text, texts};
use super::resource::{Resource, ask, body, listed, made, s};
use super::{Ask, Kind, Update};
use crate::request::Service::DynamoDb;

/// The error of what is not there.
const GONE: &[&str] = &["ResourceNotFoundException"];

pub(super) const KINDS: &[Kind] = &[
    TABLE,
    Kind::refused("AWS::DynamoDB::GlobalTable", "use AWS::DynamoDB::Table: there is one region"),
];

const NO_THROUGHPUT: &str = "throughput is kept and shown; nothing is throttled";

const THROUGHPUT: Property = object(
    "ProvisionedThroughput",
    &[integer("ReadCapacityUnits").required(), integer("WriteCapacityUnits").required()],
);
const ON_DEMAND: Property = object(
    "OnDemandThroughput",
    &[integer("MaxReadRequestUnits"), integer("MaxWriteRequestUnits")],
)
.without_effect(NO_THROUGHPUT);
const WARM: Property =
    object("WarmThroughput", &[integer("ReadUnitsPerSecond"), integer("WriteUnitsPerSecond")])
        .without_effect(NO_THROUGHPUT);
const INSIGHTS: Property =
    object("ContributorInsightsSpecification", &[boolean("Enabled"), text("Mode")])
        .without_effect("there are no contributor insights");
const KEYS: Property =
    objects("KeySchema", &[text("AttributeName").required(), text("KeyType").required()])
        .required();
const PROJECTION: Property =
    object("Projection", &[texts("NonKeyAttributes"), text("ProjectionType")]).required();

const TABLE: Kind = Kind {
    attributes: &["Arn"],
    create: |table, _| {
        let name = s(table.name_or("TableName", 255));
        let asked = [
            ("TableName", name.clone()),
            ("AttributeDefinitions", table.take("AttributeDefinitions")),
            ("KeySchema", table.take("KeySchema")),
            ("BillingMode", table.take("BillingMode")),
            ("ProvisionedThroughput", table.take("ProvisionedThroughput")),
            ("GlobalSecondaryIndexes", table.take("GlobalSecondaryIndexes")),
            ("LocalSecondaryIndexes", table.take("LocalSecondaryIndexes")),
            ("SSESpecification", encryption(table)),
            ("TableClass", table.take("TableClass")),
            ("DeletionProtectionEnabled", table.take("DeletionProtectionEnabled")),
            ("Tags", table.tag_list("Key", "Value")),
        ];
        let mut asks = vec![ask(DynamoDb, "CreateTable", asked)];
        asks.extend(
            time_to_live(table)
                .filter(|wanted| wanted.member("Enabled").and_then(Json::as_bool) == Some(true))
                .map(|wanted| live(name, wanted)),
        );
        Ok(asks)
    },
    made: |table, _| {
        let name = table.name_or("TableName", 255);
        let arn = table.arn("dynamodb", &format!("table/{name}"));
        made(name, [("Arn", arn)])
    },
    update,
    refuses: |update| {
        let (gone, new) = (IndexChanges::of(update).gone, IndexChanges::of(update).new);
        (gone.len() + new.len() > 1).then_some(ONE_INDEX)
    },
    // What is removed is gone at once; what is new takes in the items there are.
    awaits: |update| {
        let is_made = !IndexChanges::of(update).new.is_empty();
        is_made.then(|| update.made.physical_id.clone())
    },
    delete: |_, made, _| vec![ask(DynamoDb, "DeleteTable", [("TableName", made.id())]).or(GONE)],
    // An attribute that gets another type cannot be a key any more.
    replaces: |change, old, new| {
        let kinds = |table: &Json| {
            let given = table.member("AttributeDefinitions").and_then(Json::as_array);
            let given = given.unwrap_or_default().to_vec();
            let of = |definition: Json| {
                let name = definition.member("AttributeName")?.as_str()?.to_owned();
                Some((name, definition.member("AttributeType").cloned()))
            };
            given.into_iter().filter_map(of).collect::<Vec<_>>()
        };
        let (old, new) = (kinds(old), kinds(new));
        change.property == "AttributeDefinitions"
            && new
                .iter()
                .any(|(name, kind)| old.iter().any(|(before, was)| before == name && was != kind))
    },
    ..Kind::new(
        "AWS::DynamoDB::Table",
        &[
            text("TableName").replaces(),
            objects(
                "AttributeDefinitions",
                &[text("AttributeName").required(), text("AttributeType").required()],
            ),
            objects("KeySchema", &[text("AttributeName").required(), text("KeyType").required()])
                .required()
                .replaces(),
            text("BillingMode"),
            THROUGHPUT,
            objects(
                "GlobalSecondaryIndexes",
                &[
                    text("IndexName").required(),
                    KEYS,
                    PROJECTION,
                    THROUGHPUT,
                    ON_DEMAND,
                    WARM,
                    INSIGHTS,
                ],
            ),
            objects("LocalSecondaryIndexes", &[text("IndexName").required(), KEYS, PROJECTION])
                .replaces(),
            object("StreamSpecification", &[]).refused(
                "tables have no streams; let who writes also send an event, or have a rule act on the \
                 message that leads to the write",
            ),
            object(
                "SSESpecification",
                &[boolean("SSEEnabled"), text("SSEType"), text("KMSMasterKeyId")],
            )
            .shown("tables are not encrypted"),
            text("TableClass").shown("there is one class of tables"),
            object(
                "TimeToLiveSpecification",
                &[text("AttributeName"), boolean("Enabled").required()],
            ),
            boolean("DeletionProtectionEnabled"),
            tags(),
            INSIGHTS,
            ON_DEMAND,
            WARM,
            object(
                "PointInTimeRecoverySpecification",
                &[boolean("PointInTimeRecoveryEnabled"), integer("RecoveryPeriodInDays")],
            )
            .without_effect("back up the data folder"),
            object("ResourcePolicy", &[document("PolicyDocument")])
                .without_effect("policies of tables are not enforced"),
            object("ImportSourceSpecification", &[]).refused("write the items with BatchWriteItem"),
            object("KinesisStreamSpecification", &[])
                .refused("write to a queue or a topic in the same rule or workflow"),
            objects("VectorIndexes", &[]).refused("tables have no vector indexes"),
        ],
    )
};

fn encryption(table: &Resource<'_>) -> Option<Json> {
    let given = table.get("SSESpecification")?;
    let of = |name: &str| given.member(name).cloned();
    Some(body([
        ("Enabled", of("SSEEnabled")),
        ("SSEType", of("SSEType")),
        ("KMSMasterKeyId", of("KMSMasterKeyId")),
    ]))
}

fn time_to_live<'a>(table: &'a Resource<'_>) -> Option<&'a Json> {
    table.get("TimeToLiveSpecification")
}

fn live(name: Option<Json>, wanted: &Json) -> Ask {
    let asked = [("TableName", name), ("TimeToLiveSpecification", Some(wanted.clone()))];
    ask(DynamoDb, "UpdateTimeToLive", asked)
}

/// One change at a time, as the service takes them: attributes with the index that needs them.
fn update(update: &Update<'_>, _: &[Json]) -> Result<Vec<Ask>, String> {
    let (old, new, name) = (&update.old, &update.new, update.id());
    let mut asks = Vec::new();
    let mut members = Object::new();
    let mut add = |name: &str, value: Option<Json>| {
        members.extend(value.map(|value| (Arc::<str>::from(name), value)));
    };
    if update.changes_any(&["BillingMode", "ProvisionedThroughput"]) {
        add("BillingMode", new.take("BillingMode").or_else(|| s("PROVISIONED")));
        add("ProvisionedThroughput", new.take("ProvisionedThroughput"));
    }
    if update.changes("DeletionProtectionEnabled") {
        add("DeletionProtectionEnabled", Some(new.is_true("DeletionProtectionEnabled").into()));
    }
    if update.changes("TableClass") {
        add("TableClass", new.take("TableClass").or_else(|| s("STANDARD")));
    }
    if update.changes("SSESpecification") {
        let none = || Some(body([("Enabled", Some(false.into()))]));
        add("SSESpecification", encryption(new).or_else(none));
    }
    if !members.is_empty() {
        members.insert("TableName".into(), name.clone().unwrap_or_default());
        let body = Json::Object(Arc::new(members));
        asks.push(Ask { service: DynamoDb, operation: "UpdateTable", body, tolerate: &[] });
    }
    asks.extend(indexes(update));
    if update.changes("TimeToLiveSpecification") {
        let attribute = |wanted: Option<&Json>| wanted?.member("AttributeName").cloned();
        let (before, wanted) = (time_to_live(old), time_to_live(new));
        if wanted.is_none() || attribute(before) != attribute(wanted) {
            let on = before.filter(|it| it.member("Enabled").and_then(Json::as_bool) == Some(true));
            asks.extend(on.map(|before| {
                let off =
                    [("AttributeName", attribute(Some(before))), ("Enabled", Some(false.into()))];
                live(name.clone(), &body(off))
            }));
        }
        asks.extend(wanted.map(|wanted| live(name.clone(), wanted)));
    }
    let tags = update.retagged();
    let arn = || s(update.made.attribute("Arn"));
    if !tags.gone.is_empty() {
        let asked = [("ResourceArn", arn()), ("TagKeys", tags.keys())];
        asks.push(ask(DynamoDb, "UntagResource", asked));
    }
    if !tags.set.is_empty() {
        let set = listed(tags.set, "Key", "Value");
        asks.push(ask(DynamoDb, "TagResource", [("ResourceArn", arn()), ("Tags", Some(set))]));
    }
    Ok(asks)
}

/// What CloudFormation says of an update that DynamoDB would need several requests for.
const ONE_INDEX: &str = "Cannot perform more than one GSI creation or deletion in a single update";

/// Indexes that go, come, and get another throughput. Those that are others than before go and come.
struct IndexChanges<'a> {
    gone: Vec<&'a Json>,
    new: Vec<&'a Json>,
    altered: Vec<&'a Json>,
}

impl IndexChanges<'_> {
    fn of<'a>(update: &'a Update<'_>) -> IndexChanges<'a> {
        const LIST: &str = "GlobalSecondaryIndexes";
        let (before, there) = (update.old.items(LIST), update.new.items(LIST));
        let has = |list: &[Json], index: &Json| list.iter().any(|other| same_index(index, other));
        let units = |index: &Json| index.member("ProvisionedThroughput").cloned();
        let is_altered = |index: &&Json| {
            let mut before = before.iter();
            before.any(|other| same_index(index, other) && units(index) != units(other))
        };
        IndexChanges {
            gone: before.iter().filter(|index| !has(there, index)).collect(),
            new: there.iter().filter(|index| !has(before, index)).collect(),
            altered: there.iter().filter(is_altered).collect(),
        }
    }
}

/// Whether two definitions are of the same index, whatever its throughput.
fn same_index(a: &Json, b: &Json) -> bool {
    ["IndexName", "KeySchema", "Projection"].iter().all(|name| a.member(name) == b.member(name))
}

fn indexes(update: &Update<'_>) -> Vec<Ask> {
    let change = |kind: &'static str, members: Json| {
        let asked = [
            ("TableName", update.id()),
            ("AttributeDefinitions", update.new.take("AttributeDefinitions")),
            ("GlobalSecondaryIndexUpdates", Some(Json::array([Json::object([(kind, members)])]))),
        ];
        ask(DynamoDb, "UpdateTable", asked)
    };
    let named = |index: &Json| ("IndexName", index.member("IndexName").cloned());
    let changes = IndexChanges::of(update);
    // What is undone may never have been made.
    let gone = changes.gone.iter().map(|index| change("Delete", body([named(index)])).or(GONE));
    let new = changes.new.iter().map(|index| change("Create", Json::clone(index)));
    let altered = changes.altered.iter().map(|index| {
        let units = index.member("ProvisionedThroughput").cloned();
        change("Update", body([named(index), ("ProvisionedThroughput", units)]))
    });
    gone.chain(new).chain(altered).collect()
}
