//! The forms in which rules are written: a statement, `topicRulePayload` as the AWS CLI takes it,
//! and resources of CloudFormation.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::Given;

/// The rules that `text` writes, each with where it is; else why there are none.
pub(in crate::cli::check) fn rules_in(file: &str, text: &str) -> Result<Vec<Given>, String> {
    let json = if text.trim_start().starts_with('{') {
        Json::parse(text).map_err(|error| error.to_string())?
    } else if is_statement(text) {
        return Ok(vec![Given::statement(file, text.trim_end())]);
    } else {
        super::yaml::parse(text)?
    };
    if json.as_object().is_none() {
        // Whatever it is, the parser of statements says it best.
        return Ok(vec![Given::statement(file, text.trim_end())]);
    }
    if let Some(resources) = json.member("Resources").and_then(Json::as_object) {
        let rules = resources.iter().filter(|(_, resource)| is_rule(resource));
        let rules: Vec<Given> =
            rules.filter_map(|(id, rule)| of_resource(format!("{file}: {id}"), rule)).collect();
        return if rules.is_empty() {
            Err("no resource is an AWS::IoT::TopicRule".to_owned())
        } else {
            Ok(rules)
        };
    }
    if let Some(payload) = json.member("topicRulePayload") {
        let rule = json.member("ruleName").and_then(Json::as_str).map(ToOwned::to_owned);
        return Ok(vec![Given { name: file.to_owned(), rule, payload: payload.clone() }]);
    }
    if let Some(given) = of_resource(file.to_owned(), &json) {
        return Ok(vec![given]);
    }
    Ok(vec![Given { name: file.to_owned(), rule: None, payload: json }])
}

/// Whether it begins like a statement.
fn is_statement(text: &str) -> bool {
    let word = text.split_whitespace().next().unwrap_or_default();
    ["SELECT", "SET"].iter().any(|first| word.eq_ignore_ascii_case(first))
}

fn is_rule(resource: &Json) -> bool {
    resource.member("Type").and_then(Json::as_str) == Some("AWS::IoT::TopicRule")
}

/// The rule of a resource of CloudFormation, or of its properties.
fn of_resource(name: String, resource: &Json) -> Option<Given> {
    let properties = resource.member("Properties").unwrap_or(resource);
    let payload = members_as_api(properties.member("TopicRulePayload")?, "");
    let rule = properties.member("RuleName").and_then(Json::as_str).map(ToOwned::to_owned);
    Some(Given { name, rule, payload })
}

/// A value of CloudFormation as the API takes it: members begin with a small letter, and what the
/// stack would fill in is a name.
fn members_as_api(value: &Json, member: &str) -> Json {
    match value {
        Json::Object(members) => {
            if let Some(text) = filled_in(members, member) {
                return Json::from(text);
            }
            Json::object(members.iter().map(|(name, value)| {
                let name = small(name);
                let value = members_as_api(value, &name);
                (name, value)
            }))
        }
        Json::Array(items) => Json::array(items.iter().map(|item| members_as_api(item, member))),
        other => other.clone(),
    }
}

fn small(name: &Arc<str>) -> String {
    let mut chars = name.chars();
    let first = chars.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

/// What stands for an intrinsic function.
fn filled_in(members: &Object, member: &str) -> Option<String> {
    let (name, value) = members.iter().next().filter(|_| members.len() == 1)?;
    match (&**name, value) {
        ("Fn::Sub", Json::String(text)) => Some(substituted(text)),
        ("Fn::Sub", Json::Array(items)) => Some(substituted(items.first()?.as_str()?)),
        ("Ref", Json::String(name)) => Some(resource(member, name)),
        ("Fn::GetAtt", Json::Array(path)) => Some(resource(member, path.first()?.as_str()?)),
        ("Fn::GetAtt", Json::String(path)) => Some(resource(member, path.split('.').next()?)),
        (name, _) if name.starts_with("Fn::") => Some(resource(member, "value")),
        _ => None,
    }
}

fn resource(member: &str, name: &str) -> String {
    if member.ends_with("rn") && member.len() > 2 {
        format!("arn:aws:iam::000000000000:role/{name}")
    } else {
        name.replace("::", "-")
    }
}

/// `${Name}` as the name, `${!x}` as what is left for the rule: `${x}`.
fn substituted(text: &str) -> String {
    let (mut made, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("${") {
        made.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let Some(end) = inner.find('}') else {
            rest = &rest[at..];
            break;
        };
        match inner[..end].strip_prefix('!') {
            Some(literal) => {
                made.push_str("${");
                made.push_str(literal);
                made.push('}');
            }
            None if inner[..end] == *"AWS::AccountId" => made.push_str("000000000000"),
            None if inner[..end] == *"AWS::Region" => made.push_str("us-east-1"),
            None if inner[..end] == *"AWS::Partition" => made.push_str("aws"),
            None if inner[..end].ends_with("Arn") => {
                let name = inner[..end].strip_suffix(".Arn").unwrap_or(&inner[..end]);
                made.push_str("arn:aws:iam::000000000000:role/");
                made.push_str(name);
            }
            None => made.push_str(&inner[..end].replace("::", "-")),
        }
        rest = &inner[end + 1..];
    }
    made + rest
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_arn_of_a_resource_is_one() {
        assert_eq!(
            substituted("'${Role.Arn}' '${RoleArn}' '${Table}'"),
            "'arn:aws:iam::000000000000:role/Role' 'arn:aws:iam::000000000000:role/RoleArn' 'Table'"
        );
    }

    #[test]
    fn a_rule_is_found_in_every_form() {
        for text in [
            "SELECT a FROM 'x'\n",
            r#"{"sql": "SELECT a FROM 'x'", "actions": []}"#,
            r#"{"ruleName": "r", "topicRulePayload": {"sql": "SELECT a FROM 'x'", "actions": []}}"#,
            r#"{"TopicRulePayload": {"Sql": "SELECT a FROM 'x'", "Actions": []}}"#,
            r#"{"Resources": {"B": {"Type": "AWS::S3::Bucket"}, "R": {"Type": "AWS::IoT::TopicRule",
                "Properties": {"RuleName": "r", "TopicRulePayload": {"Sql": "SELECT a FROM 'x'", "Actions": []}}}}}"#,
        ] {
            let rules = rules_in("f", text).unwrap();
            assert_eq!(rules.len(), 1, "{text}");
            let sql = rules[0].payload.member("sql").and_then(Json::as_str);
            assert_eq!(sql, Some("SELECT a FROM 'x'"), "{text}");
        }
        assert!(rules_in("f", r#"{"Resources": {}}"#).unwrap_err().contains("TopicRule"));
        assert!(rules_in("f", "{").is_err());
        assert!(rules_in("f", "Resources: [").is_err());
        let other = rules_in("f", "DELETE everything").unwrap().remove(0);
        assert_eq!(other.payload.member("sql").and_then(Json::as_str), Some("DELETE everything"));
    }

    #[test]
    fn a_template_in_yaml_has_short_forms() {
        let text = "\
Resources:
  Hot:
    Type: AWS::IoT::TopicRule
    Properties:
      TopicRulePayload:
        Sql: !Sub |
          SELECT *
          FROM '${Stage}/x'
        RuleDisabled: false
        Actions:
          - Republish: {RoleArn: !GetAtt Role.Arn, Qos: 1, Topic: !Ref Out}
";
        let rule = rules_in("f", text).unwrap().remove(0);
        assert_eq!(rule.name, "f: Hot");
        let wanted = concat!(
            r#"{"sql":"SELECT *\nFROM 'Stage/x'\n","ruleDisabled":false,"actions":[{"republish":{"#,
            r#""roleArn":"arn:aws:iam::000000000000:role/Role","qos":1,"topic":"Out"}}]}"#
        );
        assert_eq!(rule.payload.to_text(), wanted);
    }

    #[test]
    fn what_a_stack_fills_in_is_a_name() {
        let text = r#"{"TopicRulePayload": {"Sql": {"Fn::Sub": "SELECT * FROM '${Stage}/x'"}, "Actions": [
            {"Republish": {"RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}, "Qos": 1,
                "Topic": {"Fn::Sub": "${AWS::Region}/${!topic(2)}"}}}]}}"#;
        let payload = rules_in("f", text).unwrap().remove(0).payload.to_text();
        let wanted = concat!(
            r#"{"sql":"SELECT * FROM 'Stage/x'","actions":[{"republish":{"#,
            r#""roleArn":"arn:aws:iam::000000000000:role/Role","qos":1,"topic":"us-east-1/${topic(2)}"}}]}"#
        );
        assert_eq!(payload, wanted);
    }
}
