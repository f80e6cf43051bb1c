//! Folders that item readers read like buckets.
//!
//! Keys are names with slashes between. A name that leads elsewhere (`..`, an absolute path) names
//! nothing, and symbolic links are not followed, so that nothing outside a folder can be read.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stepwire_asl::Timestamp;
use stepwire_core::executions::map_runs::files::{Answer, Ask, File, Found};

use crate::node_error::plain;

/// Folders by their names.
#[derive(Debug, Default)]
pub(crate) struct ItemsFolders(pub(crate) BTreeMap<String, PathBuf>);

impl ItemsFolders {
    /// Reads what is asked for. Waits for the disk.
    pub(crate) fn read(&self, ask: &Ask) -> Answer {
        let (Ask::Read { folder, .. } | Ask::List { folder, .. }) = ask;
        let Some(root) = self.0.get(&**folder) else { return Ok(Found::Missing) };
        let failed =
            |error: io::Error| format!("The folder {folder} cannot be read: {}", plain(&error));
        match ask {
            Ask::Read { key, from, bytes_max, .. } => read(root, key, *from, *bytes_max),
            Ask::List { prefix, after, files_max, .. } => {
                let mut found = Vec::new();
                list(root, "", (prefix, after), *files_max, &mut found)
                    .map(|()| Found::Files(found))
            }
        }
        .map_err(|error| failed(error).into())
    }
}

fn read(root: &Path, key: &str, from: u64, bytes_max: u64) -> io::Result<Found> {
    let mut path = root.to_owned();
    let mut metadata = None;
    for name in key.split('/') {
        if matches!(name, "" | "." | "..") || name.contains('\0') {
            return Ok(Found::Missing);
        }
        path.push(name);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => return Ok(Found::Missing),
            Ok(found) => metadata = Some(found),
            Err(error) if is_missing(&error) => return Ok(Found::Missing),
            Err(error) => return Err(error),
        }
    }
    if !metadata.is_some_and(|metadata| metadata.is_file()) {
        return Ok(Found::Missing);
    }
    let mut file = fs::File::open(&path)?;
    let about = about(&file.metadata()?);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(Found::Bytes(about, bytes.into()))
}

fn is_missing(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename)
}

/// Finds files in the order of their keys. Names that are not UTF-8 have no key.
fn list(
    folder: &Path,
    begin: &str,
    (prefix, after): (&str, &str),
    files_max: usize,
    found: &mut Vec<(Arc<str>, File)>,
) -> io::Result<()> {
    let mut entries = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if kind.is_dir() {
            let key = format!("{begin}{name}/");
            // Keys in it begin with its own.
            let fits = key.starts_with(prefix) || prefix.starts_with(&key);
            if fits && (*key > *after || after.starts_with(&key)) {
                entries.insert(key, None);
            }
        } else if kind.is_file() {
            let key = format!("{begin}{name}");
            if key.starts_with(prefix) && *key > *after {
                entries.insert(key, Some(entry.path()));
            }
        }
    }
    for (key, file) in entries {
        if found.len() == files_max {
            return Ok(());
        }
        match file {
            None => {
                let name = key[begin.len()..].trim_end_matches('/');
                list(&folder.join(name), &key, (prefix, after), files_max, found)?;
            }
            Some(path) => match fs::symlink_metadata(&path) {
                Ok(metadata) => found.push((key.into(), about(&metadata))),
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(error),
            },
        }
    }
    Ok(())
}

fn about(metadata: &Metadata) -> File {
    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
    File {
        size: metadata.len(),
        etag: format!("{seconds:x}-{nanoseconds:x}-{:x}", metadata.len()).into(),
        modified: Timestamp(seconds.saturating_mul(1_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> (tempfile::TempDir, ItemsFolders) {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("shelf");
        fs::create_dir_all(root.join("a/b")).expect("folders");
        for (path, text) in
            [("shelf/a/b/1", "one"), ("shelf/a-", "dash"), ("shelf/a/2", "two"), ("secret", "no")]
        {
            fs::write(folder.path().join(path), text).expect("a file");
        }
        for (to, link) in [("../secret", "link"), ("..", "up"), ("a/2", "inner")] {
            std::os::unix::fs::symlink(to, root.join(link)).expect("a link");
        }
        let folders = ItemsFolders(BTreeMap::from([("shelf".to_owned(), root)]));
        (folder, folders)
    }

    fn found(folders: &ItemsFolders, key: &str, from: u64, bytes_max: u64) -> Option<String> {
        let ask = Ask::Read { folder: "shelf".into(), key: key.into(), from, bytes_max };
        match folders.read(&ask) {
            Ok(Found::Bytes(_, bytes)) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Ok(Found::Missing) => None,
            other => panic!("{other:?}"),
        }
    }

    fn listed(folders: &ItemsFolders, prefix: &str, after: &str, files_max: usize) -> Vec<String> {
        let (folder, prefix, after) = ("shelf".into(), prefix.into(), after.into());
        match folders.read(&Ask::List { folder, prefix, after, files_max }) {
            Ok(Found::Files(files)) => files.iter().map(|(key, _)| key.to_string()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn files_are_read_a_slice_at_a_time() {
        let (_kept, folders) = shelf();
        assert_eq!(found(&folders, "a/b/1", 0, 2).as_deref(), Some("on"));
        assert_eq!(found(&folders, "a/b/1", 2, 9).as_deref(), Some("e"));
        assert_eq!(found(&folders, "a/b/1", 9, 9).as_deref(), Some(""));
    }

    #[test]
    fn nothing_outside_a_folder_is_read() {
        let (_kept, folders) = shelf();
        for key in [
            "../secret",
            "a/../../secret",
            "/etc/passwd",
            "link",
            "up/secret",
            "inner",
            "a",
            "",
            "a//2",
            "a/./2",
            "x/y",
            "a/2/z",
        ] {
            assert_eq!(found(&folders, key, 0, 9), None, "{key}");
        }
    }

    #[test]
    fn files_are_listed_in_the_order_of_their_keys() {
        let (_kept, folders) = shelf();
        assert_eq!(listed(&folders, "", "", 9), ["a-", "a/2", "a/b/1"]);
        assert_eq!(listed(&folders, "a/", "", 9), ["a/2", "a/b/1"]);
        assert_eq!(listed(&folders, "", "a/2", 9), ["a/b/1"]);
        assert_eq!(listed(&folders, "", "", 2), ["a-", "a/2"]);
        assert_eq!(listed(&folders, "b", "", 9), [""; 0]);
    }
}
