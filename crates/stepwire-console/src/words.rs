//! The words, marks and numbers that every page uses alike.

use std::fmt::Write as _;

use maud::{Markup, html};
use stepwire_asl::Timestamp;

/// How something stands: a colour, a mark and a word, so that colour is never the only sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Never reached.
    None,
    /// At work.
    Running,
    /// Waits for a device's answer.
    WaitingForDevice,
    /// Waits for a time, a retry, a worker or a child.
    Waiting,
    /// Ended well.
    Succeeded,
    /// Ended well, after a failure.
    Retried,
    /// Failed, and the workflow went on by a `Catch`.
    Caught,
    /// Ended badly.
    Failed,
    /// Ended by its time limit.
    TimedOut,
    /// Stopped by somebody.
    Stopped,
}

impl Status {
    /// Of an execution, by AWS's word.
    pub fn of_execution(word: &str) -> Status {
        match word {
            "RUNNING" | "PENDING_REDRIVE" => Status::Running,
            "SUCCEEDED" => Status::Succeeded,
            "FAILED" => Status::Failed,
            "TIMED_OUT" => Status::TimedOut,
            "ABORTED" => Status::Stopped,
            _ => Status::None,
        }
    }

    /// The CSS class.
    pub fn class(self) -> &'static str {
        match self {
            Status::None => "none",
            Status::Running => "run",
            Status::WaitingForDevice => "wait",
            Status::Waiting => "hold",
            Status::Succeeded => "ok",
            Status::Retried => "rt",
            Status::Caught => "caught",
            Status::Failed | Status::TimedOut => "err",
            Status::Stopped => "stop",
        }
    }

    /// The symbol of its mark.
    pub fn badge(self) -> &'static str {
        match self {
            Status::None => "b-none",
            Status::Running => "b-run",
            Status::WaitingForDevice => "b-wait",
            Status::Waiting => "b-hold",
            Status::Succeeded => "b-ok",
            Status::Retried => "b-rt",
            Status::Caught => "b-caught",
            Status::Failed => "b-err",
            Status::TimedOut => "b-late",
            Status::Stopped => "b-stop",
        }
    }

    /// The word, in lower case.
    pub fn word(self) -> &'static str {
        match self {
            Status::None => "not reached",
            Status::Running => "running",
            Status::WaitingForDevice => "waiting for device",
            Status::Waiting => "waiting",
            Status::Succeeded => "succeeded",
            Status::Retried => "succeeded after retry",
            Status::Caught => "caught",
            Status::Failed => "failed",
            Status::TimedOut => "timed out",
            Status::Stopped => "stopped",
        }
    }

    /// The mark in a terminal.
    pub fn sign(self) -> char {
        match self {
            Status::None => '·',
            Status::Running => '◌',
            Status::WaitingForDevice => '⧗',
            Status::Waiting => '…',
            Status::Succeeded => '✓',
            Status::Retried => '↻',
            Status::Caught => '!',
            Status::Failed | Status::TimedOut => '✕',
            Status::Stopped => '■',
        }
    }

    /// Mark and word in a coloured pill.
    pub fn pill(self) -> Markup {
        html! { span class={ "pill " (self.class()) } { (self.mark()) (capital(self.word())) } }
    }

    /// The mark alone; its word is said to those who do not see it.
    pub fn mark(self) -> Markup {
        html! { svg class={ "mk " (self.class()) } viewBox="0 0 18 18" aria-hidden="true" { use href={ "#" (self.badge()) } {} } }
    }

    /// Mark and word in a row of text.
    pub fn line(self) -> Markup {
        html! { span class={ "sl " (self.class()) } { (self.mark()) (self.word()) } }
    }
}

/// `word` with a capital first letter.
pub fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A duration for people: `850 µs` is not needed, so from milliseconds: `0 ms`, `999 ms`, `1.25 s`,
/// `59.9 s`, `2 min 10 s`, `3 h 5 min`, `4 d 2 h`.
pub fn duration(ms: i64) -> String {
    let ms = ms.max(0);
    let (seconds, minutes, hours, days) =
        (ms / 1_000, ms / 60_000, ms / 3_600_000, ms / 86_400_000);
    match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{:.2} s", ms as f64 / 1_000.0),
        10_000..60_000 => format!("{:.1} s", ms as f64 / 1_000.0),
        60_000..3_600_000 if seconds % 60 == 0 => format!("{minutes} min"),
        60_000..3_600_000 => format!("{minutes} min {} s", seconds % 60),
        3_600_000..86_400_000 if minutes % 60 == 0 => format!("{hours} h"),
        3_600_000..86_400_000 => format!("{hours} h {} min", minutes % 60),
        _ if hours % 24 == 0 => format!("{days} d"),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// A whole number with thin gaps: `4 182`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Bytes: `142 B`, `3.4 kB`, `1.2 MB`.
pub fn bytes(number: u64) -> String {
    match number {
        ..1_000 => format!("{number} B"),
        1_000..1_000_000 => format!("{:.1} kB", number as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", number as f64 / 1e6),
        _ => format!("{:.1} GB", number as f64 / 1e9),
    }
}

/// The time of day in UTC, `12:04:33.324`; the date is in the title.
pub fn clock(at: Timestamp) -> Markup {
    let text = at.rfc3339();
    let of_day = text.get(11..23).unwrap_or(&text);
    html! { time datetime=(text) title=(text) { (of_day) } }
}

/// Date and time of day in UTC, `2026-11-24 12:04:33`.
pub fn date(at: Timestamp) -> Markup {
    let text = at.rfc3339();
    let short = text.get(..19).unwrap_or(&text).replace('T', " ");
    html! { time datetime=(text) title=(text) { (short) } }
}

/// How long ago `at` is: `3.2 s ago`. Goes on counting in the browser.
pub fn ago(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        time datetime=(at.rfc3339()) title=(at.rfc3339()) data-ago=(at.0) {
            (duration(coarse(now.since_ms(at)))) " ago"
        }
    }
}

/// How long something has gone on since `at`: `3.2 s`. Goes on counting in the browser.
pub fn since(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        time datetime=(at.rfc3339()) title={ "since " (at.rfc3339()) } data-since=(at.0) {
            (duration(coarse(now.since_ms(at))))
        }
    }
}

/// How long it is until `at`: `3.6 s`. Goes on counting down in the browser.
pub fn until(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        time datetime=(at.rfc3339()) title={ "at " (at.rfc3339()) } data-until=(at.0) {
            (duration(coarse(at.since_ms(now))))
        }
    }
}

/// Tenths of a second below ten seconds, else whole seconds: what changes by itself is not told
/// more finely.
fn coarse(ms: i64) -> i64 {
    if ms < 10_000 { ms / 100 * 100 } else { ms / 1_000 * 1_000 }
}

/// `text` in a query, percent-encoded.
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// `text` as one segment of a path. Browsers take `.` and `..` for steps in the path, however they are
/// written: these get a `~` before them, and so do names that would then be mistaken for one.
pub fn segment(text: &str) -> String {
    if is_dots(text) { format!("~{text}") } else { encoded(text) }
}

/// The text of a segment, once percents are decoded: what [`segment`] was given.
pub fn unsegmented(text: &str) -> &str {
    text.strip_prefix('~').filter(|rest| is_dots(rest)).unwrap_or(text)
}

/// `.` or `..`, perhaps with `~` before it.
fn is_dots(text: &str) -> bool {
    matches!(text.trim_start_matches('~'), "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_dots_are_no_steps_in_a_path() {
        for (name, written) in
            [(".", "~."), ("..", "~.."), ("~.", "~~."), ("...", "..."), ("~a", "~a")]
        {
            assert_eq!(segment(name), written);
            assert_eq!(unsegmented(written), name);
        }
    }

    #[test]
    fn durations_are_read_at_a_glance() {
        let cases = [
            (-5, "0 ms"),
            (999, "999 ms"),
            (1_250, "1.25 s"),
            (59_940, "59.9 s"),
            (120_000, "2 min"),
            (130_400, "2 min 10 s"),
            (3_600_000, "1 h"),
            (11_100_000, "3 h 5 min"),
            (180_000_000, "2 d 2 h"),
        ];
        for (ms, text) in cases {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        let thin = |text: &str| text.replace(' ', "\u{202f}");
        for (number, text) in [(7, "7"), (182, "182"), (4_182, "4 182"), (1_000_000, "1 000 000")] {
            assert_eq!(count(number), thin(text));
        }
    }

    #[test]
    fn a_segment_is_one_segment() {
        assert_eq!(segment("a/b?c#d é<"), "a%2Fb%3Fc%23d%20%C3%A9%3C");
    }
}
