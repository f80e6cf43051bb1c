//! Tables: which there are.

use maud::{Markup, html};

use crate::frame::{Crumb, Page, Section};
use crate::link::link;
use crate::region::Parts;
use crate::words::{bytes, count, segment};

/// What the page shows.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Tables in order of their names.
    pub tables: Vec<Table>,
    /// The last name of this page, when more follow.
    pub next: Option<String>,
}

/// A table in a row.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Name.
    pub name: String,
    /// Its key attributes and their types.
    pub keys: Vec<(String, String)>,
    /// Names of its indexes.
    pub indexes: Vec<String>,
    /// The attribute by which items expire.
    pub expiry: Option<String>,
    /// Items.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Draws it.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let list = parts.region("tables", list(view));
    let main = html! {
        div.head { h1 { "Tables" } }
        section.card aria-label="Tables" { (list) }
    };
    let crumbs = vec![Crumb::here("Tables")];
    Page { title: "Tables".to_owned(), section: Section::Tables, crumbs, main, parts }
}

fn list(view: &View) -> Markup {
    html! {
        @if view.tables.is_empty() {
            div.empty { b { "No table yet" } "Workflows and rules keep what they have to remember in DynamoDB tables: " code { "aws dynamodb create-table" } "." }
        } @else {
            div.scroll tabindex="0" role="group" aria-label="Tables" data-scroll="tables" {
                table.tb {
                    thead { tr { th { "Name" } th { "Key" } th.num { "Items" } th.num { "Size" } th { "Indexes" } th { "Expire by" } } }
                    tbody { @for table in &view.tables { (row(table)) } }
                }
            }
        }
        @if let Some(next) = &view.next { p.pad { a.btn href=(link("/tables", &[("after", next)])) { "Next" } } }
    }
}

fn row(table: &Table) -> Markup {
    let href = format!("/tables/{}", segment(&table.name));
    html! {
        tr data-href=(href) {
            td.name title=(table.name) { a href=(href) { (table.name) } }
            td.mono { (keys(&table.keys)) }
            td.num { (count(table.items)) }
            td.num { (bytes(table.bytes)) }
            td.wrap { (table.indexes.join(", ")) @if table.indexes.is_empty() { span.vdim { "–" } } }
            td.mono { @match &table.expiry { Some(attribute) => (attribute), None => span.vdim { "–" } } }
        }
    }
}

/// Key attributes and their types: `id S, at N`.
pub(super) fn keys(keys: &[(String, String)]) -> Markup {
    html! {
        @for (at, (name, kind)) in keys.iter().enumerate() {
            @if at > 0 { ", " }
            (name) " " span.vdim { (kind) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_told_by_its_key() {
        let keys = [("id", "S"), ("at", "N")].map(|(name, kind)| (name.into(), kind.into()));
        let table = Table { name: "T".to_owned(), keys: keys.into(), ..Table::default() };
        let drawn = page(&View { tables: vec![table], next: Some("T".to_owned()) }).main.0;
        assert!(drawn.contains("href=\"/tables/T\"") && drawn.contains("/tables?after=T"));
        assert!(page(&View::default()).main.0.contains("No table yet"));
    }
}
