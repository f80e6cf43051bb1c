//! Addresses of pages.

use crate::words::{encoded, segment};

/// `path` with those members of a query that are not empty.
pub fn link(path: &str, query: &[(&str, &str)]) -> String {
    let mut address = path.to_owned();
    for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        let mark = if address.contains('?') { "&" } else { "?" };
        address.extend([mark, name, "=", &encoded(value)]);
    }
    address
}

/// The page of an execution, by its ARN; `None` if `text` is no execution's.
///
/// `arn:aws:states:REGION:ACCOUNT:execution:WORKFLOW:NAME`, or `express:WORKFLOW:NAME:ID`.
pub fn execution(text: &str) -> Option<String> {
    let mut parts = text.strip_prefix("arn:aws:states:")?.splitn(4, ':');
    let (_, _, kind, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if !matches!(kind, "execution" | "express") {
        return None;
    }
    let (workflow, name) = rest.split_once(':')?;
    let whole = !workflow.is_empty() && !name.is_empty();
    whole.then(|| format!("/executions/{}/{}", segment(workflow), segment(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_what_is_not_empty() {
        let link = link("/live", &[("filter", "a/+/#"), ("as", ""), ("message", "7")]);
        assert_eq!(link, "/live?filter=a%2F%2B%2F%23&message=7");
    }

    #[test]
    fn an_execution_is_known_by_its_arn() {
        let arn = "arn:aws:states:us-east-1:000000000000:execution:W:a b";
        assert_eq!(execution(arn).as_deref(), Some("/executions/W/a%20b"));
        for text in ["", "arn:aws:states:r:a:stateMachine:W", "arn:aws:states:r:a:execution:W"] {
            assert_eq!(execution(text), None, "{text}");
        }
    }
}
