//! Hot copies in Redis of rows that every request needs, never older than the last commit.
//!
//! A writer raises doubt about a key *before* it commits; while the doubt stands, readers ask
//! PostgreSQL and nobody may fill the key. So no copy read before a commit outlives it, whatever
//! dies in between. The doubt outlives any transaction (statement_timeout) and then fades.

use std::time::Duration;

use plinth_platform::redis::{Redis, RedisFailure};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long a key stays in doubt after a write.
const DOUBT: Duration = Duration::from_secs(45);
const DOUBT_MARK: &str = "?";

/// What Redis holds under a key.
#[derive(Debug, PartialEq)]
pub(crate) enum Copy<T> {
    Fresh(T),
    /// Nothing: the reader may fill it.
    Missing,
    /// A write is under way: the reader asks PostgreSQL and leaves the key alone.
    Doubtful,
}

impl<T: DeserializeOwned> Copy<T> {
    /// Reads what Redis answered; what this build cannot read is as missing as nothing.
    pub(crate) fn read(answer: Option<&str>) -> Self {
        match answer {
            Some(DOUBT_MARK) => Self::Doubtful,
            Some(text) => serde_json::from_str(text).map_or(Self::Missing, Self::Fresh),
            None => Self::Missing,
        }
    }
}

/// Fills a missing key; a key that has been filled or doubted meanwhile stays as it is.
pub(crate) async fn fill<T: Serialize>(redis: &Redis, key: &str, value: &T, ttl: Duration) {
    let Ok(text) = serde_json::to_string(value) else { return };
    let mut pipeline = redis::pipe();
    pipeline.cmd("SET").arg(key).arg(text).arg("NX").arg("PX").arg(millis(ttl)).ignore();
    // Without the copy the next request asks PostgreSQL again: slower, not wrong.
    let _ = redis.pipe::<()>("hot.fill", &pipeline).await;
}

/// Raises doubt about keys whose rows are about to change, or have just changed.
pub(crate) async fn doubt(redis: &Redis, keys: &[String]) -> Result<(), RedisFailure> {
    let mut pipeline = redis::pipe();
    for key in keys {
        pipeline.cmd("SET").arg(key).arg(DOUBT_MARK).arg("PX").arg(millis(DOUBT)).ignore();
    }
    redis.pipe("hot.doubt", &pipeline).await
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_copy_is_as_missing_as_none() {
        assert_eq!(Copy::<u8>::read(Some("7")), Copy::Fresh(7));
        assert_eq!(Copy::<u8>::read(Some("?")), Copy::Doubtful);
        assert_eq!(Copy::<u8>::read(Some("{\"newer\":1}")), Copy::Missing);
        assert_eq!(Copy::<u8>::read(None), Copy::Missing);
    }
}
