//! Lists in pages, in order of names.

use std::sync::Arc;

use stepwire_asl::Json;

use super::error::internal;
use crate::error::ApiError;
use crate::params::Params;
use crate::read::{Range, Read};
use crate::record::{Corrupt, KeyBuilder, Space};

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most this many.
    pub limit: usize,
    /// After this name.
    pub after: Option<Arc<str>>,
}

/// The page that a request asks for; `limit` and `token` are the members that say so.
pub(super) fn page(p: &Params<'_>, limit: &str, token: &str) -> Result<Page, ApiError> {
    let limit = match p.optional_int(limit)? {
        None => 25,
        Some(limit @ 1..=250) => limit as usize,
        Some(_) => return Err(p.invalid(limit, "it must be 1 to 250")),
    };
    Ok(Page { limit, after: p.optional_text(token)?.map(Arc::from) })
}

/// Items of a page, and after which name the next begins.
pub(super) type Listed = (Vec<Json>, Option<Arc<str>>);

/// One entry as an item with its name, or `None` when it is not wanted.
pub(super) type Item<'a> =
    dyn FnMut(&[u8], &[u8]) -> Result<Option<(Arc<str>, Json)>, Corrupt> + 'a;

/// Records read at once where some are not wanted.
const RUN: usize = 1_000;
/// Most records that a request looks at: a page with few that are wanted ends early.
const LOOKED_AT_MAX: usize = 10_000;

/// A page of the records of a space, in order of their names.
pub(super) fn listed(
    read: &dyn Read,
    space: Space,
    page: &Page,
    item: &mut Item<'_>,
) -> Result<Listed, ApiError> {
    listed_under(read, &KeyBuilder::new(space), page, item)
}

/// A page of the records whose keys are `prefix` and a name, in order of these.
pub(super) fn listed_under(
    read: &dyn Read,
    prefix: &KeyBuilder,
    page: &Page,
    item: &mut Item<'_>,
) -> Result<Listed, ApiError> {
    let mut range = Range::prefix(&prefix.clone().build());
    if let Some(after) = page.after.as_ref().filter(|after| !after.contains('\0')) {
        range.from = prefix.clone().text(after).bytes(&[0]).build();
    }
    let skip = prefix.clone().build().len();
    let mut items = Vec::new();
    let mut last = None;
    let mut looked_at = 0;
    loop {
        let limit = if looked_at == 0 { page.limit + 1 } else { RUN };
        let run = read.range(&range.clone().limit(limit));
        let Some((end, _)) = run.last() else { return Ok((items, None)) };
        range.from = [end.as_slice(), &[0]].concat();
        for (key, value) in &run {
            let Some((name, json)) = item(key, value).map_err(internal)? else { continue };
            if items.len() == page.limit {
                return Ok((items, last));
            }
            items.push(json);
            last = Some(name);
        }
        if run.len() < limit {
            return Ok((items, None));
        }
        looked_at += run.len();
        if looked_at >= LOOKED_AT_MAX {
            return Ok((items, name_in(end, skip)));
        }
    }
}

/// Names that keys have after `base`: at most `limit` of those that begin with `prefix` and come
/// after `after`.
pub(super) fn names_below(
    read: &dyn Read,
    base: &KeyBuilder,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Vec<Arc<str>> {
    let mut range = Range::prefix(&base.clone().bytes(prefix.as_bytes()).build()).limit(limit);
    if let Some(after) = after.filter(|after| !after.contains('\0')) {
        range.from = range.from.max(base.clone().text(after).bytes(&[0]).build());
    }
    let skip = base.clone().build().len();
    read.range(&range).iter().filter_map(|(key, _)| name_in(key, skip)).collect()
}

/// The name that a key ends in after `skip` bytes.
fn name_in(key: &[u8], skip: usize) -> Option<Arc<str>> {
    std::str::from_utf8(key.get(skip..)?.strip_suffix(&[0])?).ok().map(Arc::from)
}

/// The last name of a path of names.
pub(super) fn last_text(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, last)| last)
}

/// The answer of a list operation.
pub(super) fn page_of(name: &'static str, token: &'static str, (items, next): Listed) -> Json {
    let mut members = vec![(name, Json::array(items))];
    members.extend(next.map(|next| (token, Json::String(next))));
    Json::object(members)
}

/// The text parts of a key after its space byte and `skip` more bytes; `None` for a key that has
/// not exactly `N`.
pub(super) fn key_texts<const N: usize>(key: &[u8], skip: usize) -> Option<[Arc<str>; N]> {
    let text = std::str::from_utf8(key.get(1 + skip..)?).ok()?;
    let parts: Vec<Arc<str>> = text.strip_suffix('\0')?.split('\0').map(Arc::from).collect();
    parts.try_into().ok()
}
