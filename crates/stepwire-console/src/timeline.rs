//! Lanes on one clock: what happened beside what. Long times in which nothing happens are squeezed.
//!
//! The drawing is SVG with positions as attributes, so that it needs no style of its own; where it
//! is wider than its place it is scrolled.

use maud::{Markup, html};
use stepwire_asl::Timestamp;

use crate::words::{Status, duration};

/// Width of the drawing, and of the names in front of the lanes.
const WIDTH: f64 = 1_000.0;
const NAMES: f64 = 92.0;
/// Room behind the last instant.
const AFTER: f64 = 14.0;
/// Height of a row, of the axis on top, and of what is drawn in a row.
const ROW: f64 = 24.0;
const AXIS: f64 = 20.0;
const BAR: f64 = 16.0;
/// Width of a time that is squeezed, and of one at the end: what is written on the marks before it is
/// written there.
const CUT: f64 = 46.0;
const CUT_LAST: f64 = 150.0;
/// Shorter times are never squeezed.
const CUT_MS: i64 = 5_000;
/// Rows of one lane; what overlaps more is drawn in the last.
const ROWS_MAX: usize = 4;
/// The width of a letter, of the wider of the fonts that a system may have.
const LETTER: f64 = 7.2;

/// What a time line shows.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// What it is of, for those who do not see it.
    pub label: String,
    /// From top to bottom.
    pub lanes: Vec<Lane>,
    /// The time on the node's clock, when what is shown goes on.
    pub now: Option<Timestamp>,
}

/// One lane.
#[derive(Debug, Clone)]
pub struct Lane {
    /// What it shows.
    pub name: &'static str,
    /// In order of their beginnings.
    pub items: Vec<Item>,
}

/// How an item looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// As executions and steps do.
    Status(Status),
    /// The device's connection is open.
    Online,
    /// A message from the device.
    Out,
    /// A message to the device.
    In,
    /// A rule that had something to do.
    Rule,
    /// Something was refused.
    Bad,
    /// Anything else.
    Plain,
}

impl Look {
    fn class(self) -> &'static str {
        match self {
            Look::Status(status) => status.class(),
            Look::Online => "on",
            Look::Out => "out",
            Look::In => "in",
            Look::Rule => "rule",
            Look::Bad => "err",
            Look::Plain => "none",
        }
    }
}

/// How long an item goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is an instant.
    Instant,
    /// Until then.
    At(Timestamp),
    /// It goes on.
    Open,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Item {
    /// When, or when it began.
    pub from: Timestamp,
    /// When it ended.
    pub end: End,
    /// How it looks.
    pub look: Look,
    /// What is written on it, as far as there is room.
    pub label: String,
    /// All that is to say of it.
    pub title: String,
    /// Where it leads.
    pub href: Option<String>,
}

impl Timeline {
    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.items.is_empty())
    }

    /// The drawing.
    pub fn svg(&self) -> Markup {
        let axis = Axis::of(self);
        let rows: Vec<Rows> = self.lanes.iter().map(|lane| Rows::of(lane, &axis)).collect();
        let height = AXIS + rows.iter().map(Rows::height).sum::<f64>() + 4.0;
        let mut top = AXIS;
        let tops: Vec<f64> = rows
            .iter()
            .map(|rows| {
                let at = top;
                top += rows.height();
                at
            })
            .collect();
        html! {
            svg.tline viewBox={ "0 0 " (WIDTH) " " (fine(height)) } role="group" aria-label=(self.label) {
                (axis.svg(height))
                @for ((lane, rows), top) in self.lanes.iter().zip(&rows).zip(&tops) {
                    line.lane x1="0" x2=(WIDTH) y1=(fine(*top)) y2=(fine(*top)) {}
                    text.name x="2" y=(fine(top + ROW / 2.0 + 4.0)) { (lane.name) }
                    @for (item, place) in lane.items.iter().zip(&rows.places) { (draw(item, *place, *top)) }
                }
                @if let Some(now) = self.now {
                    @let x = fine(axis.x(now));
                    line.now x1=(x) x2=(x) y1=(AXIS) y2=(fine(height)) {}
                }
            }
        }
    }
}

fn draw(item: &Item, place: Place, top: f64) -> Markup {
    let y = top + place.row as f64 * ROW + (ROW - BAR) / 2.0;
    let body = html! {
        title { (item.title) }
        @match item.end {
            End::Instant => {
                @let (x, middle) = (place.from, y + BAR / 2.0);
                @if item.look == Look::Rule {
                    circle.pt cx=(fine(x)) cy=(fine(middle)) r="4.5" {}
                } @else {
                    path.pt d=(point(item.look, x, middle)) {}
                }
                @if let Some(text) = fitting(&item.label, place.room - 8.0) {
                    text.on x=(fine(x + 8.0)) y=(fine(y + 12.0)) { (text) }
                }
            }
            End::At(_) | End::Open => {
                rect.bar x=(fine(place.from)) y=(fine(y)) width=(fine(place.to - place.from)) height=(BAR) rx="4" {}
                @if let Some(text) = fitting(&item.label, place.to - place.from - 10.0) {
                    text.in x=(fine(place.from + 6.0)) y=(fine(y + 12.0)) { (text) }
                }
            }
        }
    };
    let class = format!("it {}", item.look.class());
    match &item.href {
        Some(href) => html! { a class=(class) href=(href) aria-label=(item.title) { (body) } },
        None => html! { g class=(class) { (body) } },
    }
}

/// A mark that points the way a message goes; a diamond when it goes none.
fn point(look: Look, x: f64, y: f64) -> String {
    let (x, y) = (fine(x), fine(y));
    match look {
        Look::Out => format!("M{x} {y}m-4.5 4l4.5-8.5l4.5 8.5z"),
        Look::In => format!("M{x} {y}m-4.5-4l4.5 8.5l4.5-8.5z"),
        _ => format!("M{x} {y}m-4.5 0l4.5-4.5l4.5 4.5l-4.5 4.5z"),
    }
}

/// `text`, or its beginning, if there is room for more than a letter or two.
fn fitting(text: &str, room: f64) -> Option<String> {
    let letters = (room / LETTER).floor().max(0.0) as usize;
    let all = text.chars().count();
    if all <= letters {
        return (all > 0).then(|| text.to_owned());
    }
    let beginning: String = text.chars().take(letters.saturating_sub(1)).collect();
    (letters >= 4).then(|| format!("{beginning}…"))
}

/// Where an item is: its row, its ends, and how far the next in its row is.
#[derive(Debug, Clone, Copy)]
struct Place {
    row: usize,
    from: f64,
    to: f64,
    room: f64,
}

/// The rows of a lane.
struct Rows {
    count: usize,
    places: Vec<Place>,
}

impl Rows {
    fn of(lane: &Lane, axis: &Axis) -> Rows {
        let mut ends: Vec<f64> = Vec::new();
        let mut places: Vec<Place> = Vec::new();
        for item in &lane.items {
            let from = axis.x(item.from);
            let to = match item.end {
                End::Instant => from,
                End::At(at) => axis.x(at).max(from + 2.0),
                End::Open => axis.x(axis.last).max(from + 2.0),
            };
            // Instants may stand close together, bars must not cover each other.
            let is_bar = item.end != End::Instant;
            let free = ends.iter().position(|end| !is_bar || *end <= from + 0.01);
            let row = free.unwrap_or_else(|| ends.len().min(ROWS_MAX - 1));
            if row == ends.len() {
                ends.push(to);
            } else if let Some(end) = ends.get_mut(row) {
                *end = end.max(to);
            }
            places.push(Place { row, from, to, room: WIDTH - from });
        }
        // Items come in any order: what is next is so by where it stands.
        let stands: Vec<(usize, f64)> =
            places.iter().map(|place| (place.row, place.from)).collect();
        for (index, place) in places.iter_mut().enumerate() {
            let others = stands.iter().enumerate().filter(|(other, (row, from))| {
                *row == place.row && (*from, *other) > (place.from, index)
            });
            let next = others.map(|(_, (_, from))| *from).fold(WIDTH + 6.0, f64::min);
            place.room = next - place.from - 6.0;
        }
        Rows { count: ends.len().max(1), places }
    }

    fn height(&self) -> f64 {
        self.count as f64 * ROW
    }
}

/// The clock: instants in order, and where each is.
struct Axis {
    points: Vec<(i64, f64)>,
    /// Squeezed times: where they are, and how long they are.
    cuts: Vec<(f64, f64, i64)>,
    last: Timestamp,
}

impl Axis {
    fn of(timeline: &Timeline) -> Axis {
        let mut instants: Vec<i64> = timeline.now.iter().map(|now| now.0).collect();
        for item in timeline.lanes.iter().flat_map(|lane| &lane.items) {
            instants.push(item.from.0);
            if let End::At(at) = item.end {
                instants.push(at.0);
            }
        }
        instants.sort_unstable();
        instants.dedup();
        let gaps: Vec<i64> = instants.windows(2).map(span).collect();
        let longest = squeezed_from(&gaps);
        let cuts = gaps.iter().enumerate().filter(|(_, gap)| **gap > longest);
        let cut = |index: usize| if index + 1 == gaps.len() { CUT_LAST } else { CUT };
        let squeezed: f64 = cuts.map(|(index, _)| cut(index)).sum();
        let free = (WIDTH - NAMES - AFTER - squeezed).max(100.0);
        let total: i64 = gaps.iter().filter(|gap| **gap <= longest).sum();
        let scale = if total > 0 { free / total as f64 } else { 0.0 };
        let mut axis = Axis { points: Vec::new(), cuts: Vec::new(), last: Timestamp(0) };
        let mut x = NAMES + 6.0;
        for (index, instant) in instants.iter().enumerate() {
            if let Some((before, gap)) =
                index.checked_sub(1).and_then(|at| Some((at, gaps.get(at)?)))
            {
                let width = if *gap > longest { cut(before) } else { *gap as f64 * scale };
                if *gap > longest {
                    axis.cuts.push((x, x + width, *gap));
                }
                x += width;
            }
            axis.points.push((*instant, x));
            axis.last = Timestamp(*instant);
        }
        axis
    }

    fn x(&self, at: Timestamp) -> f64 {
        let index = self.points.partition_point(|(instant, _)| *instant < at.0);
        self.points.get(index).or_else(|| self.points.last()).map_or(NAMES, |(_, x)| *x)
    }

    fn svg(&self, height: f64) -> Markup {
        let first = self.points.first();
        html! {
            @for (from, to, _) in &self.cuts {
                rect.cut x=(fine(*from)) y=(AXIS) width=(fine(to - from)) height=(fine(height - AXIS)) {}
            }
            @for (x, ms) in self.silences() { text.cutn x=(fine(x)) y="13" { (duration(ms)) } }
            @for (instant, x) in self.ticks() {
                text.tick x=(fine(x)) y="13" { (clock(instant)) }
            }
            @if let Some((_, x)) = first { line.axis x1=(fine(*x)) x2=(fine(*x)) y1=(AXIS) y2=(fine(height)) {} }
        }
    }

    /// Squeezed times that are written on the axis, with their middles: none touches another, of two
    /// that would the longer is written.
    fn silences(&self) -> Vec<(f64, i64)> {
        const ROOM: f64 = 58.0;
        let mut written: Vec<(f64, i64)> = Vec::new();
        for (from, to, ms) in &self.cuts {
            let middle = f64::midpoint(*from, *to).min(WIDTH - ROOM / 2.0);
            match written.last_mut().filter(|(last, _)| middle - *last < ROOM) {
                Some(last) if last.1 < *ms => *last = (middle, *ms),
                Some(_) => {}
                None => written.push((middle, *ms)),
            }
        }
        written
    }

    /// Instants that are written on the axis: none touches another, or a squeezed time.
    fn ticks(&self) -> Vec<(i64, f64)> {
        const ROOM: f64 = 84.0;
        let mut ticks: Vec<(i64, f64)> = Vec::new();
        for (instant, x) in &self.points {
            let is_free = ticks.last().is_none_or(|(_, last)| x - last >= ROOM);
            let middle = |(from, to, _): &(f64, f64, i64)| f64::midpoint(*from, *to);
            let is_clear = self
                .cuts
                .iter()
                .all(|cut| middle(cut) + 26.0 < *x || middle(cut) - 26.0 > x + 62.0);
            if is_free && is_clear && *x <= WIDTH - 62.0 {
                ticks.push((*instant, *x));
            }
        }
        ticks
    }
}

fn span(pair: &[i64]) -> i64 {
    match pair {
        [from, to] => to - from,
        _ => 0,
    }
}

/// Longer times than this are squeezed: those that would take most of the drawing by themselves.
fn squeezed_from(gaps: &[i64]) -> i64 {
    let mut sorted = gaps.to_vec();
    sorted.sort_unstable();
    let total: i64 = sorted.iter().sum();
    let mut kept = total;
    let mut longest = i64::MAX;
    for gap in sorted.iter().rev() {
        // What is left without it is so little that this time alone fills the drawing.
        if *gap < CUT_MS || *gap * 3 < kept {
            break;
        }
        if kept == *gap {
            break;
        }
        kept -= gap;
        longest = gap - 1;
    }
    longest
}

/// The time of day in UTC: `12:04:33.324`.
fn clock(ms: i64) -> String {
    let text = Timestamp(ms).rfc3339();
    text.get(11..23).map_or_else(String::new, str::to_owned)
}

/// A length without needless digits.
fn fine(length: f64) -> String {
    let text = format!("{length:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(from: i64, end: End, label: &str) -> Item {
        let (from, look) = (Timestamp(from), Look::Plain);
        Item { from, end, look, label: label.to_owned(), title: label.to_owned(), href: None }
    }

    fn line(items: Vec<Item>) -> Timeline {
        Timeline { label: "x".to_owned(), lanes: vec![Lane { name: "A", items }], now: None }
    }

    #[test]
    fn a_long_silence_is_squeezed_and_says_how_long_it_was() {
        let instants = [0, 100, 200, 3_600_200, 3_600_300];
        let line = line(instants.iter().map(|at| item(*at, End::Instant, "")).collect());
        let axis = Axis::of(&line);
        assert_eq!(axis.cuts.len(), 1);
        assert_eq!(axis.cuts[0].2, 3_600_000);
        let (first, second) = (axis.x(Timestamp(0)), axis.x(Timestamp(100)));
        assert!(second - first > 250.0, "{first} {second}");
        assert!(axis.x(Timestamp(3_600_300)) <= WIDTH);
        assert!(line.svg().0.contains("1 h"));
    }

    #[test]
    fn what_happened_before_a_last_silence_has_room_for_its_words() {
        let items = [0, 900, 1_000].map(|at| item(at, End::Instant, "…/gw/config_resp"));
        let line = Timeline { now: Some(Timestamp(900_000)), ..line(items.to_vec()) };
        let drawn = line.svg().0;
        assert!(drawn.contains("x=\"850\" y=\"36\">…/gw/config_resp</text>"), "{drawn}");
        assert!(Axis::of(&line).x(Timestamp(900_000)) <= WIDTH);
    }

    #[test]
    fn of_two_silences_side_by_side_the_longer_is_written() {
        let instants = [0, 100, 200, 300, 90_300, 7_290_300, 7_290_400];
        let line = line(instants.iter().map(|at| item(*at, End::Instant, "")).collect());
        let axis = Axis::of(&line);
        assert_eq!(axis.cuts.len(), 2);
        let written: Vec<i64> = axis.silences().iter().map(|(_, ms)| *ms).collect();
        assert_eq!(written, [7_200_000]);
        assert!(axis.silences().iter().all(|(x, _)| *x <= WIDTH - 20.0));
    }

    #[test]
    fn order_is_kept_and_nothing_leaves_the_drawing() {
        let mut at = 0;
        let items: Vec<Item> = (0..300)
            .map(|n| {
                at += (n * 7_919) % 5_003 * if n % 50 == 0 { 10_000 } else { 1 };
                item(at, if n % 3 == 0 { End::At(Timestamp(at + 40)) } else { End::Instant }, "n")
            })
            .collect();
        let line = line(items);
        let axis = Axis::of(&line);
        assert!(axis.points.windows(2).all(|pair| pair[0].1 <= pair[1].1));
        assert!(axis.points.iter().all(|(_, x)| (NAMES..=WIDTH).contains(x)));
        let rows = Rows::of(&line.lanes[0], &axis);
        assert!(rows.count <= ROWS_MAX);
    }

    #[test]
    fn bars_that_overlap_have_rows_of_their_own() {
        let bars = [(0, 100), (50, 150), (100, 200)];
        let items = bars.map(|(from, to)| item(from, End::At(Timestamp(to)), "bar"));
        let line = line(items.to_vec());
        let rows = Rows::of(&line.lanes[0], &Axis::of(&line));
        let of: Vec<usize> = rows.places.iter().map(|place| place.row).collect();
        assert_eq!(of, [0, 1, 0]);
    }

    #[test]
    fn what_is_written_on_an_instant_ends_before_the_next_in_whatever_order_they_come() {
        let items = [40, 0, 90, 10, 90].map(|at| item(at, End::Instant, "a long label"));
        let line = line(items.to_vec());
        let rows = Rows::of(&line.lanes[0], &Axis::of(&line));
        for (index, place) in rows.places.iter().enumerate() {
            let others = rows.places.iter().enumerate().filter(|(other, _)| *other != index);
            let over = others.filter(|(_, other)| {
                other.from > place.from && other.from < place.from + place.room
            });
            assert_eq!(over.count(), 0, "{:?}", rows.places);
        }
        assert!(rows.places[2].room < 0.0, "the last of two at one place is written");
    }

    #[test]
    fn one_instant_alone_and_none_at_all_are_drawn() {
        assert!(line(vec![item(5, End::Instant, "once")]).svg().0.contains("once"));
        assert!(line(Vec::new()).is_empty());
        line(Vec::new()).svg();
    }

    #[test]
    fn what_is_written_is_text() {
        let drawn = line(vec![item(5, End::Instant, "<img onerror=x>")]).svg().0;
        assert!(!drawn.contains("<img"), "{drawn}");
    }
}
