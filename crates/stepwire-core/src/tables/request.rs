//! Requests, parsed once.

use std::fmt;
use std::sync::Arc;

use stepwire_asl::Json;

use super::alter::{self, Tagging, UpdateTable, UpdateTimeToLive};
use super::batch::{BatchGet, BatchWrite};
use super::change::Change;
use super::create::CreateTable;
use super::page::Search;
use super::transact::{TransactGet, TransactWrite};
use super::unavailable;
use super::validation;
use super::view::{GetItem, ListTables};
use crate::error::ApiError;
use crate::params::{self, Params};
use crate::settings::Settings;

/// A request of the DynamoDB API.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the operations of the API")]
pub enum Request {
    CreateTable(Box<CreateTable>),
    DescribeTable(TableName),
    ListTables(ListTables),
    UpdateTable(Box<UpdateTable>),
    DeleteTable(TableName),
    UpdateTimeToLive(UpdateTimeToLive),
    DescribeTimeToLive(TableName),
    DescribeContinuousBackups(TableName),
    DescribeEndpoints,
    DescribeLimits,
    TagResource(Tagging),
    UntagResource(Tagging),
    ListTagsOfResource(TableName),
    GetItem(Box<GetItem>),
    PutItem(Box<Change>),
    UpdateItem(Box<Change>),
    DeleteItem(Box<Change>),
    Query(Box<Search>),
    Scan(Box<Search>),
    BatchGetItem(BatchGet),
    BatchWriteItem(BatchWrite),
    TransactGetItems(TransactGet),
    TransactWriteItems(TransactWrite),
}

impl Request {
    /// The request that `body` makes of an operation. `None`: DynamoDB has no such operation.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let params = Params::new(body, "ValidationException");
        Some(match operation {
            "CreateTable" => CreateTable::parse(params).map(Box::new).map(Request::CreateTable),
            "DescribeTable" => only_table(params).map(Request::DescribeTable),
            "ListTables" => ListTables::parse(params).map(Request::ListTables),
            "UpdateTable" => UpdateTable::parse(params).map(Box::new).map(Request::UpdateTable),
            "DeleteTable" => only_table(params).map(Request::DeleteTable),
            "UpdateTimeToLive" => UpdateTimeToLive::parse(params).map(Request::UpdateTimeToLive),
            "DescribeTimeToLive" => only_table(params).map(Request::DescribeTimeToLive),
            "DescribeContinuousBackups" => {
                only_table(params).map(Request::DescribeContinuousBackups)
            }
            // What it may ask for is what there is.
            "UpdateContinuousBackups" => {
                alter::parse_backups(params).map(Request::DescribeContinuousBackups)
            }
            "DescribeEndpoints" => params.only(&[]).map(|()| Request::DescribeEndpoints),
            "DescribeLimits" => params.only(&[]).map(|()| Request::DescribeLimits),
            "TagResource" => Tagging::parse_tag(params).map(Request::TagResource),
            "UntagResource" => Tagging::parse_untag(params).map(Request::UntagResource),
            "ListTagsOfResource" => list_tags(params).map(Request::ListTagsOfResource),
            "GetItem" => GetItem::parse(params).map(Box::new).map(Request::GetItem),
            "PutItem" => Change::parse_put(params).map(Box::new).map(Request::PutItem),
            "UpdateItem" => Change::parse_update(params).map(Box::new).map(Request::UpdateItem),
            "DeleteItem" => Change::parse_delete(params).map(Box::new).map(Request::DeleteItem),
            "Query" => Search::parse_query(params).map(Box::new).map(Request::Query),
            "Scan" => Search::parse_scan(params).map(Box::new).map(Request::Scan),
            "BatchGetItem" => BatchGet::parse(params).map(Request::BatchGetItem),
            "BatchWriteItem" => BatchWrite::parse(params).map(Request::BatchWriteItem),
            "TransactGetItems" => TransactGet::parse(params).map(Request::TransactGetItems),
            "TransactWriteItems" => TransactWrite::parse(params).map(Request::TransactWriteItems),
            _ => Err(unavailable::refused(operation)?),
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::DescribeTable(_)
            | Request::DescribeTimeToLive(_)
            | Request::DescribeContinuousBackups(_)
            | Request::DescribeEndpoints
            | Request::DescribeLimits
            | Request::ListTables(_)
            | Request::ListTagsOfResource(_)
            | Request::GetItem(_)
            | Request::Query(_)
            | Request::Scan(_)
            | Request::TransactGetItems(_)
            | Request::BatchGetItem(_) => true,
            Request::CreateTable(_)
            | Request::UpdateTable(_)
            | Request::DeleteTable(_)
            | Request::UpdateTimeToLive(_)
            | Request::TagResource(_)
            | Request::UntagResource(_)
            | Request::PutItem(_)
            | Request::UpdateItem(_)
            | Request::DeleteItem(_)
            | Request::TransactWriteItems(_)
            | Request::BatchWriteItem(_) => false,
        }
    }
}

fn list_tags(params: Params<'_>) -> Result<TableName, ApiError> {
    // All tags come at once: nobody was given a token.
    params.only(&["ResourceArn"])?;
    alter::resource(params)
}

fn only_table(params: Params<'_>) -> Result<TableName, ApiError> {
    params.only(&["TableName"])?;
    TableName::of_table(params)
}

/// A table as a caller names it: by name or by ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    name: Arc<str>,
    /// The whole ARN, when the caller gave one.
    arn: Option<Arc<str>>,
}

impl TableName {
    pub(super) fn required(params: Params<'_>) -> Result<TableName, ApiError> {
        TableName::parse(required(params, "TableName", Json::as_str)?)
    }

    /// As operations on tables themselves name it: AWS checks it in other words there.
    pub(super) fn of_table(params: Params<'_>) -> Result<TableName, ApiError> {
        let Some(name) = params.get("TableName") else {
            return Err(validation(
                "The parameter 'TableName' is required but was not present in the request",
            ));
        };
        let name = name.as_str().ok_or_else(|| super::serialization("TableName", "a string"))?;
        if !name.starts_with("arn:") && !(3..=255).contains(&name.len()) {
            return Err(validation(
                "TableName must be at least 3 characters long and at most 255 characters long",
            ));
        }
        TableName::parse(name)
    }

    pub(super) fn parse(text: &str) -> Result<TableName, ApiError> {
        let by_arn = text.starts_with("arn:").then(|| text.split_once(":table/")).flatten();
        let name = by_arn.map_or(text, |(_, name)| name);
        let constraint = if name.len() < 3 {
            "Member must have length greater than or equal to 3"
        } else if name.len() > 255 {
            "Member must have length less than or equal to 255"
        } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)) {
            "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
        } else {
            let arn = by_arn.is_some().then(|| Arc::from(text));
            return Ok(TableName { name: name.into(), arn });
        };
        Err(constraint_error(Some(text), "tableName", constraint))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn shared(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether it is an ARN of another region or account, in which we have no tables.
    pub(super) fn is_elsewhere(&self, settings: &Settings) -> bool {
        let here = || settings.arn("dynamodb", &format!("table/{}", self.name));
        self.arn.as_ref().is_some_and(|arn| **arn != *here())
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The error that a parameter breaks a constraint of the API's model.
pub(super) fn constraint_error(value: Option<&str>, name: &str, constraint: &str) -> ApiError {
    validation(params::broken(name, value, constraint))
}

/// A required parameter, converted by `convert`.
pub(super) fn required<'a, T>(
    params: Params<'a>,
    name: &str,
    convert: impl Fn(&'a Json) -> Option<T>,
) -> Result<T, ApiError> {
    let value = params
        .get(name)
        .ok_or_else(|| constraint_error(None, &camel(name), "Member must not be null"))?;
    convert(value).ok_or_else(|| super::serialization(name, "of another type"))
}

/// A parameter's name in AWS's constraint messages.
fn camel(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}

/// Refuses parameters that DynamoDB has and we do not, saying what to use.
pub(super) fn refuse(params: Params<'_>, refused: &[(&str, &str)]) -> Result<(), ApiError> {
    match refused.iter().find(|(name, _)| params.get(name).is_some()) {
        Some((name, hint)) => Err(validation(format!("`{name}` is not available: {hint}"))),
        None => Ok(()),
    }
}

/// One of the words that parameter `name` may have.
pub(super) fn word<T: Copy>(
    params: Params<'_>,
    name: &str,
    words: &[(&str, T)],
) -> Result<Option<T>, ApiError> {
    let Some(text) = params.optional_text(name)? else { return Ok(None) };
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(Some(*meaning));
    }
    let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    let constraint = format!("Member must satisfy enum value set: [{}]", words.join(", "));
    Err(constraint_error(Some(text), &camel(name), &constraint))
}

/// An integer parameter within `min..=max`.
pub(super) fn integer(
    params: Params<'_>,
    name: &str,
    min: i64,
    max: i64,
) -> Result<Option<i64>, ApiError> {
    let Some(value) = params.optional_int(name)? else { return Ok(None) };
    let constraint = if value < min {
        format!("Member must have value greater than or equal to {min}")
    } else if value > max {
        format!("Member must have value less than or equal to {max}")
    } else {
        return Ok(Some(value));
    };
    Err(constraint_error(Some(&value.to_string()), &camel(name), &constraint))
}
