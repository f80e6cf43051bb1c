//! Watches what the processes of functions take: memory, and how many they are.
//!
//! Node.js reserves far more address space than it uses, so that a limit on address space would end
//! it at once; what counts is memory of its own that a process and its descendants have in use
//! (`RssAnon` and `RssShmem`), looked at several times a second. On systems without `/proc` nothing
//! is seen.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::Inner;

/// How often it is looked.
const PERIOD: Duration = Duration::from_millis(100);
/// How often idle processes, and code that runs where it is, are looked at.
const TIDY_PERIOD: Duration = Duration::from_secs(1);
/// Processes and threads that a function may have (AWS: 1,024).
const TASKS_MAX: u64 = 1_024;

/// What a process took too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Excess {
    Memory,
    Processes,
}

/// A process that is watched until it ends.
pub(super) struct Watched {
    pid: Option<u32>,
    limit_kb: u64,
    peak_kb: AtomicU64,
    excess: AtomicU8,
    ended: AtomicBool,
}

static WATCHED: Mutex<Vec<Weak<Watched>>> = Mutex::new(Vec::new());

impl Watched {
    /// Begins to watch a process that may have `memory_mb`.
    pub(super) fn new(pid: Option<u32>, memory_mb: u32) -> Arc<Watched> {
        let watched = Arc::new(Watched {
            pid,
            limit_kb: u64::from(memory_mb) * 1_024,
            peak_kb: AtomicU64::new(0),
            excess: AtomicU8::new(0),
            ended: AtomicBool::new(false),
        });
        let mut all = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::downgrade(&watched));
        watched
    }

    /// It has ended: its number may be another's now.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// What it was ended for, if it was.
    pub(super) fn excess(&self) -> Option<Excess> {
        match self.excess.load(Ordering::Acquire) {
            1 => Some(Excess::Memory),
            2 => Some(Excess::Processes),
            _ => None,
        }
    }

    /// Looks at the process alone; most memory seen so far, KiB.
    pub(super) fn look(&self) -> u64 {
        let now = self.pid.and_then(memory_kb).unwrap_or(0);
        self.peak_kb.fetch_max(now, Ordering::AcqRel).max(now)
    }

    /// Looks at the process and all that it has started, and ends them if they take too much.
    fn check(&self) {
        let Some(pid) = self.pid.filter(|_| !self.ended.load(Ordering::Acquire)) else { return };
        let (mut kb, mut tasks) = (0, 0);
        let mut open = vec![pid];
        while let Some(pid) = open.pop() {
            kb += memory_kb(pid).unwrap_or(0);
            tasks += children(pid, &mut open);
            if tasks > TASKS_MAX {
                break;
            }
        }
        self.peak_kb.fetch_max(kb, Ordering::AcqRel);
        let excess = if tasks > TASKS_MAX {
            2
        } else if kb > self.limit_kb {
            1
        } else {
            return;
        };
        if self.ended.load(Ordering::Acquire) {
            return;
        }
        self.excess.store(excess, Ordering::Release);
        #[cfg(unix)]
        if let Some(group) = rustix::process::Pid::from_raw(pid as i32) {
            // One that has ended already is no error.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// Memory of its own that a process has in use, KiB.
fn memory_kb(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    Some(of("RssAnon:")? + of("RssShmem:").unwrap_or(0))
}

/// Adds the children of a process to `open`; how many threads it has.
fn children(pid: u32, open: &mut Vec<u32>) -> u64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let mut count = 0;
    for thread in threads.flatten() {
        count += 1;
        let Ok(text) = fs::read_to_string(thread.path().join("children")) else { continue };
        open.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    count
}

/// Watches as long as the runner is there.
pub(super) fn start(runner: Weak<Inner>) {
    let watch = move || {
        let mut tidied = Instant::now();
        let mut folders = Vec::new();
        loop {
            std::thread::sleep(PERIOD);
            let Some(runner) = runner.upgrade() else { return };
            let mut all = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|watched| watched.strong_count() > 0);
            let all: Vec<Arc<Watched>> = all.iter().filter_map(Weak::upgrade).collect();
            all.iter().for_each(|watched| watched.check());
            if tidied.elapsed() >= TIDY_PERIOD {
                tidied = Instant::now();
                runner.pools.tidy();
                Inner::keep_ready(&runner);
                look_at_folders(&runner, &mut folders);
            }
        }
    };
    // Without it limits are not kept; the functions run all the same.
    let started = std::thread::Builder::new().name("watch".to_owned()).spawn(watch);
    if let Err(error) = started {
        tracing::warn!("the memory of functions is not watched: {error}");
    }
}

/// Ends processes whose code has changed where it is.
fn look_at_folders(runner: &Inner, seen: &mut Vec<(Arc<str>, u64)>) {
    let mut now = Vec::new();
    for record in runner.pools.in_folders() {
        let Ok(folder) = runner.code.place(&record) else { continue };
        let mark = mark(&folder);
        let before = seen.iter().find(|(name, _)| *name == record.name).map(|(_, mark)| *mark);
        if before.is_some_and(|before| before != mark) {
            runner.pools.outdated(&record.name);
        }
        now.push((Arc::clone(&record.name), mark));
    }
    *seen = now;
}

/// Something that changes when a file in `folder` does. Of packages only their names are looked at.
fn mark(folder: &Path) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    let mut open = vec![folder.to_owned()];
    let mut left = 10_000_u32;
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let is_packages = folder.file_name().is_some_and(|name| name == "node_modules");
        for entry in entries.flatten() {
            left = left.saturating_sub(1);
            if left == 0 {
                return hasher.finish();
            }
            entry.path().hash(&mut hasher);
            let Ok(about) = entry.metadata() else { continue };
            about.modified().ok().hash(&mut hasher);
            about.len().hash(&mut hasher);
            if about.is_dir() && !is_packages {
                open.push(entry.path());
            }
        }
    }
    hasher.finish()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_and_its_children_are_seen() {
        let me = std::process::id();
        assert!(memory_kb(me).is_some_and(|kb| kb > 100));
        let mut open = Vec::new();
        assert!(children(me, &mut open) >= 1);
    }
}
