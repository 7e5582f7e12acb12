//! What goes wrong, and when: drawn from a seed.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::cast::Cast;
use crate::console;
use crate::stack::Foundation;

/// Draws misfortunes.
pub(super) struct Monkey {
    dice: fastrand::Rng,
}

impl Monkey {
    pub(super) fn new(seed: u64) -> Self {
        Self { dice: fastrand::Rng::with_seed(seed) }
    }

    /// Until the next one.
    pub(super) fn pause(&mut self) -> Duration {
        Duration::from_millis(100 + self.dice.u64(0..900))
    }

    /// Does one, and puts everybody back on the stage.
    pub(super) async fn act(&mut self, cast: &mut Cast, foundation: &mut Foundation) -> Result<()> {
        let number = self.dice.usize(0..1_000);
        match self.dice.u32(0..100) {
            0..=54 => {
                // Dropped, a process is killed with its group.
                drop(cast.worker(number));
            }
            55..=69 => drop(cast.client(number)),
            70..=84 => Cast::dismiss(cast.worker(number)).await,
            85..=89 => {
                console::note("chaos: Redis forgets everything");
                foundation.wipe_redis().await?;
            }
            90..=94 => {
                let away = Duration::from_millis(500 + self.dice.u64(0..5_000));
                console::note(&format!("chaos: Redis is away for {away:?}"));
                foundation.stop_redis().await;
                sleep(away).await;
                foundation.start_redis().await?;
            }
            _ => {
                console::note("chaos: PostgreSQL crashes and starts again");
                foundation.crash_postgres().await?;
            }
        }
        cast.enter(foundation)
    }
}
