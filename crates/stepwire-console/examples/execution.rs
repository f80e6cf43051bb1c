//! Writes the page of a recorded run, to be looked at in a browser without a node:
//! `cargo run -p stepwire-console --example execution -- HISTORY DEFINITION [QUERY] > page.html`.

#![expect(clippy::print_stdout, reason = "what it writes is its result")]
#![expect(clippy::disallowed_methods, reason = "an example reads files")]

use std::error::Error;

use stepwire_asl::Json;
use stepwire_console::assets::{Assets, SCRIPT, STYLE};
use stepwire_console::pages::execution::{self, About, Lane, Look, Span, View};
use stepwire_console::run::{Facts, Run, read_history};
use stepwire_console::{Counts, Frame, Node};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("HISTORY DEFINITION [QUERY]");
    let events = read_history(&std::fs::read_to_string(next()?)?)?;
    let definition = Json::parse(&std::fs::read_to_string(next()?)?)?;
    let query = next().unwrap_or_default();
    let member = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(of, _)| *of == name).map(|(_, value)| value.replace("%20", " "))
    };
    let look = Look::read(member);
    let all = events.len();
    let until = look.at.map_or(all, |at| at as usize);
    let run = Run::of(events.into_iter().take(until), Some(&definition));
    let start = run.started.unwrap_or_default();
    let now = run.last_at().unwrap_or(start).plus_ms(8_400);
    let point = |lane: Lane, ms: i64, class: &'static str, label: &str| Span {
        lane,
        from: start.plus_ms(ms),
        to: Some(start.plus_ms(ms)),
        class,
        label: label.to_owned(),
        title: label.to_owned(),
        href: None,
    };
    let spans = vec![
        Span { to: None, ..point(Lane::Device, -20, "on", "connected") },
        point(Lane::Mqtt, -20, "out", "presence/connected · 212 B"),
        point(Lane::Mqtt, 70, "out", "config_req · 142 B"),
        point(Lane::Rules, -20, "rule", "StartCMStateMachine"),
    ];
    let facts = Facts {
        device: Some("CM-Test".into()),
        presence: Some((true, start)),
        answer: Some(("CompleteConfiguration".into(), "devices/+/config_resp".into())),
        sent: Some(("devices/CM-Test/config_req".into(), start.plus_ms(70))),
        ..Facts::default()
    };
    let about = About {
        workflow: "ConfigManagement".to_owned(),
        name: "a3f9-CM-Test".to_owned(),
        arn: "arn:aws:states:us-east-1:000000000000:execution:ConfigManagement:a3f9-CM-Test"
            .to_owned(),
        version: Some("3".to_owned()),
        is_gone: false,
        rule: Some("StartCMStateMachine".into()),
        topic: None,
        parent: None,
        map_run: None,
        redrive: Err("it has not ended".to_owned()),
        neighbours: (Some("#".to_owned()), None),
    };
    let about = Some(about);
    let view = View {
        run,
        events: all,
        now,
        about,
        facts,
        look,
        spans,
        group: None,
        logs: Vec::new(),
        map_runs: Vec::new(),
    };
    let assets = Assets::new("x");
    let node = Node {
        version: "0.1.0".to_owned(),
        region: "us-east-1".to_owned(),
        store: "memory".to_owned(),
        online: 996,
    };
    let frame =
        Frame { assets: &assets, counts: Counts::default(), node, live: None, searched: "", now };
    let document = frame.document(&execution::page(&view));
    let style = format!("<style>{STYLE}</style></head>");
    let script = format!("<script type=\"module\">{SCRIPT}</script></body>");
    println!("{}", document.replace("</head>", &style).replace("</body>", &script));
    Ok(())
}
