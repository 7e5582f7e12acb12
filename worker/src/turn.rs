//! Work that one worker of the fleet does for all: whoever comes first has the turn.

use std::time::Duration;

use plinth_platform::redis::{Redis, RedisFailure};

/// Whether this worker has the turn. From then on nobody else has it for `length`, and nothing gives it back sooner.
pub(crate) async fn take(
    redis: &Redis,
    name: &str,
    length: Duration,
) -> Result<bool, RedisFailure> {
    let mut turn = redis::cmd("SET");
    let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    turn.arg(redis.key(name))
        .arg(1)
        .arg("NX")
        .arg("PX")
        .arg(length);
    let ours: Option<String> = redis.command("jobs.turn", &turn).await?;
    Ok(ours.is_some())
}
