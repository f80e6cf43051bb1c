//! The first thing a function's process does: it ties its life to the node's, then becomes the
//! runtime.
//!
//! `stepwire --attend PARENT PROGRAM ARGUMENTS…`, hidden: no verb for people.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

/// The argument that asks for it.
pub(super) const FLAG: &str = "--attend";
/// Files that a function may have open at a time (AWS: 1,024).
const FILES_MAX: u64 = 1_024;

/// Becomes the program that the command line names, if it asks for that. Returns only if that
/// failed.
pub fn become_asked(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if arguments.nth(1)? != FLAG {
        return None;
    }
    let parent = arguments.next().and_then(|pid| pid.to_str()?.parse().ok());
    let program = arguments.next();
    let (Some(parent), Some(program)) = (parent, program) else { return Some(ExitCode::from(2)) };
    if bind(parent).is_err() {
        return Some(ExitCode::FAILURE);
    }
    Some(replace(Command::new(program).args(arguments)))
}

/// Ends with the node, however that ends; and keeps to the limits of a function.
#[cfg(target_os = "linux")]
fn bind(parent: i32) -> Result<(), rustix::io::Errno> {
    use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Pid::from_raw(parent) {
        // The node ended before it could be waited for.
        return Err(rustix::io::Errno::CHILD);
    }
    limit()
}

/// Where a process cannot be told that its parent has ended, it ends when it next asks for work.
#[cfg(not(target_os = "linux"))]
fn bind(_parent: i32) -> Result<(), rustix::io::Errno> {
    limit()
}

fn limit() -> Result<(), rustix::io::Errno> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let core = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, core)?;
    let most = getrlimit(Resource::Nofile).maximum.map_or(FILES_MAX, |most| most.min(FILES_MAX));
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) })
}

#[cfg(unix)]
fn replace(command: &mut Command) -> ExitCode {
    let _ = std::os::unix::process::CommandExt::exec(command);
    ExitCode::from(127)
}
