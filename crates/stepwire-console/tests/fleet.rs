//! Lists of executions and devices, and a device's page: what they say, and that nothing in them
//! is anything but text.
#![expect(clippy::unwrap_used, reason = "tests")]

mod page;

use stepwire_asl::{Json, Timestamp};
use stepwire_console::pages::device::{
    Answer, Certificate, Event, Jobs, Kept, Messages, Policy, Publish, Shadow, Start, Tab,
    View as Device, What,
};
use stepwire_console::pages::devices::{self, Presence};
use stepwire_console::pages::executions::{self, Ask, Choice, Deed, Done, Row, Wanted};
use stepwire_console::pages::jobs::{Execution, ExecutionStatus};
use stepwire_console::pages::{device, search};
use stepwire_console::timeline::{End, Item, Lane, Look, Timeline};
use stepwire_console::words::Status;

use page::{HOSTILE, check, said};

const NOW: Timestamp = Timestamp(1_796_000_000_000);

fn before(ms: i64) -> Timestamp {
    NOW.plus_ms(-ms)
}

fn row(name: &str, status: Status) -> Row {
    Row {
        workflow: "ConfigManagement".to_owned(),
        name: name.to_owned(),
        status,
        error: None,
        device: Some("gw-1".to_owned()),
        state: Some("WaitForConfirmation".to_owned()),
        until: None,
        started: before(4_200),
        stopped: None,
        redrives: 0,
    }
}

fn list(rows: Vec<Row>) -> executions::View {
    let choice = |name, chosen| Choice {
        name,
        href: "/executions?status=failed".to_owned(),
        count: Some(1_204),
        chosen,
    };
    executions::View {
        now: NOW,
        address: "/executions?status=failed".to_owned(),
        wanted: Wanted { text: Some(HOSTILE.to_owned()), ..Wanted::default() },
        workflows: vec!["ConfigManagement".to_owned(), HOSTILE.to_owned()],
        choices: vec![choice("All", false), choice("Failed", true)],
        rows,
        new: Some((3, "/executions".to_owned())),
        older: Some("/executions?before=7".to_owned()),
        newest: None,
        searched_to: None,
        known_since: Some(before(3_600_000)),
        redrivable: 20,
        stoppable: 2,
    }
}

#[test]
fn executions_say_how_they_stand() {
    let failed = Row {
        error: Some("States.HeartbeatTimeout".to_owned()),
        stopped: Some(before(200)),
        redrives: 2,
        ..row("run-2", Status::Failed)
    };
    let waits =
        Row { until: Some(NOW.plus_ms(30_000)), device: None, ..row("run-3", Status::Waiting) };
    let page = executions::page(&list(vec![row("run-1", Status::WaitingForDevice), failed, waits]));
    check(&page);
    let text = said(&page);
    for part in [
        "3 new",
        "Failed 1 204",
        "waiting for device run-1 ConfigManagement gw-1 WaitForConfirmation",
        "4.20 s",
        "failed ↻2 run-2 ConfigManagement gw-1 WaitForConfirmation States.HeartbeatTimeout",
        "4.00 s",
        "waiting run-3 ConfigManagement – WaitForConfirmation for 30.0 s",
        "Redrive all 20 that failed",
        "Stop all 2 that run",
        "Older",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn lists_of_nothing_say_what_to_do() {
    let nothing = executions::page(&list(Vec::new()));
    check(&nothing);
    assert!(said(&nothing).contains("Nothing found No execution matches. Show all"));
    let first = executions::View { address: "/executions".to_owned(), ..list(Vec::new()) };
    assert!(said(&executions::page(&first)).contains("No execution yet"));
    let part = executions::View { searched_to: Some(before(9)), ..list(Vec::new()) };
    let text = said(&executions::page(&part));
    assert!(
        text.contains("in what was searched so far") && text.contains("Go on searching"),
        "{text}"
    );
}

#[test]
fn names_of_executions_are_text() {
    let hostile = Row {
        workflow: HOSTILE.to_owned(),
        error: Some(HOSTILE.to_owned()),
        device: Some(HOSTILE.to_owned()),
        state: Some(HOSTILE.to_owned()),
        ..row(HOSTILE, Status::Failed)
    };
    check(&executions::page(&list(vec![hostile.clone()])));
    let rows: Vec<Row> = (0..30).map(|n| row(&format!("{HOSTILE}{n}"), Status::Failed)).collect();
    let ask = Ask { deed: Deed::Stop, rows, more: 12, back: "/executions".to_owned() };
    let page = executions::ask(&ask);
    check(&page);
    let text = said(&page);
    assert!(text.contains("Stop 30 executions?") && text.contains("and 10 more"), "{text}");
    assert!(text.contains("12 more match"), "{text}");
    let refused = vec![(HOSTILE.to_owned(), 2)];
    let done = Done { deed: Deed::Redrive, done: 18, refused, back: "/executions".to_owned() };
    check(&executions::done(&done));
    assert!(said(&executions::done(&done)).starts_with("18 redriven Not done: 2 ×"));
}

#[test]
fn devices_say_whether_they_are_there() {
    let device = |name: &str, presence| devices::Row {
        name: name.to_owned(),
        presence,
        thing_type: Some(HOSTILE.to_owned()),
        attributes: (0..5).map(|n| (format!("a{n}"), HOSTILE.to_owned())).collect(),
        message: Some((before(3_000), true, HOSTILE.to_owned())),
        run: Some(devices::Run {
            href: "/executions/W/n".to_owned(),
            status: Status::WaitingForDevice,
            workflow: "W".to_owned(),
            state: Some(HOSTILE.to_owned()),
        }),
    };
    let away = Presence::Away {
        since: before(300_000),
        reason: Some("MQTT_KEEP_ALIVE_TIMEOUT".to_owned()),
    };
    let view = devices::View {
        now: NOW,
        text: Some(HOSTILE.to_owned()),
        status: Some("online".to_owned()),
        choices: Vec::new(),
        rows: vec![
            device("gw-1", Presence::Online { since: before(7_200_000) }),
            device("gw-2", away),
            device(HOSTILE, Presence::Never),
        ],
        next: Some("/devices?after=x".to_owned()),
        first: None,
        searched_to: None,
        is_query: true,
        trouble: Some((HOSTILE.to_owned(), Some(HOSTILE.to_owned()))),
        clients: 2,
    };
    let page = devices::page(&view);
    check(&page);
    let text = said(&page);
    for part in [
        "gw-1 online 2 h 3.00 s ago sent",
        "gw-2 offline 5 min silent for too long",
        "never seen",
        "waiting for device W ·",
        "+2",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let none = devices::View { text: None, status: None, rows: Vec::new(), ..view };
    assert!(said(&devices::page(&none)).contains("2 clients are connected: show them"));
}

fn a_device(tab: Tab) -> Device {
    let item = |from, end, look, label: &str| Item {
        from,
        end,
        look,
        label: label.to_owned(),
        title: format!("{label} {HOSTILE}"),
        href: (look == Look::Rule).then(|| "/rules/r".to_owned()),
    };
    let lanes = vec![
        Lane {
            name: "Presence",
            items: vec![item(before(60_000), End::Open, Look::Online, "connected")],
        },
        Lane { name: "Messages", items: vec![item(before(900), End::Instant, Look::Out, HOSTILE)] },
        Lane { name: "Rules", items: vec![item(before(900), End::Instant, Look::Rule, "r")] },
    ];
    Device {
        now: NOW,
        address: "/devices/gw-1".to_owned(),
        name: HOSTILE.to_owned(),
        is_thing: true,
        client: Some("c-1".to_owned()),
        presence: Presence::Online { since: before(60_000) },
        ip: Some("192.0.2.7".to_owned()),
        protocol: Some("MQTT 5.0"),
        thing_type: None,
        attributes: vec![("fw".to_owned(), HOSTILE.to_owned())],
        groups: vec!["north".to_owned()],
        certificates: vec![Certificate {
            id: "d41f".repeat(16),
            status: "ACTIVE".to_owned(),
            expires: Some(NOW.plus_ms(9 * 365 * 86_400_000)),
        }],
        policies: vec!["demo".to_owned()],
        latest: Some(Row { error: Some(HOSTILE.to_owned()), ..row(HOSTILE, Status::Failed) }),
        timeline: Timeline { label: HOSTILE.to_owned(), lanes, now: Some(NOW) },
        kept: Kept { of_device: 200, bytes: 64 << 20 },
        tab,
    }
}

fn shown(tab: Tab) -> String {
    let page = device::page(&a_device(tab));
    check(&page);
    said(&page)
}

#[test]
fn a_device_shows_its_messages() {
    let message = What::Message {
        from: true,
        topic: "devices/gw-1/state".to_owned(),
        payload: br#"{"note":"<img src=x>"}"#.to_vec(),
        size: 22,
        qos: 1,
        retain: false,
        rules: vec!["StartCM".to_owned()],
    };
    let refused = What::Refused {
        action: "iot:Publish".to_owned(),
        resource: HOSTILE.to_owned(),
        why: "not authorized".to_owned(),
    };
    let whats = [
        What::Connected("192.0.2.7".to_owned()),
        message,
        refused,
        What::Disconnected(Some("CONNECTION_LOST".to_owned())),
        What::CutOff("too_slow".to_owned()),
    ];
    let events = whats.into_iter().enumerate();
    let events =
        events.map(|(n, what)| Event { number: n as u64, at: before(900), what }).collect();
    let text = shown(Tab::Messages(Messages { events, only: None }));
    for part in [
        "online 1 min from 192.0.2.7 by MQTT 5.0 client c-1 certificate d41fd41f… runs out in 9 y policy demo group north fw",
        "failed ConfigManagement in WaitForConfirmation",
        "sent ▲ devices/gw-1/state",
        "StartCM QoS 1 · 22 B · 0.9 s ago",
        "refused iot:Publish",
        "disconnected connection lost",
        "cut off too slow",
    ] {
        assert!(
            text.contains(part) || text.contains(&part.replace("0.9 s", "900 ms")),
            "{part}: {text}"
        );
    }
}

#[test]
fn a_device_shows_shadow_policy_and_forms() {
    let document =
        r#"{"state":{"desired":{"a":1},"reported":{"a":2},"delta":{"a":1}},"version":7}"#;
    let shadow = Shadow {
        names: vec!["config".to_owned(), HOSTILE.to_owned()],
        name: None,
        document: Some(Json::parse(document).unwrap()),
    };
    let text = shown(Tab::Shadow(shadow.clone()));
    assert!(
        text.contains("version 7 · the device has yet to take over what is different"),
        "{text}"
    );
    let text = shown(Tab::Shadow(Shadow { document: None, ..shadow }));
    assert!(text.contains("There is no such shadow"), "{text}");
    let statement = (HOSTILE.to_owned(), Some(2), Some(r#"{"Effect":"Deny"}"#.to_owned()));
    let answer =
        Answer { allowed: false, denied: true, statements: vec![statement], missing: Vec::new() };
    let policy = Policy {
        action: "PUBLISH".to_owned(),
        resource: HOSTILE.to_owned(),
        answer: Some(Ok(answer)),
        documents: vec![("demo".to_owned(), "{}".to_owned())],
        without: None,
    };
    let text = shown(Tab::Policy(policy));
    assert!(text.contains("✕ No: it is forbidden policy"), "{text}");
    assert!(text.contains(", statement 2"), "{text}");
    let publish = Publish { topic: HOSTILE.to_owned(), payload: HOSTILE.to_owned(), done: true };
    assert!(shown(Tab::Publish(publish)).contains("Published to"));
    let start = Start {
        workflows: vec![HOSTILE.to_owned()],
        workflow: Some(HOSTILE.to_owned()),
        input: "</textarea><img src=x>".to_owned(),
        from: "the input of its last execution",
    };
    assert!(shown(Tab::Start(start)).contains("The input of its last execution."));
    let rows = vec![row("r", Status::Succeeded)];
    assert!(shown(Tab::Executions(rows)).contains("succeeded r ConfigManagement"));
}

fn job(name: &str, status: ExecutionStatus) -> Execution {
    Execution {
        thing: HOSTILE.to_owned(),
        job: name.to_owned(),
        status,
        number: 1,
        retries: 2,
        queued: Some(before(60_000)),
        started: None,
        updated: Some(before(4_000)),
        details: vec![
            ("step".to_owned(), "flash".to_owned()),
            (HOSTILE.to_owned(), "9".repeat(500)),
        ],
    }
}

#[test]
fn a_device_shows_its_jobs_pending_ones_first() {
    let jobs = Jobs {
        arn: "arn:aws:iot:us-east-1:000000000000:thing/gw-1".to_owned(),
        pending: vec![job("b", ExecutionStatus::InProgress), job("c", ExecutionStatus::Queued)],
        ended: vec![job(HOSTILE, ExecutionStatus::Succeeded), job("a", ExecutionStatus::Rejected)],
        older: Some("/devices/gw-1?tab=jobs&before=7".to_owned()),
        newest: None,
    };
    let page = device::page(&a_device(Tab::Jobs(jobs.clone())));
    check(&page);
    let text = said(&page);
    for part in [
        "IN_PROGRESS next b 2026-",
        "QUEUED c ",
        "SUCCEEDED &lt;img",
        "REJECTED a ",
        "step: flash",
        "Older",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let html = &page.main.0;
    assert_eq!(html.matches("action=\"/-/console/job-execution-cancel\"").count(), 2, "{html}");
    assert_eq!(html.matches("name=\"force\"").count(), 1, "{html}");
    assert!(html.contains("href=\"/devices/gw-1?tab=jobs&amp;before=7\""), "{html}");
}

#[test]
fn a_device_without_jobs_says_where_they_come_from() {
    let jobs = Jobs { arn: "arn:aws:iot:us-east-1:1:thing/gw-1".to_owned(), ..Jobs::default() };
    let text = shown(Tab::Jobs(jobs.clone()));
    assert!(text.contains("--targets arn:aws:iot:us-east-1:1:thing/gw-1 "), "{text}");
    let client = Device { is_thing: false, ..a_device(Tab::Jobs(jobs)) };
    let page = device::page(&client);
    check(&page);
    assert!(said(&page).contains("Jobs are for things"), "{}", said(&page));
}

#[test]
fn what_was_found_is_listed_by_kind() {
    let found = |name: &str| (name.to_owned(), HOSTILE.to_owned(), "/devices/x".to_owned());
    let group = |kind| search::Group { kind, found: vec![found(HOSTILE), found("b")], all: None };
    let view =
        search::View { text: HOSTILE.to_owned(), groups: vec![group("Devices"), group("Rules")] };
    check(&search::page(&view));
    let nothing = search::page(&search::View { groups: Vec::new(), ..view });
    check(&nothing);
    assert!(said(&nothing).contains("Nothing has such a name"));
}
