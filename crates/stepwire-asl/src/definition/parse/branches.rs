//! States with branches: Parallel and Map.

use super::fields::Node;
use super::state::OneState;
use crate::definition::{Items, Map, QueryLanguage, State};

const BRANCH: &[&str] = &["Comment", "StartAt", "States"];
const PROCESSOR: &[&str] = &["Comment", "StartAt", "States", "ProcessorConfig"];

impl OneState<'_> {
    pub(super) fn parallel(&mut self) -> Option<State> {
        self.parser.required(self.node, &["Branches"]);
        let branches = self.parser.array(self.node, "Branches")?;
        if branches.is_empty() {
            self.parser.fail("Value cannot be empty", format!("{}/Branches", self.node.at));
        }
        let mut starts = Vec::new();
        for (number, branch) in branches.iter().enumerate() {
            let at = format!("{}/Branches[{number}]", self.node.at);
            let Some(members) = branch.as_object() else {
                self.parser.fail("Expected value of type Object", at);
                continue;
            };
            let node = Node { members, at: &at };
            self.parser.only(node, BRANCH);
            starts.extend(self.parser.flow(node, self.depth + 1));
        }
        Some(State::Parallel { branches: starts })
    }

    pub(super) fn map(&mut self) -> Option<State> {
        let node = self.node;
        self.parser.at_most_one(node, &["ItemProcessor", "Iterator"]);
        self.parser.at_most_one(node, &["ItemSelector", "Parameters"]);
        let written = |name: &&str| node.members.contains_key(*name);
        let selector = ["ItemSelector", "Parameters"].into_iter().find(written);
        let selector = selector.and_then(|name| self.parser.template(node, name));
        let items = self.items();
        let concurrency = self.parser.seconds(node, "MaxConcurrency", 0);
        let Some(name) = ["ItemProcessor", "Iterator"].into_iter().find(written) else {
            self.parser.required(node, &["ItemProcessor"]);
            return None;
        };
        let members = self.parser.object(node, name)?;
        let at = format!("{}/{name}", node.at);
        let processor = Node { members, at: &at };
        self.parser.only(processor, PROCESSOR);
        let distributed = self.distributed(processor);
        let start = self.parser.flow(processor, self.depth + 1);
        let start = start?;
        Some(State::Map(Box::new(Map { items, start, selector, concurrency, distributed })))
    }

    fn items(&mut self) -> Option<Items> {
        if self.parser.language == QueryLanguage::JsonPath {
            return self.parser.path(self.node, "ItemsPath").map(Items::Path);
        }
        let template = self.parser.template(self.node, "Items")?;
        if !template.may_be_array() {
            let at = format!("{}/Items", self.node.at);
            self.parser.fail("Expected value of type Array or JSONata expression", at);
        }
        Some(Items::Template(template))
    }
}
