//! The template's file.

use std::path::{Path, PathBuf};

use annotate_snippets::{Group, Level, Renderer};
use stepwire_cloudformation::{Diagnostic, Place};

use super::super::check::render::snippet;
use super::super::failure::{Exit, Failure};
use super::super::print;
use super::shown;

/// The files that are looked for in a folder, the first first: sources before what was built of them.
const NAMES: [&str; 5] = [
    "template.yaml",
    "template.yml",
    "template.json",
    ".aws-sam/build/template.yaml",
    ".aws-sam/build/template.yml",
];
/// Longest template that is read, bytes (AWS: 1 MB).
const BYTES_MAX: u64 = 1 << 20;

/// A template's text and where it was read.
#[derive(Debug)]
pub(super) struct Source {
    /// The file.
    pub(super) path: PathBuf,
    /// As it is called in messages.
    pub(super) name: String,
    /// Its text.
    pub(super) text: String,
}

impl Source {
    /// The template at `target`, or in that folder.
    pub(super) fn find(target: &Path) -> Result<Source, Failure> {
        let path = if target.is_dir() {
            let found = NAMES.iter().map(|name| target.join(name)).find(|path| path.is_file());
            found.ok_or_else(|| {
                let why = format!("there is no template in `{}`", target.display());
                Failure::new(Exit::NotFound, why)
                    .hint(format!("it is called {}; or name the file", NAMES[..3].join(" or ")))
            })?
        } else {
            target.to_owned()
        };
        let failed = |error: std::io::Error| {
            let exit = match error.kind() {
                std::io::ErrorKind::NotFound => Exit::NotFound,
                _ => Exit::Failed,
            };
            Failure::new(exit, format!("cannot read `{}`: {error}", path.display()))
        };
        let about = std::fs::metadata(&path).map_err(failed)?;
        if about.len() > BYTES_MAX {
            let why = format!("`{}` is longer than {BYTES_MAX} bytes", path.display());
            return Err(Failure::new(Exit::Rejected, why));
        }
        let bytes = std::fs::read(&path).map_err(failed)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let why = format!("`{}` is not UTF-8: byte {at}", path.display());
            Failure::new(Exit::Rejected, why)
        })?;
        // Tools that point at places count from behind it.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        Ok(Source { name: shown(&path), path, text })
    }

    /// The folder that its paths are relative to.
    pub(super) fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// Prints what is wrong, and how the verb fails then.
    pub(super) fn refused(&self, wrong: &[Diagnostic]) -> Failure {
        for diagnostic in wrong {
            print(&format!("{}\n", self.pointed(diagnostic)));
        }
        let count = wrong.len();
        let plural = if count == 1 { "" } else { "s" };
        Failure::new(Exit::Rejected, format!("{}: {count} error{plural}", self.name))
    }

    /// A finding with its line.
    pub(super) fn pointed(&self, diagnostic: &Diagnostic) -> String {
        let renderer = if colored() { Renderer::styled() } else { Renderer::plain() };
        let title = Level::ERROR.primary_title(diagnostic.message.trim_end_matches('.'));
        let place = diagnostic.place.range(&self.text);
        let none = [];
        let mut report = vec![if diagnostic.place.is_nowhere() {
            Group::with_title(title)
        } else {
            title.element(snippet(&self.name, &self.text, &place, None, &none))
        }];
        if let Some(hint) = &diagnostic.hint {
            let hint = Level::HELP.with_name("hint").secondary_title(hint.as_str());
            report.push(Group::with_title(hint));
        }
        renderer.render(&report)
    }

    /// `file:line:column`; the file alone for what stands nowhere.
    pub(super) fn at(&self, place: Place) -> String {
        if place.is_nowhere() { self.name.clone() } else { format!("{}:{place}", self.name) }
    }
}

fn colored() -> bool {
    use std::io::IsTerminal;
    let quiet = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !quiet
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_preferred_to_what_was_built_of_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Source::find(folder.path()).err().unwrap().exit, Exit::NotFound);
        std::fs::create_dir_all(folder.path().join(".aws-sam/build")).unwrap();
        std::fs::write(folder.path().join(".aws-sam/build/template.yaml"), "built").unwrap();
        assert_eq!(Source::find(folder.path()).unwrap().text, "built");
        std::fs::write(folder.path().join("template.yml"), "\u{feff}source").unwrap();
        assert_eq!(Source::find(folder.path()).unwrap().text, "source");
    }

    #[test]
    fn a_finding_is_shown_with_file_line_and_caret() {
        let source = Source {
            path: "t.yaml".into(),
            name: "t.yaml".to_owned(),
            text: "A: 1\nBee: 2\n".to_owned(),
        };
        let place = Place { line: 2, column: 1, length: 3 };
        let told = source.pointed(&Diagnostic::new(place, "it is wrong.").hint("mend it"));
        assert!(told.contains("t.yaml:2:1") && told.contains("^^^"), "{told}");
        assert!(told.contains("error: it is wrong\n") && told.contains("mend it"), "{told}");
    }
}
