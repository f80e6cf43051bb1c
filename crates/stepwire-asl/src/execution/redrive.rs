//! Redriving: an execution that failed, timed out or was stopped goes on from where it ended.
//!
//! Nothing of it is stored apart: an execution that ended keeps its branches as they stood, and so
//! does a state whose branches failed. Both follow from the history.

use super::{Activity, Execution, Status};
use crate::history::HistoryEvent;

impl Execution {
    /// How often it has been redriven, and when last.
    pub fn redrives(&self) -> (u32, Option<crate::Timestamp>) {
        (self.redrives, self.redriven)
    }

    /// Runs again, every branch in the state in which it ended.
    pub(super) fn revive_all(&mut self, event: &HistoryEvent, count: u32) {
        self.status = Status::Running;
        self.stopped = None;
        (self.redrives, self.redriven) = (count, Some(event.at));
        self.revive(0, event);
    }

    fn revive(&mut self, frame: u32, event: &HistoryEvent) {
        let Some(branch) = self.frames.get_mut(&frame) else { return };
        branch.last = event.id;
        let Some(position) = &mut branch.at else { return };
        position.retries.clear();
        position.entered_at = event.at;
        let halted = position.halted.take();
        let mut branches = match std::mem::replace(&mut position.activity, Activity::Deciding) {
            Activity::Branches(branches) => branches,
            Activity::MapRun(run) => {
                position.failed_run = Some(run);
                return;
            }
            _ => match halted {
                Some(branches) => *branches,
                None => return,
            },
        };
        let halted = std::mem::take(&mut branches.halted);
        let first = self.next_frame;
        self.next_frame += halted.len() as u32;
        let revived = halted.into_iter().zip(first..).map(|((index, mut branch), child)| {
            branch.parent = Some((frame, index));
            branches.running.insert(index, child);
            (child, branch)
        });
        let revived: Vec<_> = revived.collect();
        let children: Vec<u32> = branches.running.values().copied().collect();
        position.activity = Activity::Branches(branches);
        self.frames.extend(revived);
        for child in children {
            self.revive(child, event);
        }
    }
}
