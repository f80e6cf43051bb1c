//! Resources that policies name.

use super::facts::Facts;
use super::malformed::Malformed;
use super::pattern::{Pattern, Wildcards, fits};
use super::variable::Variable;

/// Kinds of resources that devices act on.
const KINDS: [&str; 8] = [
    "client",
    "topic",
    "topicfilter",
    "thing",
    "thinggroup",
    "rolealias",
    "job",
    "provisioningtemplate",
];

/// What a statement is about, compiled so that no ARN has to be written to compare it.
///
/// Region and account of a resource are this node's own, whatever a policy brought along says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Resource {
    Everything,
    /// `arn:aws:iot:…:kind/name`
    Named {
        kind: &'static str,
        name: Pattern,
    },
    /// An ARN with wildcards where its kind is, or in place of it.
    Arn(Pattern),
    /// Of another service.
    Elsewhere,
}

impl Resource {
    pub(super) fn parse(text: &str) -> Result<Resource, Malformed> {
        if !text.starts_with("arn:") {
            if !text.starts_with('*') {
                let fault = format!("`{text}` is no resource");
                let hint = "a resource is `*` or an ARN such as `arn:aws:iot:*:*:topic/a`";
                return Err(Malformed::new(fault).hint(hint));
            }
            let pattern = Pattern::parse(text, Wildcards::Match)?;
            return Ok(if pattern.is_any() {
                Resource::Everything
            } else {
                Resource::Arn(pattern)
            });
        }
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [_, partition, service, _, _, rest] = parts.as_slice() else {
            if text.contains('*') {
                return Pattern::parse(text, Wildcards::Match).map(Resource::Arn);
            }
            let hint = "an ARN has six parts, such as `arn:aws:iot:us-east-1:000000000000:topic/a`";
            return Err(Malformed::new(format!("`{text}` is no ARN")).hint(hint));
        };
        let here = fits(service, "iot") && (fits(partition, "aws") || partition.starts_with("aws"));
        if !here {
            return Ok(Resource::Elsewhere);
        }
        if let Some((kind, name)) = rest.split_once('/')
            && let Some(kind) = KINDS.iter().find(|known| **known == kind)
        {
            return Ok(Resource::Named { kind, name: Pattern::parse(name, Wildcards::Match)? });
        }
        let arn = Pattern::parse(rest, Wildcards::Match)?;
        if arn.is_any() {
            return Ok(Resource::Everything);
        }
        let anywhere = format!("arn:{partition}:{service}:*:*:{rest}");
        Pattern::parse(&anywhere, Wildcards::Match).map(Resource::Arn)
    }

    pub(super) fn matches(&self, kind: &str, name: &str, facts: &Facts<'_>) -> bool {
        match self {
            Resource::Everything => true,
            Resource::Named { kind: wanted, name: pattern } => {
                *wanted == kind && pattern.matches(name, facts)
            }
            Resource::Arn(pattern) => {
                pattern.matches(&format!("arn:aws:iot:::{kind}/{name}"), facts)
            }
            Resource::Elsewhere => false,
        }
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = &Variable> {
        let pattern = match self {
            Resource::Named { name: pattern, .. } | Resource::Arn(pattern) => Some(pattern),
            Resource::Everything | Resource::Elsewhere => None,
        };
        pattern.into_iter().flat_map(Pattern::variables)
    }
}
