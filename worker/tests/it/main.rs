//! The worker against real PostgreSQL and Redis.

mod cleanup;
mod clocks;
mod delivery;
mod drain;
mod house;
mod limits;
mod order;
mod outages;
mod periodic;
mod reconcile;
