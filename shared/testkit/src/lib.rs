//! The stack for tests: each test gets a database and a Redis prefix of its own on the services
//! that `cargo dev test` has started, so that all of them run side by side and in any order.

mod answer;
mod clamd_server;
mod database;
mod http;
mod mailbox;
mod postgres_server;
mod process;
mod redis_server;
mod services;
mod stage;
mod until;
mod wire;

pub use answer::{Answer, text};
pub use clamd_server::ClamdServer;
pub use mailbox::{Mail, Mailbox};
pub use postgres_server::PostgresServer;
pub use process::{Process, free_address};
pub use redis_server::RedisServer;
pub use services::Services;
pub use stage::{Stage, Store};
pub use until::{PATIENCE, until};
pub use wire::Wire;
