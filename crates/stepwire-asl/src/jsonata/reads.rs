//! What an expression may read, told from its text: no more than that is given to the library.

use std::collections::BTreeMap;

/// Which parts of a value are read: members by name, or, at a leaf, everything.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Reads {
    /// Whether the whole value may be read.
    pub(super) whole: bool,
    /// The members that are, when not the whole value.
    pub(super) members: BTreeMap<String, Reads>,
}

/// The variables that `source` names, and what it reads of each. Says rather too much than too
/// little.
pub(super) fn reads(source: &str) -> BTreeMap<String, Reads> {
    let mut found: BTreeMap<String, Reads> = BTreeMap::new();
    // A parent operator goes back up from where a path led.
    let goes_up = source.contains('%');
    for rest in source.split('$').skip(1) {
        let (name, mut rest) = word(rest);
        if name.is_empty() {
            continue;
        }
        let mut at = found.entry(name.to_owned()).or_default();
        while let Some((member, after)) = rest.strip_prefix('.').map(word)
            && !member.is_empty()
            && !member.starts_with(|c: char| c.is_ascii_digit())
            && !goes_up
        {
            // The name of a function that is called is no member.
            if after.trim_start().starts_with('(') {
                break;
            }
            at = at.members.entry(member.to_owned()).or_default();
            rest = after;
        }
        at.whole = true;
    }
    found
}

/// The name that `text` begins with, and what comes after it.
fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_where_it_leads_and_no_more() {
        let found =
            reads("$states.context.Execution.Id & $x.a[b=1] & $sum($y.(z)) & $states.input.*");
        let states = &found["states"];
        assert!(
            !states.whole && states.members["context"].members["Execution"].members["Id"].whole
        );
        assert!(states.members["input"].whole);
        assert!(!found["x"].whole && found["x"].members["a"].whole);
        assert!(found["y"].whole && found["y"].members.is_empty());
        assert!(reads("$x.a.(%.b)")["x"].whole);
    }
}
