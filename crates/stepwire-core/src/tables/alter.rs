//! UpdateTable, expiry, tags and continuous backups: what is changed of a table itself.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::create::{NO_UNITS, included, named_not_found};
use super::index::{Index, Scope};
use super::request::{TableName, constraint_error, refuse, required, word};
use super::schema::{self, GLOBAL_MAX, NewIndex, invalid};
use super::table::{Encryption, OnDemand, Provisioned, Table, Tags, TimeToLive};
use super::view;
use super::{Tables, Write, serialization, validation};
use crate::error::ApiError;
use crate::params::Params;
use crate::read::Read;
use crate::settings::Settings;

/// A change of a table's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateTable {
    table: TableName,
    /// `Some(true)`: provisioned.
    billing: Option<bool>,
    provisioned: Option<Provisioned>,
    on_demand: Option<OnDemand>,
    deletion_protection: Option<bool>,
    class: Option<Arc<str>>,
    encryption: Option<Option<Encryption>>,
    indexes: Vec<IndexUpdate>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum IndexUpdate {
    Create(NewIndex),
    Update(Arc<str>, Option<Provisioned>),
    Delete(Arc<str>),
}

impl IndexUpdate {
    fn name(&self) -> &Arc<str> {
        match self {
            IndexUpdate::Create(index) => &index.name,
            IndexUpdate::Update(name, _) | IndexUpdate::Delete(name) => name,
        }
    }
}

const REGIONS: &str = "there are no other regions to replicate to";

impl UpdateTable {
    pub(super) fn parse(params: Params<'_>) -> Result<UpdateTable, ApiError> {
        let table = TableName::of_table(params)?;
        schema::no_stream(params)?;
        refuse(
            params,
            &[
                ("ReplicaUpdates", REGIONS),
                ("MultiRegionConsistency", REGIONS),
                ("GlobalTableWitnessUpdates", REGIONS),
                ("GlobalTableSettingsReplicationMode", REGIONS),
            ],
        )?;
        let changing = [
            "BillingMode",
            "ProvisionedThroughput",
            "OnDemandThroughput",
            "WarmThroughput",
            "DeletionProtectionEnabled",
            "TableClass",
            "SSESpecification",
            "GlobalSecondaryIndexUpdates",
            "StreamSpecification",
        ];
        params.only(&[&["TableName", "AttributeDefinitions"], &changing[..]].concat())?;
        if changing.iter().all(|name| params.get(name).is_none()) {
            return Err(validation(
                "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, \
                 GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required",
            ));
        }
        let modes = [("PROVISIONED", true), ("PAY_PER_REQUEST", false)];
        Ok(UpdateTable {
            table,
            billing: word(params, "BillingMode", &modes)?,
            provisioned: schema::units(params)?,
            on_demand: schema::on_demand(params)?,
            deletion_protection: params.optional_bool("DeletionProtectionEnabled")?,
            class: schema::class(params)?,
            encryption: schema::encryption(params)?,
            indexes: index_updates(params)?,
        })
    }
}

fn index_updates(params: Params<'_>) -> Result<Vec<IndexUpdate>, ApiError> {
    let name = "GlobalSecondaryIndexUpdates";
    let Some(list) = params.get(name) else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(|| serialization(name, "a list"))?;
    let mut updates: Vec<IndexUpdate> = Vec::new();
    for update in list {
        let update = Params::new(update, "ValidationException");
        update.only(&["Create", "Update", "Delete"])?;
        let inside = |name| {
            let inside = update.get(name);
            inside.map(|inside| Params::new(inside, "ValidationException"))
        };
        let update = match (inside("Create"), inside("Update"), inside("Delete")) {
            (Some(create), None, None) => {
                let definitions = schema::definitions(params)?;
                IndexUpdate::Create(schema::new_index(create, Scope::Global, &definitions)?)
            }
            (None, Some(update), None) => {
                update.only(&[
                    "IndexName",
                    "ProvisionedThroughput",
                    "OnDemandThroughput",
                    "WarmThroughput",
                ])?;
                IndexUpdate::Update(schema::index_name(update)?, schema::units(update)?)
            }
            (None, None, Some(delete)) => {
                delete.only(&["IndexName"])?;
                IndexUpdate::Delete(schema::index_name(delete)?)
            }
            (None, None, None) => {
                return Err(invalid(
                    "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, \
                     GlobalSecondaryIndexUpdate.Delete must not be null",
                ));
            }
            _ => {
                return Err(invalid(
                    "Only one of GlobalSecondaryIndexUpdate.Update, \
                     GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete can be \
                     specified",
                ));
            }
        };
        if updates.iter().any(|known| known.name() == update.name()) {
            return Err(invalid(format!(
                "Only one global secondary index update per index is allowed simultaneously. \
                 Index: {}",
                update.name()
            )));
        }
        updates.push(update);
    }
    let online = |update: &&IndexUpdate| !matches!(update, IndexUpdate::Update(..));
    if updates.iter().filter(online).count() > 1 {
        return Err(one_at_a_time());
    }
    Ok(updates)
}

fn one_at_a_time() -> ApiError {
    ApiError::new(
        "LimitExceededException",
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously \
         per table",
    )
}

impl Tables {
    pub(super) fn alter(
        &mut self,
        now: Timestamp,
        update: &UpdateTable,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let table =
            self.find(&update.table, settings).map_err(|_| named_not_found(&update.table))?;
        let mut changed = table.as_ref().clone();
        bill(now, &mut changed, update)?;
        changed.on_demand = update.on_demand.or(changed.on_demand);
        if let Some(protected) = update.deletion_protection {
            changed.deletion_protection = protected;
        }
        if let Some(class) = &update.class {
            changed.class = Some(Arc::clone(class));
        }
        if let Some(encryption) = &update.encryption {
            changed.encryption.clone_from(encryption);
        }
        let mut deleted = None;
        for one in &update.indexes {
            deleted = self.alter_index(&table, &mut changed, one)?.or(deleted);
        }
        let counts = |number| self.counted(number);
        let mut description = changed.describe("UPDATING", &counts, settings);
        if let Some(index) = &deleted {
            let gone = index.describe(&table, "DELETING", counts(index.number), settings);
            description = with_index(&description, gone);
        }
        self.record(Write::Table(Arc::new(changed)), out);
        if let Some(index) = deleted {
            self.retire(index.number, out);
        }
        Ok(Json::object([("TableDescription", description)]))
    }

    /// Carries out one update; a deleted index comes back.
    fn alter_index(
        &self,
        table: &Table,
        changed: &mut Table,
        update: &IndexUpdate,
    ) -> Result<Option<Index>, ApiError> {
        let name = update.name();
        let at = changed.indexes.iter().position(|index| index.name == *name);
        let global = at.filter(|at| changed.indexes[*at].scope == Scope::Global);
        match (update, at) {
            (IndexUpdate::Create(_), Some(_)) => Err(validation(format!(
                "Attempting to create an index which already exists: {name}"
            ))),
            (IndexUpdate::Create(index), None) => {
                if changed.indexes.iter().any(|index| !index.is_active()) {
                    return Err(one_at_a_time());
                }
                let globals = changed.indexes.iter().filter(|i| i.scope == Scope::Global).count();
                if globals >= GLOBAL_MAX {
                    return Err(ApiError::new(
                        "LimitExceededException",
                        format!(
                            "GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_MAX}"
                        ),
                    ));
                }
                fits(changed, index)?;
                match (changed.provisioned, index.provisioned) {
                    (None, Some(_)) => {
                        return Err(invalid(format!(
                            "ProvisionedThroughput should not be specified for index: {name} when \
                             BillingMode is PAY_PER_REQUEST"
                        )));
                    }
                    (Some(_), None) => {
                        return Err(invalid(format!(
                            "ProvisionedThroughput must be specified for index: {name}"
                        )));
                    }
                    (Some(_), Some(_)) | (None, None) => {}
                }
                let own = changed.indexes.iter().map(|index| &index.projected);
                included(own.chain([&index.projected]))?;
                let number = self.next_number();
                changed.indexes.push(Index::new(index, number, Some(table.items_prefix())));
                Ok(None)
            }
            (IndexUpdate::Update(_, provisioned), _) => {
                let Some(at) = global else { return Err(no_such_index(name)) };
                if provisioned.is_some() && changed.provisioned.is_none() {
                    return Err(invalid(NO_UNITS));
                }
                changed.indexes[at].provisioned = provisioned.or(changed.indexes[at].provisioned);
                Ok(None)
            }
            (IndexUpdate::Delete(_), _) => {
                let Some(at) = global else { return Err(no_such_index(name)) };
                Ok(Some(changed.indexes.remove(at)))
            }
        }
    }
}

fn no_such_index(name: &str) -> ApiError {
    let message = format!("Requested resource not found: Index: {name} not found");
    ApiError::new("ResourceNotFoundException", message)
}

/// Refuses an index that takes an attribute for another type than the table or another index does.
fn fits(table: &Table, index: &NewIndex) -> Result<(), ApiError> {
    let known: Vec<_> = table.keys().chain(table.indexes.iter().flat_map(Index::keys)).collect();
    for key in index.keys() {
        if let Some(other) = known.iter().find(|k| k.name == key.name && k.kind != key.kind) {
            return Err(invalid(format!(
                "Attribute {} is already defined with type {}, not {}",
                key.name,
                other.kind.value_type().name(),
                key.kind.value_type().name()
            )));
        }
    }
    Ok(())
}

/// The description with one more global index.
fn with_index(description: &Json, index: Json) -> Json {
    let name = "GlobalSecondaryIndexes";
    let others = description.member(name).and_then(Json::as_array).unwrap_or_default();
    let indexes = Json::array(others.iter().cloned().chain([index]));
    let members = description.as_object().into_iter().flatten();
    let members = members.filter(|(known, _)| &***known != name);
    let members = members.map(|(name, value)| (Arc::clone(name), value.clone()));
    Json::object(members.chain([(Arc::from(name), indexes)]))
}

/// Changes billing mode and throughput.
fn bill(now: Timestamp, table: &mut Table, update: &UpdateTable) -> Result<(), ApiError> {
    let provisions = update.billing.unwrap_or(table.provisioned.is_some());
    match (provisions, update.provisioned) {
        (false, Some(_)) => return Err(invalid(NO_UNITS)),
        (false, None) => {
            if table.provisioned.take().is_some() {
                table.on_demand_since = Some(now);
            }
            table.indexes.iter_mut().for_each(|index| index.provisioned = None);
        }
        (true, None) if update.billing.is_some() => {
            return Err(invalid(
                "ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
            ));
        }
        (true, None) => {}
        (true, Some(units)) => {
            if table.provisioned == Some(units) && update.billing.is_none() {
                let Provisioned { read, write } = units;
                return Err(validation(format!(
                    "The provisioned throughput for the table will not change. The requested value \
                     equals the current value. Current ReadCapacityUnits provisioned for the \
                     table: {read}. Requested ReadCapacityUnits: {read}. Current \
                     WriteCapacityUnits provisioned for the table: {write}. Requested \
                     WriteCapacityUnits: {write}. Refer to the Amazon DynamoDB Developer Guide for \
                     current limits and how to request higher limits."
                )));
            }
            table.provisioned = Some(units);
        }
    }
    Ok(())
}

/// A change of the attribute by which items expire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateTimeToLive {
    table: TableName,
    attribute: Arc<str>,
    enabled: bool,
}

impl UpdateTimeToLive {
    pub(super) fn parse(params: Params<'_>) -> Result<UpdateTimeToLive, ApiError> {
        params.only(&["TableName", "TimeToLiveSpecification"])?;
        let table = TableName::of_table(params)?;
        let specification = required(params, "TimeToLiveSpecification", Some)?;
        let specification = Params::new(specification, "ValidationException");
        specification.only(&["Enabled", "AttributeName"])?;
        let at = |name: &str| format!("timeToLiveSpecification.{name}");
        let null = |name| constraint_error(None, &at(name), "Member must not be null");
        let enabled = specification.optional_bool("Enabled")?.ok_or_else(|| null("enabled"))?;
        let attribute = specification.optional_text("AttributeName")?;
        let attribute = attribute.ok_or_else(|| null("attributeName"))?;
        let constraint = if attribute.is_empty() {
            "Member must have length greater than or equal to 1"
        } else if attribute.len() > 255 {
            "Member must have length less than or equal to 255"
        } else {
            return Ok(UpdateTimeToLive { table, attribute: attribute.into(), enabled });
        };
        Err(constraint_error(Some(attribute), &at("attributeName"), constraint))
    }
}

impl Tables {
    pub(super) fn update_expiry(
        &mut self,
        update: &UpdateTimeToLive,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let table =
            self.find(&update.table, settings).map_err(|_| named_not_found(&update.table))?;
        let expiry = match (&table.expiry, update.enabled) {
            (Some(_), true) => return Err(validation("TimeToLive is already enabled")),
            (None, false) => return Err(validation("TimeToLive is already disabled")),
            (Some(old), false) if old.attribute != update.attribute => {
                return Err(validation(format!(
                    "TimeToLive is active on a different AttributeName: current AttributeName is {}",
                    old.attribute
                )));
            }
            (Some(_), false) => None,
            (None, true) => Some(TimeToLive {
                attribute: Arc::clone(&update.attribute),
                number: self.next_number(),
                unread: Some(table.items_prefix()),
            }),
        };
        let changed = Table { expiry, ..table.as_ref().clone() };
        self.record(Write::Table(Arc::new(changed)), out);
        if let Some(old) = &table.expiry {
            self.retire(old.number, out);
        }
        let specification = [
            ("Enabled", Json::from(update.enabled)),
            ("AttributeName", Json::String(Arc::clone(&update.attribute))),
        ];
        Ok(Json::object([("TimeToLiveSpecification", Json::object(specification))]))
    }
}

/// DescribeTimeToLive.
pub(super) fn describe_expiry(
    name: &TableName,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let table = view::find(name, read, settings).map_err(|error| view::naming(name, error))?;
    let members = match &table.expiry {
        None => vec![("TimeToLiveStatus", Json::from("DISABLED"))],
        Some(expiry) => {
            let status = if expiry.unread.is_none() { "ENABLED" } else { "ENABLING" };
            vec![
                ("TimeToLiveStatus", Json::from(status)),
                ("AttributeName", Json::String(Arc::clone(&expiry.attribute))),
            ]
        }
    };
    Ok(Json::object([("TimeToLiveDescription", Json::object(members))]))
}

/// A change of a table's tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagging {
    table: TableName,
    set: Tags,
    removed: Vec<Arc<str>>,
}

impl Tagging {
    pub(super) fn parse_tag(params: Params<'_>) -> Result<Tagging, ApiError> {
        params.only(&["ResourceArn", "Tags"])?;
        let table = resource(params)?;
        required(params, "Tags", Some)?;
        let set = schema::tags(params)?;
        if set.is_empty() {
            return Err(validation("Atleast one Tag needs to be provided as Input."));
        }
        Ok(Tagging { table, set, removed: Vec::new() })
    }

    pub(super) fn parse_untag(params: Params<'_>) -> Result<Tagging, ApiError> {
        params.only(&["ResourceArn", "TagKeys"])?;
        let table = resource(params)?;
        let keys = required(params, "TagKeys", Json::as_array)?;
        if keys.is_empty() {
            return Err(validation("Atleast one Tag Key needs to be provided as Input."));
        }
        let key = |key: &Json| match key {
            Json::String(key) => Ok(Arc::clone(key)),
            _ => Err(serialization("TagKeys", "a list of strings")),
        };
        let removed = keys.iter().map(key).collect::<Result<_, _>>()?;
        Ok(Tagging { table, set: Vec::new(), removed })
    }
}

/// The table whose ARN `ResourceArn` is.
pub(super) fn resource(params: Params<'_>) -> Result<TableName, ApiError> {
    let Some(arn) = params.optional_text("ResourceArn")? else {
        return Err(validation("Invalid TableArn"));
    };
    if !arn.starts_with("arn:") || !arn.contains(":table/") {
        return Err(validation(format!(
            "Invalid TableArn: Invalid ResourceArn provided as input {arn}"
        )));
    }
    TableName::parse(arn)
}

/// The error that there is no table of this ARN.
pub(super) fn no_resource(name: &TableName, settings: &Settings) -> ApiError {
    let arn = settings.arn("dynamodb", &format!("table/{name}"));
    let message = format!("Requested resource not found: ResourcArn: {arn} not found");
    ApiError::new("ResourceNotFoundException", message)
}

impl Tables {
    pub(super) fn tag(
        &mut self,
        tagging: &Tagging,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let name = &tagging.table;
        let table = self.find(name, settings).map_err(|_| no_resource(name, settings))?;
        let mut changed = table.as_ref().clone();
        changed.tags.retain(|(key, _)| !tagging.removed.contains(key));
        for (key, value) in &tagging.set {
            schema::set_tag(&mut changed.tags, Arc::clone(key), Arc::clone(value));
        }
        schema::check_tags(&changed.tags)?;
        self.record(Write::Table(Arc::new(changed)), out);
        Ok(Json::Object(Arc::default()))
    }
}

/// UpdateContinuousBackups: only what changes nothing.
pub(super) fn parse_backups(params: Params<'_>) -> Result<TableName, ApiError> {
    params.only(&["TableName", "PointInTimeRecoverySpecification"])?;
    let table = TableName::of_table(params)?;
    let specification = required(params, "PointInTimeRecoverySpecification", Some)?;
    let specification = Params::new(specification, "ValidationException");
    specification.only(&["PointInTimeRecoveryEnabled", "RecoveryPeriodInDays"])?;
    if specification.optional_bool("PointInTimeRecoveryEnabled")? != Some(false) {
        return Err(validation(
            "`PointInTimeRecoveryEnabled` is not available in stepwire: there are no backups of \
             single tables; copy the data folder of the node",
        ));
    }
    Ok(table)
}

/// DescribeContinuousBackups.
pub(super) fn describe_backups(
    name: &TableName,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    view::find(name, read, settings).map_err(|error| match error.code.as_ref() {
        "ResourceNotFoundException" => {
            ApiError::new("TableNotFoundException", format!("Table not found: {name}"))
        }
        _ => error,
    })?;
    let recovery = Json::object([("PointInTimeRecoveryStatus", "DISABLED".into())]);
    let description = Json::object([
        ("ContinuousBackupsStatus", "ENABLED".into()),
        ("PointInTimeRecoveryDescription", recovery),
    ]);
    Ok(Json::object([("ContinuousBackupsDescription", description)]))
}
