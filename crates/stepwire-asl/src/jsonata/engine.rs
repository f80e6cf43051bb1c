//! What a JSONata library does for us.

use super::Refused;
use crate::scope::Scope;
use crate::{Entropy, Json};

/// A compiled program of a JSONata library: compiled once per definition, shared by threads, run
/// with nothing but what it is given.
pub(super) trait Engine: Sized + Send + Sync {
    /// The program that `source` writes, or why Step Functions would not take it.
    fn compile(source: &str) -> Result<Self, Refused>;

    /// What it makes of `scope`; `None` for undefined. Draws from `dice` alone and reads the time
    /// from `scope`; ends in bounded time and memory whatever it is.
    fn run(&self, scope: &Scope<'_>, dice: &mut Entropy) -> Result<Option<Json>, Stopped>;
}

/// Why a program gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It failed, or went over a bound, which has no code.
    Thrown {
        /// JSONata's code, such as `T1006`.
        code: Option<String>,
        message: String,
    },
    /// What it made is larger than any payload.
    TooLarge,
}

impl Stopped {
    /// It held too much at once.
    pub(super) fn memory() -> Stopped {
        Stopped::bound(
            "Expression evaluation memory limit exceeded: Check for excessive memory usage",
        )
    }

    /// It called itself too deeply.
    pub(super) fn depth() -> Stopped {
        Stopped::bound(
            "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive",
        )
    }

    /// It took too many steps.
    pub(super) fn steps() -> Stopped {
        Stopped::bound("Expression evaluation timeout: Check for infinite loop")
    }

    fn bound(message: &str) -> Stopped {
        Stopped::Thrown { code: None, message: message.to_owned() }
    }
}
