//! Fleet indexing: things and thing groups by what is known of them.

pub mod query;

pub use query::Query;
