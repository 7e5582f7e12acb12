//! Faults: killed processes, unreachable stores, and two processes that do the same at once.

mod chaos;
mod clocks;
mod kills;
mod load;
mod mail_server;
mod outages;
mod owners;
mod phases;
mod poison;
mod postgres_away;
mod redis_away;
mod redis_wiped;
mod restarts;
mod scanner;
mod slow_clients;
mod smtp;
mod stops;
mod twice;
mod uploads;
