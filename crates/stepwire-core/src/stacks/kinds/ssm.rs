//! `AWS::SSM::*`.

use super::Kind;
use super::property::{map, text};
use super::resource::{Resource, ask, listed, made, s};
use crate::request::Service::Ssm;

/// The error of what is not there.
const GONE: &[&str] = &["ParameterNotFound"];

pub(super) const KINDS: &[Kind] = &[
    PARAMETER,
    Kind::refused("AWS::SSM::Document", "there are no machines that documents could run on"),
    Kind::refused("AWS::SSM::Association", "there are no machines that documents could run on"),
    Kind::refused("AWS::SSM::MaintenanceWindow", "there are no machines to maintain"),
];

fn name(parameter: &Resource<'_>) -> String {
    let generated = || format!("CFN-{}", parameter.context.short_name(124));
    parameter.text("Name").map_or_else(generated, str::to_owned)
}

const PARAMETER: Kind = Kind {
    attributes: &["Type", "Value"],
    create: |parameter, _| {
        let asked = [
            ("Name", s(name(parameter))),
            ("Type", parameter.take("Type")),
            ("Value", parameter.take("Value")),
            ("Description", parameter.take("Description")),
            ("AllowedPattern", parameter.take("AllowedPattern")),
            ("Tier", parameter.take("Tier")),
            ("DataType", parameter.take("DataType")),
            ("Tags", parameter.tag_list("Key", "Value")),
        ];
        Ok(vec![ask(Ssm, "PutParameter", asked)])
    },
    made: |parameter, _| {
        let of = |name| parameter.str(name).to_owned();
        made(name(parameter), [("Type", of("Type")), ("Value", of("Value"))])
    },
    update: |update, _| {
        let parameter = &update.new;
        let mut asks = Vec::new();
        if update.changes_any(&[
            "Type",
            "Value",
            "Description",
            "AllowedPattern",
            "Tier",
            "DataType",
        ]) {
            let asked = [
                ("Name", update.id()),
                ("Type", parameter.take("Type")),
                ("Value", parameter.take("Value")),
                ("Description", parameter.take("Description").or_else(|| s(""))),
                ("AllowedPattern", parameter.take("AllowedPattern")),
                ("Tier", parameter.take("Tier")),
                ("DataType", parameter.take("DataType")),
                ("Overwrite", Some(true.into())),
            ];
            asks.push(ask(Ssm, "PutParameter", asked));
        }
        let tags = update.retagged();
        if !tags.gone.is_empty() {
            let asked = [
                ("ResourceType", s("Parameter")),
                ("ResourceId", update.id()),
                ("TagKeys", tags.keys()),
            ];
            asks.push(ask(Ssm, "RemoveTagsFromResource", asked));
        }
        if !tags.set.is_empty() {
            let set = listed(tags.set, "Key", "Value");
            let asked = [
                ("ResourceType", s("Parameter")),
                ("ResourceId", update.id()),
                ("Tags", Some(set)),
            ];
            asks.push(ask(Ssm, "AddTagsToResource", asked));
        }
        Ok(asks)
    },
    updated: |update, _| {
        let of = |name| update.new.str(name).to_owned();
        made(update.made.physical_id.as_str(), [("Type", of("Type")), ("Value", of("Value"))])
    },
    delete: |_, made, _| vec![ask(Ssm, "DeleteParameter", [("Name", made.id())]).or(GONE)],
    ..Kind::new(
        "AWS::SSM::Parameter",
        &[
            text("Name").replaces(),
            text("Type").required(),
            text("Value").required(),
            text("Description"),
            text("AllowedPattern"),
            text("Tier"),
            text("DataType"),
            text("Policies").refused("parameters do not expire and nobody is told of them"),
            map("Tags"),
        ],
    )
};
