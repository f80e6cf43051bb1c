//! CreateTable and DeleteTable.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::index::{Index, Projected, Scope};
use super::request::{TableName, word};
use super::schema::{self, INCLUDED_MAX, Keys, NewIndex, invalid, listed};
use super::table::{Encryption, KeyAttribute, OnDemand, Provisioned, Table, Tags};
use super::{Tables, Write, validation};
use crate::error::ApiError;
use crate::params::Params;
use crate::settings::Settings;

/// A table as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTable {
    table: TableName,
    keys: Keys,
    indexes: Vec<NewIndex>,
    provisioned: Option<Provisioned>,
    on_demand: Option<OnDemand>,
    deletion_protection: bool,
    class: Option<Arc<str>>,
    encryption: Option<Encryption>,
    tags: Tags,
}

impl CreateTable {
    pub(super) fn parse(params: Params<'_>) -> Result<CreateTable, ApiError> {
        let table = TableName::of_table(params)?;
        schema::no_stream(params)?;
        super::request::refuse(
            params,
            &[
                ("ResourcePolicy", "who may use the API is not decided by table"),
                ("GlobalTableSourceArn", "there are no other regions to replicate to"),
                ("GlobalTableSettingsReplicationMode", "there are no other regions"),
            ],
        )?;
        params.only(&[
            "TableName",
            "AttributeDefinitions",
            "KeySchema",
            "BillingMode",
            "ProvisionedThroughput",
            "OnDemandThroughput",
            "WarmThroughput",
            "DeletionProtectionEnabled",
            "TableClass",
            "SSESpecification",
            "Tags",
            "GlobalSecondaryIndexes",
            "LocalSecondaryIndexes",
            "StreamSpecification",
        ])?;
        let provisioned = provisioned(params)?;
        let definitions = schema::definitions(params)?;
        let keys = schema::keys(params, &definitions)?;
        let indexes = indexes(params, &keys, &definitions)?;
        if let (None, Some(index)) =
            (provisioned, indexes.iter().find(|index| index.provisioned.is_some()))
        {
            return Err(invalid(format!(
                "ProvisionedThroughput should not be specified for index: {} when BillingMode is \
                 PAY_PER_REQUEST",
                index.name
            )));
        }
        Ok(CreateTable {
            table,
            keys,
            indexes,
            provisioned,
            on_demand: schema::on_demand(params)?,
            deletion_protection: params
                .optional_bool("DeletionProtectionEnabled")?
                .unwrap_or(false),
            class: schema::class(params)?,
            encryption: schema::encryption(params)?.flatten(),
            tags: schema::tags(params)?,
        })
    }
}

/// The indexes of a table of these keys; all definitions must be used.
fn indexes(
    params: Params<'_>,
    keys: &Keys,
    definitions: &[KeyAttribute],
) -> Result<Vec<NewIndex>, ApiError> {
    let mut indexes = schema::indexes(params, Scope::Local, definitions)?;
    for index in &indexes {
        if keys.sort.is_none() {
            return Err(invalid(
                "Table KeySchema does not have a range key, which is required when specifying a \
                 LocalSecondaryIndex",
            ));
        }
        if index.keys.sort.is_none() {
            return Err(invalid(format!(
                "Index KeySchema does not have a range key for index: {}",
                index.name
            )));
        }
        if index.keys.partition != keys.partition {
            return Err(invalid(format!(
                "Index KeySchema does not have the same leading hash key as table KeySchema for \
                 index: {}. index hash key: {}, table hash key: {}",
                index.name, index.keys.partition.name, keys.partition.name
            )));
        }
    }
    indexes.extend(schema::indexes(params, Scope::Global, definitions)?);
    for (at, index) in indexes.iter().enumerate() {
        if indexes[..at].iter().any(|other| other.name == index.name) {
            return Err(invalid(format!("Duplicate index name: {}", index.name)));
        }
    }
    included(indexes.iter().map(|index| &index.projected))?;
    let own = std::iter::once(&keys.partition).chain(&keys.sort);
    let used: Vec<&KeyAttribute> = own.chain(indexes.iter().flat_map(NewIndex::keys)).collect();
    if definitions.iter().all(|definition| used.contains(&definition)) {
        return Ok(indexes);
    }
    if indexes.is_empty() {
        return Err(invalid(
            "Number of attributes in KeySchema does not exactly match number of attributes defined \
             in AttributeDefinitions",
        ));
    }
    let mut names: Vec<&Arc<str>> = Vec::new();
    for key in used {
        if !names.contains(&&key.name) {
            names.push(&key.name);
        }
    }
    Err(invalid(format!(
        "Some AttributeDefinitions are not used. AttributeDefinitions: {}, keys used: {}",
        listed(definitions.iter().map(|definition| &definition.name)),
        listed(names.into_iter())
    )))
}

/// Refuses projections that together name too many attributes.
pub(super) fn included<'a>(
    projections: impl Iterator<Item = &'a Projected>,
) -> Result<(), ApiError> {
    let names = projections.map(|projected| match projected {
        Projected::Include(names) => names.len(),
        Projected::All | Projected::KeysOnly => 0,
    });
    if names.sum::<usize>() <= INCLUDED_MAX {
        return Ok(());
    }
    Err(invalid(format!(
        "The total number of projected attributes in all indexes exceeds the limit of {INCLUDED_MAX}"
    )))
}

fn provisioned(params: Params<'_>) -> Result<Option<Provisioned>, ApiError> {
    let modes = [("PROVISIONED", true), ("PAY_PER_REQUEST", false)];
    let provisioned = word(params, "BillingMode", &modes)?.unwrap_or(true);
    match (provisioned, schema::units(params)?) {
        (true, Some(units)) => Ok(Some(units)),
        (false, None) => Ok(None),
        (false, Some(_)) => Err(invalid(NO_UNITS)),
        (true, None) => Err(invalid(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is \
             PROVISIONED",
        )),
    }
}

pub(super) const NO_UNITS: &str = "Neither ReadCapacityUnits nor WriteCapacityUnits can be \
    specified when BillingMode is PAY_PER_REQUEST";

impl Tables {
    pub(super) fn create(
        &mut self,
        now: Timestamp,
        create: &CreateTable,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let name = create.table.shared();
        if create.table.is_elsewhere(settings) {
            return Err(validation("The table ARN is not of this region and account"));
        }
        if self.table(name).is_some() {
            let message = format!("Table already exists: {name}");
            return Err(ApiError::new("ResourceInUseException", message));
        }
        let number = self.next_number();
        let indexes = create.indexes.iter().zip(number + 1..);
        let table = Table {
            name: Arc::clone(name),
            number,
            created: now,
            partition: create.keys.partition.clone(),
            sort: create.keys.sort.clone(),
            provisioned: create.provisioned,
            deletion_protection: create.deletion_protection,
            class: create.class.clone(),
            encryption: create.encryption.clone(),
            tags: create.tags.clone(),
            indexes: indexes.map(|(index, number)| Index::new(index, number, None)).collect(),
            expiry: None,
            on_demand: create.on_demand,
            on_demand_since: create.provisioned.is_none().then_some(now),
        };
        let description = table.describe("ACTIVE", &|_| super::Counts::default(), settings);
        self.record(Write::Table(Arc::new(table)), out);
        Ok(Json::object([("TableDescription", description)]))
    }

    /// A number from which on no record, if there ever was any, is left.
    pub(super) fn next_number(&self) -> u64 {
        let live = self.by_number.values().flat_map(|table| table.numbers());
        let used = live.max().max(self.retired.last().copied());
        used.map_or(1, |number| number + 1)
    }

    pub(super) fn delete(
        &mut self,
        name: &TableName,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let table = self.find(name, settings).map_err(|_| named_not_found(name))?;
        if table.deletion_protection {
            return Err(validation(
                "Resource cannot be deleted as it is currently protected against deletion. Disable \
                 deletion protection first.",
            ));
        }
        let description = table.describe("DELETING", &|number| self.counted(number), settings);
        self.record(Write::NoTable(Arc::clone(&table.name)), out);
        if self.counts.contains_key(&table.number) {
            for number in table.numbers() {
                self.retire(number, out);
            }
        }
        Ok(Json::object([("TableDescription", description)]))
    }

    /// How much is counted under a number.
    pub(super) fn counted(&self, number: u64) -> super::Counts {
        self.counts.get(&number).copied().unwrap_or_default()
    }

    /// Leaves the records of a number to [`Tables::tidy`].
    pub(super) fn retire(&mut self, number: u64, out: &mut Vec<Write>) {
        if self.counts.contains_key(&number) {
            self.record(Write::Counts(number, None), out);
        }
        self.record(Write::Retired(number, true), out);
    }
}

/// As DescribeTable and DeleteTable say it.
pub(super) fn named_not_found(name: &TableName) -> ApiError {
    let message = format!("Requested resource not found: Table: {name} not found");
    ApiError::new("ResourceNotFoundException", message)
}
