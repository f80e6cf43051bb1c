//! One table: its items, a form that finds them, one item, and forms that change it.

use maud::{Markup, html};
use stepwire_asl::{Json, Timestamp};

use super::tables::keys;
use crate::frame::{Crumb, Page, Section};
use crate::json::indented;
use crate::link::link;
use crate::payload;
use crate::region::Parts;
use crate::words::{bytes, count, date, segment};

/// What the page shows.
#[derive(Debug, Clone)]
pub struct View {
    /// Name.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// When it was made.
    pub created: Timestamp,
    /// Its key attributes and their types.
    pub keys: Vec<(String, String)>,
    /// Its indexes.
    pub indexes: Vec<Index>,
    /// The attribute by which items expire.
    pub expiry: Option<String>,
    /// Items.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is looked for.
    pub search: Search,
    /// What was found, or why nothing can be.
    pub found: Result<Found, String>,
    /// The item that is looked at.
    pub chosen: Option<Chosen>,
    /// An item is being written: its DynamoDB JSON.
    pub draft: Option<String>,
}

impl Default for View {
    fn default() -> View {
        View {
            name: String::new(),
            arn: String::new(),
            created: Timestamp::default(),
            keys: Vec::new(),
            indexes: Vec::new(),
            expiry: None,
            items: 0,
            bytes: 0,
            search: Search::default(),
            found: Ok(Found::default()),
            chosen: None,
            draft: None,
        }
    }
}

/// An index.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// Name.
    pub name: String,
    /// `global` or `local`.
    pub kind: &'static str,
    /// Its key attributes and their types.
    pub keys: Vec<(String, String)>,
    /// `ALL`, `KEYS_ONLY` or `INCLUDE`.
    pub projection: String,
}

/// What is looked for: a partition and a part of it, or all items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// An index; empty for the table itself.
    pub index: String,
    /// Value of the partition key; empty for all items.
    pub partition: String,
    /// How the sort key is compared; one of [`OPERATORS`], or empty.
    pub operator: String,
    /// With what.
    pub sort: String,
    /// The other end of `between`.
    pub to: String,
    /// From the end.
    pub descending: bool,
}

/// How a sort key can be compared.
pub const OPERATORS: [&str; 7] = ["=", "<", "<=", ">", ">=", "begins_with", "between"];

/// Items that were found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Names of the attributes that are shown.
    pub columns: Vec<String>,
    /// The items.
    pub items: Vec<Item>,
    /// The key that the next page begins after, as DynamoDB JSON.
    pub next: Option<String>,
}

/// An item in a row.
#[derive(Debug, Clone, Default)]
pub struct Item {
    /// Its key, as DynamoDB JSON.
    pub key: String,
    /// A value for each column, if the item has one.
    pub cells: Vec<Option<Cell>>,
}

/// A value of an item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// As text.
    pub text: String,
    /// The execution that it names, as ARN or task token.
    pub execution: Option<String>,
}

/// An item that is looked at.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// Its key, as DynamoDB JSON.
    pub key: String,
    /// The item as DynamoDB JSON.
    pub item: Json,
    /// The same as plain JSON.
    pub plain: Json,
    /// Names of attributes that name an execution, and its ARN.
    pub executions: Vec<(String, String)>,
    /// Somebody wants to change it.
    pub editing: bool,
    /// Somebody wants to delete it.
    pub deleting: bool,
}

/// Draws it.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let numbers = parts.region("numbers", numbers(view));
    let items = parts.region("items", items(view));
    let main = html! {
        div.head {
            div { h1 { (view.name) } (numbers) }
            div.acts { a.btn href=(link(&here(view), &[("new", "yes")])) { "New item" } }
        }
        @if let Some(chosen) = &view.chosen { (chosen_item(view, chosen)) }
        @if let Some(draft) = &view.draft { (new_item(view, draft)) }
        (finder(view))
        section.card aria-labelledby="items-title" { h2 #items-title { "Items" } (items) }
        (schema(view))
    };
    let crumbs = vec![Crumb::to("Tables", "/tables"), Crumb::here(&view.name)];
    Page { title: view.name.clone(), section: Section::Tables, crumbs, main, parts }
}

fn here(view: &View) -> String {
    format!("/tables/{}", segment(&view.name))
}

/// The page with what is looked for, and `more`.
fn searched(view: &View, more: &[(&str, &str)]) -> String {
    let Search { index, partition, operator, sort, to, descending } = &view.search;
    let mut query: Vec<(&str, &str)> = vec![
        ("index", index.as_str()),
        ("partition", partition.as_str()),
        ("operator", operator.as_str()),
        ("sort", sort.as_str()),
        ("to", to.as_str()),
        ("order", if *descending { "descending" } else { "" }),
    ];
    query.extend(more);
    link(&here(view), &query)
}

fn numbers(view: &View) -> Markup {
    html! {
        div.facts {
            span { b { (count(view.items)) } @if view.items == 1 { " item" } @else { " items" } }
            span { b { (bytes(view.bytes)) } }
            span { "key " span.mono { (keys(&view.keys)) } }
            @if let Some(attribute) = &view.expiry { span { "items expire by " span.mono { (attribute) } } }
        }
    }
}

fn finder(view: &View) -> Markup {
    let search = &view.search;
    html! {
        form.filters method="get" action=(here(view)) {
            @if !view.indexes.is_empty() {
                label for="index" { "In" }
                select #index name="index" {
                    option value="" { "the table" }
                    @for index in &view.indexes { option value=(index.name) selected[index.name == search.index] { (index.name) } }
                }
            }
            label for="partition" { "Partition key" }
            input #partition.mono name="partition" value=(search.partition) placeholder="all items" autocomplete="off";
            label for="operator" { "sort key" }
            select #operator name="operator" {
                option value="" { "any" }
                @for operator in OPERATORS { option value=(operator) selected[operator == search.operator] { (operator) } }
            }
            input.mono name="sort" value=(search.sort) aria-label="Sort key" autocomplete="off";
            input.mono name="to" value=(search.to) aria-label="Sort key, to" placeholder="to" size="10" autocomplete="off";
            label { input type="checkbox" name="order" value="descending" checked[search.descending]; " from the end" }
            button.btn.p { "Find" }
            @if *search != Search::default() { a href=(here(view)) { "all items" } }
        }
    }
}

fn items(view: &View) -> Markup {
    html! {
        @match &view.found {
            Err(why) => { p.pad { span.off-red role="alert" { (why) } } },
            Ok(found) if found.items.is_empty() => { div.empty { b { "No item" } @if view.search != Search::default() { "Nothing has this key." } } },
            Ok(found) => {
                div.scroll tabindex="0" role="group" aria-label="Items" data-scroll="items" {
                    table.tb {
                        thead { tr { @for name in &found.columns { th.mono { (name) } } } }
                        tbody { @for item in &found.items { (row(view, item)) } }
                    }
                }
                @if let Some(next) = &found.next { p.pad { a.btn href=(searched(view, &[("after", next)])) { "Next" } } }
            },
        }
    }
}

fn row(view: &View, item: &Item) -> Markup {
    let href = searched(view, &[("item", &item.key)]);
    html! {
        tr data-href=(href) {
            @for (at, cell) in item.cells.iter().enumerate() {
                td.mono.cut {
                    @match cell {
                        None => { span.vdim { "–" } },
                        Some(cell) if at == 0 => { a href=(href) { (shown(&cell.text)) } },
                        Some(cell) => {
                            (shown(&cell.text))
                            @if let Some(href) = cell.execution.as_deref().and_then(crate::link::execution) { " " a href=(href) { "execution" } }
                        },
                    }
                }
            }
        }
    }
}

fn shown(text: &str) -> String {
    if text.is_empty() { "(empty)".to_owned() } else { payload::cut(text, 60) }
}

fn chosen_item(view: &View, chosen: &Chosen) -> Markup {
    let close = searched(view, &[]);
    let own = |more: (&str, &str)| searched(view, &[("item", &chosen.key), more]);
    html! {
        section.card aria-labelledby="item-title" {
            h2 #item-title {
                "Item"
                span.r {
                    a.btn.sm href=(own(("edit", "yes"))) { "Edit" }
                    a.btn.sm.d href=(own(("delete", "yes"))) { "Delete…" }
                    a.btn.sm href=(close) { "Close" }
                }
            }
            div.pad.stack {
                @if chosen.deleting {
                    form.bad.row method="post" action="/-/console/item-delete" {
                        input type="hidden" name="back" value=(close);
                        input type="hidden" name="table" value=(view.name);
                        input type="hidden" name="key" value=(chosen.key);
                        span { "Delete this item?" } span.gap {}
                        button.btn.d { "Delete" }
                        a.btn href=(own(("", ""))) { "Keep" }
                    }
                }
                @for (attribute, arn) in &chosen.executions {
                    @if let Some(href) = crate::link::execution(arn) {
                        p { span.mono { (attribute) } " names the execution " a href=(href) { (arn.rsplit(':').next().unwrap_or_default()) } }
                    }
                }
                @if chosen.editing { (editor(view, &indented(&chosen.item), Some(&chosen.key))) }
                @else {
                    div.halves {
                        div { h3 { "JSON" } (payload::pretty(&chosen.plain)) }
                        div { h3 { "DynamoDB JSON" } (payload::pretty(&chosen.item)) }
                    }
                }
            }
        }
    }
}

fn new_item(view: &View, draft: &str) -> Markup {
    html! {
        section.card aria-labelledby="new-title" {
            h2 #new-title { "New item" }
            div.pad { (editor(view, draft, None)) }
        }
    }
}

/// A form for an item; `replaced` is the key of the one that it replaces.
fn editor(view: &View, draft: &str, replaced: Option<&str>) -> Markup {
    html! {
        form.stack method="post" action="/-/console/item-put" {
            input type="hidden" name="back" value=(searched(view, &[]));
            input type="hidden" name="table" value=(view.name);
            @if let Some(key) = replaced { input type="hidden" name="replaced" value=(key); }
            div.fld { label for="item" { "DynamoDB JSON" } textarea #item name="item" rows="12" spellcheck="false" { (draft) } }
            div.row {
                span.dim { @if replaced.is_some() { "The whole item is replaced." } @else { "Refused if there is an item of this key." } }
                span.gap {}
                button.btn.p { @if replaced.is_some() { "Replace item" } @else { "Put item" } }
                a.btn href=(searched(view, &[])) { "Cancel" }
            }
        }
    }
}

fn schema(view: &View) -> Markup {
    html! {
        section.card aria-labelledby="schema-title" {
            h2 #schema-title { "Table" }
            dl.pad.wide {
                dt { "ARN" } dd.mono.any { (view.arn) }
                dt { "Made" } dd { (date(view.created)) }
                @for index in &view.indexes {
                    dt { (index.kind) " index" }
                    dd { b { (index.name) } " on " span.mono { (keys(&index.keys)) } ", " (index.projection) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        let cell = |text: &str, execution: Option<&str>| {
            Some(Cell { text: text.to_owned(), execution: execution.map(str::to_owned) })
        };
        let arn = "arn:aws:states:r:a:execution:W:N";
        let item = Item {
            key: r#"{"id":{"S":"a"}}"#.to_owned(),
            cells: vec![cell("a", None), cell("token", Some(arn)), None],
        };
        let columns = ["id", "token", "more"].map(str::to_owned).into();
        View {
            name: "T".to_owned(),
            found: Ok(Found { columns, items: vec![item], next: Some("{}".to_owned()) }),
            search: Search { partition: "p q".to_owned(), ..Search::default() },
            ..View::default()
        }
    }

    #[test]
    fn what_was_found_keeps_what_was_looked_for() {
        let drawn = page(&view()).main.0;
        assert!(drawn.contains("/tables/T?partition=p%20q&amp;item=%7B"), "{drawn}");
        assert!(drawn.contains("/tables/T?partition=p%20q&amp;after=%7B%7D"));
        assert!(drawn.contains("href=\"/executions/W/N\""));
    }

    #[test]
    fn an_item_is_deleted_only_when_that_is_confirmed() {
        let item = Json::object([("id", Json::object([("S", Json::from("<u>"))]))]);
        let chosen = Chosen {
            key: "{}".to_owned(),
            plain: item.clone(),
            item,
            executions: Vec::new(),
            editing: false,
            deleting: false,
        };
        let view = View { chosen: Some(chosen.clone()), ..view() };
        assert!(!page(&view).main.0.contains("item-delete"));
        let chosen = Some(Chosen { deleting: true, ..chosen });
        let drawn = page(&View { chosen, ..view }).main.0;
        assert!(drawn.contains("action=\"/-/console/item-delete\"") && !drawn.contains("<u>"));
    }

    #[test]
    fn why_nothing_was_found_is_told() {
        let view = View { found: Err("no such key".to_owned()), ..view() };
        assert!(page(&view).main.0.contains("no such key"));
    }
}
