//! What each of the 37 operations of Step Functions takes.
//!
//! Source: AWS Step Functions API reference, 2016-11-23. Lengths that are quotas here (definitions,
//! inputs, outputs) are checked where the settings are known, so they are unbounded in this table.

use crate::shape::Shape::{List, Real, Structure, Text, Truth, Whole, Word};
use crate::shape::{Member, Pattern, Shape, optional, required};

/// The members of an operation's input; `None` if Step Functions has no such operation.
pub(super) fn input(operation: &str) -> Option<&'static [Member]> {
    OPERATIONS.iter().find(|(name, _)| *name == operation).map(|(_, members)| *members)
}

const ANY: usize = usize::MAX;
const ARN: Shape = Text(1, 256, None);
const LONG_ARN: Shape = Text(1, 2_000, None);
const NAME: Shape = Text(1, 80, None);
const PAYLOAD: Shape = Text(0, ANY, None);
const DEFINITION: Shape = Text(1, ANY, None);
const DESCRIPTION: Shape = Text(0, 256, None);
const TASK_TOKEN: Shape = Text(1, 2_048, None);
const ERROR: Shape = Text(0, 256, None);
const CAUSE: Shape = Text(0, 32_768, None);
const TRACE: Shape = Text(0, 256, Some(&ASCII));
const NEXT: Member = optional("nextToken", Text(1, 1_024, None));
const MOST: Member = optional("maxResults", Whole(0, 1_000));
const MACHINE: Member = required("stateMachineArn", ARN);
const EXECUTION: Member = required("executionArn", ARN);
const INCLUDED: Member = optional("includedData", Word(&["ALL_DATA", "METADATA_ONLY"]));
const TYPE: Member = optional("type", Word(&["STANDARD", "EXPRESS"]));

const ASCII: Pattern = Pattern { text: "\\p{ASCII}*", accepts: str::is_ascii };
const PRINTABLE: Pattern =
    Pattern { text: "[!-~]+", accepts: |text| text.bytes().all(|byte| byte.is_ascii_graphic()) };
const ALIAS_NAME: Pattern = Pattern {
    text: r"^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$",
    accepts: |text| {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        text.chars().all(legal) && !text.chars().all(|c| c.is_ascii_digit())
    },
};

const TAG: Shape =
    Structure("Tag", &[optional("key", Text(1, 128, None)), optional("value", Text(0, 256, None))]);
const TAGS: Shape = List(&TAG, 0, ANY);
const TAG_KEY: Shape = Text(1, 128, None);
const ENCRYPTION: Member = optional(
    "encryptionConfiguration",
    Structure(
        "EncryptionConfiguration",
        &[
            optional("kmsKeyId", Text(1, 2_048, None)),
            optional("kmsDataKeyReusePeriodSeconds", Whole(60, 900)),
            required("type", Word(&["AWS_OWNED_KEY", "CUSTOMER_MANAGED_KMS_KEY"])),
        ],
    ),
);
const TRACING: Member = optional(
    "tracingConfiguration",
    Structure("TracingConfiguration", &[optional("enabled", Truth)]),
);
const LOG_DESTINATION: Shape = Structure(
    "LogDestination",
    &[optional(
        "cloudWatchLogsLogGroup",
        Structure("CloudWatchLogsLogGroup", &[optional("logGroupArn", ARN)]),
    )],
);
const LOGGING: Member = optional(
    "loggingConfiguration",
    Structure(
        "LoggingConfiguration",
        &[
            optional("level", Word(&["ALL", "ERROR", "FATAL", "OFF"])),
            optional("includeExecutionData", Truth),
            optional("destinations", List(&LOG_DESTINATION, 0, ANY)),
        ],
    ),
);
const ROUTE: Shape = Structure(
    "RoutingConfigurationListItem",
    &[required("stateMachineVersionArn", ARN), required("weight", Whole(0, 100))],
);
const ROUTES: Shape = List(&ROUTE, 1, 2);
const MOCK: Member = optional(
    "mock",
    Structure(
        "MockInput",
        &[
            optional("result", PAYLOAD),
            optional(
                "errorOutput",
                Structure("MockErrorOutput", &[optional("error", ERROR), optional("cause", CAUSE)]),
            ),
            optional("fieldValidationMode", Word(&["STRICT", "PRESENT", "NONE"])),
        ],
    ),
);
const STATE_CONFIGURATION: Member = optional(
    "stateConfiguration",
    Structure(
        "TestStateConfiguration",
        &[
            optional("retrierRetryCount", Whole(0, i32::MAX as i64)),
            optional("errorCausedByState", NAME),
            optional("mapIterationFailureCount", Whole(0, i32::MAX as i64)),
            optional("mapItemReaderData", PAYLOAD),
        ],
    ),
);

const OPERATIONS: &[(&str, &[Member])] = &[
    ("CreateActivity", &[required("name", NAME), optional("tags", TAGS), ENCRYPTION]),
    (
        "CreateStateMachine",
        &[
            required("name", NAME),
            required("definition", DEFINITION),
            required("roleArn", ARN),
            TYPE,
            LOGGING,
            optional("tags", TAGS),
            TRACING,
            optional("publish", Truth),
            optional("versionDescription", DESCRIPTION),
            ENCRYPTION,
        ],
    ),
    (
        "CreateStateMachineAlias",
        &[
            optional("description", DESCRIPTION),
            required("name", Text(1, 80, Some(&ALIAS_NAME))),
            required("routingConfiguration", ROUTES),
        ],
    ),
    ("DeleteActivity", &[required("activityArn", ARN)]),
    ("DeleteStateMachine", &[MACHINE]),
    ("DeleteStateMachineAlias", &[required("stateMachineAliasArn", ARN)]),
    ("DeleteStateMachineVersion", &[required("stateMachineVersionArn", LONG_ARN)]),
    ("DescribeActivity", &[required("activityArn", ARN)]),
    ("DescribeExecution", &[EXECUTION, INCLUDED]),
    ("DescribeMapRun", &[required("mapRunArn", LONG_ARN)]),
    ("DescribeStateMachine", &[MACHINE, INCLUDED]),
    ("DescribeStateMachineAlias", &[required("stateMachineAliasArn", ARN)]),
    ("DescribeStateMachineForExecution", &[EXECUTION, INCLUDED]),
    ("GetActivityTask", &[required("activityArn", ARN), optional("workerName", NAME)]),
    (
        "GetExecutionHistory",
        &[
            EXECUTION,
            MOST,
            optional("reverseOrder", Truth),
            NEXT,
            optional("includeExecutionData", Truth),
        ],
    ),
    ("ListActivities", &[MOST, NEXT]),
    (
        "ListExecutions",
        &[
            optional("stateMachineArn", ARN),
            optional(
                "statusFilter",
                Word(&[
                    "RUNNING",
                    "SUCCEEDED",
                    "FAILED",
                    "TIMED_OUT",
                    "ABORTED",
                    "PENDING_REDRIVE",
                ]),
            ),
            MOST,
            optional("nextToken", Text(1, 3_096, None)),
            optional("mapRunArn", LONG_ARN),
            optional("redriveFilter", Word(&["REDRIVEN", "NOT_REDRIVEN"])),
        ],
    ),
    ("ListMapRuns", &[EXECUTION, MOST, NEXT]),
    ("ListStateMachineAliases", &[MACHINE, NEXT, MOST]),
    ("ListStateMachineVersions", &[MACHINE, NEXT, MOST]),
    ("ListStateMachines", &[MOST, NEXT]),
    ("ListTagsForResource", &[required("resourceArn", ARN)]),
    (
        "PublishStateMachineVersion",
        &[MACHINE, optional("revisionId", PAYLOAD), optional("description", DESCRIPTION)],
    ),
    ("RedriveExecution", &[EXECUTION, optional("clientToken", Text(1, 64, Some(&PRINTABLE)))]),
    (
        "SendTaskFailure",
        &[required("taskToken", TASK_TOKEN), optional("error", ERROR), optional("cause", CAUSE)],
    ),
    ("SendTaskHeartbeat", &[required("taskToken", TASK_TOKEN)]),
    ("SendTaskSuccess", &[required("taskToken", TASK_TOKEN), required("output", PAYLOAD)]),
    (
        "StartExecution",
        &[
            MACHINE,
            optional("name", NAME),
            optional("input", PAYLOAD),
            optional("traceHeader", TRACE),
        ],
    ),
    (
        "StartSyncExecution",
        &[
            MACHINE,
            optional("name", NAME),
            optional("input", PAYLOAD),
            optional("traceHeader", TRACE),
            INCLUDED,
        ],
    ),
    ("StopExecution", &[EXECUTION, optional("error", ERROR), optional("cause", CAUSE)]),
    ("TagResource", &[required("resourceArn", ARN), required("tags", TAGS)]),
    (
        "TestState",
        &[
            required("definition", DEFINITION),
            optional("roleArn", ARN),
            optional("input", PAYLOAD),
            optional("inspectionLevel", Word(&["INFO", "DEBUG", "TRACE"])),
            optional("revealSecrets", Truth),
            optional("variables", PAYLOAD),
            optional("stateName", NAME),
            MOCK,
            optional("context", PAYLOAD),
            STATE_CONFIGURATION,
        ],
    ),
    ("UntagResource", &[required("resourceArn", ARN), required("tagKeys", List(&TAG_KEY, 0, ANY))]),
    (
        "UpdateMapRun",
        &[
            required("mapRunArn", LONG_ARN),
            optional("maxConcurrency", Whole(0, i32::MAX as i64)),
            optional("toleratedFailurePercentage", Real(0.0, 100.0)),
            optional("toleratedFailureCount", Whole(0, i64::MAX)),
        ],
    ),
    (
        "UpdateStateMachine",
        &[
            MACHINE,
            optional("definition", DEFINITION),
            optional("roleArn", ARN),
            LOGGING,
            TRACING,
            optional("publish", Truth),
            optional("versionDescription", DESCRIPTION),
            ENCRYPTION,
        ],
    ),
    (
        "UpdateStateMachineAlias",
        &[
            required("stateMachineAliasArn", ARN),
            optional("description", DESCRIPTION),
            optional("routingConfiguration", ROUTES),
        ],
    ),
    (
        "ValidateStateMachineDefinition",
        &[
            required("definition", DEFINITION),
            TYPE,
            optional("severity", Word(&["ERROR", "WARNING"])),
            optional("maxResults", Whole(0, 100)),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_37_operations_in_order_of_name() {
        assert_eq!(OPERATIONS.len(), 37);
        assert!(OPERATIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn what_the_model_does_not_allow_is_refused() {
        for (operation, body, part) in [
            ("ListActivities", r#"{"maxResults":1001}"#, "less than or equal to 1000"),
            ("ListActivities", r#"{"maxResults":-1}"#, "greater than or equal to 0"),
            ("ListMapRuns", "{}", "Value null at 'executionArn'"),
            ("TestState", r#"{"definition":""}"#, "greater than or equal to 1"),
            (
                "ValidateStateMachineDefinition",
                r#"{"definition":"{}","severity":"HINT"}"#,
                "[ERROR, WARNING]",
            ),
            (
                "CreateActivity",
                r#"{"name":"a","encryptionConfiguration":{"type":"AWS_OWNED_KEY","kmsDataKeyReusePeriodSeconds":59}}"#,
                "'encryptionConfiguration.kmsDataKeyReusePeriodSeconds'",
            ),
            ("RedriveExecution", r#"{"executionArn":"a","clientToken":" "}"#, "pattern: [!-~]+"),
        ] {
            let body = stepwire_asl::Json::parse(body).expect("JSON");
            let refused = input(operation).map(|members| crate::shape::check(&body, members));
            let message = refused.expect("an operation").expect_err("not allowed").message;
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn no_alias_has_the_name_of_a_version() {
        for (name, fits) in [("a", true), ("1a", true), ("-", true), ("12", false), ("a b", false)]
        {
            assert_eq!((ALIAS_NAME.accepts)(name), fits, "{name}");
        }
    }
}
