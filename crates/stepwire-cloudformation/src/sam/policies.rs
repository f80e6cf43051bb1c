//! `Policies` of functions and state machines: names, ARNs, documents, and templates.

use std::sync::Arc;

use stepwire_asl::diagnostic::nearest;

use super::Sam;
use crate::expanded::Resource;
use crate::sub::{self, Part};
use crate::value::{Data, Map, Value};

/// The policy templates of SAM's documentation: name, parameters, statements.
///
/// A statement is its actions (`=` before one that is not in a list), `>` and its resource, or `>>`
/// and a list of resources. `arn:PARTITION:` is left away and `@` is `REGION:ACCOUNT`.
#[rustfmt::skip]
const TEMPLATES: &[(&str, &str, &[&str])] = &[
    ("AWSSecretsManagerGetSecretValuePolicy", "SecretArn", &[
        "secretsmanager:GetSecretValue > ${secretArn}",
    ]),
    ("CloudFormationDescribeStacksPolicy", "", &[
        "cloudformation:DescribeStacks > cloudformation:@:stack/*",
    ]),
    ("CloudWatchDescribeAlarmHistoryPolicy", "", &[
        "cloudwatch:DescribeAlarmHistory > *",
    ]),
    ("CloudWatchPutMetricPolicy", "", &[
        "cloudwatch:PutMetricData > *",
    ]),
    ("ComprehendBasicAccessPolicy", "", &[
        "comprehend:BatchDetectKeyPhrases comprehend:DetectDominantLanguage comprehend:DetectEntities comprehend:BatchDetectEntities comprehend:DetectKeyPhrases comprehend:DetectSentiment comprehend:BatchDetectDominantLanguage comprehend:BatchDetectSentiment > *",
    ]),
    ("DynamoDBCrudPolicy", "TableName", &[
        "dynamodb:GetItem dynamodb:DeleteItem dynamodb:PutItem dynamodb:Scan dynamodb:Query dynamodb:UpdateItem dynamodb:BatchWriteItem dynamodb:BatchGetItem dynamodb:DescribeTable dynamodb:ConditionCheckItem >> dynamodb:@:table/${tableName} dynamodb:@:table/${tableName}/index/*",
    ]),
    ("DynamoDBReadPolicy", "TableName", &[
        "dynamodb:GetItem dynamodb:Scan dynamodb:Query dynamodb:BatchGetItem dynamodb:DescribeTable >> dynamodb:@:table/${tableName} dynamodb:@:table/${tableName}/index/*",
    ]),
    ("DynamoDBReconfigurePolicy", "TableName", &[
        "dynamodb:UpdateTable > dynamodb:@:table/${tableName}",
    ]),
    ("DynamoDBStreamReadPolicy", "StreamName TableName", &[
        "dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator > dynamodb:@:table/${tableName}/stream/${streamName}",
        "dynamodb:ListStreams > dynamodb:@:table/${tableName}/stream/*",
    ]),
    ("DynamoDBWritePolicy", "TableName", &[
        "dynamodb:PutItem dynamodb:UpdateItem dynamodb:BatchWriteItem >> dynamodb:@:table/${tableName} dynamodb:@:table/${tableName}/index/*",
    ]),
    ("EC2DescribePolicy", "", &[
        "ec2:DescribeRegions ec2:DescribeInstances > *",
    ]),
    ("EventBridgePutEventsPolicy", "EventBusName", &[
        "=events:PutEvents > events:@:event-bus/${eventBusName}",
    ]),
    ("FilterLogEventsPolicy", "LogGroupName", &[
        "logs:FilterLogEvents > logs:@:log-group:${logGroupName}:log-stream:*",
    ]),
    ("FirehoseCrudPolicy", "DeliveryStreamName", &[
        "firehose:CreateDeliveryStream firehose:DeleteDeliveryStream firehose:DescribeDeliveryStream firehose:PutRecord firehose:PutRecordBatch firehose:UpdateDestination > firehose:@:deliverystream/${deliveryStreamName}",
    ]),
    ("FirehoseWritePolicy", "DeliveryStreamName", &[
        "firehose:PutRecord firehose:PutRecordBatch > firehose:@:deliverystream/${deliveryStreamName}",
    ]),
    ("KMSDecryptPolicy", "KeyId", &[
        "=kms:Decrypt > kms:@:key/${keyId}",
    ]),
    ("KMSEncryptPolicy", "KeyId", &[
        "=kms:Encrypt > kms:@:key/${keyId}",
    ]),
    ("KinesisCrudPolicy", "StreamName", &[
        "kinesis:AddTagsToStream kinesis:CreateStream kinesis:DecreaseStreamRetentionPeriod kinesis:DeleteStream kinesis:DescribeStream kinesis:DescribeStreamSummary kinesis:GetShardIterator kinesis:IncreaseStreamRetentionPeriod kinesis:ListTagsForStream kinesis:MergeShards kinesis:PutRecord kinesis:PutRecords kinesis:SplitShard kinesis:RemoveTagsFromStream > kinesis:@:stream/${streamName}",
    ]),
    ("KinesisStreamReadPolicy", "StreamName", &[
        "kinesis:ListStreams kinesis:DescribeLimits > kinesis:@:stream/*",
        "kinesis:DescribeStream kinesis:DescribeStreamSummary kinesis:GetRecords kinesis:GetShardIterator > kinesis:@:stream/${streamName}",
    ]),
    ("LambdaInvokePolicy", "FunctionName", &[
        "lambda:InvokeFunction > lambda:@:function:${functionName}*",
    ]),
    ("OrganizationsListAccountsPolicy", "", &[
        "organizations:ListAccounts > *",
    ]),
    ("RekognitionDetectOnlyPolicy", "", &[
        "rekognition:DetectFaces rekognition:DetectLabels rekognition:DetectModerationLabels rekognition:DetectText > *",
    ]),
    ("S3CrudPolicy", "BucketName", &[
        "s3:GetObject s3:ListBucket s3:GetBucketLocation s3:GetObjectVersion s3:PutObject s3:PutObjectAcl s3:GetLifecycleConfiguration s3:PutLifecycleConfiguration s3:DeleteObject >> s3:::${bucketName} s3:::${bucketName}/*",
    ]),
    ("S3FullAccessPolicy", "BucketName", &[
        "s3:GetObject s3:GetObjectAcl s3:GetObjectVersion s3:PutObject s3:PutObjectAcl s3:DeleteObject s3:DeleteObjectTagging s3:DeleteObjectVersionTagging s3:GetObjectTagging s3:GetObjectVersionTagging s3:PutObjectTagging s3:PutObjectVersionTagging >> s3:::${bucketName}/*",
        "s3:ListBucket s3:GetBucketLocation s3:GetLifecycleConfiguration s3:PutLifecycleConfiguration >> s3:::${bucketName}",
    ]),
    ("S3ReadPolicy", "BucketName", &[
        "s3:GetObject s3:ListBucket s3:GetBucketLocation s3:GetObjectVersion s3:GetLifecycleConfiguration >> s3:::${bucketName} s3:::${bucketName}/*",
    ]),
    ("S3WritePolicy", "BucketName", &[
        "s3:PutObject s3:PutObjectAcl s3:PutLifecycleConfiguration >> s3:::${bucketName} s3:::${bucketName}/*",
    ]),
    ("SESCrudPolicy", "IdentityName", &[
        "ses:GetIdentityVerificationAttributes ses:SendEmail ses:SendRawEmail ses:VerifyEmailIdentity > ses:@:identity/${identityName}",
    ]),
    ("SESSendBouncePolicy", "IdentityName", &[
        "ses:SendBounce > ses:@:identity/${identityName}",
    ]),
    ("SNSCrudPolicy", "TopicName", &[
        "sns:ListSubscriptionsByTopic sns:CreateTopic sns:SetTopicAttributes sns:Subscribe sns:Publish > sns:@:${topicName}*",
    ]),
    ("SNSPublishMessagePolicy", "TopicName", &[
        "sns:Publish > sns:@:${topicName}",
    ]),
    ("SQSPollerPolicy", "QueueName", &[
        "sqs:ChangeMessageVisibility sqs:ChangeMessageVisibilityBatch sqs:DeleteMessage sqs:DeleteMessageBatch sqs:GetQueueAttributes sqs:ReceiveMessage > sqs:@:${queueName}",
    ]),
    ("SQSSendMessagePolicy", "QueueName", &[
        "sqs:SendMessage* > sqs:@:${queueName}",
    ]),
    ("SSMParameterReadPolicy", "ParameterName", &[
        "ssm:DescribeParameters > *",
        "ssm:GetParameters ssm:GetParameter ssm:GetParametersByPath > ssm:@:parameter/${parameterName}",
    ]),
    ("SSMParameterWithSlashPrefixReadPolicy", "ParameterName", &[
        "ssm:DescribeParameters > *",
        "ssm:GetParameters ssm:GetParameter ssm:GetParametersByPath > ssm:@:parameter${parameterName}",
    ]),
    ("StepFunctionsCallbackPolicy", "StateMachineName", &[
        "states:SendTaskFailure states:SendTaskHeartbeat states:SendTaskSuccess > states:@:stateMachine:${stateMachineName}",
    ]),
    ("StepFunctionsExecutionPolicy", "StateMachineName", &[
        "states:StartExecution > states:@:stateMachine:${stateMachineName}",
    ]),
    ("TextractPolicy", "", &[
        "textract:* > *",
    ]),
    ("VPCAccessPolicy", "", &[
        "ec2:CreateNetworkInterface ec2:DeleteNetworkInterface ec2:DescribeNetworkInterfaces ec2:DetachNetworkInterface > *",
    ]),
];

/// Policies that AWS manages under `service-role/`.
const SERVICE_ROLES: &[&str] = &[
    "AWSIoTLogging",
    "AWSIoTRuleActions",
    "AWSIoTThingsRegistration",
    "AWSLambdaBasicExecutionRole",
    "AWSLambdaDynamoDBExecutionRole",
    "AWSLambdaENIManagementAccess",
    "AWSLambdaKinesisExecutionRole",
    "AWSLambdaMSKExecutionRole",
    "AWSLambdaRole",
    "AWSLambdaSQSQueueExecutionRole",
    "AWSLambdaVPCAccessExecutionRole",
    "AmazonAPIGatewayPushToCloudWatchLogs",
    "AWSLambdaBasicDurableExecutionRolePolicy",
    "AmazonS3ObjectLambdaExecutionRolePolicy",
];

/// Adds what `policies` says to the lists of a role: ARNs of managed policies, and documents.
pub(super) fn add(
    sam: &mut Sam<'_>,
    origin: &Resource,
    policies: Option<&Value>,
    managed: &mut Vec<Value>,
    documents: &mut Vec<Value>,
) {
    let Some(policies) = policies else { return };
    let one = std::slice::from_ref(policies);
    let items = policies.as_list().unwrap_or(one);
    for (index, policy) in items.iter().enumerate() {
        let document = |document: Value| {
            Value::map([
                ("PolicyName", Value::string(format!("{}RolePolicy{index}", origin.logical_id))),
                ("PolicyDocument", document),
            ])
        };
        if let Some(name) = policy.as_str() {
            let arn = arn(sam, name).at(policy.place);
            if !managed.contains(&arn) {
                managed.push(arn);
            }
        } else if policy.as_function().is_some() {
            if !managed.contains(policy) {
                managed.push(policy.clone());
            }
        } else if policy.member("Statement").is_some() {
            documents.push(document(policy.clone()));
        } else if let Some(statements) = template(sam, origin, policy) {
            documents.push(document(Value::map([("Statement", statements)])));
        } else {
            let what = format!("Policy at index {index} in the 'Policies' property is not valid");
            sam.wrong(origin, policy.pointer(), &what);
            let name = policy.as_map().and_then(Map::first).map(|(name, _)| name.clone());
            let names = TEMPLATES.iter().map(|(name, _, _)| *name);
            sam.hint(&match name.as_deref().map(|name| (name, nearest(name, names))) {
                Some((_, Some(near))) => format!("did you mean `{near}`?"),
                Some((name, None)) if name.ends_with("Policy") => {
                    format!("the policy template {name} is not known here: write its statements")
                }
                _ => "it is a name, an ARN, a document with Statement, or a policy template"
                    .to_owned(),
            });
        }
    }
}

/// The ARN of a managed policy given by name or ARN.
fn arn(sam: &Sam<'_>, name: &str) -> Value {
    if name.starts_with("arn:") {
        Value::string(name)
    } else if SERVICE_ROLES.contains(&name) {
        sam.managed(&format!("service-role/{name}"))
    } else {
        sam.managed(name)
    }
}

/// The statements of a policy template; `None` when it is none. What is wrong with its parameters is
/// told besides.
fn template(sam: &mut Sam<'_>, origin: &Resource, policy: &Value) -> Option<Value> {
    let members = policy.as_map().filter(|members| members.len() == 1)?;
    let (name, given) = members.first()?;
    let (_, parameters, statements) = TEMPLATES.iter().find(|(own, _, _)| *own == &**name)?;
    let empty = Map::new();
    let values = given.as_map().unwrap_or(&empty);
    let missing: Vec<&str> =
        parameters.split_whitespace().filter(|own| !values.contains_key(*own)).collect();
    if !missing.is_empty() {
        let what = format!(
            "Must specify valid parameter values for policy template '{name}': missing {}",
            missing.join(", ")
        );
        sam.wrong(origin, given.pointer(), &what);
    }
    for (own, value) in values {
        if !parameters.split_whitespace().any(|known| known == &**own) {
            let what = format!("policy template '{name}' does not have the parameter '{own}'");
            sam.wrong(origin, value.pointer(), &what);
        }
    }
    Some(Value::list(statements.iter().map(|statement| {
        let (actions, resources) = statement.split_once(" >").unwrap_or((statement, ""));
        let action = match actions.strip_prefix('=') {
            Some(one) => Value::string(one),
            None => Value::list(actions.split(' ').map(Value::string)),
        };
        let resource = match resources.strip_prefix("> ") {
            Some(many) => Value::list(many.split(' ').map(|one| filled(sam, one, values))),
            None => filled(sam, resources.trim(), values),
        };
        Value::map([("Action", action), ("Effect", Value::string("Allow")), ("Resource", resource)])
    })))
}

/// The resource of a template's statement, with the parameters' values.
fn filled(sam: &Sam<'_>, pattern: &str, values: &Map) -> Value {
    if pattern == "*" {
        return Value::string("*");
    }
    let given = sam.given;
    let text = if pattern.starts_with("${") {
        pattern.to_owned()
    } else {
        let place = format!("{}:{}", given.region, given.account);
        format!("arn:{}:{}", given.partition, pattern.replace('@', &place))
    };
    let mut open = Map::new();
    let parts = sub::parse(&text).unwrap_or_default().into_iter().map(|part| {
        let Part::Name(name) = part else { return part };
        // `tableName` stands for the parameter `TableName`.
        let value = values.iter().find(|(own, _)| own.eq_ignore_ascii_case(&name));
        match value.map(|(_, value)| (value, value.text())) {
            Some((_, Some(text))) => Part::Text(text.to_string()),
            Some((value, None)) => {
                open.insert(name.as_str().into(), value.clone());
                Part::Name(name)
            }
            None => Part::Text(String::new()),
        }
    });
    let parts: Vec<Part> = parts.collect();
    substitution(&parts, open)
}

/// `Fn::Sub` of these parts, or the text when nothing is open.
pub(super) fn substitution(parts: &[Part], open: Map) -> Value {
    if open.is_empty() {
        let text = parts.iter().map(|part| match part {
            Part::Text(text) | Part::Name(text) => text.as_str(),
        });
        return Value::string(text.collect::<String>());
    }
    let variables = Value { data: Data::Map(Arc::new(open)), ..Value::default() };
    Value::map([("Fn::Sub", Value::list([Value::string(sub::write(parts)), variables]))])
}
