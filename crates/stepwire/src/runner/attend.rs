//! The first thing a function's process does: it ties its life to the node's, gives up what it may
//! not do, then becomes the runtime.
//!
//! `stepwire --attend PARENT CONFINEMENT PROGRAM ARGUMENTS…`, hidden: no verb for people.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde::{Deserialize, Serialize};

/// The argument that asks for it.
pub(super) const FLAG: &str = "--attend";
/// Files that a function may have open at a time (AWS: 1,024).
const FILES_MAX: u64 = 1_024;
/// Processes and threads that it may have (AWS: 1,024).
const TASKS_MAX: u64 = 1_024;

/// What the processes of functions may not do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confinement {
    /// The user and group that they run as; `None`: the node's own.
    pub user: Option<(u32, u32)>,
    /// Whether they see only their code, their temporary folder and the system's files.
    pub landlock: bool,
}

impl Confinement {
    /// Has `command` run as the user of functions, with no other groups.
    pub(super) fn as_user(&self, command: &mut Command) {
        #[cfg(unix)]
        if let Some((user, group)) = self.user {
            std::os::unix::process::CommandExt::gid(command, group);
            std::os::unix::process::CommandExt::uid(command, user);
        }
        let _ = command;
    }
}

/// The user and group that `text` names: `UID:GID`, or a name of `/etc/passwd`.
pub fn user(text: &str) -> Result<(u32, u32), String> {
    let numbers = text.split_once(':').map(|(user, group)| (user.parse(), group.parse()));
    if let Some((Ok(user), Ok(group))) = numbers {
        return Ok((user, group));
    }
    let users = std::fs::read_to_string("/etc/passwd").map_err(|error| error.to_string())?;
    let found = users.lines().find_map(|line| {
        let parts: Vec<&str> = line.split(':').collect();
        let named = parts.first() == Some(&text) || parts.get(2) == Some(&text);
        named.then(|| Some((parts.get(2)?.parse().ok()?, parts.get(3)?.parse().ok()?)))?
    });
    found.ok_or_else(|| format!("there is no user `{text}` in /etc/passwd (UID:GID works as well)"))
}

/// What an attendant is told.
#[derive(Serialize, Deserialize, Default)]
struct Words {
    user: Option<(u32, u32)>,
    /// What they get with it is never more than they have.
    tight: bool,
    /// Files and folders that can be read; none: no restriction.
    readable: Vec<PathBuf>,
    writable: Vec<PathBuf>,
}

impl Confinement {
    /// What the attendant of a process is told: `own` is what it may read besides its program, which
    /// is the interpreter and what that is given, and the system.
    pub(super) fn words(&self, own: &[&Path], scratch: &Path, program: &[PathBuf]) -> String {
        let (mut readable, mut writable) = (Vec::new(), Vec::new());
        if self.landlock {
            readable.extend(own.iter().map(|path| (*path).to_owned()));
            // Files, not their folders: what lies beside our bootstrap is the code of all functions.
            readable.extend(program.iter().filter(|path| path.is_absolute()).cloned());
            readable.extend(SYSTEM.iter().map(PathBuf::from));
            readable.extend(program.first().into_iter().flat_map(|path| homes(path)));
            writable.push(scratch.to_owned());
            writable.extend(["/dev/null", "/dev/zero"].map(PathBuf::from));
        }
        let tight = self.landlock || self.user.is_some();
        let words = Words { user: self.user, tight, readable, writable };
        serde_json::to_string(&words).unwrap_or_default()
    }

    /// Why functions could read the node's `data` all the same, if they could: Landlock gives, and
    /// takes nothing of it away.
    pub(super) fn exposes(&self, data: &Path, interpreters: &[&Path]) -> Option<String> {
        if !self.landlock {
            return None;
        }
        let data = data.canonicalize().ok()?;
        let homes = interpreters.iter().flat_map(|path| homes(path));
        let given = SYSTEM.iter().map(PathBuf::from).chain(homes);
        let given = given.filter_map(|place| place.canonicalize().ok());
        let around = given.into_iter().find(|place| data.starts_with(place))?;
        Some(format!(
            "`--function-landlock`: functions may read `{}`, and the data folder is in it: choose \
             another with `--data`",
            around.display()
        ))
    }
}

/// Where an interpreter is installed: `…/bin/python3` has its library in `…/lib`. That of a virtual
/// environment is a link to another, and has packages of its own.
fn homes(interpreter: &Path) -> Vec<PathBuf> {
    let around = |path: &Path| {
        let folder = path.parent()?;
        let home = folder.parent().filter(|_| folder.ends_with("bin"))?;
        (home != Path::new("/")).then(|| home.to_owned())
    };
    let installed = interpreter.canonicalize().ok().and_then(|path| around(&path));
    let environment = around(interpreter).filter(|home| home.join("pyvenv.cfg").is_file());
    installed.into_iter().chain(environment).collect()
}

/// What every program needs of the system.
const SYSTEM: [&str; 12] = [
    "/bin",
    "/etc",
    "/lib",
    "/lib64",
    "/sbin",
    "/usr",
    "/opt",
    "/dev",
    "/proc",
    "/sys",
    "/run/systemd/resolve",
    "/nix/store",
];

/// Becomes the program that the command line names, if it asks for that. Returns only if that
/// failed.
pub fn become_asked(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let own = arguments.next();
    if arguments.next()? != FLAG {
        return None;
    }
    let parent: Option<i32> = arguments.next().and_then(|pid| pid.to_str()?.parse().ok());
    let words = arguments.next().and_then(|words| serde_json::from_str(words.to_str()?).ok());
    let program = arguments.next();
    let (Some(parent), Some(words), Some(program)) = (parent, words, program) else {
        return Some(ExitCode::from(2));
    };
    let words: Words = words;
    if let Some((user, group)) = words.user {
        // The tie to the node's life does not outlive the change of user: it is made after it.
        let own = std::env::current_exe().ok().map(PathBuf::into_os_string).or(own)?;
        let mut again = Command::new(own);
        let rest = serde_json::to_string(&Words { user: None, ..words }).ok()?;
        again.arg(FLAG).arg(parent.to_string()).arg(rest).arg(program).args(arguments);
        Confinement { user: Some((user, group)), landlock: false }.as_user(&mut again);
        return Some(replace(&mut again));
    }
    let kept = bind(parent).map_err(|error| error.to_string()).and_then(|()| confine(&words));
    if let Err(why) = kept {
        return Some(told(&format!("the function's process cannot be confined: {why}")));
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
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) })?;
    if let Some(there) = tasks() {
        // The system counts all of a user: what is there is not the function's.
        let most = there + TASKS_MAX;
        let most = getrlimit(Resource::Nproc).maximum.map_or(most, |max| max.min(most));
        setrlimit(Resource::Nproc, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

/// Processes and threads of the whole system.
fn tasks() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().nth(3)?.split('/').nth(1)?.parse().ok()
}

/// Gives up what the function may not do, for itself and all that it starts.
#[cfg(target_os = "linux")]
fn confine(words: &Words) -> Result<(), String> {
    use landlock::{
        ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
        Scope, path_beneath_rules,
    };
    if words.tight {
        // No program of it gets more by `setuid`, such as `sudo`.
        rustix::thread::set_no_new_privs(true).map_err(|error| error.to_string())?;
        powerless().map_err(|error| error.to_string())?;
    }
    if words.readable.is_empty() {
        return Ok(());
    }
    let confined = || {
        // Newer kernels also keep it from truncating files and from ending others' processes, and let
        // it move files between its own folders.
        let abi = ABI::V6;
        let there = |paths: &[PathBuf]| -> Vec<PathBuf> {
            paths.iter().filter(|path| path.exists()).cloned().collect()
        };
        Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(ABI::V1))?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(abi))?
            .scope(Scope::from_all(abi))?
            .create()?
            // Directories and files are given by the same lists: what a file has not is left out.
            .set_compatibility(CompatLevel::BestEffort)
            .add_rules(path_beneath_rules(there(&words.readable), AccessFs::from_read(abi)))?
            .add_rules(path_beneath_rules(there(&words.writable), AccessFs::from_all(abi)))?
            .no_new_privs(true)
            .restrict_self()
    };
    confined().map(drop).map_err(|error: landlock::RulesetError| error.to_string())
}

/// A function of a node of root's is root by name alone: with root's capabilities it could read the
/// environment of other processes, whatever Landlock says.
#[cfg(target_os = "linux")]
fn powerless() -> rustix::io::Result<()> {
    use rustix::thread::{
        CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, set_capabilities,
        set_capabilities_secure_bits,
    };
    if capabilities(None)?.effective.contains(CapabilitySet::SETPCAP) {
        // Nor does a program that it starts get them back.
        let bits = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
        set_capabilities_secure_bits(bits)?;
    }
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

/// Elsewhere it is refused when the node starts.
#[cfg(not(target_os = "linux"))]
fn confine(_words: &Words) -> Result<(), String> {
    Ok(())
}

/// Why functions cannot be confined here as is wanted, if they cannot.
pub(super) fn unconfinable(confinement: &Confinement) -> Option<String> {
    #[cfg(unix)]
    if confinement.user.is_some() && !rustix::process::geteuid().is_root() {
        return Some("`--function-user` needs a node that runs as root".to_owned());
    }
    #[cfg(not(unix))]
    if confinement.user.is_some() {
        return Some("`--function-user` is not available on this system".to_owned());
    }
    confinement.landlock.then(no_landlock).flatten()
}

#[cfg(target_os = "linux")]
fn no_landlock() -> Option<String> {
    use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};
    let made = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .and_then(Ruleset::create);
    made.err().map(|error| format!("`--function-landlock`: this kernel has no Landlock ({error})"))
}

#[cfg(not(target_os = "linux"))]
fn no_landlock() -> Option<String> {
    Some("`--function-landlock` is available on Linux alone".to_owned())
}

#[cfg(unix)]
fn replace(command: &mut Command) -> ExitCode {
    let error = std::os::unix::process::CommandExt::exec(command);
    told(&format!("`{}` cannot be started: {error}", command.get_program().to_string_lossy()))
}

/// Says in the function's own log why it does not run.
fn told(why: &str) -> ExitCode {
    use std::io::Write;
    // If that cannot be written the exit status alone has to do.
    let _ = writeln!(std::io::stderr(), "stepwire: {why}");
    ExitCode::from(127)
}
