//! What can be told of arguments before there is a message.

use stepwire_asl::Json;

use super::Function;
use crate::rules::action::is_arn;
use crate::rules::sql::{Expr, SECRET_TYPES};

/// What the registry can be asked for.
const REGISTRY: [&str; 2] = ["DescribeThing", "ListThingGroupsForThing"];

impl Function {
    /// Whether it takes so many arguments.
    pub(super) fn takes(self, count: usize) -> bool {
        let (least, most) = self.arity();
        match self {
            Function::Decode | Function::GetDynamodb => count == least || count == most,
            _ => (least..=most).contains(&count),
        }
    }

    /// Which of so many arguments is a role.
    pub(super) fn role(self, count: usize) -> Option<usize> {
        match self {
            Function::GetDynamodb
            | Function::GetRegistryData
            | Function::GetSecret
            | Function::GetThingShadow => count.checked_sub(1),
            Function::MachinelearningPredict => Some(1),
            _ => None,
        }
    }

    /// What is wrong with so many arguments, as it follows the name of the function.
    pub(in crate::rules::sql) fn count_fault(self, count: usize) -> Option<String> {
        if self.takes(count) {
            return None;
        }
        let (least, most) = self.arity();
        let takes = match self {
            Function::Decode | Function::GetDynamodb => format!("{least} or {most} arguments"),
            _ if (least, most) == (1, 1) => "1 argument".to_owned(),
            _ if least == most => format!("{least} arguments"),
            _ => format!("{least} to {most} arguments"),
        };
        Some(format!("takes {takes}, not {count}"))
    }

    /// What is wrong with a role that is the same for all messages, as it follows the name of the
    /// function, and what to write. A role that was forgotten makes a role of what is before it: of a
    /// key of a secret, so that all of it would be told.
    pub(in crate::rules::sql) fn role_fault(self, arguments: &[Expr]) -> Option<(String, String)> {
        let role = match arguments.get(self.role(arguments.len())?)? {
            Expr::Literal(Json::String(role)) if is_arn(role) => return None,
            literal @ Expr::Literal(_) => literal,
            _ => return None,
        };
        let takes = match self {
            Function::GetDynamodb => {
                "table, partitionKeyName, partitionKeyValue[, sortKeyName, sortKeyValue], roleArn"
            }
            Function::GetRegistryData => "api, thingName, roleArn",
            Function::GetSecret => "secretId, secretType[, key], roleArn",
            Function::GetThingShadow => "thingName[, shadowName], roleArn",
            _ => "modelId, roleArn, record",
        };
        let fault = format!("takes the ARN of a role as roleArn, which {role} is not");
        let (_, most) = self.arity();
        let missing = if arguments.len() < most { "is roleArn missing? " } else { "" };
        let name = self.documented();
        let hint = format!(
            "{missing}write {name}({takes}), with a role like 'arn:aws:iam::123456789012:role/NAME'"
        );
        Some((fault, hint))
    }

    /// What is wrong with the arguments themselves.
    pub(in crate::rules::sql) fn argument_fault(self, arguments: &[Expr]) -> Option<&'static str> {
        let word = |at: usize| match arguments.get(at) {
            Some(Expr::Literal(Json::String(text))) => Some(text.as_ref()),
            _ => None,
        };
        let is_variable = |at: usize| matches!(arguments.get(at), Some(Expr::Variable(_)));
        if self.role(arguments.len()).is_some_and(is_variable) {
            return Some("takes its role as text, not as a variable");
        }
        match self {
            Function::Encode => (word(1) != Some("base64")).then_some("takes 'base64' second"),
            Function::Decode => match (word(1), arguments.len()) {
                (Some("base64"), 6) => Some("with 'base64' takes 2 arguments, not 6"),
                (Some("proto"), 2) => Some("with 'proto' takes bucket, key, file and message, too"),
                (Some("base64" | "proto"), _) => None,
                _ => Some("takes 'base64' or 'proto' second"),
            },
            Function::GetRegistryData => {
                let known = word(0).is_some_and(|api| REGISTRY.contains(&api));
                (!known).then_some("takes 'DescribeThing' or 'ListThingGroupsForThing' first")
            }
            Function::GetSecret => {
                let known = word(1).is_none_or(|kind| SECRET_TYPES.contains(&kind));
                (!known).then_some("takes 'SecretString' or 'SecretBinary' second")
            }
            Function::Transform if is_variable(0) => {
                Some("takes its mode as text, not as a variable")
            }
            _ => None,
        }
    }
}
