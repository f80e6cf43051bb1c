//! The pages, one file each: what it shows as a value, and how that is drawn.

pub mod compare;
pub mod device;
mod device_tabs;
pub mod devices;
pub mod editor;
pub mod execution;
pub mod executions;
pub mod function;
pub mod functions;
pub mod jobs;
pub mod lines;
pub mod live;
pub mod overview;
mod problem;
pub mod rollout;
pub mod rollouts;
pub mod rule;
pub mod rules;
pub mod search;
pub mod system;
pub mod table;
pub mod tables;
pub mod trial;
pub mod workflow;
pub mod workflows;

pub use problem::{Problem, problem};
