//! States with branches: Parallel and Map.

use super::fields::Node;
use super::state::OneState;
use crate::Json;
use crate::definition::{Map, State};

const BRANCH: &[&str] = &["Comment", "StartAt", "States"];
const PROCESSOR: &[&str] = &["Comment", "StartAt", "States", "ProcessorConfig"];
/// Members of a Map state that a distributed one alone may have.
pub(super) const DISTRIBUTED: &[&str] = &[
    "ItemReader",
    "ItemBatcher",
    "ResultWriter",
    "Label",
    "ToleratedFailureCount",
    "ToleratedFailureCountPath",
    "ToleratedFailurePercentage",
    "ToleratedFailurePercentagePath",
];

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
        self.parser.at_most_one(self.node, &["ItemProcessor", "Iterator"]);
        self.parser.at_most_one(self.node, &["ItemSelector", "Parameters"]);
        let written = |name: &&str| self.node.members.contains_key(*name);
        let Some(name) = ["ItemProcessor", "Iterator"].into_iter().find(written) else {
            self.parser.required(self.node, &["ItemProcessor"]);
            return None;
        };
        let members = self.parser.object(self.node, name)?;
        let at = format!("{}/{name}", self.node.at);
        let node = Node { members, at: &at };
        self.parser.only(node, PROCESSOR);
        let distributed = self.processor_config(node);
        let start = self.parser.flow(node, self.depth + 1);
        let selector = ["ItemSelector", "Parameters"].into_iter().find(written);
        let selector = selector.and_then(|name| self.parser.template(self.node, name));
        Some(State::Map(Box::new(Map {
            items: self.parser.path(self.node, "ItemsPath"),
            selector,
            concurrency: self.parser.seconds(self.node, "MaxConcurrency", 0),
            start: start?,
            distributed: distributed.and_then(|express| self.distributed(express)),
        })))
    }

    /// Whether the iterations are executions of their own, and then whether Express ones.
    fn processor_config(&mut self, node: Node<'_>) -> Option<bool> {
        let members = self.parser.object(node, "ProcessorConfig")?;
        let at = format!("{}/ProcessorConfig", node.at);
        let config = Node { members, at: &at };
        self.parser.only(config, &["Mode", "ExecutionType"]);
        match members.get("Mode").map(Json::as_str) {
            None | Some(Some("INLINE")) => None,
            Some(Some("DISTRIBUTED")) => {
                Some(self.parser.text(config, "ExecutionType") == Some("EXPRESS"))
            }
            Some(_) => {
                self.parser.fail("Value is not one of [INLINE, DISTRIBUTED]", format!("{at}/Mode"));
                None
            }
        }
    }
}
