//! The template's parameters: what may be given for them, and what is taken.

use std::sync::Arc;

use crate::value::{Place, Value};

/// A parameter's declaration.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// `Type`, as written.
    pub kind: ParameterType,
    /// `Default`, as the text that could be given.
    pub default: Option<Arc<str>>,
    /// `AllowedValues`; empty when anything is.
    pub allowed_values: Vec<Arc<str>>,
    /// `AllowedPattern`.
    pub allowed_pattern: Option<Arc<str>>,
    /// `MinLength`, `MaxLength`, in characters.
    pub length: (Option<u64>, Option<u64>),
    /// `MinValue`, `MaxValue`.
    pub range: (Option<f64>, Option<f64>),
    /// `ConstraintDescription`.
    pub constraint_description: Option<Arc<str>>,
    /// `Description`.
    pub description: Option<Arc<str>>,
    /// `NoEcho`: its value is shown as `****`.
    pub no_echo: bool,
    /// Where its name stands.
    pub place: Place,
}

/// The `Type` of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterType {
    /// `String`, and AWS-specific types of one value, such as `AWS::EC2::VPC::Id`.
    String(Arc<str>),
    /// `Number`.
    Number,
    /// `List<Number>`.
    NumberList,
    /// `CommaDelimitedList`, and lists of AWS-specific types, such as `List<AWS::EC2::Subnet::Id>`.
    List(Arc<str>),
    /// `AWS::SSM::Parameter::Value<…>`: the value given names a parameter of Parameter Store.
    Ssm {
        /// As written.
        name: Arc<str>,
        /// Whether what is stored is a list.
        list: bool,
    },
}

impl ParameterType {
    /// As the template writes it.
    pub fn name(&self) -> &str {
        match self {
            ParameterType::String(name)
            | ParameterType::List(name)
            | ParameterType::Ssm { name, .. } => name,
            ParameterType::Number => "Number",
            ParameterType::NumberList => "List<Number>",
        }
    }
}

#[expect(dead_code, reason = "the first step of a new crate")]
/// The list that `text` writes: comma separated, blanks around items dropped.
pub(crate) fn items(text: &str) -> Value {
    Value::list(text.split(',').map(|item| Value::string(item.trim())))
}
