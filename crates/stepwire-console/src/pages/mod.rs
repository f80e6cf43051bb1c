//! The pages, one file each: what it shows as a value, and how that is drawn.

pub mod execution;
pub mod overview;
mod problem;

pub use problem::{Problem, problem};
