//! What the address of an object names.

use std::sync::Arc;

/// Bucket and name of the object that an address names, whatever its host: `bucket.host/key`,
/// `host/bucket/key`, `s3://bucket/key`. `None`: it names none.
pub(crate) fn named_by(url: &str) -> Option<(Arc<str>, Arc<str>)> {
    let rest = match url.split_once("://")? {
        ("http" | "https", rest) => rest,
        ("s3", rest) => {
            let (bucket, key) = rest.split_once('/')?;
            return Some((bucket.into(), key.into()));
        }
        _ => return None,
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_once('/')?;
    let host = host.split(':').next().unwrap_or_default();
    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let in_host = ["s3.", "s3-", "localhost"].iter().find_map(|marker| {
        let at = host.find(&format!(".{marker}")).or_else(|| {
            let bare = *marker == "localhost" && host.ends_with(".localhost");
            bare.then(|| host.len() - ".localhost".len())
        })?;
        Some(&host[..at])
    });
    match in_host {
        Some(bucket) if !path.is_empty() => Some((bucket.into(), path.into())),
        _ => path.split_once('/').map(|(bucket, key)| (bucket.into(), key.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_found_whatever_host_its_address_names() {
        for url in [
            "http://127.0.0.1:4566/b/k/x.template",
            "https://s3.amazonaws.com/b/k/x.template",
            "https://s3.us-east-1.amazonaws.com/b/k/x.template?versionId=1",
            "https://b.s3.eu-west-1.amazonaws.com/k/x.template",
            "http://b.localhost:4566/k/x.template",
            "http://b.s3.localhost:4566/k/x.template",
            "http://example.org/b/k%2Fx.template",
            "s3://b/k/x.template",
        ] {
            let found = ("b".into(), "k/x.template".into());
            assert_eq!(named_by(url), Some(found), "{url}");
        }
        for url in ["b/k", "ftp://h/b/k", "https://host", "https://host/b"] {
            assert_eq!(named_by(url), None, "{url}");
        }
    }
}
