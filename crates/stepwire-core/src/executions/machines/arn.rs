//! The ARNs of state machines, their versions and aliases.

use std::fmt;
use std::sync::Arc;

use crate::error::ApiError;
use crate::settings::Settings;

use super::super::request::{invalid_arn, states_resource, wrong_kind};
use super::super::run::machine_arn;

/// What an ARN of a state machine names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineArn {
    /// Name of the state machine.
    pub name: Arc<str>,
    /// Which version or alias of it, if it says.
    pub qualifier: Option<Qualifier>,
}

/// The last part of the ARN of a version or alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Qualifier {
    /// A version, by number.
    Version(u64),
    /// An alias, by name.
    Alias(Arc<str>),
}

impl MachineArn {
    /// What `arn` names.
    pub(crate) fn parse(arn: &str) -> Result<MachineArn, ApiError> {
        let rest = match states_resource(arn)? {
            ("stateMachine", rest) => rest,
            (kind, _) => return Err(wrong_kind(kind)),
        };
        let (name, qualifier) = match rest.split_once(':') {
            Some((name, qualifier)) => (name, Some(qualifier)),
            None => (rest, None),
        };
        let bad = |part: &str| part.is_empty() || part.contains([':', '\0']);
        if bad(name) || qualifier.is_some_and(bad) {
            return Err(invalid_arn("Invalid ARN", arn));
        }
        let qualifier = qualifier.map(|text| match text.parse() {
            Ok(number) => Qualifier::Version(number),
            Err(_) => Qualifier::Alias(text.into()),
        });
        Ok(MachineArn { name: name.into(), qualifier })
    }

    /// The ARN of the state machine itself.
    pub(crate) fn of(name: &Arc<str>) -> MachineArn {
        MachineArn { name: Arc::clone(name), qualifier: None }
    }

    /// The ARN as text.
    pub(crate) fn text(&self, settings: &Settings) -> String {
        let machine = machine_arn(settings, &self.name);
        match &self.qualifier {
            Some(qualifier) => format!("{machine}:{qualifier}"),
            None => machine,
        }
    }
}

impl fmt::Display for Qualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Qualifier::Version(number) => number.fmt(f),
            Qualifier::Alias(name) => name.fmt(f),
        }
    }
}
