//! Tests of the resource types.
