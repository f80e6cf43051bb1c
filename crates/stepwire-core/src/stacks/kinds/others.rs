//! Types that are there in the stack alone, and types of services that are not hosted.

use super::Kind;
use super::resource::made;

const NO_KEYS: &str = "nothing is encrypted with keys of KMS";
const NO_IMAGES: &str = "there are no container images";
const NO_DASHBOARD: &str = "the node has a console of its own";
const NO_HTTP: &str = "call functions and workflows with the AWS API, or publish over MQTT";
const NO_STREAMS: &str = "use AWS::SQS::Queue, or let a rule write to AWS::DynamoDB::Table";
const NO_NETWORK: &str = "everything runs on this machine; leave the network out";
const NO_SERIES: &str = "use AWS::DynamoDB::Table, or `CloudwatchMetric` actions of rules";
const NO_USERS: &str = "there are no pools of users; devices have certificates, callers keys";
const NO_ANALYTICS: &str = "let rules write to AWS::DynamoDB::Table or AWS::S3::Bucket";
const NO_DETECTORS: &str = "use AWS::StepFunctions::StateMachine, started by rules";
const NO_MODELS: &str = "call the service outside from a function or with `http:invoke`";
const NO_DATABASE: &str = "use AWS::DynamoDB::Table";
const NO_CONTAINERS: &str = "use AWS::Lambda::Function, or an activity's worker";
const NO_DELIVERY: &str = "run it where the code is; it deploys with `stepwire deploy`";

pub(super) const KINDS: &[Kind] = &[
    Kind::without_effect("AWS::CDK::Metadata", "it tells AWS which constructs are used"),
    Kind {
        made: |key, _| {
            let id = uuid(key.context);
            let arn = key.arn("kms", &format!("key/{id}"));
            made(id.clone(), [("Arn", arn), ("KeyId", id)])
        },
        attributes: &["Arn", "KeyId"],
        ..Kind::without_effect("AWS::KMS::Key", NO_KEYS)
    },
    Kind {
        made: |alias, _| made(alias.str("AliasName"), []),
        ..Kind::without_effect("AWS::KMS::Alias", NO_KEYS)
    },
    Kind {
        made: |repository, _| {
            let generated = || repository.context.generated_name(256).to_ascii_lowercase();
            let name = repository.text("RepositoryName").map_or_else(generated, str::to_owned);
            let arn = repository.arn("ecr", &format!("repository/{name}"));
            let (account, region) = (repository.context.account, repository.context.region);
            let uri = format!("{account}.dkr.ecr.{region}.amazonaws.com/{name}");
            made(name, [("Arn", arn), ("RepositoryUri", uri)])
        },
        attributes: &["Arn", "RepositoryUri"],
        ..Kind::without_effect("AWS::ECR::Repository", NO_IMAGES)
    },
    Kind {
        made: |group, _| {
            let name = group.name_or("Name", 128);
            let arn = group.arn("resource-groups", &format!("group/{name}"));
            made(name, [("Arn", arn)])
        },
        attributes: &["Arn"],
        ..Kind::without_effect("AWS::ResourceGroups::Group", "resources are not grouped")
    },
    Kind {
        made: |application, _| {
            let group = application.name_or("ResourceGroupName", 256);
            let name = format!("application/resource-group/{group}");
            let arn = application.arn("applicationinsights", &name);
            made(group, [("ApplicationARN", arn)])
        },
        attributes: &["ApplicationARN"],
        ..Kind::without_effect("AWS::ApplicationInsights::Application", NO_DASHBOARD)
    },
    Kind {
        made: |account, _| {
            let id = account.context.generated_name(128);
            made(id.clone(), [("Id", id)])
        },
        attributes: &["Id"],
        ..Kind::without_effect("AWS::ApiGateway::Account", "there is no API Gateway that logs")
    },
    Kind::without_effect("AWS::XRay::Group", "nothing is traced"),
    Kind::without_effect("AWS::XRay::SamplingRule", "nothing is traced"),
    Kind::refused("AWS::ApiGateway::Deployment", NO_HTTP),
    Kind::refused("AWS::ApiGateway::Method", NO_HTTP),
    Kind::refused("AWS::ApiGateway::Resource", NO_HTTP),
    Kind::refused("AWS::ApiGateway::RestApi", NO_HTTP),
    Kind::refused("AWS::ApiGateway::Stage", NO_HTTP),
    Kind::refused("AWS::ApiGatewayV2::Api", NO_HTTP),
    Kind::refused("AWS::ApiGatewayV2::Integration", NO_HTTP),
    Kind::refused("AWS::ApiGatewayV2::Route", NO_HTTP),
    Kind::refused("AWS::ApiGatewayV2::Stage", NO_HTTP),
    Kind::refused("AWS::AppSync::GraphQLApi", NO_HTTP),
    Kind::refused("AWS::Athena::WorkGroup", NO_ANALYTICS),
    Kind::refused("AWS::CertificateManager::Certificate", NO_NETWORK),
    Kind::refused("AWS::Cloud9::EnvironmentEC2", NO_CONTAINERS),
    Kind::refused("AWS::CloudFront::CloudFrontOriginAccessIdentity", NO_HTTP),
    Kind::refused("AWS::CloudFront::Distribution", NO_HTTP),
    Kind::refused("AWS::CodeBuild::Project", NO_DELIVERY),
    Kind::refused("AWS::CodeCommit::Repository", NO_DELIVERY),
    Kind::refused("AWS::CodePipeline::Pipeline", NO_DELIVERY),
    Kind::refused("AWS::Cognito::IdentityPool", NO_USERS),
    Kind::refused("AWS::Cognito::IdentityPoolRoleAttachment", NO_USERS),
    Kind::refused("AWS::Cognito::UserPool", NO_USERS),
    Kind::refused("AWS::Cognito::UserPoolClient", NO_USERS),
    Kind::refused("AWS::Cognito::UserPoolDomain", NO_USERS),
    Kind::refused("AWS::EC2::InternetGateway", NO_NETWORK),
    Kind::refused("AWS::EC2::Instance", NO_CONTAINERS),
    Kind::refused("AWS::EC2::RouteTable", NO_NETWORK),
    Kind::refused("AWS::EC2::SecurityGroup", NO_NETWORK),
    Kind::refused("AWS::EC2::Subnet", NO_NETWORK),
    Kind::refused("AWS::EC2::VPC", NO_NETWORK),
    Kind::refused("AWS::ECS::Cluster", NO_CONTAINERS),
    Kind::refused("AWS::ECS::Service", NO_CONTAINERS),
    Kind::refused("AWS::ECS::TaskDefinition", NO_CONTAINERS),
    Kind::refused("AWS::Elasticsearch::Domain", NO_ANALYTICS),
    Kind::refused("AWS::Glue::Crawler", NO_ANALYTICS),
    Kind::refused("AWS::Glue::Database", NO_ANALYTICS),
    Kind::refused("AWS::Glue::Job", NO_ANALYTICS),
    Kind::refused("AWS::Glue::Table", NO_ANALYTICS),
    Kind::refused("AWS::Greengrass::Group", "run stepwire on the gateway"),
    Kind::refused("AWS::GreengrassV2::ComponentVersion", "run stepwire on the gateway"),
    Kind::refused("AWS::IoT1Click::Project", "publish over MQTT"),
    Kind::refused("AWS::IoTAnalytics::Channel", NO_ANALYTICS),
    Kind::refused("AWS::IoTAnalytics::Dataset", NO_ANALYTICS),
    Kind::refused("AWS::IoTAnalytics::Datastore", NO_ANALYTICS),
    Kind::refused("AWS::IoTAnalytics::Pipeline", NO_ANALYTICS),
    Kind::refused("AWS::IoTEvents::AlarmModel", NO_DETECTORS),
    Kind::refused("AWS::IoTEvents::DetectorModel", NO_DETECTORS),
    Kind::refused("AWS::IoTEvents::Input", NO_DETECTORS),
    Kind::refused("AWS::IoTFleetHub::Application", NO_DASHBOARD),
    Kind::refused("AWS::IoTSiteWise::Asset", NO_SERIES),
    Kind::refused("AWS::IoTSiteWise::AssetModel", NO_SERIES),
    Kind::refused("AWS::IoTSiteWise::Gateway", NO_SERIES),
    Kind::refused("AWS::IoTTwinMaker::Workspace", NO_DASHBOARD),
    Kind::refused("AWS::IoTWireless::Destination", "publish over MQTT"),
    Kind::refused("AWS::IoTWireless::DeviceProfile", "publish over MQTT"),
    Kind::refused("AWS::IoTWireless::ServiceProfile", "publish over MQTT"),
    Kind::refused("AWS::IoTWireless::WirelessDevice", "publish over MQTT"),
    Kind::refused("AWS::IoTWireless::WirelessGateway", "publish over MQTT"),
    Kind::refused("AWS::Kinesis::Stream", NO_STREAMS),
    Kind::refused("AWS::KinesisAnalyticsV2::Application", NO_STREAMS),
    Kind::refused("AWS::KinesisFirehose::DeliveryStream", "let a rule write to AWS::S3::Bucket"),
    Kind::refused("AWS::KinesisVideo::Stream", NO_STREAMS),
    Kind::refused("AWS::Location::Tracker", NO_SERIES),
    Kind::refused("AWS::MSK::Cluster", NO_STREAMS),
    Kind::refused("AWS::OpenSearchService::Domain", NO_ANALYTICS),
    Kind::refused("AWS::RDS::DBInstance", NO_DATABASE),
    Kind::refused("AWS::Rekognition::StreamProcessor", NO_MODELS),
    Kind::refused("AWS::Route53::RecordSet", NO_NETWORK),
    Kind::refused("AWS::SSMIncidents::ResponsePlan", NO_DASHBOARD),
    Kind::refused("AWS::SageMaker::Endpoint", NO_MODELS),
    Kind::refused("AWS::SageMaker::NotebookInstance", NO_MODELS),
    Kind::refused("AWS::Timestream::Database", NO_SERIES),
    Kind::refused("AWS::Timestream::Table", NO_SERIES),
    Kind::refused("AWS::WAFv2::WebACL", NO_NETWORK),
];

/// Types that are not in the list, by how their names begin.
pub(super) const REFUSED: &[(&str, &str)] = &[
    ("AWS::ApiGateway::", NO_HTTP),
    ("AWS::ApiGatewayV2::", NO_HTTP),
    ("AWS::AppSync::", NO_HTTP),
    ("AWS::CloudFront::", NO_HTTP),
    ("AWS::Code", NO_DELIVERY),
    ("AWS::Cognito::", NO_USERS),
    ("AWS::DocDB::", NO_DATABASE),
    ("AWS::EC2::", NO_NETWORK),
    ("AWS::ECS::", NO_CONTAINERS),
    ("AWS::EKS::", NO_CONTAINERS),
    ("AWS::ElasticLoadBalancing", NO_NETWORK),
    ("AWS::Glue::", NO_ANALYTICS),
    ("AWS::Greengrass", "run stepwire on the gateway"),
    ("AWS::IoTAnalytics::", NO_ANALYTICS),
    ("AWS::IoTEvents::", NO_DETECTORS),
    ("AWS::IoTSiteWise::", NO_SERIES),
    ("AWS::IoTWireless::", "publish over MQTT"),
    ("AWS::Kinesis", NO_STREAMS),
    ("AWS::Neptune::", NO_DATABASE),
    ("AWS::RDS::", NO_DATABASE),
    ("AWS::Redshift", NO_DATABASE),
    ("AWS::Route53", NO_NETWORK),
    ("AWS::SageMaker::", NO_MODELS),
    ("AWS::Timestream::", NO_SERIES),
    ("AWS::WAF", NO_NETWORK),
    ("Fn::Transform::", "write what the transform would give into the template"),
];

/// An id that looks like one of KMS, made of the token.
fn uuid(context: &super::Context<'_>) -> String {
    let seed = format!("{}/{}/{}", context.stack_id, context.logical_id, context.token);
    crate::executions::derived_uuid(&[0; 32], &seed, &[])
}
