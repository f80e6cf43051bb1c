//! What the stack is called and what its parameters are: options, then `samconfig.toml`.

use std::collections::{BTreeMap, BTreeSet};

use super::super::failure::{Exit, Failure};
use super::Deploy;
use super::source::Source;

/// Longest name of a stack (AWS).
const NAME_MAX: usize = 128;

/// What was settled before the template is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    /// Name of the stack.
    pub(super) stack_name: String,
    /// Parameters given.
    pub(super) parameters: BTreeMap<String, String>,
}

impl Settings {
    /// By the options, `samconfig.toml` beside the template, and the folder's name.
    pub(super) fn of(source: &Source, asked: &Deploy) -> Result<Settings, Failure> {
        let path = source.folder().join("samconfig.toml");
        let file = match std::fs::read_to_string(&path) {
            Ok(text) => SamConfig::read(&text).map_err(|why| {
                Failure::new(Exit::Rejected, format!("`{}` cannot be used: {why}", path.display()))
            })?,
            Err(_) => SamConfig::default(),
        };
        let named = asked.stack_name.clone().or(file.stack_name);
        let stack_name = named.unwrap_or_else(|| of_folder(source));
        if !is_name(&stack_name) {
            let why = format!("`{stack_name}` is no name for a stack");
            return Err(Failure::new(Exit::Usage, why)
                .hint("it begins with a letter and has letters, digits and `-`: `--stack-name`"));
        }
        let mut given = BTreeSet::new();
        if let Some((name, _)) = asked.params.iter().find(|(name, _)| !given.insert(name)) {
            let why = format!("`--param {name}` is given twice");
            return Err(Failure::new(Exit::Usage, why));
        }
        let mut parameters = file.parameters;
        parameters.extend(asked.params.iter().cloned());
        Ok(Settings { stack_name, parameters })
    }
}

/// What is taken of `samconfig.toml`.
#[derive(Debug, Default, PartialEq, Eq)]
struct SamConfig {
    stack_name: Option<String>,
    parameters: BTreeMap<String, String>,
}

impl SamConfig {
    /// The environment `default`: parameters of `deploy`, and those of all commands.
    fn read(text: &str) -> Result<SamConfig, String> {
        let root: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
        let of = |command: &str| {
            root.get("default")?.get(command)?.get("parameters")?.as_table().cloned()
        };
        let sections = [of("global"), of("deploy")];
        let mut made = SamConfig::default();
        for section in sections.into_iter().flatten() {
            if let Some(name) = section.get("stack_name").and_then(toml::Value::as_str) {
                made.stack_name = Some(name.to_owned());
            }
            if let Some(overrides) = section.get("parameter_overrides") {
                made.parameters.extend(overridden(overrides)?);
            }
        }
        Ok(made)
    }
}

/// `parameter_overrides` in any of its forms: a text, a list of texts, a table.
fn overridden(value: &toml::Value) -> Result<Vec<(String, String)>, String> {
    let wrong = || "`parameter_overrides` is not understood".to_owned();
    match value {
        toml::Value::String(text) => {
            words(text).iter().map(|word| pair(word).ok_or_else(wrong)).collect()
        }
        toml::Value::Array(items) => {
            items.iter().map(|item| item.as_str().and_then(pair).ok_or_else(wrong)).collect()
        }
        toml::Value::Table(table) => {
            let texts = table.iter().map(|(name, value)| {
                let text = match value {
                    toml::Value::String(text) => text.clone(),
                    toml::Value::Integer(number) => number.to_string(),
                    toml::Value::Float(number) => number.to_string(),
                    toml::Value::Boolean(truth) => truth.to_string(),
                    _ => return Err(wrong()),
                };
                Ok((name.clone(), text))
            });
            texts.collect()
        }
        _ => Err(wrong()),
    }
}

fn pair(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    Some((name.trim_matches('"').to_owned(), value.replace("\\\"", "\"")))
}

/// `A=1 B="2 3"` in words: a space within double quotes belongs to the word.
fn words(text: &str) -> Vec<String> {
    let (mut all, mut word, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for letter in text.chars() {
        if letter.is_whitespace() && !quoted {
            if !word.is_empty() {
                all.push(std::mem::take(&mut word));
            }
            continue;
        }
        if letter == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = letter == '\\' && !escaped;
        word.push(letter);
    }
    if !word.is_empty() {
        all.push(word);
    }
    all
}

/// The folder's name as far as it can be a stack's.
fn of_folder(source: &Source) -> String {
    let folder = source.folder();
    // A template that was built is its source's.
    let folder = folder.strip_suffix(".aws-sam/build").unwrap_or(folder);
    let folder =
        std::path::absolute(if folder.as_os_str().is_empty() { ".".as_ref() } else { folder });
    let name = folder
        .ok()
        .and_then(|folder| Some(folder.components().next_back()?.as_os_str().to_owned()));
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.chars().map(plain).take(NAME_MAX).collect();
    let name = name.trim_matches(|c: char| c == '-' || c.is_ascii_digit());
    if name.is_empty() { "stepwire".to_owned() } else { name.to_owned() }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= NAME_MAX
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

trait StripSuffix {
    fn strip_suffix(&self, end: &str) -> Option<&std::path::Path>;
}

impl StripSuffix for std::path::Path {
    /// The path before `end`, if it ends so.
    fn strip_suffix(&self, end: &str) -> Option<&std::path::Path> {
        if !self.ends_with(end) {
            return None;
        }
        self.ancestors().nth(std::path::Path::new(end).components().count())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn samconfig_gives_name_and_parameters_in_every_form_it_has() {
        for overrides in [r#""A=1 B=\"2 3\"""#, r#"["A=1", "B=2 3"]"#, r#"{ A = "1", B = "2 3" }"#]
        {
            let text = format!(
                "version = 0.1\n[default.global.parameters]\nstack_name = \"s\"\n\
                 [default.deploy.parameters]\nparameter_overrides = {overrides}\n"
            );
            let read = SamConfig::read(&text).unwrap();
            assert_eq!(read.stack_name.as_deref(), Some("s"));
            let expected = [("A", "1"), ("B", "2 3")].map(|(a, b)| (a.to_owned(), b.to_owned()));
            assert_eq!(read.parameters, BTreeMap::from(expected), "{overrides}");
        }
        assert!(SamConfig::read("[default").is_err());
        assert!(SamConfig::read("[default.deploy.parameters]\nparameter_overrides = 1").is_err());
    }

    #[test]
    fn a_folder_gives_its_name_as_far_as_a_stack_can_have_it() {
        let named = |folder: &str| {
            let path = std::path::Path::new(folder).join("template.yaml");
            of_folder(&Source { path, name: String::new(), text: String::new() })
        };
        assert_eq!(named("/x/iot_config.sample"), "iot-config-sample");
        assert_eq!(named("/x/3-things"), "things");
        assert_eq!(named("/x/app/.aws-sam/build"), "app");
        assert_eq!(named("/x/---"), "stepwire");
        assert!(is_name(&named(".")));
    }
}
