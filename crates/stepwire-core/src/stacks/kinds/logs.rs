//! `AWS::Logs::*`.

use super::Kind;
use super::property::{any, boolean, integer, objects, tags, text};
use super::resource::{ask, made, s};
use crate::request::Service::Logs;

/// The error of what is not there.
const GONE: &[&str] = &["ResourceNotFoundException"];

pub(super) const KINDS: &[Kind] = &[Kind {
    attributes: &["Arn"],
    create: |group, _| {
        let name = group.name_or("LogGroupName", 512);
        let created = [("logGroupName", s(name.as_str())), ("tags", group.tag_map())];
        let mut asks = vec![ask(Logs, "CreateLogGroup", created)];
        asks.extend(group.take("RetentionInDays").map(|days| {
            let days = [("logGroupName", s(name)), ("retentionInDays", Some(days))];
            ask(Logs, "PutRetentionPolicy", days)
        }));
        Ok(asks)
    },
    made: |group, _| {
        let name = group.name_or("LogGroupName", 512);
        let arn = group.arn("logs", &format!("log-group:{name}:*"));
        made(name, [("Arn", arn)])
    },
    update: |update, _| {
        let name = || s(update.made.physical_id.as_str());
        let mut asks = Vec::new();
        if update.changes("RetentionInDays") {
            asks.push(match update.new.take("RetentionInDays") {
                Some(days) => {
                    let days = [("logGroupName", name()), ("retentionInDays", Some(days))];
                    ask(Logs, "PutRetentionPolicy", days)
                }
                None => ask(Logs, "DeleteRetentionPolicy", [("logGroupName", name())]),
            });
        }
        Ok(asks)
    },
    delete: |_, made, _| {
        vec![ask(Logs, "DeleteLogGroup", [("logGroupName", s(made.physical_id.as_str()))]).or(GONE)]
    },
    ..Kind::new(
        "AWS::Logs::LogGroup",
        &[
            text("LogGroupName").replaces(),
            integer("RetentionInDays"),
            tags(),
            text("KmsKeyId").without_effect("log groups are not encrypted"),
            text("LogGroupClass").without_effect("there is one class of log groups"),
            boolean("DeletionProtectionEnabled").refused(
                "there is no deletion protection of log groups; use DeletionPolicy: Retain",
            ),
            any("DataProtectionPolicy").refused("log events are not masked"),
            objects("FieldIndexPolicies", &[]).refused("log groups have no field indexes"),
            any("ResourcePolicyDocument").without_effect("policies of log groups are not enforced"),
            boolean("BearerTokenAuthenticationEnabled")
                .without_effect("there are no bearer tokens"),
        ],
    )
}];
