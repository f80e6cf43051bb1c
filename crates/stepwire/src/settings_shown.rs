//! How a node is configured, for people: every option with its value, secrets left out.

use std::fmt::Display;
use std::path::PathBuf;

use stepwire_core::Quotas;
use stepwire_core::message::Profile;

use crate::config::{Config, HostPort, Listener};
use crate::mqtt_limits::MqttLimits;

/// An option of `stepwire serve` and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Such as `--http`, or `--quota rules-max`.
    pub(crate) option: String,
    /// As text; `–` for none.
    pub(crate) value: String,
    /// Whether it is another than usual.
    pub(crate) is_set: bool,
}

/// Every option but for the data folder and the listeners' addresses, in the order of the reference.
pub(crate) fn shown(config: &Config) -> Vec<Shown> {
    let usual = lines(&Config::default());
    let each = lines(config).into_iter().zip(usual).map(|((option, value), (_, usual))| Shown {
        option,
        is_set: value != usual,
        value,
    });
    each.collect()
}

fn lines(config: &Config) -> Vec<(String, String)> {
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let file = |path: &Option<PathBuf>| some(path.as_ref().map(|path| path.display().to_string()));
    let folders = |of: &std::collections::BTreeMap<String, PathBuf>| {
        list(of.iter().map(|(name, path)| format!("{name}={}", path.display())))
    };
    let profiles = config.profiles.iter().map(|(listener, profile)| {
        let profile = match profile {
            Profile::Standard => "standard",
            Profile::Aws => "aws",
        };
        format!("{}={profile}", name_of(*listener))
    });
    let hosts = config.http_allow.iter().map(|HostPort { host, port }| format!("{host}:{port}"));
    let user = config.confinement.user.map(|(user, group)| format!("{user}:{group}"));
    let mut lines = vec![
        ("--allow-anonymous", yes(config.allow_anonymous)),
        ("--check-signatures", yes(config.check_signatures)),
        ("--profile", list(profiles)),
        ("--keep-alive-max", config.keep_alive_s_max.to_string()),
        ("--name", list(config.names.iter().cloned())),
        ("--http-allow", list(hosts)),
        ("--secrets", file(&config.secrets)),
        ("--mock-config", file(&config.mock_config)),
        ("--items-folder", folders(&config.items_folders)),
        ("--code-folder", folders(&config.code_folders)),
        ("--function-processes", some(config.function_processes)),
        ("--function-modules", file(&config.function_modules)),
        ("--function-user", some(user)),
        ("--function-landlock", yes(config.confinement.landlock)),
        ("--recorded-messages", config.recorded.messages_max.to_string()),
        ("--recorded-bytes", config.recorded.bytes_max.to_string()),
    ]
    .into_iter()
    .map(|(option, value)| (option.to_owned(), value))
    .collect::<Vec<_>>();
    let quotas = Quotas::ALL.iter();
    lines.extend(
        quotas.map(|quota| {
            (format!("--quota {}", quota.key), quota.value(&config.quotas).to_string())
        }),
    );
    let limits = MqttLimits::ALL.iter();
    lines.extend(limits.map(|limit| {
        (format!("--mqtt-limit {}", limit.key), limit.value(&config.mqtt_limits).to_string())
    }));
    lines
}

fn name_of(listener: Listener) -> &'static str {
    let found = Listener::ALL.iter().find(|(_, it)| *it == listener);
    found.map_or("", |(name, _)| name)
}

fn some(value: Option<impl Display>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

fn list(values: impl Iterator<Item = String>) -> String {
    let values: Vec<_> = values.collect();
    if values.is_empty() { "–".to_owned() } else { values.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_set() {
        let config = Config { check_signatures: true, ..Config::default() };
        let shown = shown(&config);
        let set: Vec<_> = shown.iter().filter(|shown| shown.is_set).collect();
        assert_eq!(set.len(), 1, "{set:?}");
        assert_eq!((&*set[0].option, &*set[0].value), ("--check-signatures", "yes"));
        assert!(shown.iter().any(|it| it.option == "--quota rules-max" && it.value == "100000"));
    }
}
