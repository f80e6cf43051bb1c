//! The console's pages: HTML, SVG and terminal drawings, made from plain values.
//!
//! This crate performs no I/O and knows no node: what a page shows arrives as a value, and text
//! leaves. Everything that comes from outside is text in what it makes, never markup: the templates
//! ([`maud`]) escape, and nothing is marked as safe here that was not written here.
//!
//! Read in this order: [`Page`], [`region`], [`graph`], [`run`], then one of [`pages`].

pub mod assets;
pub mod chart;
mod frame;
pub mod graph;
pub mod icons;
pub mod json;
pub mod link;
pub mod pages;
pub mod payload;
pub mod region;
pub mod run;
pub mod timeline;
pub mod words;

pub use frame::{Counts, Crumb, Frame, Node, Page, Section};
pub use region::{Mark, Parts};
