//! Plays scripts: sends what they say, and compares what comes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stepwire::node::Node;
use tokio::time::{sleep, timeout};

use crate::client::{Client, matches};
use crate::packet::{Version, encode, words};
use crate::page::{Block, Kind};

/// What is waited for comes sooner, unless it never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) type Result<T> = std::result::Result<T, String>;

/// Plays a block against `node`; an error says which line did not go as written.
pub(crate) async fn play(block: &Block, version: Version, node: &Node) -> Result<()> {
    let ids = BTreeSet::from(["x".to_owned()]);
    let (clients, letters) = (BTreeMap::new(), BTreeMap::new());
    let mut stage = Stage { node, version, clients, ids, letters };
    let mut result = Ok(());
    for (number, line) in &block.lines {
        let played = match block.kind {
            Kind::Script => stage.line(line).await,
            Kind::Refused => stage.refused(line, true).await,
            Kind::FirstPacket => stage.refused(line, false).await,
        };
        result = played.map_err(|why| format!("line {number}: {line}\n    {why}"));
        if result.is_err() {
            break;
        }
    }
    let swept = stage.swept().await;
    result?;
    swept
}

struct Stage<'a> {
    node: &'a Node,
    version: Version,
    clients: BTreeMap<String, Client>,
    /// Client identifiers that may have a session.
    ids: BTreeSet<String>,
    /// Packet identifiers of the server by client and letter.
    letters: BTreeMap<(String, String), String>,
}

impl Stage<'_> {
    async fn line(&mut self, line: &str) -> Result<()> {
        let (name, rest) = line.split_once(' ').ok_or("a line has at least two words")?;
        let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        if name == "wait" {
            sleep(Duration::from_millis(verb.trim_end_matches("ms").parse().unwrap())).await;
            return Ok(());
        }
        match verb {
            "joins" | "returns" => return self.connects(name, verb, rest).await,
            "cuts" => return self.cuts(name).await,
            "opens" | "refused-to-open" => return self.opens_websocket(name, verb, rest).await,
            _ => {}
        }
        if !self.clients.contains_key(name) {
            self.open(name).await?;
        }
        self.ids.extend(
            words(rest).iter().filter_map(|word| word.strip_prefix("id=")).map(str::to_owned),
        );
        let client = self.clients.get_mut(name).unwrap();
        match verb {
            ">" => {
                let line = numbered(&self.letters, name, rest);
                return match line.split_once(' ') {
                    Some(("frames", parts)) => client.send_frames(parts).await,
                    Some(("text-frame", bytes)) => client.send_text(bytes).await,
                    _ => client.send(&client.bytes(&line)).await,
                };
            }
            "<" if rest == "nothing" => return client.nothing().await,
            "<" if rest == "closed" => client.closed().await?,
            "<" => {
                let found = client.packet().await?.ok_or("the server has closed")?;
                let found = self.lettered(name, rest, &found);
                return if matches(rest, &found) { Ok(()) } else { Err(format!("came: {found}")) };
            }
            "floods" => return client.floods(rest.parse().unwrap()).await,
            "ended" => client.ended(rest).await?,
            "leaves" => {
                client.send(&encode(client.version, &format!("DISCONNECT {rest}"))).await?;
                client.closed().await?;
            }
            _ => return Err(format!("no verb is called {verb}")),
        }
        self.clients.remove(name);
        Ok(())
    }

    /// Takes away what the script has left: sessions, and retained messages.
    async fn swept(&mut self) -> Result<()> {
        self.clients.clear();
        self.version = Version::V311;
        for id in std::mem::take(&mut self.ids) {
            // one that was refused is refused again
            let _ = self.connects("sweeper", "joins", &format!("id={id}")).await;
        }
        if self.connects("sweeper", "joins", "").await.is_err() {
            // a node that lets nobody in
            return Ok(());
        }
        let sweeper = self.clients.get_mut("sweeper").unwrap();
        sweeper.send(&encode(Version::V311, "SUBSCRIBE #1 # qos=0")).await?;
        sweeper.send(&encode(Version::V311, "PINGREQ")).await?;
        loop {
            let packet = sweeper.packet().await?.ok_or("the server has closed")?;
            match words(&packet).as_slice() {
                ["PUBLISH", topic, .., "retain"] => {
                    let nothing = format!("PUBLISH {topic} \"\" retain");
                    sweeper.send(&encode(Version::V311, &nothing)).await?;
                }
                ["PINGRESP"] => break,
                _ => {}
            }
        }
        sweeper.send(&encode(Version::V311, "UNSUBSCRIBE #2 #")).await?;
        loop {
            let packet = sweeper.packet().await?.ok_or("the server has closed")?;
            if packet.starts_with("UNSUBACK") {
                return Ok(());
            }
        }
    }

    /// Puts the letter that `wanted` has for a packet identifier in its place, unless the letter
    /// stands for another, or the identifier for another letter.
    fn lettered(&mut self, name: &str, wanted: &str, found: &str) -> String {
        let is_letter = |word: &&str| word.len() == 2 && word[1..].starts_with(char::is_alphabetic);
        let letter =
            words(wanted).into_iter().find(|word| word.starts_with('#') && is_letter(word));
        let number = words(found).into_iter().find(|word| word.starts_with('#') && word.len() > 1);
        let (Some(letter), Some(number)) = (letter, number) else { return found.to_owned() };
        let key = (name.to_owned(), letter.to_owned());
        let taken = self.letters.iter().any(|((of, _), is)| of == name && is == number);
        if !taken {
            self.letters.entry(key.clone()).or_insert_with(|| number.to_owned());
        }
        let known = self.letters.get(&key).is_some_and(|is| is == number);
        if known { found.replacen(number, letter, 1) } else { found.to_owned() }
    }

    /// Breaks a connection; done when the server has noticed.
    async fn cuts(&mut self, name: &str) -> Result<()> {
        let open = self.node.connected();
        self.clients.remove(name).ok_or("it is not connected")?;
        let noticed = async {
            while self.node.connected() >= open {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, noticed).await.map_err(|_| "the server does not notice".to_owned())
    }

    async fn open(&mut self, name: &str) -> Result<()> {
        let address = self.node.addresses().mqtt.unwrap();
        let client = Client::connect(address, self.version).await?;
        self.clients.insert(name.to_owned(), client);
        Ok(())
    }

    /// `a opens mqtt`: a WebSocket with this subprotocol.
    async fn opens_websocket(&mut self, name: &str, verb: &str, offered: &str) -> Result<()> {
        let mut client = Client::connect(self.node.addresses().http, self.version).await?;
        match (verb, client.upgrade(offered).await) {
            ("opens", opened) => opened?,
            (_, Ok(())) => return Err("it was opened".to_owned()),
            (_, Err(head)) if head.starts_with("http/1.1 400") => return Ok(()),
            (_, Err(head)) => return Err(head),
        }
        self.clients.insert(name.to_owned(), client);
        Ok(())
    }

    /// `a joins`: CONNECT with a clean start, and accepted. `a returns`: to its session.
    async fn connects(&mut self, name: &str, verb: &str, rest: &str) -> Result<()> {
        self.open(name).await?;
        self.ids.insert(name.to_owned());
        let client = self.clients.get_mut(name).unwrap();
        let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let rest = match Version::parse(first) {
            Some(version) => {
                client.version = version;
                after
            }
            None => rest,
        };
        let named = rest.split(' ').any(|word| word.starts_with("id="));
        let id = if named { String::new() } else { format!("id={name} ") };
        let keep = if verb == "returns" { "keep " } else { "" };
        client.send(&encode(client.version, &format!("CONNECT {keep}{id}{rest}"))).await?;
        client
            .expect(if verb == "returns" { "CONNACK 0 present ..." } else { "CONNACK 0 ..." })
            .await
    }

    /// `BYTES => ANSWER`, on a connection of its own that ends with it.
    async fn refused(&mut self, line: &str, joined: bool) -> Result<()> {
        let line = line.split(" -- ").next().unwrap();
        let (bytes, answer) = line.split_once(" => ").ok_or("there is no =>")?;
        if joined {
            self.connects("x", "joins", "").await?;
        } else {
            self.open("x").await?;
        }
        let client = self.clients.get_mut("x").unwrap();
        client.send(&client.bytes(bytes)).await?;
        match answer.trim() {
            "closed" => client.closed().await,
            code if joined => client.ended(code).await,
            packet => {
                let says_why = packet.starts_with("CONNACK 0x");
                client.version = if says_why { Version::V5 } else { Version::V311 };
                client.expect(packet).await?;
                client.closed().await
            }
        }
    }
}

/// Puts packet identifiers in the place of their letters.
fn numbered(letters: &BTreeMap<(String, String), String>, name: &str, line: &str) -> String {
    let of_client = letters.iter().filter(|((of, _), _)| of == name);
    of_client.fold(line.to_owned(), |line, ((_, letter), number)| line.replace(letter, number))
}
