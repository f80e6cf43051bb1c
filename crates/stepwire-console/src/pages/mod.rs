//! The pages, one file each: what it shows as a value, and how that is drawn.

pub mod device;
mod device_tabs;
pub mod devices;
pub mod executions;
pub mod overview;
mod problem;
pub mod search;

pub use problem::{Problem, problem};
