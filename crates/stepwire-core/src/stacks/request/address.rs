//! What the address of a template names.

use super::Source;
use crate::error::ApiError;
use crate::stacks::validation;

/// The object that an address names, whatever its host: `bucket.host/key`, or `host/bucket/key`.
pub(in crate::stacks) fn object(url: &str) -> Result<Source, ApiError> {
    let wrong = || validation("TemplateURL must be a supported URL.");
    let rest = match url.split_once("://") {
        Some(("http" | "https", rest)) => rest,
        Some(("s3", rest)) => {
            let (bucket, key) = rest.split_once('/').ok_or_else(wrong)?;
            return Ok(Source::Object { bucket: bucket.into(), key: key.into() });
        }
        _ => return Err(wrong()),
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_once('/').ok_or_else(wrong)?;
    let host = host.split(':').next().unwrap_or_default();
    let path = percent_decoded(path);
    let in_host = ["s3.", "s3-", "localhost"].iter().find_map(|marker| {
        let at = host.find(&format!(".{marker}")).or_else(|| {
            let bare = *marker == "localhost" && host.ends_with(".localhost");
            bare.then(|| host.len() - ".localhost".len())
        })?;
        Some(&host[..at])
    });
    match in_host {
        Some(bucket) if !path.is_empty() => {
            Ok(Source::Object { bucket: bucket.into(), key: path.into() })
        }
        _ => {
            let (bucket, key) = path.split_once('/').ok_or_else(wrong)?;
            Ok(Source::Object { bucket: bucket.into(), key: key.into() })
        }
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let hex = more.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_found_whatever_host_its_address_names() {
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
            let found = Source::Object { bucket: "b".into(), key: "k/x.template".into() };
            assert_eq!(object(url), Ok(found), "{url}");
        }
        for url in ["b/k", "ftp://h/b/k", "https://host", "https://host/b"] {
            assert!(object(url).is_err(), "{url}");
        }
    }
}
