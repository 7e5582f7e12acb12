//! Tests of the two binaries as processes: the journey, faults, traces, the generated client, the
//! start.

mod balancer;
mod browser;
mod faults;
mod house;
mod journey;
mod keys;
mod mails;
mod metadata;
mod object_store;
mod one_shots;
mod picture;
mod progress;
mod scans;
mod sdk;
mod start;
mod traces;
mod tus;
mod variants;
