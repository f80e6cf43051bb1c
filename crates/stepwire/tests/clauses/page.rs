//! Pages: Markdown with scripts, and the clauses that each script proves.

use std::path::Path;

use crate::clause::Clause;
use crate::packet::Version;

/// One section of a page: what it proves, and how.
#[derive(Debug)]
pub(crate) struct Script {
    /// File name of the page without its ending.
    pub(crate) page: String,
    /// Heading of the section.
    pub(crate) title: String,
    /// What it proves.
    pub(crate) clauses: Vec<Clause>,
    /// What to run.
    pub(crate) blocks: Vec<Block>,
}

/// What is in one fence.
#[derive(Debug)]
pub(crate) struct Block {
    /// How to read the lines.
    pub(crate) kind: Kind,
    /// Versions to run it with.
    pub(crate) versions: Vec<Version>,
    /// Options of the node.
    pub(crate) options: Vec<String>,
    /// Lines with their number in the page.
    pub(crate) lines: Vec<(usize, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Clients take turns.
    Script,
    /// Each line is one packet after CONNECT, and how it ends.
    Refused,
    /// Each line is a first packet, and how it ends.
    FirstPacket,
}

/// Every script of every page in `folder`.
pub(crate) fn scripts(folder: &Path) -> Vec<Script> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    paths.iter().flat_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Vec<Script> {
    let page = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let mut scripts: Vec<Script> = Vec::new();
    let mut block: Option<Block> = None;
    for (line, number) in text.lines().zip(1..) {
        if let Some(open) = &mut block {
            if line == "```" {
                scripts.last_mut().unwrap().blocks.extend(block.take());
            } else if !line.trim().is_empty() && !line.starts_with("--") {
                open.lines.push((number, line.to_owned()));
            }
        } else if let Some(title) = line.strip_prefix("## ") {
            let (page, title) = (page.clone(), title.to_owned());
            scripts.push(Script { page, title, clauses: Vec::new(), blocks: Vec::new() });
        } else if line.starts_with("**") {
            scripts.last_mut().unwrap().clauses.extend(Clause::list(line));
        } else if let Some(info) = line.strip_prefix("```") {
            block = Some(fence(info));
        }
    }
    for script in &scripts {
        assert!(!script.clauses.is_empty(), "{page}, {}: it names no clause", script.title);
        assert!(!script.blocks.is_empty(), "{page}, {}: it does nothing", script.title);
    }
    scripts
}

/// `script 3.1.1 and 5.0, --keep-alive-max 60`
fn fence(info: &str) -> Block {
    let (what, options) = info.split_once(", ").unwrap_or((info, ""));
    let mut words = what.split(' ');
    let kind = match words.next() {
        Some("script") => Kind::Script,
        Some("refused") => Kind::Refused,
        Some("first-packet") => Kind::FirstPacket,
        _ => panic!("no fence is called {info}"),
    };
    let versions =
        words.filter(|word| *word != "and").map(|word| Version::parse(word).unwrap()).collect();
    let options = options.split_whitespace().map(str::to_owned).collect();
    Block { kind, versions, options, lines: Vec::new() }
}
