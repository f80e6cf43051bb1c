//! Which HTTP status an error has, and what it is called on the wire.

/// The HTTP status of an error of this name in `service` (its signing name).
///
/// Source: the services' public models; DynamoDB and Step Functions answer 400 to everything that is
/// the caller's fault.
pub fn status(service: &str, code: &str) -> u16 {
    if service == "s3" {
        return s3_status(code);
    }
    match code {
        "NotFound" | "ResourceNotFound" if service == "sns" => 404,
        "AuthorizationError" if service == "sns" => 403,
        "PurgeQueueInProgress" if service == "sqs" => 403,
        "ChangeSetNotFound" => 404,
        "NoSuchEntity" if service == "iam" => 404,
        "EntityAlreadyExists" | "DeleteConflict" | "LimitExceeded" if service == "iam" => 409,
        "AccessDenied" | "ExpiredTokenException" if matches!(service, "iam" | "sts") => 403,
        "ResourceNotFound" | "ResourceNotFoundException" if service == "monitoring" => 404,
        "InternalFailure"
        | "InternalError"
        | "InternalServerError"
        | "InternalFailureException"
        | "InternalException"
        | "InternalServiceError"
        | "InternalServiceFault" => 500,
        "ServiceUnavailable" | "ServiceUnavailableException" => 503,
        "GatewayTimeoutException" => 504,
        "RequestEntityTooLarge" | "RequestEntityTooLargeException" => 413,
        "UnsupportedOperationException" => 501,
        "AccessDeniedException"
        | "InvalidSignatureException"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignatureException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "ForbiddenException"
            if is_iot(service) =>
        {
            403
        }
        _ if service == "lambda" => lambda(code),
        _ if service == "scheduler" => scheduler(code),
        _ if !is_iot(service) => 400,
        "UnauthorizedException" => 401,
        "ResourceNotFoundException" => 404,
        "MethodNotAllowedException" => 405,
        "CertificateStateException" => 406,
        "ResourceAlreadyExistsException"
        | "VersionConflictException"
        | "DeleteConflictException"
        | "ConflictException"
        | "InvalidStateTransitionException"
        | "CertificateConflictException"
        | "VersionsLimitExceededException"
        | "ConflictingResourceUpdateException" => 409,
        "LimitExceededException" | "TerminalStateException" => 410,
        "ThrottlingException" => 429,
        _ => 400,
    }
}

/// Whether this is one of the services of AWS IoT.
fn is_iot(service: &str) -> bool {
    matches!(service, "iot" | "iotdata" | "iotdevicegateway" | "iot-jobs-data")
}

fn lambda(code: &str) -> u16 {
    match code {
        "ResourceNotFoundException" | "ProvisionedConcurrencyConfigNotFoundException" => 404,
        "MethodNotAllowedException" => 405,
        "ResourceConflictException" => 409,
        "PreconditionFailedException" => 412,
        "RequestTooLargeException" => 413,
        "UnsupportedMediaTypeException" => 415,
        "TooManyRequestsException" => 429,
        "ServiceException" => 500,
        _ => 400,
    }
}

/// Source: EventBridge Scheduler API reference.
fn scheduler(code: &str) -> u16 {
    match code {
        "ServiceQuotaExceededException" => 402,
        "AccessDeniedException" => 403,
        "ResourceNotFoundException" => 404,
        "MethodNotAllowedException" => 405,
        "ConflictException" => 409,
        "InternalServerException" => 500,
        _ => 400,
    }
}

/// Source: Amazon S3 API reference, "Error responses".
fn s3_status(code: &str) -> u16 {
    match code {
        "NotModified" => 304,
        "AccessDenied"
        | "InvalidAccessKeyId"
        | "InvalidSignatureException"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException"
        | "MissingAuthenticationTokenException" => 403,
        "NoSuchBucket"
        | "NoSuchKey"
        | "NoSuchUpload"
        | "NoSuchVersion"
        | "NoSuchBucketPolicy"
        | "NoSuchCORSConfiguration"
        | "NoSuchConfiguration"
        | "NoSuchLifecycleConfiguration"
        | "NoSuchObjectLockConfiguration"
        | "NoSuchPublicAccessBlockConfiguration"
        | "NoSuchTagSet"
        | "NoSuchWebsiteConfiguration"
        | "ObjectLockConfigurationNotFoundError"
        | "OwnershipControlsNotFoundError"
        | "ReplicationConfigurationNotFoundError" => 404,
        "MethodNotAllowed" => 405,
        "BucketAlreadyExists" | "BucketAlreadyOwnedByYou" | "BucketNotEmpty" => 409,
        "PreconditionFailed" => 412,
        "InvalidRange" | "InvalidPartNumber" => 416,
        "InternalError" => 500,
        "NotImplemented" => 501,
        "ServiceUnavailable" => 503,
        _ => 400,
    }
}

/// The error's full name as DynamoDB and Step Functions write it in `__type`.
pub fn qualified(service: &str, code: &str) -> String {
    match (service, code) {
        (
            "dynamodb",
            "ValidationException" | "SerializationException" | "UnknownOperationException",
        ) => {
            format!("com.amazon.coral.validate#{code}")
        }
        ("dynamodb", code) => format!("com.amazonaws.dynamodb.v20120810#{code}"),
        ("sqs", code) => format!("com.amazonaws.sqs#{code}"),
        ("monitoring", code) => format!("com.amazonaws.cloudwatch#{code}"),
        (_, code) => code.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_has_the_status_of_its_service() {
        assert_eq!(status("iot", "ResourceNotFoundException"), 404);
        assert_eq!(status("dynamodb", "ResourceNotFoundException"), 400);
        assert_eq!(status("states", "InternalFailure"), 500);
    }
}
