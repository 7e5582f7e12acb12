//! Our own scripts over apalis's keys: they free and give back what apalis leaves behind.
//!
//! apalis-redis 1.0 never frees a finished task (its `vacuum` is one call over every
//! key and also deletes what waits), keeps a stopped worker registered, and leaves
//! what that worker had fetched to a timeout of others.

use std::sync::LazyLock;
use std::time::Duration;

use plinth_platform::redis::{Redis, RedisFailure};
use redis::Script;
use tokio_util::sync::CancellationToken;

/// Tasks freed in one call: a bound on how long Redis is held.
const BATCH: usize = 500;

/// A pause between sweeps while there is little to free.
const EVERY: Duration = Duration::from_secs(5);

/// What apalis noted about a worker that died without a word is forgotten after so long.
const WORKER_NOTES_KEPT: Duration = Duration::from_hours(24);

static FREE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
    local freed = 0
    for _, set in ipairs({KEYS[1] .. ':done', KEYS[1] .. ':dead'}) do
        local ids = redis.call('SPOP', set, ARGV[1])
        for _, id in ipairs(ids) do
            redis.call('HDEL', KEYS[1] .. ':data', id)
            redis.call('UNLINK', KEYS[1] .. ':meta:' .. id)
        end
        freed = freed + #ids
    end
    return freed",
    )
});

/// A task without its data or metadata makes every fetch that meets it fail: it is dropped, the ledger still has the job.
static CHECK_OUT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
    local inflight = KEYS[1] .. ':inflight:' .. ARGV[1]
    local given_back = 0
    for _, id in ipairs(redis.call('SMEMBERS', inflight)) do
        local whole = redis.call('HEXISTS', KEYS[1] .. ':data', id) == 1
            and redis.call('HEXISTS', KEYS[1] .. ':meta:' .. id, 'attempts') == 1
        if whole then
            redis.call('LPUSH', KEYS[1] .. ':active', id)
            given_back = given_back + 1
        else
            redis.call('HDEL', KEYS[1] .. ':data', id)
            redis.call('UNLINK', KEYS[1] .. ':meta:' .. id)
        end
    end
    redis.call('UNLINK', inflight, KEYS[1] .. ':workers:metadata:' .. ARGV[1])
    redis.call('ZREM', KEYS[1] .. ':workers', ARGV[1])
    if given_back > 0 then
        redis.call('PUBLISH', 'tasks:' .. KEYS[1] .. ':active:available', given_back)
    end
    return given_back",
    )
});

/// Frees finished tasks of the namespaces until `stop`.
pub async fn run(redis: Redis, namespaces: Vec<String>, stop: CancellationToken) {
    loop {
        for namespace in &namespaces {
            if let Err(error) = free_all(&redis, namespace).await {
                tracing::debug!(%error, namespace, "could not free finished tasks; the next sweep will");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Frees every finished task, a batch a call; how many they were.
pub async fn free_all(redis: &Redis, namespace: &str) -> Result<usize, RedisFailure> {
    let mut total = 0;
    loop {
        let freed: usize = redis.run("jobs.sweep", FREE.key(namespace).arg(BATCH)).await?;
        total += freed;
        if freed < BATCH {
            return Ok(total);
        }
    }
}

/// Signs a stopped worker off and gives back what it had fetched and not yet taken over; how many those were.
pub async fn check_out(redis: &Redis, namespace: &str, worker: &str) -> Result<usize, RedisFailure> {
    redis.run("jobs.check_out", CHECK_OUT.key(namespace).arg(worker)).await
}

/// Lets what apalis is about to note about a worker expire, should it die without checking out:
/// an expiry outlives the `HMSET` of apalis's registration.
pub async fn check_in(redis: &Redis, namespace: &str, worker: &str) -> Result<(), RedisFailure> {
    let key = format!("{namespace}:workers:metadata:{worker}");
    let mut pipeline = redis::pipe();
    pipeline.hset(&key, "backend_name", "RedisStorage").ignore();
    pipeline.cmd("EXPIRE").arg(&key).arg(WORKER_NOTES_KEPT.as_secs()).ignore();
    redis.pipe("jobs.check_in", &pipeline).await
}
