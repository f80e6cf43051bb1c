//! `Fn::Cidr`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `count` blocks with `bits` host bits each, cut from the beginning of `block`; why not when that
/// cannot be.
pub(crate) fn cut(block: &str, count: u64, bits: u32) -> Result<Vec<String>, String> {
    let malformed = || format!("`{block}` is not an address block such as 10.0.0.0/16");
    let (address, length) = block.split_once('/').ok_or_else(malformed)?;
    let address: IpAddr = address.parse().map_err(|_| malformed())?;
    let length: u32 = length.parse().map_err(|_| malformed())?;
    let (width, start) = match address {
        IpAddr::V4(address) => (32, u128::from(u32::from(address))),
        IpAddr::V6(address) => (128, u128::from(address)),
    };
    if length > width || bits > width || !(1..=256).contains(&count) {
        return Err("it takes a block, a number of 1 to 256, and host bits".to_owned());
    }
    let host = width - length;
    let fits = bits <= host && (host - bits >= 9 || count <= 1 << (host - bits));
    if !fits {
        return Err(format!("{count} blocks with {bits} host bits do not fit into {block}"));
    }
    let mask = if host == 128 { 0 } else { (u128::MAX >> host) << host };
    let start = start & mask;
    let blocks = (0..u128::from(count)).map(|index| {
        let offset = if bits >= 128 { 0 } else { index << bits };
        let at = start.wrapping_add(offset);
        let address = if width == 32 {
            IpAddr::V4(Ipv4Addr::from(at as u32))
        } else {
            IpAddr::V6(Ipv6Addr::from(at))
        };
        format!("{address}/{}", width - bits)
    });
    Ok(blocks.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_cut_one_after_another() {
        let blocks = cut("10.0.0.0/16", 3, 8).expect("fits");
        assert_eq!(blocks, ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]);
        assert_eq!(
            cut("2001:db8::/56", 2, 64).expect("fits"),
            ["2001:db8::/64", "2001:db8:0:1::/64"]
        );
        assert!(cut("10.0.0.0/24", 3, 7).is_err());
        assert!(cut("::/0", 256, 128).is_err());
    }
}
