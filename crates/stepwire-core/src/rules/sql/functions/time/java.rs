//! Reading a time by a pattern. Source: JDK 11, `DateTimeFormatter`, strict parsing and smart
//! resolving, English names.

mod fields;
mod read;

use fields::{Field, Fields};

/// Optional sections in each other.
const DEPTH_MAX: usize = 16;

/// A pattern that is one.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    Number(Number),
    Text(Field, &'static [(&'static str, i64)]),
    /// An offset in this form; the text stands for none.
    Offset(Form, &'static str),
    /// `GMT+8`; in full `GMT+08:00`.
    LocalizedOffset(Full),
    ZoneId,
    ZoneName,
    Optional(Vec<Part>),
    /// The next part, with blanks before it to this width.
    Padded(usize, Box<Part>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Full {
    Yes,
    No,
}

#[derive(Debug, Clone, Copy)]
struct Number {
    field: Field,
    /// Fewest and most digits.
    width: (usize, usize),
    sign: Sign,
    /// Digits of the numbers that follow without anything between: they are not its own.
    reserved: usize,
}

/// Which signs a number may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// A minus.
    Normal,
    None,
    /// A minus; a plus when it is longer than its fewest digits.
    WhenLonger,
}

/// Whether minutes and seconds of an offset are there, and what is between.
#[derive(Debug, Clone, Copy)]
struct Form {
    minutes: Needed,
    seconds: Needed,
    colon: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needed {
    Must,
    May,
    Never,
}

impl Pattern {
    /// The pattern, if all of its letters are known.
    pub(super) fn parse(text: &str) -> Option<Pattern> {
        let mut sections = vec![Section::default()];
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let mut length = c.len_utf8();
            match c {
                '[' if sections.len() <= DEPTH_MAX => sections.push(Section::default()),
                ']' if sections.len() > 1 => close(&mut sections)?,
                '[' | ']' | '{' | '}' | '#' => return None,
                '\'' => {
                    let (literal, quoted) = quoted(rest)?;
                    sections.last_mut()?.literal(&literal);
                    length = quoted;
                }
                c if c.is_ascii_alphabetic() => {
                    let count = run(rest, c);
                    length = count;
                    let part = if c == 'p' {
                        let next =
                            rest[count..].chars().next().filter(char::is_ascii_alphabetic)?;
                        let letters = run(&rest[count..], next);
                        length += letters;
                        Part::Padded(count, Box::new(part(next, letters)?))
                    } else {
                        part(c, count)?
                    };
                    sections.last_mut()?.add(part);
                }
                c => sections.last_mut()?.literal(c.encode_utf8(&mut [0; 4])),
            }
            rest = &rest[length..];
        }
        while sections.len() > 1 {
            close(&mut sections)?;
        }
        Some(Pattern(sections.pop()?.parts))
    }

    /// The milliseconds since 1970 of the time that all of the text writes.
    pub(super) fn millis(&self, text: &str) -> Option<i64> {
        let mut fields = Fields::default();
        let rest = read::all(&self.0, text, &mut fields)?;
        if rest.is_empty() { fields.millis() } else { None }
    }
}

/// Parts of one level, and which of them numbers that follow may shorten.
#[derive(Debug, Default)]
struct Section {
    parts: Vec<Part>,
    adjustable: Option<usize>,
}

impl Section {
    fn literal(&mut self, text: &str) {
        self.add(Part::Literal(text.to_owned()));
    }

    fn add(&mut self, part: Part) {
        let Part::Number(number) = part else {
            self.adjustable = None;
            self.parts.push(part);
            return;
        };
        let fixed = number.width.0 == number.width.1 && number.sign == Sign::None;
        let before = self.adjustable.and_then(|at| self.parts.get_mut(at));
        if let (true, Some(Part::Number(before))) = (fixed, before) {
            before.reserved += number.width.1;
        } else {
            self.adjustable = Some(self.parts.len());
        }
        self.parts.push(Part::Number(number));
    }
}

/// Ends an optional section.
fn close(sections: &mut Vec<Section>) -> Option<()> {
    let section = sections.pop()?;
    sections.last_mut()?.add(Part::Optional(section.parts));
    Some(())
}

/// What stands in quotes, and the length of all; `None` when they are not closed.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut literal = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != '\'' {
            literal.push(c);
        } else if chars.next_if(|(_, next)| *next == '\'').is_some() {
            literal.push('\'');
        } else {
            let literal = if at == 1 { "'".to_owned() } else { literal };
            return Some((literal, at + 1));
        }
    }
    // Two quotes and nothing behind them are one.
    (text == "''").then(|| ("'".to_owned(), 2))
}

fn run(text: &str, letter: char) -> usize {
    text.bytes().take_while(|byte| *byte == letter as u8).count()
}

/// What a letter, `count` times, stands for.
fn part(letter: char, count: usize) -> Option<Part> {
    let fixed = |field, most: usize| match count {
        1 => Some(number(field, (1, 19), Sign::Normal)),
        count if count <= most => Some(number(field, (count, count), Sign::None)),
        _ => None,
    };
    let long = |field| number(field, (count, 19), Sign::None);
    let named = |field, [short, full, narrow]: [&'static [(&'static str, i64)]; 3]| match count {
        1..=3 => Some(Part::Text(field, short)),
        4 => Some(Part::Text(field, full)),
        5 => Some(Part::Text(field, narrow)),
        _ => None,
    };
    match letter {
        'u' => Some(year(Field::Year, count)),
        'y' => Some(year(Field::YearOfEra, count)),
        'Y' => Some(year(Field::WeekYear, count)),
        'G' => named(Field::Era, [&ERA, &ERA_FULL, &ERA_NARROW]),
        'M' | 'L' if count <= 2 => fixed(Field::Month, 2),
        'M' | 'L' => named(Field::Month, [&MONTH, &MONTH_FULL, &[]]),
        'Q' | 'q' if count <= 2 => fixed(Field::Quarter, 2),
        'Q' | 'q' => named(Field::Quarter, [&QUARTER, &QUARTER_FULL, &[]]),
        'e' | 'c' if count <= 2 => fixed(Field::DayOfLocalWeek, if letter == 'e' { 2 } else { 1 }),
        'E' | 'e' | 'c' => named(Field::DayOfWeek, [&DAY, &DAY_FULL, &[]]),
        'a' => (count == 1).then_some(Part::Text(Field::AmPm, &[("AM", 0), ("PM", 1)])),
        'd' => fixed(Field::Day, 2),
        'D' if count == 1 => fixed(Field::DayOfYear, 1),
        'D' => (count <= 3).then(|| number(Field::DayOfYear, (count, 3), Sign::None)),
        'w' => fixed(Field::Week, 2),
        'W' => fixed(Field::WeekOfMonth, 1),
        'F' => fixed(Field::DayOfWeekInMonth, 1),
        'g' => Some(number(Field::ModifiedJulianDay, (count, 19), Sign::Normal)),
        'h' => fixed(Field::ClockHourOfHalf, 2),
        'K' => fixed(Field::HourOfHalf, 2),
        'k' => fixed(Field::ClockHour, 2),
        'H' => fixed(Field::Hour, 2),
        'm' => fixed(Field::Minute, 2),
        's' => fixed(Field::Second, 2),
        'S' => (count <= 9).then(|| number(Field::Fraction, (count, count), Sign::None)),
        'A' => Some(long(Field::MilliOfDay)),
        'n' => Some(long(Field::Nano)),
        'N' => Some(long(Field::NanoOfDay)),
        'V' => (count == 2).then_some(Part::ZoneId),
        'z' => (count <= 4).then_some(Part::ZoneName),
        'v' => matches!(count, 1 | 4).then_some(Part::ZoneName),
        'O' if count == 1 => Some(Part::LocalizedOffset(Full::No)),
        'O' => (count == 4).then_some(Part::LocalizedOffset(Full::Yes)),
        'X' => Some(Part::Offset(form(count)?, "Z")),
        'x' => Some(Part::Offset(form(count)?, ["+00", "+0000", "+00:00"][none_of(count)])),
        'Z' if count <= 3 => Some(Part::Offset(form(2)?, "+0000")),
        'Z' if count == 4 => Some(Part::LocalizedOffset(Full::Yes)),
        'Z' => (count == 5).then_some(Part::Offset(form(5)?, "Z")),
        _ => None,
    }
}

/// Which text says "no offset" for so many `x`.
fn none_of(count: usize) -> usize {
    match count {
        1 => 0,
        count if count % 2 == 0 => 1,
        _ => 2,
    }
}

fn number(field: Field, width: (usize, usize), sign: Sign) -> Part {
    Part::Number(Number { field, width, sign, reserved: 0 })
}

/// Two digits are a year from 2000 on.
fn year(field: Field, count: usize) -> Part {
    match count {
        2 => number(field.of_century(), (2, 2), Sign::None),
        count if count < 4 => number(field, (count, 19), Sign::Normal),
        count => number(field, (count.min(19), 19), Sign::WhenLonger),
    }
}

/// The form of an offset that so many letters stand for.
fn form(count: usize) -> Option<Form> {
    use Needed::{May, Must, Never};
    let (minutes, seconds, colon) = match count {
        1 => (May, Never, false),
        2 => (Must, Never, false),
        3 => (Must, Never, true),
        4 => (Must, May, false),
        5 => (Must, May, true),
        _ => return None,
    };
    Some(Form { minutes, seconds, colon })
}

static ERA: [(&str, i64); 2] = [("AD", 1), ("BC", 0)];
static ERA_FULL: [(&str, i64); 2] = [("Anno Domini", 1), ("Before Christ", 0)];
static ERA_NARROW: [(&str, i64); 2] = [("A", 1), ("B", 0)];
static QUARTER: [(&str, i64); 4] = [("Q1", 1), ("Q2", 2), ("Q3", 3), ("Q4", 4)];
#[rustfmt::skip]
static QUARTER_FULL: [(&str, i64); 4] =
    [("1st quarter", 1), ("2nd quarter", 2), ("3rd quarter", 3), ("4th quarter", 4)];
#[rustfmt::skip]
static MONTH: [(&str, i64); 12] = [
    ("Jan", 1), ("Feb", 2), ("Mar", 3), ("Apr", 4), ("May", 5), ("Jun", 6),
    ("Jul", 7), ("Aug", 8), ("Sep", 9), ("Oct", 10), ("Nov", 11), ("Dec", 12),
];
#[rustfmt::skip]
static MONTH_FULL: [(&str, i64); 12] = [
    ("January", 1), ("February", 2), ("March", 3), ("April", 4), ("May", 5), ("June", 6),
    ("July", 7), ("August", 8), ("September", 9), ("October", 10), ("November", 11),
    ("December", 12),
];
#[rustfmt::skip]
static DAY: [(&str, i64); 7] = [
    ("Mon", 1), ("Tue", 2), ("Wed", 3), ("Thu", 4), ("Fri", 5), ("Sat", 6), ("Sun", 7),
];
#[rustfmt::skip]
static DAY_FULL: [(&str, i64); 7] = [
    ("Monday", 1), ("Tuesday", 2), ("Wednesday", 3), ("Thursday", 4), ("Friday", 5),
    ("Saturday", 6), ("Sunday", 7),
];
