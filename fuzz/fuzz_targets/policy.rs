//! A policy document, and the questions it is asked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stepwire_core::registry::policies::Policy;

fuzz_target!(|document: &str| {
    let _ = Policy::parse(document);
});
