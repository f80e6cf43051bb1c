//! Whether something of a folder has changed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::build::tree;

/// How often it is looked. Looking costs one `stat` for each file, works on every file system, and
/// needs nothing from the system.
const INTERVAL: Duration = Duration::from_millis(500);

/// The files of a folder, with time and length of each. Installed packages are not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen(BTreeMap<String, (Option<SystemTime>, u64)>);

impl Seen {
    /// As it is now.
    pub(super) fn of(folder: &Path) -> Seen {
        let files = tree::files(folder, &["node_modules", ".venv", "target"]).unwrap_or_default();
        let about = files.into_iter().filter_map(|(name, entry)| {
            let about = std::fs::metadata(entry.path).ok()?;
            Some((name, (about.modified().ok(), about.len())))
        });
        Seen(about.collect())
    }

    /// Waits until it is otherwise, and has been the same twice: who saves many files has done so.
    pub(super) async fn changed(&self, folder: &Path) -> Seen {
        let mut last = self.clone();
        loop {
            tokio::time::sleep(INTERVAL).await;
            let now = Seen::of(folder);
            if now != *self && now == last {
                return now;
            }
            last = now;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_is_seen_and_installed_packages_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        write("app.js", "1");
        let before = Seen::of(folder.path());
        write("node_modules/m/i.js", "");
        assert_eq!(Seen::of(folder.path()), before);
        write("app.js", "12");
        assert_ne!(Seen::of(folder.path()), before);
    }
}
