//! Parallel and Map: branches begin, end and give their results.

use std::sync::Arc;

use super::evaluate::About;
use super::{Decider, runtime};
use crate::Json;
use crate::definition::{Data, Items, Map, State, StateDefinition, StateId};
use crate::execution::{Activity, Branches};
use crate::history::{Detail, Payload};
use crate::jsonata::EVALUATION;
use crate::scope::{Failure, Fault};

/// Iterations of a Map at a time when its definition sets no limit.
const ITERATIONS_MAX: u32 = 40;

impl Decider<'_, '_> {
    /// Begins the branches of a Parallel.
    pub(super) fn fork(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        branches: &[StateId],
        effective: &Json,
    ) -> Result<(), Fault> {
        let input = self.parameters(frame, definition, effective, About::default())?;
        self.check_size(frame, &input)?;
        self.record(frame, Detail::ParallelStarted(branches.len() as u32));
        for (index, start) in branches.iter().enumerate() {
            let child = self.begin(frame, index as u32);
            self.work.push_back((child, *start, Payload::Value(input.clone())));
        }
        Ok(())
    }

    pub(super) fn map(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        input: &Json,
    ) -> Result<(), Fault> {
        let State::Map(map) = &definition.state else { return Ok(()) };
        if let Some(distributed) = &map.distributed {
            return self.distribute(frame, definition, map, distributed, input);
        }
        let items = self.array_of_items(frame, definition, map, input)?;
        let count = items.as_array().map_or(0, <[Json]>::len);
        self.check_size(frame, &items)?;
        let concurrency = self.concurrency(frame, map, input)?;
        self.record(frame, Detail::MapStarted { items: Payload::Value(items), concurrency });
        if count == 0 {
            self.record(frame, Detail::MapSucceeded);
            return self.finish(frame, definition, Json::array([]));
        }
        self.iterate(frame, definition)
    }

    /// What a Map iterates over.
    pub(super) fn items(&mut self, frame: u32, map: &Map, input: &Json) -> Result<Json, Fault> {
        match &map.items {
            Some(Items::Path(path)) => self.read(frame, path, input),
            Some(Items::Template(template)) => {
                let about = About::default();
                self.evaluate(frame, input, about, |s, dice| template.array(s, dice))
            }
            None => Ok(input.clone()),
        }
    }

    /// What a Map iterates over, if it is an array.
    pub(super) fn array_of_items(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        map: &Map,
        input: &Json,
    ) -> Result<Json, Fault> {
        let items = self.items(frame, map, input)?;
        if items.as_array().is_some() {
            return Ok(items);
        }
        let cause = format!("Map state input must be an array but was: {items}");
        Err(match definition.data {
            Data::JsonPath(_) => runtime(cause),
            Data::Jsonata { .. } => Failure::new(EVALUATION, cause).into(),
        })
    }

    /// Most iterations at a time; 0: no limit of its own.
    pub(super) fn concurrency(
        &mut self,
        frame: u32,
        map: &Map,
        input: &Json,
    ) -> Result<u32, Fault> {
        let concurrency = match &map.concurrency {
            Some(seconds) => self.number(frame, seconds, input, "MaxConcurrencyPath")?,
            None => 0,
        };
        Ok(u32::try_from(concurrency).unwrap_or(u32::MAX))
    }

    /// The input of the iteration over an item: after `ItemSelector`.
    pub(super) fn selected(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        map: &Map,
        index: u32,
        item: &Json,
    ) -> Result<Json, Fault> {
        let Some(template) = &map.selector else { return Ok(item.clone()) };
        let raw = self.position(frame).map(|at| at.input.value().clone());
        let effective = self.effective(frame, definition, &raw.unwrap_or_default())?;
        let about = About { item: Some((index, item)), ..About::default() };
        self.evaluate(frame, &effective, about, |s, e| template.evaluate(s, e))
    }

    /// Begins as many iterations as may run.
    pub(super) fn iterate(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
    ) -> Result<(), Fault> {
        let State::Map(map) = &definition.state else { return Ok(()) };
        loop {
            let Some(branches) = self.branches(frame) else { return Ok(()) };
            let limit =
                if branches.concurrency == 0 { ITERATIONS_MAX } else { branches.concurrency };
            if branches.begun == branches.total || branches.running.len() as u32 >= limit {
                return Ok(());
            }
            let index = branches.begun;
            let item = branches.items.as_array().and_then(|items| items.get(index as usize));
            let item = item.cloned().unwrap_or_default();
            let input = self.selected(frame, definition, map, index, &item)?;
            self.check_size(frame, &input)?;
            let child = self.begin(frame, index);
            let name = Arc::clone(&definition.name);
            self.record(child, Detail::IterationStarted { name, index });
            self.work.push_back((child, map.start, Payload::Value(input)));
        }
    }

    fn begin(&mut self, parent: u32, index: u32) -> u32 {
        let child = self.execution.next_frame;
        self.record(child, Detail::BranchStarted { parent, index });
        child
    }

    pub(super) fn branches(&self, frame: u32) -> Option<&Branches> {
        match &self.position(frame)?.activity {
            Activity::Branches(branches) => Some(branches),
            _ => None,
        }
    }

    /// A branch of the state that `frame` is in has given its result.
    pub(super) fn branch_ended(&mut self, frame: u32, index: u32) {
        self.within(frame, |decider, definition| {
            let is_map = matches!(definition.state, State::Map(_));
            if is_map {
                let name = Arc::clone(&definition.name);
                decider.record(frame, Detail::IterationSucceeded { name, index });
            }
            let Some(branches) = decider.branches(frame) else { return Ok(()) };
            if branches.results.len() as u32 == branches.total {
                let results = Json::array(branches.results.values().cloned());
                let ended = if is_map { Detail::MapSucceeded } else { Detail::ParallelSucceeded };
                decider.record(frame, ended);
                return decider.finish(frame, definition, results);
            }
            if is_map { decider.iterate(frame, definition) } else { Ok(()) }
        });
    }
}
