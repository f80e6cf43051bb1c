//! URLs of destinations and deliveries: which lies under which.

use std::sync::Arc;

use url::Url;

/// Longest URL, characters. Source: AWS IoT API reference, `Url`.
pub(crate) const URL_MAX: usize = 2_000;

/// A URL that requests can be sent to, in its normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address(Url);

impl Address {
    /// The address that `text` writes; else what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Address, &'static str> {
        if text.chars().count() > URL_MAX {
            return Err("it has more than 2000 characters");
        }
        let url =
            Url::parse(text).map_err(|_| "it is not a URL such as `https://example.org/in`")?;
        if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none_or(str::is_empty) {
            return Err("it must begin with `https://` and a host");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it must not have a user name or password: use a header");
        }
        if url.fragment().is_some() {
            return Err("it must not have a `#`");
        }
        Ok(Address(url))
    }

    /// Whether `other` begins with this address: the same scheme, host and port, and a path and query
    /// that begin with this one's. Source: AWS IoT developer guide, "HTTP" action, `confirmationUrl`.
    pub(crate) fn covers(&self, other: &Address) -> bool {
        let own = |url: &Url| url[url::Position::BeforePath..].to_owned();
        self.0.origin() == other.0.origin() && own(&other.0).starts_with(&own(&self.0))
    }

    /// It in its normal form.
    pub(crate) fn text(&self) -> &str {
        self.0.as_str()
    }

    /// It without its query, which may hold a secret.
    pub(crate) fn shown(&self) -> &str {
        &self.0[..url::Position::AfterPath]
    }

    /// It with one more parameter in its query.
    pub(crate) fn with(&self, name: &str, value: &str) -> Arc<str> {
        let mut url = self.0.clone();
        url.query_pairs_mut().append_pair(name, value);
        url.as_str().into()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn covers(destination: &str, url: &str) -> bool {
        Address::parse(destination).unwrap().covers(&Address::parse(url).unwrap())
    }

    #[test]
    fn an_address_covers_what_begins_with_it() {
        for (destination, url) in [
            ("https://example.org", "https://example.org/in/1?x=2"),
            ("https://example.org/", "https://EXAMPLE.org:443/in"),
            ("https://example.org/in", "https://example.org/in"),
            ("https://example.org/in", "https://example.org/inner"),
            ("https://example.org/in?code=1", "https://example.org/in?code=1&device=2"),
            ("http://127.0.0.1:8080/a/", "http://127.0.0.1:8080/a/b"),
        ] {
            assert!(covers(destination, url), "{destination} {url}");
        }
    }

    #[test]
    fn an_address_does_not_cover_another_host_or_what_only_looks_alike() {
        for (destination, url) in [
            ("https://example.org", "https://example.org.evil.test/"),
            ("https://example.org", "https://example.org:8443/"),
            ("https://example.org", "http://example.org/"),
            ("https://example.org/in", "https://example.org/in/../out"),
            ("https://example.org/in", "https://example.org/in/%2e%2e/out"),
            ("https://example.org/in", r"https://example.org/in\..\out"),
            ("https://example.org/in", "https://example.org/"),
        ] {
            assert!(!covers(destination, url), "{destination} {url}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("https://example.org/{}", "x".repeat(URL_MAX));
        for text in [
            "",
            "example.org",
            "ftp://example.org/",
            "https://",
            "https://u:p@example.org/",
            "https://u@example.org/",
            "https://example.org/#a",
            &long,
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_parameter_is_added_to_a_query_or_begins_one() {
        let with = |url: &str| Address::parse(url).unwrap().with("t", "a b");
        assert_eq!(&*with("https://example.org"), "https://example.org/?t=a+b");
        assert_eq!(&*with("https://example.org/in?code=1"), "https://example.org/in?code=1&t=a+b");
        let secret = Address::parse("https://example.org/in?code=1").unwrap();
        assert_eq!(secret.shown(), "https://example.org/in");
    }
}
