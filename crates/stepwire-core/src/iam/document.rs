//! Policy documents: whether one is a policy at all. Nothing here is enforced.
//!
//! Source: IAM user guide, "Grammar of the IAM JSON policy language".

use stepwire_asl::Json;

use crate::error::ApiError;

/// What a document is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It says what its holder may do.
    Permissions,
    /// It says who may assume a role.
    Trust,
}

/// Refuses a document that IAM would not take, in its words.
pub(super) fn check(document: &str, r#use: Use) -> Result<(), ApiError> {
    let policy =
        Json::parse(document).map_err(|_| malformed("This policy contains invalid Json"))?;
    let Some(members) = policy.as_object() else {
        return Err(malformed("Syntax errors in policy."));
    };
    for name in members.keys() {
        if !["Version", "Id", "Statement"].contains(&name.as_ref()) {
            return Err(malformed("Syntax errors in policy."));
        }
    }
    match policy.member("Version").map(Json::as_str) {
        None | Some(Some("2012-10-17" | "2008-10-17")) => {}
        Some(_) => return Err(malformed("The policy must contain a valid version string")),
    }
    let statements = match policy.member("Statement") {
        Some(Json::Array(statements)) if !statements.is_empty() => statements.as_ref(),
        Some(one @ Json::Object(_)) => std::slice::from_ref(one),
        None => return Err(malformed("Missing required field Statement")),
        Some(_) => return Err(malformed("Syntax errors in policy.")),
    };
    statements.iter().try_for_each(|statement| check_statement(statement, r#use))
}

fn check_statement(statement: &Json, r#use: Use) -> Result<(), ApiError> {
    const KNOWN: [&str; 9] = [
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    ];
    let members = statement.as_object().ok_or_else(|| malformed("Syntax errors in policy."))?;
    if members.keys().any(|name| !KNOWN.contains(&name.as_ref())) {
        return Err(malformed("Syntax errors in policy."));
    }
    match statement.member("Effect").map(Json::as_str) {
        None => return Err(malformed("Missing required field Effect")),
        Some(Some("Allow" | "Deny")) => {}
        Some(_) => return Err(malformed("Syntax errors in policy.")),
    }
    let has = |names: [&str; 2]| names.iter().any(|name| statement.member(name).is_some());
    let actions = ["Action", "NotAction"].iter().find_map(|name| statement.member(name));
    let Some(actions) = actions else {
        return Err(malformed(match r#use {
            Use::Permissions => "Policy statement must contain actions.",
            Use::Trust => "Missing required field Action",
        }));
    };
    for action in texts(actions)? {
        if action != "*" && !action.contains(':') {
            return Err(malformed(
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
            ));
        }
    }
    match r#use {
        Use::Permissions if has(["Principal", "NotPrincipal"]) => {
            Err(malformed("Policy document should not specify a principal."))
        }
        Use::Permissions => {
            let resources = ["Resource", "NotResource"].iter();
            let resources = resources.into_iter().find_map(|name| statement.member(name));
            let resources =
                resources.ok_or_else(|| malformed("Policy statement must contain resources."))?;
            for resource in texts(resources)? {
                if resource != "*" && !resource.starts_with("arn:") {
                    return Err(malformed(&format!(
                        "Resource {resource} must be in ARN format or \"*\"."
                    )));
                }
            }
            Ok(())
        }
        Use::Trust if has(["Resource", "NotResource"]) => {
            Err(malformed("Has prohibited field Resource"))
        }
        Use::Trust if !has(["Principal", "NotPrincipal"]) => {
            Err(malformed("Missing required field Principal"))
        }
        Use::Trust => Ok(()),
    }
}

/// A text, or a list of them.
fn texts(value: &Json) -> Result<Vec<&str>, ApiError> {
    let list = match value {
        Json::Array(items) => items.as_ref(),
        one => std::slice::from_ref(one),
    };
    let texts = list.iter().map(Json::as_str).collect::<Option<Vec<_>>>();
    texts.ok_or_else(|| malformed("Syntax errors in policy."))
}

fn malformed(why: &str) -> ApiError {
    ApiError::new("MalformedPolicyDocument", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(document: &str, r#use: Use) -> Option<String> {
        check(document, r#use).err().map(|error| error.message)
    }

    #[test]
    fn documents_are_taken_or_refused_as_iam_does() {
        let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
            "Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
        let may = r#"{"Statement":{"Effect":"Allow","Action":["s3:*"],"Resource":"*"}}"#;
        assert_eq!(refused(trust, Use::Trust), None);
        assert_eq!(refused(may, Use::Permissions), None);
        let prohibited = Some("Has prohibited field Resource".to_owned());
        assert_eq!(refused(may, Use::Trust), prohibited);
        let principal = Some("Policy document should not specify a principal.".to_owned());
        assert_eq!(refused(trust, Use::Permissions), principal);
        for broken in
            ["", "[]", "{}", r#"{"Statement":[]}"#, r#"{"Statement":[{"Effect":"Maybe"}]}"#]
        {
            assert!(refused(broken, Use::Permissions).is_some(), "{broken}");
        }
    }
}
