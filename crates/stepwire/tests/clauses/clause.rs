//! Numbers of normative statements.

use std::fmt;

use crate::packet::Version;

/// `[MQTT-3.1.2-4]` of one of the two specifications.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Clause {
    pub(crate) specification: Version,
    /// Chapter, section and paragraph.
    pub(crate) section: Vec<u32>,
    pub(crate) number: u32,
}

impl Clause {
    /// `3.1.2-4`
    pub(crate) fn parse(specification: Version, text: &str) -> Option<Clause> {
        let (section, number) = text.split_once('-')?;
        let section: Option<_> = section.split('.').map(|part| part.parse().ok()).collect();
        Some(Clause { specification, section: section?, number: number.parse().ok()? })
    }

    /// `**5.0** 3.1.2-4, 3.1.2-6 **3.1.1** 3.1.2-6`
    pub(crate) fn list(line: &str) -> Vec<Clause> {
        let mut clauses = Vec::new();
        let mut specification = None;
        for word in line.split([' ', ',', '*']).filter(|word| !word.is_empty()) {
            if let Some(version) = Version::parse(word) {
                specification = Some(version);
            } else {
                let clause = specification.and_then(|version| Clause::parse(version, word));
                clauses.push(clause.unwrap_or_else(|| panic!("not a clause: {word} in {line}")));
            }
        }
        clauses
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let section: Vec<String> = self.section.iter().map(u32::to_string).collect();
        write!(f, "{}-{}", section.join("."), self.number)
    }
}
