//! How wide text is, without a font at hand.

/// `text`, or as much of its beginning as fits into `letters` with an ellipsis.
pub(super) fn clip(text: &str, letters: usize) -> String {
    if text.chars().nth(letters).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(letters.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// The width of `text` in hundredths of the font's size, by the widest of the usual system fonts:
/// DejaVu Sans. Segoe UI, Roboto, San Francisco and Inter need a tenth less.
fn hundredths(text: &str) -> u32 {
    text.chars().map(letter).sum()
}

fn letter(letter: char) -> u32 {
    match letter {
        'i' | 'j' | 'l' | '\'' | '|' | '.' | ',' | ':' | ';' | '!' => 34,
        ' ' | 'f' | 't' | 'r' | 'I' | '(' | ')' | '[' | ']' | '/' | '-' | '·' | '"' | '`' => 42,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' => 100,
        's' | 'c' | 'k' | 'v' | 'x' | 'y' | 'z' | 'J' | '*' => 62,
        'a'..='z' | '0'..='9' | '_' | '$' | '?' => 66,
        'A'..='Z' | '=' | '<' | '>' | '+' | '≠' | '≥' | '≤' | '&' | '#' => 76,
        '\0'..='\u{2fff}' => 72,
        _ => 105,
    }
}

/// The width of `text` in a font of `size` pixels, in pixels.
pub(super) fn width(text: &str, size: f32) -> f32 {
    hundredths(text) as f32 / 100.0 * size
}

/// `text`, or its beginning and end with an ellipsis between, at most `most` pixels wide.
pub(super) fn fitting(text: &str, size: f32, most: f32) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let letters: Vec<char> = text.chars().collect();
    let mut room = most - width("…", size);
    let (mut head, mut tail) = (0, 0);
    while head + tail < letters.len() {
        let from_head = head <= tail;
        let next = if from_head { letters[head] } else { letters[letters.len() - 1 - tail] };
        room -= letter(next) as f32 / 100.0 * size;
        if room < 0.0 {
            break;
        }
        if from_head { head += 1 } else { tail += 1 }
    }
    let (begin, end) = (&letters[..head], &letters[letters.len() - tail..]);
    begin.iter().chain(&['…']).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_their_middle() {
        let name = "WaitForConfirmationEventFromDevice".repeat(3);
        let short = fitting(&name, 13.0, 200.0);
        assert!(short.starts_with("WaitFor") && short.ends_with("FromDevice"), "{short}");
        assert!(width(&short, 13.0) <= 200.0);
        assert_eq!(fitting("Send", 13.0, 200.0), "Send");
    }

    #[test]
    fn clipped_text_says_so() {
        assert_eq!(clip("abcdef", 6), "abcdef");
        assert_eq!(clip("abcdefg", 6), "abcde…");
    }
}
