//! What others are asked: tables, the registry, shadows, secrets, functions, models. The answer to a question that
//! cannot be asked is Undefined, as is one that there is not.

use std::sync::Arc;

use stepwire_asl::Json;

use super::{Call, Found, Function};
use crate::rules::action::is_arn;
use crate::rules::sql::outside::Question;
use crate::rules::sql::value::Value;

/// `get_dynamodb(table, partitionKeyName, partitionKeyValue[, sortKeyName, sortKeyValue], roleArn)`
pub(super) fn get_dynamodb(call: &Call<'_>) -> Found {
    let key = |at: usize| Some((call.name(at)?, call.value(at + 1)?.json()?.clone()));
    let sort = if call.values.len() > 4 { Some(key(3)?) } else { None };
    let question = Question::Item { table: call.name(0)?, partition: key(1)?, sort };
    Some(asked(Function::GetDynamodb, call, question))
}

/// `get_registry_data(api, thingName, roleArn)`
pub(super) fn get_registry_data(call: &Call<'_>) -> Found {
    let question = Question::Registry { api: call.name(0)?, thing: call.name(1)? };
    Some(asked(Function::GetRegistryData, call, question))
}

/// `get_thing_shadow(thingName[, shadowName], roleArn)`
pub(super) fn get_thing_shadow(call: &Call<'_>) -> Found {
    let name = if call.values.len() > 2 { Some(call.name(1)?) } else { None };
    Some(asked(Function::GetThingShadow, call, Question::Shadow { thing: call.name(0)?, name }))
}

/// `get_secret(secretId, secretType[, key], roleArn)`
pub(super) fn get_secret(call: &Call<'_>) -> Found {
    let key = if call.values.len() > 3 { Some(call.name(2)?) } else { None };
    let question = Question::Secret { id: call.name(0)?, kind: call.name(1)?, key };
    Some(asked(Function::GetSecret, call, question))
}

/// `machinelearning_predict(modelId, roleArn, record)`
///
/// A model takes texts alone: other values are serialised (AWS IoT developer guide).
pub(super) fn machinelearning_predict(call: &Call<'_>) -> Found {
    let given = call.value(2)?.clone().into_json()?;
    let members = given.as_object()?.iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_text(), str::to_owned);
        (Arc::clone(name), Json::from(text))
    });
    let record = Json::object(members);
    let question = Question::Prediction { model: call.name(0)?, record };
    Some(asked(Function::MachinelearningPredict, call, question))
}

/// `aws_lambda(functionArn, inputJson)`
pub(super) fn aws_lambda(call: &Call<'_>) -> Found {
    let payload = call.value(1)?.clone().into_json()?.to_text().into();
    Some(call.facts.ask(&Question::Lambda { function: call.name(0)?, payload }))
}

/// The answer to a question of `function`, whose role must be one.
fn asked(function: Function, call: &Call<'_>, question: Question) -> Value {
    let role = function.role(call.values.len()).and_then(|at| call.name(at));
    let question = match role {
        Some(role) if is_arn(&role) => question,
        _ => Question::NoRole { function: function.name().into() },
    };
    call.facts.ask(&question)
}
