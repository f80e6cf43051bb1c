//! In which layer each state is, and the points of long lines in the layers between.

use super::super::text::width;
use super::super::{EdgeKind, Kind};
use super::net::{Course, Line, Net, What};
use super::{chip_text, size};

/// Layers that a line may go down before a chip stands for it, when it is not part of the way.
const LONG: usize = 3;
/// Layers that a line may go up before a chip stands for it.
const LONG_UP: usize = 12;
/// Lines to one state from which on it is not worth drawing every long one.
const MANY: usize = 5;
/// Points of lines in one state machine; the longest lines become chips until there are fewer.
const BENDS_MAX: usize = 3_000;

/// Gives every state its layer and every line its course and its points.
pub(super) fn assign(net: &mut Net<'_>) {
    let order = break_cycles(net);
    let mut layers = longest_ways(net, &order);
    chips(net, &layers);
    let used = used_layers(net, &mut layers);
    for (point, layer) in layers.iter().enumerate() {
        net.points[point].layer = *layer;
    }
    net.layers = vec![Vec::new(); used.len()];
    for line in 0..net.lines.len() {
        string(net, line, &used);
    }
    straighten(net);
    for (index, point) in net.points.iter().enumerate() {
        net.layers[point.layer].push(index);
    }
    net.work += net.points.len();
}

/// Turns lines that close a cycle upwards. The states, each after all from which a line leads down
/// to it.
fn break_cycles(net: &mut Net<'_>) -> Vec<usize> {
    let mut leaving = vec![Vec::new(); net.states];
    for (index, line) in net.lines.iter().enumerate() {
        if line.course == Course::Down {
            leaving[line.from].push(index);
        }
    }
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        Open,
        Done,
    }
    let mut seen = vec![Seen::No; net.states];
    let mut done = Vec::with_capacity(net.states);
    let first = net.first();
    for root in first.into_iter().chain(0..net.states) {
        if seen[root] != Seen::No {
            continue;
        }
        seen[root] = Seen::Open;
        let mut stack = vec![(root, 0)];
        while let Some((state, next)) = stack.last_mut() {
            net.work += 1;
            let Some(index) = leaving[*state].get(*next).copied() else {
                seen[*state] = Seen::Done;
                done.push(*state);
                stack.pop();
                continue;
            };
            *next += 1;
            let to = net.lines[index].to;
            match seen[to] {
                Seen::No => {
                    seen[to] = Seen::Open;
                    stack.push((to, 0));
                }
                Seen::Open => net.lines[index].course = Course::Up,
                Seen::Done => {}
            }
        }
    }
    done.reverse();
    done
}

/// The layer of each state: one below the lowest from which a line leads to it.
fn longest_ways(net: &mut Net<'_>, order: &[usize]) -> Vec<usize> {
    let mut leaving = vec![Vec::new(); net.states];
    let mut entered = vec![false; net.states];
    for line in net.lines.iter().filter(|line| line.course == Course::Down) {
        leaving[line.from].push(line.to);
        entered[line.to] = true;
    }
    let mut layers = vec![0; net.states];
    for state in order {
        let lonely = !entered[*state] && net.kind(*state) != Kind::Start;
        if lonely && net.is_whole() {
            layers[*state] = layers[*state].max(1);
        }
        for to in &leaving[*state] {
            layers[*to] = layers[*to].max(layers[*state] + 1);
            net.work += 1;
        }
    }
    // What nothing leads to stands right above what it leads to.
    for state in 0..net.states {
        let lowest = leaving[state].iter().map(|to| layers[*to]).min();
        if let Some(lowest) = lowest.filter(|_| !entered[state] && Some(state) != net.first()) {
            layers[state] = layers[state].max(lowest - 1);
        }
    }
    let last = layers.iter().copied().max().unwrap_or_default();
    if let Some(end) = (0..net.states).find(|state| net.kind(*state) == Kind::End) {
        let shared = (0..net.states).any(|state| state != end && layers[state] == last);
        layers[end] = last + usize::from(shared);
    }
    layers
}

/// Decides for which lines a chip stands.
fn chips(net: &mut Net<'_>, layers: &[usize]) {
    let mut entering = vec![0; net.states];
    for line in &net.lines {
        entering[line.to] += 1;
    }
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (index, line) in net.lines.iter_mut().enumerate() {
        let span = layers[line.to].abs_diff(layers[line.from]);
        let by_the_way = match line.kind {
            EdgeKind::Catch | EdgeKind::End => true,
            EdgeKind::Choice | EdgeKind::Default => entering[line.to] >= MANY,
            EdgeKind::Next | EdgeKind::Start => false,
        };
        let long = match line.course {
            Course::Down => by_the_way && span > LONG,
            Course::Up => span > if line.kind == EdgeKind::Catch { LONG } else { LONG_UP },
            Course::Loop | Course::Chip => false,
        };
        if long {
            line.course = Course::Chip;
        } else if span > 1 {
            spans.push((span, index));
        }
    }
    spans.sort_unstable();
    let mut bends: usize = spans.iter().map(|(span, _)| 2 * span).sum();
    while bends > BENDS_MAX {
        let Some((span, index)) = spans.pop() else { break };
        net.lines[index].course = Course::Chip;
        bends -= 2 * span;
    }
}

/// Makes room for a layer of words between layers of states, where there are any. Returns for each
/// layer whether it is one of states.
fn used_layers(net: &Net<'_>, layers: &mut [usize]) -> Vec<bool> {
    let most = layers.iter().copied().max().unwrap_or_default();
    // Above layer n of states is gap n.
    let mut gap = vec![false; most + 2];
    for line in &net.lines {
        match line.course {
            Course::Down if line.label.is_some() => gap[layers[line.from] + 1] = true,
            Course::Chip => gap[layers[line.from] + 1] = true,
            Course::Up => {
                gap[layers[line.from] + 1] = true;
                gap[layers[line.to]] = true;
            }
            Course::Down | Course::Loop => {}
        }
    }
    let mut used = Vec::new();
    let mut place = vec![0; most + 1];
    for layer in 0..=most {
        if gap[layer] {
            used.push(false);
        }
        place[layer] = used.len();
        used.push(true);
    }
    if gap[most + 1] {
        used.push(false);
    }
    for layer in layers.iter_mut() {
        *layer = place[*layer];
    }
    used
}

/// Gives the line its points and links them.
fn string(net: &mut Net<'_>, index: usize, used: &[bool]) {
    let line = net.lines[index].clone();
    let (from, to) = (net.points[line.from].layer, net.points[line.to].layer);
    let mut between = Vec::new();
    match line.course {
        Course::Loop => return,
        Course::Chip => between.push(net.point(What::Chip, chip_width(net, &line), from + 1)),
        Course::Down => {
            let words_follow = used.get(from + 1) == Some(&false);
            for layer in from + 1..to {
                let labelled = layer == from + 1 && words_follow;
                between.push(match &line.label {
                    Some(label) if labelled => net.point(What::Label, label_width(label), layer),
                    _ => net.point(What::Bend, 0.0, layer),
                });
            }
        }
        Course::Up => {
            let turn = net.point(What::Turn, 0.0, from + 1);
            between.push(turn);
            for layer in (to..=from).rev() {
                between.push(match &line.label {
                    Some(label) if layer == from => {
                        net.point(What::Label, label_width(label), layer)
                    }
                    _ => net.point(What::Bend, 0.0, layer),
                });
            }
            between.push(net.point(What::Turn, 0.0, to - 1));
        }
    }
    let mut stops = vec![line.from];
    stops.extend(&between);
    if line.course != Course::Chip {
        stops.push(line.to);
    }
    for (piece, pair) in stops.windows(2).enumerate() {
        let weight = match line.course {
            // What leads back stays close to where it comes from, and draws nothing aside.
            Course::Up if piece < 2 => 0.5,
            Course::Up if piece + 4 > stops.len() => 0.1,
            Course::Up => 2.0,
            Course::Down | Course::Loop | Course::Chip => weight(net, line.kind, pair[0], pair[1]),
        };
        let upper_first = net.points[pair[0]].layer < net.points[pair[1]].layer;
        let (upper, lower) = if upper_first { (pair[0], pair[1]) } else { (pair[1], pair[0]) };
        net.link(upper, lower, weight);
    }
    net.lines[index].between = between;
}

fn weight(net: &Net<'_>, kind: EdgeKind, a: usize, b: usize) -> f32 {
    let inner = net.points[a].what != What::State && net.points[b].what != What::State;
    let base = match kind {
        EdgeKind::Start | EdgeKind::Next => 4.0,
        EdgeKind::Choice | EdgeKind::Default => 1.0,
        EdgeKind::End => 0.8,
        EdgeKind::Catch => 0.4,
    };
    if inner { base * 2.0 } else { base }
}

fn label_width(label: &str) -> f32 {
    (width(label, size::LABEL) + 16.0).min(size::LABEL_W_MAX)
}

fn chip_width(net: &Net<'_>, line: &Line) -> f32 {
    width(&chip_text(net.graph, line.edge), size::LABEL) + 18.0
}

/// Marks the links that are to be straight lines: the way through, and the pieces of long lines.
fn straighten(net: &mut Net<'_>) {
    let values = values(net);
    let mut favourite: Vec<Option<usize>> = Vec::with_capacity(net.states);
    for state in 0..net.states {
        let mut ways: Vec<(i32, usize)> = Vec::new();
        for (index, line) in net.lines.iter().enumerate() {
            let flows = line.course == Course::Down && line.kind != EdgeKind::Catch;
            if line.from == state && flows {
                ways.push((values[line.to], index));
            }
        }
        ways.sort_by_key(|(value, index)| (-value, *index));
        favourite.push(match ways.as_slice() {
            [(_, only)] => Some(*only),
            [(best, first), (second, _), ..] if *best >= second + 2 => Some(*first),
            _ => None,
        });
    }
    let mut through = vec![false; net.states];
    let mut at = net.first();
    while let Some(state) = at {
        through[state] = true;
        at = favourite[state].map(|line| net.lines[line].to);
    }
    for index in 0..net.lines.len() {
        let line = net.lines[index].clone();
        if matches!(line.course, Course::Loop) {
            continue;
        }
        let liked = favourite[line.from] == Some(index);
        let on_the_way = liked && through[line.from] && through[line.to];
        let mut stops = vec![line.from];
        stops.extend(&line.between);
        if line.course != Course::Chip {
            stops.push(line.to);
        }
        for (piece, pair) in stops.windows(2).enumerate() {
            let whats = (net.points[pair[0]].what, net.points[pair[1]].what);
            let straight = match whats {
                _ if on_the_way => 10,
                (What::Bend | What::Label, What::Bend | What::Label) => 8,
                (What::Turn, _) | (_, What::Turn) => 0,
                _ if liked => 6,
                (What::Label | What::Bend, What::State) if line.kind != EdgeKind::Catch => 3,
                (What::State, What::Bend) if piece == 0 => 1,
                _ => 0,
            };
            net.set_straight(pair[0], pair[1], straight);
        }
    }
}

/// How much of the way is still ahead of each state; little before a failure.
fn values(net: &mut Net<'_>) -> Vec<i32> {
    let mut leaving = vec![Vec::new(); net.states];
    for line in &net.lines {
        let flows = matches!(line.course, Course::Down | Course::Chip);
        let ahead = net.points[line.to].layer > net.points[line.from].layer;
        if flows && ahead && line.kind != EdgeKind::Catch {
            leaving[line.from].push(line.to);
        }
    }
    let mut order: Vec<usize> = (0..net.states).collect();
    order.sort_by_key(|state| std::cmp::Reverse(net.points[*state].layer));
    let mut values = vec![0; net.states];
    for state in order {
        let best = leaving[state].iter().map(|to| values[*to] + 1).max();
        values[state] = match net.kind(state) {
            Kind::Fail => -4,
            _ => best.unwrap_or_default(),
        };
        net.work += 1 + leaving[state].len();
    }
    values
}
