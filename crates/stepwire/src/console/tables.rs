//! Tables: all of them, and how AWS describes one.

use stepwire_asl::Json;
use stepwire_console::Page;
use stepwire_console::pages::tables::{Table, View};
use stepwire_console::pages::{self, Problem};
use stepwire_core::Service;

use super::live::{Interest, Topic};
use super::visit::{Visit, problem};

/// Tables on a page: as many as ListTables lists.
const LISTED: i64 = 100;

pub(super) fn interest() -> Interest {
    Interest::in_topics([Topic::Tables], 1_000)
}

pub(super) async fn page(visit: &Visit) -> Result<Page, Problem> {
    let mut members = vec![("Limit", Json::from(LISTED))];
    members.extend(visit.query("after").map(|after| ("ExclusiveStartTableName", after.into())));
    let list = visit.ask(Service::DynamoDb, "ListTables", members).await.map_err(problem)?;
    let names = list.member("TableNames").and_then(Json::as_array).unwrap_or_default();
    let mut tables = Vec::new();
    for name in names.iter().filter_map(Json::as_str) {
        // It may have gone since it was listed.
        let Ok(described) = describe(visit, name).await else { continue };
        tables.push(Table {
            name: name.to_owned(),
            keys: keys(&described, &described),
            indexes: indexes(&described).map(|(_, index)| text(index, "IndexName")).collect(),
            expiry: expiry(visit, name).await,
            items: number(&described, "ItemCount"),
            bytes: number(&described, "TableSizeBytes"),
        });
    }
    let next = list.member("LastEvaluatedTableName").and_then(Json::as_str).map(str::to_owned);
    Ok(pages::tables::page(&View { tables, next }))
}

/// `Table` of DescribeTable.
pub(super) async fn describe(visit: &Visit, name: &str) -> Result<Json, Problem> {
    let table = [("TableName", name.into())];
    let described = visit.ask(Service::DynamoDb, "DescribeTable", table).await.map_err(problem)?;
    Ok(described.member("Table").cloned().unwrap_or_default())
}

/// The attribute by which items of a table expire.
pub(super) async fn expiry(visit: &Visit, name: &str) -> Option<String> {
    let table = [("TableName", name.into())];
    let described = visit.ask(Service::DynamoDb, "DescribeTimeToLive", table).await.ok()?;
    let attribute = described.member("TimeToLiveDescription")?.member("AttributeName")?;
    Some(attribute.as_str()?.to_owned())
}

/// The indexes of a table, each with its kind.
pub(super) fn indexes(table: &Json) -> impl Iterator<Item = (&'static str, &Json)> {
    let of = |member: &str, kind: &'static str| {
        let all = table.member(member).and_then(Json::as_array).unwrap_or_default();
        all.iter().map(move |index| (kind, index))
    };
    of("GlobalSecondaryIndexes", "global").chain(of("LocalSecondaryIndexes", "local"))
}

/// Names and types of the key attributes of a table or an index: partition key, sort key.
pub(super) fn keys(table: &Json, of: &Json) -> Vec<(String, String)> {
    let list = |of: &Json, name: &str| {
        of.member(name).and_then(Json::as_array).unwrap_or_default().to_vec()
    };
    let kinds = list(table, "AttributeDefinitions");
    let kind = |name: &str| {
        let definition = kinds.iter().find(|kind| text(kind, "AttributeName") == name);
        definition.map(|it| text(it, "AttributeType")).unwrap_or_default()
    };
    let mut schema = list(of, "KeySchema");
    schema.sort_by_key(|key| text(key, "KeyType") != "HASH");
    let names = schema.iter().map(|key| text(key, "AttributeName"));
    names.map(|name| (name.clone(), kind(&name))).collect()
}

/// A member's text; empty when there is none.
pub(super) fn text(of: &Json, name: &str) -> String {
    of.member(name).and_then(Json::as_str).unwrap_or_default().to_owned()
}

pub(super) fn number(of: &Json, name: &str) -> u64 {
    of.member(name).and_then(Json::as_i64).and_then(|it| u64::try_from(it).ok()).unwrap_or(0)
}
