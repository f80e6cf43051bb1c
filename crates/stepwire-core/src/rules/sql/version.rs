//! Versions of the language: `awsIotSqlVersion`.

/// A version of IoT SQL. Source: AWS IoT developer guide, "SQL versions".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// `2015-10-08`: whole Decimals keep their point; no literals of arrays and objects, no
    /// sub-selects, no arrays as results.
    V2015,
    /// `2016-03-23`
    #[default]
    V2016,
    /// `beta`
    Beta,
}

impl Version {
    /// The version of this name.
    pub fn named(name: &str) -> Option<Version> {
        [Version::V2015, Version::V2016, Version::Beta].into_iter().find(|it| it.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Version::V2015 => "2015-10-08",
            Version::V2016 => "2016-03-23",
            Version::Beta => "beta",
        }
    }

    /// Whether a whole Decimal is written as an Int: 5.0 as 5.
    pub(super) fn writes_whole(self) -> bool {
        self > Version::V2015
    }
}
