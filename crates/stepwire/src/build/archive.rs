//! Archives whose bytes depend on names, modes and contents alone.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::tree::Entry;

/// Most bytes that an archive may have unpacked (AWS: 250 MB).
pub const UNPACKED_BYTES_MAX: u64 = 262_144_000;

/// The archive of `files`.
///
/// Errors: a file cannot be read, or together they are longer than [`UNPACKED_BYTES_MAX`].
pub fn zip(files: &BTreeMap<String, Entry>) -> io::Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let mut bytes = 0;
    for (name, entry) in files {
        let content = fs::read(&entry.path)?;
        bytes += content.len() as u64;
        if bytes > UNPACKED_BYTES_MAX {
            let why = format!("its files are longer than {UNPACKED_BYTES_MAX} bytes");
            return Err(io::Error::other(why));
        }
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(if entry.executable { 0o755 } else { 0o644 });
        archive.start_file(name.as_str(), options)?;
        archive.write_all(&content)?;
    }
    Ok(archive.finish()?.into_inner())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::tree;
    use super::*;

    #[test]
    fn the_same_files_make_the_same_archive_whenever_they_were_written() {
        let archive = |names: &[&str]| {
            let folder = tempfile::tempdir().unwrap();
            for name in names {
                fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
                fs::write(folder.path().join(name), name).unwrap();
            }
            zip(&tree::files(folder.path(), &[]).unwrap()).unwrap()
        };
        let first = archive(&["a.js", "lib/b.js"]);
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert_eq!(first, archive(&["lib/b.js", "a.js"]));
        assert!(crate::runner::check(&first).is_ok());
    }
}
