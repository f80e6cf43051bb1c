//! What a stack, a resource or a change set is at.

use serde::{Deserialize, Serialize};

/// The status of a stack or of a resource. Stored: new ones go last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "AWS's names")]
pub enum Status {
    ReviewInProgress,
    CreateInProgress,
    CreateFailed,
    CreateComplete,
    RollbackInProgress,
    RollbackFailed,
    RollbackComplete,
    DeleteInProgress,
    DeleteFailed,
    DeleteComplete,
    DeleteSkipped,
    UpdateInProgress,
    UpdateCompleteCleanupInProgress,
    UpdateComplete,
    UpdateFailed,
    UpdateRollbackInProgress,
    UpdateRollbackFailed,
    UpdateRollbackCompleteCleanupInProgress,
    UpdateRollbackComplete,
}

impl Status {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Status::ReviewInProgress => "REVIEW_IN_PROGRESS",
            Status::CreateInProgress => "CREATE_IN_PROGRESS",
            Status::CreateFailed => "CREATE_FAILED",
            Status::CreateComplete => "CREATE_COMPLETE",
            Status::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            Status::RollbackFailed => "ROLLBACK_FAILED",
            Status::RollbackComplete => "ROLLBACK_COMPLETE",
            Status::DeleteInProgress => "DELETE_IN_PROGRESS",
            Status::DeleteFailed => "DELETE_FAILED",
            Status::DeleteComplete => "DELETE_COMPLETE",
            Status::DeleteSkipped => "DELETE_SKIPPED",
            Status::UpdateInProgress => "UPDATE_IN_PROGRESS",
            Status::UpdateCompleteCleanupInProgress => "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            Status::UpdateComplete => "UPDATE_COMPLETE",
            Status::UpdateFailed => "UPDATE_FAILED",
            Status::UpdateRollbackInProgress => "UPDATE_ROLLBACK_IN_PROGRESS",
            Status::UpdateRollbackFailed => "UPDATE_ROLLBACK_FAILED",
            Status::UpdateRollbackCompleteCleanupInProgress => {
                "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"
            }
            Status::UpdateRollbackComplete => "UPDATE_ROLLBACK_COMPLETE",
        }
    }

    /// Whether a stack of this status can be updated.
    pub(super) fn takes_updates(self) -> bool {
        matches!(
            self,
            Status::CreateComplete
                | Status::CreateFailed
                | Status::UpdateComplete
                | Status::UpdateFailed
                | Status::UpdateRollbackComplete
        )
    }
}

/// How a change set stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the states of a change set")]
pub enum Stage {
    Available,
    Failed,
    Executing,
    Executed,
    NotExecuted,
}

impl Stage {
    /// Whether it has been executed, with or without success.
    pub fn is_over(self) -> bool {
        matches!(self, Stage::Executed | Stage::NotExecuted)
    }

    /// Its `Status` in the API.
    pub fn status(self) -> &'static str {
        match self {
            Stage::Failed => "FAILED",
            Stage::Available | Stage::Executing | Stage::Executed | Stage::NotExecuted => {
                "CREATE_COMPLETE"
            }
        }
    }

    /// Its `ExecutionStatus` in the API.
    pub fn execution(self) -> &'static str {
        match self {
            Stage::Available => "AVAILABLE",
            Stage::Failed => "UNAVAILABLE",
            Stage::Executing => "EXECUTE_IN_PROGRESS",
            Stage::Executed => "EXECUTE_COMPLETE",
            Stage::NotExecuted => "EXECUTE_FAILED",
        }
    }
}

/// What becomes of a resource that is no longer wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// It goes.
    #[default]
    Delete,
    /// It stays.
    Retain,
    /// It stays, unless the operation that is undone has made it.
    RetainExceptOnCreate,
}

/// What follows when a stack cannot be created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    /// What was made goes, the stack stays.
    #[default]
    Rollback,
    /// What was made goes, and so does the stack.
    Delete,
    /// What was made stays.
    DoNothing,
}

/// What is done to a resource or has been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Support {
    /// It is made.
    Served,
    /// It is taken without effect.
    WithoutEffect,
    /// stepwire does not have its type; it stands for itself because the stack allows it.
    Placeholder,
}
