//! The console's pages: HTML, SVG and terminal drawings, made from plain values.
//!
//! This crate performs no I/O and knows no node: what a page shows arrives as a value, and text
//! leaves. Everything that comes from outside is text in what it makes, never markup: the templates
//! ([`maud`]) escape, and nothing here is marked as safe that was not written here.
//!

pub mod graph;
pub mod run;
