//! What a folder needs before it can be an archive.

use std::path::Path;

use stepwire_cloudformation::Value;

use super::artifact::{Artifact, Content};

/// How a folder is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// It is taken as it is.
    Plain,
    /// `npm` installs what `package.json` names, into this folder of the archive.
    Npm {
        /// Empty for the archive itself.
        within: &'static str,
    },
    /// `pip` installs what `requirements.txt` names, into this folder of the archive.
    Pip {
        /// Empty for the archive itself.
        within: &'static str,
    },
    /// `make build-ID` fills the archive.
    Make {
        /// What is made.
        target: String,
    },
    /// `npm` installs, then `esbuild` bundles.
    Esbuild(Esbuild),
}

/// Options of `esbuild`, as arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Esbuild {
    /// Files to begin with.
    pub entry_points: Vec<String>,
    /// Further arguments.
    pub arguments: Vec<String>,
}

impl Recipe {
    /// What the artifact's folder needs. The error names what is not supported.
    pub fn of(artifact: &Artifact) -> Result<Recipe, String> {
        let layer = artifact.content == Content::Layer;
        let folder = &artifact.path;
        if !folder.is_dir() {
            return Ok(Recipe::Plain);
        }
        let metadata = artifact.metadata.as_ref();
        let method = metadata.and_then(|metadata| metadata.member("BuildMethod"));
        let Some(method) = method else {
            let runtime = artifact.runtime.as_deref().unwrap_or_default();
            // Layers are built when their metadata says so.
            return Ok(if layer { Recipe::Plain } else { by_files(folder, runtime, ("", "")) });
        };
        let method = method.as_str().ok_or("`BuildMethod` is no text")?;
        let of = |method: &str, within| by_files(folder, method, within);
        match method {
            "makefile" => Ok(Recipe::Make { target: format!("build-{}", artifact.logical_id) }),
            "esbuild" if !layer => {
                let properties = metadata.and_then(|metadata| metadata.member("BuildProperties"));
                Esbuild::of(properties, artifact).map(Recipe::Esbuild)
            }
            _ if method.starts_with("nodejs") || method.starts_with("python") => {
                Ok(of(method, if layer { ("nodejs", "python") } else { ("", "") }))
            }
            _ => Err(format!("the `BuildMethod` `{method}` is not supported")),
        }
    }

    /// What it is called, with its options: part of what decides whether to build again.
    pub fn name(&self) -> String {
        format!("{self:?}")
    }
}

/// What the files of a folder ask for; `within` is where npm and pip install.
fn by_files(folder: &Path, runtime: &str, within: (&'static str, &'static str)) -> Recipe {
    let has = |name: &str| folder.join(name).is_file();
    let is = |family: &str| runtime.is_empty() || runtime.starts_with(family);
    if is("nodejs") && has("package.json") && has_dependencies(&folder.join("package.json")) {
        Recipe::Npm { within: within.0 }
    } else if is("python") && has("requirements.txt") {
        Recipe::Pip { within: within.1 }
    } else {
        Recipe::Plain
    }
}

/// Whether a `package.json` names packages to install. One that cannot be read is for npm to refuse.
fn has_dependencies(path: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(path) else { return true };
    let Ok(package) = serde_json::from_str::<serde_json::Value>(&text) else { return true };
    ["dependencies", "optionalDependencies"].iter().any(|section| {
        package.get(section).and_then(|all| all.as_object()).is_some_and(|all| !all.is_empty())
    })
}

impl Esbuild {
    fn of(properties: Option<&Value>, artifact: &Artifact) -> Result<Esbuild, String> {
        let mut made = Esbuild { entry_points: Vec::new(), arguments: Vec::new() };
        let mut format = "cjs".to_owned();
        let mut target = "es2020".to_owned();
        for (name, value) in properties.and_then(Value::as_map).into_iter().flatten() {
            let wrong = || format!("`BuildProperties.{name}` has a value that is not supported");
            let text = || value.text().map(|text| text.to_string()).ok_or_else(wrong);
            let truth = || value.as_bool().ok_or_else(wrong);
            let texts = || {
                let items = value.as_list().ok_or_else(wrong)?.iter();
                let items: Option<Vec<_>> =
                    items.map(|item| item.as_str().map(str::to_owned)).collect();
                items.ok_or_else(wrong)
            };
            match &**name {
                "EntryPoints" => made.entry_points = texts()?,
                "Format" => format = text()?,
                "Target" => target = text()?,
                "Minify" if truth()? => made.arguments.push("--minify".to_owned()),
                "Sourcemap" if truth()? => made.arguments.push("--sourcemap".to_owned()),
                "KeepNames" if truth()? => made.arguments.push("--keep-names".to_owned()),
                "Minify" | "Sourcemap" | "KeepNames" => {}
                "External" => {
                    made.arguments.extend(texts()?.iter().map(|name| format!("--external:{name}")));
                }
                "MainFields" => made.arguments.push(format!("--main-fields={}", text()?)),
                "Loader" | "OutExtension" => {
                    let option = if &**name == "Loader" { "loader" } else { "out-extension" };
                    let all = texts()?;
                    made.arguments.extend(all.iter().map(|item| format!("--{option}:{item}")));
                }
                _ => return Err(format!("`BuildProperties.{name}` is not supported")),
            }
        }
        if made.entry_points.is_empty() {
            let mut found = ["app.ts", "app.js", "index.ts", "index.js"].into_iter();
            let found = found.find(|name| artifact.path.join(name).is_file());
            let found = found.ok_or("`BuildProperties.EntryPoints` is missing")?;
            made.entry_points.push(found.to_owned());
        }
        made.arguments.push(format!("--format={format}"));
        made.arguments.push(format!("--target={target}"));
        Ok(made)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::artifact::artifacts;
    use super::*;

    fn recipe(
        files: &[(&str, &str)],
        kind: &str,
        metadata: &[(&str, Value)],
    ) -> Result<Recipe, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("f")).unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join("f").join(name), content).unwrap();
        }
        let property = if kind.ends_with("LayerVersion") { "ContentUri" } else { "CodeUri" };
        let resource = Value::map([
            ("Type", Value::string(kind)),
            ("Properties", Value::map([(property, Value::string("f"))])),
            ("Metadata", Value::map(metadata.to_vec())),
        ]);
        let root = Value::map([("Resources", Value::map([("F", resource)]))]);
        Recipe::of(&artifacts(&root, folder.path())[0])
    }

    const FUNCTION: &str = "AWS::Serverless::Function";
    const LAYER: &str = "AWS::Serverless::LayerVersion";

    #[test]
    fn a_folder_tells_by_its_files_what_it_needs() {
        let with = ("package.json", r#"{"dependencies":{"uuid":"8"}}"#);
        let without = ("package.json", r#"{"type":"module"}"#);
        let npm = Recipe::Npm { within: "" };
        assert_eq!(recipe(&[with], FUNCTION, &[]).unwrap(), npm);
        assert_eq!(recipe(&[without], FUNCTION, &[]).unwrap(), Recipe::Plain);
        let pip = Recipe::Pip { within: "" };
        assert_eq!(recipe(&[("requirements.txt", "boto3")], FUNCTION, &[]).unwrap(), pip);
        assert_eq!(recipe(&[("bootstrap", "")], FUNCTION, &[]).unwrap(), Recipe::Plain);
    }

    #[test]
    fn a_layer_is_built_when_its_metadata_says_so() {
        let with = ("package.json", r#"{"dependencies":{"uuid":"8"}}"#);
        assert_eq!(recipe(&[with], LAYER, &[]).unwrap(), Recipe::Plain);
        let method = [("BuildMethod", Value::string("nodejs18.x"))];
        assert_eq!(recipe(&[with], LAYER, &method).unwrap(), Recipe::Npm { within: "nodejs" });
    }

    #[test]
    fn a_method_that_is_not_known_is_refused_by_name() {
        let method = [("BuildMethod", Value::string("rust-cargolambda"))];
        let why = recipe(&[], FUNCTION, &method).unwrap_err();
        assert_eq!(why, "the `BuildMethod` `rust-cargolambda` is not supported");
        let properties = Value::map([("Splitting", Value::string("x"))]);
        let esbuild = [("BuildMethod", Value::string("esbuild")), ("BuildProperties", properties)];
        assert!(recipe(&[("app.ts", "")], FUNCTION, &esbuild).unwrap_err().contains("Splitting"));
    }
}
