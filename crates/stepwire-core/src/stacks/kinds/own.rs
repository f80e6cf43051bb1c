//! Types that stacks make themselves: stacks within stacks, and what a team's functions make.

use stepwire_asl::Json;

use super::property::{self, Finding, Property, map, tags, text, texts};
use super::{Kind, Support};

/// Stacks within stacks.
pub(in crate::stacks) const STACK: &str = "AWS::CloudFormation::Stack";
/// The type of a custom resource that has none of its own.
const CUSTOM: &str = "AWS::CloudFormation::CustomResource";
/// What those of its own begin with.
const CUSTOM_BEGINNING: &str = "Custom::";

pub(super) const STACK_PROPERTIES: &[Property] = &[
    text("TemplateURL").required(),
    map("Parameters"),
    tags(),
    texts("NotificationARNs").without_effect("nobody is notified of what stacks do"),
    text("TimeoutInMinutes").without_effect("a stack takes as long as its resources do"),
];

/// What every custom resource has; what else it has is its function's.
const CUSTOM_PROPERTIES: &[Property] = &[text("ServiceToken").required()];

/// Types of CloudFormation that nothing is made of.
pub(super) const KINDS: &[Kind] = &[
    Kind::refused(
        "AWS::CloudFormation::WaitCondition",
        "nothing signals a wait condition here; leave it out",
    ),
    Kind::refused(
        "AWS::CloudFormation::WaitConditionHandle",
        "nothing signals a wait condition here; leave it out",
    ),
    Kind::refused(
        "AWS::CloudFormation::Macro",
        "write what the macro would give into the template",
    ),
];

/// Whether stacks make resources of a type themselves.
pub(in crate::stacks) fn is_own(kind: &str) -> bool {
    kind == STACK || is_custom(kind)
}

fn is_custom(kind: &str) -> bool {
    kind == CUSTOM || kind.starts_with(CUSTOM_BEGINNING)
}

/// What becomes of a type that stacks make themselves; `None` of another.
pub(super) fn support(kind: &str) -> Option<Support> {
    is_own(kind).then_some(Support::Served)
}

/// What becomes of the properties of such a type.
pub(super) fn examine(kind: &str, properties: &Json) -> Vec<Finding> {
    if kind == STACK {
        return property::read(STACK_PROPERTIES, properties).1;
    }
    let own = |name: &str| CUSTOM_PROPERTIES.iter().any(|property| property.name == name);
    let own = properties.as_object().map(|members| {
        let own = members.iter().filter(|(name, _)| own(name));
        Json::object(own.map(|(name, value)| (name.clone(), value.clone())))
    });
    property::read(CUSTOM_PROPERTIES, own.as_ref().unwrap_or(properties)).1
}
