//! Actions that policies name.

use stepwire_asl::diagnostic::nearest;

use super::malformed::Malformed;
use super::pattern::fits;

/// Every action that a device can ask for; the first five stand in the order of
/// [`broker::Action`](crate::broker::Action).
const ACTIONS: [&str; 21] = [
    "iot:Connect",
    "iot:Publish",
    "iot:RetainPublish",
    "iot:Subscribe",
    "iot:Receive",
    "iot:GetRetainedMessage",
    "iot:ListRetainedMessages",
    "iot:GetThingShadow",
    "iot:UpdateThingShadow",
    "iot:DeleteThingShadow",
    "iot:ListNamedShadowsForThing",
    "iot:DescribeJobExecution",
    "iot:GetPendingJobExecutions",
    "iot:UpdateJobExecution",
    "iot:StartNextPendingJobExecution",
    "iotjobsdata:DescribeJobExecution",
    "iotjobsdata:GetPendingJobExecutions",
    "iotjobsdata:UpdateJobExecution",
    "iotjobsdata:StartNextPendingJobExecution",
    "iot:AssumeRoleWithCertificate",
    "iot:DeleteConnection",
];

/// A set of actions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Actions(u32);

const _: () = assert!(ACTIONS.len() <= 32);

impl Actions {
    /// The actions that `text` names, which may have wildcards. Actions that are no device's and
    /// look like none are taken and mean nothing here.
    pub(super) fn parse(text: &str) -> Result<Actions, Malformed> {
        if text == "*" {
            return Ok(Actions(u32::MAX));
        }
        let vendor = text.split_once(':').filter(|(vendor, name)| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-*?_".contains(c);
            !vendor.is_empty() && !name.is_empty() && text.replace(':', "").chars().all(plain)
        });
        if vendor.is_none() {
            let fault = format!("`{text}` is no action");
            return Err(Malformed::new(fault).hint("an action is written as `iot:Publish`"));
        }
        let wanted = text.to_ascii_lowercase();
        let named = ACTIONS
            .iter()
            .enumerate()
            .filter(|(_, known)| fits(&wanted, &known.to_ascii_lowercase()));
        let set = named.fold(0, |set, (at, _)| set | 1 << at);
        if set == 0
            && !text.contains(['*', '?'])
            && let Some(known) = nearest(text, ACTIONS.iter().copied())
        {
            let fault = format!("`{text}` is no action");
            return Err(Malformed::new(fault).hint(format!("did you mean `{known}`?")));
        }
        Ok(Actions(set))
    }

    pub(super) fn and(self, other: Actions) -> Actions {
        Actions(self.0 | other.0)
    }

    pub(super) fn others(self) -> Actions {
        Actions(!self.0)
    }

    pub(super) fn has(self, action: crate::broker::Action) -> bool {
        self.0 & (1 << action as u32) != 0
    }
}
