//! The examples that the demo deploys, part of the binary: the files of `examples/config-management`,
//! and those of `examples/firmware-job`.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::{Object, ParseError};

/// A file of the example, as text.
macro_rules! example {
    ($file:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/", $file))
    };
}

/// Name of the state machine, as the rule that starts it says.
pub const STATE_MACHINE: &str = "ConfigManagement";
/// Name of the policy that devices get.
pub const POLICY: &str = "ConfigManagementDevice";
/// The policy document, `policy.json`.
pub const POLICY_DOCUMENT: &str = example!("config-management/policy.json");
/// `table.json`: the input of CreateTable.
pub const TABLE: &str = example!("config-management/table.json");
/// Name and payload of each topic rule.
pub const RULES: [(&str, &str); 2] = [
    ("StartCMStateMachine", example!("config-management/rules/StartCMStateMachine.json")),
    ("CompleteConfiguration", example!("config-management/rules/CompleteConfiguration.json")),
];
const DEFINITION: &str = example!("config-management/config_management.asl.json");
/// Name of the thing group that all devices are in.
pub const GROUP: &str = "fleet";
/// Name of the policy of that group.
pub const JOB_POLICY: &str = "FirmwareJobDevice";
/// The policy document, `policy.json`.
pub const JOB_POLICY_DOCUMENT: &str = example!("firmware-job/policy.json");
/// Name of the job that the group is to do.
pub const JOB: &str = "firmware-1-2-3";
/// `job.json`: the input of CreateJob without name and targets.
pub const JOB_INPUT: &str = example!("firmware-job/job.json");

/// The workflow for a profile service at `endpoint`, whose tasks wait `heartbeat_s` seconds for a
/// device: the demo does not have the patience of the file.
pub fn definition(endpoint: &str, heartbeat_s: i64) -> Result<String, ParseError> {
    let text = DEFINITION.replace("${ProfileEndpoint}", endpoint);
    Ok(with_heartbeat(&Json::parse(&text)?, heartbeat_s).to_text())
}

/// `definition` with every `HeartbeatSeconds` set to `seconds`.
fn with_heartbeat(definition: &Json, seconds: i64) -> Json {
    let Json::Object(members) = definition else { return definition.clone() };
    let changed = members.iter().map(|(name, value)| {
        let value = match &**name {
            "HeartbeatSeconds" => seconds.into(),
            _ => with_heartbeat(value, seconds),
        };
        (Arc::clone(name), value)
    });
    Json::Object(Arc::new(changed.collect::<Object>()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_example_are_json() {
        let all = [POLICY_DOCUMENT, TABLE, RULES[0].1, RULES[1].1, JOB_POLICY_DOCUMENT, JOB_INPUT];
        for text in all {
            Json::parse(text).unwrap();
        }
    }

    #[test]
    fn the_definition_names_the_service_and_waits_as_long_as_asked() {
        let text = definition("http://127.0.0.1:9", 7).unwrap();
        assert!(text.contains("States.Format('http://127.0.0.1:9/profiles/{}'"));
        assert!(text.contains(r#""HeartbeatSeconds":7"#));
        assert!(!text.contains("${"));
        stepwire_asl::StateMachine::parse(&text).unwrap();
    }

    #[test]
    fn the_rules_start_the_machine_and_store_in_the_table_that_are_deployed() {
        assert!(RULES[0].1.contains(&format!(r#""stateMachineName": "{STATE_MACHINE}""#)));
        let table = Json::parse(TABLE).unwrap();
        let name = table.member("TableName").unwrap().as_str().unwrap();
        assert!(RULES[1].1.contains(name) && DEFINITION.contains(name));
    }
}
