//! Builds folders, a few at a time, and keeps what it has built.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::archive;
use super::recipe::{Esbuild, Recipe};
use super::tree;
use crate::files;

/// Builds at a time.
const AT_A_TIME: usize = 2;
/// Lines of a tool's output that a failure shows.
const LINES_SHOWN: usize = 15;
/// What is built and not used for so long is removed.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// A folder to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What it is for, in messages.
    pub name: String,
    /// The folder, or a file that is taken as it is.
    pub source: PathBuf,
    /// What it needs.
    pub recipe: Recipe,
}

/// An archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The archive's file.
    pub path: PathBuf,
    /// The SHA-256 of its bytes, in hex.
    pub hash: String,
    /// Whether it was there already.
    pub kept: bool,
}

/// A folder could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} cannot be built: {why}")]
pub struct Failed {
    /// What it is for.
    pub name: String,
    /// Why, with the last lines of the tool's output.
    pub why: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Builds all of `orders` in `folder`, which keeps what was built. What it does is told to `say`.
///
/// Errors: the first order that fails, in their order; the others are finished nevertheless.
pub fn build(
    folder: &Path,
    orders: &[Order],
    say: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Built>, Failed> {
    let next = Mutex::new(0..orders.len());
    let turns = Turns::default();
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(orders.len()) {
            scope.spawn(|| {
                while let Some(index) = { lock(&next).next() } {
                    let built = one(folder, &orders[index], &turns, say);
                    lock(&done).insert(index, built);
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let built: Result<Vec<Built>, Failed> = done.into_values().collect();
    if built.is_ok() {
        forget_old(folder);
    }
    built
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who builds an archive at the moment, by the archive's key: functions that share a folder have it built once.
type Turns = Mutex<BTreeMap<String, Arc<Mutex<()>>>>;

fn one(
    folder: &Path,
    order: &Order,
    turns: &Turns,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Built, Failed> {
    let failed =
        |error: io::Error| Failed { name: order.name.clone(), why: error.to_string(), hint: None };
    if order.source.is_file() {
        return file(folder, &order.source).map_err(failed);
    }
    // What is installed anew is no part of what decides.
    let skip: &[&str] = if order.recipe == Recipe::Plain { &[] } else { &["node_modules"] };
    let source = tree::files(&order.source, skip).map_err(failed)?;
    let hash = tree::hash(&source).map_err(failed)?;
    let key =
        tree::hex(&Sha256::digest(format!("{hash} {}", order.recipe.name())))[..24].to_owned();
    let path = folder.join(format!("{key}.zip"));
    let turn = Arc::clone(lock(turns).entry(key).or_default());
    let _turn = lock(&turn);
    if let Ok(archive) = fs::read(&path) {
        // It is used: that it was is what its time says.
        let touched = fs::File::options().append(true).open(&path);
        let _ = touched.and_then(|file| file.set_modified(SystemTime::now()));
        return Ok(Built { hash: tree::hex(&Sha256::digest(&archive)), path, kept: true });
    }
    files::create_folder(folder).map_err(failed)?;
    let work = tempfile::Builder::new().prefix("work-").tempdir_in(folder).map_err(failed)?;
    let content = match &order.recipe {
        Recipe::Plain => source,
        recipe => {
            say(&format!("building {}", order.name));
            let out = work.path().join("out");
            fs::create_dir(&out).map_err(failed)?;
            let kitchen = Kitchen { order, work: work.path(), out: &out, source: &source };
            kitchen.cook(recipe)?;
            tree::files(&out, &[]).map_err(failed)?
        }
    };
    if content.is_empty() {
        return Err(failed(io::Error::other(format!("`{}` is empty", order.source.display()))));
    }
    let archive = archive::zip(&content).map_err(failed)?;
    // Another process may build the same at the same time.
    let draft = work.path().join("archive");
    files::write(&draft, &archive).map_err(failed)?;
    fs::rename(&draft, &path).map_err(failed)?;
    Ok(Built { hash: tree::hex(&Sha256::digest(&archive)), path, kept: false })
}

/// A file is an archive already, or the whole of one.
fn file(folder: &Path, source: &Path) -> io::Result<Built> {
    let content = fs::read(source)?;
    if content.starts_with(b"PK") {
        let hash = tree::hex(&Sha256::digest(&content));
        return Ok(Built { path: source.to_owned(), hash, kept: true });
    }
    let name = source.file_name().and_then(|name| name.to_str()).unwrap_or("file").to_owned();
    let executable = name == "bootstrap";
    let files = BTreeMap::from([(name, tree::Entry { path: source.to_owned(), executable })]);
    let archive = archive::zip(&files)?;
    let hash = tree::hex(&Sha256::digest(&archive));
    let path = folder.join(format!("{}.zip", &hash[..24]));
    files::create_folder(folder)?;
    files::write(&path, &archive)?;
    Ok(Built { path, hash, kept: false })
}

/// Removes what nobody has used for long. What cannot be removed stays.
fn forget_old(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let used = entry.metadata().and_then(|about| about.modified());
        let old = used.is_ok_and(|used| used.elapsed().is_ok_and(|age| age > KEPT));
        if old && entry.path().extension().is_some_and(|kind| kind == "zip") {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Where one order is built.
struct Kitchen<'a> {
    order: &'a Order,
    /// A folder of its own, removed afterwards.
    work: &'a Path,
    /// What becomes the archive.
    out: &'a Path,
    source: &'a BTreeMap<String, tree::Entry>,
}

impl Kitchen<'_> {
    fn cook(&self, recipe: &Recipe) -> Result<(), Failed> {
        match recipe {
            Recipe::Plain => self.copy(self.out),
            Recipe::Npm { within } => {
                let to = self.out.join(within);
                self.copy(&to)?;
                self.npm(&to)
            }
            Recipe::Pip { within } => {
                let to = self.out.join(within);
                self.copy(&to)?;
                self.pip(&to)
            }
            Recipe::Make { target } => {
                let from = self.work.join("source");
                self.copy(&from)?;
                let mut make = Command::new("make");
                make.arg("--no-print-directory").arg(target).current_dir(&from);
                make.env("ARTIFACTS_DIR", self.out);
                self.run("make", make, "`BuildMethod: makefile` needs it")
            }
            Recipe::Esbuild(esbuild) => self.esbuild(esbuild),
        }
    }

    fn copy(&self, to: &Path) -> Result<(), Failed> {
        tree::copy(self.source, to).map_err(|error| self.failed(error.to_string()))
    }

    /// As `sam build`: what is locked, without what is for development.
    fn npm(&self, within: &Path) -> Result<(), Failed> {
        let locked = ["package-lock.json", "npm-shrinkwrap.json"];
        let locked = locked.iter().any(|name| within.join(name).is_file());
        let mut npm = Command::new("npm");
        npm.arg(if locked { "ci" } else { "install" });
        npm.args(["--omit=dev", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error"]);
        npm.current_dir(within);
        self.run("npm", npm, "install Node.js, which brings it: https://nodejs.org")
    }

    fn pip(&self, within: &Path) -> Result<(), Failed> {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
        pip.args(["--no-compile", "--requirement", "requirements.txt", "--target", "."]);
        pip.current_dir(within);
        self.run("python3", pip, "install Python 3 with pip")
    }

    fn esbuild(&self, esbuild: &Esbuild) -> Result<(), Failed> {
        let from = self.work.join("source");
        self.copy(&from)?;
        if from.join("package.json").is_file() {
            // It may be among the packages for development.
            let mut npm = Command::new("npm");
            let locked = from.join("package-lock.json").is_file();
            npm.arg(if locked { "ci" } else { "install" });
            npm.args(["--no-audit", "--no-fund", "--no-progress", "--loglevel=error"]);
            npm.current_dir(&from);
            self.run("npm", npm, "install Node.js, which brings it: https://nodejs.org")?;
        }
        let own = from.join("node_modules/.bin/esbuild");
        let program = if own.exists() { own } else { PathBuf::from("esbuild") };
        let mut bundle = Command::new(program);
        bundle.args(&esbuild.entry_points).args([
            "--bundle",
            "--platform=node",
            "--log-level=error",
        ]);
        bundle.args(&esbuild.arguments).arg(format!("--outdir={}", self.out.display()));
        bundle.current_dir(&from);
        let hint =
            "add `esbuild` to the devDependencies of package.json, or `npm install -g esbuild`";
        self.run("esbuild", bundle, hint)
    }

    fn run(&self, name: &str, mut command: Command, hint: &str) -> Result<(), Failed> {
        command.stdin(std::process::Stdio::null());
        let output = command.output().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failed {
                hint: Some(hint.to_owned()),
                ..self.failed(format!("there is no `{name}` on this machine"))
            },
            _ => self.failed(format!("`{name}` cannot be run: {error}")),
        })?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let shown = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
        let shown: String = shown.iter().map(|line| format!("\n  | {line}")).collect();
        Err(self.failed(format!("`{name}` ended with {}{shown}", output.status)))
    }

    fn failed(&self, why: String) -> Failed {
        Failed { name: self.order.name.clone(), why, hint: None }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn order(source: &Path, recipe: Recipe) -> Order {
        Order { name: "F".to_owned(), source: source.to_owned(), recipe }
    }

    #[test]
    fn a_folder_that_has_not_changed_is_not_built_again() {
        let (source, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(source.path().join("app.js"), "1").unwrap();
        let build = || {
            let orders = [order(source.path(), Recipe::Plain)];
            build(folder.path(), &orders, &|_| {}).unwrap().remove(0)
        };
        let first = build();
        let again = build();
        assert!(!first.kept && again.kept && first.hash == again.hash);
        fs::write(source.path().join("app.js"), "2").unwrap();
        let changed = build();
        assert!(!changed.kept && changed.hash != first.hash);
    }

    #[test]
    fn a_folder_of_many_functions_is_built_once() {
        let (source, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for round in 0..20 {
            fs::write(source.path().join("app.js"), round.to_string()).unwrap();
            let orders: Vec<Order> = (0..8).map(|_| order(source.path(), Recipe::Plain)).collect();
            let built = build(folder.path(), &orders, &|_| {}).unwrap();
            assert_eq!(built.iter().filter(|one| !one.kept).count(), 1);
            assert!(built.iter().all(|one| one.hash == built[0].hash));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_failing_tool_is_shown_with_its_last_lines() {
        let (source, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(source.path().join("Makefile"), "build-F:\n\t@echo it broke; exit 3\n").unwrap();
        let orders = [order(source.path(), Recipe::Make { target: "build-F".to_owned() })];
        let failed = build(folder.path(), &orders, &|_| {}).unwrap_err();
        assert!(failed.why.contains("it broke") || failed.why.contains("no `make`"), "{failed}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[cfg(unix)]
    #[test]
    fn a_makefile_fills_the_archive() {
        if Command::new("make").arg("--version").output().is_err() {
            return;
        }
        let (source, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let rules = "build-F:\n\tcp app.js $(ARTIFACTS_DIR)/index.js\n";
        fs::write(source.path().join("Makefile"), rules).unwrap();
        fs::write(source.path().join("app.js"), "1").unwrap();
        let orders = [order(source.path(), Recipe::Make { target: "build-F".to_owned() })];
        let built = build(folder.path(), &orders, &|_| {}).unwrap();
        let archive = fs::read(&built[0].path).unwrap();
        let mut zip = zip::ZipArchive::new(io::Cursor::new(archive)).unwrap();
        assert_eq!(zip.len(), 1);
        assert!(zip.by_name("index.js").is_ok());
    }
}
