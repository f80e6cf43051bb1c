//! The console page: what runs, what failed, who is connected. Plain HTML, readable without script.

use std::fmt::Write as _;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use stepwire_asl::Json;
use stepwire_core::{Request, Service};

use crate::node::Node;

/// Executions shown for each state machine.
const SHOWN: i64 = 25;

const STYLE: &str = include_str!("console.css");

/// The style sheet.
pub(crate) fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// The overview page.
pub(crate) async fn page(node: &Node) -> Response {
    let machines = list(node, Service::States, "ListStateMachines", "stateMachines", &[]).await;
    let rules = list(node, Service::Iot, "ListTopicRules", "rules", &[]).await;
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>stepwire</title>\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <link rel=\"stylesheet\" href=\"/console.css\"></head><body>",
    );
    let addresses = node.addresses();
    let _ = write!(
        html,
        "<header><h1>stepwire</h1><p>{} devices online</p></header><main>\
         <section><h2>Endpoints</h2><dl><dt>AWS API</dt><dd><code>http://{}</code></dd>\
         <dt>MQTT</dt><dd><code>mqtts://{}</code></dd></dl></section>",
        node.connected(),
        addresses.http,
        addresses.mqtts,
    );
    for machine in &machines {
        executions(node, machine, &mut html).await;
    }
    if machines.is_empty() {
        html.push_str(
            "<section><h2>No state machines yet</h2><p>Run <code>stepwire demo</code>, or create one \
             with <code>aws stepfunctions create-state-machine</code>.</p></section>",
        );
    }
    html.push_str("<section><h2>Rules</h2><table><thead><tr><th>Rule</th><th>Topic</th><th>State</th></tr></thead><tbody>");
    for rule in &rules {
        let disabled = rule.member("ruleDisabled").and_then(Json::as_bool) == Some(true);
        let state = if disabled { "disabled" } else { "enabled" };
        let _ = write!(
            html,
            "<tr><td>{}</td><td><code>{}</code></td><td>{state}</td></tr>",
            text(rule, "ruleName"),
            text(rule, "topicPattern"),
        );
    }
    html.push_str("</tbody></table></section></main></body></html>");
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    (headers, html).into_response()
}

async fn executions(node: &Node, machine: &Json, html: &mut String) {
    let arn = machine.member("stateMachineArn").cloned().unwrap_or_default();
    let members = [("stateMachineArn", arn), ("maxResults", SHOWN.into())];
    let runs = list(node, Service::States, "ListExecutions", "executions", &members).await;
    let _ = write!(
        html,
        "<section><h2>{}</h2><table><thead><tr><th>Execution</th><th>Status</th><th>Started</th>\
         <th>Took</th></tr></thead><tbody>",
        text(machine, "name")
    );
    for run in &runs {
        let status = text(run, "status");
        let time = |name: &str| run.member(name).and_then(Json::as_f64);
        let started = time("startDate").unwrap_or_default();
        let started_at = stepwire_asl::Timestamp((started * 1_000.0) as i64).rfc3339();
        let took = match time("stopDate") {
            Some(stopped) => format!("{:.2} s", stopped - started),
            None => "–".to_owned(),
        };
        let _ = write!(
            html,
            "<tr class=\"{}\"><td>{}</td><td>{} {status}</td><td>{started_at}</td><td>{took}</td></tr>",
            status.to_lowercase(),
            text(run, "name"),
            mark(&status),
        );
    }
    if runs.is_empty() {
        html.push_str("<tr><td colspan=\"4\">none yet</td></tr>");
    }
    html.push_str("</tbody></table></section>");
}

/// Colour is never the only sign.
fn mark(status: &str) -> &'static str {
    match status {
        "RUNNING" => "◌",
        "SUCCEEDED" => "✓",
        "ABORTED" => "■",
        _ => "✕",
    }
}

async fn list(
    node: &Node,
    service: Service,
    operation: &str,
    name: &str,
    members: &[(&'static str, Json)],
) -> Vec<Json> {
    let body = Json::object(members.iter().cloned());
    let Some(Ok(request)) = Request::parse(service, operation, &body) else { return Vec::new() };
    let answer = node.call(request).await.unwrap_or_default();
    answer.member(name).and_then(Json::as_array).unwrap_or_default().to_vec()
}

/// A member's text with everything that HTML would read as markup replaced.
fn text(json: &Json, name: &str) -> String {
    let text = json.member(name).and_then(Json::as_str).unwrap_or_default();
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_bring_markup() {
        let json = Json::object([("name", Json::from("<img src=x onerror='alert(1)'>&\""))]);
        assert_eq!(text(&json, "name"), "&lt;img src=x onerror=&#39;alert(1)&#39;&gt;&amp;&quot;");
    }
}
