//! `stepwire env`: what AWS tools and devices must know to talk to a node.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::client::Client;
use super::failure::Failure;
use super::running::Running;
use super::{demo_policies, on_runtime, print};
use crate::config::MQTTS_PORT;
use crate::node_file::reachable;

/// Prints the exports for AWS tools and for devices: endpoints, region, keys and certificate authority.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  eval \"$(stepwire env)\" && aws stepfunctions list-state-machines
  stepwire env --output js > device/config.js")]
pub(super) struct Env {
    /// Data folder of the node [default: .stepwire here or in a folder above]
    #[arg(long, value_name = "DIR", env = "STEPWIRE_DATA")]
    data: Option<PathBuf>,
    /// How to tell: exports for a shell, the `config.js` of AWS's device samples, or everything as JSON
    #[arg(short, long, value_name = "FORM", default_value = "sh")]
    output: Form,
    /// Policy that devices get [default: the demo's, or the only one there is]
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    Sh,
    Js,
    Json,
}

impl Env {
    pub(super) fn run(self) -> Result<(), Failure> {
        let running = Running::find(self.data.as_deref())?;
        let mut told = None;
        on_runtime(async {
            told = Some(Told::of(&running, self.policy).await?);
            Ok(())
        })?;
        let Some(told) = told else { return Ok(()) };
        let text = match self.output {
            Form::Sh => format!("{}{}", told.exports(), told.comment()),
            Form::Js => told.config_js(),
            Form::Json => told.json(),
        };
        print(text.trim_end());
        Ok(())
    }
}

/// What there is to know about a node.
pub(super) struct Told {
    endpoint: String,
    /// What MQTT clients are given as host.
    pub(super) iot_endpoint: String,
    mqtt_port: u16,
    region: String,
    account: String,
    key: (String, String),
    ca: String,
    pub(super) policy: Option<String>,
}

impl Told {
    /// Of this node, with the policy of that name or, of none, the one that devices will want.
    pub(super) async fn of(running: &Running, policy: Option<String>) -> Result<Told, Failure> {
        let node = &running.node;
        let mut policies = Vec::new();
        if policy.is_none() {
            // What is printed is of use without it.
            policies = Client::new(running)?.policies().await.unwrap_or_default();
        }
        let mqtts = reachable(node.mqtts);
        Ok(Told {
            endpoint: node.endpoint(),
            iot_endpoint: if mqtts.port() != MQTTS_PORT {
                format!("stepwire-ats.iot.{}.amazonaws.com", node.region)
            } else if mqtts.ip().is_loopback() {
                "localhost".to_owned()
            } else {
                mqtts.ip().to_string()
            },
            mqtt_port: mqtts.port(),
            region: node.region.clone(),
            account: node.account.clone(),
            key: (running.key.id.clone(), running.key.secret.clone()),
            ca: running.authority().display().to_string(),
            policy: policy.or_else(|| chosen(policies)),
        })
    }

    fn exports(&self) -> String {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_REGION", &self.region),
            ("AWS_DEFAULT_REGION", &self.region),
            ("AWS_ACCESS_KEY_ID", &self.key.0),
            ("AWS_SECRET_ACCESS_KEY", &self.key.1),
            // Some operations' models put `sync-` in front of a host name that has no such sibling here.
            ("AWS_DISABLE_HOST_PREFIX_INJECTION", "true"),
            ("STEPWIRE_CA", &self.ca),
            ("NODE_EXTRA_CA_CERTS", &self.ca),
        ]
        .map(|(name, value)| format!("export {name}={}\n", quoted(value)))
        .concat()
    }

    /// What a device must be told, as comments.
    pub(super) fn comment(&self) -> String {
        let mut told = format!(
            "# Devices: MQTT over TLS on port {}, authority {}, region {}\n",
            self.mqtt_port, self.ca, self.region
        );
        told.extend([format!(
            "# device/config.js: iotEndpoint '{}', region '{}', policyName {}\n",
            self.iot_endpoint,
            self.region,
            match &self.policy {
                Some(policy) => format!("'{policy}'"),
                None => "one that you make with `aws iot create-policy`".to_owned(),
            }
        )]);
        if self.mqtt_port != MQTTS_PORT {
            told += "# That endpoint leads to the node under `stepwire run` only.\n";
        }
        told + "# `stepwire env --output js` prints the whole file; start it with `stepwire run -- node simulator.js`\n"
    }

    fn config_js(&self) -> String {
        let text = |text: &str| format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"));
        let mut notes = String::new();
        if self.policy.is_none() {
            notes += "// policyName: make one with `aws iot create-policy`, or start the node with `--demo-policies`.\n";
        }
        if self.mqtt_port != MQTTS_PORT {
            notes.extend([format!(
                "// MQTT listens on port {}, not {MQTTS_PORT}: start the simulator with `stepwire run`.\n",
                self.mqtt_port
            )]);
        }
        format!(
            "// From `stepwire env --output js`: what a device needs to reach the node.\n{notes}\
             export const config =\n{{\n    iotEndpoint: {},\n    clientId: 'CM-Test',\n    \
             policyName: {},\n    verbosity: 'warn',\n    region: {},\n    \
             shouldCreateThingAndIdentity: true\n}}\n",
            text(&self.iot_endpoint),
            text(self.policy.as_deref().unwrap_or_default()),
            text(&self.region),
        )
    }

    fn json(&self) -> String {
        let mut all = self.value();
        all["accessKeyId"] = json!(self.key.0);
        all["secretAccessKey"] = json!(self.key.1);
        format!("{all:#}")
    }

    /// All of it but the key.
    pub(super) fn value(&self) -> serde_json::Value {
        json!({
            "endpoint": self.endpoint,
            "region": self.region,
            "account": self.account,
            "certificateAuthority": self.ca,
            "iotEndpoint": self.iot_endpoint,
            "mqttPort": self.mqtt_port,
            "policyName": self.policy,
        })
    }
}

/// The policy that devices will want: a demo's, or the only one.
fn chosen(mut policies: Vec<String>) -> Option<String> {
    let demo = policies.iter().find(|name| *name == demo_policies::NAME).cloned();
    demo.or_else(|| (policies.len() == 1).then(|| policies.remove(0)))
}

/// `value` as one word of a POSIX shell.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/:._-+@=".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(port: u16) -> Told {
        Told {
            endpoint: "http://127.0.0.1:4566".to_owned(),
            iot_endpoint: "localhost".to_owned(),
            mqtt_port: port,
            region: "eu-central-1".to_owned(),
            account: "000000000000".to_owned(),
            key: ("AKIAX".to_owned(), "s/+".to_owned()),
            ca: "/home/a b/ca.pem".to_owned(),
            policy: Some("it's".to_owned()),
        }
    }

    #[test]
    fn the_exports_name_endpoint_region_keys_and_authority() {
        assert_eq!(
            told(8883).exports(),
            "export AWS_ENDPOINT_URL=http://127.0.0.1:4566\n\
             export AWS_REGION=eu-central-1\n\
             export AWS_DEFAULT_REGION=eu-central-1\n\
             export AWS_ACCESS_KEY_ID=AKIAX\n\
             export AWS_SECRET_ACCESS_KEY=s/+\n\
             export AWS_DISABLE_HOST_PREFIX_INJECTION=true\n\
             export STEPWIRE_CA='/home/a b/ca.pem'\n\
             export NODE_EXTRA_CA_CERTS='/home/a b/ca.pem'\n"
        );
    }

    #[test]
    fn a_folder_name_cannot_break_out_of_its_quotes() {
        assert_eq!(quoted("it's; rm -rf"), r"'it'\''s; rm -rf'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn the_samples_configuration_is_a_module_that_names_what_the_simulator_asks_for() {
        let file = told(8883).config_js();
        assert!(file.contains("export const config =\n{\n    iotEndpoint: 'localhost',"), "{file}");
        assert!(file.contains(r"policyName: 'it\'s',"), "{file}");
        assert!(!file.contains("listens on port"), "{file}");
        assert!(told(1).config_js().contains("listens on port 1, not 8883"));
    }

    #[test]
    fn every_line_for_devices_is_a_comment() {
        assert!(told(1).comment().lines().all(|line| line.starts_with("# ")));
    }

    #[test]
    fn the_demos_policy_or_the_only_one_is_what_devices_get() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(chosen(names(&["a", demo_policies::NAME])), names(&[demo_policies::NAME]).pop());
        assert_eq!(chosen(names(&["a"])).as_deref(), Some("a"));
        assert_eq!(chosen(names(&["a", "b"])), None);
    }
}
