//! Artifacts on their way to the node: built, and stored under the hash of their bytes.

use std::path::Path;

use sha2::{Digest, Sha256};
use stepwire_cloudformation::{Data, Diagnostic, Place, Template, Value};

use super::super::client::Client;
use super::super::failure::{Exit, Failure};
use super::super::running::Running;
use super::Read;
use super::source::Source;
use crate::build::artifact::{self, Artifact, Content, Location};
use crate::build::builder::{self, Order};
use crate::build::recipe::Recipe;
use crate::build::tree;
use crate::files;

/// Where built folders are kept, beside the template.
const BUILD_FOLDER: &str = ".stepwire/build";
/// Longest file that is stored as it is, bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// How deep templates may name templates.
pub(super) const DEPTH_MAX: usize = 5;

/// A template whose artifacts are stored.
pub(super) struct Stored {
    /// It, naming where they are.
    pub(super) root: Value,
    /// Whether it is as it was read.
    is_original: bool,
}

impl Stored {
    /// As if everything were stored.
    pub(super) fn nowhere(template: &Template, artifacts: &[Artifact]) -> Stored {
        let at = |artifact| (artifact, Location { bucket: "b".to_owned(), key: "k".to_owned() });
        let stored: Vec<_> = artifacts.iter().map(at).collect();
        let root = artifact::relocated(template.root(), &stored, "http://127.0.0.1");
        Stored { root, is_original: artifacts.is_empty() }
    }

    /// Its text: the source's own where nothing was stored.
    pub(super) fn text(&self, source: &Source) -> String {
        if self.is_original { source.text.clone() } else { self.root.to_json().to_text() }
    }

    /// A failure that speaks of places in [`Stored::text`], with those of the source. The lines are
    /// printed.
    pub(super) fn pointed(&self, source: &Source, failure: Failure) -> Failure {
        const LINE: &str = " (line ";
        const COLUMN: &str = ", column ";
        let sent = if self.is_original {
            None
        } else {
            stepwire_cloudformation::read(&self.text(source)).ok()
        };
        let (mut told, mut places) = (String::new(), Vec::new());
        let mut rest = failure.message();
        while let Some((before, after)) = rest.split_once(LINE) {
            told.push_str(before);
            let place = after.split_once(')').and_then(|(place, behind)| {
                let (line, column) = place.split_once(COLUMN)?;
                let (line, column) = (line.parse().ok()?, column.parse().ok()?);
                Some((Place { line, column, length: 1 }, behind))
            });
            let Some((place, behind)) = place else {
                told.push_str(LINE);
                rest = after;
                continue;
            };
            let place = match &sent {
                Some(sent) => original(&self.root, sent, place).unwrap_or(Place::NOWHERE),
                None => place,
            };
            if !place.is_nowhere() {
                told.extend([" (", &source.at(place), ")"]);
                places.push(place);
            }
            rest = behind;
        }
        told.push_str(rest);
        if let [place] = places.as_slice() {
            let shown = Diagnostic::new(*place, told.as_str());
            super::print(&format!("{}\n", source.pointed(&shown)));
        }
        failure.saying(told)
    }
}

/// Where what stands at `place` in `sent`, the text of `root`, was read.
fn original(root: &Value, sent: &Value, place: Place) -> Option<Place> {
    let is_it = |at: Place| (at.line, at.column) == (place.line, place.column);
    if is_it(sent.key) {
        return Some(root.pointer());
    }
    if is_it(sent.place) {
        return Some(root.place);
    }
    match (&root.data, &sent.data) {
        (Data::Map(own), Data::Map(sent)) => {
            own.iter().find_map(|(name, value)| original(value, sent.get(name)?, place))
        }
        (Data::List(own), Data::List(sent)) => {
            own.iter().zip(sent.iter()).find_map(|(own, sent)| original(own, sent, place))
        }
        _ => None,
    }
}

/// Why artifacts cannot be stored, each with its place.
pub(super) fn faults(artifacts: &[Artifact]) -> Vec<Diagnostic> {
    let mut faults: Vec<_> = artifacts.iter().filter_map(|one| one.fault.clone()).collect();
    faults.extend(orders(artifacts).err().into_iter().flatten());
    faults.sort_by_key(|fault| fault.place);
    faults
}

/// What has to be built, in the order of the artifacts. Errors: what cannot be.
fn orders(artifacts: &[Artifact]) -> Result<Vec<(usize, Order)>, Vec<Diagnostic>> {
    let mut orders = Vec::new();
    let mut wrong = Vec::new();
    for (index, artifact) in artifacts.iter().enumerate() {
        let is_built = matches!(artifact.content, Content::Code | Content::Layer);
        if !is_built || artifact.fault.is_some() {
            continue;
        }
        match Recipe::of(artifact) {
            Ok(recipe) => orders.push((
                index,
                Order { name: artifact.logical_id.clone(), source: artifact.path.clone(), recipe },
            )),
            Err(why) => {
                let place = artifact.metadata.as_ref().map_or(artifact.place, Value::pointer);
                let why = format!("`{}`: {why}", artifact.logical_id);
                let hint = "build it with `sam build`, then `stepwire deploy .aws-sam/build/template.yaml`";
                wrong.push(Diagnostic::new(place, why).hint(hint));
            }
        }
    }
    if wrong.is_empty() { Ok(orders) } else { Err(wrong) }
}

/// The bucket that artifacts are stored in.
fn bucket(running: &Running) -> String {
    format!("stepwire-deploy-{}-{}", running.node.account, running.node.region)
}

/// Builds and stores everything that the template names.
pub(super) async fn store(
    running: &Running,
    client: &Client,
    read: &Read,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Stored, Failure> {
    let deposit = Deposit { running, client, say, build: read.source.folder().join(BUILD_FOLDER) };
    if !read.artifacts.is_empty() {
        ignored(&deposit.build).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        client.make_bucket(&bucket(running)).await?;
    }
    let root = deposit.all(read.template.root(), &read.artifacts, 0).await?;
    Ok(Stored { root, is_original: read.artifacts.is_empty() })
}

/// Makes the folder of what is built, which is no part of anybody's repository.
fn ignored(folder: &Path) -> std::io::Result<()> {
    files::create_folder(folder)?;
    let path = folder.join(".gitignore");
    if path.exists() { Ok(()) } else { files::write(&path, b"*\n") }
}

/// Stores a template that is too long for a request; its URL comes back.
pub(super) async fn template(
    running: &Running,
    client: &Client,
    body: String,
) -> Result<String, Failure> {
    let bucket = bucket(running);
    client.make_bucket(&bucket).await?;
    let key = format!("{}.template", hash(body.as_bytes()));
    client.put_object(&bucket, &key, body.into_bytes()).await?;
    Ok(format!("{}/{bucket}/{key}", running.node.endpoint()))
}

struct Deposit<'a> {
    running: &'a Running,
    client: &'a Client,
    say: &'a (dyn Fn(&str) + Sync),
    build: std::path::PathBuf,
}

impl Deposit<'_> {
    /// Stores these artifacts of a template; it comes back naming where they are.
    async fn all(
        &self,
        root: &Value,
        artifacts: &[Artifact],
        depth: usize,
    ) -> Result<Value, Failure> {
        let failed = |why: String| Failure::new(Exit::Failed, why);
        let told = |wrong: &[Diagnostic]| {
            failed(wrong.first().map(ToString::to_string).unwrap_or_default())
        };
        let faults = faults(artifacts);
        if !faults.is_empty() {
            return Err(told(&faults));
        }
        let orders = orders(artifacts).map_err(|wrong| told(&wrong))?;
        let (indexes, orders): (Vec<usize>, Vec<Order>) = orders.into_iter().unzip();
        let built = builder::build(&self.build, &orders, self.say).map_err(|error| {
            let failure = failed(error.to_string());
            match error.hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        })?;
        let mut locations: Vec<Option<Location>> = vec![None; artifacts.len()];
        for (index, built) in indexes.into_iter().zip(built) {
            let content = std::fs::read(&built.path).map_err(|error| failed(error.to_string()))?;
            let name = &artifacts[index].logical_id;
            locations[index] = Some(self.keep(name, &built.hash, "zip", content).await?);
        }
        for (index, artifact) in artifacts.iter().enumerate() {
            let content = match artifact.content {
                Content::Code | Content::Layer => continue,
                Content::File => file(&artifact.path)?,
                Content::Template => Box::pin(self.nested(&artifact.path, depth + 1)).await?,
            };
            let kind = match artifact.path.extension().and_then(|kind| kind.to_str()) {
                _ if artifact.content == Content::Template => "template",
                Some(kind) => kind,
                None => "file",
            };
            let hash = hash(&content);
            locations[index] = Some(self.keep(&artifact.logical_id, &hash, kind, content).await?);
        }
        let stored: Vec<_> = artifacts.iter().zip(locations.into_iter().flatten()).collect();
        Ok(artifact::relocated(root, &stored, &self.running.node.endpoint()))
    }

    /// Another template's text, its own artifacts stored.
    async fn nested(&self, path: &Path, depth: usize) -> Result<Vec<u8>, Failure> {
        let failed = |why: String| {
            Failure::new(Exit::Rejected, format!("`{}` cannot be used: {why}", path.display()))
        };
        if depth > DEPTH_MAX {
            return Err(failed(format!("templates name templates more than {DEPTH_MAX} deep")));
        }
        let text = file(path)?;
        let text = String::from_utf8(text).map_err(|error| failed(error.to_string()))?;
        let first = |wrong: Vec<Diagnostic>| {
            failed(wrong.first().map(ToString::to_string).unwrap_or_default())
        };
        let template = Template::parse(&text).map_err(first)?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let artifacts = artifact::artifacts(template.root(), folder);
        let root = self.all(template.root(), &artifacts, depth).await?;
        Ok(root.to_json().to_text().into_bytes())
    }

    /// Stores what is not there yet.
    async fn keep(
        &self,
        name: &str,
        hash: &str,
        kind: &str,
        content: Vec<u8>,
    ) -> Result<Location, Failure> {
        let location = Location { bucket: bucket(self.running), key: format!("{hash}.{kind}") };
        if !self.client.has_object(&location.bucket, &location.key).await? {
            let bytes = content.len();
            self.client.put_object(&location.bucket, &location.key, content).await?;
            (self.say)(&format!("stored {name} ({})", size(bytes)));
        }
        Ok(location)
    }
}

fn file(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |why: String| {
        Failure::new(Exit::Failed, format!("cannot read `{}`: {why}", path.display()))
    };
    let about = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if about.len() > FILE_BYTES_MAX {
        return Err(failed(format!("it is longer than {FILE_BYTES_MAX} bytes")));
    }
    std::fs::read(path).map_err(|error| failed(error.to_string()))
}

fn hash(content: &[u8]) -> String {
    tree::hex(&Sha256::digest(content))
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1_024 => format!("{bytes} bytes"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
