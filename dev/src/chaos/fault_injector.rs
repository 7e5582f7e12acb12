//! The faults and their times, drawn from a seed. Faults come from a shuffled deck, so that each
//! appears soon.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::actors::{Actors, Proxies, Role};
use super::proxy::{Condition, Proxy};
use crate::console;
use crate::process::Supervised;
use crate::services::Services;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    WorkerKilled,
    ClientKilled,
    ApiKilled,
    WorkerStopped,
    RedisWiped,
    RedisAway,
    RedisSilent,
    /// Redis refuses every write, as a demoted primary does.
    RedisReadOnly,
    PostgresCrash,
    PostgresAway,
    PostgresSilent,
    S3Away,
    S3Silent,
    SmtpAway,
    SmtpSilent,
}

impl Fault {
    /// Each fault with its number of cards.
    const DECK: [(Self, usize); 15] = [
        (Self::WorkerKilled, 8),
        (Self::ClientKilled, 3),
        (Self::ApiKilled, 1),
        (Self::WorkerStopped, 2),
        (Self::RedisWiped, 1),
        (Self::RedisAway, 1),
        (Self::RedisSilent, 1),
        (Self::RedisReadOnly, 1),
        (Self::PostgresCrash, 1),
        (Self::PostgresAway, 1),
        (Self::PostgresSilent, 1),
        (Self::S3Away, 1),
        (Self::S3Silent, 1),
        (Self::SmtpAway, 1),
        (Self::SmtpSilent, 1),
    ];

    fn name(self) -> &'static str {
        match self {
            Self::WorkerKilled => "a worker is killed",
            Self::ClientKilled => "a client is killed",
            Self::ApiKilled => "the API is killed",
            Self::WorkerStopped => "a worker is stopped",
            Self::RedisWiped => "Redis forgets everything",
            Self::RedisAway => "Redis is away",
            Self::RedisSilent => "Redis is silent",
            Self::RedisReadOnly => "Redis refuses writes",
            Self::PostgresCrash => "PostgreSQL crashes and starts again",
            Self::PostgresAway => "PostgreSQL is away",
            Self::PostgresSilent => "PostgreSQL is silent",
            Self::S3Away => "S3 is away",
            Self::S3Silent => "S3 is silent",
            Self::SmtpAway => "the mail server is away",
            Self::SmtpSilent => "the mail server is silent",
        }
    }

    /// Returns the service and its condition, if the fault is an outage.
    fn outage(self, proxies: &Proxies) -> Option<(&Proxy, Condition)> {
        match self {
            Self::RedisAway => Some((&proxies.redis, Condition::Away)),
            Self::RedisSilent => Some((&proxies.redis, Condition::Silent)),
            Self::PostgresAway => Some((&proxies.postgres, Condition::Away)),
            Self::PostgresSilent => Some((&proxies.postgres, Condition::Silent)),
            Self::S3Away => Some((&proxies.s3, Condition::Away)),
            Self::S3Silent => Some((&proxies.s3, Condition::Silent)),
            Self::SmtpAway => Some((&proxies.smtp, Condition::Away)),
            Self::SmtpSilent => Some((&proxies.smtp, Condition::Silent)),
            Self::WorkerKilled
            | Self::ClientKilled
            | Self::ApiKilled
            | Self::WorkerStopped
            | Self::RedisWiped
            | Self::RedisReadOnly
            | Self::PostgresCrash => None,
        }
    }

    /// Returns whether a run has hundreds of the fault, which are not printed.
    fn is_frequent(self) -> bool {
        matches!(
            self,
            Self::WorkerKilled | Self::ClientKilled | Self::WorkerStopped
        )
    }
}

/// Draws faults.
pub(super) struct FaultInjector {
    dice: fastrand::Rng,
    deck: Vec<Fault>,
    /// The number of processes and connections that met each fault.
    met: BTreeMap<Fault, u64>,
}

impl FaultInjector {
    pub(super) fn new(seed: u64) -> Self {
        let met = Fault::DECK.iter().map(|(fault, _)| (*fault, 0)).collect();
        Self {
            dice: fastrand::Rng::with_seed(seed),
            deck: Vec::new(),
            met,
        }
    }

    /// Returns the time until the next fault.
    pub(super) fn pause(&mut self) -> Duration {
        Duration::from_millis(100 + self.dice.u64(0..900))
    }

    /// Returns the name of each fault, with the number of processes or connections that met it.
    pub(super) fn met(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.met.iter().map(|(fault, count)| (fault.name(), *count))
    }

    fn draw(&mut self) -> Fault {
        if self.deck.is_empty() {
            let cards = Fault::DECK
                .iter()
                .flat_map(|(fault, count)| vec![*fault; *count]);
            self.deck = cards.collect();
            self.dice.shuffle(&mut self.deck);
        }
        self.deck.pop().unwrap_or(Fault::WorkerKilled)
    }

    /// Injects one fault, then starts the missing processes again.
    pub(super) async fn inject(
        &mut self,
        actors: &mut Actors,
        services: &mut Services,
    ) -> Result<()> {
        let number = self.dice.usize(0..1_000);
        let lasts = Duration::from_millis(2_000 + self.dice.u64(0..3_000));
        let fault = self.draw();
        if !fault.is_frequent() {
            console::note(&format!("chaos: {}", fault.name()));
        }
        let met = match fault.outage(&actors.proxies) {
            Some((proxy, condition)) => during(proxy, condition, lasts).await,
            None => strike(fault, actors, services, number, lasts).await?,
        };
        *self.met.entry(fault).or_default() += met;
        actors.start_missing(services)
    }
}

/// Injects a fault of a process or of the data of a service. Returns how many met it.
async fn strike(
    fault: Fault,
    actors: &mut Actors,
    services: &mut Services,
    number: usize,
    lasts: Duration,
) -> Result<u64> {
    let workers = [Role::TraceWorker, Role::Worker];
    match fault {
        Fault::WorkerKilled => return Ok(kill(actors.take(&workers, number))),
        Fault::ClientKilled => return Ok(kill(actors.take(&[Role::TraceClient], number))),
        Fault::ApiKilled => return Ok(kill(actors.take(&[Role::Api], number))),
        Fault::WorkerStopped => match actors.take(&workers, number) {
            Some(process) => Actors::stop(process).await,
            None => return Ok(0),
        },
        Fault::RedisReadOnly => {
            let before = services.redis_refused_writes().await?;
            services.set_redis_read_only(true).await?;
            sleep(lasts).await;
            services.set_redis_read_only(false).await?;
            return Ok(services
                .redis_refused_writes()
                .await?
                .saturating_sub(before));
        }
        Fault::RedisWiped => services.wipe_redis().await?,
        _ => services.crash_postgres().await?,
    }
    Ok(1)
}

/// Kills a process with its group. Returns the number of killed processes.
fn kill(process: Option<Supervised>) -> u64 {
    let killed = u64::from(process.is_some());
    // Dropped, it is killed.
    drop(process);
    killed
}

/// Puts a service into a condition for a while. Returns the number of connections that met it.
async fn during(proxy: &Proxy, condition: Condition, lasts: Duration) -> u64 {
    let before = proxy.met();
    proxy.set(condition);
    sleep(lasts).await;
    proxy.set(Condition::Whole);
    proxy.met() - before
}
