//! Device, messages, rules, steps and functions on one clock.
//!
//! Time runs from left to right as a share of the width. Where nothing begins or ends for so long that
//! the rest could not be read, that gap is squeezed and says how long it really was. What would cover
//! something else, its words included, is drawn a row below.

use maud::{Markup, html};
use stepwire_asl::Timestamp;

use super::Drawn;
use crate::run::{End, VisitId};
use crate::words::{Status, duration};

/// Rows of steps at the same time.
const ROWS_MAX: usize = 6;
/// Steps that are drawn.
const STEPS_MAX: usize = 400;
/// Height of a row, in pixels.
const ROW: usize = 24;
/// Width of a letter and of a point, as a share of a usual width of the line.
const LETTER: f64 = 1.2;
const POINT: f64 = 2.2;
/// The most that the words beside a point may take.
const WORDS_MAX: f64 = 40.0;
/// The least that a bar takes.
const BAR_MIN: f64 = 0.6;
/// Gaps are squeezed that are so many times longer than all shorter ones together.
const SQUEEZED_FROM: i64 = 20;
/// Gaps that are squeezed at most.
const CUTS_MAX: usize = 8;

/// A line of the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Whether the device was connected.
    Device,
    /// Messages.
    Mqtt,
    /// What rules made of them.
    Rules,
    /// States.
    Steps,
    /// Invocations.
    Functions,
}

impl Lane {
    const ALL: [(Lane, &'static str); 5] = [
        (Lane::Device, "Device"),
        (Lane::Mqtt, "MQTT"),
        (Lane::Rules, "Rules"),
        (Lane::Steps, "Steps"),
        (Lane::Functions, "Functions"),
    ];
}

/// Something on the timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// On which line.
    pub lane: Lane,
    /// When it began.
    pub from: Timestamp,
    /// When it ended; the same as `from` for what takes no time, `None` for what goes on.
    pub to: Option<Timestamp>,
    /// The class of its colour.
    pub class: &'static str,
    /// A few words on it.
    pub label: String,
    /// All of them.
    pub title: String,
    /// Where it leads.
    pub href: Option<String>,
}

/// Draws it.
pub(super) fn timeline(drawn: &Drawn<'_>) -> Markup {
    let run = drawn.run();
    let Some(start) = run.started.or_else(|| run.events.first().and_then(|event| event.at)) else {
        return html! { div.bar { h2 { "Timeline" } } p.empty { "The history has no times." } };
    };
    let end = run.stopped.unwrap_or_else(|| drawn.view.now.max(run.last_at().unwrap_or(start)));
    let (steps, more) = steps(drawn);
    let mut spans: Vec<Span> =
        drawn.view.spans.iter().filter(|span| span.from <= end).cloned().collect();
    spans.extend(steps);
    let first = spans.iter().filter(|span| span.lane != Lane::Device).map(|span| span.from).min();
    let from = first.map_or(start, |first| first.min(start));
    let clock = Clock::of(from, end, &spans);
    let open = run.end == End::None && drawn.view.about.is_some() && drawn.view.look.at.is_none();
    html! {
        div.bar { h2 { "Timeline" } span.dim.tl-what { "device, messages, rules, steps and functions on one clock" } }
        div.tlg.scroll tabindex="0" role="group" aria-label="Timeline, one row each for device, messages, rules, steps and functions" data-key="t" {
            div.tl-in {
                div.axis { span {} (axis(&clock, start)) }
                @for (lane, name) in Lane::ALL {
                    @let rows = rows(&clock, &spans, lane, end);
                    @if !rows.is_empty() || matches!(lane, Lane::Steps) { (line(&clock, name, &rows, open)) }
                }
            }
        }
        @if more > 0 { p.dim.foot { (more) " more steps are not drawn" @if run.frames.iter().any(|frame| frame.iteration) { "; pick an item of the Map to see its own" } "." } }
    }
}

/// The visits that are drawn: of the workflow itself, of branches, and of picked items.
fn steps(drawn: &Drawn<'_>) -> (Vec<Span>, usize) {
    let run = drawn.run();
    let is_shown = |id: VisitId| {
        drawn.scope.has(run, id)
            && run.way_to(id).iter().all(|(map, frame)| {
                !run.frames[*frame].iteration || drawn.scope.picked(*map) == Some(*frame)
            })
    };
    let shown: Vec<VisitId> = (0..run.visits.len()).filter(|id| is_shown(*id)).collect();
    let mut spans = Vec::new();
    for id in shown.iter().take(STEPS_MAX) {
        let visit = &run.visits[*id];
        let Some(from) = visit.entered_at else { continue };
        let status = run.status_of(*id);
        let href = Some(drawn.to_visit(*id));
        let title = format!("{}, {}", visit.name, run.words(*id, 1));
        let plain = visit.attempts.len() < 2 || visit.is_container();
        if plain {
            let (class, label) = (status.class(), visit.name.to_string());
            let to = visit.ended_at;
            spans.push(Span { lane: Lane::Steps, from, to, class, label, title, href });
            continue;
        }
        for (index, attempt) in visit.attempts.iter().enumerate() {
            let Some(from) = attempt.scheduled_at else { continue };
            let failed = attempt.is_failed();
            let class = if failed { Status::Failed.class() } else { status.class() };
            let label = format!("{} {}", visit.name, index + 1);
            let title = format!("{}, attempt {}", visit.name, index + 1);
            let to = attempt.ended_at;
            spans.push(Span {
                lane: Lane::Steps,
                from,
                to,
                class,
                label,
                title,
                href: href.clone(),
            });
            let next = visit.attempts.get(index + 1).and_then(|next| next.scheduled_at);
            let waits = failed && visit.is_open() && index + 1 == visit.attempts.len();
            if let (Some(from), true) = (to, next.is_some() || waits) {
                let label = next.map_or_else(
                    || "back-off".to_owned(),
                    |next| format!("back-off {}", duration(next.since_ms(from))),
                );
                let title = format!("{} waits to be tried again", visit.name);
                spans.push(Span {
                    lane: Lane::Steps,
                    from,
                    to: next,
                    class: "gap",
                    label,
                    title,
                    href: href.clone(),
                });
            }
        }
    }
    (spans, shown.len().saturating_sub(STEPS_MAX))
}

/// Where something is drawn.
struct Place<'a> {
    span: &'a Span,
    /// Where it begins; of a point, where the point is.
    x: f64,
    /// What it takes with its words.
    from: f64,
    to: f64,
}

impl Place<'_> {
    fn of<'a>(clock: &Clock, span: &'a Span, end: Timestamp) -> Place<'a> {
        let x = clock.x(span.from);
        if !span.is_point() {
            let width = (clock.x(span.to.unwrap_or(end)) - x).max(BAR_MIN);
            let x = x.min(100.0 - BAR_MIN);
            return Place { span, x, from: x, to: x + width };
        }
        let words = (span.label.chars().count() as f64 * LETTER).min(WORDS_MAX) + POINT;
        // At the right end words are on the left of their point.
        let (from, to) = if x + words > 100.0 { (x - words, x + POINT) } else { (x, x + words) };
        Place { span, x, from, to }
    }

    fn touches(&self, other: &Place<'_>) -> bool {
        self.from < other.to && other.from < self.to
    }
}

impl Span {
    fn is_point(&self) -> bool {
        self.to == Some(self.from)
    }
}

/// What is on a lane, laid out so that nothing covers another: each row in order of time.
fn rows<'a>(clock: &Clock, spans: &'a [Span], lane: Lane, end: Timestamp) -> Vec<Vec<Place<'a>>> {
    let mut of: Vec<&Span> = spans.iter().filter(|span| span.lane == lane).collect();
    of.sort_by_key(|span| (span.from, span.is_point(), span.to.is_some(), span.to));
    let mut rows: Vec<Vec<Place<'a>>> = Vec::new();
    for span in of {
        let place = Place::of(clock, span, end);
        // Bars may begin where another ends.
        let free = rows.iter().position(|row| !row.iter().any(|other| place.touches(other)));
        match free {
            Some(row) => rows[row].push(place),
            None if rows.len() < ROWS_MAX => rows.push(vec![place]),
            // Better covered in part than not to be seen.
            None => rows[ROWS_MAX - 1].push(place),
        }
    }
    rows
}

fn line(clock: &Clock, name: &str, rows: &[Vec<Place<'_>>], open: bool) -> Markup {
    let height = rows.len().max(1) * ROW;
    html! {
        div.lane {
            span { (name) }
            svg.trk width="100%" height=(height) role="group" aria-label=(name) {
                @for cut in &clock.cuts {
                    rect.cutout x=(percent(cut.x)) width=(percent(cut.width)) height=(height) {}
                }
                @for (index, row) in rows.iter().enumerate() {
                    @for place in row { (drawn_place(place, index * ROW)) }
                }
                @if open { line.nowline x1=(percent(clock.end())) x2=(percent(clock.end())) y1="0" y2=(height) {} }
            }
        }
    }
}

fn drawn_place(place: &Place<'_>, y: usize) -> Markup {
    let Place { span, x, from, to } = place;
    let body = if !span.is_point() {
        html! {
            svg x=(percent(*x)) y=(y + 3) width=(percent(to - from)) height=(ROW - 6) {
                rect class={ "sp " (span.class) } width="100%" height="100%" rx="4" {}
                foreignObject.words.in x="5" height="100%" { div.tx { (span.label) } }
            }
        }
    } else if from < x {
        html! {
            svg.side x=(percent(*x)) y=(y) height=(ROW) {
                circle class={ "pt " (span.class) } cx="6" cy="12" r="4" {}
                text.tx x="-3" y="16" text-anchor="end" { (span.label) }
            }
        }
    } else {
        html! {
            svg x=(percent(*x)) y=(y) width=(percent(to - from)) height=(ROW) {
                circle class={ "pt " (span.class) } cx="6" cy="12" r="4" {}
                foreignObject.words x="14" height=(ROW) { div.tx { (span.label) } }
            }
        }
    };
    html! {
        @match &span.href {
            Some(href) => a href=(href) aria-label=(span.title) { title { (span.title) } (body) },
            None => g role="img" aria-label=(span.title) { title { (span.title) } (body) },
        }
    }
}

/// Times along the clock, in reference to the start of the run.
fn axis(clock: &Clock, start: Timestamp) -> Markup {
    html! {
        svg width="100%" height="20" aria-hidden="true" {
            @for (x, at) in clock.ticks() {
                @let ms = at.since_ms(start);
                text.tick x=(percent(x)) y="14" text-anchor=(if x < 4.0 { "start" } else if x > 94.0 { "end" } else { "middle" }) {
                    @if ms < 0 { "−" (duration(-ms)) } @else { (duration(ms)) }
                }
            }
            @for cut in &clock.cuts {
                text.tick.cutword x=(percent(cut.x + cut.width / 2.0)) y="14" text-anchor="middle" { "· " (duration(cut.ms)) " ·" }
            }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.2}%", share.clamp(0.0, 100.0))
}

/// A gap in which nothing happens, drawn shorter than it was.
struct Cut {
    x: f64,
    width: f64,
    ms: i64,
}

/// Where times are on the line: straight from one point to the next.
struct Clock {
    /// Times and their share of the width, in order.
    points: Vec<(Timestamp, f64)>,
    cuts: Vec<Cut>,
}

impl Clock {
    /// The clock of what happens between two times.
    fn of(from: Timestamp, end: Timestamp, spans: &[Span]) -> Clock {
        let end = end.max(from.plus_ms(1));
        let mut times: Vec<Timestamp> = vec![from, end];
        for span in spans {
            times.extend([Some(span.from), span.to].into_iter().flatten());
        }
        times.retain(|at| *at >= from && *at <= end);
        times.sort_unstable();
        times.dedup();
        let gaps: Vec<i64> = times.windows(2).map(|pair| pair[1].since_ms(pair[0])).collect();
        let from_ms = squeezed_from(&gaps);
        let cut: Vec<bool> = gaps.iter().map(|ms| *ms >= from_ms).collect();
        let cuts_drawn = cut.iter().filter(|is_cut| **is_cut).count() as f64;
        let rest: i64 =
            gaps.iter().zip(&cut).filter(|(_, is_cut)| !**is_cut).map(|(ms, _)| ms).sum();
        // One takes a third of the width, several about half of it together.
        let squeezed = rest as f64 * (0.15 + 0.35 / cuts_drawn.max(1.0));
        let shown = gaps.iter().zip(&cut);
        let shown: Vec<f64> =
            shown.map(|(ms, is_cut)| if *is_cut { squeezed } else { *ms as f64 }).collect();
        // A little room for words on both sides.
        let (left, width) = (0.6, 97.4);
        let sum: f64 = shown.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let mut points = vec![(from, left)];
        let mut cuts = Vec::new();
        let mut x = left;
        for (index, gap) in shown.iter().enumerate() {
            let share = gap / sum * width;
            if cut[index] {
                cuts.push(Cut { x: x + share * 0.25, width: share * 0.5, ms: gaps[index] });
            }
            x += share;
            points.push((times[index + 1], x));
        }
        Clock { points, cuts }
    }

    /// Where a time is, as a share of the width.
    fn x(&self, at: Timestamp) -> f64 {
        let after = self.points.iter().position(|(time, _)| *time >= at);
        match after {
            Some(0) => self.points[0].1,
            Some(after) => {
                let ((t0, x0), (t1, x1)) = (self.points[after - 1], self.points[after]);
                let length = t1.since_ms(t0).max(1) as f64;
                x0 + (x1 - x0) * at.since_ms(t0) as f64 / length
            }
            None => self.end(),
        }
    }

    /// Where it ends.
    fn end(&self) -> f64 {
        self.points.last().map_or(0.0, |(_, x)| *x)
    }

    /// A few times to read the clock by, none near another or a cut.
    fn ticks(&self) -> Vec<(f64, Timestamp)> {
        let mut ticks: Vec<(f64, Timestamp)> = Vec::new();
        let is_free = |x: f64, ticks: &[(f64, Timestamp)]| {
            ticks.iter().all(|(other, _)| (x - other).abs() >= 10.0)
                && self.cuts.iter().all(|cut| (x - (cut.x + cut.width / 2.0)).abs() >= 11.0)
        };
        let ends = [self.points.first(), self.points.last()].into_iter().flatten();
        for (at, x) in ends.chain(self.points.iter()) {
            if is_free(*x, &ticks) {
                ticks.push((*x, *at));
            }
        }
        ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
        ticks
    }
}

/// Gaps from this length on are squeezed: those beside which all shorter ones together would hardly be
/// seen.
fn squeezed_from(gaps: &[i64]) -> i64 {
    let mut lengths = gaps.to_vec();
    lengths.sort_unstable();
    let mut shorter = 0;
    for (index, ms) in lengths.iter().enumerate() {
        let left = lengths.len() - index;
        if shorter > 0 && left <= CUTS_MAX && *ms >= shorter * SQUEEZED_FROM {
            return *ms;
        }
        shorter += ms;
    }
    i64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: i64, to: i64) -> Span {
        let (from, to) = (Timestamp(from), Some(Timestamp(to)));
        let (label, title) = (String::new(), String::new());
        Span { lane: Lane::Steps, from, to, class: "ok", label, title, href: None }
    }

    #[test]
    fn time_runs_evenly_while_something_happens() {
        let clock = Clock::of(Timestamp(0), Timestamp(100), &[span(0, 50), span(50, 100)]);
        assert!(clock.cuts.is_empty());
        assert!((clock.x(Timestamp(50)) - clock.x(Timestamp(0)) - 48.7).abs() < 0.1);
    }

    #[test]
    fn a_long_wait_is_squeezed_and_told() {
        let clock = Clock::of(
            Timestamp(0),
            Timestamp(3_600_100),
            &[span(0, 40), span(40, 80), span(3_600_080, 3_600_100)],
        );
        assert_eq!(clock.cuts.iter().map(|cut| cut.ms).collect::<Vec<_>>(), [3_600_000]);
        let wait = clock.x(Timestamp(3_600_080)) - clock.x(Timestamp(80));
        assert!(wait < 35.0, "{wait}");
        let all: Vec<f64> =
            (0..=3_600_100).step_by(1_001).map(|at| clock.x(Timestamp(at))).collect();
        assert!(all.windows(2).all(|pair| pair[0] <= pair[1]), "the clock never runs backwards");
    }

    #[test]
    fn what_happens_before_a_long_wait_keeps_most_of_the_width() {
        for (spans, cuts) in [
            (vec![span(0, 5), span(5, 10_300)], vec![10_295]),
            (
                vec![span(0, 40), span(40, 2_040), span(2_040, 2_100), span(2_100, 10_100)],
                vec![2_000, 8_000],
            ),
            (vec![span(0, 1), span(1, 3)], vec![]),
            (vec![span(0, 50), span(50, 400)], vec![]),
        ] {
            let end = spans.iter().filter_map(|span| span.to).max().expect("an end");
            let clock = Clock::of(Timestamp(0), end, &spans);
            assert_eq!(clock.cuts.iter().map(|cut| cut.ms).collect::<Vec<_>>(), cuts);
            let (first, last) = (clock.x(Timestamp(0)), clock.x(end));
            assert!((last - first - 97.4).abs() < 0.01);
            if let [span, ..] = spans.as_slice()
                && !cuts.is_empty()
            {
                assert!(clock.x(span.to.expect("its end")) - first > 20.0);
            }
        }
    }

    fn starts(spans: &[Span]) -> Vec<Vec<i64>> {
        let clock = Clock::of(Timestamp(0), Timestamp(100), spans);
        let rows = rows(&clock, spans, Lane::Steps, Timestamp(100));
        rows.iter().map(|row| row.iter().map(|it| it.span.from.0).collect()).collect()
    }

    #[test]
    fn what_overlaps_is_on_rows_of_its_own() {
        let spans = [span(0, 50), span(10, 20), span(20, 30), span(60, 70)];
        assert_eq!(starts(&spans), [vec![0, 60], vec![10, 20]]);
    }

    #[test]
    fn points_and_their_words_cover_nothing() {
        let point = |at, label: &str| Span { label: label.to_owned(), ..span(at, at) };
        // At the same time as a bar; a second one beside it, and one whose words are too long.
        let spans = [span(0, 100), point(0, "Choose"), point(20, "Pass"), point(23, "Other")];
        assert_eq!(starts(&spans), [vec![0], vec![0, 20], vec![23]]);
        // At the end, words are on the left.
        let spans = [point(100, "Success")];
        let clock = Clock::of(Timestamp(0), Timestamp(100), &spans);
        let place = Place::of(&clock, &spans[0], Timestamp(100));
        assert!(place.from < place.x - 5.0);
        assert!(drawn_place(&place, 0).into_string().contains("text-anchor=\"end\""));
    }
}
