//! `GET /-/events`: what becomes durable, as server-sent events.

use std::convert::Infallible;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};

use crate::node::Node;
use crate::observe::Observation;

/// Everything that becomes durable from now on, one [`Observation`] as JSON an event, until the
/// node stops or the reader falls too far behind.
pub(crate) fn stream(node: &Node) -> Response {
    let observed = stream::unfold(node.observe(), async |mut observations| {
        Some((observations.recv().await?, observations))
    });
    let events = observed
        .take_until(node.stopping())
        .map(|observation| Ok::<_, Infallible>(event(&observation)));
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

/// Plain fields always have a JSON form.
fn event(observation: &Observation) -> Event {
    Event::default().data(serde_json::to_string(observation).unwrap_or_default())
}
