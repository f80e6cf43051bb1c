//! Fleet indexing against a kernel: what is found follows what happens, by the index as by looking
//! at everything, also after a restart, and nothing waits for a search of a large fleet.

#![expect(clippy::unwrap_used, reason = "tests")]

mod node;

use std::net::{IpAddr, Ipv4Addr};

use node::Node;
use proptest::prelude::*;
use stepwire_asl::Json;
use stepwire_core::broker::{self, Closed, ConnectionId, Identity, Principal, Profile};
use stepwire_core::mqtt::{Connect, Packet, Version};
use stepwire_core::{ApiError, Effect, Input, ReplyId, Request, Service};

/// A node and the number of its next connection.
struct Fleet {
    node: Node,
    connections: u64,
}

impl Fleet {
    /// A fleet whose registry and connectivity are indexed.
    fn new() -> Fleet {
        let mut fleet = Fleet { node: Node::new(), connections: 0 };
        fleet.ask(
            "UpdateIndexingConfiguration",
            r#"{"thingIndexingConfiguration":{"thingIndexingMode":"REGISTRY",
                "thingConnectivityIndexingMode":"STATUS"},
                "thingGroupIndexingConfiguration":{"thingGroupIndexingMode":"ON"}}"#,
        );
        fleet
    }

    fn request(operation: &str, body: &str) -> Result<Request, ApiError> {
        let body = Json::parse(body).unwrap();
        Request::parse(Service::Iot, operation, &body)
            .unwrap_or_else(|| panic!("{operation} is not served"))
    }

    fn call(&mut self, operation: &str, body: &str) -> Result<Json, ApiError> {
        let request = Fleet::request(operation, body)?;
        if request.is_read() {
            return request.answer(&self.node.disk, &self.node.settings);
        }
        self.node.input(Input::Call { reply: ReplyId(1), request });
        self.run();
        self.take_reply(ReplyId(1)).unwrap()
    }

    fn take_reply(&mut self, wanted: ReplyId) -> Option<Result<Json, ApiError>> {
        let is_it = |e: &Effect| matches!(e, Effect::Reply { reply, .. } if *reply == wanted);
        let at = self.node.effects.iter().position(is_it)?;
        match self.node.effects.remove(at) {
            Effect::Reply { answer, .. } => Some(answer),
            _ => None,
        }
    }

    /// A slice of what is on its way; whether there was one.
    fn advance(&mut self) -> bool {
        let at = self.node.effects.iter().position(|e| matches!(e, Effect::ContinueIndexing));
        let Some(at) = at else { return false };
        self.node.effects.remove(at);
        self.node.input(Input::Indexing);
        true
    }

    fn run(&mut self) {
        while self.advance() {}
    }

    fn ask(&mut self, operation: &str, body: &str) -> Json {
        self.call(operation, body).unwrap_or_else(|error| panic!("{operation} {body}: {error}"))
    }

    fn thing(&mut self, name: &str, attributes: &str) {
        let body =
            format!(r#"{{"thingName":"{name}","attributePayload":{{"attributes":{attributes}}}}}"#);
        self.ask("CreateThing", &body);
    }

    fn update(&mut self, name: &str, attributes: &str) {
        let body =
            format!(r#"{{"thingName":"{name}","attributePayload":{{"attributes":{attributes}}}}}"#);
        self.ask("UpdateThing", &body);
    }

    fn group(&mut self, name: &str) {
        self.ask("CreateThingGroup", &format!(r#"{{"thingGroupName":"{name}"}}"#));
    }

    fn dynamic(&mut self, name: &str, query: &str) {
        let body = format!(r#"{{"thingGroupName":"{name}","queryString":"{query}"}}"#);
        self.ask("CreateDynamicThingGroup", &body);
    }

    fn join(&mut self, group: &str, thing: &str) {
        let body = format!(r#"{{"thingGroupName":"{group}","thingName":"{thing}"}}"#);
        self.ask("AddThingToThingGroup", &body);
    }

    fn connect(&mut self, client: &str) -> ConnectionId {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let principal = anyone();
        let connect = Box::new(Connect::new(Version::V311, client));
        self.node.input(Input::Device(broker::Input::Connect { connection, principal, connect }));
        self.run();
        connection
    }

    fn lose(&mut self, connection: ConnectionId) {
        let cause = Closed::Lost;
        self.node.input(Input::Device(broker::Input::Closed { connection, cause }));
        self.run();
    }

    fn found(&mut self, query: &str) -> Vec<String> {
        let query = query.replace('\\', "\\\\").replace('"', "\\\"");
        let answer = self.ask("SearchIndex", &format!(r#"{{"queryString":"{query}"}}"#));
        names(&answer, "things", "thingName")
    }

    fn members(&mut self, group: &str) -> Vec<String> {
        let body = format!(r#"{{"thingGroupName":"{group}","maxResults":250}}"#);
        let answer = self.ask("ListThingsInThingGroup", &body);
        let things = answer.member("things").unwrap().as_array().unwrap();
        things.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    fn status(&mut self, group: &str) -> String {
        let body = format!(r#"{{"thingGroupName":"{group}"}}"#);
        node::text(&self.ask("DescribeThingGroup", &body), "status")
    }
}

/// Somebody who may do everything.
fn anyone() -> Principal {
    Principal {
        identity: Identity::Signed("key".into()),
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        profile: Profile::Standard,
        anonymous_allowed: false,
    }
}

fn names(answer: &Json, list: &str, name: &str) -> Vec<String> {
    let items = answer.member(list).unwrap().as_array().unwrap();
    items.iter().map(|item| node::text(item, name)).collect()
}

#[test]
fn what_is_acknowledged_is_found_at_once() {
    let mut fleet = Fleet::new();
    fleet.thing("gw-1", r#"{"site":"Oslo"}"#);
    fleet.thing("gw-2", r#"{"site":"Rome"}"#);
    assert_eq!(fleet.found("attributes.site:oslo"), ["gw-1"]);
    fleet.update("gw-2", r#"{"site":"Oslo"}"#);
    assert_eq!(fleet.found("attributes.site:oslo"), ["gw-1", "gw-2"]);
    fleet.group("north");
    fleet.join("north", "gw-2");
    assert_eq!(fleet.found("thingGroupNames:north"), ["gw-2"]);
    let connection = fleet.connect("gw-1");
    assert_eq!(fleet.found("connectivity.connected:true"), ["gw-1"]);
    fleet.lose(connection);
    assert_eq!(fleet.found("connectivity.connected:true"), Vec::<String>::new());
    assert_eq!(fleet.found("connectivity.disconnectReason:connection_lost"), ["gw-1"]);
    fleet.ask("DeleteThing", r#"{"thingName":"gw-1"}"#);
    assert_eq!(fleet.found("*"), ["gw-2"]);
    fleet.node.check();
}

#[test]
fn a_restart_finds_the_same_and_that_connections_are_gone() {
    let mut fleet = Fleet::new();
    fleet.thing("gw-1", r#"{"site":"Oslo"}"#);
    fleet.dynamic("online", "connectivity.connected:true");
    fleet.connect("gw-1");
    assert_eq!(fleet.members("online"), ["gw-1"]);
    fleet.node.kill();
    assert_eq!(fleet.found("attributes.site:oslo"), ["gw-1"]);
    assert_eq!(fleet.found("connectivity.connected:true"), Vec::<String>::new());
    assert_eq!(fleet.found("connectivity.disconnectReason:SERVER_ERROR"), ["gw-1"]);
    assert_eq!(fleet.members("online"), Vec::<String>::new());
    fleet.node.check();
}

#[test]
fn members_of_a_dynamic_group_follow_what_its_query_reads() {
    let mut fleet = Fleet::new();
    fleet.thing("a", r#"{"firmware":"1"}"#);
    fleet.thing("b", r#"{"firmware":"2"}"#);
    fleet.dynamic("old", "attributes.firmware: 1");
    fleet.dynamic("online", "connectivity.connected:true AND attributes.firmware:*");
    fleet.dynamic("others", "NOT thingGroupNames:north");
    assert_eq!(fleet.members("old"), ["a"]);
    assert_eq!(fleet.status("old"), "ACTIVE");
    fleet.update("a", r#"{"firmware":"2"}"#);
    fleet.update("b", r#"{"firmware":"1"}"#);
    fleet.thing("c", r#"{"firmware":"1"}"#);
    assert_eq!(fleet.members("old"), ["b", "c"]);
    let connection = fleet.connect("b");
    assert_eq!(fleet.members("online"), ["b"]);
    assert_eq!(fleet.found("thingGroupNames:online"), ["b"]);
    fleet.lose(connection);
    assert_eq!(fleet.members("online"), Vec::<String>::new());
    fleet.group("north");
    assert_eq!(fleet.members("others"), ["a", "b", "c"]);
    fleet.join("north", "b");
    assert_eq!(fleet.members("others"), ["a", "c"]);
    fleet.ask("DeleteThing", r#"{"thingName":"c"}"#);
    assert_eq!(fleet.members("others"), ["a"]);
    fleet.node.check();
}

#[test]
fn another_query_means_other_members() {
    let mut fleet = Fleet::new();
    fleet.thing("a", r#"{"x":"1"}"#);
    fleet.thing("b", r#"{"x":"2"}"#);
    fleet.dynamic("g", "attributes.x:1");
    let update =
        r#"{"thingGroupName":"g","thingGroupProperties":{},"queryString":"attributes.x:2"}"#;
    let version = fleet.ask("UpdateDynamicThingGroup", update);
    assert_eq!(node::number(&version, "version"), 2);
    assert_eq!(fleet.members("g"), ["b"]);
    fleet.ask("DeleteDynamicThingGroup", r#"{"thingGroupName":"g"}"#);
    assert_eq!(fleet.found("thingGroupNames:g"), Vec::<String>::new());
    fleet.node.check();
}

#[test]
fn a_full_thing_stays_in_the_older_groups() {
    let mut fleet = Fleet::new();
    fleet.thing("t", "{}");
    for number in 0..8 {
        fleet.group(&format!("s{number}"));
        fleet.join(&format!("s{number}"), "t");
    }
    for name in ["first", "second", "third"] {
        fleet.node.now.0 += 1;
        fleet.dynamic(name, "attributes.x:1");
    }
    // They are asked in another order than they were made.
    fleet.node.now.0 += 1;
    fleet.dynamic("a-fourth", "attributes.x:1");
    fleet.update("t", r#"{"x":"1"}"#);
    for (group, there) in [("first", 1), ("second", 1), ("third", 0), ("a-fourth", 0)] {
        assert_eq!(fleet.members(group).len(), there, "{group}");
    }
    // Where a place becomes free, the one that waited longest has it.
    fleet.ask("RemoveThingFromThingGroup", r#"{"thingGroupName":"s0","thingName":"t"}"#);
    assert_eq!(fleet.members("third"), ["t"]);
    assert_eq!(fleet.members("a-fourth"), Vec::<String>::new());
    fleet.node.check();
}

#[test]
fn a_large_fleet_is_searched_and_grouped_in_slices() {
    let mut fleet = Fleet::new();
    for number in 0..2_500 {
        fleet.thing(&format!("t{number:04}"), &format!(r#"{{"n":"{number}"}}"#));
    }
    let request =
        Fleet::request("SearchIndex", r#"{"queryString":"attributes.n:[2490 TO *]"}"#).unwrap();
    fleet.node.input(Input::Call { reply: ReplyId(7), request });
    // Devices are served before the search goes on.
    fleet.connections += 1;
    fleet.node.input(Input::Device(broker::Input::Connect {
        connection: ConnectionId(99),
        principal: anyone(),
        connect: Box::new(Connect::new(Version::V311, "t0000")),
    }));
    let sent = |e: &Effect| matches!(e, Effect::Send { packet: Packet::ConnAck(_), .. });
    assert!(fleet.node.effects.iter().any(sent));
    fleet.run();
    let answer = fleet.take_reply(ReplyId(7)).unwrap().unwrap();
    assert_eq!(names(&answer, "things", "thingName").len(), 10);

    let body = r#"{"thingGroupName":"all","queryString":"*"}"#;
    let request = Fleet::request("CreateDynamicThingGroup", body).unwrap();
    fleet.node.input(Input::Call { reply: ReplyId(8), request });
    assert!(fleet.take_reply(ReplyId(8)).unwrap().is_ok());
    assert_eq!(fleet.status("all"), "BUILDING");
    // Changes meanwhile count, and a restart goes on.
    fleet.ask("DeleteThing", r#"{"thingName":"t2499"}"#);
    assert_eq!(fleet.status("all"), "ACTIVE");
    assert_eq!(fleet.found("thingGroupNames:all AND thingName:t249*").len(), 9);
    fleet.node.check();
}

#[test]
fn a_group_that_was_being_built_is_built_after_a_restart() {
    let mut fleet = Fleet::new();
    for number in 0..1_500 {
        fleet.thing(&format!("t{number:04}"), "{}");
    }
    let body = r#"{"thingGroupName":"all","queryString":"*"}"#;
    let request = Fleet::request("CreateDynamicThingGroup", body).unwrap();
    fleet.node.input(Input::Call { reply: ReplyId(8), request });
    assert_eq!(fleet.status("all"), "BUILDING");
    fleet.node.kill();
    fleet.run();
    assert_eq!(fleet.status("all"), "ACTIVE");
    assert_eq!(fleet.found("thingName:t1499 AND thingGroupNames:all"), ["t1499"]);
    fleet.node.check();
}

#[test]
fn an_index_is_not_searched_before_it_is_complete() {
    let mut fleet = Fleet { node: Node::new(), connections: 0 };
    let error = fleet.call("SearchIndex", r#"{"queryString":"*"}"#).unwrap_err();
    assert_eq!(error.code, "ResourceNotFoundException");
    for number in 0..1_500 {
        fleet.thing(&format!("t{number:04}"), "{}");
    }
    let on = r#"{"thingIndexingConfiguration":{"thingIndexingMode":"REGISTRY"}}"#;
    let request = Fleet::request("UpdateIndexingConfiguration", on).unwrap();
    fleet.node.input(Input::Call { reply: ReplyId(1), request });
    assert!(fleet.take_reply(ReplyId(1)).unwrap().is_ok());
    for (operation, body) in [
        ("DescribeIndex", r#"{"indexName":"AWS_Things"}"#),
        ("SearchIndex", r#"{"queryString":"*"}"#),
    ] {
        let request = Fleet::request(operation, body).unwrap();
        fleet.node.input(Input::Call { reply: ReplyId(2), request });
    }
    let described = fleet.take_reply(ReplyId(2)).unwrap().unwrap();
    assert_eq!(node::text(&described, "indexStatus"), "BUILDING");
    let refused = fleet.take_reply(ReplyId(2)).unwrap().unwrap_err();
    assert_eq!(refused.code, "IndexNotReadyException");
    fleet.run();
    assert_eq!(fleet.found("t1499"), ["t1499"]);
    let refused = fleet.call("SearchIndex", r#"{"queryString":"connectivity.connected:true"}"#);
    assert_eq!(refused.unwrap_err().code, "InvalidQueryException");
    fleet.node.check();
}

#[test]
fn pages_of_a_search_are_one_list() {
    let mut fleet = Fleet::new();
    for number in 0..23 {
        fleet.thing(&format!("t{number:02}"), r#"{"site":"oslo"}"#);
    }
    for query in ["*", "attributes.site:oslo", "NOT attributes.site:rome"] {
        let (mut all, mut token) = (Vec::new(), None::<String>);
        loop {
            let next = token.as_ref().map_or(String::new(), |it| format!(r#","nextToken":"{it}""#));
            let body = format!(r#"{{"queryString":"{query}","maxResults":5{next}}}"#);
            let answer = fleet.ask("SearchIndex", &body);
            let page = names(&answer, "things", "thingName");
            assert!(page.len() <= 5 && !page.is_empty(), "{query}");
            all.extend(page);
            token = Some(node::text(&answer, "nextToken")).filter(|it| !it.is_empty());
            if token.is_none() {
                break;
            }
        }
        let expected: Vec<String> = (0..23).map(|number| format!("t{number:02}")).collect();
        assert_eq!(all, expected, "{query}");
    }
}

/// One thing that happens to a small fleet.
#[derive(Debug, Clone)]
enum Happens {
    Thing(u8, u8),
    Gone(u8),
    Join(u8, u8),
    Connect(u8),
    Lost(u8),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0..6_u8, 0..3_u8).prop_map(|(thing, value)| Happens::Thing(thing, value)),
        1 => (0..6_u8).prop_map(Happens::Gone),
        2 => (0..6_u8, 0..2_u8).prop_map(|(thing, group)| Happens::Join(thing, group)),
        2 => (0..6_u8).prop_map(Happens::Connect),
        1 => (0..6_u8).prop_map(Happens::Lost),
    ]
}

const QUERIES: [&str; 9] = [
    "attributes.x:1",
    "attributes.x:[1 TO 2] AND connectivity.connected:true",
    "thingName:t* -thingGroupNames:g0",
    "thingGroupNames:g* OR connectivity.connected:false",
    "NOT attributes.x:*",
    "attributes.x:(0 OR 2) thingGroupNames:(g0 OR g1)",
    "t1 OR t2 OR attributes.x:>1",
    "connectivity.connected:true",
    "connectivity.disconnectReason:connection_lost",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The index finds what looking at everything finds (a double negation is not looked up), a
    /// dynamic group has what its query finds, and both survive a restart.
    #[test]
    fn the_index_the_groups_and_a_look_at_everything_agree(
        story in prop::collection::vec(happens(), 1..40),
    ) {
        let mut fleet = Fleet::new();
        fleet.group("g0");
        fleet.group("g1");
        for (number, query) in QUERIES.iter().enumerate() {
            fleet.dynamic(&format!("d{number}"), query);
        }
        let mut connected = std::collections::BTreeMap::new();
        for event in story {
            match event {
                Happens::Thing(thing, value) => {
                    let attributes = format!(r#"{{"x":"{value}"}}"#);
                    let name = format!("t{thing}");
                    if fleet.found(&name).is_empty() {
                        fleet.thing(&name, &attributes);
                    } else {
                        fleet.update(&name, &attributes);
                    }
                }
                Happens::Gone(thing) => {
                    fleet.ask("DeleteThing", &format!(r#"{{"thingName":"t{thing}"}}"#));
                }
                Happens::Join(thing, group) => {
                    let name = format!("t{thing}");
                    if !fleet.found(&name).is_empty() {
                        fleet.join(&format!("g{group}"), &name);
                    }
                }
                Happens::Connect(thing) => {
                    connected.insert(thing, fleet.connect(&format!("t{thing}")));
                }
                Happens::Lost(thing) => {
                    if let Some(connection) = connected.remove(&thing) {
                        fleet.lose(connection);
                    }
                }
            }
        }
        for restarted in [false, true] {
            for (number, query) in QUERIES.iter().enumerate() {
                let indexed = fleet.found(query);
                let scanned = fleet.found(&format!("NOT (NOT ({query}))"));
                prop_assert_eq!(&indexed, &scanned, "{} restarted {}", query, restarted);
                let members = fleet.members(&format!("d{number}"));
                prop_assert_eq!(&indexed, &members, "{} restarted {}", query, restarted);
            }
            fleet.node.check();
            fleet.node.kill();
            fleet.run();
        }
    }
}
