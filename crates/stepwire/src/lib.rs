//! stepwire: durable workflows for device fleets, in one binary.
//!
//! This crate is the process: sockets, TLS, files, the driver that makes what the kernel decides
//! durable and then acts on it, the command line and the demo.
//!
//! Read in this order: [`node`], [`driver`], [`listen`], then [`stepwire_core::Kernel::step`].

pub mod access_key;
mod api;
mod aws_task;
pub mod build;
pub mod ca;
pub mod capture;
pub mod cli;
pub mod clock;
mod commits;
pub mod config;
mod console;
pub mod counters;
mod deliver;
pub mod demo;
mod disk;
pub mod driver;
mod effects;
mod events;
pub mod files;
mod function_key;
mod functions;
pub mod http_task;
mod invocations;
mod invocations_page;
mod items_folders;
pub mod listen;
mod metrics_page;
pub mod mqtt_limits;
pub mod node;
pub mod node_error;
pub mod node_file;
pub mod observe;
pub mod port_holder;
mod rates;
mod reactions;
pub mod recorded;
mod rule_counters;
mod rule_tester;
pub mod runner;
pub mod secrets;
mod settings_shown;
pub mod shard;
mod signature;
mod signing;
pub mod tls;
pub mod warnings;
