//! Unpacking a function's archive, which anybody may have made.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::read::ZipFile;

use crate::files;

/// Most bytes that an archive may have unpacked (AWS: 250 MB).
const UNPACKED_BYTES_MAX: u64 = 262_144_000;
/// Most files and folders of an archive.
const ENTRIES_MAX: usize = 100_000;

/// An archive that cannot be used, in words for the one who made it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// Refuses an archive that could not be unpacked, as far as its directory says.
pub fn check(archive: &[u8]) -> Result<(), Refused> {
    let mut zip = open(archive)?;
    let mut bytes = 0_u64;
    let (mut files, mut folders) = (HashSet::new(), HashSet::new());
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index).map_err(unreadable)?;
        let place = place(&entry)?;
        bytes = bytes.saturating_add(entry.size());
        folders.extend(place.ancestors().skip(1).map(Path::to_owned));
        let _ = if entry.is_dir() { folders.insert(place) } else { files.insert(place) };
    }
    if let Some(both) = files.intersection(&folders).min() {
        let name = both.display();
        return Err(Refused(format!("the archive holds `{name}` as a file and as a folder")));
    }
    if bytes > UNPACKED_BYTES_MAX { Err(too_large()) } else { Ok(()) }
}

/// Unpacks `archive` into `folder`, which must not be there yet. Nothing is written outside of it.
pub(super) fn unpack(archive: &[u8], folder: &Path) -> Result<(), Refused> {
    let failed = |error: io::Error| Refused(format!("cannot unpack the archive: {error}"));
    files::create_folder(folder).map_err(failed)?;
    unpack_over(archive, folder)
}

/// Unpacks `archive` into `folder`, over what is there.
pub(super) fn unpack_over(archive: &[u8], folder: &Path) -> Result<(), Refused> {
    let failed = |error: io::Error| Refused(format!("cannot unpack the archive: {error}"));
    let mut zip = open(archive)?;
    let mut left = UNPACKED_BYTES_MAX;
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(unreadable)?;
        let path = folder.join(place(&entry)?);
        if entry.is_dir() {
            fs::create_dir_all(&path).map_err(failed)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let mut file = File::create(&path).map_err(failed)?;
        // What the directory says of a file's size need not be true.
        let written = io::copy(&mut (&mut entry).take(left + 1), &mut file).map_err(failed)?;
        left = left.checked_sub(written).ok_or_else(too_large)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = entry.unix_mode().unwrap_or(0o644) & 0o755 | 0o644;
            file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed)?;
        }
    }
    Ok(())
}

fn open(archive: &[u8]) -> Result<ZipArchive<Cursor<&[u8]>>, Refused> {
    let zip = ZipArchive::new(Cursor::new(archive)).map_err(unreadable)?;
    if zip.len() > ENTRIES_MAX {
        return Err(Refused(format!(
            "the archive has {} entries, at most {ENTRIES_MAX}",
            zip.len()
        )));
    }
    Ok(zip)
}

/// Where an entry belongs inside the folder.
fn place<R: Read>(entry: &ZipFile<'_, R>) -> Result<PathBuf, Refused> {
    let name = entry.name().map_err(unreadable)?;
    if entry.is_symlink() {
        return Err(Refused(format!(
            "the archive holds the symbolic link `{name}`: put the file itself there"
        )));
    }
    let inside = entry.enclosed_name();
    inside.ok_or_else(|| Refused(format!("the archive's entry `{name}` leads out of its folder")))
}

fn unreadable(_: zip::result::ZipError) -> Refused {
    Refused(
        "Could not unzip uploaded file. Please check your file, then try to upload again."
            .to_owned(),
    )
}

fn too_large() -> Refused {
    Refused(format!("Unzipped size must be smaller than {UNPACKED_BYTES_MAX} bytes"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(fill: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        fill(&mut zip);
        zip.finish().unwrap().into_inner()
    }

    fn file(name: &str, content: &[u8]) -> Vec<u8> {
        archive(|zip| {
            zip.start_file(name, SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
            zip.write_all(content).unwrap();
        })
    }

    #[test]
    fn a_name_is_that_of_a_file_or_of_a_folder() {
        let of = |names: &[&str]| {
            let made = archive(|zip| {
                for name in names {
                    zip.start_file(*name, SimpleFileOptions::default()).unwrap();
                }
            });
            check(&made).map_err(|refused| refused.to_string())
        };
        assert_eq!(of(&["a/b", "a/c", "b"]), Ok(()));
        let why = "the archive holds `a` as a file and as a folder";
        assert_eq!(of(&["a", "a/b/c"]), Err(why.to_owned()));
    }

    #[test]
    fn files_come_out_as_they_went_in() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("code");
        unpack(&file("a/bootstrap", b"#!/bin/sh\n"), &target).unwrap();
        let path = target.join("a/bootstrap");
        assert_eq!(fs::read(&path).unwrap(), b"#!/bin/sh\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o755);
        }
    }

    #[test]
    fn an_entry_cannot_leave_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["../evil", "a/../../evil", "/etc/evil"] {
            let target = folder.path().join("code");
            let made = file(name, b"x");
            let refused = unpack(&made, &target).is_err();
            assert!(refused || target.join("etc/evil").exists(), "{name}");
            assert!(!folder.path().join("evil").exists(), "{name}");
            let _ = fs::remove_dir_all(&target);
        }
    }

    #[test]
    fn a_symbolic_link_is_refused_by_name() {
        let link = archive(|zip| {
            zip.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        });
        assert!(check(&link).unwrap_err().to_string().contains("`link`"));
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        for bytes in [&b""[..], b"PK", &[0; 100]] {
            assert!(check(bytes).unwrap_err().to_string().starts_with("Could not unzip"));
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        let zeros = vec![0; 1 << 20];
        let bomb = archive(|zip| {
            for name in 0..251 {
                zip.start_file(name.to_string(), SimpleFileOptions::default()).unwrap();
                zip.write_all(&zeros).unwrap();
            }
        });
        assert!(bomb.len() < 1 << 20);
        assert!(check(&bomb).unwrap_err().to_string().starts_with("Unzipped size"));
    }
}
