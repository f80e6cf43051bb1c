//! Filter patterns: what messages must say.
//!
//! Source: CloudWatch Logs User Guide, "Filter pattern syntax": terms, JSON (`{ … }`), columns
//! (`[ … ]`), regular expressions (`% … %`) in all three.

mod columns;
mod json;
mod scan;
mod terms;

use stepwire_asl::Json;

use crate::error::ApiError;
use columns::Columns;
use json::Condition;
use terms::Terms;

/// What a message must say.
#[derive(Debug, Clone)]
pub struct Pattern(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Terms(Terms),
    Json(Condition),
    Columns(Columns),
}

impl Default for Pattern {
    fn default() -> Pattern {
        Pattern(Kind::Terms(Terms::default()))
    }
}

impl Pattern {
    /// The pattern that `text` writes. The empty one fits every message.
    pub fn parse(text: &str) -> Result<Pattern, ApiError> {
        let text = text.trim();
        let parsed = match text.chars().next() {
            Some('{') => Condition::parse(text).map(Kind::Json),
            Some('[') => Columns::parse(text).map(Kind::Columns),
            _ => Terms::parse(text).map(Kind::Terms),
        };
        parsed.map(Pattern).map_err(|why| {
            let message = format!("Invalid filter pattern: {why}");
            ApiError::new(super::request::INVALID, message)
        })
    }

    /// Whether a message fits.
    pub fn fits(&self, message: &str) -> bool {
        match &self.0 {
            Kind::Terms(terms) => terms.fit(message),
            Kind::Json(condition) => {
                message.trim_start().starts_with('{')
                    && Json::parse(message).is_ok_and(|json| condition.fits(&json))
            }
            Kind::Columns(columns) => columns.fit(message),
        }
    }

    /// What `name` says in a message that fits: a selector of JSON, which need not be in the pattern,
    /// or a column.
    pub(super) fn value_of(&self, name: &str, message: &str) -> Option<String> {
        match &self.0 {
            Kind::Terms(_) => None,
            Kind::Json(_) => json::value_of(name, &Json::parse(message).ok()?),
            Kind::Columns(columns) => {
                let found = columns.extracted(message).into_iter();
                found.into_iter().find(|(column, _)| column == name).map(|(_, value)| value)
            }
        }
    }

    /// What the pattern names in a message that fits: values by `$name`.
    pub fn extracted(&self, message: &str) -> Vec<(String, String)> {
        match &self.0 {
            Kind::Terms(_) => Vec::new(),
            Kind::Json(condition) => match Json::parse(message) {
                Ok(json) => condition.extracted(&json),
                Err(_) => Vec::new(),
            },
            Kind::Columns(columns) => columns.extracted(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, message: &str) -> bool {
        Pattern::parse(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}")).fits(message)
    }

    #[test]
    fn terms_are_all_wanted_unless_marked_otherwise() {
        let message = "ERROR 400 \"BAD\" REQUEST";
        for (pattern, expected) in [
            ("", true),
            ("ERROR", true),
            ("error", false),
            ("ERROR 400", true),
            ("ERROR 500", false),
            ("?500 ?400", true),
            ("?500 ?501", false),
            ("ERROR -400", false),
            ("ERROR -500", true),
            ("-500", true),
            ("\"400 \\\"BAD\"", true),
            ("\"ERROR REQUEST\"", false),
            ("%4[0-9]{2}%", true),
            ("%5[0-9]{2}%", false),
            ("ERROR %^ERR%", true),
            ("-%BAD%", false),
        ] {
            assert_eq!(fits(pattern, message), expected, "{pattern}");
        }
    }

    #[test]
    fn json_is_looked_into() {
        let message = r#"{"eventType":"UpdateTrail","sourceIPAddress":"111.111.111.111","n":3.5,
            "list":["a","b"],"objects":[{"id":1},{"id":2}],"none":null,"yes":true,"no":false,
            "a.b":{"c d":"x"},"user":{"name":"Ann"},"big":12e3}"#;
        for (pattern, expected) in [
            (r#"{ $.eventType = "UpdateTrail" }"#, true),
            ("{ $.eventType = UpdateTrail }", true),
            (r#"{ $.eventType = "updatetrail" }"#, false),
            (r#"{ $.eventType != "UpdateTrail" }"#, false),
            ("{ $.sourceIPAddress != 123.123.* }", true),
            ("{ $.sourceIPAddress = 111.111.* }", true),
            (r#"{ $.eventType = "*Trail" }"#, true),
            (r#"{ $.eventType = "*date*" }"#, true),
            (r#"{ $.eventType = "Trail*" }"#, false),
            ("{ $.eventType = %^Update|Delete% }", true),
            (r#"{ $.list[0] = "a" }"#, true),
            (r#"{ $.list[1] = "a" }"#, false),
            ("{ $.list[*] = b }", true),
            ("{ $.objects[1].id = 2 }", true),
            ("{ $.objects[*].id > 1 }", true),
            ("{ $.objects[*].id > 2 }", false),
            ("{ $.n >= 3.5 && $.n < 4 }", true),
            ("{ $.n = 3.50 }", true),
            ("{ $.big = 12000 }", true),
            ("{ $.n > 1e1 }", false),
            ("{ $.none IS NULL }", true),
            ("{ $.yes IS TRUE }", true),
            ("{ $.no IS FALSE }", true),
            ("{ $.no IS TRUE }", false),
            ("{ $.gone NOT EXISTS }", true),
            ("{ $.yes NOT EXISTS }", false),
            ("{ $.gone = 1 }", false),
            ("{ ($.n = 1) || ($.user.name = Ann && $.yes IS TRUE) }", true),
            ("{ $.n = 1 || $.user.name = Ann && $.yes IS FALSE }", false),
            ("{ $['a.b']['c d'] = x }", true),
            (r#"{ $.user.* = "Ann" }"#, true),
        ] {
            assert_eq!(fits(pattern, message), expected, "{pattern}");
        }
        assert!(!fits("{ $.a = 1 }", "no JSON"));
    }

    #[test]
    fn columns_are_compared_by_place() {
        let message =
            r#"127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534"#;
        for (pattern, expected) in [
            ("[ip, id, user, time, request, status, bytes]", true),
            ("[ip, id, user, time, request, status]", false),
            ("[ip, id, user, time, request, status = 4*, bytes]", true),
            ("[ip, id, user, time, request, status = 5*, bytes]", false),
            ("[..., status = 404, bytes > 1000]", true),
            ("[..., bytes > 2000]", false),
            ("[ip, ...]", true),
            ("[ip = %127\\.0\\.0\\.[0-9]+%, ...]", true),
            ("[..., request = *html*, status, bytes]", true),
            ("[..., status = 400 || status = 404, bytes]", true),
            ("[..., status = 4* && status != 404, bytes]", false),
            ("[ip, id, user = frank, ..., bytes]", true),
            ("[ip, id, user, time = \"*2000*\", ...]", true),
        ] {
            assert_eq!(fits(pattern, message), expected, "{pattern}");
        }
        let pattern = Pattern::parse("[..., status, bytes]").expect("a pattern");
        let found = pattern.extracted(message);
        assert!(found.contains(&("$status".to_owned(), "404".to_owned())), "{found:?}");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in [
            "\"x",
            "{ $.x = }",
            "{ $.x }",
            "{ $.x = 1",
            "{ x = 1 }",
            "{ $.x = 1 } y",
            "{ ($.x = 1 }",
            "[a, b",
            "[a = ]",
            "%[%",
            "%x",
            "{ $.x = %(% }",
            "{ $.x > abc }",
            "[a, ..., b, ...]",
        ] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
