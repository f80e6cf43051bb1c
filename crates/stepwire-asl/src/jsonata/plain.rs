//! Expressions that only name a value: `$x`, `$states.input.a.b`.
//!
//! They are most of what definitions hold. Read in place, the value keeps its sharing and the text
//! of its numbers, and nothing is converted.

use crate::Json;
use crate::scope::Scope;

/// A variable and the members that lead from it to a value.
#[derive(Debug)]
pub(super) struct Plain {
    variable: String,
    members: Vec<String>,
}

impl Plain {
    /// The value that `source` names, when it does nothing else.
    pub(super) fn parse(source: &str) -> Option<Plain> {
        let mut parts = source.strip_prefix('$')?.split('.');
        let variable = parts.next()?.trim();
        let members: Vec<String> = parts.map(|part| part.trim().to_owned()).collect();
        let keyword = |word: &str| matches!(word, "and" | "or" | "in" | "true" | "false" | "null");
        let named = is_name(variable) && members.iter().all(|part| is_name(part) && !keyword(part));
        named.then(|| Plain { variable: variable.to_owned(), members })
    }

    /// What it names in `scope`; `None` where JSONata would do more than look up a member.
    pub(super) fn read<'a>(&self, scope: &Scope<'a>) -> Option<&'a Json> {
        let mut members = self.members.as_slice();
        let mut at = if self.variable == "states" {
            let (first, rest) = members.split_first()?;
            members = rest;
            match first.as_str() {
                "input" => scope.input,
                "context" => scope.context,
                "result" => scope.result?,
                "errorOutput" => scope.error_output?,
                _ => return None,
            }
        } else {
            scope.variables.variable(&self.variable)?
        };
        for name in members {
            at = at.as_object()?.get(name.as_str())?;
        }
        // What a path makes of short arrays is left to the library.
        let whole =
            self.members.is_empty() || (self.variable == "states" && self.members.len() == 1);
        (whole || at.as_array().is_none_or(|items| items.len() > 1)).then_some(at)
    }
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
