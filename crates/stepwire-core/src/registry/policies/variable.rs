//! Policy variables and condition keys.
//!
//! Source: AWS IoT developer guide, "Basic", "Thing" and "X.509 certificate" policy variables.

use std::sync::Arc;

use stepwire_asl::diagnostic::nearest;

use super::malformed::Malformed;
use crate::registry::certificates::Field;

/// A fact that a policy can name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Variable {
    /// `iot:ClientId`
    ClientId,
    /// `aws:SourceIp`
    SourceIp,
    /// `aws:CurrentTime`
    CurrentTime,
    /// `aws:EpochTime`
    EpochTime,
    /// `iot:Connection.Thing.ThingName`
    ThingName,
    /// `iot:Connection.Thing.ThingTypeName`
    ThingTypeName,
    /// `iot:Connection.Thing.IsAttached`
    IsAttached,
    /// `iot:Connection.Thing.Attributes[name]`
    Attribute(Arc<str>),
    /// `iot:ConnectAttributes`
    ConnectAttributes,
    /// `iot:Certificate.…`
    Certificate(Field, Pick),
    /// `iot:Certificate.AvailableKeys`
    AvailableKeys,
}

/// Which of an attribute's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pick {
    /// The one at this place; the first without a suffix.
    At(u8),
    /// All, with `.List`.
    All,
}

const ATTRIBUTE: &str = "iot:Connection.Thing.Attributes[";
const CERTIFICATE: &str = "iot:Certificate.";
/// Those without a parameter.
const PLAIN: [(&str, Variable); 9] = [
    ("iot:ClientId", Variable::ClientId),
    ("aws:SourceIp", Variable::SourceIp),
    ("aws:CurrentTime", Variable::CurrentTime),
    ("aws:EpochTime", Variable::EpochTime),
    ("iot:Connection.Thing.ThingName", Variable::ThingName),
    ("iot:Connection.Thing.ThingTypeName", Variable::ThingTypeName),
    ("iot:Connection.Thing.IsAttached", Variable::IsAttached),
    ("iot:ConnectAttributes", Variable::ConnectAttributes),
    ("iot:Certificate.AvailableKeys", Variable::AvailableKeys),
];

impl Variable {
    /// The variable called `name`, with or without large letters.
    pub(super) fn parse(name: &str) -> Result<Variable, Malformed> {
        if let Some((_, variable)) =
            PLAIN.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            return Ok(variable.clone());
        }
        let attribute = name.strip_prefix(ATTRIBUTE).and_then(|rest| rest.strip_suffix(']'));
        if let Some(attribute) = attribute {
            return Ok(Variable::Attribute(attribute.into()));
        }
        let certificate = name.strip_prefix(CERTIFICATE).and_then(certificate);
        certificate.ok_or_else(|| {
            let fault = Malformed::new(format!("the variable `{name}` is not available"));
            match nearest(name, PLAIN.iter().map(|(known, _)| *known)) {
                Some(known) => fault.hint(format!("did you mean `{known}`?")),
                None => fault,
            }
        })
    }

    /// As policies write it.
    pub(super) fn name(&self) -> String {
        match self {
            Variable::Attribute(name) => format!("{ATTRIBUTE}{name}]"),
            Variable::Certificate(field, Pick::At(0)) => field.variable(),
            Variable::Certificate(field, Pick::At(at)) => format!("{}.{at}", field.variable()),
            Variable::Certificate(field, Pick::All) => format!("{}.List", field.variable()),
            plain => {
                let known = PLAIN.iter().find(|(_, variable)| variable == plain);
                known.map_or_else(String::new, |(name, _)| (*name).to_owned())
            }
        }
    }
}

fn certificate(name: &str) -> Option<Variable> {
    if let Some(field) = Field::parse(name) {
        return Some(Variable::Certificate(field, Pick::At(0)));
    }
    let (name, suffix) = name.rsplit_once('.')?;
    let pick = match suffix {
        "List" => Pick::All,
        at => Pick::At(at.parse().ok()?),
    };
    Some(Variable::Certificate(Field::parse(name)?, pick))
}
