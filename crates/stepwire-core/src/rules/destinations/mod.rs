//! Topic rule destinations: where `http` actions may send to, and how a place shows that it wants it.
//!
//! A destination is challenged: a request with a token goes to its confirmation URL, again and again
//! until it arrives, and whoever brings the token back confirms it. The challenge is durable, the
//! token is derived from it. Source: AWS IoT developer guide, "HTTP action destinations".
//!
//! Read in this order: [`Destination`], [`Request`], [`Destinations`].

pub(crate) mod address;
mod record;
mod request;
#[cfg(test)]
mod tests;
mod token;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub use record::{Challenge, Destination, Sending, Status};
pub use request::Request;
pub(crate) use view::answer;

use self::address::Address;
use self::token::Token;
use super::HttpDelivery;
use super::errands::NotDelivered;
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::record::{Corrupt, Space};
use crate::settings::Settings;

/// Most destinations. Source: AWS IoT Core quotas.
const DESTINATIONS_MAX: usize = 1_000;
/// How long a token is valid. Source: AWS IoT developer guide, "HTTP action destinations".
const TOKEN_MS: i64 = 3 * 24 * 3_600_000;
/// The wait after the first failed request; it doubles with each.
const RETRY_MS_MIN: i64 = 1_000;
/// The longest wait between requests.
const RETRY_MS_MAX: i64 = 3_600_000;
/// What the headers and the body of a confirmation request say it is.
const CONFIRMATION: &str = "DestinationConfirmation";
/// The first part of a destination's ARN after the account.
const RESOURCE: &str = "ruledestination/http/";

/// The destinations of a shard.
#[derive(Debug, Default, PartialEq)]
pub struct Destinations {
    by_id: BTreeMap<Arc<str>, Ready>,
    /// Derived from `by_id`: ids by URL in normal form.
    by_url: BTreeMap<Arc<str>, Arc<str>>,
    /// Derived from `by_id`: when something has to be done about whom.
    deadlines: BTreeSet<(Timestamp, Arc<str>)>,
    /// Larger than the number of every destination that there has been.
    next: u64,
}

/// A destination with its URL read.
#[derive(Debug, PartialEq)]
struct Ready {
    destination: Arc<Destination>,
    address: Address,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Numbers go on here.
    Next(u64),
    /// A destination as it now is; `None`: there is none of this id.
    Destination(Arc<str>, Option<Arc<Destination>>),
}

/// What a turn of the destinations came to.
#[derive(Debug, Default)]
pub(crate) struct Out {
    /// What must be durable first.
    pub(crate) writes: Vec<Write>,
    /// Confirmation requests that then leave.
    pub(crate) requests: Vec<Confirmation>,
}

/// A confirmation request on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirmation {
    /// The destination's id.
    pub destination: Arc<str>,
    /// Which of its challenges.
    pub challenge: u32,
    /// What is sent.
    pub delivery: HttpDelivery,
}

impl Destination {
    /// Its ARN.
    pub fn arn(&self, settings: &Settings) -> String {
        settings.arn("iot", &format!("{RESOURCE}{}", self.id))
    }

    /// When its token is no longer valid.
    fn expires(&self) -> Timestamp {
        self.challenge.made.plus_ms(TOKEN_MS)
    }

    /// When something has to be done about it.
    fn due(&self) -> Option<Timestamp> {
        match (self.status, self.challenge.request) {
            (Status::InProgress, Sending::Due(at)) => Some(at.min(self.expires())),
            (Status::InProgress, _) => Some(self.expires()),
            (Status::Enabled | Status::Disabled | Status::Error, _) => None,
        }
    }

    /// What asks for its confirmation.
    fn confirmation(&self, address: &Address, settings: &Settings) -> Confirmation {
        let challenge = self.challenge.number;
        let token = Token { destination: self.number, challenge }.seal(&settings.secret);
        let arn: Arc<str> = self.arn(settings).into();
        let enable = format!("{}/confirmdestination/{token}", settings.url);
        let body = Json::object([
            ("arn", Json::String(Arc::clone(&arn))),
            ("confirmationToken", token.as_str().into()),
            ("enableUrl", enable.into()),
            ("messageType", CONFIRMATION.into()),
        ]);
        let headers = vec![
            ("content-type".into(), "application/json".into()),
            ("x-amz-rules-engine-message-type".into(), CONFIRMATION.into()),
            ("x-amz-rules-engine-destination-arn".into(), arn),
        ];
        let url = address.with("confirmationToken", &token);
        let delivery = HttpDelivery {
            url,
            headers,
            body: body.to_text().into(),
            sign: None,
            confirmation: Arc::clone(&self.url),
            batch: None,
        };
        Confirmation { destination: Arc::clone(&self.id), challenge, delivery }
    }
}

impl Destinations {
    /// What recovery loads.
    pub const SPACES: &'static [Space] = &[Space::RuleDestination];

    /// The only thing that changes the destinations.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Next(next) => self.next = *next,
            Write::Destination(id, destination) => {
                if let Some(there) = self.by_id.remove(id) {
                    self.by_url.remove(there.address.text());
                    let due = there.destination.due();
                    due.map(|due| self.deadlines.remove(&(due, Arc::clone(id))));
                }
                // A URL is checked before it is recorded.
                if let Some(destination) = destination
                    && let Ok(address) = Address::parse(&destination.url)
                {
                    self.by_url.insert(address.text().into(), Arc::clone(id));
                    self.deadlines.extend(destination.due().map(|due| (due, Arc::clone(id))));
                    let destination = Arc::clone(destination);
                    self.by_id.insert(Arc::clone(id), Ready { destination, address });
                }
            }
        }
    }

    /// Takes in one stored entry of [`Destinations::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        self.apply(&Write::load(key, value)?);
        Ok(())
    }

    /// When [`Destinations::tick`] is wanted.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// Carries out a request that changes something. On `Err` nothing has changed.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        settings: &Settings,
        out: &mut Out,
    ) -> Result<Json, ApiError> {
        match request {
            Request::Create { url } => self.create(now, url, settings, out),
            Request::Update { arn, status } => self.update(now, arn, *status, settings, out),
            Request::Delete(arn) => {
                let id = Arc::clone(&self.find(arn, settings)?.destination.id);
                self.record(Write::Destination(id, None), out);
                Ok(Json::Object(Arc::default()))
            }
            Request::Confirm { token, enable } => self.confirm(now, token, *enable, settings, out),
            Request::Get(_) | Request::List { .. } => {
                Err(ApiError::new("InvalidRequestException", "this request only reads"))
            }
        }
    }

    fn create(
        &mut self,
        now: Timestamp,
        url: &Arc<str>,
        settings: &Settings,
        out: &mut Out,
    ) -> Result<Json, ApiError> {
        let address = Address::parse(url).map_err(invalid)?;
        if let Some(id) = self.by_url.get(address.text()) {
            let arn = settings.arn("iot", &format!("{RESOURCE}{id}"));
            let why = "a topic rule destination with this confirmation URL already exists";
            return Err(ApiError::new("ResourceAlreadyExistsException", why)
                .with("resourceId", Json::String(Arc::clone(id)))
                .with("resourceArn", arn.into()));
        }
        if self.by_id.len() >= DESTINATIONS_MAX {
            let why = format!("there are {DESTINATIONS_MAX} topic rule destinations, no more fit");
            return Err(ApiError::new("LimitExceededException", why));
        }
        let number = self.next;
        self.record(Write::Next(number + 1), out);
        let id: Arc<str> = derived_uuid(&settings.secret, "rule destination", &[number]).into();
        let made = Destination {
            number,
            id,
            url: Arc::clone(url),
            status: Status::InProgress,
            reason: None,
            created: now,
            updated: now,
            challenge: challenge(1, now),
        };
        let shown = view::shown(&made, "httpUrlProperties", settings);
        self.send(made, settings, out);
        Ok(Json::object([("topicRuleDestination", shown)]))
    }

    /// Creates the destination that a rule's action names, unless it is there or there is no room.
    /// Source: AWS IoT developer guide, "HTTP" action, `confirmationUrl`.
    pub(crate) fn want(
        &mut self,
        now: Timestamp,
        url: &Arc<str>,
        settings: &Settings,
        out: &mut Out,
    ) {
        // What is there already is what is wanted; without room the action fails by name.
        let _ = self.create(now, url, settings, out);
    }

    fn update(
        &mut self,
        now: Timestamp,
        arn: &str,
        status: Status,
        settings: &Settings,
        out: &mut Out,
    ) -> Result<Json, ApiError> {
        let there = self.find(arn, settings)?.destination.as_ref().clone();
        if status == Status::InProgress {
            let challenge = challenge(there.challenge.number + 1, now);
            let again = Destination { status, reason: None, updated: now, challenge, ..there };
            self.send(again, settings, out);
            return Ok(Json::Object(Arc::default()));
        }
        match there.status {
            Status::Enabled | Status::Disabled => {
                self.keep(Destination { status, updated: now, ..there }, out);
                Ok(Json::Object(Arc::default()))
            }
            Status::InProgress | Status::Error => Err(invalid(format!(
                "the destination is {}: it must be confirmed before it can be {}",
                there.status.name(),
                status.name()
            ))),
        }
    }

    /// The destination has what was sent to it. A token that has been used changes nothing more.
    fn confirm(
        &mut self,
        now: Timestamp,
        token: &str,
        enable: bool,
        settings: &Settings,
        out: &mut Out,
    ) -> Result<Json, ApiError> {
        let wrong = || invalid("the confirmation token is not valid");
        let token = Token::open(token, &settings.secret).ok_or_else(wrong)?;
        let id = derived_uuid(&settings.secret, "rule destination", &[token.destination]);
        let there = self.by_id.get(id.as_str()).ok_or_else(wrong)?.destination.as_ref().clone();
        if there.challenge.number != token.challenge {
            return Err(invalid("a newer confirmation request has been sent: use its token"));
        }
        if there.challenge.met {
            return Ok(Json::Object(Arc::default()));
        }
        if there.expires() <= now {
            let why = "the confirmation token has expired; set the destination's status to \
                       IN_PROGRESS for another";
            return Err(invalid(why));
        }
        let status = if enable { Status::Enabled } else { Status::Disabled };
        let challenge = Challenge { met: true, request: Sending::Ended, ..there.challenge.clone() };
        self.keep(Destination { status, reason: None, updated: now, challenge, ..there }, out);
        Ok(Json::Object(Arc::default()))
    }

    /// Sends what is due again, and gives up on those whose time is over.
    pub(crate) fn tick(&mut self, now: Timestamp, settings: &Settings, out: &mut Out) {
        let overdue = self.deadlines.iter().take_while(|(due, _)| *due <= now);
        for id in overdue.map(|(_, id)| Arc::clone(id)).collect::<Vec<_>>() {
            let Some(ready) = self.by_id.get(&id) else { continue };
            let there = ready.destination.as_ref().clone();
            if there.expires() <= now {
                let reason =
                    Some("Confirmation timed out: no token came back in three days.".into());
                let challenge = Challenge { request: Sending::Ended, ..there.challenge.clone() };
                let status = Status::Error;
                self.keep(Destination { status, reason, updated: now, challenge, ..there }, out);
            } else {
                self.send(there, settings, out);
            }
        }
    }

    /// After a restart: what was under way is sent again.
    pub(crate) fn resume(&self, settings: &Settings) -> Vec<Confirmation> {
        let all = self.by_id.values();
        let interrupted = all.filter(|ready| {
            let there = &ready.destination;
            there.status == Status::InProgress && there.challenge.request == Sending::UnderWay
        });
        interrupted.map(|ready| ready.destination.confirmation(&ready.address, settings)).collect()
    }

    /// A confirmation request has come to its end.
    pub(crate) fn sent(
        &mut self,
        now: Timestamp,
        id: &str,
        challenge: u32,
        result: Result<(), NotDelivered>,
        out: &mut Out,
    ) {
        let Some(ready) = self.by_id.get(id) else { return };
        let mut after = ready.destination.as_ref().clone();
        let awaited = after.status == Status::InProgress
            && after.challenge.number == challenge
            && after.challenge.request == Sending::UnderWay;
        if !awaited {
            return;
        }
        match result {
            Ok(()) => after.challenge.request = Sending::Arrived(now),
            Err(NotDelivered { why, again }) => {
                let wait = RETRY_MS_MIN << after.challenge.failed.min(20);
                after.challenge.failed += 1;
                after.challenge.request = Sending::Due(now.plus_ms(wait.min(RETRY_MS_MAX)));
                if !again {
                    after.challenge.request = Sending::Ended;
                    after.status = Status::Error;
                    after.reason = Some(
                        format!("The confirmation message could not be delivered: {why}").into(),
                    );
                    after.updated = now;
                }
                after.challenge.why = Some(why);
            }
        }
        self.keep(after, out);
    }

    /// The destination that `url` is sent under, if it may be: the one of the confirmation URL of the
    /// action, else one that `confirmation` lies under. The error says by name what is missing.
    pub(crate) fn admit(&self, confirmation: &str, url: &str) -> Result<(), String> {
        let read = |what: &str, text: &str| {
            Address::parse(text).map_err(|why| format!("`{what}` cannot be used: {why}"))
        };
        let (confirmation, url) = (read("confirmationUrl", confirmation)?, read("url", url)?);
        if !confirmation.covers(&url) {
            let (url, confirmation) = (url.shown(), confirmation.shown());
            return Err(format!(
                "`{url}` does not begin with the confirmation URL `{confirmation}`"
            ));
        }
        let own = self.by_url.get(confirmation.text()).and_then(|id| self.by_id.get(id));
        let status = match own {
            Some(ready) => ready.destination.status,
            None => {
                let mut all = self.by_id.values();
                let above = all.find(|ready| {
                    ready.destination.status == Status::Enabled
                        && ready.address.covers(&confirmation)
                });
                if above.is_some() {
                    return Ok(());
                }
                let shown = confirmation.shown();
                return Err(format!(
                    "there is no topic rule destination for `{shown}`: create and confirm one"
                ));
            }
        };
        if status == Status::Enabled {
            return Ok(());
        }
        let (shown, status) = (confirmation.shown(), status.name());
        Err(format!("the topic rule destination for `{shown}` is {status}, not ENABLED"))
    }

    fn find(&self, arn: &str, settings: &Settings) -> Result<&Ready, ApiError> {
        self.by_id.get(id_of(arn, settings)?).ok_or_else(|| denied(arn))
    }

    /// Records `destination` with its request under way.
    fn send(&mut self, mut destination: Destination, settings: &Settings, out: &mut Out) {
        destination.challenge.request = Sending::UnderWay;
        let id = Arc::clone(&destination.id);
        self.keep(destination, out);
        let ready = self.by_id.get(&id);
        let request = ready.map(|ready| ready.destination.confirmation(&ready.address, settings));
        out.requests.extend(request);
    }

    fn keep(&mut self, destination: Destination, out: &mut Out) {
        let id = Arc::clone(&destination.id);
        self.record(Write::Destination(id, Some(Arc::new(destination))), out);
    }

    fn record(&mut self, write: Write, out: &mut Out) {
        self.apply(&write);
        out.writes.push(write);
    }
}

fn challenge(number: u32, now: Timestamp) -> Challenge {
    Challenge { number, made: now, failed: 0, why: None, request: Sending::Due(now), met: false }
}

/// The id in a destination's ARN; empty when it is none of ours.
fn id_of<'a>(arn: &'a str, settings: &Settings) -> Result<&'a str, ApiError> {
    if !arn.starts_with("arn:") || arn.split(':').count() != 6 {
        return Err(invalid(format!("`{arn}` is not the ARN of a topic rule destination")));
    }
    Ok(arn.strip_prefix(&settings.arn("iot", RESOURCE)).unwrap_or_default())
}

/// AWS does not tell what is missing from what is not for the caller.
fn denied(arn: &str) -> ApiError {
    let why = format!("topic rule destination `{arn}` does not exist, or access to it is denied");
    ApiError::new("UnauthorizedException", why)
}

fn invalid(why: impl Into<String>) -> ApiError {
    ApiError::new("InvalidRequestException", why)
}
