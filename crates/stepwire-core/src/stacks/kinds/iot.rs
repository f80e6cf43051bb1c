//! `AWS::IoT::*`.

use stepwire_asl::Json;

use super::Kind;
use super::property::{map, object, text};
use super::resource::{ask, body, made, s};
use crate::request::Service::Iot;

/// The error of what is not there.
const GONE: &[&str] = &["ResourceNotFoundException"];

pub(super) const KINDS: &[Kind] = &[Kind {
    attributes: &["Arn", "Id"],
    create: |thing, _| {
        let name = thing.name_or("ThingName", 128);
        let payload = thing
            .get("AttributePayload")
            .map(|payload| body([("attributes", payload.member("Attributes").cloned())]));
        Ok(vec![ask(Iot, "CreateThing", [("thingName", s(name)), ("attributePayload", payload)])])
    },
    made: |thing, answers| {
        let name = thing.name_or("ThingName", 128);
        let arn = thing.arn("iot", &format!("thing/{name}"));
        let id = super::resource::told(answers, 0, "thingId").to_owned();
        made(name, [("Arn", arn), ("Id", id)])
    },
    update: |update, _| {
        let attributes = update.new.get("AttributePayload").and_then(|p| p.member("Attributes"));
        let attributes = attributes.cloned().unwrap_or_else(|| Json::Object(Default::default()));
        let payload = body([("attributes", Some(attributes)), ("merge", Some(false.into()))]);
        let name = s(update.made.physical_id.as_str());
        Ok(vec![ask(
            Iot,
            "UpdateThing",
            [("thingName", name), ("attributePayload", Some(payload))],
        )])
    },
    delete: |_, made, _| {
        vec![ask(Iot, "DeleteThing", [("thingName", s(made.physical_id.as_str()))]).or(GONE)]
    },
    ..Kind::new(
        "AWS::IoT::Thing",
        &[text("ThingName").replaces(), object("AttributePayload", &[map("Attributes")])],
    )
}];
