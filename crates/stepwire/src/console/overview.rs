//! The overview.

use stepwire_console::pages::Problem;
use stepwire_console::{Page, pages};

use super::live::{Interest, Topic};
use super::visit::Visit;

pub(super) fn interest() -> Interest {
    Interest::in_topics([Topic::Devices, Topic::Executions], 1_000)
}

pub(super) async fn page(visit: &Visit) -> Result<Page, Problem> {
    let addresses = visit.node().addresses();
    Ok(pages::overview::page(&pages::overview::View {
        online: visit.node().connected() as u64,
        http: addresses.http.to_string(),
        mqtts: addresses.mqtts.to_string(),
    }))
}
