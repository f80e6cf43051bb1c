//! Functions: all of them.

use stepwire_console::Page;
use stepwire_console::pages::functions::{Function, Last, View};
use stepwire_console::pages::{self, Problem};
use stepwire_core::functions::{self, FunctionRecord};

use super::live::{Interest, Topic};
use super::visit::Visit;
use crate::node::Node;
use crate::shard;

/// Functions on a page.
const LISTED: usize = 200;

pub(super) fn interest() -> Interest {
    let every = Some(std::time::Duration::from_secs(2));
    Interest { every, ..Interest::in_topics([Topic::Functions], 1_000) }
}

pub(super) fn page(visit: &Visit) -> Result<Page, Problem> {
    let node = visit.node();
    let query = visit.query("q").unwrap_or_default();
    let read = node.snapshot();
    let failed = |why: String| Problem { status: 500, what: why, hint: None };
    let all = shard::catch(|| functions::all(&read)).map_err(|error| failed(error.to_string()))?;
    let mut all = all.map_err(|corrupt| failed(corrupt.to_string()))?;
    all.retain(|record| record.name.contains(&query));
    let view = View {
        functions: all.iter().take(LISTED).map(|record| row(node, record)).collect(),
        more: all.len().saturating_sub(LISTED),
        query,
        now: visit.now(),
    };
    Ok(pages::functions::page(&view))
}

fn row(node: &Node, record: &FunctionRecord) -> Function {
    let latest = node.invocations().of(&record.name);
    let last = latest.invocations.first().map(|invocation| Last {
        at: invocation.at,
        took_us: invocation.took.as_micros() as u64,
        failed: invocation.failed,
    });
    Function {
        name: record.name.to_string(),
        runtime: record.runtime.to_string(),
        memory_mb: record.memory_mb.into(),
        timeout_s: record.timeout_s.into(),
        code_bytes: record.code.bytes,
        ran: (latest.ran, latest.failed),
        last,
    }
}
