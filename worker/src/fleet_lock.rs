//! Locks for work that one worker of the fleet does for all: the first one that asks does it.

use std::time::Duration;

use plinth_platform::redis::{Redis, RedisFailure};

/// Returns whether this worker got the lock. The lock expires after `length`; nothing releases it
/// earlier.
pub(crate) async fn try_acquire(
    redis: &Redis,
    name: &str,
    length: Duration,
) -> Result<bool, RedisFailure> {
    let mut command = redis::cmd("SET");
    let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    command
        .arg(redis.key(name))
        .arg(1)
        .arg("NX")
        .arg("PX")
        .arg(length);
    let acquired: Option<String> = redis.command("jobs.turn", &command).await?;
    Ok(acquired.is_some())
}
