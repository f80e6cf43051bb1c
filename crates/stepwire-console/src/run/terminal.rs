//! A run as a tree of lines, for a terminal.

use stepwire_asl::{Json, Timestamp};

use super::why::{cause_of, error_of};
use super::{Attempt, End, FrameId, Run, VisitId};
use crate::words::{Status, capital, duration};

/// Iterations that are drawn of one Map; those that failed or run come first.
const ITERATIONS_MAX: usize = 8;

/// How a tree is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// With ANSI colours.
    pub colour: bool,
    /// The present, for what has not ended; `None`: it is not known.
    pub now: Option<Timestamp>,
}

impl Style {
    /// `text` in the colour of `status`.
    pub fn painted(self, status: Status, text: &str) -> String {
        let code = match status {
            Status::None | Status::Stopped => "90",
            Status::Running | Status::Waiting => "34",
            Status::WaitingForDevice | Status::Caught => "33",
            Status::Succeeded | Status::Retried => "32",
            Status::Failed | Status::TimedOut => "31",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn dim(self, text: &str) -> String {
        if self.colour { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A line before it is laid out.
struct Line {
    depth: usize,
    status: Status,
    name: String,
    what: String,
    took: String,
    note: String,
}

/// The states of a run, one a line, with what went wrong below them.
pub fn tree(run: &Run, style: Style) -> String {
    let mut lines = Vec::new();
    frame(run, 0, 0, style, &mut lines);
    let width = |of: fn(&Line) -> usize| lines.iter().map(of).max().unwrap_or(0);
    let name_width = width(|line| line.depth * 2 + line.name.chars().count()).min(56);
    let what_width = width(|line| line.what.chars().count()).min(40);
    let mut text = String::new();
    for line in &lines {
        let indent = "  ".repeat(line.depth);
        let sign = style.painted(line.status, &line.status.sign().to_string());
        let name = padded(&line.name, name_width.saturating_sub(line.depth * 2));
        let what = style.dim(&padded(&line.what, what_width));
        let took = format!("{:>9}", line.took);
        let note = if line.note.is_empty() { String::new() } else { format!("  {}", line.note) };
        let row = format!("{indent}{sign} {name}  {what}  {took}{note}");
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

fn padded(text: &str, width: usize) -> String {
    let length = text.chars().count();
    format!("{text}{}", " ".repeat(width.saturating_sub(length)))
}

fn frame(run: &Run, frame: FrameId, depth: usize, style: Style, lines: &mut Vec<Line>) {
    let visits = run.visits.iter().enumerate().filter(|(_, visit)| visit.frame == frame);
    for (id, _) in visits {
        visit(run, id, depth, style, lines);
    }
}

fn visit(run: &Run, id: VisitId, depth: usize, style: Style, lines: &mut Vec<Line>) {
    let of = &run.visits[id];
    let status = run.status_of(id);
    let took = of.took_ms(style.now).map(duration).unwrap_or_default();
    let what = match of.attempts.last() {
        Some(attempt) if !attempt.resource.is_empty() => attempt.call(),
        _ => (*of.kind).to_lowercase(),
    };
    let mut notes = Vec::new();
    match status {
        Status::Succeeded | Status::Retried => {}
        status => notes.push(style.painted(status, status.word())),
    }
    notes.extend(run.tally(id).map(super::Tally::words));
    if of.attempts.len() > 1 && !of.is_container() {
        notes.push(format!("{} attempts", of.attempts.len()));
    }
    notes.extend(of.attempts.last().and_then(Attempt::child).map(|child| format!("→ {child}")));
    let map_run = of.attempts.last().and_then(|attempt| attempt.map_run.as_ref());
    notes.extend(map_run.map(|run| format!("its states are in the children of {run}")));
    let name = of.name.to_string();
    lines.push(Line { depth, status, name, what, took, note: notes.join(", ") });
    let plain = !of.is_container();
    for (number, attempt) in of.attempts.iter().enumerate() {
        if plain && (attempt.is_failed() || of.attempts.len() > 1) {
            lines.push(attempted(attempt, number, depth + 1, style));
        }
        round(run, id, attempt, depth + 1, style, lines);
    }
}

fn attempted(attempt: &Attempt, number: usize, depth: usize, style: Style) -> Line {
    let ended = attempt.ended_at.or(style.now);
    let took = ended.zip(attempt.scheduled_at).map(|(end, start)| duration(end.since_ms(start)));
    let (status, note) = match attempt.end {
        End::None => (Status::Running, String::new()),
        End::Succeeded => (Status::Succeeded, String::new()),
        End::Stopped => (Status::Stopped, "stopped".to_owned()),
        End::Failed | End::TimedOut => {
            let cause = cause_of(attempt).map(|cause| format!(": {cause}")).unwrap_or_default();
            let error = style.painted(Status::Failed, &error_of(attempt));
            (Status::Failed, format!("{error}{cause}"))
        }
    };
    let name = format!("attempt {}", number + 1);
    Line { depth, status, name, what: String::new(), took: took.unwrap_or_default(), note }
}

/// The branches or iterations of one round.
fn round(
    run: &Run,
    id: VisitId,
    attempt: &Attempt,
    depth: usize,
    style: Style,
    lines: &mut Vec<Line>,
) {
    let is_map = &*run.visits[id].kind == "Map";
    let mut frames = attempt.frames.clone();
    if is_map {
        frames.sort_by_key(|frame| (rank(run.frames[*frame].end), run.frames[*frame].index));
        frames.truncate(ITERATIONS_MAX);
        frames.sort_by_key(|frame| run.frames[*frame].index);
    } else {
        frames.sort_by_key(|frame| run.frames[*frame].index);
    }
    for frame_id in frames {
        let of = &run.frames[frame_id];
        let (what, number) = if is_map { ("item", of.index) } else { ("branch", of.index + 1) };
        let status = status_of_frame(run, frame_id);
        let ended = of.ended.or(style.now);
        let took = ended.zip(of.began).map(|(end, start)| duration(end.since_ms(start)));
        lines.push(Line {
            depth,
            status,
            name: format!("{what} {number}"),
            what: String::new(),
            took: took.unwrap_or_default(),
            note: String::new(),
        });
        frame(run, frame_id, depth + 1, style, lines);
    }
    let more = attempt.frames.len().saturating_sub(ITERATIONS_MAX);
    if is_map && more > 0 {
        lines.push(Line {
            depth,
            status: Status::None,
            name: format!("{more} more items"),
            what: String::new(),
            took: String::new(),
            note: String::new(),
        });
    }
}

/// How a branch or an iteration stands.
pub fn status_of_frame(run: &Run, frame: FrameId) -> Status {
    let of = &run.frames[frame];
    match of.end {
        End::None => of.last.map_or(Status::Running, |last| match run.status_of(last) {
            Status::Succeeded | Status::Retried | Status::Caught => Status::Running,
            other => other,
        }),
        End::Succeeded => Status::Succeeded,
        End::Failed => Status::Failed,
        End::TimedOut => Status::TimedOut,
        End::Stopped => Status::Stopped,
    }
}

fn rank(end: End) -> u8 {
    match end {
        End::Failed | End::TimedOut => 0,
        End::None => 1,
        End::Stopped => 2,
        End::Succeeded => 3,
    }
}

/// Status, times and the sentence that says why.
pub fn head(run: &Run, why: &str, style: Style) -> String {
    let status = run.status();
    let mark = format!("{} {}", status.sign(), capital(status.word()));
    let mut text = style.painted(status, &mark);
    if let Some(started) = run.started {
        text = format!("{text}  started {}", started.rfc3339());
        let end = run.stopped.or(style.now);
        if let Some(end) = end {
            let word = if run.stopped.is_some() { "took" } else { "running for" };
            text = format!("{text}, {word} {}", duration(end.since_ms(started)));
        }
    }
    if run.redrives > 0 {
        text = format!("{text}, redriven {} ×", run.redrives);
    }
    text.push('\n');
    text.push_str(why);
    text.push('\n');
    text
}

/// The events, one a line: number, time since the start, type, state, and what matters of it.
pub fn events(run: &Run, style: Style) -> String {
    let mut text = String::new();
    for event in &run.events {
        let after = event.at.zip(run.started).map(|(at, start)| at.since_ms(start));
        let after = after.map(duration).unwrap_or_default();
        let state = event.visit.map_or("", |id| &run.visits[id].name);
        let about = about(&event.details);
        let row = format!(
            "{:>5}  {:>11}  {:<26}  {:<28}  {}",
            event.id,
            after,
            event.kind,
            state,
            style.dim(&about)
        );
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// What matters of an event's details, in few words.
pub fn about(details: &Json) -> String {
    const MAX: usize = 160;
    let text = |name: &str| details.member(name).and_then(Json::as_str).map(str::to_owned);
    let cause = text("cause").and_then(|cause| super::why::plain_cause(&cause));
    let about = match (text("error"), cause, text("resource")) {
        (Some(error), Some(cause), _) => format!("{error}: {cause}"),
        (Some(error), None, _) => error,
        (None, Some(cause), _) => cause,
        (None, None, Some(resource)) => match text("resourceType") {
            Some(kind) => format!("{kind}:{resource}"),
            None => resource,
        },
        (None, None, None) => ["output", "input", "mapRunArn", "workerName"]
            .iter()
            .find_map(|name| {
                details
                    .member(name)
                    .map(|value| value.as_str().map_or_else(|| value.to_text(), str::to_owned))
            })
            .or_else(|| details.member("index").map(|index| format!("item {}", index.to_text())))
            .or_else(|| {
                details.member("length").map(|length| format!("{} items", length.to_text()))
            })
            .unwrap_or_default(),
    };
    match about.char_indices().nth(MAX) {
        Some((at, _)) => format!("{}…", &about[..at]),
        None => about,
    }
}
