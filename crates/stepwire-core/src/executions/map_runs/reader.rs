//! Item readers.

use stepwire_asl::history::Trouble;

use super::record::{Ending, Phase, Spec};
use crate::executions::Executions;
use crate::executions::run::Ran;
use crate::read::{Read, Reads};
use crate::record::Corrupt;
use crate::settings::Settings;

/// `$$.Map.Item.Source`
pub(super) fn source(_spec: &Spec) -> String {
    "STATE_DATA".to_owned()
}

impl Executions {
    /// Reads what [`Executions::read_items`] will want.
    pub(super) fn touch_reader(&self, _number: u64, _read: &dyn Read, _settings: &Settings) {}

    /// Reads some more items.
    pub(super) fn read_items(
        &mut self,
        number: u64,
        _reads: &Reads,
        _settings: &Settings,
        ran: &mut Ran,
    ) -> Result<(), Corrupt> {
        let trouble = Trouble {
            error: Some("States.ItemReaderFailed".into()),
            cause: Some("no such object".into()),
        };
        self.change(number, ran, |p| p.phase = Phase::Stopping(Ending::Failed(trouble)));
        Ok(())
    }
}
