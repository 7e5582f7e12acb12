//! Hot copies in Redis of rows that every request needs, never older than the last commit.
//!
//! Under a key stands one of: a copy; a reader's *lease* `~n`, the right to fill it; writers' *doubts* `?n,m`. A writer
//! raises his doubt before he commits, which voids every lease, and lifts it after. While a doubt stands readers ask
//! PostgreSQL and nobody may fill. So a value that was read before a commit never becomes a copy after it. What a
//! writer who dies leaves behind fades. A writer whom Redis refuses or does not answer notes the key in the transaction,
//! see [`Trust`].

pub(crate) mod repository;
mod trust;

use std::sync::LazyLock;
use std::time::Duration;

use plinth_platform::redis::{Redis, RedisFailure};
use redis::Script;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use trust::Trust;
pub(crate) use trust::{keep_trust, outlast, stale_copies};

/// How long a doubt stands that nobody lifts: longer than any transaction.
pub(crate) const DOUBT: Duration = Duration::from_secs(45);

/// KEYS: keys. ARGV: nonce, milliseconds.
static RAISE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
    for _, key in ipairs(KEYS) do
        local held = redis.call('GET', key)
        local doubt = '?' .. ARGV[1]
        if held and string.sub(held, 1, 1) == '?' then doubt = held .. ',' .. ARGV[1] end
        redis.call('SET', key, doubt, 'PX', ARGV[2])
    end",
    )
});

/// KEYS: keys. ARGV: nonce. Whatever is no doubt of somebody else may be older than the commit: it goes.
static LIFT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
    for _, key in ipairs(KEYS) do
        local held = redis.call('GET', key)
        local others = {}
        if held and string.sub(held, 1, 1) == '?' then
            for nonce in string.gmatch(string.sub(held, 2), '[^,]+') do
                if nonce ~= ARGV[1] then table.insert(others, nonce) end
            end
        end
        if #others > 0 then
            redis.call('SET', key, '?' .. table.concat(others, ','), 'KEEPTTL')
        else
            redis.call('DEL', key)
        end
    end",
    )
});

/// KEYS: key. ARGV: nonce, copy, milliseconds. A lease that was voided fills nothing.
static FILL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
    if redis.call('GET', KEYS[1]) == '~' .. ARGV[1] then
        redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    end",
    )
});

/// What Redis holds under a key, as a reader sees it.
#[derive(Debug, PartialEq)]
pub(crate) enum Copy<T> {
    Fresh(T),
    /// Nothing: the reader has got the lease to fill it.
    Leased,
    /// A write is under way, or another reader fills it: PostgreSQL is asked, and the key left alone.
    Doubtful,
}

impl<T: DeserializeOwned> Copy<T> {
    /// Reads what the gate's script answered; the empty text is a lease. What this build cannot read is in doubt.
    pub(crate) fn read(answer: Option<&str>) -> Self {
        match answer {
            Some("") => Self::Leased,
            Some(text) => serde_json::from_str(text).map_or(Self::Doubtful, Self::Fresh),
            None => Self::Doubtful,
        }
    }
}

/// Fills a key that was leased under `nonce`.
pub(crate) async fn fill<T: Serialize>(
    redis: &Redis,
    key: &str,
    nonce: &str,
    value: &T,
    ttl: Duration,
) {
    let Ok(text) = serde_json::to_string(value) else {
        return;
    };
    let mut call = FILL.key(key);
    call.arg(nonce).arg(text).arg(millis(ttl));
    // Without the copy the next request asks PostgreSQL again: slower, not wrong.
    let _ = redis.run::<()>("hot.fill", &call).await;
}

/// Raises a doubt about keys whose rows are about to change.
pub(crate) async fn raise(redis: &Redis, nonce: &str, keys: &[String]) -> Result<(), RedisFailure> {
    let mut call = RAISE.prepare_invoke();
    call.arg(nonce).arg(millis(DOUBT));
    for key in keys {
        call.key(key);
    }
    redis.run("hot.raise", &call).await
}

/// Lifts the doubt: the rows have changed, and the next reader may fill the keys.
pub(crate) async fn lift(redis: &Redis, nonce: &str, keys: &[String]) -> Result<(), RedisFailure> {
    let mut call = LIFT.prepare_invoke();
    call.arg(nonce);
    for key in keys {
        call.key(key);
    }
    redis.run("hot.lift", &call).await
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_copy_of_this_build_is_in_doubt() {
        assert_eq!(Copy::<u8>::read(Some("7")), Copy::Fresh(7));
        assert_eq!(Copy::<u8>::read(Some("")), Copy::Leased);
        for doubtful in [
            Some("?a.1"),
            Some("?a.1,b.2"),
            Some("~a.1"),
            Some("{\"newer\":1}"),
            None,
        ] {
            assert_eq!(Copy::<u8>::read(doubtful), Copy::Doubtful);
        }
    }
}
