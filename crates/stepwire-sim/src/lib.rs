//! The simulated world stepwire is tested in: one seed is one world.
//!
//! The clock, the network, the disk, the devices, the third party's HTTP service and the people who
//! call the API are all models driven by one stream of dice, so a seed replays exactly. The kernel
//! in it is the real one. The world kills the process at every kind of moment, and [`checks`] looks
//! at everything that became durable and everything that left the process.
//!
//! Read in this order: [`World`], [`server`], [`device`], [`chatter`], [`keeper`],
//! [`checks`].

pub mod chatter;
pub mod checks;
pub mod device;
pub mod dice;
pub mod keeper;
pub mod marks;
pub mod operator;
pub mod owed;
pub mod post;
pub mod roll;
pub mod server;
pub mod story;
pub mod sweep;
pub mod worker;
mod world;

pub use world::{Crashes, Outcome, Plan, Watch, World};
