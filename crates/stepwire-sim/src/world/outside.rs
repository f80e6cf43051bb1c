//! The server outside that a rule delivers to, and those who look after its destination.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_core::rules::destinations::{self, Confirmation};
use stepwire_core::rules::errands::NotDelivered;
use stepwire_core::rules::{self, HttpDelivery};
use stepwire_core::{ApiError, Input, Request, Service};

use super::{Caller, Event, World};
use crate::operator::request;

/// How long the process waits for an answer, in milliseconds.
const PATIENCE_MS: i64 = 3_000;

impl World {
    /// What a server makes of a delivery, and how long that takes.
    pub(super) fn served(&mut self) -> (i64, Result<(), NotDelivered>) {
        let takes = self.dice.between(5, 50);
        match self.dice.between(0, 11) {
            0 | 1 => (takes, failed("503 Service Unavailable", true)),
            2 => (takes, failed("connection refused", true)),
            3 => (takes, failed("404 Not Found", false)),
            4 => {
                self.marks.sometimes("delivery arrived, and that was never heard");
                (PATIENCE_MS, failed("no answer within 3 s", true))
            }
            _ => (takes, Ok(())),
        }
    }

    /// A destination is asked to confirm.
    pub(super) fn challenged(&mut self, confirmation: Confirmation) {
        let Confirmation { destination, challenge, delivery } = confirmation;
        if !self.challenges.insert((Arc::clone(&destination), challenge)) {
            self.marks.sometimes("destination asked again");
        }
        let (mut takes, mut result) = (self.dice.between(5, 50), Ok(()));
        match self.dice.between(0, 9) {
            0 | 1 => result = failed("503 Service Unavailable", true),
            2 => {
                result = failed("404 Not Found", false);
                let arn = self.settings.arn("iot", &format!("ruledestination/http/{destination}"));
                let after = self.dice.between(100, 3_000);
                self.at(after, Event::Set(arn.into(), "IN_PROGRESS"));
            }
            3 => {
                self.marks.sometimes("destination confirmed, and that was never heard");
                (takes, result) = (PATIENCE_MS, failed("no answer within 3 s", true));
                self.bring_back(&delivery);
            }
            _ => self.bring_back(&delivery),
        }
        let sent = Input::Confirmed { destination, challenge, result };
        self.at(takes, Event::Returned(self.life, Box::new(sent)));
    }

    fn bring_back(&mut self, delivery: &HttpDelivery) {
        let body = Json::parse_bytes(&delivery.body).unwrap_or_default();
        let token = body.member("confirmationToken").and_then(Json::as_str).unwrap_or_default();
        let after = self.dice.between(1, 400);
        self.at(after, Event::Visit(token.into()));
        if self.dice.one_in(3) {
            let arn = body.member("arn").and_then(Json::as_str).unwrap_or_default();
            let after = self.dice.between(500, 8_000);
            self.at(after, Event::Set(arn.into(), "DISABLED"));
        }
    }

    /// The server outside visits the `enableUrl` that it was sent.
    pub(super) fn visit(&mut self, token: Arc<str>) {
        let request = destinations::Request::visit(&token);
        let request = Request::Rules(rules::Request::Destination(request));
        self.call(Caller::Visitor(token), request);
    }

    pub(super) fn visited(&mut self, token: &str, answer: Result<Json, ApiError>) {
        if let Err(error) = answer
            && !error.message.starts_with("a newer confirmation request")
        {
            self.checks.problem(format!("P1: the token {token} is refused: {error}"));
        }
    }

    /// Somebody sets the status of a destination.
    pub(super) fn set(&mut self, destination: Arc<str>, status: &'static str) {
        let body = [("arn", Json::String(Arc::clone(&destination))), ("status", status.into())];
        let update = request(Service::Iot, "UpdateTopicRuleDestination", &Json::object(body));
        self.call(Caller::Setter(destination, status), update);
    }

    pub(super) fn status_set(
        &mut self,
        destination: Arc<str>,
        status: &'static str,
        answer: Result<Json, ApiError>,
    ) {
        match answer {
            Ok(_) if status == "DISABLED" => {
                let after = self.dice.between(100, 2_000);
                self.at(after, Event::Set(destination, "ENABLED"));
            }
            Ok(_) => {}
            // It is being asked to confirm, or is to be: that enables it.
            Err(error) if error.message.contains("must be confirmed before") => {}
            Err(error) => self.checks.problem(format!("P1: {status} is refused: {error}")),
        }
    }
}

fn failed(why: &str, again: bool) -> Result<(), NotDelivered> {
    Err(NotDelivered { why: why.into(), again })
}
