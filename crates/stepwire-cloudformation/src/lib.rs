//! CloudFormation and SAM templates: what they say, and what they come to.
//!
//! This crate is pure: it reads no file, no clock and no network, and it knows no service and no
//! state of a stack. A template's text goes in; resources with their properties, in the order in
//! which they can be made, come out, or [`Diagnostic`]s that say what is wrong and where.
//!
//! Read in this order: [`Template`], [`Given`], [`Expanded`], [`resolve`], [`compare`].

mod cidr;
mod compare;
mod diagnostic;
mod expand;
mod expanded;
mod function;
mod known;
mod link;
mod loops;
mod order;
mod parameter;
mod resolve;
mod sam;
mod source;
mod sub;
mod template;
mod value;

pub use compare::{Action, Change, Evaluation, PropertyChange, compare};
pub use diagnostic::Diagnostic;
pub use expanded::{Absent, Artifacts, Expanded, Given, Output, Policy, Resource, Unknown};
pub use parameter::{Parameter, ParameterType};
pub use resolve::{Scope, Unresolved, resolve};
pub use source::read;
pub use template::{Capability, Needed, Template};
pub use value::{Data, Map, Place, Value};
