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
/// and a list of resources; a condition that two texts are equal follows `?`. `arn:PARTITION:` is left
/// away and `@` is `REGION:ACCOUNT`.
#[rustfmt::skip]
const TEMPLATES: &[(&str, &str, &[&str])] = &[
    ("AMIDescribePolicy", "", &[
        "ec2:DescribeImages > *",
    ]),
    ("AWSSecretsManagerGetSecretValuePolicy", "SecretArn", &[
        "secretsmanager:GetSecretValue > ${secretArn}",
    ]),
    ("AWSSecretsManagerRotationPolicy", "FunctionName", &[
        "secretsmanager:DescribeSecret secretsmanager:GetSecretValue secretsmanager:PutSecretValue secretsmanager:UpdateSecretVersionStage > secretsmanager:@:secret:* ? secretsmanager:resource/AllowRotationLambdaArn lambda:@:function:${functionName}",
        "secretsmanager:GetRandomPassword > *",
    ]),
    ("AcmGetCertificatePolicy", "CertificateArn", &[
        "acm:GetCertificate > ${certificateArn}",
    ]),
    ("AthenaQueryPolicy", "WorkGroupName", &[
        "athena:ListWorkGroups athena:GetExecutionEngine athena:GetExecutionEngines athena:GetNamespace athena:GetCatalogs athena:GetNamespaces athena:GetTables athena:GetTable > *",
        "athena:StartQueryExecution athena:GetQueryResults athena:DeleteNamedQuery athena:GetNamedQuery athena:ListQueryExecutions athena:StopQueryExecution athena:GetQueryResultsStream athena:ListNamedQueries athena:CreateNamedQuery athena:GetQueryExecution athena:BatchGetNamedQuery athena:BatchGetQueryExecution athena:GetWorkGroup > athena:@:workgroup/${workgroupName}",
    ]),
    ("CloudFormationDescribeStacksPolicy", "", &[
        "cloudformation:DescribeStacks > cloudformation:@:stack/*",
    ]),
    ("CloudWatchDashboardPolicy", "", &[
        "cloudwatch:GetDashboard cloudwatch:ListDashboards cloudwatch:PutDashboard cloudwatch:ListMetrics > *",
    ]),
    ("CloudWatchDescribeAlarmHistoryPolicy", "", &[
        "cloudwatch:DescribeAlarmHistory > *",
    ]),
    ("CloudWatchPutMetricPolicy", "", &[
        "cloudwatch:PutMetricData > *",
    ]),
    ("CodeCommitCrudPolicy", "RepositoryName", &[
        "codecommit:GitPull codecommit:GitPush codecommit:CreateBranch codecommit:DeleteBranch codecommit:GetBranch codecommit:ListBranches codecommit:MergeBranchesByFastForward codecommit:MergeBranchesBySquash codecommit:MergeBranchesByThreeWay codecommit:UpdateDefaultBranch codecommit:BatchDescribeMergeConflicts codecommit:CreateUnreferencedMergeCommit codecommit:DescribeMergeConflicts codecommit:GetMergeCommit codecommit:GetMergeOptions codecommit:BatchGetPullRequests codecommit:CreatePullRequest codecommit:DescribePullRequestEvents codecommit:GetCommentsForPullRequest codecommit:GetCommitsFromMergeBase codecommit:GetMergeConflicts codecommit:GetPullRequest codecommit:ListPullRequests codecommit:MergePullRequestByFastForward codecommit:MergePullRequestBySquash codecommit:MergePullRequestByThreeWay codecommit:PostCommentForPullRequest codecommit:UpdatePullRequestDescription codecommit:UpdatePullRequestStatus codecommit:UpdatePullRequestTitle codecommit:DeleteFile codecommit:GetBlob codecommit:GetFile codecommit:GetFolder codecommit:PutFile codecommit:DeleteCommentContent codecommit:GetComment codecommit:GetCommentsForComparedCommit codecommit:PostCommentForComparedCommit codecommit:PostCommentReply codecommit:UpdateComment codecommit:BatchGetCommits codecommit:CreateCommit codecommit:GetCommit codecommit:GetCommitHistory codecommit:GetDifferences codecommit:GetObjectIdentifier codecommit:GetReferences codecommit:GetTree codecommit:GetRepository codecommit:UpdateRepositoryDescription codecommit:ListTagsForResource codecommit:TagResource codecommit:UntagResource codecommit:GetRepositoryTriggers codecommit:PutRepositoryTriggers codecommit:TestRepositoryTriggers codecommit:GetBranch codecommit:GetCommit codecommit:UploadArchive codecommit:GetUploadArchiveStatus codecommit:CancelUploadArchive > codecommit:@:${repositoryName}",
    ]),
    ("CodeCommitReadPolicy", "RepositoryName", &[
        "codecommit:GitPull codecommit:GetBranch codecommit:ListBranches codecommit:BatchDescribeMergeConflicts codecommit:DescribeMergeConflicts codecommit:GetMergeCommit codecommit:GetMergeOptions codecommit:BatchGetPullRequests codecommit:DescribePullRequestEvents codecommit:GetCommentsForPullRequest codecommit:GetCommitsFromMergeBase codecommit:GetMergeConflicts codecommit:GetPullRequest codecommit:ListPullRequests codecommit:GetBlob codecommit:GetFile codecommit:GetFolder codecommit:GetComment codecommit:GetCommentsForComparedCommit codecommit:BatchGetCommits codecommit:GetCommit codecommit:GetCommitHistory codecommit:GetDifferences codecommit:GetObjectIdentifier codecommit:GetReferences codecommit:GetTree codecommit:GetRepository codecommit:ListTagsForResource codecommit:GetRepositoryTriggers codecommit:TestRepositoryTriggers codecommit:GetBranch codecommit:GetCommit codecommit:GetUploadArchiveStatus > codecommit:@:${repositoryName}",
    ]),
    ("CodePipelineLambdaExecutionPolicy", "", &[
        "codepipeline:PutJobSuccessResult codepipeline:PutJobFailureResult > *",
    ]),
    ("CodePipelineReadOnlyPolicy", "PipelineName", &[
        "codepipeline:ListPipelineExecutions > codepipeline:@:${pipelinename}",
    ]),
    ("ComprehendBasicAccessPolicy", "", &[
        "comprehend:BatchDetectKeyPhrases comprehend:DetectDominantLanguage comprehend:DetectEntities comprehend:BatchDetectEntities comprehend:DetectKeyPhrases comprehend:DetectSentiment comprehend:BatchDetectDominantLanguage comprehend:BatchDetectSentiment > *",
    ]),
    ("CostExplorerReadOnlyPolicy", "", &[
        "ce:GetCostAndUsage ce:GetDimensionValues ce:GetReservationCoverage ce:GetReservationPurchaseRecommendation ce:GetReservationUtilization ce:GetTags > *",
    ]),
    ("DynamoDBBackupFullAccessPolicy", "TableName", &[
        "dynamodb:CreateBackup dynamodb:DescribeContinuousBackups > dynamodb:@:table/${tableName}",
        "dynamodb:DeleteBackup dynamodb:DescribeBackup dynamodb:ListBackups > dynamodb:@:table/${tableName}/backup/*",
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
    ("DynamoDBRestoreFromBackupPolicy", "TableName", &[
        "dynamodb:RestoreTableFromBackup > dynamodb:@:table/${tableName}/backup/*",
        "dynamodb:PutItem dynamodb:UpdateItem dynamodb:DeleteItem dynamodb:GetItem dynamodb:Query dynamodb:Scan dynamodb:BatchWriteItem > dynamodb:@:table/${tableName}",
    ]),
    ("DynamoDBStreamReadPolicy", "StreamName TableName", &[
        "dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator > dynamodb:@:table/${tableName}/stream/${streamName}",
        "dynamodb:ListStreams > dynamodb:@:table/${tableName}/stream/*",
    ]),
    ("DynamoDBWritePolicy", "TableName", &[
        "dynamodb:PutItem dynamodb:UpdateItem dynamodb:BatchWriteItem >> dynamodb:@:table/${tableName} dynamodb:@:table/${tableName}/index/*",
    ]),
    ("EC2CopyImagePolicy", "ImageId", &[
        "ec2:CopyImage > ec2:@:image/${imageId}",
    ]),
    ("EC2DescribePolicy", "", &[
        "ec2:DescribeRegions ec2:DescribeInstances > *",
    ]),
    ("EFSWriteAccessPolicy", "AccessPoint FileSystem", &[
        "elasticfilesystem:ClientMount elasticfilesystem:ClientWrite > elasticfilesystem:@:file-system/${fileSystem} ? elasticfilesystem:AccessPointArn elasticfilesystem:@:access-point/${accessPoint}",
    ]),
    ("EKSDescribePolicy", "", &[
        "eks:DescribeCluster eks:ListClusters > *",
    ]),
    ("EcsRunTaskPolicy", "TaskDefinition", &[
        "ecs:RunTask > ecs:@:task-definition/${taskDefinition}",
    ]),
    ("ElasticMapReduceAddJobFlowStepsPolicy", "ClusterId", &[
        "=elasticmapreduce:AddJobFlowSteps > elasticmapreduce:@:cluster/${clusterId}",
    ]),
    ("ElasticMapReduceCancelStepsPolicy", "ClusterId", &[
        "=elasticmapreduce:CancelSteps > elasticmapreduce:@:cluster/${clusterId}",
    ]),
    ("ElasticMapReduceModifyInstanceFleetPolicy", "ClusterId", &[
        "elasticmapreduce:ModifyInstanceFleet elasticmapreduce:ListInstanceFleets > elasticmapreduce:@:cluster/${clusterId}",
    ]),
    ("ElasticMapReduceModifyInstanceGroupsPolicy", "ClusterId", &[
        "elasticmapreduce:ModifyInstanceGroups elasticmapreduce:ListInstanceGroups > elasticmapreduce:@:cluster/${clusterId}",
    ]),
    ("ElasticMapReduceSetTerminationProtectionPolicy", "ClusterId", &[
        "=elasticmapreduce:SetTerminationProtection > elasticmapreduce:@:cluster/${clusterId}",
    ]),
    ("ElasticMapReduceTerminateJobFlowsPolicy", "ClusterId", &[
        "=elasticmapreduce:TerminateJobFlows > elasticmapreduce:@:cluster/${clusterId}",
    ]),
    ("ElasticsearchHttpPostPolicy", "DomainName", &[
        "es:ESHttpPost es:ESHttpPut > es:@:domain/${domainName}/*",
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
    ("KMSEncryptPolicy_v2", "KeyId", &[
        "kms:Encrypt kms:GenerateDataKey kms:GenerateDataKeyWithoutPlaintext kms:GenerateDataKeyPair kms:GenerateDataKeyPairWithoutPlaintext > kms:@:key/${keyId}",
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
    ("MobileAnalyticsWriteOnlyAccessPolicy", "", &[
        "mobileanalytics:PutEvents > *",
    ]),
    ("OrganizationsListAccountsPolicy", "", &[
        "organizations:ListAccounts > *",
    ]),
    ("PinpointEndpointAccessPolicy", "PinpointApplicationId", &[
        "mobiletargeting:GetEndpoint mobiletargeting:UpdateEndpoint mobiletargeting:UpdateEndpointsBatch > mobiletargeting:@:apps/${pinpointApplicationId}/endpoints/*",
    ]),
    ("PollyFullAccessPolicy", "LexiconName", &[
        "polly:GetLexicon polly:DeleteLexicon >> polly:@:lexicon/${lexiconName}",
        "polly:DescribeVoices polly:ListLexicons polly:PutLexicon polly:SynthesizeSpeech >> polly:@:lexicon/*",
    ]),
    ("RekognitionDetectOnlyPolicy", "", &[
        "rekognition:DetectFaces rekognition:DetectLabels rekognition:DetectModerationLabels rekognition:DetectText > *",
    ]),
    ("RekognitionFacesManagementPolicy", "CollectionId", &[
        "rekognition:IndexFaces rekognition:DeleteFaces rekognition:SearchFaces rekognition:SearchFacesByImage rekognition:ListFaces > rekognition:@:collection/${collectionId}",
    ]),
    ("RekognitionFacesPolicy", "", &[
        "rekognition:CompareFaces rekognition:DetectFaces > *",
    ]),
    ("RekognitionLabelsPolicy", "", &[
        "rekognition:DetectLabels rekognition:DetectModerationLabels > *",
    ]),
    ("RekognitionNoDataAccessPolicy", "CollectionId", &[
        "rekognition:CompareFaces rekognition:DetectFaces rekognition:DetectLabels rekognition:DetectModerationLabels > rekognition:@:collection/${collectionId}",
    ]),
    ("RekognitionReadPolicy", "CollectionId", &[
        "rekognition:ListCollections rekognition:ListFaces rekognition:SearchFaces rekognition:SearchFacesByImage > rekognition:@:collection/${collectionId}",
    ]),
    ("RekognitionWriteOnlyAccessPolicy", "CollectionId", &[
        "rekognition:CreateCollection rekognition:IndexFaces > rekognition:@:collection/${collectionId}",
    ]),
    ("Route53ChangeResourceRecordSetsPolicy", "HostedZoneId", &[
        "route53:ChangeResourceRecordSets > route53:::hostedzone/${HostedZoneId}",
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
    ("SESBulkTemplatedCrudPolicy", "IdentityName", &[
        "ses:GetIdentityVerificationAttributes ses:SendEmail ses:SendRawEmail ses:SendTemplatedEmail ses:SendBulkTemplatedEmail ses:VerifyEmailIdentity > ses:@:identity/${identityName}",
    ]),
    ("SESBulkTemplatedCrudPolicy_v2", "IdentityName TemplateName", &[
        "ses:SendEmail ses:SendRawEmail ses:SendTemplatedEmail ses:SendBulkTemplatedEmail >> ses:@:identity/${identityName} ses:@:template/${templateName}",
        "ses:GetIdentityVerificationAttributes ses:VerifyEmailIdentity > *",
    ]),
    ("SESCrudPolicy", "IdentityName", &[
        "ses:GetIdentityVerificationAttributes ses:SendEmail ses:SendRawEmail ses:VerifyEmailIdentity > ses:@:identity/${identityName}",
    ]),
    ("SESEmailTemplateCrudPolicy", "", &[
        "ses:CreateTemplate ses:GetTemplate ses:ListTemplates ses:UpdateTemplate ses:DeleteTemplate ses:TestRenderTemplate > *",
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
    ("SageMakerCreateEndpointConfigPolicy", "EndpointConfigName", &[
        "sagemaker:CreateEndpointConfig > sagemaker:@:endpoint-config/${endpointConfigName}",
    ]),
    ("SageMakerCreateEndpointPolicy", "EndpointName", &[
        "sagemaker:CreateEndpoint > sagemaker:@:endpoint/${endpointName}",
    ]),
    ("ServerlessRepoReadWriteAccessPolicy", "", &[
        "serverlessrepo:CreateApplication serverlessrepo:CreateApplicationVersion serverlessrepo:UpdateApplication serverlessrepo:GetApplication serverlessrepo:ListApplications serverlessrepo:ListApplicationVersions serverlessrepo:ListApplicationDependencies >> serverlessrepo:@:applications/*",
    ]),
    ("StepFunctionsCallbackPolicy", "StateMachineName", &[
        "states:SendTaskFailure states:SendTaskHeartbeat states:SendTaskSuccess > states:@:stateMachine:${stateMachineName}",
    ]),
    ("StepFunctionsExecutionPolicy", "StateMachineName", &[
        "states:StartExecution > states:@:stateMachine:${stateMachineName}",
    ]),
    ("StepFunctionsExecutionPolicy_v2", "StateMachineName", &[
        "states:StartExecution states:StartSyncExecution > states:@:stateMachine:${stateMachineName}",
    ]),
    ("TextractDetectAnalyzePolicy", "", &[
        "textract:DetectDocumentText textract:StartDocumentTextDetection textract:StartDocumentAnalysis textract:AnalyzeDocument > *",
    ]),
    ("TextractGetResultPolicy", "", &[
        "textract:GetDocumentTextDetection textract:GetDocumentAnalysis > *",
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
                Some((name, Some(near))) => {
                    format!("there is no policy template {name}; did you mean `{near}`?")
                }
                Some((name, None)) => format!(
                    "there is no policy template {name}: it is a name, an ARN, a document with \
                     Statement, or one of SAM's policy templates"
                ),
                None => "it is a name, an ARN, a document with Statement, or a policy template"
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
    // A parameter that the template does not have is nobody's concern.
    Some(Value::list(statements.iter().map(|statement| {
        let (statement, condition) = match statement.split_once(" ? ") {
            Some((statement, condition)) => (statement, condition.split_once(' ')),
            None => (*statement, None),
        };
        let (actions, resources) = statement.split_once(" >").unwrap_or((statement, ""));
        let action = match actions.strip_prefix('=') {
            Some(one) => Value::string(one),
            None => Value::list(actions.split(' ').map(Value::string)),
        };
        let resource = match resources.strip_prefix("> ") {
            Some(many) => Value::list(many.split(' ').map(|one| filled(sam, one, values))),
            None => filled(sam, resources.trim(), values),
        };
        let condition = condition.map(|(key, pattern)| {
            let equal = Value::map([(key, filled(sam, pattern, values))]);
            Value::map([("StringEquals", equal)])
        });
        super::object([
            ("Action", Some(action)),
            ("Effect", Some(Value::string("Allow"))),
            ("Resource", Some(resource)),
            ("Condition", condition),
        ])
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
