//! A run: what an execution's history says, state by state.
