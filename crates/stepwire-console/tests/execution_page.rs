//! The page of an execution, drawn from recorded histories in every view.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that reads what was recorded"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use stepwire_asl::{Json, Timestamp};
use stepwire_console::Page;
use stepwire_console::pages::execution::{
    self, About, Given, Lane, LogGroup, Look, Output, Show, Span, Tab, View,
};
use stepwire_console::run::{Event, Facts, Run, read_history};

fn recorded() -> Vec<(PathBuf, Vec<Event>, Json)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: PathBuf| fs::read_to_string(path).unwrap();
    let read = |folder: PathBuf| {
        let events = read_history(&text(folder.join("history.json"))).unwrap();
        let definition = Json::parse(&text(folder.join("definition.json"))).unwrap();
        (folder, events, definition)
    };
    folders.map(read).collect()
}

const EVIL: &str = "<img src=x onerror=alert(1)>\"'</pre></script>";

fn view(events: &[Event], definition: &Json, look: Look) -> View {
    let until = look.at.map_or(events.len(), |at| at as usize);
    let run = Run::of(events.iter().take(until).cloned(), Some(definition));
    let now = run.last_at().unwrap_or(Timestamp(0)).plus_ms(1_500);
    let scheduled =
        run.visits.iter().flat_map(|visit| &visit.attempts).map(|attempt| attempt.scheduled);
    let logs = scheduled.map(|scheduled| Output {
        scheduled,
        function: EVIL.to_owned(),
        at: now,
        took_ms: 1.25,
        failed: true,
        text: EVIL.to_owned(),
    });
    let logs = logs.collect();
    let span = |lane: Lane, to: Option<Timestamp>| Span {
        lane,
        from: now,
        to,
        class: "in",
        label: EVIL.to_owned(),
        title: EVIL.to_owned(),
        href: Some("/live".to_owned()),
    };
    let spans =
        vec![span(Lane::Mqtt, Some(now)), span(Lane::Rules, Some(now)), span(Lane::Device, None)];
    let device = Some(EVIL.into());
    let facts = Facts {
        device,
        presence: Some((false, now)),
        due: Some(now.plus_ms(500)),
        ..Facts::default()
    };
    let about = About {
        workflow: EVIL.to_owned(),
        name: EVIL.to_owned(),
        arn: format!("arn:aws:states:us-east-1:000000000000:execution:W:{EVIL}"),
        version: Some(EVIL.to_owned()),
        is_gone: false,
        rule: Some(EVIL.into()),
        topic: Some(EVIL.into()),
        parent: Some("arn:aws:states:us-east-1:000000000000:execution:W:parent".to_owned()),
        map_run: None,
        redrive: Ok(()),
        neighbours: (Some("/executions/W/a".to_owned()), Some("/executions/W/b".to_owned())),
    };
    let events = events.len();
    let lines = vec![(Timestamp(0), EVIL.to_owned()), (Timestamp(1), Json::from(EVIL).to_text())];
    let (name, level) = (EVIL.to_owned(), EVIL.to_owned());
    let group = LogGroup { name, level, lines, more: true, problem: None };
    View {
        run,
        events,
        now,
        about: Some(about),
        facts,
        look,
        spans,
        logs,
        group: Some(group),
        map_runs: Vec::new(),
    }
}

/// What must hold of any page.
fn holds(name: &str, page: &Page) {
    let html = &page.main.0;
    for forbidden in ["<img", "<script", " style=", " onclick=", "alert(1)>", "javascript:"] {
        assert!(!html.contains(forbidden), "{name}: `{forbidden}` in the page");
    }
    let mut ids = BTreeSet::new();
    for id in html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(ids.insert(id), "{name}: id `{id}` twice");
    }
    for (id, inner) in &page.parts.regions {
        assert!(ids.contains(id.as_str()), "{name}: region `{id}` is not on the page");
        assert!(html.contains(inner.as_str()), "{name}: region `{id}` is not what is on the page");
    }
    for mark in &page.parts.marks {
        let drawn = ids.contains(mark.id.as_str());
        assert!(
            drawn || mark.id.starts_with("ed-"),
            "{name}: mark `{}` is not on the page",
            mark.id
        );
    }
}

#[test]
fn every_view_of_every_run_is_in_order() {
    for (folder, events, definition) in recorded() {
        let names: BTreeSet<String> = {
            let run = Run::of(events.clone(), None);
            run.visits.iter().map(|visit| visit.name.to_string()).collect()
        };
        let mut looks: Vec<Look> = [Show::Graph, Show::Table, Show::Events, Show::Logs]
            .map(|show| Look { show, ..Look::default() })
            .into();
        for state in names.iter().take(12) {
            looks.extend(Tab::ALL.map(|(tab, _)| Look {
                state: Some(state.clone()),
                tab,
                ..Look::default()
            }));
        }
        looks.extend(
            (1..=events.len() as u64).step_by(5).map(|at| Look { at: Some(at), ..Look::default() }),
        );
        looks.push(Look {
            state: Some(EVIL.to_owned()),
            items: vec![3],
            filter: Some(EVIL.to_owned()),
            show: Show::Events,
            ..Look::default()
        });
        for look in looks {
            let page = execution::page(&view(&events, &definition, look.clone()));
            holds(&format!("{} {look:?}", folder.display()), &page);
        }
    }
}

#[test]
fn a_page_of_the_same_moment_is_the_same_page() {
    for (folder, events, definition) in recorded() {
        let draw = || execution::page(&view(&events, &definition, Look::default())).main.0;
        assert_eq!(draw(), draw(), "{}", folder.display());
    }
}

#[test]
fn a_history_from_a_file_is_one_page_that_leads_nowhere_else() {
    for (folder, events, definition) in recorded() {
        let shown = View {
            about: None,
            spans: Vec::new(),
            logs: Vec::new(),
            ..view(&events, &definition, Look::default())
        };
        let given = Given {
            history: EVIL.to_owned(),
            definition: String::new(),
            problem: None,
            missing: Some(EVIL.to_owned()),
        };
        let page = execution::file(&shown, &given);
        holds(&folder.display().to_string(), &page);
        for href in
            page.main.0.split(" href=\"").skip(1).map(|rest| rest.split('"').next().unwrap())
        {
            let anchor = href
                .strip_prefix('#')
                .unwrap_or_else(|| panic!("{}: leads to {href}", folder.display()));
            let known = anchor.is_empty()
                || page.main.0.contains(&format!(" id=\"{anchor}\""))
                || anchor.starts_with("i-")
                || anchor.starts_with("b-");
            assert!(known, "{}: there is no {anchor}", folder.display());
        }
    }
}

#[test]
fn attempts_of_before_and_after_a_redrive_are_told_apart() {
    let (_, events, definition) =
        recorded().into_iter().find(|(folder, ..)| folder.ends_with("redriven")).unwrap();
    let drawn = |at: Option<u64>| {
        let state = Some("Bad".to_owned());
        let look = Look { state, tab: Tab::Attempts, at, ..Look::default() };
        execution::page(&view(&events, &definition, look)).main.0
    };
    let told = |html: &str| {
        let tries = html.split("<ol class=\"tries\">").nth(1).unwrap().split("</ol>").next();
        let tries = tries.unwrap().split("<b>Attempt ").skip(1);
        let requests = ["3ab07ba5", "e597669b"];
        let found = tries.map(|one| requests.iter().position(|request| one.contains(request)));
        found.collect::<Vec<_>>()
    };
    assert_eq!(told(&drawn(None)), [Some(0), Some(1)], "each with its own failure");
    assert_eq!(told(&drawn(Some(14))), [Some(0)], "as it was before the redrive");
    let going = drawn(Some(17));
    assert_eq!(told(&going), [Some(0), None], "the second is still at work");
}
