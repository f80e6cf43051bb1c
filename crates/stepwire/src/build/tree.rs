//! The files of a folder, in an order that does not depend on the machine.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What is never part of a function: the version control's, the build's, and the system's own.
const LEFT_OUT: [&str; 6] =
    [".git", ".aws-sam", ".stepwire", "__pycache__", ".DS_Store", ".stepwire-demo"];
/// Most files of a folder.
const FILES_MAX: usize = 100_000;
/// How deep folders may be within each other.
const DEPTH_MAX: usize = 64;

/// A file of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is read.
    pub path: PathBuf,
    /// Whether its owner may run it.
    pub executable: bool,
}

/// The files below `folder` by their names in it, with `/` between its parts. Symbolic links are
/// followed; those that lead nowhere are left out. `skip` names folders to leave out further.
pub fn files(folder: &Path, skip: &[&str]) -> io::Result<BTreeMap<String, Entry>> {
    let mut found = BTreeMap::new();
    walk(folder, "", skip, &mut Vec::new(), &mut found)?;
    Ok(found)
}

fn walk(
    folder: &Path,
    prefix: &str,
    skip: &[&str],
    above: &mut Vec<PathBuf>,
    found: &mut BTreeMap<String, Entry>,
) -> io::Result<()> {
    let real = fs::canonicalize(folder)?;
    if above.contains(&real) || above.len() > DEPTH_MAX {
        let why = format!("`{}` is a link that leads back, or too deep", folder.display());
        return Err(io::Error::other(why));
    }
    above.push(real);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| {
            io::Error::other(format!("`{}` has a name that is no text", entry.path().display()))
        })?;
        // Links of npm to programs, which no function runs.
        let bin = name == ".bin" && prefix.ends_with("node_modules/");
        if LEFT_OUT.contains(&name) || skip.contains(&name) || bin {
            continue;
        }
        let Ok(about) = fs::metadata(entry.path()) else { continue };
        let within = format!("{prefix}{name}");
        if about.is_dir() {
            walk(&entry.path(), &format!("{within}/"), skip, above, found)?;
        } else if about.is_file() {
            let executable = executable(&about);
            found.insert(within, Entry { path: entry.path(), executable });
            if found.len() > FILES_MAX {
                return Err(io::Error::other(format!("more than {FILES_MAX} files")));
            }
        }
    }
    above.pop();
    Ok(())
}

#[cfg(unix)]
fn executable(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    about.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn executable(_: &fs::Metadata) -> bool {
    false
}

/// The SHA-256 of names, modes and contents, in hex.
pub fn hash(files: &BTreeMap<String, Entry>) -> io::Result<String> {
    let mut all = Sha256::new();
    for (name, entry) in files {
        let content = Sha256::digest(fs::read(&entry.path)?);
        all.update((name.len() as u64).to_le_bytes());
        all.update(name.as_bytes());
        all.update([u8::from(entry.executable)]);
        all.update(content);
    }
    Ok(hex(&all.finalize()))
}

/// Copies `files` into `folder`, which has none of them.
pub fn copy(files: &BTreeMap<String, Entry>, folder: &Path) -> io::Result<()> {
    for (name, entry) in files {
        let to = folder.join(name);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(&entry.path, &to)?;
    }
    Ok(())
}

/// `bytes` in lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.js", "a/x.js", ".git/HEAD", "node_modules/m/i.js", "node_modules/.bin/m"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        folder
    }

    #[test]
    fn what_is_no_part_of_a_function_is_left_out() {
        let folder = folder();
        let names =
            |skip: &[&str]| files(folder.path(), skip).unwrap().into_keys().collect::<Vec<_>>();
        assert_eq!(names(&[]), ["a/x.js", "b.js", "node_modules/m/i.js"]);
        assert_eq!(names(&["node_modules"]), ["a/x.js", "b.js"]);
    }

    #[test]
    fn the_hash_follows_names_and_contents_and_nothing_else() {
        let (one, two) = (folder(), folder());
        let hash = |folder: &tempfile::TempDir| hash(&files(folder.path(), &[]).unwrap()).unwrap();
        assert_eq!(hash(&one), hash(&two));
        fs::write(two.path().join("b.js"), "changed").unwrap();
        assert_ne!(hash(&one), hash(&two));
        fs::write(two.path().join("b.js"), "b.js").unwrap();
        fs::rename(two.path().join("b.js"), two.path().join("c.js")).unwrap();
        assert_ne!(hash(&one), hash(&two));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_back_is_refused_and_one_that_leads_nowhere_is_left_out() {
        let folder = folder();
        std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).unwrap();
        assert_eq!(files(folder.path(), &[]).unwrap().len(), 3);
        std::os::unix::fs::symlink(".", folder.path().join("loop")).unwrap();
        assert!(files(folder.path(), &[]).unwrap_err().to_string().contains("leads back"), "");
    }
}
