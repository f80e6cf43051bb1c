//! Definitions that a template completes.

use std::borrow::Cow;

use regex::{Captures, Regex};

/// The definition with something in place of a template's `${…}` in each `Resource`, so that the
/// rest can be judged.
///
/// A resource that is one substitution becomes a function, `arn:${Partition}:` becomes `arn:aws:`.
/// Elsewhere substitutions stay: they are text like any other.
pub fn substituted(text: &str) -> Cow<'_, str> {
    const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:substituted";
    let (Ok(resource), Ok(substitution)) =
        (Regex::new(r#"("Resource"\s*:\s*)"([^"\\]*\$\{[^"\\]*)""#), Regex::new(r"\$\{[^}]*\}"))
    else {
        return Cow::Borrowed(text);
    };
    resource.replace_all(text, |found: &Captures<'_>| {
        let arn = &found[2];
        let arn = match substitution.find(arn) {
            Some(whole) if whole.range() == (0..arn.len()) => FUNCTION.to_owned(),
            Some(partition) if arn[..partition.start()] == *"arn:" => {
                let rest = &arn[partition.end()..];
                format!("arn:aws{}", substitution.replace_all(rest, "substituted"))
            }
            _ => substitution.replace_all(arn, "substituted").into_owned(),
        };
        format!("{}\"{arn}\"", &found[1])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_completed_and_nothing_else() {
        let function = "arn:aws:lambda:us-east-1:000000000000:function:substituted";
        for (written, expected) in [
            ("${Arn}", function),
            ("arn:${AWS::Partition}:states:::lambda:invoke", "arn:aws:states:::lambda:invoke"),
            ("arn:aws:lambda:::function:${F}", "arn:aws:lambda:::function:substituted"),
            ("arn:aws:states:::sns:publish", "arn:aws:states:::sns:publish"),
        ] {
            let text = format!("{{\"Resource\": \"{written}\", \"a\": \"${{Arn}}\"}}");
            assert_eq!(substituted(&text), text.replacen(written, expected, 1));
        }
    }
}
