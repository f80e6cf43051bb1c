//! One table: finding items, and changing one.

use std::collections::BTreeMap;

use stepwire_asl::{Json, Timestamp};
use stepwire_console::Page;
use stepwire_console::link;
use stepwire_console::pages::table::{Cell, Chosen, Found, Index, Item, OPERATORS, Search, View};
use stepwire_console::pages::{self, Problem};
use stepwire_core::executions::{self, TaskToken};
use stepwire_core::{ApiError, Service};

use super::Done;
use super::live::{Interest, Topic};
use super::tables::{describe, expiry, indexes, keys, number, text};
use super::visit::{Form, Visit, problem};
use crate::node::Node;
use crate::shard;

/// Items on a page.
const LISTED: i64 = 50;
/// Attributes that a list shows besides the keys.
const COLUMNS: usize = 6;

pub(super) fn interest() -> Interest {
    Interest::in_topics([Topic::Tables], 1_000)
}

pub(super) async fn page(visit: &Visit, name: &str) -> Result<Page, Problem> {
    let table = describe(visit, name).await?;
    let own_keys = keys(&table, &table);
    let search = search(visit);
    let found = found(visit, name, &table, &own_keys, &search).await;
    let chosen = match visit.query("item") {
        Some(key) => Some(chosen(visit, name, key).await?),
        None => None,
    };
    let created = table.member("CreationDateTime").and_then(Json::as_f64).unwrap_or_default();
    let view = View {
        name: name.to_owned(),
        arn: text(&table, "TableArn"),
        created: Timestamp((created * 1_000.0) as i64),
        indexes: indexes(&table).map(|(kind, index)| self::index(&table, kind, index)).collect(),
        expiry: expiry(visit, name).await,
        items: number(&table, "ItemCount"),
        bytes: number(&table, "TableSizeBytes"),
        search,
        found: found.map_err(|error| error.message),
        chosen,
        draft: visit.query("new").map(|_| draft(&own_keys)),
        keys: own_keys,
    };
    Ok(pages::table::page(&view))
}

fn index(table: &Json, kind: &'static str, index: &Json) -> Index {
    let projection = index.member("Projection").map(|it| text(it, "ProjectionType"));
    Index {
        name: text(index, "IndexName"),
        kind,
        keys: keys(table, index),
        projection: projection.unwrap_or_default(),
    }
}

/// An item with nothing but a key, to begin with.
fn draft(keys: &[(String, String)]) -> String {
    let value =
        |kind: &str| Json::object([(kind, if kind == "N" { "0".into() } else { "".into() })]);
    let members = keys.iter().map(|(name, kind)| (name.as_str(), value(kind)));
    stepwire_console::json::indented(&Json::object(members))
}

fn search(visit: &Visit) -> Search {
    let field = |name: &str| visit.query(name).unwrap_or_default();
    Search {
        index: field("index"),
        partition: field("partition"),
        operator: field("operator"),
        sort: field("sort"),
        to: field("to"),
        descending: field("order") == "descending",
    }
}

async fn found(
    visit: &Visit,
    name: &str,
    table: &Json,
    own_keys: &[(String, String)],
    search: &Search,
) -> Result<Found, ApiError> {
    let used = indexes(table).find(|(_, index)| text(index, "IndexName") == search.index);
    let searched = used.map_or_else(|| own_keys.to_vec(), |(_, index)| keys(table, index));
    let mut members = vec![("TableName", Json::from(name)), ("Limit", LISTED.into())];
    if !search.index.is_empty() {
        members.push(("IndexName", search.index.as_str().into()));
    }
    if let Some(after) = visit.query("after") {
        members.push(("ExclusiveStartKey", parsed(&after, "the place to go on from")?));
    }
    let operation = if search.partition.is_empty() {
        if !search.operator.is_empty() || !search.sort.is_empty() {
            return Err(invalid("a sort key is looked for within one partition: give its key too"));
        }
        "Scan"
    } else {
        members.extend(condition(&searched, search)?);
        members.push(("ScanIndexForward", (!search.descending).into()));
        "Query"
    };
    let answer = visit.ask(Service::DynamoDb, operation, members).await?;
    let items = answer.member("Items").and_then(Json::as_array).unwrap_or_default();
    let columns = columns(items, own_keys, &searched);
    let next = answer.member("LastEvaluatedKey").map(Json::to_text);
    let items = items.iter().map(|item| row(visit.node(), item, own_keys, &columns));
    Ok(Found { items: items.collect(), columns, next })
}

/// The condition on a key that a form gives.
fn condition(
    keys: &[(String, String)],
    search: &Search,
) -> Result<Vec<(&'static str, Json)>, ApiError> {
    let missing = || invalid("the table has no such index");
    let (partition, kind) = keys.first().ok_or_else(missing)?;
    let mut names = vec![("#p", Json::from(partition.as_str()))];
    let mut values = vec![(":p", value(kind, &search.partition))];
    let mut expression = "#p = :p".to_owned();
    if !search.operator.is_empty() {
        let no_sort = || invalid("there is no sort key to compare");
        let (sort, kind) = keys.get(1).ok_or_else(no_sort)?;
        names.push(("#s", sort.as_str().into()));
        values.push((":s", value(kind, &search.sort)));
        let condition = match search.operator.as_str() {
            "begins_with" => " AND begins_with(#s, :s)".to_owned(),
            "between" => {
                values.push((":t", value(kind, &search.to)));
                " AND #s BETWEEN :s AND :t".to_owned()
            }
            operator if OPERATORS.contains(&operator) => format!(" AND #s {operator} :s"),
            other => return Err(invalid(&format!("`{other}` is no comparison"))),
        };
        expression.push_str(&condition);
    } else if !search.sort.is_empty() {
        return Err(invalid("say how the sort key is compared"));
    }
    Ok(vec![
        ("KeyConditionExpression", expression.into()),
        ("ExpressionAttributeNames", Json::object(names)),
        ("ExpressionAttributeValues", Json::object(values)),
    ])
}

fn value(kind: &str, text: &str) -> Json {
    Json::object([(kind, Json::from(text))])
}

/// Key attributes, then those that most items have.
fn columns(
    items: &[Json],
    own_keys: &[(String, String)],
    searched: &[(String, String)],
) -> Vec<String> {
    let mut columns: Vec<String> = own_keys.iter().map(|(name, _)| name.clone()).collect();
    let more = searched.iter().map(|(name, _)| name.clone());
    let more: Vec<String> = more.filter(|name| !columns.contains(name)).collect();
    columns.extend(more);
    let mut often: BTreeMap<&str, usize> = BTreeMap::new();
    for name in items.iter().filter_map(Json::as_object).flat_map(|item| item.keys()) {
        *often.entry(name).or_default() += 1;
    }
    let mut others: Vec<_> =
        often.into_iter().filter(|(name, _)| !columns.iter().any(|it| it == name)).collect();
    others.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    columns.extend(others.into_iter().take(COLUMNS).map(|(name, _)| name.to_owned()));
    columns
}

fn row(node: &Node, item: &Json, own_keys: &[(String, String)], columns: &[String]) -> Item {
    let key =
        own_keys.iter().filter_map(|(name, _)| Some((name.as_str(), item.member(name)?.clone())));
    let cell = |name: &String| {
        let plain = plain(item.member(name)?);
        let text = plain.as_str().map_or_else(|| plain.to_text(), str::to_owned);
        let execution = plain.as_str().and_then(|text| execution(node, text));
        Some(Cell { text, execution })
    };
    Item { key: Json::object(key).to_text(), cells: columns.iter().map(cell).collect() }
}

/// ARN of the execution that a text names: by itself, or as a task token.
fn execution(node: &Node, text: &str) -> Option<String> {
    if link::execution(text).is_some() {
        return Some(text.to_owned());
    }
    let token = TaskToken::open(text, &node.settings().secret)?;
    let read = node.snapshot();
    let arn = shard::catch(|| executions::arn_of(token.execution, &read, node.settings()));
    Some(arn.ok()??.to_string())
}

async fn chosen(visit: &Visit, name: &str, key: String) -> Result<Chosen, Problem> {
    let wanted = parsed(&key, "the item's key").map_err(problem)?;
    let members = [("TableName", name.into()), ("Key", wanted), ("ConsistentRead", true.into())];
    let answer = visit.ask(Service::DynamoDb, "GetItem", members).await.map_err(problem)?;
    let item = answer.member("Item").cloned();
    let item =
        item.ok_or_else(|| Problem::not_found(format!("there is no item with key {key}")))?;
    let members = item.as_object().into_iter().flatten();
    let plain: Vec<_> = members.map(|(name, value)| (name.clone(), plain(value))).collect();
    let executions = plain.iter().filter_map(|(name, value)| {
        Some((name.to_string(), execution(visit.node(), value.as_str()?)?))
    });
    Ok(Chosen {
        key,
        executions: executions.collect(),
        plain: Json::object(plain.iter().cloned()),
        item,
        editing: visit.query("edit").is_some(),
        deleting: visit.query("delete").is_some(),
    })
}

/// A value of DynamoDB JSON as plain JSON: sets are arrays, binary values stay base64.
fn plain(value: &Json) -> Json {
    let Some((kind, of)) = value.as_object().and_then(|members| members.first()) else {
        return value.clone();
    };
    let number = |of: &Json| of.as_str().and_then(|text| Json::parse(text).ok());
    let each = |of: &Json, f: &dyn Fn(&Json) -> Json| {
        Json::array(of.as_array().unwrap_or_default().iter().map(f))
    };
    match &**kind {
        "N" => number(of).unwrap_or_else(|| of.clone()),
        "NULL" => Json::Null,
        "L" => each(of, &plain),
        "NS" => each(of, &|item| number(item).unwrap_or_else(|| item.clone())),
        "M" => {
            let members = of.as_object().into_iter().flatten();
            Json::object(members.map(|(name, value)| (name.clone(), plain(value))))
        }
        _ => of.clone(),
    }
}

fn parsed(text: &str, what: &str) -> Result<Json, ApiError> {
    Json::parse(text).map_err(|error| invalid(&format!("{what} is not JSON: {error}")))
}

fn invalid(why: &str) -> ApiError {
    ApiError::new("ValidationException", why)
}

/// Writes an item: a new one, or in place of one that is there.
pub(super) async fn put(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let name = form.field("table");
    let item = parsed(&form.text("item"), "the item").map_err(problem)?;
    let table = describe(visit, name).await?;
    let keys = keys(&table, &table);
    let key = |of: &Json| -> Vec<Option<Json>> {
        keys.iter().map(|(name, _)| of.member(name).cloned()).collect()
    };
    let replaced = Some(form.field("replaced")).filter(|key| !key.is_empty());
    if let Some(replaced) = replaced
        && key(&parsed(replaced, "the replaced item's key").map_err(problem)?) != key(&item)
    {
        let why = "the key of an item does not change";
        return Err(Problem::refused(why).hint("put it as a new item, and delete this one"));
    }
    let partition = keys.first().map(|(name, _)| name.as_str()).unwrap_or_default();
    let condition = match replaced {
        Some(_) => "attribute_exists(#p)",
        None => "attribute_not_exists(#p)",
    };
    let members = [
        ("TableName", name.into()),
        ("Item", item),
        ("ConditionExpression", condition.into()),
        ("ExpressionAttributeNames", Json::object([("#p", Json::from(partition))])),
    ];
    let put = visit.ask(Service::DynamoDb, "PutItem", members).await;
    put.map_err(|error| match (&*error.code, replaced) {
        ("ConditionalCheckFailedException", None) => {
            Problem::refused("there is an item of this key already").hint("open it, and edit it")
        }
        ("ConditionalCheckFailedException", Some(_)) => Problem::refused("the item is gone"),
        _ => problem(error),
    })?;
    Ok(Done::At(form.back().to_owned()))
}

/// Deletes an item.
pub(super) async fn delete(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let key = parsed(form.field("key"), "the item's key").map_err(problem)?;
    let members = [("TableName", form.field("table").into()), ("Key", key)];
    visit.ask(Service::DynamoDb, "DeleteItem", members).await.map_err(problem)?;
    Ok(Done::At(form.back().to_owned()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn dynamodb_json_is_told_plainly() {
        let json = |text: &str| Json::parse(text).unwrap();
        for (value, told) in [
            (r#"{"S":"a"}"#, r#""a""#),
            (r#"{"N":"1.50"}"#, "1.50"),
            (r#"{"NULL":true}"#, "null"),
            (r#"{"L":[{"M":{"x":{"BOOL":true}}}]}"#, r#"[{"x":true}]"#),
            (r#"{"NS":["1","2"]}"#, "[1,2]"),
            (r#"{"B":"eA=="}"#, r#""eA==""#),
        ] {
            assert_eq!(plain(&json(value)).to_text(), told);
        }
    }

    #[test]
    fn a_form_makes_a_condition_on_the_key() {
        let keys =
            [("id", "S"), ("at", "N")].map(|(name, kind)| (name.to_owned(), kind.to_owned()));
        let search = Search {
            partition: "a".to_owned(),
            operator: "between".to_owned(),
            sort: "1".to_owned(),
            to: "2".to_owned(),
            ..Search::default()
        };
        let made = Json::object(condition(&keys, &search).unwrap()).to_text();
        let values = r#"{":p":{"S":"a"},":s":{"N":"1"},":t":{"N":"2"}}"#;
        assert!(
            made.contains("#p = :p AND #s BETWEEN :s AND :t") && made.contains(values),
            "{made}"
        );
        for (operator, sort) in [("~", "1"), ("", "1")] {
            let search =
                Search { operator: operator.to_owned(), sort: sort.to_owned(), ..search.clone() };
            assert!(condition(&keys, &search).is_err(), "{operator}");
        }
        assert!(condition(&keys[..1], &search).is_err());
    }

    #[test]
    fn keys_come_first_and_then_what_most_items_have() {
        let items =
            [r#"{"id":1,"a":1,"b":1}"#, r#"{"id":2,"b":1}"#].map(|text| Json::parse(text).unwrap());
        let keys = [("id".to_owned(), "S".to_owned())];
        assert_eq!(columns(&items, &keys, &keys), ["id", "b", "a"]);
    }
}
