//! IoT policies, compiled.
//!
//! Source: AWS IoT developer guide, "AWS IoT Core policies" and "policy variables".

use std::net::IpAddr;
use std::sync::Arc;

use stepwire_asl::Json;

use crate::registry::things::Thing;

/// Longest document, without white space.
const DOCUMENT_MAX: usize = 2_048;

/// A compiled policy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq)]
struct Statement {
    allows: bool,
    actions: Vec<Pattern>,
    resources: Vec<Pattern>,
}

/// Text with `*`, `?` and variables.
#[derive(Debug, Clone, PartialEq)]
struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(Arc<str>),
    /// `*`: any run of characters.
    Any,
    /// `?`: one character.
    One,
    Variable(Variable, Arc<str>),
}

#[derive(Debug, Clone, PartialEq)]
enum Variable {
    ClientId,
    ThingName,
    IsAttached,
    Attribute(Arc<str>),
    SourceIp,
}

/// What variables stand for.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// MQTT client id.
    pub client_id: &'a str,
    /// The thing the connection speaks for.
    pub thing: Option<&'a Thing>,
    /// Where it connects from.
    pub ip: IpAddr,
}

/// What a set of policies says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Some statement allows it and none denies it.
    Allowed,
    /// Some statement denies it.
    Denied,
    /// No statement speaks of it.
    Silent,
}

impl Policy {
    /// The policy that `document` writes; else what is wrong with it.
    pub fn parse(document: &str) -> Result<Policy, String> {
        let length = document.chars().filter(|c| !c.is_whitespace()).count();
        if length > DOCUMENT_MAX {
            return Err(format!("the document has {length} characters, at most {DOCUMENT_MAX}"));
        }
        let json = Json::parse(document).map_err(|error| error.to_string())?;
        let members = json.as_object().ok_or("the document must be a JSON object")?;
        if let Some(name) =
            members.keys().find(|n| !matches!(n.as_ref(), "Version" | "Id" | "Statement"))
        {
            return Err(format!("`{name}` is not known"));
        }
        match json.member("Version").and_then(Json::as_str) {
            Some("2012-10-17" | "2008-10-17") => {}
            _ => return Err("`Version` must be `2012-10-17`".to_owned()),
        }
        let statements = match json.member("Statement") {
            Some(Json::Array(items)) if !items.is_empty() => items.to_vec(),
            Some(one @ Json::Object(_)) => vec![one.clone()],
            _ => return Err("`Statement` must be an object or a list of objects".to_owned()),
        };
        let statements: Result<Vec<_>, String> = statements.iter().map(statement).collect();
        Ok(Policy { statements: statements? })
    }

    /// What it says of an action on a resource ARN's part, such as `topic/a`.
    pub fn verdict(&self, action: &str, arn: &str, facts: &Facts<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in &self.statements {
            let speaks = statement.actions.iter().any(|pattern| pattern.matches(action, facts))
                && statement.resources.iter().any(|pattern| pattern.matches(arn, facts));
            match (speaks, statement.allows) {
                (true, false) => return Verdict::Denied,
                (true, true) => verdict = Verdict::Allowed,
                (false, _) => {}
            }
        }
        verdict
    }
}

fn statement(json: &Json) -> Result<Statement, String> {
    let members = json.as_object().ok_or("a statement must be an object")?;
    for name in members.keys() {
        match name.as_ref() {
            "Sid" | "Effect" | "Action" | "Resource" => {}
            other => return Err(format!("`{other}` in a statement is not available yet")),
        }
    }
    let allows = match json.member("Effect").and_then(Json::as_str) {
        Some("Allow") => true,
        Some("Deny") => false,
        _ => return Err("`Effect` must be `Allow` or `Deny`".to_owned()),
    };
    let patterns = |name: &str| -> Result<Vec<Pattern>, String> {
        let texts = match json.member(name) {
            Some(Json::String(text)) => vec![text.as_ref()],
            Some(Json::Array(items)) => {
                let texts: Option<Vec<_>> = items.iter().map(Json::as_str).collect();
                texts.ok_or_else(|| format!("`{name}` must be text or a list of text"))?
            }
            _ => return Err(format!("`{name}` must be text or a list of text")),
        };
        let local = |text: &str| if name == "Resource" { anywhere(text) } else { text.to_owned() };
        texts.into_iter().map(|text| Pattern::parse(&local(text))).collect()
    };
    Ok(Statement { allows, actions: patterns("Action")?, resources: patterns("Resource")? })
}

/// Region and account of a resource are this node's own, whatever a policy brought along says.
fn anywhere(resource: &str) -> String {
    match resource.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", partition, service, _, _, rest] => format!("arn:{partition}:{service}:*:*:{rest}"),
        _ => resource.to_owned(),
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Pattern, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let taken = match c {
                '*' | '?' => {
                    flush(&mut plain, &mut parts);
                    parts.push(if c == '*' { Part::Any } else { Part::One });
                    1
                }
                '$' if rest.starts_with("${") => {
                    let end = rest
                        .find('}')
                        .ok_or_else(|| format!("`{text}`: a variable is not closed"))?;
                    match &rest[2..end] {
                        escaped @ ("*" | "?" | "$") => plain.push_str(escaped),
                        name => {
                            flush(&mut plain, &mut parts);
                            parts.push(Part::Variable(variable(name)?, rest[..=end].into()));
                        }
                    }
                    end + 1
                }
                c => {
                    plain.push(c);
                    c.len_utf8()
                }
            };
            rest = &rest[taken..];
        }
        flush(&mut plain, &mut parts);
        Ok(Pattern(parts))
    }

    fn matches(&self, text: &str, facts: &Facts<'_>) -> bool {
        matches(&self.0, text, facts)
    }
}

fn flush(plain: &mut String, parts: &mut Vec<Part>) {
    if !plain.is_empty() {
        parts.push(Part::Text(std::mem::take(plain).into()));
    }
}

fn variable(name: &str) -> Result<Variable, String> {
    Ok(match name {
        "iot:ClientId" => Variable::ClientId,
        "iot:Connection.Thing.ThingName" => Variable::ThingName,
        "iot:Connection.Thing.IsAttached" => Variable::IsAttached,
        "aws:SourceIp" => Variable::SourceIp,
        other => {
            let attribute = other.strip_prefix("iot:Connection.Thing.Attributes[");
            match attribute.and_then(|rest| rest.strip_suffix(']')) {
                Some(attribute) => Variable::Attribute(attribute.into()),
                None => return Err(format!("the variable `{other}` is not available yet")),
            }
        }
    })
}

/// Whether `text` fits: greedy runs are tried from short to long.
fn matches(parts: &[Part], text: &str, facts: &Facts<'_>) -> bool {
    let (mut parts, mut text) = (parts, text);
    let mut retry: Option<(&[Part], &str)> = None;
    loop {
        let stepped = match parts.split_first() {
            None if text.is_empty() => return true,
            None => None,
            Some((Part::Any, rest)) => {
                retry = Some((rest, text));
                parts = rest;
                continue;
            }
            Some((Part::One, rest)) => text.chars().next().map(|c| (rest, &text[c.len_utf8()..])),
            Some((Part::Text(plain), rest)) => {
                text.strip_prefix(plain.as_ref()).map(|left| (rest, left))
            }
            Some((Part::Variable(variable, written), rest)) => {
                let value = facts.value(variable);
                let value = value.as_deref().unwrap_or(written);
                text.strip_prefix(value).map(|left| (rest, left))
            }
        };
        match stepped {
            Some(next) => (parts, text) = next,
            // The last `*` takes one character more.
            None => match retry {
                Some((after, from)) => {
                    let Some(c) = from.chars().next() else { return false };
                    let from = &from[c.len_utf8()..];
                    retry = Some((after, from));
                    (parts, text) = (after, from);
                }
                None => return false,
            },
        }
    }
}

impl Facts<'_> {
    /// The value, unless there is none or it could be taken for a pattern: then the variable stays
    /// as it is written and matches nothing a device can name.
    fn value(&self, variable: &Variable) -> Option<std::borrow::Cow<'_, str>> {
        let value: std::borrow::Cow<'_, str> = match variable {
            // over HTTP there is none
            Variable::ClientId if self.client_id.is_empty() => return None,
            Variable::ClientId => self.client_id.into(),
            Variable::ThingName => self.thing?.name.as_ref().into(),
            Variable::IsAttached => if self.thing.is_some() { "true" } else { "false" }.into(),
            Variable::Attribute(name) => self.thing?.attributes.get(name)?.as_ref().into(),
            Variable::SourceIp => self.ip.to_string().into(),
        };
        (!value.contains(['*', '$', '+', '?', '#']) && value.len() <= 1_024).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use stepwire_asl::Timestamp;

    use super::*;

    fn thing(name: &str) -> Thing {
        Thing {
            name: name.into(),
            id: "id".into(),
            thing_type: None,
            attributes: BTreeMap::from([("site".into(), "north".into())]),
            version: 1,
            created: Timestamp(0),
        }
    }

    fn verdict(statement: &str, action: &str, resource: &str, client: &str) -> Verdict {
        let document = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
        let policy = Policy::parse(&document).expect("a policy");
        let thing = thing(client);
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let facts = Facts { client_id: client, thing: Some(&thing), ip };
        policy.verdict(action, &format!("arn:aws:iot:us-east-1:0:{resource}"), &facts)
    }

    #[test]
    fn a_device_may_do_what_its_own_name_allows() {
        let own = r#"{"Effect":"Allow","Action":"iot:Publish",
            "Resource":"arn:aws:iot:*:*:topic/devices/${iot:Connection.Thing.ThingName}/*"}"#;
        assert_eq!(verdict(own, "iot:Publish", "topic/devices/a/x", "a"), Verdict::Allowed);
        assert_eq!(verdict(own, "iot:Publish", "topic/devices/b/x", "a"), Verdict::Silent);
        assert_eq!(verdict(own, "iot:Subscribe", "topic/devices/a/x", "a"), Verdict::Silent);
    }

    #[test]
    fn a_name_with_wildcards_is_not_taken_for_a_pattern() {
        let own = r#"{"Effect":"Allow","Action":"iot:Subscribe",
            "Resource":"arn:aws:iot:us-east-1:0:topicfilter/d/${iot:ClientId}/#"}"#;
        assert_eq!(verdict(own, "iot:Subscribe", "topicfilter/d/+/#", "+"), Verdict::Silent);
        assert_eq!(verdict(own, "iot:Subscribe", "topicfilter/d/a/#", "a"), Verdict::Allowed);
    }

    #[test]
    fn a_denial_wins_wherever_it_stands() {
        let both = r#"{"Effect":"Allow","Action":"iot:*","Resource":"*"},
            {"Effect":"Deny","Action":["iot:Publish"],"Resource":"*:topic/secret/??"}"#;
        assert_eq!(verdict(both, "iot:Publish", "topic/secret/ab", "a"), Verdict::Denied);
        assert_eq!(verdict(both, "iot:Publish", "topic/secret/abc", "a"), Verdict::Allowed);
    }

    #[test]
    fn attributes_and_escapes_are_replaced() {
        let site = r#"{"Effect":"Allow","Action":"iot:Publish",
            "Resource":"*:topic/${iot:Connection.Thing.Attributes[site]}/${*}"}"#;
        assert_eq!(verdict(site, "iot:Publish", "topic/north/*", "a"), Verdict::Allowed);
        assert_eq!(verdict(site, "iot:Publish", "topic/north/x", "a"), Verdict::Silent);
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        let parse = |statement: &str| {
            Policy::parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#))
        };
        let base = r#""Effect":"Allow","Action":"iot:*","Resource":"*""#;
        let condition = parse(&format!(r#"{{{base},"Condition":{{}}}}"#));
        assert!(condition.is_err_and(|why| why.contains("`Condition`")));
        assert!(parse(r#"{"Effect":"Allow","Action":"a","Resource":"${iot:Nope}"}"#).is_err());
        assert!(parse(r#"{"Effect":"May","Action":"a","Resource":"*"}"#).is_err());
        assert!(Policy::parse("{}").is_err() && Policy::parse("nonsense").is_err());
    }
}
