//! How durable records are written as bytes.
//!
//! A key is a space byte, then parts that order as their values do: text ends in a zero byte (and
//! must not contain one), numbers are big-endian. The shell puts the shard in front. A value is a
//! format version byte, then [postcard](https://postcard.jamesmunns.com/wire-format).

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::read::Key;

/// The first byte of a key: which kind of record it holds. Never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Space {
    /// Counters and settings of the kernel itself.
    Kernel = 0x01,
    /// Things.
    Thing = 0x10,
    /// Device certificates.
    Certificate = 0x11,
    /// IoT policies.
    Policy = 0x12,
    /// Certificates attached to things.
    Attachment = 0x13,
    /// Registered certificate authorities, whom they have signed, the registration code.
    CaCertificate = 0x15,
    /// Thing types.
    ThingType = 0x16,
    /// Thing groups.
    ThingGroup = 0x17,
    /// Dynamic thing groups whose members are still to be found.
    DynamicGroup = 0x1C,
    /// Topic rules.
    Rule = 0x18,
    /// Answers that wait for their task (`completeTask`).
    Answer = 0x19,
    /// Things and groups in thing groups.
    GroupMember = 0x1A,
    /// Settings of the registry, by name.
    RegistrySetting = 0x1B,
    /// Policies attached to certificates and thing groups.
    PolicyAttachment = 0x1E,
    /// Things by thing type.
    ThingOfType = 0x1F,
    /// MQTT sessions and presence.
    Session = 0x20,
    /// Retained messages.
    Retained = 0x21,
    /// Messages queued for sessions.
    Queued = 0x22,
    /// Service messages held for the subscribe grace.
    Held = 0x23,
    /// Tags of AWS IoT resources.
    RegistryTag = 0x28,
    /// Device certificates in PEM.
    CertificateText = 0x29,
    /// What topic rules still owe for messages that they took.
    Errand = 0x2A,
    /// Topic rule destinations.
    RuleDestination = 0x2B,
    /// Device shadows.
    Shadow = 0x2C,
    /// State machines.
    StateMachine = 0x30,
    /// Executions: one summary each.
    Execution = 0x31,
    /// Executions by state machine and name.
    ExecutionName = 0x32,
    /// Open executions with their next deadline.
    Open = 0x33,
    /// History events, in chunks.
    History = 0x34,
    /// Activities.
    Activity = 0x35,
    /// Earlier revisions, versions and aliases of state machines.
    MachinePart = 0x39,
    /// Executions that have ended, by when.
    Ended = 0x3A,
    /// State machines by name.
    MachineName = 0x3B,
    /// Executions by the device that they are about.
    ExecutionOfDevice = 0x3C,
    /// Numbers that outlive what they were given to.
    Counter = 0x36,
    /// Map runs that have not ended.
    MapRun = 0x37,
    /// Items and names of map runs, and those that have ended.
    MapRunPart = 0x38,
    /// DynamoDB tables.
    Table = 0x40,
    /// DynamoDB items.
    Item = 0x41,
    /// Entries of secondary indexes of DynamoDB tables.
    IndexEntry = 0x42,
    /// DynamoDB items that expire, by when.
    Expiry = 0x43,
    /// Tokens of DynamoDB transactions, also by age.
    Transaction = 0x44,
    /// Log groups.
    LogGroup = 0x50,
    /// Log streams.
    LogStream = 0x51,
    /// Log events.
    LogEvent = 0x52,
    /// Filters of log groups.
    LogFilter = 0x53,
    /// Metrics, and their counter.
    Metric = 0x58,
    /// Alarms on metrics.
    Alarm = 0x59,
    /// What happened to alarms.
    AlarmHistory = 0x5A,
    /// Data points of metrics.
    MetricPoint = 0x5B,
    /// S3 buckets, and the counter of objects' bodies.
    Bucket = 0x60,
    /// S3 objects: one summary each.
    Object = 0x61,
    /// The bytes of objects, in chunks.
    Body = 0x62,
    /// Multipart uploads and their parts.
    Upload = 0x63,
    /// Bodies that nothing names any more and whose chunks are still to be removed.
    Unused = 0x64,
    /// What is set on buckets.
    BucketSetting = 0x65,
    /// Versions of objects.
    ObjectVersion = 0x66,
    /// Bodies that are still arriving.
    Staged = 0x67,
    /// On which day the lifecycle of a bucket was last gone through.
    LifecyclePass = 0x6D,
    /// SQS queues, and the counter of queues and messages.
    Queue = 0x68,
    /// Messages in queues, as they were sent.
    QueueMessage = 0x69,
    /// How messages in queues stand: when they can be received, how often they were.
    QueueState = 0x6A,
    /// What FIFO queues were sent not long ago.
    QueueDeduplication = 0x6B,
    /// Dead letters on their way back to their queues.
    QueueMoveTask = 0x6C,
    /// SNS topics.
    Topic = 0x70,
    /// Subscriptions of topics, and the counter of what is published.
    Subscription = 0x71,
    /// Documents of topics on their way to HTTP endpoints.
    Notification = 0x72,
    /// What FIFO topics took not long ago.
    TopicDeduplication = 0x73,
    /// EventBridge buses, and the counter of events.
    EventBus = 0x78,
    /// Rules of event buses with their targets.
    EventRule = 0x79,
    /// Groups of schedules.
    ScheduleGroup = 0x7A,
    /// Schedules.
    Schedule = 0x7B,
    /// Functions.
    Function = 0x80,
    /// Code of functions, in pieces.
    FunctionCode = 0x81,
    /// Invocations that nobody waits for.
    Invocation = 0x82,
    /// CloudFormation stacks, and the counter of what has to do with them.
    Stack = 0xA0,
    /// Resources of stacks.
    StackResource = 0xA1,
    /// What happened to stacks and their resources.
    StackEvent = 0xA2,
    /// Change sets of stacks.
    ChangeSet = 0xA3,
    /// Templates of stacks and change sets.
    StackTemplate = 0xA4,
    /// Jobs.
    Job = 0xB0,
    /// What jobs have come to.
    JobProgress = 0xB1,
    /// Job templates.
    JobTemplate = 0xB2,
    /// Things that are still to be told of a job.
    JobTarget = 0xB3,
    /// Executions of jobs that have not ended, by thing.
    OpenJobExecution = 0xB4,
    /// Executions of jobs, by job.
    JobExecution = 0xB5,
    /// Executions of jobs, by thing.
    JobExecutionOfThing = 0xB6,
    /// IAM roles, policies, instance profiles, and the counter of their identifiers.
    Iam = 0x90,
    /// SSM parameters.
    Parameter = 0x91,
    /// Versions of SSM parameters.
    ParameterVersion = 0x92,
    /// Secrets, without their values.
    Secret = 0x93,
    /// Values of secrets' versions.
    SecretValue = 0x94,
    /// What invocations by tasks came to.
    InvocationOf = 0x83,
    /// Published versions of functions.
    FunctionVersion = 0x85,
    /// Aliases of functions.
    FunctionAlias = 0x86,
    /// Versions of layers.
    Layer = 0x87,
    /// Event source mappings.
    EventSource = 0x88,
    /// How many processes of functions are kept ready.
    ProvisionedConcurrency = 0x89,
}

/// Builds a [`Key`].
#[derive(Debug, Clone)]
pub struct KeyBuilder(Key);

impl KeyBuilder {
    /// A key in `space`.
    pub fn new(space: Space) -> KeyBuilder {
        KeyBuilder(vec![space as u8])
    }

    /// Adds text, ended by a zero byte. The text must not contain one.
    #[must_use]
    pub fn text(mut self, text: &str) -> KeyBuilder {
        debug_assert!(!text.contains('\0'), "key text with a zero byte");
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        self
    }

    /// Adds a number that orders by value.
    #[must_use]
    pub fn number(mut self, number: u64) -> KeyBuilder {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Adds bytes as they are.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> KeyBuilder {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The key.
    pub fn build(self) -> Key {
        self.0
    }
}

/// One durable change: a key and its new value, or `None` to remove it.
pub type Entry = (Key, Option<Vec<u8>>);

/// Stored bytes that cannot be read: damaged, or written by a newer stepwire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stored record {key:02x?} cannot be read: {why}")]
pub struct Corrupt {
    /// Where it is.
    pub key: Key,
    /// What is wrong with it.
    pub why: String,
}

/// The value bytes of `record` in format `version`.
pub fn encode<T: Serialize>(version: u8, record: &T) -> Vec<u8> {
    let bytes = postcard::to_extend(record, vec![version]);
    bytes.expect("records have no unserialisable parts")
}

/// The record that `value` holds, when it is of format `version`.
pub fn decode<T: DeserializeOwned>(version: u8, key: &[u8], value: &[u8]) -> Result<T, Corrupt> {
    let corrupt = |why: String| Corrupt { key: key.to_vec(), why };
    match value.split_first() {
        Some((&found, rest)) if found == version => {
            postcard::from_bytes(rest).map_err(|error| corrupt(error.to_string()))
        }
        Some((found, _)) => Err(corrupt(format!("format {found}, this stepwire reads {version}"))),
        None => Err(corrupt("empty".to_owned())),
    }
}
