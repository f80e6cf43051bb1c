//! Which addresses a workflow's request may reach: public ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use stepwire_asl::Failure;

use super::{runtime, socket};

/// Refuses a URL that is not `https` or whose host is an address that is not public. Names are
/// checked when they are resolved, by [`PublicOnly`].
pub(super) fn check(url: &Url) -> Result<(), Failure> {
    let Some(host) = url.host_str() else {
        return Err(runtime("the URL names no host"));
    };
    // URLs write an IPv6 address in brackets, and every way to write IPv4 as four decimals.
    let address = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    if let Some(why) = address.and_then(refusal) {
        return Err(socket(refused(host, why)));
    }
    if url.scheme() != "https" {
        return Err(runtime(
            "the URL must start with `https://` (`--http-allow HOST:PORT` lifts this for one host)",
        ));
    }
    Ok(())
}

/// Resolves names as the system does and keeps the public addresses only.
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(public(name.as_str(), found.collect())?)
        })
    }
}

/// Those of `found` that are public; an error when there is none.
fn public(name: &str, found: Vec<SocketAddr>) -> Result<Addrs, String> {
    let (refused_ones, public): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| refusal(address.ip()).is_some());
    match refused_ones.first().and_then(|address| refusal(address.ip())) {
        Some(why) if public.is_empty() => Err(refused(name, why)),
        _ => Ok(Box::new(public.into_iter())),
    }
}

fn refused(host: &str, why: &str) -> String {
    format!(
        "`{host}` is not a public address ({why}); `--http-allow HOST:PORT` lifts this for one host"
    )
}

/// Why `address` is not public, or `None` when it is.
/// Source: IANA IPv4 and IPv6 Special-Purpose Address Registries.
fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refusal_v4(address),
        IpAddr::V6(address) => refusal_v6(address),
    }
}

fn refusal_v4(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        [0, ..] => "this network",
        [127, ..] => "loopback",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "private",
        [100, 64..=127, ..] => "shared by a carrier",
        [169, 254, ..] => "link-local",
        [198, 18 | 19, ..] => "for benchmarks",
        [224..=239, ..] => "multicast",
        [192, 0, 0 | 2, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [192, 88, 99, _]
        | [240..=255, ..] => "reserved",
        _ => return None,
    })
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    let v4_at = |index: usize| {
        let [a, b] = segments[index].to_be_bytes();
        let [c, d] = segments[index + 1].to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("this network"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("loopback"),
        // An IPv4 address in another coat is judged as the IPv4 address.
        [0, 0, 0, 0, 0, 0xffff | 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => refusal_v4(v4_at(6)),
        [0x2002, ..] => refusal_v4(v4_at(1)),
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("reserved"),
        [0xfc00..=0xfdff, ..] => Some("private"),
        [0xfe80..=0xfebf, ..] => Some("link-local"),
        [0xff00..=0xffff, ..] => Some("multicast"),
        [0x2000..=0x3fff, ..] => None,
        _ => Some("reserved"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_public_are_refused() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.0.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.0.1",
            "169.254.169.254",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "100::1",
        ] {
            assert!(refusal(address.parse().unwrap()).is_some(), "{address}");
        }
    }

    #[test]
    fn public_addresses_pass() {
        for address in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1"] {
            assert_eq!(refusal(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn a_name_with_a_public_and_a_private_address_reaches_the_public_one_only() {
        let found = vec!["10.0.0.1:0".parse().unwrap(), "8.8.8.8:0".parse().unwrap()];
        let kept: Vec<_> = public("x", found).unwrap().collect();
        assert_eq!(kept, ["8.8.8.8:0".parse().unwrap()]);
        assert!(public("x", vec!["10.0.0.1:0".parse().unwrap()]).is_err());
    }

    #[test]
    fn plain_http_is_refused_for_public_hosts() {
        assert!(check(&"http://example.org/".parse().unwrap()).is_err());
        assert_eq!(check(&"https://example.org/".parse().unwrap()), Ok(()));
    }
}
