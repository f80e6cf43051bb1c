//! `stepwire env`: what AWS tools must know to talk to a node.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::failure::{Exit, Failure};
use super::print;
use crate::access_key::AccessKey;
use crate::config::DATA_FOLDER;
use crate::node_error::NodeError;
use crate::node_file::{NodeFile, reachable};

/// Prints the exports for AWS tools: endpoint, region, keys and certificate authority.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  eval \"$(stepwire env)\" && aws stepfunctions list-state-machines
  stepwire env --data /var/lib/stepwire > stepwire.env")]
pub(super) struct Env {
    /// Data folder of the node
    #[arg(long, value_name = "DIR", default_value = DATA_FOLDER)]
    data: PathBuf,
}

impl Env {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let unreadable = |error| Failure::from(NodeError::data(&self.data, error));
        let node = NodeFile::read(&self.data).map_err(unreadable)?;
        let node = node.ok_or_else(|| not_running(&self.data))?;
        let address = reachable(node.http);
        if TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_err() {
            return Err(not_running(&self.data));
        }
        let key = AccessKey::read(&self.data).map_err(unreadable)?;
        let folder = std::path::absolute(&self.data).map_err(unreadable)?;
        print(exports(&node, key.as_ref(), &folder.join("ca.pem")).trim_end());
        Ok(())
    }
}

fn not_running(folder: &Path) -> Failure {
    Failure::new(
        Exit::NoServer,
        format!("no node is running on data folder `{}`", folder.display()),
    )
    .hint("start one with `stepwire serve`, or name its folder with `--data DIR`")
}

fn exports(node: &NodeFile, key: Option<&AccessKey>, ca: &Path) -> String {
    let ca = ca.display().to_string();
    let (id, secret) = key.map_or(("stepwire", "stepwire"), |key| (&key.id, &key.secret));
    [
        ("AWS_ENDPOINT_URL", node.endpoint().as_str()),
        ("AWS_REGION", &node.region),
        ("AWS_DEFAULT_REGION", &node.region),
        ("AWS_ACCESS_KEY_ID", id),
        ("AWS_SECRET_ACCESS_KEY", secret),
        // Some operations' models put `sync-` in front of a host name that has no such sibling here.
        ("AWS_DISABLE_HOST_PREFIX_INJECTION", "true"),
        ("STEPWIRE_CA", &ca),
        ("NODE_EXTRA_CA_CERTS", &ca),
    ]
    .map(|(name, value)| format!("export {name}={}\n", quoted(value)))
    .concat()
}

/// `value` as one word of a POSIX shell.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/:._-+@=".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_exports_name_endpoint_region_keys_and_authority() {
        let node = NodeFile {
            version: "0.1.0".to_owned(),
            pid: 1,
            http: "127.0.0.1:4566".parse().unwrap(),
            https: None,
            mqtts: "127.0.0.1:8883".parse().unwrap(),
            mqtt: None,
            region: "eu-central-1".to_owned(),
            account: "000000000000".to_owned(),
        };
        let key = AccessKey { id: "AKIAX".to_owned(), secret: "s/+".to_owned() };
        assert_eq!(
            exports(&node, Some(&key), Path::new("/home/a b/ca.pem")),
            "export AWS_ENDPOINT_URL=http://127.0.0.1:4566\n\
             export AWS_REGION=eu-central-1\n\
             export AWS_DEFAULT_REGION=eu-central-1\n\
             export AWS_ACCESS_KEY_ID=AKIAX\n\
             export AWS_SECRET_ACCESS_KEY=s/+\n\
             export AWS_DISABLE_HOST_PREFIX_INJECTION=true\n\
             export STEPWIRE_CA='/home/a b/ca.pem'\n\
             export NODE_EXTRA_CA_CERTS='/home/a b/ca.pem'\n"
        );
    }

    #[test]
    fn a_folder_name_cannot_break_out_of_its_quotes() {
        assert_eq!(quoted("it's; rm -rf"), r"'it'\''s; rm -rf'");
        assert_eq!(quoted(""), "''");
    }
}
