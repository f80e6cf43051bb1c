//! The style sheet and the script: part of the program, named by what is in them so that browsers
//! may keep them for ever.

/// The style sheet.
pub const STYLE: &str = concat!(
    include_str!("../assets/console.css"),
    include_str!("../assets/graph.css"),
    include_str!("../assets/execution.css"),
    include_str!("../assets/workflow.css"),
    include_str!("../assets/rollout.css"),
);

/// The script, an ES module. Pages work without it.
pub const SCRIPT: &str =
    concat!(include_str!("../assets/console.js"), include_str!("../assets/editor.js"));

/// Style sheet and script with the names by which pages ask for them.
#[derive(Debug, Clone)]
pub struct Assets {
    version: String,
}

impl Assets {
    /// `version` has to differ when the texts do: it is part of their paths. Letters and digits.
    pub fn new(version: impl Into<String>) -> Assets {
        Assets { version: version.into() }
    }

    /// Path of the style sheet.
    pub fn style_path(&self) -> String {
        format!("/-/console/{}/console.css", self.version)
    }

    /// Path of the script.
    pub fn script_path(&self) -> String {
        format!("/-/console/{}/console.js", self.version)
    }
}
