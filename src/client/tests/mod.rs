//! The client over in-memory pipes and paused time: every fault at its exact moment.

mod batching;
mod counted;
mod deadlines;
mod faults;
mod healthy;
mod pipe;
mod pooling;
mod reconnects;
mod scripted;
mod stamps;
