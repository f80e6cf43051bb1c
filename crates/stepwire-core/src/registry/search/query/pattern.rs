//! Text with wildcards.

/// Text with wildcards: `*` for any characters, `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    glyphs: Vec<Glyph>,
    /// The characters before the first wildcard.
    prefix: String,
}

/// A character of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Glyph {
    /// This character.
    Char(char),
    /// One character.
    One,
    /// Any characters, also none.
    Any,
}

impl Pattern {
    pub(super) fn new(glyphs: Vec<Glyph>) -> Pattern {
        let plain = glyphs.iter().map_while(|glyph| match glyph {
            Glyph::Char(c) => Some(*c),
            Glyph::One | Glyph::Any => None,
        });
        let prefix = plain.collect();
        Pattern { glyphs, prefix }
    }

    /// What every text of this form begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether `text` is of this form. Goes back to the last `*` only, so it takes at most
    /// pattern × text steps.
    pub fn matches(&self, text: &str) -> bool {
        let Some(mut rest) = text.strip_prefix(self.prefix.as_str()) else { return false };
        let glyphs = self.glyphs.get(self.prefix.chars().count()..).unwrap_or_default();
        let mut at = 0;
        // Where to go on if the text does not fit: after the last `*`, one character further.
        let mut retry: Option<(usize, &str)> = None;
        loop {
            let mut chars = rest.chars();
            match (glyphs.get(at), chars.next()) {
                (Some(Glyph::Any), _) => {
                    at += 1;
                    retry = Some((at, rest));
                }
                (None, None) => return true,
                (Some(Glyph::One), Some(_)) => {
                    at += 1;
                    rest = chars.as_str();
                }
                (Some(Glyph::Char(wanted)), Some(found)) if *wanted == found => {
                    at += 1;
                    rest = chars.as_str();
                }
                _ => {
                    let Some((after, from)) = retry else { return false };
                    let mut chars = from.chars();
                    if chars.next().is_none() {
                        return false;
                    }
                    rest = chars.as_str();
                    at = after;
                    retry = Some((after, rest));
                }
            }
        }
    }
}
