//! The life of a destination.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::read::Key;

const URL: &str = "https://example.org/in?code=hunter2";
const START: Timestamp = Timestamp(1_800_000_000_000);

/// Destinations with their disk and clock.
struct World {
    destinations: Destinations,
    settings: Settings,
    disk: BTreeMap<Key, Vec<u8>>,
    now: Timestamp,
    requests: Vec<Confirmation>,
}

impl World {
    fn new() -> World {
        World {
            destinations: Destinations::default(),
            settings: Settings { secret: [5; 32], ..Settings::default() },
            disk: BTreeMap::new(),
            now: START,
            requests: Vec::new(),
        }
    }

    fn keep(&mut self, out: Out) {
        for write in &out.writes {
            let (key, value) = write.entry();
            match value {
                Some(value) => drop(self.disk.insert(key, value)),
                None => drop(self.disk.remove(&key)),
            }
        }
        self.requests.extend(out.requests);
        assert_eq!(self.destinations, self.stored());
    }

    fn stored(&self) -> Destinations {
        let mut stored = Destinations::default();
        for (key, value) in &self.disk {
            stored.load(key, value).unwrap();
        }
        stored
    }

    fn call(&mut self, request: &Request) -> Result<Json, ApiError> {
        let mut out = Out::default();
        let answer = self.destinations.call(self.now, request, &self.settings, &mut out);
        self.keep(out);
        answer
    }

    fn created(&mut self) -> Arc<str> {
        let made = self.call(&Request::Create { url: URL.into() }).unwrap();
        made.member("topicRuleDestination").unwrap().member("arn").unwrap().as_str().unwrap().into()
    }

    fn set(&mut self, arn: &Arc<str>, status: Status) -> Result<Json, ApiError> {
        self.call(&Request::Update { arn: Arc::clone(arn), status })
    }

    /// The end of the last confirmation request.
    fn ended(&mut self, result: Result<(), NotDelivered>) {
        let Confirmation { destination, challenge, .. } = self.requests.last().unwrap().clone();
        let mut out = Out::default();
        self.destinations.sent(self.now, &destination, challenge, result, &mut out);
        self.keep(out);
    }

    fn tick(&mut self) {
        self.now = self.destinations.due().unwrap();
        let mut out = Out::default();
        self.destinations.tick(self.now, &self.settings, &mut out);
        self.keep(out);
    }

    fn token(&self) -> Arc<str> {
        let body = Json::parse_bytes(&self.requests.last().unwrap().delivery.body).unwrap();
        body.member("confirmationToken").unwrap().as_str().unwrap().into()
    }

    fn confirm(&mut self, enable: bool) -> Result<Json, ApiError> {
        let token = self.token();
        self.call(&Request::Confirm { token, enable })
    }

    /// What GetTopicRuleDestination says: the status and its reason.
    fn status(&self, arn: &Arc<str>) -> (String, String) {
        let shown = answer(&Request::Get(Arc::clone(arn)), &self.disk, &self.settings).unwrap();
        let of = |name| {
            let value = shown.member("topicRuleDestination").unwrap().member(name);
            value.and_then(Json::as_str).unwrap_or_default().to_owned()
        };
        (of("status"), of("statusReason"))
    }
}

fn failed(again: bool) -> Result<(), NotDelivered> {
    Err(NotDelivered { why: "StatusCode: 500.".into(), again })
}

#[test]
fn a_confirmation_request_is_aws_s() {
    let mut world = World::new();
    let arn = world.created();
    let Confirmation { delivery, .. } = &world.requests[0];
    let token = world.token();
    assert_eq!(*delivery.url, format!("{URL}&confirmationToken={token}"));
    let header = |wanted: &str| {
        let found = delivery.headers.iter().find(|(name, _)| **name == *wanted);
        found.map(|(_, value)| Arc::clone(value))
    };
    assert_eq!(header("x-amz-rules-engine-message-type").as_deref(), Some(CONFIRMATION));
    assert_eq!(header("x-amz-rules-engine-destination-arn"), Some(Arc::clone(&arn)));
    let body = Json::parse_bytes(&delivery.body).unwrap();
    let of = |name| body.member(name).and_then(Json::as_str).unwrap();
    assert_eq!((of("arn"), of("messageType")), (&*arn, CONFIRMATION));
    assert_eq!(of("enableUrl"), format!("http://localhost:4566/confirmdestination/{token}"));
    let seen = format!("{:?}", world.requests);
    assert!(!seen.contains(&*token) && !seen.contains("hunter2"), "{seen}");
}

#[test]
fn the_api_leaves_a_destination_disabled_and_enable_url_enables_it() {
    for (enable, status) in [(false, "DISABLED"), (true, "ENABLED")] {
        let mut world = World::new();
        let arn = world.created();
        world.ended(Ok(()));
        assert_eq!(world.status(&arn).0, "IN_PROGRESS");
        world.confirm(enable).unwrap();
        assert_eq!(world.status(&arn), (status.to_owned(), String::new()));
    }
}

#[test]
fn a_used_token_does_not_enable_what_was_disabled() {
    let mut world = World::new();
    let arn = world.created();
    world.confirm(true).unwrap();
    world.set(&arn, Status::Disabled).unwrap();
    world.confirm(true).unwrap();
    assert_eq!(world.status(&arn).0, "DISABLED");
    world.set(&arn, Status::Enabled).unwrap();
    assert_eq!(world.status(&arn).0, "ENABLED");
}

#[test]
fn only_what_has_confirmed_can_be_enabled_or_disabled() {
    let mut world = World::new();
    let arn = world.created();
    for status in [Status::Enabled, Status::Disabled] {
        let refused = world.set(&arn, status).unwrap_err();
        assert_eq!(refused.code, "InvalidRequestException");
        assert!(refused.message.contains("IN_PROGRESS"), "{}", refused.message);
    }
}

#[test]
fn a_new_challenge_makes_the_old_token_useless() {
    let mut world = World::new();
    let arn = world.created();
    let old = world.token();
    world.confirm(true).unwrap();
    world.set(&arn, Status::InProgress).unwrap();
    assert_eq!((world.requests.len(), world.status(&arn).0.as_str()), (2, "IN_PROGRESS"));
    assert_ne!(world.token(), old);
    let refused = world.call(&Request::Confirm { token: old, enable: true }).unwrap_err();
    assert!(refused.message.contains("newer"), "{}", refused.message);
    world.confirm(true).unwrap();
    assert_eq!(world.status(&arn).0, "ENABLED");
}

#[test]
fn a_request_that_does_not_arrive_is_sent_again_until_the_token_expires() {
    let mut world = World::new();
    let arn = world.created();
    let mut waits = Vec::new();
    for _ in 0..4 {
        world.ended(failed(true));
        let before = world.now;
        assert!(world.status(&arn).1.contains("StatusCode: 500."), "{:?}", world.status(&arn));
        world.tick();
        waits.push(world.now.since_ms(before));
    }
    assert_eq!(waits, [1_000, 2_000, 4_000, 8_000]);
    let tokens: BTreeSet<_> = world.requests.iter().map(|one| one.delivery.body.clone()).collect();
    assert_eq!((world.requests.len(), tokens.len()), (5, 1), "the same request each time");
    world.ended(Ok(()));
    world.tick();
    assert_eq!(world.now, START.plus_ms(TOKEN_MS));
    assert_eq!(world.status(&arn).0, "ERROR");
    let expired = world.confirm(true).unwrap_err();
    assert!(expired.message.contains("expired"), "{}", expired.message);
    assert_eq!(world.destinations.due(), None);
}

#[test]
fn a_request_that_is_refused_ends_in_error_and_its_token_still_confirms() {
    let mut world = World::new();
    let arn = world.created();
    world.ended(failed(false));
    let (status, reason) = world.status(&arn);
    assert_eq!(status, "ERROR");
    assert!(reason.contains("StatusCode: 500."), "{reason}");
    assert_eq!(world.destinations.due(), None);
    world.confirm(true).unwrap();
    assert_eq!(world.status(&arn).0, "ENABLED");
}

#[test]
fn a_request_that_was_under_way_is_sent_again_after_a_restart() {
    let mut world = World::new();
    let arn = world.created();
    let again = world.stored().resume(&world.settings);
    assert_eq!(again, world.requests);
    world.ended(Ok(()));
    assert_eq!(world.stored().resume(&world.settings), []);
    world.confirm(false).unwrap();
    world.call(&Request::Delete(Arc::clone(&arn))).unwrap();
    assert_eq!(world.stored().by_id.len(), 0);
    assert_ne!(world.created(), arn, "an id is not used again");
}

#[test]
fn a_late_end_of_an_older_request_changes_nothing() {
    let mut world = World::new();
    let arn = world.created();
    world.confirm(true).unwrap();
    world.ended(failed(false));
    assert_eq!(world.status(&arn).0, "ENABLED");
}

#[test]
fn one_url_has_one_destination() {
    let mut world = World::new();
    world.created();
    for url in [URL, "https://EXAMPLE.org:443/in?code=hunter2"] {
        let refused = world.call(&Request::Create { url: url.into() }).unwrap_err();
        assert_eq!(refused.code, "ResourceAlreadyExistsException");
    }
    let mut out = Out::default();
    world.destinations.want(world.now, &URL.into(), &world.settings, &mut out);
    assert_eq!((out.writes.len(), out.requests.len()), (0, 0));
}

#[test]
fn only_what_lies_under_an_enabled_destination_is_admitted() {
    let mut world = World::new();
    let arn = world.created();
    let under = "https://example.org/in?code=hunter2&d=1";
    let admit = |world: &World, confirmation, url| world.destinations.admit(confirmation, url);
    let refused = admit(&world, URL, under).unwrap_err();
    assert_eq!(
        refused,
        "the topic rule destination for `https://example.org/in` is IN_PROGRESS, not ENABLED"
    );
    world.confirm(true).unwrap();
    assert_eq!(admit(&world, URL, under), Ok(()));
    assert_eq!(admit(&world, under, under), Ok(()), "a destination covers what is under it");
    let other = admit(&world, "https://example.com/", "https://example.com/x").unwrap_err();
    assert!(other.contains("no topic rule destination for `https://example.com/`"), "{other}");
    assert!(admit(&world, URL, "https://example.org/out").is_err());
    world.set(&arn, Status::Disabled).unwrap();
    assert!(admit(&world, URL, under).unwrap_err().contains("DISABLED"));
    assert!(admit(&world, under, under).is_err());
}

#[test]
fn what_is_not_there_is_denied() {
    let mut world = World::new();
    let arn: Arc<str> = "arn:aws:iot:us-east-1:000000000000:ruledestination/http/x".into();
    let denied = world.set(&arn, Status::Enabled).unwrap_err();
    assert_eq!(denied.code, "UnauthorizedException");
    let denied = answer(&Request::Get(arn), &world.disk, &world.settings).unwrap_err();
    assert_eq!(denied.code, "UnauthorizedException");
    let wrong = world.call(&Request::Confirm { token: "x".into(), enable: true }).unwrap_err();
    assert_eq!(wrong.code, "InvalidRequestException");
}
