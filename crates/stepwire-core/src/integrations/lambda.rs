//! Tasks that invoke functions: by the function's own ARN, by `lambda:invoke`, by `aws-sdk:lambda`.

use std::sync::Arc;

use stepwire_asl::{Failure, Json, Timestamp};

use super::Carry;
use crate::error::ApiError;
use crate::functions::{FunctionName, Invoke, Invoked};
use crate::params::Params;
use crate::request::Service;

/// How a task invokes a function: decides how its output and its errors look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// By the function's ARN: the output is what the function returned.
    Function,
    /// By `lambda:invoke`: the output wraps that.
    Optimised,
    /// By `aws-sdk:lambda:invoke`: that is text, and a function's error no failure of the task.
    Sdk,
}

/// Operations that workflows may call besides `invoke`: those that carry no archive.
pub(super) fn exists(api: &str) -> bool {
    matches!(
        api,
        "invoke"
            | "getFunction"
            | "getFunctionConfiguration"
            | "getPolicy"
            | "listFunctions"
            | "updateFunctionConfiguration"
            | "deleteFunction"
            | "addPermission"
            | "removePermission"
    )
}

/// A task on the ARN of a function: its parameters are the payload.
pub(super) fn carry_function(arn: &str, parameters: &Json) -> Carry {
    let payload = parameters.to_text().into();
    let invoke = FunctionName::parse(arn)
        .and_then(|function| Invoke::new(function, None, None, None, payload));
    carried(Form::Function, invoke)
}

/// A task on `invoke` with AWS's parameters.
pub(super) fn carry(form: Form, parameters: &Json) -> Carry {
    carried(form, invoke(parameters))
}

fn carried(form: Form, invoke: Result<Invoke, ApiError>) -> Carry {
    match invoke {
        Ok(invoke) => Carry::Function(form, Box::new(invoke)),
        Err(error) => Carry::Fails(form.failure(&error, None)),
    }
}

fn invoke(parameters: &Json) -> Result<Invoke, ApiError> {
    let params = Params::new(parameters, "ValidationException");
    let known =
        ["FunctionName", "Payload", "Qualifier", "InvocationType", "LogType", "ClientContext"];
    params.only(&known)?;
    Invoke::new(
        crate::functions::function(&params)?,
        params.optional_text("InvocationType")?,
        params.optional_text("LogType")?,
        params.optional_text("ClientContext")?,
        payload(params.get("Payload")),
    )
}

/// A payload as it is sent: text that is JSON goes as it is, any other value as JSON.
fn payload(given: Option<&Json>) -> Arc<str> {
    match given {
        None => "".into(),
        Some(Json::String(text)) if Json::parse(text).is_ok() => Arc::clone(text),
        Some(value) => value.to_text().into(),
    }
}

impl Form {
    /// The end of an invocation as the task's output or failure.
    pub(crate) fn result(
        self,
        now: Timestamp,
        request_id: &str,
        result: Result<Invoked, ApiError>,
    ) -> Result<Json, Failure> {
        let invoked = result.map_err(|error| self.failure(&error, Some(request_id)))?;
        if invoked.failed && self != Form::Sdk {
            return Err(function_error(&invoked.payload));
        }
        let payload = || match Json::parse(&invoked.payload) {
            Ok(value) => value,
            Err(_) => Json::String(Arc::clone(&invoked.payload)),
        };
        match self {
            Form::Function => Ok(payload()),
            Form::Optimised => Ok(wrapped(now, request_id, &invoked, payload())),
            Form::Sdk => {
                let payload = Json::String(Arc::clone(&invoked.payload));
                let mut members = answered(&invoked, payload);
                members.extend(invoked.failed.then(|| ("FunctionError", "Unhandled".into())));
                Ok(Json::object(members))
            }
        }
    }

    /// A refusal of Lambda as the task's failure: SDK v1 words it one way, v2 another.
    fn failure(self, error: &ApiError, request_id: Option<&str>) -> Failure {
        let modelled = error.code != "ValidationException";
        let (message, status, code) =
            (&error.message, super::status(Service::Lambda, &error.code), &error.code);
        let (other, cause) = match self {
            Form::Function | Form::Optimised => {
                let id = request_id.map(|id| format!("; Request ID: {id}; Proxy: null"));
                let cause = format!(
                    "{message} (Service: AWSLambda; Status Code: {status}; Error Code: {code}{})",
                    id.unwrap_or_default()
                );
                ("AWSLambdaException", cause)
            }
            Form::Sdk => {
                let id = request_id.map(|id| format!(", Request ID: {id}"));
                let cause = format!(
                    "{message} (Service: Lambda, Status Code: {status}{})",
                    id.unwrap_or_default()
                );
                ("LambdaException", cause)
            }
        };
        let name = if modelled { code.as_ref() } else { other };
        Failure::new(&format!("Lambda.{name}"), cause)
    }
}

/// A function's own error: its type, and the whole of it, in compact text, as the cause.
fn function_error(payload: &str) -> Failure {
    let value = Json::parse(payload).unwrap_or_default();
    let whole = if value.is_null() { payload.to_owned() } else { value.to_text() };
    match value.member("errorType").and_then(Json::as_str).filter(|kind| !kind.is_empty()) {
        Some(kind) => Failure::new(kind, whole),
        None => {
            let cause = format!(
                "The cause could not be determined because Lambda did not return an error type. \
                 Returned payload: {whole}"
            );
            Failure::new("Lambda.Unknown", cause)
        }
    }
}

type Members = Vec<(&'static str, Json)>;

fn answered(invoked: &Invoked, payload: Json) -> Members {
    let mut members: Members = Vec::new();
    if invoked.status == 200 {
        members.push(("ExecutedVersion", Json::String(Arc::clone(&invoked.version))));
    }
    members.extend(invoked.log.iter().map(|log| ("LogResult", Json::String(Arc::clone(log)))));
    members.push(("Payload", payload));
    members.push(("StatusCode", i64::from(invoked.status).into()));
    members
}

/// The output of `lambda:invoke`, with the HTTP response as AWS's SDK shows it.
fn wrapped(now: Timestamp, request_id: &str, invoked: &Invoked, payload: Json) -> Json {
    let digits = request_id.replace('-', "");
    let (seconds, root) = (now.0 / 1_000, digits.get(..24).unwrap_or(&digits));
    let mut headers: Members = vec![
        ("Connection", "keep-alive".into()),
        ("Content-Length", invoked.payload.len().to_string().into()),
        ("Content-Type", "application/json".into()),
        ("Date", now.http_date().into()),
    ];
    if invoked.status == 200 {
        headers.push(("X-Amz-Executed-Version", Json::String(Arc::clone(&invoked.version))));
    }
    headers
        .extend(invoked.log.iter().map(|log| ("X-Amz-Log-Result", Json::String(Arc::clone(log)))));
    headers.extend([
        ("x-amzn-Remapped-Content-Length", Json::from("0")),
        ("x-amzn-RequestId", request_id.into()),
        ("X-Amzn-Trace-Id", format!("Root=1-{seconds:08x}-{root};Sampled=0").into()),
    ]);
    let all = headers.iter().map(|(name, value)| (*name, Json::array([value.clone()])));
    let all = Json::object(all);
    let http = Json::object([
        ("AllHttpHeaders", all),
        ("HttpHeaders", Json::object(headers)),
        ("HttpStatusCode", i64::from(invoked.status).into()),
    ]);
    let mut members = answered(invoked, payload);
    let response = Json::object([("RequestId", Json::from(request_id))]);
    let at = members.len() - 1;
    members.splice(at..at, [("SdkHttpMetadata", http), ("SdkResponseMetadata", response)]);
    Json::object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invoked(payload: &str, failed: bool) -> Invoked {
        Invoked { status: 200, payload: payload.into(), failed, log: None, version: "1".into() }
    }

    #[test]
    fn text_that_is_json_is_the_payload_and_other_text_is_quoted() {
        let sent = |text: &str| payload(Some(&Json::from(text)));
        assert_eq!(&*sent("0.0"), "0.0");
        assert_eq!(&*sent("[1, 2]"), "[1, 2]");
        assert_eq!(&*sent("hello"), "\"hello\"");
        assert_eq!(&*payload(None), "");
    }

    #[test]
    fn a_functions_error_fails_the_task_except_of_the_sdk() {
        let now = Timestamp(0);
        let error = r#"{"errorMessage": "no", "errorType": "Bad"}"#;
        let failure = Form::Optimised.result(now, "id", Ok(invoked(error, true)));
        let cause = r#"{"errorMessage":"no","errorType":"Bad"}"#;
        assert_eq!(failure, Err(Failure::new("Bad", cause)));
        let output = Form::Sdk.result(now, "id", Ok(invoked(error, true))).unwrap_or_default();
        assert_eq!(output.member("FunctionError").and_then(Json::as_str), Some("Unhandled"));
        assert_eq!(output.member("Payload").and_then(Json::as_str), Some(error));
    }

    #[test]
    fn an_error_without_a_type_is_unknown() {
        let failure = Form::Function.result(Timestamp(0), "id", Ok(invoked("{\"a\":1}", true)));
        let failure = failure.err().map(|failure| (failure.error, failure.cause));
        let (error, cause) = failure.unwrap_or_default();
        assert_eq!(&*error, "Lambda.Unknown");
        assert!(cause.ends_with("Returned payload: {\"a\":1}"), "{cause}");
    }

    #[test]
    fn each_dialect_says_in_its_own_way_that_a_function_is_missing() {
        let refusal = || Err(ApiError::new("ResourceNotFoundException", "Function not found: f"));
        let cause = |form: Form| {
            let failure = form.result(Timestamp(0), "1-2", refusal()).err();
            failure.map(|failure| failure.cause.to_string()).unwrap_or_default()
        };
        assert_eq!(
            cause(Form::Function),
            "Function not found: f (Service: AWSLambda; Status Code: 404; Error Code: \
             ResourceNotFoundException; Request ID: 1-2; Proxy: null)"
        );
        assert_eq!(
            cause(Form::Sdk),
            "Function not found: f (Service: Lambda, Status Code: 404, Request ID: 1-2)"
        );
    }
}
