//! Rights that change while clients are connected.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwire_asl::Timestamp;

use super::authorize::{Asked, Authorize, ConnectAttributes, Principal};
use super::ending::Ending;
use super::session::{Session, SessionId};
use super::{Action, Broker, Out, Refusal, Turn};
use crate::message::Client;
use crate::mqtt::ReasonCode;
use crate::settings::Settings;

/// Whose right to be connected a change may have taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concern {
    /// Those who connected with one of these certificates.
    Certificates(BTreeSet<Arc<str>>),
    /// All who connected with a certificate.
    Everyone,
}

impl Broker {
    /// Ends the connections concerned that may no longer be: an MQTT 5.0 client gets DISCONNECT
    /// with 0x87 (not authorized), presence says `AUTH_ERROR`. What they do otherwise is asked for
    /// at each use.
    pub fn recheck(
        &mut self,
        now: Timestamp,
        concern: &Concern,
        authorize: &dyn Authorize,
        settings: &Settings,
        out: &mut Out,
    ) {
        let turn = &mut Turn { now, authorize, settings, out };
        let sessions: Vec<SessionId> = match concern {
            Concern::Everyone => self.by_certificate.values().flatten().copied().collect(),
            Concern::Certificates(ids) => {
                let of = |id: &Arc<str>| self.by_certificate.get(id).into_iter().flatten();
                ids.iter().flat_map(of).copied().collect()
            }
        };
        for id in sessions {
            let Some(session) = self.sessions.get(id) else { continue };
            if let Err(why) = may_stay(session, turn) {
                let client = Arc::clone(&session.record.client.id);
                turn.out.refusals.push(Refusal {
                    device: Some(Arc::clone(&client)),
                    action: Action::Connect,
                    topic: client,
                    why: why.into(),
                });
                self.close(id, ReasonCode::NotAuthorized, Ending::AuthError, turn);
            }
        }
    }

    pub(super) fn note_open(&mut self, id: SessionId) {
        if let Some(certificate) = self.certificate_of(id) {
            self.by_certificate.entry(certificate).or_default().insert(id);
        }
    }

    pub(super) fn note_closed(&mut self, id: SessionId) {
        let Some(certificate) = self.certificate_of(id) else { return };
        let Some(sessions) = self.by_certificate.get_mut(&certificate) else { return };
        sessions.remove(&id);
        if sessions.is_empty() {
            self.by_certificate.swap_remove(&certificate);
        }
    }

    fn certificate_of(&self, id: SessionId) -> Option<Arc<str>> {
        self.sessions.get(id)?.record.client.identity.certificate().cloned()
    }
}

/// Asks again what was asked at the connect.
fn may_stay(session: &Session, turn: &Turn<'_>) -> Result<(), String> {
    let Client { id, identity, ip, profile, .. } = &*session.record.client;
    let principal = Principal {
        identity: identity.clone(),
        ip: *ip,
        profile: *profile,
        anonymous_allowed: true,
    };
    let attributes = ConnectAttributes {
        last_will: session.record.will.is_some(),
        persistent: session.record.expiry_s > 0,
    };
    let asked = Asked { client_id: id, attributes };
    let admitted = turn.authorize.connect_as(&principal, asked);
    admitted.map(|_| ()).map_err(|refused| refused.to_string())
}
