//! The pages in this folder: what a server must do by MQTT 3.1.1 and 5.0, packet by packet.
//!
//! A page's sections each name the normative statements they prove (`**5.0** 3.1.2-4`) and hold
//! scripts. Each is played against a node, over a socket, by a client that knows nothing of the
//! product's codec; what it leaves behind is then taken away. `docs/dev/mqtt-clauses.md` lists every statement and where it is
//! proven.
//!
//! `PAGE=publish cargo test -p stepwire --test clauses` plays the sections whose page and title have
//! `publish` in them; `UPDATE=1` writes into the table where each clause is proven.
//!
//! | line of a `script` | what happens |
//! |---|---|
//! | `a joins WORDS` | client `a` sends CONNECT with a clean start and must be accepted; `a joins 3.1.1` with that version |
//! | `a returns WORDS` | the same without a clean start, and its session must be there |
//! | `a > PACKET` | `a` sends it; see `packet` for how one is written |
//! | `a > bytes HEX`, `a > packet HEX` | `a` sends bytes as they are, or a first byte and a body, with the length between them |
//! | `a < PACKET` | this must come next; a final `...` lets more words follow, `x*` is any word with this start, `name=1\|2` one of both |
//! | `a < PUBLISH t x qos=1 #p` | the server chose the packet identifier: `#p` stands for it from now on, and for no other of `a` |
//! | `a < nothing` | nothing is on its way: PINGREQ is answered next |
//! | `a < closed` | the server has closed, without a further byte |
//! | `a ended 0x82` | the server closes; in 5.0 it says why first |
//! | `a leaves`, `a cuts` | DISCONNECT, and the server closes; or the connection just breaks |
//! | `a opens mqtt`, `a refused-to-open x` | a WebSocket with this subprotocol; each packet is a frame then |
//! | `a > frames HEX \| HEX`, `a > text-frame HEX` | so many binary frames; a frame of text |
//! | `a floods 1024` | that many QoS 2 messages, identifiers from 1 on, each answered with PUBREC and none released |
//! | `wait 1200ms` | time passes |
//!
//! In `refused`, each line is a connection: CONNECT is accepted, `BYTES => REASON` ends it. In
//! `first-packet`, the bytes are the first that are sent: `BYTES => CONNACK 0x85`, or `closed`. A
//! fence names the versions it is for: `script 3.1.1 and 5.0` is played with each. After a
//! comma come options of the node: `keep-alive-max=1`, `no-anonymous`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clause;
mod client;
mod packet;
mod page;
mod play;
mod table;
mod websocket;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::future::join_all;
use stepwire::config::{Config, Storage};
use stepwire::node::Node;

use packet::Version;
use page::{Block, Script};

/// Nodes at the same time, each playing one script after the other.
const NODES: usize = 8;

fn scripts() -> Vec<Script> {
    page::scripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clauses"))
}

/// A block with one of its versions.
struct Play<'a> {
    script: &'a Script,
    block: &'a Block,
    version: Version,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_script_gets_exactly_the_answers_it_names() {
    let wanted = std::env::var("PAGE").unwrap_or_default();
    let scripts = scripts();
    // by the options of their node
    let mut plays: BTreeMap<&[String], Vec<Play<'_>>> = BTreeMap::new();
    for script in scripts.iter().filter(|script| name(script).to_lowercase().contains(&wanted)) {
        for block in &script.blocks {
            let of_block = block.versions.iter().map(|&version| Play { script, block, version });
            plays.entry(&block.options).or_default().extend(of_block);
        }
    }
    assert!(!plays.is_empty(), "no section has `{wanted}` in its name");
    let plays: Vec<_> = plays.iter().map(|(options, plays)| all_played(options, plays)).collect();
    let wrong = join_all(plays).await.concat();
    assert!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Plays blocks on nodes with the same options; says what went wrong.
async fn all_played(options: &[String], plays: &[Play<'_>]) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let nodes = (0..NODES.min(plays.len())).map(async |_| {
        let folder = tempfile::tempdir().unwrap();
        let node = node(options, folder.path()).await;
        let mut wrong = Vec::new();
        while let Some(Play { script, block, version }) = plays.get(next.fetch_add(1, Relaxed)) {
            if let Err(why) = play::play(block, *version, &node).await {
                wrong.push(format!("{}, {version:?}\n  {why}", name(script)));
            }
        }
        node.stop().await;
        wrong
    });
    join_all(nodes).await.concat()
}

async fn node(options: &[String], folder: &Path) -> Node {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = Config {
        storage: Storage::Memory(folder.to_owned()),
        http: free,
        mqtts: free,
        mqtt: Some(free),
        allow_anonymous: true,
        ..Config::default()
    };
    for option in options {
        match option.split_once('=') {
            Some(("keep-alive-max", seconds)) => config.keep_alive_s_max = seconds.parse().unwrap(),
            _ if option == "no-anonymous" => config.allow_anonymous = false,
            _ => panic!("no option is called {option}"),
        }
    }
    Node::start(config).await.unwrap()
}

#[test]
fn the_table_says_of_every_clause_where_it_is_proven_or_why_not() {
    let scripts = scripts();
    let text = std::fs::read_to_string(table::path()).unwrap();
    let now = table::rewritten(&text, &scripts);
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        std::fs::write(table::path(), &now).unwrap();
    }
    let faults = table::faults(&now, &scripts);
    assert!(faults.is_empty(), "{faults}");
    let told = std::fs::read_to_string(table::path()).unwrap();
    assert!(told == now, "the table is behind the pages: UPDATE=1 writes it");
}

fn name(script: &Script) -> String {
    format!("{}: {}", script.page, script.title)
}
