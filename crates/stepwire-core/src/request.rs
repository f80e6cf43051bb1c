//! Requests of the AWS services we host, parsed once at the rim.

use std::sync::Arc;

use stepwire_asl::Json;

use crate::error::ApiError;
use crate::message::Caller;
pub use crate::publish::Publish;
use crate::read::Read;
use crate::settings::Settings;
use crate::{
    alarms, broker, events, executions, functions, iam, jobs, logs, metrics, objects, parameters,
    queues, registry, rules, scheduler, secrets, shadows, stacks, tables, topics,
};

/// An AWS service we host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// AWS Step Functions.
    States,
    /// AWS IoT, control plane.
    Iot,
    /// AWS IoT, data plane.
    IotData,
    /// AWS IoT Jobs, data plane.
    IotJobsData,
    /// Amazon DynamoDB.
    DynamoDb,
    /// Amazon CloudWatch Logs.
    Logs,
    /// AWS Lambda.
    Lambda,
    /// Amazon S3.
    S3,
    /// Amazon SQS.
    Sqs,
    /// Amazon SNS.
    Sns,
    /// Amazon EventBridge.
    Events,
    /// Amazon CloudWatch: metrics and alarms.
    CloudWatch,
    /// AWS CloudFormation.
    CloudFormation,
    /// AWS IAM.
    Iam,
    /// AWS STS.
    Sts,
    /// AWS Systems Manager: parameters.
    Ssm,
    /// AWS Secrets Manager.
    SecretsManager,
    /// Amazon EventBridge Scheduler.
    Scheduler,
}

/// A request to one of the services.
#[derive(Debug, Clone)]
pub enum Request {
    /// Step Functions.
    States(executions::Request),
    /// Things, certificates, policies.
    Registry(registry::Request),
    /// Topic rules.
    Rules(rules::Request),
    /// DynamoDB.
    Tables(tables::Request),
    /// CloudWatch Logs.
    Logs(logs::Request),
    /// `iot-data` Publish.
    Publish(Publish),
    /// The same by a device, over HTTPS with its certificate: its policies say whether it may.
    PublishBy(Arc<Caller>, Publish),
    /// The rest of `iot-data`: connections and retained messages.
    Broker(broker::Request),
    /// Device shadows.
    Shadows(shadows::Request),
    /// Jobs and their templates.
    Jobs(jobs::Request),
    /// What things ask of their jobs.
    JobsData(jobs::data::Request),
    /// Lambda.
    Functions(functions::Request),
    /// S3.
    Objects(objects::Request),
    /// SQS.
    Queues(queues::Request),
    /// SNS.
    Topics(topics::Request),
    /// EventBridge.
    Events(events::Request),
    /// CloudWatch, metrics.
    Metrics(metrics::Request),
    /// CloudWatch, alarms.
    Alarms(alarms::Request),
    /// CloudFormation.
    Stacks(stacks::Request),
    /// IAM.
    Iam(iam::Request),
    /// STS.
    Sts(iam::sts::Request),
    /// Parameters.
    Parameters(parameters::Request),
    /// Secrets.
    Secrets(secrets::Request),
    /// EventBridge Scheduler.
    Scheduler(scheduler::Request),
}

impl Request {
    /// The request that `body` makes of an operation. `None`: the operation is not served.
    pub fn parse(
        service: Service,
        operation: &str,
        body: &Json,
    ) -> Option<Result<Request, ApiError>> {
        match service {
            Service::States => {
                Some(executions::Request::parse(operation, body)?.map(Request::States))
            }
            Service::DynamoDb => {
                Some(tables::Request::parse(operation, body)?.map(Request::Tables))
            }
            Service::Logs => Some(logs::Request::parse(operation, body)?.map(Request::Logs)),
            Service::Iot => registry::Request::parse(operation, body)
                .map(|parsed| parsed.map(Request::Registry))
                .or_else(|| Some(rules::Request::parse(operation, body)?.map(Request::Rules)))
                .or_else(|| Some(jobs::Request::parse(operation, body)?.map(Request::Jobs))),
            Service::IotJobsData => {
                Some(jobs::data::Request::parse(operation, body)?.map(Request::JobsData))
            }
            Service::IotData if operation == "Publish" => {
                Some(Publish::parse(body).map(Request::Publish))
            }
            Service::IotData => shadows::Request::parse(operation, body)
                .map(|parsed| parsed.map(Request::Shadows))
                .or_else(|| Some(broker::Request::parse(operation, body)?.map(Request::Broker))),
            Service::Lambda => {
                Some(functions::Request::parse(operation, body)?.map(Request::Functions))
            }
            Service::S3 => Some(objects::Request::parse(operation, body)?.map(Request::Objects)),
            Service::Sqs => Some(queues::Request::parse(operation, body)?.map(Request::Queues)),
            Service::Sns => Some(topics::Request::parse(operation, body)?.map(Request::Topics)),
            Service::Events => Some(events::Request::parse(operation, body)?.map(Request::Events)),
            Service::CloudWatch => metrics::Request::parse(operation, body)
                .map(|parsed| parsed.map(Request::Metrics))
                .or_else(|| Some(alarms::Request::parse(operation, body)?.map(Request::Alarms))),
            Service::CloudFormation => {
                Some(stacks::Request::parse(operation, body)?.map(Request::Stacks))
            }
            Service::Iam => Some(iam::Request::parse(operation, body)?.map(Request::Iam)),
            Service::Sts => Some(iam::sts::Request::parse(operation, body)?.map(Request::Sts)),
            Service::Ssm => {
                Some(parameters::Request::parse(operation, body)?.map(Request::Parameters))
            }
            Service::SecretsManager => {
                Some(secrets::Request::parse(operation, body)?.map(Request::Secrets))
            }
            Service::Scheduler => {
                Some(scheduler::Request::parse(operation, body)?.map(Request::Scheduler))
            }
        }
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::States(request) => request.is_read(),
            Request::Registry(request) => request.is_read(),
            Request::Rules(request) => request.is_read(),
            Request::Tables(request) => request.is_read(),
            Request::Logs(request) => request.is_read(),
            Request::Publish(_)
            | Request::PublishBy(..)
            | Request::Broker(_)
            | Request::Sts(_)
            | Request::JobsData(_)
            | Request::Shadows(_) => false,
            Request::Jobs(request) => request.is_read(),
            Request::Functions(request) => request.is_read(),
            Request::Objects(request) => request.is_read(),
            Request::Queues(request) => request.is_read(),
            Request::Topics(request) => request.is_read(),
            Request::Events(request) => request.is_read(),
            Request::Metrics(request) => request.is_read(),
            Request::Alarms(request) => request.is_read(),
            Request::Stacks(request) => request.is_read(),
            Request::Iam(request) => request.is_read(),
            Request::Parameters(request) => request.is_read(),
            Request::Secrets(request) => request.is_read(),
            Request::Scheduler(request) => request.is_read(),
        }
    }

    /// Whether its answer may take long to come.
    pub fn waits(&self) -> bool {
        match self {
            Request::States(request) => request.waits(),
            Request::Queues(request) => request.waits(),
            Request::Broker(request) => request.waits(),
            Request::Registry(_)
            | Request::Rules(_)
            | Request::Tables(_)
            | Request::Logs(_)
            | Request::Publish(_)
            | Request::PublishBy(..)
            | Request::Objects(_)
            | Request::Topics(_)
            | Request::Events(_)
            | Request::Metrics(_)
            | Request::Alarms(_)
            | Request::Stacks(_)
            | Request::Shadows(_)
            | Request::Jobs(_)
            | Request::JobsData(_)
            | Request::Iam(_)
            | Request::Sts(_)
            | Request::Parameters(_)
            | Request::Secrets(_)
            | Request::Scheduler(_)
            | Request::Functions(_) => false,
        }
    }

    /// The answer to a request that reads, from committed records alone.
    pub fn answer(&self, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
        match self {
            Request::States(request) => executions::answer(request, read, settings),
            Request::Registry(request) => registry::answer(request, read, settings),
            Request::Rules(request) => rules::answer(request, read, settings),
            Request::Tables(request) => tables::answer(request, read, settings),
            Request::Logs(request) => logs::answer(request, read, settings),
            Request::Objects(request) => objects::answer(request, read, settings),
            Request::Queues(request) => queues::answer(request, read, settings),
            Request::Topics(request) => topics::answer(request, read, settings),
            Request::Events(request) => events::answer(request, read, settings),
            Request::Metrics(request) => metrics::answer(request, read),
            Request::Alarms(request) => alarms::answer(request, read, settings),
            Request::Stacks(request) => stacks::answer(request, read, settings),
            Request::Iam(request) => iam::answer(request, read, settings),
            Request::Parameters(request) => parameters::answer(request, read, settings),
            Request::Secrets(request) => secrets::answer(request, read, settings),
            Request::Scheduler(request) => scheduler::answer(request, read, settings),
            Request::Publish(_)
            | Request::PublishBy(..)
            | Request::Broker(_)
            | Request::Sts(_)
            | Request::JobsData(_)
            | Request::Shadows(_) => {
                let why = "only the kernel answers this";
                Err(ApiError::new("InvalidRequestException", why))
            }
            Request::Jobs(request) => jobs::answer(request, read, settings),
            Request::Functions(request) => functions::answer(request, read, settings),
        }
    }
}
