//! What this node knows, for the statements that ask.

use std::cell::RefCell;
use std::sync::Arc;

use stepwire_asl::Json;

use super::Told;
use crate::error::ApiError;
use crate::functions::FunctionName;
use crate::objects;
use crate::read::Read;
use crate::request::{Request, Service};
use crate::rules::action::dynamodb::attribute;
use crate::rules::sql::{Answered, Outside, Question, SECRET_TYPES, Value};
use crate::settings::Settings;
use crate::shadows;

/// Most functions and models that one evaluation asks.
const QUESTIONS_MAX: usize = 10;
/// What a function may be told at most, in bytes (AWS Lambda, "Quotas": synchronous invocations).
const PAYLOAD_BYTES_MAX: usize = 6 << 20;
/// Largest item that is an answer, in bytes of JSON (AWS IoT developer guide, `get_dynamodb`).
const ITEM_BYTES_MAX: usize = 8 << 10;
/// Largest object that is an answer, in bytes.
const OBJECT_BYTES_MAX: u64 = 1 << 20;

/// Why a call without a role is Undefined.
pub(crate) const NO_ROLE: &str = "its role is no ARN";

/// Answers from what is stored, and from what functions and models have said so far.
pub(crate) struct Known<'a> {
    reads: &'a dyn Read,
    settings: &'a Settings,
    told: &'a [Told],
    problems: RefCell<Vec<String>>,
}

impl<'a> Known<'a> {
    pub(crate) fn new(reads: &'a dyn Read, settings: &'a Settings, told: &'a [Told]) -> Known<'a> {
        Known { reads, settings, told, problems: RefCell::default() }
    }

    /// Why answers were Undefined.
    pub(crate) fn into_problems(self) -> Vec<String> {
        self.problems.into_inner()
    }

    fn function(&self, question: &Question, name: &str, payload: &str) -> Result<Answered, String> {
        self.told(question).map_or_else(
            || {
                FunctionName::parse(name).map_err(|error| error.message)?;
                self.later(payload.len())
            },
            Ok,
        )
    }

    /// What has been told already.
    fn told(&self, question: &Question) -> Option<Answered> {
        let told = self.told.iter().find(|told| told.question == *question)?;
        Some(Answered::Now(told.answer.clone().map_or(Value::Undefined, Value::Json)))
    }

    /// It will be told, if it can be asked.
    fn later(&self, bytes: usize) -> Result<Answered, String> {
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(format!("the input has more than {PAYLOAD_BYTES_MAX} bytes"));
        }
        if self.told.len() >= QUESTIONS_MAX {
            return Err(format!("a statement asks at most {QUESTIONS_MAX} functions"));
        }
        Ok(Answered::Later)
    }

    fn item(
        &self,
        table: &str,
        partition: &(Arc<str>, Json),
        sort: Option<&(Arc<str>, Json)>,
    ) -> Result<Option<Json>, String> {
        let keys = [Some(partition), sort].into_iter().flatten();
        let keys = keys.map(|(name, value)| (Arc::clone(name), attribute(value)));
        let body = [("TableName", Json::from(table)), ("Key", Json::object(keys))];
        let answer = self.ask_service(Service::DynamoDb, "GetItem", &Json::object(body))?;
        let item = answer.member("Item").map(plain_members);
        match item {
            Some(item) if item.to_text().len() > ITEM_BYTES_MAX => {
                Err(format!("the item has more than {ITEM_BYTES_MAX} bytes"))
            }
            item => Ok(item),
        }
    }

    fn registry(&self, api: &str, thing: &str) -> Result<Option<Json>, String> {
        if !["DescribeThing", "ListThingGroupsForThing"].contains(&api) {
            return Err(format!("`{api}` is neither DescribeThing nor ListThingGroupsForThing"));
        }
        let body = Json::object([("thingName", Json::from(thing))]);
        self.ask_service(Service::Iot, api, &body).map(Some)
    }

    fn shadow(&self, thing: &str, name: Option<&str>) -> Result<Option<Json>, String> {
        let name = shadows::Name::checked(thing, name)?;
        let shadow = shadows::live(&name, self.reads).map_err(|corrupt| corrupt.to_string())?;
        let shadow = shadow.ok_or_else(|| shadows::Refused::none(&name).message)?;
        Ok(Some(shadow.document(shadow.at, None)))
    }

    /// The value of a secret that is current, or a member of it.
    fn secret(&self, id: &str, kind: &str, key: Option<&str>) -> Result<Option<Json>, String> {
        let body = Json::object([("SecretId", Json::from(id))]);
        let answer = self.ask_service(Service::SecretsManager, "GetSecretValue", &body)?;
        let value = answer.member(kind).filter(|_| SECRET_TYPES.contains(&kind));
        let value = value.ok_or_else(|| format!("`{id}` has no {kind}"))?;
        let object = value.as_str().filter(|_| kind == "SecretString");
        let object = object.and_then(|text| Json::parse(text).ok());
        let object = object.filter(|object| object.as_object().is_some());
        let Some(key) = key else { return Ok(Some(object.unwrap_or_else(|| value.clone()))) };
        // What it says must not be told with what is wrong.
        let object = object.ok_or_else(|| format!("`{id}` is no JSON object, so it has no key"))?;
        let member = object.member(key).cloned();
        member.map(Some).ok_or_else(|| format!("`{id}` has no key `{key}`"))
    }

    fn ask_service(&self, service: Service, operation: &str, body: &Json) -> Result<Json, String> {
        let request = Request::parse(service, operation, body);
        let request = request.ok_or_else(|| format!("`{operation}` is not served"))?;
        let answer = request.and_then(|request| request.answer(self.reads, self.settings));
        answer.map_err(|error: ApiError| error.to_string())
    }
}

impl Outside for Known<'_> {
    fn ask(&self, question: &Question) -> Answered {
        let now =
            |answer: Option<Json>| Answered::Now(answer.map_or(Value::Undefined, Value::Json));
        let (function, answered) = match question {
            Question::NoRole { function } => (&**function, Err(NO_ROLE.to_owned())),
            Question::Lambda { function, payload } => {
                ("aws_lambda", self.function(question, function, payload))
            }
            Question::Item { table, partition, sort } => {
                ("get_dynamodb", self.item(table, partition, sort.as_ref()).map(now))
            }
            Question::Registry { api, thing } => {
                ("get_registry_data", self.registry(api, thing).map(now))
            }
            Question::Object { bucket, key } => {
                let bytes = objects::bytes(bucket, key, OBJECT_BYTES_MAX, self.reads);
                let found = bytes.map(|bytes| Answered::Now(Value::Bytes(bytes.into())));
                ("decode", found.map_err(|error| format!("`{bucket}/{key}`: {error}")))
            }
            Question::Prediction { record, .. } => {
                let told = self.told(question);
                let told = told.map_or_else(|| self.later(record.to_text().len()), Ok);
                ("machinelearning_predict", told)
            }
            Question::Secret { id, kind, key } => {
                ("get_secret", self.secret(id, kind, key.as_deref()).map(now))
            }
            Question::Shadow { thing, name } => {
                ("get_thing_shadow", self.shadow(thing, name.as_deref()).map(now))
            }
        };
        answered.unwrap_or_else(|why| {
            self.problems.borrow_mut().push(format!("{function}: {why}"));
            Answered::Now(Value::Undefined)
        })
    }
}

/// The members of an item as plain JSON.
fn plain_members(members: &Json) -> Json {
    let members = members.as_object().into_iter().flat_map(|members| members.iter());
    Json::object(members.map(|(name, value)| (Arc::clone(name), plain(value))))
}

/// A value of DynamoDB's typed JSON as plain JSON; sets are arrays.
fn plain(typed: &Json) -> Json {
    let Some((kind, value)) = typed.as_object().and_then(|members| members.iter().next()) else {
        return Json::Null;
    };
    let number = |value: &Json| value.as_str().and_then(|text| Json::parse(text).ok());
    let all = |of: &dyn Fn(&Json) -> Json| {
        Json::array(value.as_array().unwrap_or_default().iter().map(of))
    };
    match kind.as_ref() {
        "N" => number(value).unwrap_or_default(),
        "NS" => all(&|value| number(value).unwrap_or_default()),
        "M" => plain_members(value),
        "L" => all(&plain),
        "NULL" => Json::Null,
        // S, BOOL, SS; binary values are base64, as in the API.
        _ => value.clone(),
    }
}
