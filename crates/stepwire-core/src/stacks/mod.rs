//! Stacks of resources, as AWS CloudFormation makes them of templates.

pub mod kinds;
