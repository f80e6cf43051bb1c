//! A statement of a topic rule, and an expression as action fields hold them.
//!
//! What is refused must say so in words, at a place within the text; what is understood in one
//! version is understood the same a second time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stepwire_core::rules::sql::{Error, Expression, Statement, Version};

fn is_told(text: &str, error: &Error) {
    assert!(!error.message.is_empty());
    assert!(error.hint.as_ref().is_none_or(|hint| !hint.is_empty()), "{error}");
    assert!((1..=text.matches('\n').count() + 1).contains(&error.line), "{error}");
    assert!((1..=error.text.chars().count() + 1).contains(&error.column), "{error}");
    assert!(text.contains(&error.text), "{error}");
    assert!(error.to_string().contains('^'));
}

fuzz_target!(|text: &str| {
    for version in [Version::V2015, Version::V2016, Version::Beta] {
        match Statement::parse(text, version) {
            Ok(statement) => {
                let _ = statement.asks();
                assert_eq!(Statement::parse(text, version), Ok(statement));
            }
            Err(error) => is_told(text, &error),
        }
        if let Err(error) = Expression::parse(text, version) {
            is_told(text, &error);
        }
    }
});
