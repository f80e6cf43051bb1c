//! Who holds a port: for the error message when ours is taken.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

/// A process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub name: String,
    /// Its id.
    pub pid: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (pid {})", self.name, self.pid)
    }
}

/// The process that listens on `address`, as far as this system lets us know.
pub fn holder(address: SocketAddr) -> Option<Holder> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .find_map(|table| listening_inode(&table, address.port()))?;
    let socket = format!("socket:[{inode}]");
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        holds(&entry.path(), &socket).then(|| Holder { name: name(&entry.path()), pid })
    })
}

/// The inode of the listening socket on `port` in a table of `/proc/net`.
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, hex_port) = fields.get(1)?.rsplit_once(':')?;
        let listens = *fields.get(3)? == LISTEN && u16::from_str_radix(hex_port, 16) == Ok(port);
        if listens { fields.get(9)?.parse().ok() } else { None }
    })
}

fn holds(process: &Path, socket: &str) -> bool {
    let Ok(files) = std::fs::read_dir(process.join("fd")) else { return false };
    files.flatten().any(|file| {
        std::fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == socket)
    })
}

fn name(process: &Path) -> String {
    let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    name.trim().to_owned()
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_process_that_listens_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = holder(listener.local_addr().unwrap()).unwrap();
        assert_eq!(found.pid, std::process::id());
        assert!(!found.name.is_empty());
    }

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "  sl  local_address rem_address   st\n\
             0: 0100007F:11D6 00000000:0000 01 0:0 0:0 0 0 0 111 1\n\
             1: 0100007F:11D7 00000000:0000 0A 0:0 0:0 0 0 0 222 1\n\
             2: 0100007F:11D6 00000000:0000 0A 0:0 0:0 0 0 0 333 1\n";
        assert_eq!(listening_inode(table, 0x11D6), Some(333));
        assert_eq!(listening_inode(table, 0x11D8), None);
    }
}
