//! Graphs of real, generated and broken definitions: everything is there, nothing overlaps.

#![expect(clippy::disallowed_methods, reason = "reads the recorded definitions")]

use std::collections::BTreeSet;

use stepwire_asl::Json;
use stepwire_console::graph::{
    Collapsed, EdgeKind, Graph, Kind, Layout, Options, Paint, Piece, Point, Rect, outline, svg,
};

/// A transition by names: containers, from, to, why.
type Transition = (String, String, String, EdgeKind);

#[test]
fn every_real_definition_is_drawn_whole_and_apart() {
    let Some(definitions) = real_definitions() else { return };
    assert!(definitions.len() > 100, "{} definitions", definitions.len());
    for (id, definition) in definitions {
        let graph = Graph::of(&definition);
        assert_eq!(states(&graph), states_written(&definition), "{id}");
        assert_eq!(transitions(&graph), transitions_written(&definition), "{id}");
        assert_eq!(graph.omitted, 0, "{id}");
        check(&id, &graph, &Collapsed::new());
        let containers = graph.nodes.iter().filter(|node| !node.inner.is_empty());
        check(&id, &graph, &containers.map(|node| node.id).collect());
    }
}

#[test]
fn generated_machines_are_drawn_whole_and_apart() {
    for seed in 1..=300 {
        let mut dice = Dice(seed);
        let definition = Json::parse(&machine(&mut dice, 0)).expect("JSON");
        let graph = Graph::of(&definition);
        let name = format!("seed {seed}");
        assert_eq!(states(&graph), states_written(&definition), "{name}");
        assert_eq!(transitions(&graph), transitions_written(&definition), "{name}");
        check(&name, &graph, &Collapsed::new());
    }
}

#[test]
fn whatever_is_no_state_machine_is_drawn_as_far_as_it_goes() {
    for seed in 1..=3_000 {
        let definition = Json::parse(&nonsense(&mut Dice(seed), 0)).expect("JSON");
        let graph = Graph::of(&definition);
        check(&format!("seed {seed}"), &graph, &Collapsed::new());
        drawn(&graph);
    }
}

#[test]
fn two_hundred_states_take_few_steps() {
    for (name, definition) in [("line", line(200)), ("caught", caught(200)), ("net", net(200))] {
        let graph = Graph::of(&Json::parse(&definition).expect("JSON"));
        assert_eq!(graph.states(), 201, "{name}");
        let layout = check(name, &graph, &Collapsed::new());
        // The example `graph` prints the time: a million of these steps take about 10 ms.
        assert!(layout.work < 400_000, "{name}: {} steps", layout.work);
    }
}

#[test]
fn too_many_states_are_counted_not_drawn() {
    let graph = Graph::of(&Json::parse(&line(5_000)).expect("JSON"));
    assert!(graph.omitted > 2_000 && graph.states() + graph.omitted == 5_001);
    let list = outline(&graph, &Paint::default(), None).into_string();
    assert!(list.contains("more states are not shown"));
    assert!(graph.layout(&Collapsed::new()).boxes.iter().all(Option::is_some));
}

#[test]
fn names_are_text() {
    let name = r"<img src=x onerror=alert(1)>&amp;";
    let definition = format!(
        r#"{{"StartAt":"{name}","States":{{"{name}":{{"Type":"Choice","Choices":[{{"Variable":"$.{name}","StringEquals":"{name}","Next":"{name}2"}}]}},"{name}2":{{"Type":"Fail","Error":"{name}"}}}}}}"#
    );
    let graph = Graph::of(&Json::parse(&definition).expect("JSON"));
    let drawn = drawn(&graph);
    assert!(drawn.contains("&lt;img src=x onerror=alert(1)&gt;&amp;amp;"), "{drawn}");
    assert!(!drawn.contains("<img"), "{drawn}");
}

#[test]
fn equal_names_in_different_containers_are_told_apart() {
    let inner = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}"#;
    let text = format!(
        r#"{{"StartAt":"P","States":{{"P":{{"Type":"Parallel","Branches":[{inner},{inner}],"Next":"A"}},"A":{{"Type":"Succeed"}}}}}}"#
    );
    let graph = Graph::of(&Json::parse(&text).expect("JSON"));
    let found: Vec<_> = graph.scopes.iter().map(|of| graph.find(&of.path, "A")).collect();
    assert_eq!(found.iter().flatten().collect::<BTreeSet<_>>().len(), 3, "{found:?}");
    let drawn = drawn(&graph);
    for id in found.into_iter().flatten() {
        assert_eq!(drawn.matches(&format!("id=\"st-{id}\"")).count(), 1);
    }
}

/// Everything of a layout that must hold for any graph.
fn check(name: &str, graph: &Graph, collapsed: &Collapsed) -> Layout {
    let layout = graph.layout(collapsed);
    let whole = Rect { x: 0.0, y: 0.0, w: layout.width, h: layout.height };
    let boxes: Vec<(usize, Rect)> =
        (0..graph.nodes.len()).filter_map(|id| layout.boxes[id].map(|rect| (id, rect))).collect();
    let hidden = |id: usize| {
        let mut at = graph.nodes[id].parent;
        while let Some(container) = at {
            if layout.collapsed.contains(&container) {
                return true;
            }
            at = graph.nodes[container].parent;
        }
        false
    };
    for node in &graph.nodes {
        assert_eq!(layout.boxes[node.id].is_none(), hidden(node.id), "{name}: {}", node.name);
    }
    for (id, rect) in &boxes {
        let node = &graph.nodes[*id];
        assert!(whole.contains(rect), "{name}: {} is outside: {rect:?}", node.name);
        if let Some(container) = node.parent.and_then(|parent| layout.boxes[parent]) {
            assert!(container.contains(rect), "{name}: {} is outside its container", node.name);
        }
    }
    for (index, (a, first)) in boxes.iter().enumerate() {
        for (b, second) in &boxes[index + 1..] {
            let nested = within(graph, *a, *b) || within(graph, *b, *a);
            let (a, b) = (&graph.nodes[*a].name, &graph.nodes[*b].name);
            assert!(nested || !first.overlaps(second), "{name}: {a} overlaps {b}");
        }
    }
    let mut words: Vec<(usize, Rect)> = Vec::new();
    for (index, edge) in graph.edges.iter().enumerate() {
        let chips: Vec<_> = layout.chips.iter().filter(|chip| chip.edge == index).collect();
        let Some(from) = layout.boxes[edge.from] else {
            assert!(layout.routes[index].is_none() && chips.is_empty(), "{name}: line of nothing");
            continue;
        };
        let line =
            format!("{name}: {} → {}", graph.nodes[edge.from].name, graph.nodes[edge.to].name);
        match &layout.routes[index] {
            Some(route) => {
                assert!(chips.is_empty(), "{line}: both line and chip");
                let to = layout.boxes[edge.to].expect("as visible as where it comes from");
                assert!(touches(&from, route.start), "{line}: begins at {:?}", route.start);
                let end = route.pieces.last().map_or(route.start, end);
                assert!(touches(&to, end), "{line}: ends at {end:?} not {to:?}");
                words.extend(route.label.iter().map(|label| (edge.from, label.place)));
                assert!(
                    edge.label.is_none() || edge.from == edge.to || route.label.is_some(),
                    "{line}"
                );
                runs_free(&line, graph, &layout, edge.from, edge.to, route.start, &route.pieces);
            }
            None => {
                assert_eq!(chips.len(), 1, "{line}: no line");
                words.push((edge.from, chips[0].place));
            }
        }
    }
    for (index, (from, place)) in words.iter().enumerate() {
        assert!(whole.contains(place), "{name}: words are outside: {place:?} in {whole:?}");
        for (id, rect) in &boxes {
            let inside = within(graph, *from, *id);
            assert!(
                inside || !place.overlaps(rect),
                "{name}: words over {}",
                graph.nodes[*id].name
            );
        }
        for (_, other) in &words[index + 1..] {
            assert!(!place.overlaps(other), "{name}: words over words");
        }
    }
    layout
}

/// No line runs over a state that it does not belong to.
fn runs_free(
    line: &str,
    graph: &Graph,
    layout: &Layout,
    from: usize,
    to: usize,
    start: Point,
    pieces: &[Piece],
) {
    let mut at = start;
    for piece in pieces {
        for step in 0..=12 {
            let point = along(at, piece, f32::from(step as u8) / 12.0);
            let dot = Rect { x: point.x - 0.1, y: point.y - 0.1, w: 0.2, h: 0.2 };
            for (id, rect) in layout.boxes.iter().enumerate() {
                let own = id == from || id == to || within(graph, from, id);
                let over = rect.is_some_and(|rect| rect.overlaps(&dot));
                assert!(own || !over, "{line} runs over {} at {point:?}", graph.nodes[id].name);
            }
        }
        at = end(piece);
    }
}

fn along(from: Point, piece: &Piece, t: f32) -> Point {
    let mix = |a: Point, b: Point| Point { x: a.x + (b.x - a.x) * t, y: a.y + (b.y - a.y) * t };
    match *piece {
        Piece::Line(to) => mix(from, to),
        Piece::Curve(a, b, to) => {
            let (one, two, three) = (mix(from, a), mix(a, b), mix(b, to));
            mix(mix(one, two), mix(two, three))
        }
    }
}

fn end(piece: &Piece) -> Point {
    match piece {
        Piece::Line(to) | Piece::Curve(_, _, to) => *to,
    }
}

fn touches(rect: &Rect, point: Point) -> bool {
    let near = |a: f32, b: f32| (a - b).abs() < 0.6;
    let beside = point.x >= rect.x - 0.6 && point.x <= rect.x + rect.w + 0.6;
    let level = point.y >= rect.y - 0.6 && point.y <= rect.y + rect.h + 0.6;
    (beside && (near(point.y, rect.y) || near(point.y, rect.y + rect.h)))
        || (level && near(point.x, rect.x + rect.w))
}

/// Whether `node` is in the container `outer`.
fn within(graph: &Graph, node: usize, outer: usize) -> bool {
    let mut at = graph.nodes[node].parent;
    while let Some(container) = at {
        if container == outer {
            return true;
        }
        at = graph.nodes[container].parent;
    }
    false
}

fn drawn(graph: &Graph) -> String {
    let options = Options {
        id_prefix: "",
        name: "test",
        links: Some(&|node| format!("?state={}", node.id)),
        toggles: None,
        standalone: false,
    };
    let layout = graph.layout(&Collapsed::new());
    let drawing = svg(graph, &layout, &Paint::default(), &options).into_string();
    let list = outline(graph, &Paint::default(), None).into_string();
    for node in graph.nodes.iter().filter(|node| graph.is_state(node.id)) {
        assert!(drawing.contains(&format!("id=\"st-{}\"", node.id)), "{} is not drawn", node.name);
    }
    for edge in 0..graph.edges.len() {
        assert!(drawing.contains(&format!("id=\"ed-{edge}\"")), "a transition is not drawn");
    }
    drawing + &list
}

fn path_of(graph: &Graph, id: usize) -> String {
    let places = graph.nodes[id].path.iter();
    places.map(|place| format!("{}/{}/", place.container, place.branch)).collect()
}

fn states(graph: &Graph) -> BTreeSet<(String, String)> {
    let states = graph.nodes.iter().filter(|node| graph.is_state(node.id));
    states.map(|node| (path_of(graph, node.id), node.name.to_string())).collect()
}

fn transitions(graph: &Graph) -> BTreeSet<Transition> {
    let named = graph.edges.iter().map(|edge| {
        let name = |id: usize| graph.nodes[id].name.to_string();
        (path_of(graph, edge.from), name(edge.from), name(edge.to), edge.kind)
    });
    let set: BTreeSet<_> = named.collect();
    assert_eq!(set.len(), graph.edges.len(), "an edge is there twice");
    assert!(
        graph.edges.iter().all(|edge| graph.nodes[edge.from].scope == graph.nodes[edge.to].scope)
    );
    assert!(graph.nodes.iter().filter(|node| node.kind == Kind::Start).count() == 1);
    set
}

/// The states that a definition writes, by a walk of its own.
fn states_written(machine: &Json) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    walk(machine, "", &mut |path, name, _, _| {
        found.insert((path.to_owned(), name.to_owned()));
    });
    found
}

/// The transitions that a definition writes, by a walk of its own.
fn transitions_written(machine: &Json) -> BTreeSet<Transition> {
    let mut found = BTreeSet::new();
    walk(machine, "", &mut |path, name, state, first| {
        let mut add = |from: &str, to: Option<&Json>, kind| {
            if let Some(to) = to.and_then(Json::as_str) {
                found.insert((path.to_owned(), from.to_owned(), to.to_owned(), kind));
            }
        };
        if path.is_empty() && first == Some(name) {
            add("Start", Some(&Json::from(name)), EdgeKind::Start);
        }
        add(name, state.member("Next"), EdgeKind::Next);
        add(name, state.member("Default"), EdgeKind::Default);
        for (list, kind) in [("Choices", EdgeKind::Choice), ("Catch", EdgeKind::Catch)] {
            for rule in state.member(list).and_then(Json::as_array).unwrap_or_default() {
                add(name, rule.member("Next"), kind);
            }
        }
        let ends =
            ["Succeed", "Fail"].map(Json::from).iter().any(|t| state.member("Type") == Some(t));
        if path.is_empty() && (ends || state.member("End") == Some(&Json::from(true))) {
            add(name, Some(&Json::from("End")), EdgeKind::End);
        }
    });
    found
}

fn walk(machine: &Json, path: &str, each: &mut impl FnMut(&str, &str, &Json, Option<&str>)) {
    let first = machine.member("StartAt").and_then(Json::as_str);
    let Some(states) = machine.member("States").and_then(Json::as_object) else { return };
    for (name, state) in states {
        each(path, name, state, first);
        let branches = state.member("Branches").and_then(Json::as_array).unwrap_or_default();
        for (index, branch) in branches.iter().enumerate() {
            walk(branch, &format!("{path}{name}/{index}/"), each);
        }
        for member in ["Iterator", "ItemProcessor"] {
            if let Some(processor) = state.member(member) {
                walk(processor, &format!("{path}{name}/0/"), each);
            }
        }
    }
}

/// The recorded definitions, where they are.
fn real_definitions() -> Option<Vec<(String, Json)>> {
    let root =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus/asl-real/definitions.json");
    let Ok(text) = std::fs::read_to_string(root) else {
        assert!(std::env::var("CI").is_err(), "no definitions at {root}");
        return None;
    };
    let json = Json::parse(&text).expect("JSON");
    let cases = json.member("cases").and_then(Json::as_array).expect("cases");
    let case = |case: &Json| {
        let definition = case.member("definition").expect("a definition");
        let definition = match definition.as_str() {
            Some(text) => Json::parse(text).expect("JSON"),
            None => definition.clone(),
        };
        (case.member("id").and_then(Json::as_str).unwrap_or_default().to_owned(), definition)
    };
    Some(cases.iter().map(case).collect())
}

/// Dice that fall the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }
}

/// A state machine with loops, catches, long names and containers.
fn machine(dice: &mut Dice, depth: usize) -> String {
    let count = 1 + dice.below(if depth == 0 { 14 } else { 5 });
    let name = |index: usize| format!("{}{index}", "State".repeat(1 + index % 9));
    let mut states = Vec::new();
    for index in 0..count {
        let any = |dice: &mut Dice| name(dice.below(count));
        let forward = if index + 1 < count { name(index + 1) } else { name(0) };
        let next = if dice.below(4) == 0 { any(dice) } else { forward };
        let onward = if dice.below(5) == 0 || index + 1 == count {
            r#""End":true"#.to_owned()
        } else {
            format!(r#""Next":"{next}""#)
        };
        let catch = (0..dice.below(3))
            .map(|_| format!(r#"{{"ErrorEquals":["States.ALL"],"Next":"{}"}}"#, any(dice)))
            .collect::<Vec<_>>()
            .join(",");
        let state = match dice.below(8) {
            0 => r#"{"Type":"Fail","Error":"Broken"}"#.to_owned(),
            1 | 2 => {
                let rules = (0..=dice.below(5))
                    .map(|n| {
                        format!(
                            r#"{{"Variable":"$.value","NumericEquals":{n},"Next":"{}"}}"#,
                            any(dice)
                        )
                    })
                    .collect::<Vec<_>>()
                    .join(",");
                format!(r#"{{"Type":"Choice","Choices":[{rules}],"Default":"{}"}}"#, any(dice))
            }
            3 if depth < 3 => {
                let branches = (0..=dice.below(3))
                    .map(|_| machine(dice, depth + 1))
                    .collect::<Vec<_>>()
                    .join(",");
                format!(
                    r#"{{"Type":"Parallel","Branches":[{branches}],"Catch":[{catch}],{onward}}}"#
                )
            }
            4 if depth < 3 => {
                let inner = machine(dice, depth + 1);
                format!(r#"{{"Type":"Map","ItemProcessor":{inner},"Catch":[{catch}],{onward}}}"#)
            }
            _ => format!(
                r#"{{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Catch":[{catch}],{onward}}}"#
            ),
        };
        states.push(format!(r#""{}":{state}"#, name(index)));
    }
    format!(r#"{{"StartAt":"{}","States":{{{}}}}}"#, name(0), states.join(","))
}

/// JSON made of the words of the States Language, in no order.
fn nonsense(dice: &mut Dice, depth: usize) -> String {
    const WORDS: [&str; 24] = [
        "States",
        "StartAt",
        "Type",
        "Next",
        "Choices",
        "Default",
        "Catch",
        "Branches",
        "Iterator",
        "ItemProcessor",
        "Task",
        "Choice",
        "Parallel",
        "Map",
        "Resource",
        "End",
        "And",
        "Not",
        "Or",
        "Variable",
        "Condition",
        "ErrorEquals",
        "A",
        "B",
    ];
    let word = |dice: &mut Dice| format!("\"{}\"", WORDS[dice.below(WORDS.len())]);
    match dice.below(if depth > 6 { 4 } else { 9 }) {
        0 => "null".to_owned(),
        1 => "true".to_owned(),
        2 => format!("{}", dice.below(100)),
        3 => word(dice),
        4 | 5 => {
            let items: Vec<_> = (0..dice.below(4)).map(|_| nonsense(dice, depth + 1)).collect();
            format!("[{}]", items.join(","))
        }
        _ => {
            let members: Vec<_> = (0..=dice.below(6))
                .map(|_| format!("{}:{}", word(dice), nonsense(dice, depth + 1)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

/// States one after another.
fn line(count: usize) -> String {
    let state = |n: usize| format!(r#""S{n}":{{"Type":"Pass","Next":"S{}"}}"#, n + 1);
    let states: Vec<_> = (0..count).map(state).collect();
    format!(
        r#"{{"StartAt":"S0","States":{{{},"S{count}":{{"Type":"Succeed"}}}}}}"#,
        states.join(",")
    )
}

/// The same, each caught by the last.
fn caught(count: usize) -> String {
    let catch = format!(r#""Catch":[{{"ErrorEquals":["States.ALL"],"Next":"S{count}"}}]"#);
    line(count).replace(r#""Type":"Pass","#, &format!(r#""Type":"Parallel",{catch},"#))
}

/// Choices that jump ahead and back.
fn net(count: usize) -> String {
    let state = |n: usize| {
        let (ahead, back) = ((n + 7).min(count), n.saturating_sub(9));
        format!(
            r#""S{n}":{{"Type":"Choice","Choices":[{{"Variable":"$.a","NumericEquals":1,"Next":"S{}"}},{{"Variable":"$.a","NumericEquals":2,"Next":"S{ahead}"}}],"Default":"S{back}"}}"#,
            n + 1
        )
    };
    let states: Vec<_> = (0..count).map(state).collect();
    format!(
        r#"{{"StartAt":"S0","States":{{{},"S{count}":{{"Type":"Succeed"}}}}}}"#,
        states.join(",")
    )
}
