//! A state machine as a picture: boxes, arrows and where they lie.
