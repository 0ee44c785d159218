//! The api over loopback, fed by a real in-memory exchange. One binary; see each file for its goal.

mod client;
mod compat;
mod exchange;
mod fuzz;
mod history;
mod law;
mod limits;
mod native;
mod page;
mod quirks;
mod resume;
mod shape;
mod slow;
