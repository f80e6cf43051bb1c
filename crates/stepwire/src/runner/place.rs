//! Where functions live on the disk: code, temporary folders, what points their SDKs to the node.
//!
//! All of it is made anew when a node starts. What a killed node left is set aside then, and removed
//! while the new one is at work already.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Confinement;
use crate::files;

/// What the name of a folder goes on with that is set aside.
const ASIDE: &str = "-left-";

/// The folder of a node's functions, new. Below the data folder, which is its owner's alone; where
/// functions run as another user it is one that this user can enter, but not look around in.
pub(crate) fn make(data: &Path, confinement: &Confinement) -> io::Result<PathBuf> {
    // Functions begin in folders of their own, from where a relative path leads elsewhere.
    let inside = std::path::absolute(data)?.join("functions");
    set_aside(&inside)?;
    if confinement.user.is_none() {
        files::create_folder(&inside)?;
        return Ok(inside);
    }
    let id = crate::ca::certificate_id(data.canonicalize()?.as_os_str().as_encoded_bytes());
    let outside = std::env::temp_dir().join(format!("stepwire-functions-{}", &id[..16]));
    let outside = std::path::absolute(outside)?;
    open(&outside)?;
    Ok(outside)
}

/// Makes a folder that others may enter, in a place where others may have made one before.
fn open(folder: &Path) -> io::Result<()> {
    match fs::symlink_metadata(folder) {
        Ok(found) if is_ours(&found) => set_aside(folder)?,
        Ok(_) => {
            let why = format!("`{}` is there and belongs to somebody else", folder.display());
            return Err(io::Error::other(why));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Not recursive: what somebody put there meanwhile is an error.
    fs::create_dir(folder)?;
    enterable(folder)
}

#[cfg(unix)]
fn is_ours(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    found.is_dir() && found.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_ours(found: &fs::Metadata) -> bool {
    found.is_dir()
}

/// Lets others enter, but not look around.
pub(super) fn enterable(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o711))?;
    }
    let _ = folder;
    Ok(())
}

/// Gives the folder another name, if it is there.
fn set_aside(folder: &Path) -> io::Result<()> {
    let Some(name) = folder.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
    let free = (0..).map(|n: u32| folder.with_file_name(format!("{name}{ASIDE}{n}")));
    let free = free.into_iter().find(|aside| fs::symlink_metadata(aside).is_err());
    let Some(free) = free else { return Ok(()) };
    match fs::rename(folder, free) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What was set aside of earlier folders in the place of this one.
pub(super) fn left_over(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        return Ok(Vec::new());
    };
    let begins = format!("{}{ASIDE}", name.to_string_lossy());
    let mut left = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let is_left = entry.file_name().to_string_lossy().starts_with(&begins);
        // Anybody may make such a folder where everybody may make some.
        if is_left && is_ours(&fs::symlink_metadata(entry.path())?) {
            left.push(entry.path());
        }
    }
    Ok(left)
}

#[cfg(all(test, unix))]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_a_killed_node_left_is_gone_after_the_next_start() {
        let data = tempfile::tempdir().unwrap();
        let folder = make(data.path(), &Confinement::default()).unwrap();
        fs::create_dir_all(folder.join("scratch/tmp-1")).unwrap();
        assert_eq!(make(data.path(), &Confinement::default()).unwrap(), folder);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        assert!(folder.starts_with(data.path()));
        make(data.path(), &Confinement::default()).unwrap();
        let left = left_over(&folder).unwrap();
        assert_eq!(left.len(), 2);
        assert!(left.iter().any(|left| left.join("scratch/tmp-1").is_dir()));
    }

    #[test]
    fn a_folder_for_others_is_entered_but_not_listed_by_them() {
        let data = tempfile::tempdir().unwrap();
        let place = data.path().join("open");
        open(&place).unwrap();
        fs::write(place.join("left"), "").unwrap();
        open(&place).unwrap();
        assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
        assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o711);
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let data = tempfile::tempdir().unwrap();
        let (elsewhere, place) = (data.path().join("elsewhere"), data.path().join("place"));
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("precious"), "").unwrap();
        symlink(&elsewhere, &place).unwrap();
        assert!(open(&place).unwrap_err().to_string().contains("belongs to somebody else"));
        assert!(elsewhere.join("precious").exists());
    }
}
