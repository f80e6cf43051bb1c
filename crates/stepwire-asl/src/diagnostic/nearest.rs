//! Which word somebody may have meant.

/// The one of `known` that `word` was probably meant to be.
///
/// Within a third of its letters in edits (a swap of neighbours is one), or the only one that begins
/// with it.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    /// Longer words are not compared.
    const LETTERS_MAX: usize = 80;
    /// A beginning shorter than this says nothing.
    const BEGINNING_MIN: usize = 4;
    let letters = |text: &str| text.to_lowercase().chars().collect::<Vec<char>>();
    let wanted = letters(word);
    if wanted.len() > LETTERS_MAX {
        return None;
    }
    let close = (wanted.len() / 3).max(1);
    let (mut best, mut begins): (Option<(usize, &str)>, Vec<&str>) = (None, Vec::new());
    for candidate in known.into_iter().filter(|candidate| *candidate != word) {
        let there = letters(candidate);
        if wanted.len() >= BEGINNING_MIN && there.starts_with(&wanted) {
            begins.push(candidate);
        }
        if there.len() > LETTERS_MAX || there.len().abs_diff(wanted.len()) > close {
            continue;
        }
        let edits = edits(&wanted, &there);
        if edits <= close && best.is_none_or(|(least, _)| edits < least) {
            best = Some((edits, candidate));
        }
    }
    match (best, begins.as_slice()) {
        (Some((_, near)), _) => Some(near),
        (None, [only]) => Some(only),
        (None, _) => None,
    }
}

/// Letters to insert, drop, replace or swap with their neighbour.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_and_beginnings_are_understood() {
        let known =
            ["Resource", "ResultPath", "Retry", "WaitForConfirmationEventFromDevice", "Fail"];
        let near = |word| nearest(word, known);
        assert_eq!(near("Retyr"), Some("Retry"));
        assert_eq!(near("resourse"), Some("Resource"));
        assert_eq!(near("WaitForConfirmation"), Some("WaitForConfirmationEventFromDevice"));
        assert_eq!(near("fail"), Some("Fail"));
        assert_eq!(near("Succeed"), None);
        assert_eq!(near("Res"), None);
        assert_eq!(near(&"x".repeat(100_000)), None);
    }
}
