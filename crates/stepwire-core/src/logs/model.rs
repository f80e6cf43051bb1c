//! What the operations of CloudWatch Logs that we serve take.
//!
//! Source: Amazon CloudWatch Logs API reference, 2014-03-28.

use crate::shape::Shape::{List, Structure, Text, Truth, Whole, Word};
use crate::shape::{Member, Pattern, Shape, optional, required};

/// The members of an operation's input; `None` for operations that we do not serve.
pub(super) fn input(operation: &str) -> Option<&'static [Member]> {
    OPERATIONS.iter().find(|(name, _)| *name == operation).map(|(_, members)| *members)
}

const ANY: usize = usize::MAX;
const GROUP_NAME: Shape = Text(1, 512, Some(&GROUP));
const STREAM_NAME: Shape = Text(1, 512, Some(&STREAM));
const TIME: Shape = Whole(0, i64::MAX);
const ARN: Shape = Text(1, 1_011, None);
const NEXT: Member = optional("nextToken", Text(1, ANY, None));
const LIMIT: Member = optional("limit", Whole(1, 50));
const EVENTS_LIMIT: Member = optional("limit", Whole(1, 10_000));
const OF_GROUP: Member = optional("logGroupName", GROUP_NAME);
const IDENTIFIER: Member = optional("logGroupIdentifier", Text(1, 2_048, None));
const START: Member = optional("startTime", TIME);
const END: Member = optional("endTime", TIME);
const TEXT: Shape = Text(0, 256, None);

const GROUP: Pattern = Pattern {
    text: r"[\.\-_/#A-Za-z0-9]+",
    accepts: |name| name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_/#".contains(c)),
};
const STREAM: Pattern =
    Pattern { text: "[^:*]*", accepts: |name| !name.contains([':', '*', '\0']) };

const FILTER_NAME: Shape = Text(1, 512, Some(&STREAM));
const METRIC_NAME: Shape = Text(0, 255, Some(&METRIC));
const METRIC: Pattern =
    Pattern { text: "[^:*$]*", accepts: |name| !name.contains([':', '*', '$', '\0']) };

const TRANSFORMATION: Shape = Structure(
    "MetricTransformation",
    &[
        required("metricName", METRIC_NAME),
        required("metricNamespace", METRIC_NAME),
        required("metricValue", Text(0, 100, None)),
        optional("defaultValue", Shape::Real(f64::MIN, f64::MAX)),
        optional("dimensions", Shape::Map(&TEXT)),
        optional("unit", Word(&UNITS)),
    ],
);
const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

const EVENT: Shape = Structure(
    "InputLogEvent",
    &[required("timestamp", TIME), required("message", Text(1, ANY, None))],
);

const OPERATIONS: &[(&str, &[Member])] = &[
    (
        "CreateLogGroup",
        &[
            required("logGroupName", GROUP_NAME),
            optional("tags", Shape::Map(&TEXT)),
            optional("logGroupClass", Word(&["STANDARD", "INFREQUENT_ACCESS", "DELIVERY"])),
        ],
    ),
    (
        "CreateLogStream",
        &[required("logGroupName", GROUP_NAME), required("logStreamName", STREAM_NAME)],
    ),
    ("DeleteLogGroup", &[required("logGroupName", GROUP_NAME)]),
    (
        "DeleteLogStream",
        &[required("logGroupName", GROUP_NAME), required("logStreamName", STREAM_NAME)],
    ),
    ("DeleteRetentionPolicy", &[required("logGroupName", GROUP_NAME)]),
    (
        "DescribeLogGroups",
        &[
            optional("logGroupNamePrefix", GROUP_NAME),
            optional("logGroupNamePattern", Text(0, 512, None)),
            NEXT,
            LIMIT,
        ],
    ),
    (
        "DescribeLogStreams",
        &[
            OF_GROUP,
            IDENTIFIER,
            optional("logStreamNamePrefix", STREAM_NAME),
            optional("orderBy", Word(&["LogStreamName", "LastEventTime"])),
            optional("descending", Truth),
            NEXT,
            LIMIT,
        ],
    ),
    (
        "FilterLogEvents",
        &[
            OF_GROUP,
            IDENTIFIER,
            optional("logStreamNames", List(&STREAM_NAME, 1, 100)),
            optional("logStreamNamePrefix", STREAM_NAME),
            START,
            END,
            optional("filterPattern", Text(0, 1_024, None)),
            NEXT,
            EVENTS_LIMIT,
            optional("interleaved", Truth),
        ],
    ),
    (
        "GetLogEvents",
        &[
            OF_GROUP,
            IDENTIFIER,
            required("logStreamName", STREAM_NAME),
            START,
            END,
            NEXT,
            EVENTS_LIMIT,
            optional("startFromHead", Truth),
        ],
    ),
    (
        "DeleteMetricFilter",
        &[required("logGroupName", GROUP_NAME), required("filterName", FILTER_NAME)],
    ),
    (
        "DeleteSubscriptionFilter",
        &[required("logGroupName", GROUP_NAME), required("filterName", FILTER_NAME)],
    ),
    (
        "DescribeMetricFilters",
        &[
            OF_GROUP,
            optional("filterNamePrefix", FILTER_NAME),
            optional("metricName", METRIC_NAME),
            optional("metricNamespace", METRIC_NAME),
            NEXT,
            LIMIT,
        ],
    ),
    (
        "DescribeSubscriptionFilters",
        &[
            required("logGroupName", GROUP_NAME),
            optional("filterNamePrefix", FILTER_NAME),
            NEXT,
            LIMIT,
        ],
    ),
    ("ListTagsForResource", &[required("resourceArn", ARN)]),
    (
        "PutLogEvents",
        &[
            required("logGroupName", GROUP_NAME),
            required("logStreamName", STREAM_NAME),
            required("logEvents", List(&EVENT, 1, 10_000)),
            optional("sequenceToken", Text(1, ANY, None)),
        ],
    ),
    (
        "PutMetricFilter",
        &[
            required("logGroupName", GROUP_NAME),
            required("filterName", FILTER_NAME),
            required("filterPattern", Text(0, 1_024, None)),
            required("metricTransformations", List(&TRANSFORMATION, 1, 1)),
        ],
    ),
    (
        "PutSubscriptionFilter",
        &[
            required("logGroupName", GROUP_NAME),
            required("filterName", FILTER_NAME),
            required("filterPattern", Text(0, 1_024, None)),
            required("destinationArn", Text(1, ANY, None)),
            optional("roleArn", Text(1, ANY, None)),
            optional("distribution", Word(&["Random", "ByLogStream"])),
        ],
    ),
    (
        "PutRetentionPolicy",
        &[required("logGroupName", GROUP_NAME), required("retentionInDays", Whole(1, 3_653))],
    ),
    (
        "TestMetricFilter",
        &[
            required("filterPattern", Text(0, 1_024, None)),
            required("logEventMessages", List(&Text(1, ANY, None), 1, 50)),
        ],
    ),
    ("TagResource", &[required("resourceArn", ARN), required("tags", Shape::Map(&TEXT))]),
    (
        "UntagResource",
        &[required("resourceArn", ARN), required("tagKeys", List(&Text(1, 128, None), 0, 50))],
    ),
];
