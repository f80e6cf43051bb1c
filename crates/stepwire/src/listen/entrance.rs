//! The gate in the world: listeners ask it for a ticket for every connection that they accept.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stepwire_asl::Timestamp;
use tokio::sync::{Notify, oneshot};
use tokio::time;

use super::gate::{Answer, Gate, Limits};
use crate::warnings::Warnings;

/// One gate for all listeners of a node.
#[derive(Debug)]
pub struct Entrance {
    started: Instant,
    state: Mutex<State>,
    /// A stranger has left or said who it is.
    place: Notify,
    warnings: Arc<Warnings>,
}

#[derive(Debug)]
struct State {
    gate: Gate,
    /// Strangers; dropping the sender tells one to go.
    strangers: HashMap<u64, oneshot::Sender<()>>,
}

impl Entrance {
    /// An entrance that nobody has passed; who is turned away is named in `warnings`.
    pub fn new(limits: Limits, warnings: Arc<Warnings>) -> Arc<Entrance> {
        let gate = Gate::new(limits, Timestamp(0));
        Arc::new(Entrance {
            started: Instant::now(),
            state: Mutex::new(State { gate, strangers: HashMap::new() }),
            place: Notify::new(),
            warnings,
        })
    }

    /// A ticket for a connection from `ip`, which must be kept as long as the connection is open;
    /// `None` if it is to be closed, which has been logged. Waits while there are too many that
    /// have not said who they are: nobody else need be accepted meanwhile.
    pub async fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Ticket> {
        loop {
            let place = self.place.notified();
            let answer = self.state().gate.enter(ip, self.now());
            match answer {
                Answer::Enter { number, instead_of } => {
                    return Some(self.ticket(ip, number, instead_of));
                }
                Answer::Refuse(why) => {
                    self.warnings.turned_away(ip, why);
                    return None;
                }
                Answer::Wait(until) => {
                    let wait_ms = until.since_ms(self.now()).max(1).unsigned_abs();
                    let _ = time::timeout(Duration::from_millis(wait_ms), place).await;
                }
            }
        }
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.state().gate.connections()
    }

    fn ticket(self: &Arc<Self>, ip: IpAddr, number: u64, instead_of: Option<u64>) -> Ticket {
        let (stays, has_to_go) = oneshot::channel();
        let mut state = self.state();
        state.strangers.insert(number, stays);
        if let Some(gone) = instead_of {
            state.strangers.remove(&gone);
        }
        let entrance = Arc::clone(self);
        Ticket { entrance, ip, number, has_to_go: Some(has_to_go), is_good: false }
    }

    fn now(&self) -> Timestamp {
        Timestamp(i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right of one connection to be open. Dropped when it is not any more.
#[derive(Debug)]
pub struct Ticket {
    entrance: Arc<Entrance>,
    ip: IpAddr,
    number: u64,
    /// Until it has said who it is.
    has_to_go: Option<oneshot::Receiver<()>>,
    is_good: bool,
}

impl Ticket {
    /// Done when the connection has to make way for another: only as long as it has not been
    /// [introduced](Ticket::introduced), and not at once.
    pub async fn has_to_go(&mut self) {
        match &mut self.has_to_go {
            Some(has_to_go) => drop(has_to_go.await),
            None => std::future::pending().await,
        }
    }

    /// The connection has said who it is: a whole CONNECT or HTTP request was read.
    pub fn introduced(&mut self) {
        if self.has_to_go.take().is_some() {
            let mut state = self.entrance.state();
            state.gate.introduced(self.number);
            state.strangers.remove(&self.number);
            drop(state);
            self.entrance.place.notify_one();
        }
    }

    /// The time by the entrance's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.entrance.now()
    }

    /// The connection's client sends faster than it may, and is read from more slowly.
    pub(crate) fn slowed(&self, client: &str) {
        self.entrance.warnings.slowed(client, self.ip);
    }

    /// The connection was let in: its end is no failure of its address.
    pub fn approve(&mut self) {
        self.is_good = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let now = self.entrance.now();
        let mut state = self.entrance.state();
        state.strangers.remove(&self.number);
        state.gate.leave(self.number, self.ip, !self.is_good, now);
        drop(state);
        self.entrance.place.notify_one();
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn entrance(limits: Limits) -> Arc<Entrance> {
        Entrance::new(limits, Arc::default())
    }

    #[tokio::test]
    async fn a_place_is_free_again_when_its_ticket_is_gone() {
        let entrance = entrance(Limits { connections_max: 1, ..Limits::default() });
        let ticket = entrance.enter(ME).await.unwrap();
        assert!(entrance.enter(ME).await.is_none());
        drop(ticket);
        assert!(entrance.enter(ME).await.is_some());
    }

    #[tokio::test]
    async fn a_newcomer_waits_until_a_stranger_says_who_it_is() {
        let limits = Limits { strangers_max: 1, stranger_grace_ms: 60_000, ..Limits::default() };
        let entrance = entrance(limits);
        let mut first = entrance.enter(ME).await.unwrap();
        let second = tokio::spawn({
            let entrance = Arc::clone(&entrance);
            async move { entrance.enter(ME).await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        first.introduced();
        assert!(second.await.unwrap());
    }

    #[tokio::test]
    async fn a_silent_stranger_is_told_to_go_for_a_newcomer() {
        let limits = Limits { strangers_max: 1, stranger_grace_ms: 1, ..Limits::default() };
        let entrance = entrance(limits);
        let mut silent = entrance.enter(ME).await.unwrap();
        let newcomer = entrance.enter(ME).await.unwrap();
        silent.has_to_go().await;
        drop((silent, newcomer));
        assert_eq!(entrance.connections(), 0);
    }
}
