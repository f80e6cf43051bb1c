//! Patterns and replacements as Java writes them. Source: JDK 11, `java.util.regex.Pattern` and
//! `Matcher.appendReplacement`.

mod class;
mod escape;

use super::Places;

/// What ends a line.
const LINE_ENDS: &str = r"\n\r\x{85}\x{2028}\x{2029}";
/// Groups in each other.
const DEPTH_MAX: usize = 100;

/// A pattern as the engines take it.
#[derive(Debug, Default)]
pub(super) struct Translated {
    pub(super) text: String,
    /// Whether it needs the engine that goes back.
    pub(super) goes_back: bool,
}

/// The pattern as the engines take it; `None` when Java has no such pattern, or nothing here can
/// search for it. `ends_line` says whether the text to search ends with a line terminator, which
/// `$` overlooks.
pub(super) fn translate(source: &str, ends_line: bool) -> Option<Translated> {
    let mut translator = Translator {
        rest: source,
        made: Translated::default(),
        flags: Flags::of(source),
        ends_line,
        groups: 0,
        depth: 0,
        case: vec![Case::default()],
    };
    while !translator.rest.is_empty() {
        translator.next()?;
    }
    (translator.depth == 0).then_some(translator.made)
}

/// Flags that are set anywhere: they are taken to hold everywhere.
#[derive(Debug, Default)]
struct Flags(String);

struct Translator<'s> {
    rest: &'s str,
    made: Translated,
    flags: Flags,
    ends_line: bool,
    /// Capturing groups that have begun.
    groups: u32,
    depth: usize,
    /// How letters are compared in each group that is open.
    case: Vec<Case>,
}

/// Whether the case of letters says nothing.
#[derive(Debug, Default, Clone, Copy)]
struct Case {
    ignored: bool,
    /// That of all letters, not only of those of ASCII.
    of_all: bool,
}

impl Flags {
    fn of(source: &str) -> Flags {
        let mut flags = Flags::default();
        for part in source.split("(?").skip(1) {
            let letters = part.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
            if !letters.is_empty() && part[letters.len()..].starts_with([')', ':', '-']) {
                flags.0.push_str(letters);
            }
        }
        flags
    }

    /// Whether `#` begins a comment, and white space says nothing.
    fn comments(&self) -> bool {
        self.0.contains('x')
    }

    /// Whether `$` and `^` stand at each line.
    fn many_lines(&self) -> bool {
        self.0.contains('m')
    }

    /// What a dot stands for.
    fn dot(&self) -> String {
        if self.0.contains('s') {
            return "(?s:.)".to_owned();
        }
        format!("[^{}]", if self.0.contains('d') { r"\n" } else { LINE_ENDS })
    }
}

impl Translator<'_> {
    fn take(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn char(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }

    /// Characters up to `end`, which is taken too.
    fn until(&mut self, end: char) -> Option<&str> {
        let (taken, rest) = self.rest.split_once(end)?;
        self.rest = rest;
        Some(taken)
    }

    fn put(&mut self, text: &str) {
        self.made.text.push_str(text);
    }

    fn literal(&mut self, c: char) {
        let mut text = String::new();
        regex_syntax_escape(&mut text, c);
        // The engines ignore the case of all letters: to them, the Kelvin sign is a `k`.
        if self.is_ascii_case() && !matches!(c, '\0'..='\x7f') {
            text = format!("(?-i:{text})");
        } else if self.is_ascii_case() && matches!(c, 'k' | 'K' | 's' | 'S') {
            text = format!("(?-i:[{}{}])", c.to_ascii_uppercase(), c.to_ascii_lowercase());
        }
        self.put(&text);
    }

    /// Whether the case of ASCII's letters is ignored, and that of no others.
    fn is_ascii_case(&self) -> bool {
        self.case.last().is_some_and(|case| case.ignored && !case.of_all)
    }

    /// A class as the engines take it.
    fn put_class(&mut self, class: &str) {
        if self.is_ascii_case() {
            self.put(&format!("(?-i:{class})"));
        } else {
            self.put(class);
        }
    }

    /// Translates what comes next.
    fn next(&mut self) -> Option<()> {
        match self.char()? {
            '\\' => self.escape()?,
            '[' => {
                let class = self.class(0)?;
                self.put_class(&class);
                self.quantifier()?;
            }
            '(' => self.group()?,
            ')' => {
                self.depth = self.depth.checked_sub(1)?;
                self.case.pop();
                self.put(")");
                self.quantifier()?;
            }
            '.' => {
                let dot = self.flags.dot();
                self.put(&dot);
                self.quantifier()?;
            }
            '$' if self.flags.many_lines() => self.put("$"),
            '$' => self.line_end(),
            c @ ('^' | '|') => self.put(c.encode_utf8(&mut [0; 4])),
            '*' | '+' | '?' | '{' => return None,
            '#' if self.flags.comments() => {
                let end = self.rest.find(['\n', '\r']).unwrap_or(self.rest.len());
                self.rest = &self.rest[end..];
            }
            c if self.flags.comments() && c.is_ascii_whitespace() => {}
            c => {
                self.literal(c);
                self.quantifier()?;
            }
        }
        Some(())
    }

    /// The end of the text, or the place before a line terminator there.
    fn line_end(&mut self) {
        if self.ends_line {
            self.made.goes_back = true;
            self.put(&format!(r"(?=(?:\r\n|[{LINE_ENDS}])?\z)"));
        } else {
            self.put(r"\z");
        }
    }

    fn group(&mut self) -> Option<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        self.case.extend(self.case.last().copied());
        if !self.take("?") {
            self.groups += 1;
            self.put("(");
            return Some(());
        }
        for start in ["=", "!", "<=", "<!", ">"] {
            if self.take(start) {
                self.made.goes_back = true;
                self.put(&format!("(?{start}"));
                return Some(());
            }
        }
        if self.take(":") {
            self.put("(?:");
            return Some(());
        }
        if self.take("<") {
            let name = self.until('>')?.to_owned();
            let fits = name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.chars().all(|c| c.is_ascii_alphanumeric());
            fits.then_some(())?;
            self.groups += 1;
            self.put(&format!("(?P<{name}>"));
            return Some(());
        }
        self.flags_here()
    }

    /// `(?i)` for what follows, or `(?i:` for a group.
    fn flags_here(&mut self) -> Option<()> {
        let end = self.rest.find([')', ':'])?;
        let (letters, rest) = self.rest.split_at(end);
        if !letters.chars().all(|c| "idmsuxU-".contains(c)) || letters.matches('-').count() > 1 {
            return None;
        }
        let (on, off) = letters.split_once('-').unwrap_or((letters, ""));
        if rest.starts_with(')') {
            // They hold for the rest of the group around.
            self.case.pop();
        }
        if let Some(case) = self.case.last_mut() {
            case.ignored = (case.ignored || on.contains('i')) && !off.contains('i');
            case.of_all = (case.of_all || on.contains(['u', 'U'])) && !off.contains(['u', 'U']);
        }
        // Of the others, `x` is obeyed here, `u` and `U` say which letters `i` is about, and `d`
        // changes nothing.
        let kept: String = letters.chars().filter(|c| "ims-".contains(*c)).collect();
        let kept = kept.trim_end_matches('-');
        self.rest = &rest[1..];
        if rest.starts_with(':') {
            self.put(&if kept.is_empty() { "(?:".to_owned() } else { format!("(?{kept}:") });
        } else {
            self.depth -= 1;
            if !kept.is_empty() {
                self.put(&format!("(?{kept})"));
            }
        }
        Some(())
    }

    /// `*`, `+`, `?` or `{n,m}` behind something, with `?` for the fewest and `+` for no way back.
    fn quantifier(&mut self) -> Option<()> {
        if self.flags.comments() {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
        }
        let simple = ["*", "+", "?"].into_iter().find(|mark| self.take(mark));
        if let Some(mark) = simple {
            self.put(mark);
        } else if self.take("{") {
            let counts = self.until('}')?.to_owned();
            let (least, most) = match counts.split_once(',') {
                Some((least, most)) => (least, Some(most).filter(|most| !most.is_empty())),
                None => (counts.as_str(), None),
            };
            let least: u32 = digits(least)?;
            let most: Option<u32> = most.map(digits).map_or(Some(None), |most| most.map(Some))?;
            most.is_none_or(|most| least <= most).then_some(())?;
            self.put(&format!("{{{counts}}}"));
        } else {
            return Some(());
        }
        if self.take("+") {
            self.made.goes_back = true;
            self.put("+");
        } else if self.take("?") {
            self.put("?");
        }
        // Another one behind it has nothing to repeat.
        (!self.rest.starts_with(['*', '+', '?', '{'])).then_some(())
    }
}

fn digits(text: &str) -> Option<u32> {
    let fits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// A character that stands for itself, in and outside of a class.
fn regex_syntax_escape(made: &mut String, c: char) {
    use std::fmt::Write as _;
    if c.is_ascii_alphanumeric() || !c.is_ascii() {
        made.push(c);
    } else {
        let _ = write!(made, r"\x{{{:x}}}", u32::from(c));
    }
}

/// What matches are replaced with.
pub(super) struct Replacement(Vec<Piece>);

enum Piece {
    Text(String),
    /// A group by its number.
    Group(usize),
}

impl Replacement {
    /// The replacement that Java writes so; `None` when it is none, or names a group that is not
    /// there. `names` are those of the groups.
    pub(super) fn parse(source: &str, names: &[Option<&str>]) -> Option<Replacement> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '\\' => {
                    let next = rest.chars().next()?;
                    text.push(next);
                    rest = &rest[next.len_utf8()..];
                }
                '$' => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    let (group, left) = group(rest, names)?;
                    pieces.push(Piece::Group(group));
                    rest = left;
                }
                c => text.push(c),
            }
        }
        pieces.push(Piece::Text(text));
        Some(Replacement(pieces))
    }

    pub(super) fn write(&self, made: &mut String, text: &str, places: &Places) {
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => made.push_str(piece),
                Piece::Group(group) => {
                    let place = places.get(*group).copied().flatten();
                    let found = place.and_then(|(start, end)| text.get(start..end));
                    made.push_str(found.unwrap_or_default());
                }
            }
        }
    }
}

/// The group behind a `$`: a name in braces, or as many digits as there are groups for.
fn group<'t>(text: &'t str, names: &[Option<&str>]) -> Option<(usize, &'t str)> {
    if let Some(named) = text.strip_prefix('{') {
        let (name, rest) = named.split_once('}')?;
        return Some((names.iter().position(|known| *known == Some(name))?, rest));
    }
    let digit = |at: usize| text.chars().nth(at)?.to_digit(10)?.try_into().ok();
    let mut group: usize = digit(0)?;
    let mut length = 1;
    if group >= names.len() {
        return None;
    }
    while let Some(next) = digit(length) {
        let next: usize = next;
        if group * 10 + next >= names.len() {
            break;
        }
        group = group * 10 + next;
        length += 1;
    }
    Some((group, &text[length..]))
}
