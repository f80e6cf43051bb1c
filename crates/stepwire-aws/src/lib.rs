//! AWS wire protocols: who signed a request, which operation it asks for, how an answer looks.
//!
//! Wire only: nothing here knows what an operation does or touches any state.
//!
//! Read in this order: [`sigv4`], [`rest`], [`error`].

pub mod error;
pub mod rest;
#[rustfmt::skip]
pub mod routes;
pub mod sigv4;
