//! The pages, one file each: what it shows as a value, and how that is drawn.

pub mod editor;
pub mod execution;
pub mod lines;
pub mod overview;
mod problem;
pub mod workflow;
pub mod workflows;

pub use problem::{Problem, problem};
