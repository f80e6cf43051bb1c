//! What differs between two texts, line by line.

/// Pairs of lines that are compared; beyond that, everything between is old and new.
const PAIRS_MAX: usize = 4_000_000;
/// Lines that stay, shown around those that change.
const AROUND: usize = 3;

/// A line of either text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// In which it is.
    pub change: Change,
    /// What it says.
    pub text: String,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is in both.
    Same,
    /// It was in the first.
    Gone,
    /// It is in the second.
    New,
    /// Lines that are in both are left out here; the text says how many.
    Skipped,
}

/// The lines of both texts in order, without long stretches that are the same. Empty when they are
/// equal.
pub fn difference(old: &str, new: &str) -> Vec<Line> {
    if old == new {
        return Vec::new();
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let ends = old_rest.iter().rev().zip(new_rest.iter().rev());
    let tail = ends.take_while(|(a, b)| a == b).count();
    let line = |change: Change| move |text: &&str| Line { change, text: (*text).to_owned() };
    let mut lines: Vec<Line> = old[..head].iter().map(line(Change::Same)).collect();
    lines.extend(middle(&old_rest[..old_rest.len() - tail], &new_rest[..new_rest.len() - tail]));
    lines.extend(old[old.len() - tail..].iter().map(line(Change::Same)));
    shortened(lines)
}

/// By the longest common subsequence.
fn middle(old: &[&str], new: &[&str]) -> Vec<Line> {
    let line = |change: Change, text: &str| Line { change, text: text.to_owned() };
    if old.len() * new.len() > PAIRS_MAX {
        let gone = old.iter().map(|text| line(Change::Gone, text));
        return gone.chain(new.iter().map(|text| line(Change::New, text))).collect();
    }
    // At `at(i, j)`: how many lines the rests from `i` and `j` have in common.
    let width = new.len() + 1;
    let mut common = vec![0_u16; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1].saturating_add(1)
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < old.len() || j < new.len() {
        let both = i < old.len() && j < new.len();
        if both && old[i] == new[j] {
            lines.push(line(Change::Same, old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || (i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            lines.push(line(Change::Gone, old[i]));
            i += 1;
        } else {
            lines.push(line(Change::New, new[j]));
            j += 1;
        }
    }
    lines
}

fn shortened(lines: Vec<Line>) -> Vec<Line> {
    let changed: Vec<usize> =
        (0..lines.len()).filter(|at| lines[*at].change != Change::Same).collect();
    let mut kept: Vec<Line> = Vec::new();
    let mut skipped = 0;
    for (at, line) in lines.into_iter().enumerate() {
        let next = changed.partition_point(|change| *change < at);
        let near = |index: usize| changed.get(index).is_some_and(|c| c.abs_diff(at) <= AROUND);
        if near(next) || (next > 0 && near(next - 1)) {
            if skipped > 0 {
                kept.push(left_out(skipped));
                skipped = 0;
            }
            kept.push(line);
        } else {
            skipped += 1;
        }
    }
    if skipped > 0 {
        kept.push(left_out(skipped));
    }
    kept
}

fn left_out(lines: usize) -> Line {
    let plural = if lines == 1 { "" } else { "s" };
    Line { change: Change::Skipped, text: format!("{lines} line{plural} as before") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(old: &str, new: &str) -> String {
        let sign = |line: &Line| match line.change {
            Change::Same => ' ',
            Change::Gone => '-',
            Change::New => '+',
            Change::Skipped => '~',
        };
        let lines = difference(old, new);
        lines.iter().map(|line| format!("{}{}|", sign(line), line.text)).collect()
    }

    #[test]
    fn lines_that_change_are_shown_with_those_around() {
        assert_eq!(shown("a\nb\nc", "a\nx\nc"), " a|-b|+x| c|");
        assert_eq!(shown("a\nb", "a\nb\nc"), " a| b|+c|");
        assert_eq!(shown("a\nb\nc\nd", "b\nd"), "-a| b|-c| d|");
        assert_eq!(shown("same", "same"), "");
        let long = "1\n2\n3\n4\n5\n6";
        assert_eq!(shown(long, &format!("{long}\n7")), "~3 lines as before| 4| 5| 6|+7|");
    }
}
