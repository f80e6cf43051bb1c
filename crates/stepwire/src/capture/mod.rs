//! What a program must be told so that its AWS SDK and its MQTT client reach a node, whichever
//! version they are.
//!
//! New SDKs follow `AWS_ENDPOINT_URL`. For those that do not, a Node.js program is given a preload
//! (`capture.cjs`) and a Python program a `sitecustomize`; [`install`] writes both, and the
//! certificates to trust, into a folder. [`environment`] is what points there.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::access_key::AccessKey;
use crate::files;

/// The preload for Node.js.
const CAPTURE_CJS: &str = include_str!("capture.cjs");
/// What Python runs before a program.
const SITECUSTOMIZE_PY: &str = include_str!("sitecustomize.py");
/// Where systems keep the authorities that they trust, as one PEM file.
const SYSTEM_ROOTS: [&str; 7] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/opt/homebrew/etc/openssl@3/cert.pem",
    "/usr/local/etc/openssl@3/cert.pem",
];
/// Longest file of authorities that is taken over, bytes.
const ROOTS_BYTES_MAX: u64 = 8 << 20;

/// What [`environment`] sets, besides `STEPWIRE_…`, whose values are nobody's secret but the key's.
pub const SECRET: &str = "AWS_SECRET_ACCESS_KEY";

/// Variables that would lead an SDK elsewhere, or make it use another key: a program that is to
/// reach a node must not have them.
const MISLEADING: [&str; 14] = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_ACCOUNT_ID_ENDPOINT_MODE",
];

/// How a node is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct Reach {
    /// The AWS API, such as `http://127.0.0.1:4566`: an address, for SDKs put a bucket's name in
    /// front of a host name.
    pub endpoint: String,
    /// The same over TLS, with MQTT over WebSocket.
    pub https: Option<SocketAddr>,
    /// MQTT over mutual TLS.
    pub mqtts: SocketAddr,
    /// AWS region.
    pub region: String,
    /// What to sign with.
    pub key: AccessKey,
    /// What [`install`] wrote.
    pub installed: Installed,
}

/// The files that programs are pointed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The folder that all of them are in.
    pub folder: PathBuf,
    /// The preload for Node.js.
    pub preload: PathBuf,
    /// A folder of Python modules.
    pub python: PathBuf,
    /// The node's own authority, PEM.
    pub authority: PathBuf,
    /// The system's authorities and the node's own, PEM; `None` where the system's are not found.
    pub bundle: Option<PathBuf>,
}

/// Writes what programs are pointed to into `folder`, where it is not there yet. `authority` is the
/// certificate of the node's authority, PEM; `theirs` tells the variables that the programs would
/// have otherwise: authorities that they name are trusted further.
pub fn install(
    folder: &Path,
    authority: &str,
    theirs: &dyn Fn(&str) -> Option<String>,
) -> io::Result<Installed> {
    let folder = std::path::absolute(folder)?;
    let python = folder.join("python");
    files::create_folder(&python)?;
    // They are no secret, and functions may run as another user.
    [&folder, &python].into_iter().try_for_each(|folder| files::readable_by_all(folder))?;
    let installed = Installed {
        preload: folder.join("capture.cjs"),
        authority: folder.join("ca.pem"),
        bundle: bundle(&folder, authority, theirs)?,
        python,
        folder,
    };
    keep(&installed.preload, CAPTURE_CJS)?;
    keep(&installed.python.join("sitecustomize.py"), SITECUSTOMIZE_PY)?;
    keep(&installed.authority, authority)?;
    Ok(installed)
}

/// All variables with which a program reaches the node of `reach`. `theirs` tells those it would
/// have otherwise: `NODE_OPTIONS`, `PYTHONPATH` and `NO_PROXY` are added to.
pub fn environment(
    reach: &Reach,
    theirs: &dyn Fn(&str) -> Option<String>,
) -> Vec<(String, String)> {
    let installed = &reach.installed;
    let path = |path: &Path| path.display().to_string();
    let mut set = vec![
        ("AWS_ENDPOINT_URL", reach.endpoint.clone()),
        ("AWS_REGION", reach.region.clone()),
        ("AWS_DEFAULT_REGION", reach.region.clone()),
        ("AWS_ACCESS_KEY_ID", reach.key.id.clone()),
        (SECRET, reach.key.secret.clone()),
        // Some operations' models put `sync-` in front of a host name that has no such sibling here.
        ("AWS_DISABLE_HOST_PREFIX_INJECTION", "true".to_owned()),
        // There is no such service to wait for.
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("STEPWIRE_ENDPOINT", reach.endpoint.clone()),
        ("STEPWIRE_MQTTS", reach.mqtts.to_string()),
        ("STEPWIRE_CA", path(&installed.authority)),
    ];
    set.extend(reach.https.map(|https| ("STEPWIRE_HTTPS", https.to_string())));
    let extra = match (&installed.bundle, theirs("NODE_EXTRA_CA_CERTS")) {
        // It holds theirs as well.
        (Some(bundle), Some(_)) => bundle,
        _ => &installed.authority,
    };
    set.push(("NODE_EXTRA_CA_CERTS", path(extra)));
    if let Some(bundle) = &installed.bundle {
        set.push(("SSL_CERT_FILE", path(bundle)));
        set.push(("AWS_CA_BUNDLE", path(bundle)));
    }
    set.push(("NODE_OPTIONS", node_options(&installed.preload, theirs("NODE_OPTIONS"))));
    let python = joined(&path(&installed.python), theirs("PYTHONPATH"), ":");
    set.push(("PYTHONPATH", python));
    let direct = "127.0.0.1,localhost,::1,.amazonaws.com";
    for name in ["NO_PROXY", "no_proxy"] {
        // Only who has a proxy needs to be told where not to use it.
        let proxied =
            ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
        if proxied.into_iter().any(|proxy| theirs(proxy).is_some()) || theirs(name).is_some() {
            set.push((name, joined(direct, theirs(name), ",")));
        }
    }
    set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Whether a program that is to reach a node must not have this variable.
pub fn misleads(name: &str) -> bool {
    MISLEADING.contains(&name) || name.starts_with("AWS_ENDPOINT_URL_")
}

/// `ours` in front of `theirs`, which may have it already.
fn joined(ours: &str, theirs: Option<String>, by: &str) -> String {
    match theirs.filter(|theirs| !theirs.is_empty()) {
        Some(theirs) if theirs.starts_with(ours) => theirs,
        Some(theirs) => format!("{ours}{by}{theirs}"),
        None => ours.to_owned(),
    }
}

/// Options of Node.js that load `preload` before what theirs load. Node.js reads them as words, of
/// which one in double quotes may have spaces, and a backslash keeps the next letter (`node --help`,
/// NODE_OPTIONS).
fn node_options(preload: &Path, theirs: Option<String>) -> String {
    let path = preload.display().to_string();
    let plain = |c: char| !c.is_whitespace() && c != '"' && c != '\\';
    let path = if path.chars().all(plain) {
        path
    } else {
        format!("\"{}\"", path.replace('\\', r"\\").replace('"', "\\\""))
    };
    joined(&format!("--require {path}"), theirs, " ")
}

/// The system's authorities, those that `theirs` names, and `authority`, in one file.
fn bundle(
    folder: &Path,
    authority: &str,
    theirs: &dyn Fn(&str) -> Option<String>,
) -> io::Result<Option<PathBuf>> {
    // A file of ours is no base for itself.
    let foreign = |name: &str| theirs(name).filter(|path| !Path::new(path).starts_with(folder));
    let named = ["SSL_CERT_FILE", "AWS_CA_BUNDLE"].into_iter().find_map(foreign);
    let roots = match &named {
        Some(path) => roots(Path::new(path)),
        None => SYSTEM_ROOTS.iter().find_map(|path| roots(Path::new(path))),
    };
    let Some(roots) = roots else { return Ok(None) };
    let extra = foreign("NODE_EXTRA_CA_CERTS");
    let more = extra.as_deref().and_then(|path| self::roots(Path::new(path))).unwrap_or_default();
    let all = format!("{}\n{}\n{}", roots.trim_end(), more.trim_end(), authority);
    let name = if named.is_some() || extra.is_some() {
        // Another user of the same node may name others.
        format!("ca-bundle-{}.pem", &crate::ca::certificate_id(all.as_bytes())[..12])
    } else {
        "ca-bundle.pem".to_owned()
    };
    let path = folder.join(name);
    keep(&path, &all)?;
    Ok(Some(path))
}

/// The authorities in a file, if it has any and is of a size that they have.
fn roots(path: &Path) -> Option<String> {
    let about = std::fs::metadata(path).ok()?;
    if !about.is_file() || about.len() > ROOTS_BYTES_MAX {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    text.contains("-----BEGIN CERTIFICATE-----").then_some(text)
}

/// Writes `content`, unless the file has it already: programs may be reading it. It is no secret,
/// and functions may run as another user.
fn keep(path: &Path, content: &str) -> io::Result<()> {
    if !matches!(files::read(path), Ok(Some(kept)) if kept == content) {
        files::write(path, content.as_bytes())?;
        files::readable_by_all(path)?;
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn reach(folder: &Path, theirs: &dyn Fn(&str) -> Option<String>) -> Reach {
        Reach {
            endpoint: "http://127.0.0.1:4566".to_owned(),
            https: None,
            mqtts: "127.0.0.1:8883".parse().unwrap(),
            region: "us-east-1".to_owned(),
            key: AccessKey { id: "AKIAX".to_owned(), secret: "s".to_owned() },
            installed: install(folder, "-----BEGIN CERTIFICATE-----\nours\n", theirs).unwrap(),
        }
    }

    fn value(set: &[(String, String)], name: &str) -> String {
        set.iter().find(|(set, _)| set == name).unwrap().1.clone()
    }

    #[test]
    fn a_program_is_told_where_the_node_is_and_what_to_load() {
        let folder = tempfile::tempdir().unwrap();
        let set = environment(&reach(folder.path(), &nothing), &nothing);
        assert_eq!(value(&set, "AWS_ENDPOINT_URL"), "http://127.0.0.1:4566");
        assert_eq!(value(&set, "STEPWIRE_MQTTS"), "127.0.0.1:8883");
        let options = value(&set, "NODE_OPTIONS");
        let preload = Path::new(options.strip_prefix("--require ").unwrap());
        assert_eq!(std::fs::read_to_string(preload).unwrap(), CAPTURE_CJS);
        assert!(Path::new(&value(&set, "PYTHONPATH")).join("sitecustomize.py").exists());
    }

    #[test]
    fn what_a_program_has_already_is_kept_behind_ours_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = |name: &str| match name {
            "NODE_OPTIONS" => Some("--max-old-space-size=100".to_owned()),
            "PYTHONPATH" => Some("/theirs".to_owned()),
            "HTTP_PROXY" => Some("http://proxy".to_owned()),
            _ => None,
        };
        let reach = reach(folder.path(), &theirs);
        let set = environment(&reach, &theirs);
        assert!(value(&set, "NODE_OPTIONS").ends_with("capture.cjs --max-old-space-size=100"));
        assert!(value(&set, "PYTHONPATH").ends_with("/python:/theirs"));
        assert!(value(&set, "NO_PROXY").starts_with("127.0.0.1,"));
        let again = |name: &str| set.iter().find(|(set, _)| set == name).map(|(_, v)| v.clone());
        assert_eq!(environment(&reach, &again), {
            let mut set = set.clone();
            // the second time NODE_EXTRA_CA_CERTS is ours already, and the bundle has it
            let bundle = reach.installed.bundle.as_ref();
            if let (Some(bundle), Some(at)) =
                (bundle, set.iter().position(|(name, _)| name == "NODE_EXTRA_CA_CERTS"))
            {
                set[at].1 = bundle.display().to_string();
            }
            set
        });
    }

    #[test]
    fn a_folder_with_a_space_is_quoted_for_node() {
        let options = node_options(Path::new("/a b/c\"d/capture.cjs"), None);
        assert_eq!(options, "--require \"/a b/c\\\"d/capture.cjs\"");
    }

    #[test]
    fn the_bundle_trusts_whom_the_program_trusted_and_the_node() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = folder.path().join("corporate.pem");
        std::fs::write(&theirs, "-----BEGIN CERTIFICATE-----\ntheirs\n").unwrap();
        let named = |name: &str| (name == "SSL_CERT_FILE").then(|| theirs.display().to_string());
        let installed = reach(&folder.path().join("capture"), &named).installed;
        let bundle = std::fs::read_to_string(installed.bundle.unwrap()).unwrap();
        assert!(bundle.contains("theirs") && bundle.contains("ours"));
    }

    #[test]
    fn endpoints_of_single_services_and_other_credentials_are_taken_away() {
        for name in ["AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN"] {
            assert!(misleads(name), "{name}");
        }
        for name in ["AWS_ENDPOINT_URL", "AWS_REGION", "PATH", "AWS_RETRY_MODE"] {
            assert!(!misleads(name), "{name}");
        }
    }
}
