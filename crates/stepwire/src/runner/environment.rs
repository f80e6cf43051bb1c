//! What a function's process finds in its environment.
//!
//! Source: AWS Lambda developer guide, "Defined runtime environment variables".

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use stepwire_core::functions::Runtime;

use super::process::Launch;
use crate::capture;

/// Variables by name. Those of the function itself go over ours, except where both have something to
/// say: `NODE_OPTIONS`, and the paths on which things are looked for.
pub(super) fn of(
    launch: &Launch<'_>,
    api: SocketAddr,
    scratch: &Path,
    stream: &str,
) -> BTreeMap<String, String> {
    let record = launch.record;
    let text = |path: &Path| path.display().to_string();
    let (code, layers) = (text(launch.code.folder()), text(launch.code.layers()));
    let scratch = text(scratch);
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: &str, value: String| found.insert(name.to_owned(), value);
    set("PATH", format!("/usr/local/bin:/usr/bin:/bin:{layers}/bin"));
    set("LD_LIBRARY_PATH", format!("/lib64:/usr/lib64:{code}:{code}/lib:{layers}/lib"));
    set("LANG", "en_US.UTF-8".to_owned());
    set("TZ", ":UTC".to_owned());
    set("HOME", scratch.clone());
    set("TMPDIR", scratch);
    set("PYTHONDONTWRITEBYTECODE", "1".to_owned());
    // What all functions can fall back to comes last.
    let modules = |name: &str| match &launch.about.modules {
        Some(folder) => format!(":{}", text(&folder.join(name))),
        None => String::new(),
    };
    match record.kind() {
        Runtime::Node => {
            let family = record.runtime.trim_start_matches("nodejs").trim_end_matches(".x");
            let places = format!(
                "{layers}/nodejs/node{family}/node_modules:{layers}/nodejs/node_modules:{code}/node_modules"
            );
            set("NODE_PATH", places + &modules("node_modules"));
        }
        Runtime::Python => {
            let places =
                format!("{layers}/python/lib/{}/site-packages:{layers}/python", record.runtime);
            set("PYTHONPATH", places + &modules("python"));
        }
        Runtime::Provided => {}
    }
    for (name, value) in [
        ("_HANDLER", record.handler.to_string()),
        ("LAMBDA_TASK_ROOT", code.clone()),
        ("LAMBDA_RUNTIME_DIR", code),
        ("LAMBDA_LAYERS_DIR", layers),
        ("AWS_REGION", launch.about.region.clone()),
        ("AWS_DEFAULT_REGION", launch.about.region.clone()),
        ("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", record.runtime)),
        ("AWS_LAMBDA_RUNTIME_API", api.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", record.name.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", record.version_text().to_string()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", record.memory_mb.to_string()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", record.log_group().to_string()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", stream.to_owned()),
    ] {
        set(name, value);
    }
    let logging = record.logging();
    if logging.json {
        set("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned());
        set("AWS_LAMBDA_LOG_LEVEL", logging.application.to_string());
    }
    for (name, value) in &record.environment {
        let ours = found.remove(&**name);
        found.insert(name.to_string(), merged(name, ours.as_deref(), value));
    }
    let Some(reach) = &launch.about.reach else { return found };
    let theirs = |name: &str| found.get(name).cloned();
    let captured = capture::environment(reach, &theirs);
    for (name, value) in captured.into_iter().chain(launch.own.iter().cloned()) {
        // What it has taken in of theirs is added to; else theirs stays.
        let adds = ["NODE_OPTIONS", "PYTHONPATH", "NO_PROXY", "no_proxy", "NODE_EXTRA_CA_CERTS"];
        if adds.contains(&name.as_str()) || !record.environment.contains_key(name.as_str()) {
            found.insert(name, value);
        }
    }
    found
}

/// A variable of which both have something to say.
fn merged(name: &str, ours: Option<&str>, theirs: &str) -> String {
    match (name, ours) {
        ("NODE_PATH" | "PYTHONPATH" | "PATH" | "LD_LIBRARY_PATH", Some(ours)) => {
            let ours = ours.split(':').filter(|place| !theirs.split(':').any(|at| at == *place));
            std::iter::once(theirs).chain(ours).collect::<Vec<_>>().join(":")
        }
        _ => theirs.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_functions_own_variables_go_first_and_ours_stay() {
        assert_eq!(merged("A", Some("1"), "2"), "2");
        assert_eq!(merged("PATH", Some("/bin:/x"), "/y:/bin"), "/y:/bin:/x");
    }
}
