//! The `stepwire` program.

fn main() {}
