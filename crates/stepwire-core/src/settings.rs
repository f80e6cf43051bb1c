//! What the shell tells a kernel once, as plain values.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::broker::{Budget, Limits, Profile};
use crate::mocks::Mocks;
use crate::quotas::Quotas;

/// Fixed facts about the node and the limits it holds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// AWS region in every ARN.
    pub region: Arc<str>,
    /// AWS account in every ARN; twelve digits.
    pub account: Arc<str>,
    /// Where the node's HTTP port can be reached, without a slash at the end; URLs begin with it.
    pub url: Arc<str>,
    /// Key of every MAC the kernel makes (task tokens, identifiers). Secret, kept with the data.
    pub secret: [u8; 32],
    /// How long a service message that matches no subscription waits for one; 0 switches it off.
    pub subscribe_grace_ms: i64,
    /// How long an answer without an active task waits for one.
    pub answer_grace_ms: i64,
    /// What the broker bounds.
    pub mqtt: Limits,
    /// What all MQTT clients together may take.
    pub budget: Budget,
    /// AWS services outside that tasks may call: what follows `aws-sdk:` in a resource.
    pub outside: BTreeSet<Arc<str>>,
    /// What workflows may use.
    pub quotas: Quotas,
    /// Folders of the node that item readers read like buckets, by name.
    pub items_folders: BTreeSet<Arc<str>>,
    /// Folders of the node that functions run where they are, by name.
    pub code_folders: BTreeSet<Arc<str>>,
    /// Test cases that answer tasks in place of services.
    pub mocks: Arc<Mocks>,
    /// Whether every message that the rules see is shown, by [`Effect::Seen`](crate::Effect::Seen).
    pub shows_messages: bool,
}

impl Settings {
    /// What the broker bounds for those who come by a listener of `profile`.
    pub fn limits_of(&self, profile: Profile) -> &Limits {
        match profile {
            Profile::Standard => &self.mqtt,
            Profile::Aws => &Limits::AWS,
        }
    }

    /// The ARN of `resource` in `service`, such as `thing/x` in `iot`.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            region: "us-east-1".into(),
            account: "000000000000".into(),
            url: "http://localhost:4566".into(),
            secret: [0; 32],
            subscribe_grace_ms: 5_000,
            answer_grace_ms: 10_000,
            mqtt: Limits::default(),
            budget: Budget::default(),
            outside: BTreeSet::new(),
            quotas: Quotas::default(),
            items_folders: BTreeSet::new(),
            code_folders: BTreeSet::new(),
            mocks: Arc::default(),
            shows_messages: false,
        }
    }
}
