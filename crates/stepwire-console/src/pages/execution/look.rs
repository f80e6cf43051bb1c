//! What of an execution is looked at: all of it is in the address.

use crate::words::encoded;

/// The view that the page's left half shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Show {
    /// The graph.
    #[default]
    Graph,
    /// States in a table.
    Table,
    /// The history.
    Events,
    /// What functions wrote.
    Logs,
}

impl Show {
    const ALL: [(Show, &'static str); 4] = [
        (Show::Graph, "graph"),
        (Show::Table, "table"),
        (Show::Events, "events"),
        (Show::Logs, "logs"),
    ];

    /// The view called `word`.
    pub fn of(word: &str) -> Option<Show> {
        Show::ALL.into_iter().find(|(_, name)| *name == word).map(|(show, _)| show)
    }

    fn word(self) -> &'static str {
        Show::ALL.into_iter().find(|(show, _)| *show == self).map_or("", |(_, name)| name)
    }
}

/// What is shown of a state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tab {
    /// How it stands.
    #[default]
    Now,
    /// Its input.
    Input,
    /// Its output and the variables that it assigned.
    Output,
    /// What of its input is different in its output.
    Changes,
    /// What it tried.
    Attempts,
    /// How it is defined.
    Definition,
}

impl Tab {
    /// All, in order.
    pub const ALL: [(Tab, &'static str); 6] = [
        (Tab::Now, "now"),
        (Tab::Input, "input"),
        (Tab::Output, "output"),
        (Tab::Changes, "changes"),
        (Tab::Attempts, "attempts"),
        (Tab::Definition, "definition"),
    ];

    /// The tab called `word`.
    pub fn of(word: &str) -> Option<Tab> {
        Tab::ALL.into_iter().find(|(_, name)| *name == word).map(|(tab, _)| tab)
    }

    fn word(self) -> &'static str {
        Tab::ALL.into_iter().find(|(tab, _)| *tab == self).map_or("", |(_, name)| name)
    }
}

/// What is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Name of a state.
    pub state: Option<String>,
    /// Which of its visits, from 1; the last when not given.
    pub visit: Option<usize>,
    /// Items of Maps, from the outermost inwards.
    pub items: Vec<usize>,
    /// What of the state.
    pub tab: Tab,
    /// How the run is shown.
    pub show: Show,
    /// The event until which the run is shown; the last when not given.
    pub at: Option<u64>,
    /// Only events that have this in them.
    pub filter: Option<String>,
    /// Which page of a list, from 1.
    pub page: Option<usize>,
    /// Whether a large graph is drawn all the same.
    pub drawn: bool,
}

impl Look {
    /// The look that a query asks for; what it does not understand is left out.
    pub fn read(query: impl Fn(&str) -> Option<String>) -> Look {
        let number = |name: &str| query(name).and_then(|text| text.parse::<usize>().ok());
        let items = query("item").unwrap_or_default();
        Look {
            state: query("state"),
            visit: number("visit").filter(|visit| *visit > 0),
            items: items.split('.').filter_map(|item| item.parse().ok()).collect(),
            tab: query("tab").and_then(|tab| Tab::of(&tab)).unwrap_or_default(),
            show: query("view").and_then(|view| Show::of(&view)).unwrap_or_default(),
            at: query("at").and_then(|at| at.parse().ok()).filter(|at| *at > 0),
            filter: query("has"),
            page: number("page").filter(|page| *page > 1),
            drawn: query("drawn").is_some(),
        }
    }

    /// The address of this look at the page at `base`.
    pub fn href(&self, base: String) -> String {
        let mut href = base;
        for (index, (name, value)) in self.members().into_iter().enumerate() {
            href.push(if index == 0 { '?' } else { '&' });
            href.extend([name, "=", &encoded(&value)]);
        }
        // An empty reference would be the page with its query as it is.
        if href.is_empty() { "?".to_owned() } else { href }
    }

    /// The members of the query.
    pub fn members(&self) -> Vec<(&'static str, String)> {
        let items: Vec<String> = self.items.iter().map(usize::to_string).collect();
        let number = |number: Option<usize>| number.map(|number| number.to_string());
        let members = [
            ("state", self.state.clone()),
            ("visit", number(self.visit)),
            ("item", (!items.is_empty()).then(|| items.join("."))),
            ("tab", (self.tab != Tab::Now).then(|| self.tab.word().to_owned())),
            ("view", (self.show != Show::Graph).then(|| self.show.word().to_owned())),
            ("at", self.at.map(|at| at.to_string())),
            ("has", self.filter.clone()),
            ("page", number(self.page)),
            ("drawn", self.drawn.then(|| "1".to_owned())),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_all_in_its_address() {
        let look = Look {
            state: Some("A & B?".to_owned()),
            visit: Some(2),
            items: vec![17, 3],
            tab: Tab::Changes,
            show: Show::Events,
            at: Some(9),
            filter: Some("x=1".to_owned()),
            page: Some(4),
            drawn: true,
        };
        let href = look.href("/executions/W/N".to_owned());
        assert_eq!(
            href,
            "/executions/W/N?state=A%20%26%20B%3F&visit=2&item=17.3&tab=changes&view=events&at=9&has=x%3D1&page=4&drawn=1"
        );
        let members = look.members();
        let read =
            |name: &str| members.iter().find(|(of, _)| *of == name).map(|(_, value)| value.clone());
        assert_eq!(Look::read(read), look);
        assert_eq!(Look::default().href("/x".to_owned()), "/x");
    }
}
