//! Device, messages, rules, steps and functions on one clock.
//!
//! Time runs from left to right as a share of the width. Where nothing begins or ends for more than
//! half of the time shown, that gap is squeezed and says how long it really was.

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
                    @let rows = rows(&spans, lane, end);
                    @if !rows.is_empty() || matches!(lane, Lane::Steps) { (line(&clock, name, &rows, end, open)) }
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

/// What is on a lane, laid out so that nothing covers another: each row in order of time.
fn rows(spans: &[Span], lane: Lane, end: Timestamp) -> Vec<Vec<&Span>> {
    let mut of: Vec<&Span> = spans.iter().filter(|span| span.lane == lane).collect();
    of.sort_by_key(|span| (span.from, span.to.is_some(), span.to));
    let mut rows: Vec<Vec<&Span>> = Vec::new();
    for span in of {
        let free = rows
            .iter()
            .position(|row| row.last().is_none_or(|last| last.to.unwrap_or(end) <= span.from));
        match free {
            Some(row) => rows[row].push(span),
            None if rows.len() < ROWS_MAX => rows.push(vec![span]),
            // Better covered in part than not to be seen.
            None => rows[ROWS_MAX - 1].push(span),
        }
    }
    rows
}

fn line(clock: &Clock, name: &str, rows: &[Vec<&Span>], end: Timestamp, open: bool) -> Markup {
    let height = rows.len().max(1) * ROW;
    html! {
        div.lane {
            span { (name) }
            svg.trk width="100%" height=(height) role="group" aria-label=(name) {
                @for cut in &clock.cuts {
                    rect.cutout x=(percent(cut.x)) width=(percent(cut.width)) height=(height) {}
                }
                @for (index, row) in rows.iter().enumerate() {
                    @for (at, span) in row.iter().enumerate() {
                        @let next = row.get(at + 1).map_or(end, |next| next.from);
                        (drawn_span(clock, span, index * ROW, end, next))
                    }
                }
                @if open { line.nowline x1=(percent(clock.x(end))) x2=(percent(clock.x(end))) y1="0" y2=(height) {} }
            }
        }
    }
}

fn drawn_span(clock: &Clock, span: &Span, y: usize, end: Timestamp, next: Timestamp) -> Markup {
    let x = clock.x(span.from);
    let to = span.to.unwrap_or(end);
    let body = if span.to == Some(span.from) {
        // What takes no time is a point, and its words have the room until the next.
        let room = (clock.x(next) - x).max(1.5);
        html! {
            svg x=(percent(x)) y=(y) width=(percent(room.min(100.0 - x))) height=(ROW) {
                circle class={ "pt " (span.class) } cx="6" cy="12" r="4" {}
                foreignObject.words x="14" height=(ROW) { div.tx { (span.label) } }
            }
        }
    } else {
        let width = (clock.x(to) - x).max(0.6);
        html! {
            svg x=(percent(x.min(99.4))) y=(y + 3) width=(percent(width)) height=(ROW - 6) {
                rect class={ "sp " (span.class) } width="100%" height="100%" rx="4" {}
                foreignObject.words.in x="5" height="100%" { div.tx { (span.label) } }
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
        let mut shown: Vec<f64> = gaps.iter().map(|ms| *ms as f64).collect();
        let mut cut = vec![false; gaps.len()];
        // The longest gap is squeezed as long as it is longer than all the rest.
        for _ in 0..6 {
            let sum: f64 = shown.iter().sum();
            let longest = (0..shown.len())
                .filter(|at| !cut[*at])
                .max_by(|a, b| shown[*a].total_cmp(&shown[*b]));
            let Some(at) = longest.filter(|_| shown.len() > 2) else { break };
            let rest = sum - shown[at];
            if shown[at] <= rest * 1.5 || rest <= 0.0 {
                break;
            }
            shown[at] = rest / 4.0;
            cut[at] = true;
        }
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
            None => self.points.last().map_or(0.0, |(_, x)| *x),
        }
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
        assert!(wait < 25.0, "{wait}");
        let all: Vec<f64> =
            (0..=3_600_100).step_by(1_001).map(|at| clock.x(Timestamp(at))).collect();
        assert!(all.windows(2).all(|pair| pair[0] <= pair[1]), "the clock never runs backwards");
    }

    #[test]
    fn what_overlaps_is_on_rows_of_its_own() {
        let spans = [span(0, 50), span(10, 20), span(20, 30), span(60, 70)];
        let rows = rows(&spans, Lane::Steps, Timestamp(70));
        let starts: Vec<Vec<i64>> =
            rows.iter().map(|row| row.iter().map(|span| span.from.0).collect()).collect();
        assert_eq!(starts, [vec![0, 60], vec![10, 20]]);
    }
}
