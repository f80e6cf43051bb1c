//! What it costs to ask whether a device may publish: nanoseconds for each question.
//!
//! `cargo run --release -p stepwire-core --example authorization`

#![expect(clippy::print_stdout, reason = "it tells its result")]
#![expect(clippy::disallowed_methods, reason = "it measures")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use stepwire_asl::{Json, Timestamp};
use stepwire_core::broker::{Action, Authorize, Identity, Profile};
use stepwire_core::message::Client;
use stepwire_core::registry::certificates::{self, Document, Facts, Mode, Registration, Status};
use stepwire_core::registry::{Out, Registry, Request};
use stepwire_core::settings::Settings;

const DEVICES: usize = 15_000;
const POLICIES: [(&str, &str); 3] = [
    ("client id", "${iot:ClientId}"),
    ("thing name", "${iot:Connection.Thing.ThingName}"),
    ("certificate", "${iot:Certificate.SerialNumber}"),
];

fn main() {
    for (title, variable) in POLICIES {
        let clients = fleet(variable);
        let (registry, clients) = (&clients.0, &clients.1);
        let at = registry.at(Timestamp(0));
        let rounds = 2_000_000;
        let topics: Vec<String> =
            clients.iter().map(|client| format!("devices/{}/state", client.id)).collect();
        let begun = Instant::now();
        let mut allowed = 0_u64;
        for round in 0..rounds {
            // far apart, so that no cache knows the next one
            let device = round * 7_919 % DEVICES;
            let may = at.allows(&clients[device], Action::Publish, &topics[device]);
            allowed += u64::from(black_box(may));
        }
        let each = begun.elapsed().as_nanos() / rounds as u128;
        println!("{title}: {each} ns each, {allowed} of {rounds} allowed");
    }
}

/// Devices with a thing, a certificate and a policy of three statements each.
fn fleet(variable: &str) -> (Registry, Vec<Client>) {
    let mut registry = Registry::default();
    let statement = |action: &str, resource: String| {
        format!(
            r#"{{"Effect":"Allow","Action":"iot:{action}","Resource":"arn:aws:iot:*:*:{resource}"}}"#
        )
    };
    let document = format!(
        r#"{{"Version":"2012-10-17","Statement":[{},{},{}]}}"#,
        statement("Connect", format!("client/{variable}")),
        statement("Subscribe", format!("topicfilter/devices/{variable}/*")),
        statement("Publish", format!("topic/devices/{variable}/*")),
    );
    let policy = [("policyName", Json::from("device")), ("policyDocument", document.into())];
    call(&mut registry, "CreatePolicy", Json::object(policy));
    let clients = (0..DEVICES).map(|number| {
        let (id, name) = (format!("{:064x}", number * 104_729), format!("device-{number}"));
        let document = Document { id: id.as_str().into(), pem: "".into(), facts: Facts::default() };
        let registration =
            Registration { document, status: Status::Active, mode: Mode::Default, authority: None };
        let request = Request::Certificates(certificates::Request::Register(registration));
        let done = registry.call(Timestamp(0), &request, &Settings::default(), &mut Out::default());
        assert!(done.is_ok(), "{done:?}");
        let arn = || Json::from(format!("arn:aws:iot:us-east-1:000000000000:cert/{id}"));
        call(
            &mut registry,
            "CreateThing",
            Json::object([("thingName", Json::from(name.as_str()))]),
        );
        let thing = [("thingName", Json::from(name.as_str())), ("principal", arn())];
        call(&mut registry, "AttachThingPrincipal", Json::object(thing));
        let policy = [("policyName", Json::from("device")), ("target", arn())];
        call(&mut registry, "AttachPolicy", Json::object(policy));
        Client {
            id: Arc::from(name.as_str()),
            identity: Identity::Certificate(id.into()),
            profile: Profile::Standard,
            thing: Some(name.into()),
            exclusive: false,
            ip: [127, 0, 0, 1].into(),
            session: Arc::default(),
        }
    });
    let clients = clients.collect();
    (registry, clients)
}

fn call(registry: &mut Registry, operation: &str, body: Json) {
    let request = Request::parse(operation, &body).and_then(Result::ok);
    let request = request.unwrap_or_else(|| panic!("{operation} is not a request"));
    let done = registry.call(Timestamp(0), &request, &Settings::default(), &mut Out::default());
    assert!(done.is_ok(), "{operation}: {done:?}");
}
