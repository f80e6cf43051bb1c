//! TestState: the request, parsed and checked.
//!
//! Shapes and limits: AWS Step Functions API reference. Sentences are the service's where they are
//! recorded.

use std::sync::Arc;

use stepwire_asl::definition::Pattern;
use stepwire_asl::{Json, Kind, SingleState, Trouble};

use super::context;
use super::shapes::{self, Mode};
use crate::error::ApiError;
use crate::integrations;
use crate::params::Params;

/// Longest payload of the service's model, characters.
const PAYLOAD_MAX: usize = 262_144;

/// A TestState request.
#[derive(Debug, Clone)]
pub struct TestState {
    /// The state, in a machine of its own.
    pub(crate) state: Arc<SingleState>,
    /// `roleArn`
    pub(crate) role_arn: Option<Arc<str>>,
    /// `input`: JSON text.
    pub(crate) input: Arc<str>,
    /// Whether `inspectionLevel` asks for the values on the way.
    pub(crate) level: Level,
    /// `variables`: an object.
    pub(crate) variables: Json,
    /// `mock`
    pub(crate) mock: Option<Result<Json, Trouble>>,
    /// `context`
    pub(crate) context: Option<Json>,
    /// `stateConfiguration.retrierRetryCount`
    pub(crate) retries: u32,
    /// `stateConfiguration.mapIterationFailureCount`
    pub(crate) failures: Option<u32>,
    /// `stateConfiguration.mapItemReaderData`, parsed.
    pub(crate) reader_data: Option<Json>,
}

/// `inspectionLevel`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Output alone.
    Info,
    /// And every value on the way to it.
    Debug,
    /// And the request and response of an HTTP task.
    Trace,
}

/// `stateConfiguration`
#[derive(Default)]
struct Configuration<'a> {
    retries: Option<u32>,
    caused_by: Option<&'a str>,
    failures: Option<u32>,
    reader_data: Option<&'a str>,
}

impl TestState {
    /// The request that `params` makes.
    pub(crate) fn parse(params: &Params<'_>) -> Result<TestState, ApiError> {
        params.only(&[
            "definition",
            "roleArn",
            "input",
            "inspectionLevel",
            "revealSecrets",
            "variables",
            "stateName",
            "mock",
            "context",
            "stateConfiguration",
        ])?;
        let level = level(params)?;
        let name = params.optional_text_within("stateName", 80)?;
        if name.is_some_and(str::is_empty) {
            let constraint = "Member must have length greater than or equal to 1";
            return Err(params.broken("stateName", name, constraint));
        }
        let given = mock(params)?;
        let configuration = configuration(params)?;
        let context = params.optional_text_within("context", PAYLOAD_MAX)?;
        if given.is_some() {
            if params.optional_bool("revealSecrets")? == Some(true) {
                return Err(invalid(
                    "TestState does not support RevealSecrets when a mock is specified.",
                ));
            }
        } else {
            configuration.refuse_without_mock()?;
            if context.is_some() {
                return Err(invalid(
                    "TestState does not support Context when a mock is not specified.",
                ));
            }
        }
        let state = single(params.text("definition")?, name)?;
        let role_arn = params.optional_text("roleArn")?;
        let mock = match given {
            Some(given) => Some(given.of(&state)?),
            None => {
                runs_for_real(&state, role_arn)?;
                None
            }
        };
        let context = context.map(|text| context::parse(text, &state)).transpose()?;
        configuration.fit(&state)?;
        Ok(TestState {
            role_arn: role_arn.map(Arc::from),
            input: input(params)?,
            level,
            variables: variables(params)?,
            mock,
            context,
            retries: configuration.retries.unwrap_or(0),
            failures: configuration.failures,
            reader_data: configuration.reader_data()?,
            state: Arc::new(state),
        })
    }
}

fn level(params: &Params<'_>) -> Result<Level, ApiError> {
    match params.optional_text("inspectionLevel")? {
        None | Some("INFO") => Ok(Level::Info),
        Some("DEBUG") => Ok(Level::Debug),
        Some("TRACE") => Ok(Level::Trace),
        Some(other) => {
            let constraint = "Member must satisfy enum value set: [INFO, DEBUG, TRACE]";
            Err(params.broken("inspectionLevel", Some(other), constraint))
        }
    }
}

fn single(definition: &str, name: Option<&str>) -> Result<SingleState, ApiError> {
    match SingleState::parse(definition, name) {
        Ok(Some(state)) => Ok(state),
        Ok(None) => Err(invalid("State not found in definition")),
        Err(found) => {
            let told = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(not_a_definition(format!("Invalid State Machine Definition: '{told}'")))
        }
    }
}

/// Refuses a state that cannot be carried out without a mock.
fn runs_for_real(state: &SingleState, role_arn: Option<&str>) -> Result<(), ApiError> {
    if matches!(state.kind(), Kind::Map | Kind::Parallel) {
        return Err(not_a_definition(
            "TestState API does not support Map or Parallel states. Supported state types \
             include: [Task, Wait, Pass, Succeed, Fail, Choice]",
        ));
    }
    let Some(resource) = state.resource() else { return Ok(()) };
    if role_arn.is_none() {
        return Err(invalid("RoleArn must be specified when testing a Task state"));
    }
    let text = resource.text();
    if resource.service() == "activity" || resource.pattern() != Pattern::RequestResponse {
        return Err(not_a_definition(format!(
            "TestState API does not support activities, .sync and .waitForTaskToken without a mock: {text}"
        )));
    }
    integrations::supported(resource, |_| true).map_err(|why| {
        let place = "/States/StateName/Resource";
        not_a_definition(format!(
            "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: {why} at {place}'"
        ))
    })
}

/// `mock`, not yet compared with the state.
enum Given<'a> {
    Result { text: &'a str, mode: Mode },
    Error(Trouble),
}

fn mock<'a>(params: &Params<'a>) -> Result<Option<Given<'a>>, ApiError> {
    let Some(mock) = params.get("mock") else { return Ok(None) };
    let mock = Params::new(mock, "ValidationException");
    mock.only(&["result", "errorOutput", "fieldValidationMode"])?;
    let mode = match mock.optional_text("fieldValidationMode")? {
        None | Some("STRICT") => Mode::Strict,
        Some("PRESENT") => Mode::Present,
        Some("NONE") => Mode::None,
        Some(other) => {
            let constraint = "Member must satisfy enum value set: [STRICT, PRESENT, NONE]";
            return Err(params.broken("mock.fieldValidationMode", Some(other), constraint));
        }
    };
    let result = mock.optional_text_within("result", PAYLOAD_MAX)?;
    match (result, mock.get("errorOutput")) {
        (Some(text), None) => Ok(Some(Given::Result { text, mode })),
        (None, Some(output)) => {
            let output = Params::new(output, "ValidationException");
            output.only(&["error", "cause"])?;
            let (error, cause) = (
                output.optional_text_within("error", 256)?,
                output.optional_text_within("cause", 32_768)?,
            );
            if error.is_none() {
                return Err(invalid("Error must be specified in the mocked error output"));
            }
            Ok(Some(Given::Error(Trouble {
                error: error.map(Arc::from),
                cause: cause.map(Arc::from),
            })))
        }
        (Some(_), Some(_)) => Err(invalid(
            "A test mock should have only one of the following fields: [result, errorOutput].",
        )),
        (None, None) => Err(invalid(
            "A test mock should have one of the following fields: [result, errorOutput].",
        )),
    }
}

impl Given<'_> {
    /// What the mock says, if `state` can be mocked and its result be that.
    fn of(self, state: &SingleState) -> Result<Result<Json, Trouble>, ApiError> {
        let kind = state.kind();
        if !matches!(kind, Kind::Task | Kind::Map | Kind::Parallel) {
            return Err(invalid(format!(
                "State type '{}' is not supported when a mock is specified",
                kind.word()
            )));
        }
        let (text, mode) = match self {
            Given::Error(trouble) => return Ok(Err(trouble)),
            Given::Result { text, mode } => (text, mode),
        };
        let result = Json::parse(text).map_err(|_| invalid("Mocked result must be valid JSON"))?;
        if let Some(resource) = state.resource() {
            shapes::check(resource, &result, mode).map_err(invalid)?;
        } else if state.writes_results() {
            if result.as_object().is_none() {
                return Err(invalid("Mocked result must be a JSON object."));
            }
        } else if result.as_array().is_none() {
            return Err(invalid("Mocked result must be an array."));
        }
        Ok(Ok(result))
    }
}

fn configuration<'a>(params: &Params<'a>) -> Result<Configuration<'a>, ApiError> {
    let Some(members) = params.get("stateConfiguration") else {
        return Ok(Configuration::default());
    };
    let members = Params::new(members, "ValidationException");
    members.only(&[
        "retrierRetryCount",
        "errorCausedByState",
        "mapIterationFailureCount",
        "mapItemReaderData",
    ])?;
    let count = |name: &str| {
        let Some(number) = members.optional_int(name)? else { return Ok(None) };
        u32::try_from(number).map(Some).map_err(|_| {
            let constraint = "Member must have value greater than or equal to 0";
            let place = format!("stateConfiguration.{name}");
            params.broken(&place, Some(&number.to_string()), constraint)
        })
    };
    Ok(Configuration {
        retries: count("retrierRetryCount")?,
        caused_by: members.optional_text_within("errorCausedByState", 80)?,
        failures: count("mapIterationFailureCount")?,
        reader_data: members.optional_text_within("mapItemReaderData", PAYLOAD_MAX)?,
    })
}

impl Configuration<'_> {
    fn refuse_without_mock(&self) -> Result<(), ApiError> {
        let given = [
            ("MapIterationFailureCount", self.failures.is_some()),
            ("RetrierRetryCount", self.retries.is_some()),
            ("ErrorCausedByState", self.caused_by.is_some()),
            ("MapItemReaderData", self.reader_data.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(invalid(format!(
                "TestState does not support {name} when a mock is not specified."
            ))),
            None => Ok(()),
        }
    }

    /// Refuses what makes no sense for `state`.
    fn fit(&self, state: &SingleState) -> Result<(), ApiError> {
        let is_map = state.kind() == Kind::Map;
        if self.failures.is_some() && !is_map {
            return Err(invalid("MapIterationFailureCount is only supported for Map states"));
        }
        if self.reader_data.is_some() && !is_map {
            return Err(invalid("MapItemReaderData is only supported for Map states"));
        }
        match self.caused_by {
            Some(name) if !state.contains(name) => Err(invalid(format!(
                "ErrorCausedByState names a state that is not in it: '{name}'"
            ))),
            _ => Ok(()),
        }
    }

    fn reader_data(&self) -> Result<Option<Json>, ApiError> {
        let parse = |text| {
            Json::parse(text)
                .map_err(|error| invalid(format!("MapItemReaderData must be valid JSON: {error}")))
        };
        self.reader_data.map(parse).transpose()
    }
}

fn input(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    let input = params.optional_text_within("input", PAYLOAD_MAX)?.unwrap_or("{}");
    match Json::parse(input) {
        Ok(_) => Ok(input.into()),
        Err(error) => Err(ApiError::new(
            "InvalidExecutionInput",
            format!("Invalid State Machine Execution Input: '{error}'"),
        )),
    }
}

fn variables(params: &Params<'_>) -> Result<Json, ApiError> {
    let Some(text) = params.optional_text_within("variables", PAYLOAD_MAX)? else {
        return Ok(Json::Object(Arc::default()));
    };
    match Json::parse(text) {
        Ok(variables @ Json::Object(_)) => Ok(variables),
        _ => Err(invalid("Variables must be a JSON object")),
    }
}

pub(super) fn invalid(why: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", why)
}

fn not_a_definition(why: impl Into<String>) -> ApiError {
    ApiError::new("InvalidDefinition", why)
}
