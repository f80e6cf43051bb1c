//! Digests of text, in hexadecimal.

use ::md5::Digest;

use super::{Call, Found};
use crate::hex::hex;

pub(super) fn md2(call: &Call<'_>) -> Found {
    digest::<::md2::Md2>(call)
}

pub(super) fn md5(call: &Call<'_>) -> Found {
    digest::<::md5::Md5>(call)
}

pub(super) fn sha1(call: &Call<'_>) -> Found {
    digest::<::sha1::Sha1>(call)
}

pub(super) fn sha224(call: &Call<'_>) -> Found {
    digest::<sha2::Sha224>(call)
}

pub(super) fn sha256(call: &Call<'_>) -> Found {
    digest::<sha2::Sha256>(call)
}

pub(super) fn sha384(call: &Call<'_>) -> Found {
    digest::<sha2::Sha384>(call)
}

pub(super) fn sha512(call: &Call<'_>) -> Found {
    digest::<sha2::Sha512>(call)
}

fn digest<D: Digest>(call: &Call<'_>) -> Found {
    Some(hex(&D::digest(call.text(0)?.as_bytes())).into())
}
