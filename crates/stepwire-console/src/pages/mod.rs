//! The pages, one file each: what it shows as a value, and how that is drawn.

pub mod execution;
pub mod function;
pub mod functions;
pub mod live;
pub mod overview;
mod problem;
pub mod rule;
pub mod rules;
pub mod system;
pub mod table;
pub mod tables;

pub use problem::{Problem, problem};
