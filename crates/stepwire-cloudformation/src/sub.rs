//! The text of `Fn::Sub`.

/// A part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Stands for itself.
    Text(String),
    /// `${Name}`: a variable, a parameter, a resource, or `Resource.Attribute`.
    Name(String),
}

/// The parts of `text`; the name that is not one when there is such.
pub(crate) fn parse(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, after) = rest.split_at(start);
        plain.push_str(before);
        let inside = after.get(2..).unwrap_or_default();
        if let Some(literal) = inside.strip_prefix('!') {
            plain.push_str("${");
            rest = literal;
            continue;
        }
        let Some(end) = inside.find('}') else {
            plain.push_str(after);
            rest = "";
            break;
        };
        let name = inside.get(..end).unwrap_or_default();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_');
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(name.to_owned());
        }
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(Part::Name(name.to_owned()));
        rest = inside.get(end + 1..).unwrap_or_default();
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// The text that has these parts.
pub(crate) fn write(parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(plain) => text.push_str(&plain.replace("${", "${!")),
            Part::Name(name) => {
                text.push_str("${");
                text.push_str(name);
                text.push('}');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_as_the_same_parts() {
        for text in ["a${B}c", "${!Lit}", "${A.B::C}$", "$${A}", "no end ${A", "${!${A}", "$"] {
            let parts = parse(text).expect(text);
            assert_eq!(parse(&write(&parts)), Ok(parts), "{text}");
        }
        assert_eq!(parse("${!Lit}"), Ok(vec![Part::Text("${Lit}".into())]));
        assert_eq!(parse("${ A }"), Err(" A ".into()));
    }
}
