//! Certificates, whom they concern, and what they may do.

use std::sync::Arc;

use stepwire_asl::Timestamp;

use super::Shelf;
use crate::broker::{
    Admitted, Asked, Authorize, Concern, ConnectAttributes, Identity, Principal, Profile,
};
use crate::registry::certificates::{
    self, Document, Mode, Registration, Request as Certificates, Status,
};
use crate::registry::{Out, Request, Write};

const AUTHORITY: &str = include_str!("authority.pem");
const DEVICE: &str = include_str!("device.pem");

impl Shelf {
    /// Carries out what only the shell can ask for.
    fn certify(&mut self, request: Certificates) -> Result<Out, String> {
        let mut out = Out::default();
        let now = Timestamp(self.now);
        let request = Request::Certificates(request);
        let answer = self.registry.call(now, &request, &self.settings, &mut out);
        self.keep(out.writes.clone());
        answer.map(|_| out).map_err(|error| error.to_string())
    }

    /// The fixture's certificate with this status; its id.
    fn device(&mut self, status: Status) -> Arc<str> {
        let document = Document::parse(DEVICE).unwrap();
        let id = Arc::clone(&document.id);
        let mode = Mode::Default;
        let registration = Registration { document, status, mode, authority: None };
        self.certify(Certificates::Register(registration)).unwrap();
        id
    }

    fn connect(&self, certificate: &Arc<str>, client_id: &str) -> Result<Option<Admitted>, String> {
        let principal = Principal {
            identity: Identity::Certificate(Arc::clone(certificate)),
            ip: [127, 0, 0, 1].into(),
            profile: Profile::Standard,
            anonymous_allowed: false,
        };
        let asked = Asked { client_id, attributes: ConnectAttributes::default() };
        let admitted = self.registry.at(Timestamp(self.now)).connect_as(&principal, asked);
        admitted.map_err(|refused| refused.to_string())
    }

    /// Whom the writes of a call concern.
    fn concern(&mut self, operation: &str, body: &str) -> Option<Concern> {
        let body = stepwire_asl::Json::parse(body).unwrap();
        let request = Request::parse(operation, &body).unwrap().unwrap();
        let mut out = Out::default();
        let now = Timestamp(self.now);
        self.registry.call(now, &request, &self.settings, &mut out).unwrap();
        let concern = self.registry.concern(&out.writes);
        self.keep(out.writes);
        concern
    }
}

fn arn(certificate: &str) -> String {
    format!("arn:aws:iot:us-east-1:000000000000:cert/{certificate}")
}

fn only(certificate: &Arc<str>) -> Concern {
    Concern::Certificates([Arc::clone(certificate)].into())
}

const ALLOW: &str = r#"{"policyName":"all","policyDocument":"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"iot:*\",\"Resource\":\"*\"}}"}"#;

#[test]
fn a_certificate_is_named_by_its_hash_and_said_to_be_what_it_is() {
    let document = Document::parse(DEVICE).unwrap();
    let id = "de34f1be2f259d21bf5c47ef3d7b1e6a02492b8b9599aec1561d4f44000b73f8";
    assert_eq!(&*document.id, id);
    assert!(!document.facts.is_authority);
    let authority = Document::parse(AUTHORITY).unwrap();
    assert!(authority.facts.is_authority);
    assert_eq!(authority.facts.subject, document.facts.issuer);
    for broken in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(Document::parse(broken).is_err());
    }
}

#[test]
fn only_an_active_certificate_with_a_policy_connects() {
    let mut shelf = Shelf::default();
    let nobody = "0".repeat(64).into();
    assert_eq!(shelf.connect(&nobody, "a").unwrap_err(), "its certificate is not registered");
    let id = shelf.device(Status::Inactive);
    assert_eq!(shelf.connect(&id, "a").unwrap_err(), "its certificate is not active");
    shelf.certify(Certificates::Update(Arc::clone(&id), Status::Active)).unwrap();
    assert_eq!(shelf.connect(&id, "a").unwrap_err(), "no policy allows it");
    shelf.call("CreatePolicy", ALLOW).unwrap();
    let attach = format!(r#"{{"policyName":"all","target":"{}"}}"#, arn(&id));
    shelf.call("AttachPolicy", &attach).unwrap();
    assert_eq!(shelf.connect(&id, "a"), Ok(None));
    shelf.call("CreateThing", r#"{"thingName":"a"}"#).unwrap();
    let thing = format!(r#"{{"thingName":"a","principal":"{}"}}"#, arn(&id));
    shelf.call("AttachThingPrincipal", &thing).unwrap();
    let admitted = Admitted { thing: "a".into(), exclusive: false };
    assert_eq!(shelf.connect(&id, "a"), Ok(Some(admitted)));
    assert_eq!(shelf.connect(&id, "b"), Ok(None));
}

#[test]
fn a_certificate_registers_itself_where_its_authority_lets_it() {
    let mut shelf = Shelf::default();
    let document = Document::parse(AUTHORITY).unwrap();
    let authority = Arc::clone(&document.id);
    let (active, proof) = (true, None);
    let (document, proof) = (Box::new(document), proof.map(Box::new));
    let (registers, tags) = (false, Vec::new());
    let register = Certificates::RegisterAuthority { document, proof, active, registers, tags };
    shelf.certify(register).unwrap();
    let registration = Registration {
        document: Document::parse(DEVICE).unwrap(),
        status: Status::PendingActivation,
        mode: Mode::Default,
        authority: Some(Arc::clone(&authority)),
    };
    let itself = || Certificates::RegisterItself(registration.clone());
    assert!(shelf.certify(itself()).unwrap().writes.is_empty(), "it is not let");
    let update =
        certificates::AuthorityUpdate { id: authority, active: None, registers: Some(true) };
    shelf.certify(Certificates::UpdateAuthority(update)).unwrap();
    let out = shelf.certify(itself()).unwrap();
    assert_eq!(out.events.len(), 1);
    let id = &registration.document.id;
    assert_eq!(shelf.connect(id, "a").unwrap_err(), "its certificate waits for activation");
    assert!(shelf.certify(itself()).unwrap().events.is_empty(), "it is known already");
}

#[test]
fn what_takes_rights_away_concerns_those_who_had_them() {
    let mut shelf = Shelf::default();
    let id = shelf.device(Status::Active);
    let target = arn(&id);
    shelf.call("CreatePolicy", ALLOW).unwrap();
    let attach = format!(r#"{{"policyName":"all","target":"{target}"}}"#);
    assert_eq!(shelf.concern("AttachPolicy", &attach), None, "it only gives");
    let deny = ALLOW.replace("Allow", "Deny").replace("all", "none");
    shelf.call("CreatePolicy", &deny).unwrap();
    let attach_deny = attach.replace("all", "none");
    assert_eq!(shelf.concern("AttachPolicy", &attach_deny), Some(only(&id)));
    assert_eq!(shelf.concern("DetachPolicy", &attach), Some(only(&id)));
    let update = format!(r#"{{"certificateId":"{id}","newStatus":"INACTIVE"}}"#);
    assert_eq!(shelf.concern("UpdateCertificate", &update), Some(only(&id)));
    let update = update.replace("INACTIVE", "ACTIVE");
    assert_eq!(shelf.concern("UpdateCertificate", &update), None);
    shelf.call("CreateThing", r#"{"thingName":"a"}"#).unwrap();
    let thing = format!(r#"{{"thingName":"a","principal":"{target}"}}"#);
    shelf.call("AttachThingPrincipal", &thing).unwrap();
    let change = r#"{"thingName":"a","attributePayload":{"attributes":{"x":"y"}}}"#;
    assert_eq!(shelf.concern("UpdateThing", change), Some(only(&id)));
    assert_eq!(shelf.concern("DetachThingPrincipal", &thing), Some(only(&id)));
    assert_eq!(shelf.concern("UpdateThing", change), None);
}

#[test]
fn a_policy_of_a_group_concerns_everyone() {
    let mut shelf = Shelf::default();
    shelf.call("CreatePolicy", ALLOW).unwrap();
    shelf.call("CreateThingGroup", r#"{"thingGroupName":"g"}"#).unwrap();
    let group = "arn:aws:iot:us-east-1:000000000000:thinggroup/g";
    let attach = format!(r#"{{"policyName":"all","target":"{group}"}}"#);
    shelf.call("AttachPolicy", &attach).unwrap();
    assert_eq!(shelf.concern("DetachPolicy", &attach), Some(Concern::Everyone));
}

#[test]
fn a_deleted_certificate_leaves_nothing_behind() {
    let mut shelf = Shelf::default();
    let id = shelf.device(Status::Inactive);
    assert_eq!(shelf.store.len(), 2, "the certificate and its text");
    let delete = Certificates::Delete { id, force: false };
    let out = shelf.certify(delete).unwrap();
    assert!(out.writes.iter().all(|write| matches!(write, Write::Certificates(_))));
    assert!(shelf.store.is_empty());
}
