//! The worker against real PostgreSQL and Redis.

mod cleanup;
mod clocks;
mod corpus;
mod crashes;
mod delivery;
mod drain;
mod hostile;
mod house;
mod limits;
mod order;
mod outages;
mod periodic;
mod reconcile;
mod refusing_store;
mod sandbox;
