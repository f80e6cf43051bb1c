//! Overview: what goes on, and what needs attention.

use maud::html;

use crate::frame::{Crumb, Page, Section};
use crate::region::Parts;
use crate::words::count;

/// What the overview shows.
#[derive(Debug, Clone)]
pub struct View {
    /// Clients connected now.
    pub online: u64,
    /// Address of AWS APIs and console.
    pub http: String,
    /// Address of MQTT over TLS.
    pub mqtts: String,
}

/// Draws it.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let numbers = parts.region(
        "numbers",
        html! {
            div.kp { div.card { span { "Online" } b { (count(view.online)) } } }
        },
    );
    let main = html! {
        div.head { h1 { "Overview" } }
        (numbers)
        section.card.pad aria-labelledby="reach" {
            h2 #reach { "Endpoints" }
            dl {
                dt { "AWS API" } dd.mono { "http://" (view.http) }
                dt { "MQTT" } dd.mono { "mqtts://" (view.mqtts) }
            }
        }
    };
    let crumbs = vec![Crumb::here("Overview")];
    Page { title: "Overview".to_owned(), section: Section::Overview, crumbs, main, parts }
}
