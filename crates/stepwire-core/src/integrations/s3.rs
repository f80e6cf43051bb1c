//! Amazon S3 as tasks call it: bytes are text, or whatever JSON the task gives.

use bytes::Bytes;
use stepwire_asl::Json;

use crate::error::ApiError;
use crate::request::{Request, Service};

/// What bytes of a task are called when it does not say.
const CONTENT_TYPE: &str = "text/plain; charset=UTF-8";

/// Errors that the service's model names; all others are `S3Exception`.
const MODELLED: [&str; 10] = [
    "BucketAlreadyExists",
    "BucketAlreadyOwnedByYou",
    "EncryptionTypeMismatch",
    "InvalidObjectState",
    "InvalidRequest",
    "InvalidWriteOffset",
    "NoSuchBucket",
    "NoSuchKey",
    "NoSuchUpload",
    "TooManyParts",
];

/// The request of a task: the body is the text of its JSON, as the integration sends it, summed up
/// by the checksum that SDKs use.
pub(super) fn request(operation: &str, parameters: &Json) -> Option<Result<Request, ApiError>> {
    let takes_bytes = matches!(operation, "PutObject" | "UploadPart");
    let Some(members) = parameters.as_object().filter(|_| takes_bytes) else {
        return Request::parse(Service::S3, operation, parameters);
    };
    let mut members = members.clone();
    let body = members.shift_remove("Body").filter(|body| !body.is_null());
    if body.is_some() && operation == "PutObject" && !members.contains_key("ContentType") {
        members.insert("ContentType".into(), CONTENT_TYPE.into());
    }
    if !members.keys().any(|name| name.starts_with("Checksum")) {
        members.insert("ChecksumAlgorithm".into(), "CRC32".into());
    }
    let bytes = body.map(|body| Bytes::from(body.to_text())).unwrap_or_default();
    let request = Request::parse(Service::S3, operation, &Json::Object(members.into()))?;
    Some(request.map(|request| match request {
        Request::Objects(request) => Request::Objects(request.with_body(bytes)),
        other => other,
    }))
}

/// The name of the SDK's exception for an error. `None`: its model does not name it.
pub(super) fn exception(code: &str) -> Option<String> {
    MODELLED.contains(&code).then(|| format!("{code}Exception"))
}

/// The HTTP status of an error.
pub(super) fn status(code: &str) -> u16 {
    match code {
        code if code.starts_with("NoSuch") => 404,
        "BucketAlreadyExists" | "BucketAlreadyOwnedByYou" | "BucketNotEmpty" => 409,
        "PreconditionFailed" => 412,
        "InvalidRange" => 416,
        "NotModified" => 304,
        "InternalError" => 500,
        "NotImplemented" => 501,
        _ => 400,
    }
}
