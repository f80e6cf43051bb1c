//! Lambda requests, parsed. Source: AWS Lambda API reference (service model `lambda`).

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::record::Runtime;
use super::{AsyncConfig, FunctionName};
use crate::error::ApiError;
use crate::params::Params;

/// The error name of a bad parameter.
pub(super) const INVALID: &str = "InvalidParameterValueException";
/// Longest archive that a request may carry, bytes (AWS: 50 MB).
const ARCHIVE_BYTES_MAX: usize = 50 << 20;
/// Longest payload of an invocation that is waited for, bytes.
const PAYLOAD_MAX: usize = 6 << 20;
/// Longest payload of one that nobody waits for, bytes.
const EVENT_PAYLOAD_MAX: usize = 1 << 20;
/// Longest environment, bytes of names and values.
const ENVIRONMENT_BYTES_MAX: usize = 4 << 10;
/// Most functions of a page.
pub(super) const PAGE_MAX: i64 = 50;

/// Members of a function that are accepted without effect and shown again.
const SHOWN: [&str; 8] = [
    "Architectures",
    "EphemeralStorage",
    "KMSKeyArn",
    "LoggingConfig",
    "SnapStart",
    "TracingConfig",
    "Tags",
    "VpcConfig",
];
/// Environment variables that the runtime sets itself.
const RESERVED: [&str; 9] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
];

/// A request on functions.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// CreateFunction
    Create(Box<Create>),
    /// UpdateFunctionCode
    UpdateCode {
        /// Which.
        function: FunctionName,
        /// Where the archive is.
        code: Code,
        /// `RevisionId`: the revision it must still have.
        revision: Option<Arc<str>>,
        /// `DryRun`: say what would be, change nothing.
        dry_run: bool,
        /// `Publish`: a version, too.
        publish: bool,
    },
    /// UpdateFunctionConfiguration
    UpdateConfiguration {
        /// Which.
        function: FunctionName,
        /// What is to change.
        configuration: Box<Configuration>,
        /// `RevisionId`: the revision it must still have.
        revision: Option<Arc<str>>,
    },
    /// DeleteFunction: of one version, if one is named.
    Delete(FunctionName),
    /// PublishVersion
    PublishVersion {
        /// Which.
        function: FunctionName,
        /// `Description` of the version.
        description: Option<Arc<str>>,
        /// `CodeSha256` that the code must have, in base64.
        sha256: Option<Arc<str>>,
        /// `RevisionId`: the revision it must still have.
        revision: Option<Arc<str>>,
    },
    /// ListVersionsByFunction
    ListVersions {
        /// Which.
        function: FunctionName,
        /// At most this many.
        limit: usize,
        /// After this one.
        after: Option<Arc<str>>,
    },
    /// CreateAlias
    CreateAlias(AliasChange),
    /// UpdateAlias
    UpdateAlias(AliasChange),
    /// DeleteAlias
    DeleteAlias(FunctionName, Arc<str>),
    /// GetAlias
    GetAlias(FunctionName, Arc<str>),
    /// ListAliases, of one version if it is named.
    ListAliases(FunctionName, Option<u64>),
    /// PublishLayerVersion
    PublishLayer {
        /// Its name.
        name: Arc<str>,
        /// Where the archive is.
        code: Code,
        /// Everything else.
        shown: Object,
    },
    /// DeleteLayerVersion
    DeleteLayer(Arc<str>, u64),
    /// GetLayerVersion, GetLayerVersionByArn
    GetLayer(Arc<str>, u64),
    /// ListLayers
    ListLayers,
    /// ListLayerVersions
    ListLayerVersions(Arc<str>),
    /// PutFunctionConcurrency, DeleteFunctionConcurrency
    Reserve(FunctionName, Option<u32>),
    /// PutProvisionedConcurrencyConfig: of which version or alias, how many.
    Provision(FunctionName, u32),
    /// DeleteProvisionedConcurrencyConfig
    Unprovision(FunctionName),
    /// GetProvisionedConcurrencyConfig
    GetProvisioned(FunctionName),
    /// ListProvisionedConcurrencyConfigs
    ListProvisioned(FunctionName),
    /// GetFunctionConcurrency
    GetReserved(FunctionName),
    /// PutFunctionEventInvokeConfig, UpdateFunctionEventInvokeConfig
    SetAsync {
        /// Which, with the qualifier that it is for.
        function: FunctionName,
        /// What is to be.
        config: AsyncConfig,
        /// Whether what is not given stays as it is.
        merges: bool,
    },
    /// DeleteFunctionEventInvokeConfig
    DeleteAsync(FunctionName),
    /// GetFunctionEventInvokeConfig
    GetAsync(FunctionName),
    /// ListFunctionEventInvokeConfigs
    ListAsync(FunctionName),
    /// CreateEventSourceMapping
    CreateSource(Box<SourceChange>),
    /// UpdateEventSourceMapping
    UpdateSource(Arc<str>, Box<SourceChange>),
    /// DeleteEventSourceMapping
    DeleteSource(Arc<str>),
    /// GetEventSourceMapping
    GetSource(Arc<str>),
    /// ListEventSourceMappings
    ListSources {
        /// Of this queue alone.
        queue: Option<Arc<str>>,
        /// Of this function alone.
        function: Option<FunctionName>,
    },
    /// TagResource
    Tag(FunctionName, Object),
    /// UntagResource
    Untag(FunctionName, Vec<Arc<str>>),
    /// ListTags
    ListTags(FunctionName),
    /// GetAccountSettings
    AccountSettings,
    /// GetFunctionUrlConfig: there is none.
    GetUrl(FunctionName),
    /// AddPermission
    AddPermission {
        /// Which.
        function: FunctionName,
        /// The statement.
        permission: Box<Permission>,
    },
    /// RemovePermission
    RemovePermission {
        /// Which.
        function: FunctionName,
        /// `StatementId`
        id: Arc<str>,
    },
    /// Invoke, without waiting for the end.
    Enqueue {
        /// Which.
        function: FunctionName,
        /// JSON text.
        payload: Arc<str>,
        /// What identifies it, a UUID; without one it gets one.
        request_id: Option<Arc<str>>,
    },
    /// GetFunction
    Get(FunctionName),
    /// GetFunctionConfiguration
    GetConfiguration(FunctionName),
    /// ListFunctions
    List {
        /// At most this many.
        limit: usize,
        /// After this name.
        after: Option<Arc<str>>,
    },
    /// GetPolicy
    GetPolicy(FunctionName),
}

/// A function that is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Create {
    /// Its name.
    pub function: FunctionName,
    /// Where the archive is.
    pub code: Code,
    /// `Publish`: a version, too.
    pub publish: bool,
    /// Everything else.
    pub configuration: Configuration,
}

/// Where an archive is.
#[derive(Debug, Clone, PartialEq)]
pub enum Code {
    /// In the request.
    Archive(Arc<[u8]>),
    /// An object of ours, or a folder of the node's in place of a bucket.
    Object {
        /// `S3Bucket`
        bucket: Arc<str>,
        /// `S3Key`
        key: Arc<str>,
    },
}

/// What an alias is to be; `None`: as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct AliasChange {
    /// The function.
    pub function: FunctionName,
    /// Name of the alias.
    pub name: Arc<str>,
    /// `FunctionVersion`; 0: `$LATEST`.
    pub version: Option<u64>,
    /// `Description`
    pub description: Option<Arc<str>>,
    /// Another version and its share of 1,000,000.
    pub other: Option<Option<(u64, u32)>>,
    /// `RevisionId`: the revision it must still have.
    pub revision: Option<Arc<str>>,
}

/// What an event source mapping is to be; `None`: as it is, or AWS's default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SourceChange {
    /// `EventSourceArn`
    pub queue: Option<Arc<str>>,
    /// `FunctionName`
    pub function: Option<FunctionName>,
    /// `BatchSize`
    pub batch: Option<u32>,
    /// `MaximumBatchingWindowInSeconds`
    pub window_s: Option<u32>,
    /// `Enabled`
    pub enabled: Option<bool>,
    /// `FunctionResponseTypes`
    pub reports_failures: Option<bool>,
    /// `ScalingConfig.MaximumConcurrency`
    pub concurrency: Option<Option<u32>>,
    /// Patterns of `FilterCriteria`
    pub filters: Option<Vec<Arc<str>>>,
    /// `Tags`
    pub shown: Object,
}

/// What a function is given; `None`: as it is, or AWS's default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Configuration {
    /// `Runtime`
    pub runtime: Option<Arc<str>>,
    /// `Handler`
    pub handler: Option<Arc<str>>,
    /// `Role`
    pub role: Option<Arc<str>>,
    /// `Description`
    pub description: Option<Arc<str>>,
    /// `Timeout`
    pub timeout_s: Option<u32>,
    /// `MemorySize`
    pub memory_mb: Option<u32>,
    /// `Layers`: ARNs of versions of layers.
    pub layers: Option<Vec<Arc<str>>>,
    /// `DeadLetterConfig.TargetArn`
    pub dead_letter: Option<Option<Arc<str>>>,
    /// `Environment.Variables`
    pub environment: Option<BTreeMap<Arc<str>, Arc<str>>>,
    /// Members without effect.
    pub shown: Object,
}

/// A statement of a function's resource policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Permission {
    /// `StatementId`
    pub id: Arc<str>,
    /// `Action`
    pub action: Arc<str>,
    /// `Principal`
    pub principal: Arc<str>,
    /// `SourceArn`
    pub source_arn: Option<Arc<str>>,
    /// `SourceAccount`
    pub source_account: Option<Arc<str>>,
}

/// An invocation.
#[derive(Debug, Clone, PartialEq)]
pub struct Invoke {
    /// Which.
    pub function: FunctionName,
    /// Whether anybody waits.
    pub kind: InvocationType,
    /// JSON text.
    pub payload: Arc<str>,
    /// `LogType`: whether the end of the log is wanted.
    pub log_tail: bool,
    /// `ClientContext`, in base64.
    pub client_context: Option<Arc<str>>,
    /// What identifies it, a UUID, if that is known already.
    pub request_id: Option<Arc<str>>,
}

impl Invoke {
    /// What a statement asks a function.
    pub(crate) fn for_answer(function: FunctionName, payload: Arc<str>) -> Invoke {
        let kind = InvocationType::RequestResponse;
        Invoke { function, kind, payload, log_tail: false, client_context: None, request_id: None }
    }
}

/// `InvocationType`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvocationType {
    /// `RequestResponse`: the caller waits.
    RequestResponse,
    /// `Event`: nobody waits.
    Event,
    /// `DryRun`: nothing runs.
    DryRun,
}

impl Request {
    /// The request that `body` makes of `operation`; `None` for operations we do not serve.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let params = Params::new(body, INVALID);
        Some(match operation {
            "CreateFunction" => create(&params),
            "UpdateFunctionCode" => update_code(&params),
            "UpdateFunctionConfiguration" => update_configuration(&params),
            "DeleteFunction" => named(&params).map(Request::Delete),
            "GetFunction" => named(&params).map(Request::Get),
            "GetFunctionConfiguration" => named(&params).map(Request::GetConfiguration),
            "GetPolicy" => named(&params).map(Request::GetPolicy),
            "ListFunctions" => list(&params),
            "AddPermission" => add_permission(&params),
            "RemovePermission" => remove_permission(&params),
            _ => return super::further::parse(operation, &params),
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Request::Get(_)
                | Request::GetConfiguration(_)
                | Request::List { .. }
                | Request::GetPolicy(_)
                | Request::ListVersions { .. }
                | Request::GetAlias(..)
                | Request::ListAliases(..)
                | Request::GetLayer(..)
                | Request::ListLayers
                | Request::ListLayerVersions(_)
                | Request::GetReserved(_)
                | Request::GetProvisioned(_)
                | Request::ListProvisioned(_)
                | Request::GetAsync(_)
                | Request::ListAsync(_)
                | Request::GetSource(_)
                | Request::ListSources { .. }
                | Request::ListTags(_)
                | Request::AccountSettings
                | Request::GetUrl(_)
        )
    }
}

impl Invoke {
    /// The invocation that these parameters ask for; `payload` is the body, JSON text or empty.
    pub fn new(
        function: FunctionName,
        kind: Option<&str>,
        log_type: Option<&str>,
        client_context: Option<&str>,
        payload: Arc<str>,
    ) -> Result<Invoke, ApiError> {
        let refuse = |name: &str, value: &str, allowed: &str| {
            let constraint = format!("Member must satisfy enum value set: [{allowed}]");
            let message = crate::params::broken(name, Some(value), &constraint);
            ApiError::new("ValidationException", message)
        };
        let kind = match kind {
            None | Some("RequestResponse") => InvocationType::RequestResponse,
            Some("Event") => InvocationType::Event,
            Some("DryRun") => InvocationType::DryRun,
            Some(other) => {
                return Err(refuse("invocationType", other, "Event, RequestResponse, DryRun"));
            }
        };
        let log_tail = match log_type {
            None | Some("None") => false,
            Some("Tail") => true,
            Some(other) => return Err(refuse("logType", other, "None, Tail")),
        };
        let payload = if payload.trim().is_empty() { "{}".into() } else { payload };
        if let Err(error) = Json::parse(&payload) {
            let message = format!("Could not parse request body into json: {error}");
            return Err(ApiError::new("InvalidRequestContentException", message));
        }
        let (max, named) = match kind {
            InvocationType::Event => (EVENT_PAYLOAD_MAX, "Event"),
            _ => (PAYLOAD_MAX, "RequestResponse"),
        };
        if payload.len() > max {
            let message = format!(
                "{} byte payload is too large for the {named} invocation type (limit {max} bytes)",
                payload.len()
            );
            return Err(ApiError::new("RequestTooLargeException", message));
        }
        let is_object = |base64: &str| {
            let text = String::from_utf8(STANDARD.decode(base64).ok()?).ok()?;
            Json::parse(&text).ok()?.as_object().map(|_| ())
        };
        if client_context.is_some_and(|context| is_object(context).is_none()) {
            let message = "Client context must be a valid Base64-encoded JSON object.";
            return Err(ApiError::new("InvalidRequestContentException", message));
        }
        let client_context = client_context.map(Arc::from);
        Ok(Invoke { function, kind, payload, log_tail, client_context, request_id: None })
    }
}

pub(super) fn named(params: &Params<'_>) -> Result<FunctionName, ApiError> {
    params.only(&["FunctionName", "Qualifier"])?;
    function(params)
}

/// The function that `FunctionName` and `Qualifier` name.
pub(crate) fn function(params: &Params<'_>) -> Result<FunctionName, ApiError> {
    let name = FunctionName::parse(params.text("FunctionName")?)?;
    name.matching(params.optional_text("Qualifier")?)
}

fn create(params: &Params<'_>) -> Result<Request, ApiError> {
    let own = ["FunctionName", "Code", "PackageType", "Publish"];
    params.only(&[&own[..], &CONFIGURED, &SHOWN, &EMPTY_ONLY].concat())?;
    if params.optional_text("PackageType")?.is_some_and(|kind| kind != "Zip") {
        return Err(unavailable("PackageType", "`Zip` alone"));
    }
    let publish = params.optional_bool("Publish")?.unwrap_or(false);
    let code = params.get("Code").ok_or_else(|| params.invalid("Code", "it must be given"))?;
    let configuration = configuration(params)?;
    if configuration.runtime.is_none() || configuration.handler.is_none() {
        let message = "Runtime and Handler are mandatory parameters for functions created with \
                       deployment packages.";
        return Err(ApiError::new(INVALID, message));
    }
    if configuration.role.is_none() {
        params.text("Role")?;
    }
    let code = code_of(&Params::new(code, INVALID))?;
    let function = FunctionName::parse(params.text("FunctionName")?)?;
    Ok(Request::Create(Box::new(Create { function, code, publish, configuration })))
}

/// Members that [`configuration`] reads.
const CONFIGURED: [&str; 9] = [
    "Runtime",
    "Handler",
    "Role",
    "Description",
    "Timeout",
    "MemorySize",
    "Environment",
    "Layers",
    "DeadLetterConfig",
];
/// Members that must say nothing.
const EMPTY_ONLY: [&str; 2] = ["FileSystemConfigs", "ImageConfig"];

pub(super) fn unavailable(name: &str, what: &str) -> ApiError {
    ApiError::new(INVALID, format!("`{name}`: {what} is available in stepwire yet"))
}

fn configuration(params: &Params<'_>) -> Result<Configuration, ApiError> {
    for name in EMPTY_ONLY {
        let nothing = |value: &Json| match value {
            Json::Array(items) => items.is_empty(),
            Json::Object(members) => members.values().all(nothing_in),
            _ => false,
        };
        if params.get(name).is_some_and(|value| !nothing(value)) {
            return Err(unavailable(name, "nothing of it"));
        }
    }
    let text = |name| Ok::<_, ApiError>(params.optional_text(name)?.map(Arc::<str>::from));
    let runtime = text("Runtime")?;
    if let Some(name) = runtime.as_deref().filter(|name| Runtime::of(name).is_none()) {
        let families = "`python3.N`, `nodejsN.x`, `provided`, `provided.al2` and `provided.al2023`";
        let why = format!(
            "`{name}` is not available in stepwire yet; {families} are (a program of any language \
             runs as `provided.al2023`, when it speaks the Runtime API and is called `bootstrap`)"
        );
        return Err(params.invalid("Runtime", &why));
    }
    if let Some(given) = params.get("LoggingConfig") {
        logging(given)?;
    }
    let shown = SHOWN.iter().filter_map(|name| Some(((*name).into(), params.get(name)?.clone())));
    Ok(Configuration {
        runtime,
        handler: matching(params, "Handler", "[^\\s]+", |text| {
            !text.is_empty() && !text.contains(char::is_whitespace)
        })?,
        role: matching(params, "Role", ROLE, is_role)?,
        description: params.optional_text_within("Description", 256)?.map(Arc::from),
        timeout_s: between(params, "Timeout", 1, 900)?,
        memory_mb: between(params, "MemorySize", 128, 10_240)?,
        environment: params.get("Environment").map(environment).transpose()?,
        layers: params.get("Layers").map(|given| layers(params, given)).transpose()?,
        dead_letter: params.get("DeadLetterConfig").map(dead_letter).transpose()?,
        shown: shown.collect(),
    })
}

/// What the ARN of a role must match.
const ROLE: &str = "arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+";

fn is_role(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, role] = parts[..] else { return false };
    let path = role.strip_prefix("role").unwrap_or_default();
    (partition.is_empty() || partition.starts_with("aws"))
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && path.trim_start_matches('/').len().max(path.len().saturating_sub(1)) > 0
        && path.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@-_/".contains(c))
}

/// A text that must be of a form, which `pattern` says.
fn matching(
    params: &Params<'_>,
    name: &str,
    pattern: &str,
    is: impl Fn(&str) -> bool,
) -> Result<Option<Arc<str>>, ApiError> {
    let Some(text) = params.optional_text(name)? else { return Ok(None) };
    if is(text) {
        return Ok(Some(text.into()));
    }
    let mut path = name.to_owned();
    path[..1].make_ascii_lowercase();
    let constraint = format!("Member must satisfy regular expression pattern: {pattern}");
    let message = crate::params::broken(&path, Some(text), &constraint);
    Err(ApiError::new("ValidationException", message))
}

/// Refuses a `LoggingConfig` that says what cannot be.
fn logging(given: &Json) -> Result<(), ApiError> {
    let params = Params::new(given, INVALID);
    params.only(&["LogFormat", "ApplicationLogLevel", "SystemLogLevel", "LogGroup"])?;
    let members: [(&str, &str, &[&str]); 3] = [
        ("LogFormat", "logFormat", &["JSON", "Text"]),
        (
            "ApplicationLogLevel",
            "applicationLogLevel",
            &["ERROR", "TRACE", "INFO", "DEBUG", "WARN", "FATAL"],
        ),
        ("SystemLogLevel", "systemLogLevel", &["INFO", "DEBUG", "WARN"]),
    ];
    for (name, path, allowed) in members {
        let value = params.optional_text(name)?;
        if let Some(value) = value.filter(|value| !allowed.contains(value)) {
            let allowed = allowed.join(", ");
            let constraint = format!("Member must satisfy enum value set: [{allowed}]");
            let path = format!("loggingConfig.{path}");
            let message = crate::params::broken(&path, Some(value), &constraint);
            return Err(ApiError::new("ValidationException", message));
        }
    }
    params.optional_text("LogGroup")?;
    let levels = ["ApplicationLogLevel", "SystemLogLevel"];
    let levelled = levels.iter().any(|name| params.get(name).is_some());
    if levelled && params.optional_text("LogFormat")? != Some("JSON") {
        let message = "When the logging format is set to Text, the log level cannot be configured.";
        return Err(ApiError::new(INVALID, message));
    }
    Ok(())
}

fn nothing_in(value: &Json) -> bool {
    match value {
        Json::Array(items) => items.is_empty(),
        Json::String(text) => text.is_empty(),
        Json::Bool(value) => !value,
        Json::Null => true,
        _ => false,
    }
}

pub(super) fn between(
    params: &Params<'_>,
    name: &str,
    min: i64,
    max: i64,
) -> Result<Option<u32>, ApiError> {
    let Some(value) = params.optional_int(name)? else { return Ok(None) };
    let constraint = if value < min {
        format!("Member must have value greater than or equal to {min}")
    } else if value > max {
        format!("Member must have value less than or equal to {max}")
    } else {
        return Ok(u32::try_from(value).ok());
    };
    Err(params.broken(name, Some(&value.to_string()), &constraint))
}

fn environment(given: &Json) -> Result<BTreeMap<Arc<str>, Arc<str>>, ApiError> {
    let params = Params::new(given, INVALID);
    params.only(&["Variables"])?;
    let mut variables = BTreeMap::new();
    let none = Json::Object(Arc::default());
    let members = params.get("Variables").unwrap_or(&none).as_object();
    for (name, value) in members.ok_or_else(|| params.invalid("Variables", "it must be a map"))? {
        let value = value.as_str().ok_or_else(|| params.invalid(name, "it must be a string"))?;
        let mut letters = name.chars();
        let plain = letters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
        // `_HANDLER` is the one reserved name that begins with `_`.
        if RESERVED.contains(&&**name) {
            let message = format!(
                "Lambda was unable to configure your environment variables because the \
                 environment variables you have provided contains reserved keys that are \
                 currently not supported for modification. Reserved keys used in this request: \
                 {name}"
            );
            return Err(ApiError::new(INVALID, message));
        }
        if !plain || value.contains('\0') {
            return Err(params.invalid(name, "it is not the name of a variable"));
        }
        variables.insert(Arc::clone(name), value.into());
    }
    let bytes: usize = variables
        .iter()
        .map(|(name, value): (&Arc<str>, &Arc<str>)| name.len() + value.len())
        .sum();
    if bytes > ENVIRONMENT_BYTES_MAX {
        let message = format!(
            "Lambda was unable to configure your environment variables because the environment \
             variables you have provided exceeded the 4KB limit. Measured: {bytes} bytes"
        );
        return Err(ApiError::new(INVALID, message));
    }
    Ok(variables)
}

fn layers(params: &Params<'_>, given: &Json) -> Result<Vec<Arc<str>>, ApiError> {
    let wrong = || params.invalid("Layers", "it must be a list of ARNs of layer versions");
    let given: Vec<Arc<str>> = given
        .as_array()
        .ok_or_else(wrong)?
        .iter()
        .map(|arn| arn.as_str().map(Arc::from).ok_or_else(wrong))
        .collect::<Result<_, _>>()?;
    if given.len() > LAYERS_MAX {
        let message = "Layers consume more than the available size: at most 5 are allowed";
        return Err(ApiError::new(INVALID, message));
    }
    Ok(given)
}

/// Most layers of a function.
const LAYERS_MAX: usize = 5;

fn dead_letter(given: &Json) -> Result<Option<Arc<str>>, ApiError> {
    let params = Params::new(given, INVALID);
    params.only(&["TargetArn"])?;
    let arn = params.optional_text("TargetArn")?.filter(|arn| !arn.is_empty());
    match arn {
        Some(arn) if !matches!(service_of(arn), Some("sqs" | "sns")) => {
            let why = "it must be the ARN of a queue or a topic";
            Err(params.invalid("TargetArn", why))
        }
        other => Ok(other.map(Arc::from)),
    }
}

/// The service that an ARN is of.
pub(super) fn service_of(arn: &str) -> Option<&str> {
    arn.starts_with("arn:").then(|| arn.split(':').nth(2)).flatten()
}

/// Where the code is: `ZipFile`, or `S3Bucket` and `S3Key`.
pub(super) fn code_of(code: &Params<'_>) -> Result<Code, ApiError> {
    if code.get("ImageUri").is_some() {
        return Err(unavailable("ImageUri", "no container image"));
    }
    code.only(&["ZipFile", "S3Bucket", "S3Key", "S3ObjectVersion", "SourceKMSKeyArn"])?;
    if let Some(version) = code.optional_text("S3ObjectVersion")?.filter(|v| *v != "null") {
        let why = format!("objects here have no versions: `{version}`");
        return Err(code.invalid("S3ObjectVersion", &why));
    }
    if let (Some(bucket), Some(key)) =
        (code.optional_text("S3Bucket")?, code.optional_text("S3Key")?)
    {
        return Ok(Code::Object { bucket: bucket.into(), key: key.into() });
    }
    archive(code).map(Code::Archive)
}

fn archive(code: &Params<'_>) -> Result<Arc<[u8]>, ApiError> {
    let text = code.optional_text("ZipFile")?;
    let text =
        text.ok_or_else(|| ApiError::new(INVALID, "Please provide a source for function code."))?;
    let bytes = STANDARD.decode(text).map_err(|_| code.invalid("ZipFile", "it must be base64"))?;
    if bytes.is_empty() {
        return Err(ApiError::new(INVALID, "Uploaded file must be a non-empty zip"));
    }
    if bytes.len() > ARCHIVE_BYTES_MAX {
        let message = format!("the archive has {} bytes, at most {ARCHIVE_BYTES_MAX}", bytes.len());
        return Err(ApiError::new("RequestEntityTooLargeException", message));
    }
    Ok(bytes.into())
}

fn update_code(params: &Params<'_>) -> Result<Request, ApiError> {
    let own = ["FunctionName", "Publish", "DryRun", "RevisionId", "Architectures"];
    let places = ["ZipFile", "S3Bucket", "S3Key", "S3ObjectVersion", "ImageUri", "SourceKMSKeyArn"];
    params.only(&[&own[..], &places].concat())?;
    let given = places.iter().filter_map(|name| Some((*name, params.get(name)?.clone())));
    let code = Json::object(given);
    Ok(Request::UpdateCode {
        function: function(params)?,
        code: code_of(&Params::new(&code, INVALID))?,
        revision: params.optional_text("RevisionId")?.map(Arc::from),
        dry_run: params.optional_bool("DryRun")?.unwrap_or(false),
        publish: params.optional_bool("Publish")?.unwrap_or(false),
    })
}

fn update_configuration(params: &Params<'_>) -> Result<Request, ApiError> {
    let own = ["FunctionName", "RevisionId"];
    let shown: Vec<&str> = SHOWN.into_iter().filter(|name| *name != "Tags").collect();
    params.only(&[&own[..], &CONFIGURED, &shown, &EMPTY_ONLY].concat())?;
    Ok(Request::UpdateConfiguration {
        function: function(params)?,
        configuration: Box::new(configuration(params)?),
        revision: params.optional_text("RevisionId")?.map(Arc::from),
    })
}

fn list(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["Marker", "MaxItems", "FunctionVersion", "MasterRegion"])?;
    let limit = between(params, "MaxItems", 1, 10_000)?.map_or(PAGE_MAX, i64::from).min(PAGE_MAX);
    let after = params.optional_text("Marker")?.map(Arc::from);
    Ok(Request::List { limit: limit as usize, after })
}

fn add_permission(params: &Params<'_>) -> Result<Request, ApiError> {
    let known = [
        "FunctionName",
        "Qualifier",
        "StatementId",
        "Action",
        "Principal",
        "SourceArn",
        "SourceAccount",
    ];
    params.only(&known)?;
    let optional = |name| Ok::<_, ApiError>(params.optional_text(name)?.map(Arc::<str>::from));
    Ok(Request::AddPermission {
        function: function(params)?,
        permission: Box::new(Permission {
            id: params.text("StatementId")?.into(),
            action: {
                params.text("Action")?;
                let pattern = "(lambda:[*]|lambda:[a-zA-Z]+|[*])";
                let is = |text: &str| match text.strip_prefix("lambda:") {
                    Some(name) => {
                        name == "*"
                            || !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic())
                    }
                    None => text == "*",
                };
                matching(params, "Action", pattern, is)?.unwrap_or_default()
            },
            principal: params.text("Principal")?.into(),
            source_arn: optional("SourceArn")?,
            source_account: optional("SourceAccount")?,
        }),
    })
}

fn remove_permission(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["FunctionName", "Qualifier", "StatementId", "RevisionId"])?;
    let id = params.text("StatementId")?.into();
    Ok(Request::RemovePermission { function: function(params)?, id })
}
