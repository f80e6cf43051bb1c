//! One event after the other.

use std::sync::Arc;

use super::{Attempt, Context, End, Event, Frame, FrameId, Run, Trouble, Visit, VisitId};

impl Run {
    /// Takes in the next event.
    pub fn apply(&mut self, mut event: Event) {
        event.at = event.at.or_else(|| self.events.last().and_then(|last| last.at));
        // Some events name none before them, though there is one.
        let lone = event.previous == 0 && !event.kind.ends_with("StateEntered");
        let previous =
            if lone { self.events.last().map_or(0, |last| last.id) } else { event.previous };
        let before = self.contexts.get(&previous).copied().unwrap_or_default();
        let kind = Arc::clone(&event.kind);
        let context = if let Some(state) = kind.strip_suffix("StateEntered") {
            self.entered(&event, state, before)
        } else if kind.ends_with("StateExited") {
            self.exited(&event, before)
        } else if let Some(state) = kind.strip_suffix("StateAborted") {
            self.aborted(&event, state, before)
        } else if kind.starts_with("Execution") {
            self.execution(&event, before)
        } else if kind.starts_with("Parallel") || kind.starts_with("MapState") {
            self.round(&event, before)
        } else if kind.starts_with("MapIteration") {
            self.iteration(&event, before)
        } else {
            self.task(&event, before)
        };
        event.visit = context.visit;
        self.contexts.insert(event.id, context);
        self.events.push(event);
    }

    fn entered(&mut self, event: &Event, state: &str, before: Context) -> Context {
        let id = self.visits.len();
        let name: Arc<str> = event.text("name").unwrap_or("?").into();
        let frame = match before.visit {
            Some(container) if before.opens => self.branch(container, &name, event),
            _ => before.frame,
        };
        let last = self.frames[frame].last;
        let from = before.visit.filter(|id| self.visits[*id].frame == frame);
        let alike = |other: &VisitId| {
            self.visits[*other].name == name && self.visits[*other].frame == frame
        };
        let again = if last.is_some() { (0..id).rev().find(alike) } else { None };
        self.visits.push(Visit {
            name,
            kind: state.into(),
            frame,
            from,
            entered: event.id,
            entered_at: event.at,
            exited: None,
            ended_at: None,
            input: event.payload("input"),
            output: None,
            assigned: None,
            attempts: Vec::new(),
            end: End::None,
            again,
        });
        self.frames[frame].last = Some(id);
        Context { visit: Some(id), frame, opens: false }
    }

    /// The branch of `container`'s current round that begins with state `name`.
    fn branch(&mut self, container: VisitId, name: &str, event: &Event) -> FrameId {
        let attempt = self.visits[container].attempts.len().saturating_sub(1);
        let taken: Vec<usize> = match self.visits[container].attempts.last() {
            Some(attempt) => attempt.frames.iter().map(|frame| self.frames[*frame].index).collect(),
            None => Vec::new(),
        };
        let starts = self.branch_starts(container);
        let defined = starts.iter().enumerate();
        let defined = defined.filter(|(index, start)| **start == *name && !taken.contains(index));
        let index = defined.map(|(index, _)| index).next();
        let index =
            index.unwrap_or_else(|| (0..=taken.len()).find(|at| !taken.contains(at)).unwrap_or(0));
        self.frame(container, Frame::new(Some(container), attempt, index, false, event.at))
    }

    fn frame(&mut self, container: VisitId, frame: Frame) -> FrameId {
        let id = self.frames.len();
        self.frames.push(frame);
        if let Some(attempt) = self.visits[container].attempts.last_mut() {
            attempt.frames.push(id);
        }
        id
    }

    fn exited(&mut self, event: &Event, before: Context) -> Context {
        let name = event.text("name");
        let named = |visit: &Visit| name.is_none_or(|name| *visit.name == *name);
        let Some(id) = self.outward(before, |visit| visit.is_open() && named(visit)) else {
            return before;
        };
        let visit = &mut self.visits[id];
        visit.exited = Some(event.id);
        visit.ended_at = event.at;
        visit.output = event.payload("output");
        visit.assigned = event.details.member("assignedVariables").cloned();
        let frame = visit.frame;
        if visit.attempts.last().is_some_and(Attempt::is_failed) {
            // Caught: what was still under way inside has stopped.
            self.close_inside(id, event);
            self.forgive(id);
        }
        Context { visit: Some(id), frame, opens: false }
    }

    fn aborted(&mut self, event: &Event, state: &str, before: Context) -> Context {
        let Some(id) = self.outward(before, |visit| visit.is_open() && *visit.kind == *state)
        else {
            return before;
        };
        // What fails its container is aborted with it.
        let failed = self.visits[id].attempts.last().is_some_and(Attempt::is_failed);
        self.close(id, if failed { End::Failed } else { End::Stopped }, event);
        Context { visit: Some(id), frame: self.visits[id].frame, opens: false }
    }

    fn execution(&mut self, event: &Event, before: Context) -> Context {
        let end = match &*event.kind {
            "ExecutionStarted" => {
                self.started = event.at;
                self.input = event.payload("input");
                return Context::default();
            }
            "ExecutionRedriven" => {
                self.redrives = event
                    .number("redriveCount")
                    .and_then(|n| u32::try_from(n).ok())
                    .unwrap_or(self.redrives + 1);
                self.end = End::None;
                self.stopped = None;
                self.trouble = Trouble::default();
                self.culprit = None;
                self.frames[0].end = End::None;
                return before;
            }
            "ExecutionSucceeded" => End::Succeeded,
            "ExecutionFailed" => End::Failed,
            "ExecutionTimedOut" => End::TimedOut,
            "ExecutionAborted" => End::Stopped,
            _ => return before,
        };
        self.end = end;
        self.stopped = event.at;
        self.output = event.payload("output");
        self.trouble = trouble(event);
        self.end_frame(0, end, before.visit, event);
        before
    }

    /// A Parallel or Map begins a round, or ends one.
    fn round(&mut self, event: &Event, before: Context) -> Context {
        let (state, what) = match event.kind.split_once("State") {
            Some(("Parallel", what)) => ("Parallel", what),
            Some(("Map", what)) => ("Map", what),
            _ => return before,
        };
        let container =
            self.outward(before, |visit| *visit.kind == *state && visit.exited.is_none());
        let Some(id) = container else { return before };
        let frame = self.visits[id].frame;
        match what {
            "Started" => {
                // A round that is tried again has no event of its own that says so.
                if self.visits[id].attempts.last().is_some_and(|last| last.end == End::None) {
                    self.end_round(id, End::Failed, before.visit, event);
                }
                self.reopen(id);
                self.forgive(id);
                self.visits[id].attempts.push(Attempt {
                    scheduled: event.id,
                    scheduled_at: event.at,
                    started_at: event.at,
                    items: event.number("length"),
                    ..Attempt::default()
                });
                return Context { visit: Some(id), frame, opens: state == "Parallel" };
            }
            "Succeeded" => self.end_round(id, End::Succeeded, None, event),
            "Failed" => self.end_round(id, End::Failed, before.visit, event),
            _ => return before,
        }
        Context { visit: Some(id), frame, opens: false }
    }

    fn end_round(&mut self, id: VisitId, end: End, culprit: Option<VisitId>, event: &Event) {
        let trouble = match (trouble(event), culprit) {
            (told, Some(culprit)) if told == Trouble::default() => self.trouble_of(culprit),
            (told, _) => told,
        };
        let Some(attempt) = self.visits[id].attempts.last_mut() else { return };
        attempt.end = end;
        attempt.ended = Some(event.id);
        attempt.ended_at = event.at;
        if end == End::Failed && attempt.trouble == Trouble::default() {
            attempt.trouble = trouble;
        }
        let frames = attempt.frames.clone();
        for frame in frames {
            let is_open = self.frames[frame].end == End::None;
            let last = self.frames[frame].last;
            let holds = culprit.is_some_and(|culprit| self.is_within(culprit, frame));
            match end {
                End::Succeeded if is_open => {
                    self.frames[frame].end = End::Succeeded;
                    self.frames[frame].ended = last.and_then(|last| self.visits[last].ended_at);
                }
                End::Failed if is_open && holds => {
                    self.end_frame(frame, End::Failed, culprit, event);
                }
                End::Failed if is_open => {
                    let done = last.is_some_and(|last| self.visits[last].exited.is_some())
                        && last.is_some_and(|last| self.is_last(last));
                    let end = if done { End::Succeeded } else { End::Stopped };
                    self.end_frame(frame, end, None, event);
                }
                _ => {}
            }
        }
    }

    fn iteration(&mut self, event: &Event, before: Context) -> Context {
        let index =
            event.number("index").and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
        let name = event.text("name");
        let named =
            |visit: &Visit| *visit.kind == *"Map" && name.is_none_or(|name| *visit.name == *name);
        let Some(id) = self.outward(before, |visit| named(visit) && visit.exited.is_none()) else {
            return before;
        };
        let outside = Context { visit: Some(id), frame: self.visits[id].frame, opens: false };
        let known = self.visits[id].attempts.last().and_then(|attempt| {
            attempt.frames.iter().copied().find(|frame| self.frames[*frame].index == index)
        });
        let end = match &*event.kind {
            "MapIterationStarted" => {
                let attempt = self.visits[id].attempts.len().saturating_sub(1);
                let frame = known.unwrap_or_else(|| {
                    self.frame(id, Frame::new(Some(id), attempt, index, true, event.at))
                });
                self.frames[frame].end = End::None;
                return Context { visit: Some(id), frame, opens: false };
            }
            "MapIterationSucceeded" => End::Succeeded,
            "MapIterationFailed" => End::Failed,
            "MapIterationAborted" => End::Stopped,
            _ => return before,
        };
        let Some(frame) = known else { return outside };
        let culprit = before.visit.filter(|culprit| self.is_within(*culprit, frame));
        self.end_frame(frame, end, culprit, event);
        // What follows in the container may still have to know who failed.
        match (end, culprit) {
            (End::Failed, Some(culprit)) => Context { visit: Some(culprit), frame, opens: false },
            _ => outside,
        }
    }

    /// Everything about a Task, an evaluation or a map run.
    fn task(&mut self, event: &Event, before: Context) -> Context {
        let before_it = before.visit.filter(|id| self.visits[*id].exited.is_none());
        let named = event.text("state").filter(|_| &*event.kind == "EvaluationFailed");
        let Some(id) = named.and_then(|name| self.evaluated(name, before)).or(before_it) else {
            return before;
        };
        let id = if event.kind.ends_with("Scheduled") { self.redriven_in(id) } else { id };
        let frame = self.visits[id].frame;
        let after = Context { visit: Some(id), frame, opens: false };
        let (of, what) = match &*event.kind {
            kind if kind.starts_with("LambdaFunction") => {
                ("lambda", &kind["LambdaFunction".len()..])
            }
            kind if kind.starts_with("Activity") => ("activity", &kind["Activity".len()..]),
            kind if kind.starts_with("MapRun") => ("map", &kind["MapRun".len()..]),
            kind if kind.starts_with("Task") => ("task", &kind["Task".len()..]),
            "EvaluationFailed" => ("evaluation", "Failed"),
            _ => return before,
        };
        if what == "Scheduled" {
            self.reopen(id);
            let service = event.text("resourceType").unwrap_or(of);
            self.visits[id].attempts.push(Attempt {
                scheduled: event.id,
                scheduled_at: event.at,
                service: service.into(),
                resource: event.text("resource").unwrap_or_default().into(),
                parameters: event.payload("parameters").or_else(|| event.payload("input")),
                timeout_s: event.number("timeoutInSeconds"),
                heartbeat_s: event.number("heartbeatInSeconds"),
                ..Attempt::default()
            });
            return after;
        }
        if self.visits[id]
            .attempts
            .last()
            .is_none_or(|attempt| attempt.end != End::None && of == "evaluation")
        {
            let scheduled_at = self.visits[id].entered_at;
            let attempt = Attempt { scheduled: event.id, scheduled_at, ..Attempt::default() };
            self.visits[id].attempts.push(attempt);
        }
        if of == "map" && matches!(what, "Started" | "Redriven") {
            self.reopen(id);
        }
        let Some(attempt) = self.visits[id].attempts.last_mut() else { return after };
        match what {
            "Started" | "Redriven" if of == "map" => {
                attempt.map_run = event.text("mapRunArn").map(Into::into);
                attempt.end = End::None;
            }
            "Started" => {
                attempt.started_at = event.at;
                attempt.worker = event.text("workerName").map(Into::into);
            }
            "Submitted" => {
                attempt.submitted_at = event.at;
                attempt.submitted = event.payload("output");
            }
            "Succeeded" => {
                attempt.output = event.payload("output");
                attempt.finish(End::Succeeded, event);
            }
            "TimedOut" => attempt.finish(End::TimedOut, event),
            "Aborted" => attempt.finish(End::Stopped, event),
            // Failed, StartFailed, ScheduleFailed, SubmitFailed
            what if what.ends_with("Failed") => attempt.finish(End::Failed, event),
            _ => {}
        }
        after
    }

    /// The visit whose evaluation failed. When that is before the state does anything, the event comes
    /// after the one before the state's entry.
    fn evaluated(&self, name: &str, before: Context) -> Option<VisitId> {
        let open = (0..self.visits.len()).rev().filter(|id| {
            let visit = &self.visits[*id];
            visit.is_open() && *visit.name == *name
        });
        let open: Vec<VisitId> = open.collect();
        let here = open.iter().find(|id| self.visits[**id].frame == before.frame);
        here.or_else(|| open.first()).copied()
    }

    /// The visit that a redrive goes on with: where a container failed, the first in it that did not
    /// end well and has not gone on yet.
    fn redriven_in(&self, id: VisitId) -> VisitId {
        if !self.visits[id].is_container() {
            return id;
        }
        let ended = |inner: &VisitId| {
            let visit = &self.visits[*inner];
            visit.end != End::None && !visit.is_container() && self.holds(id, *inner)
        };
        (id + 1..self.visits.len()).find(ended).unwrap_or(id)
    }

    /// The first of the visit of `from` and the containers around it that `wanted` takes.
    fn outward(&self, from: Context, wanted: impl Fn(&Visit) -> bool) -> Option<VisitId> {
        let mut next = from.visit;
        let mut frame = from.frame;
        loop {
            if let Some(id) = next {
                if wanted(&self.visits[id]) {
                    return Some(id);
                }
                frame = self.visits[id].frame;
            }
            next = self.frames[frame].container;
            next?;
        }
    }

    /// Whether a visit happened in a frame, or in one within it.
    pub(super) fn is_within(&self, id: VisitId, frame: FrameId) -> bool {
        let mut next = self.visits[id].frame;
        loop {
            if next == frame {
                return true;
            }
            match self.frames[next].container {
                Some(container) => next = self.visits[container].frame,
                None => return false,
            }
        }
    }

    /// A frame has ended: the visit that brought it about failed, others under way were stopped.
    fn end_frame(&mut self, frame: FrameId, end: End, culprit: Option<VisitId>, event: &Event) {
        self.frames[frame].end = end;
        self.frames[frame].ended = event.at;
        if end == End::Succeeded {
            return;
        }
        for id in 0..self.visits.len() {
            if !self.visits[id].is_open() || !self.is_within(id, frame) {
                continue;
            }
            let failed = culprit == Some(id)
                || self.visits[id].attempts.last().is_some_and(Attempt::is_failed)
                || culprit.is_some_and(|culprit| self.holds(id, culprit));
            let end = if end == End::Failed && !failed { End::Stopped } else { end };
            self.close(id, end, event);
            if end == End::Failed && self.culprit.is_none() && !self.visits[id].is_container() {
                self.culprit = Some(id);
            }
        }
        if end == End::Failed && self.culprit.is_none() {
            self.culprit = culprit;
        }
    }

    /// Whether `container` holds `id`.
    fn holds(&self, container: VisitId, id: VisitId) -> bool {
        self.way_to(id).iter().any(|(outer, _)| *outer == container)
    }

    fn close(&mut self, id: VisitId, end: End, event: &Event) {
        let visit = &mut self.visits[id];
        if visit.exited.is_some() {
            return;
        }
        visit.end = match visit.attempts.last() {
            Some(attempt) if end == End::Failed && attempt.end == End::TimedOut => End::TimedOut,
            _ => end,
        };
        visit.ended_at = event.at;
        if let Some(attempt) = visit.attempts.last_mut()
            && attempt.end == End::None
        {
            attempt.end = if end == End::Succeeded { end } else { End::Stopped };
            attempt.ended_at = event.at;
        }
        let frames = visit.attempts.last().map(|attempt| attempt.frames.clone());
        for frame in frames.into_iter().flatten() {
            if self.frames[frame].end == End::None {
                self.frames[frame].end = End::Stopped;
                self.frames[frame].ended = event.at;
            }
        }
    }

    /// What is still open in a container that has been left stops.
    fn close_inside(&mut self, container: VisitId, event: &Event) {
        let inside = (container + 1..self.visits.len()).filter(|id| self.visits[*id].is_open());
        let inside: Vec<VisitId> = inside.filter(|id| self.holds(container, *id)).collect();
        inside.into_iter().for_each(|id| self.close(id, End::Stopped, event));
    }

    /// What failed inside a container that tries again, or is left by a Catch, ends nothing.
    fn forgive(&mut self, container: VisitId) {
        self.culprit = self.culprit.filter(|id| *id != container && !self.holds(container, *id));
    }

    /// A visit that had ended goes on after a redrive, and so do the containers around it.
    fn reopen(&mut self, id: VisitId) {
        let way = self.way_to(id);
        let all = way.iter().map(|(container, _)| *container).chain([id]);
        for id in all.collect::<Vec<_>>() {
            if self.visits[id].exited.is_none() {
                self.visits[id].end = End::None;
                self.visits[id].ended_at = None;
            }
        }
        for (container, frame) in way {
            self.frames[frame].end = End::None;
            self.frames[frame].ended = None;
            if let Some(attempt) = self.visits[container].attempts.last_mut() {
                attempt.end = End::None;
            }
        }
    }

    /// The error that a visit ended with; of a Fail state, as it is written there.
    pub(super) fn trouble_of(&self, id: VisitId) -> Trouble {
        if let Some(attempt) = self.visits[id].failure() {
            return attempt.trouble.clone();
        }
        let state = self.state_of(id).filter(|_| &*self.visits[id].kind == "Fail");
        let written = |name: &str| {
            let text = state?.member(name)?.as_str()?;
            (!text.starts_with("{%")).then(|| text.into())
        };
        Trouble { error: written("Error"), cause: written("Cause") }
    }

    /// Whether the definition says that nothing follows a visit; `true` when it is not known.
    fn is_last(&self, id: VisitId) -> bool {
        let state = self.state_of(id);
        state
            .is_none_or(|state| state.member("Next").is_none() && state.member("Choices").is_none())
    }
}

impl Attempt {
    fn finish(&mut self, end: End, event: &Event) {
        self.end = end;
        self.ended = Some(event.id);
        self.ended_at = event.at;
        self.trouble = trouble(event);
    }
}

fn trouble(event: &Event) -> Trouble {
    Trouble {
        error: event.text("error").map(Into::into),
        cause: event.text("cause").map(Into::into),
    }
}
