//! Hands "run job N now" to apalis-redis, with our own script instead of its push.
//!
//! Its push puts every job through a sorted set that is promoted in one unpack, which a backlog
//! of some 8,000 jobs breaks for good. This one writes what its fetch script reads, straight
//! into the active list, and rings the bell.

use std::sync::LazyLock;

use plinth_domain::id::JobId;
use plinth_domain::job::Queue;
use plinth_platform::redis::{Redis, RedisFailure};
use redis::Script;

/// KEYS: data, active, done. ARGV: metadata key prefix, channel, then (task id, payload) pairs.
/// A task that still waits or is in flight is not pushed twice; one that is done, and not freed yet, is anew.
static PUSH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local fresh = 0
for i = 3, #ARGV, 2 do
    if redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) == 1 or redis.call('SREM', KEYS[3], ARGV[i]) == 1 then
        redis.call('HSET', ARGV[1] .. ARGV[i], 'attempts', 0, 'max_attempts', 25, 'status', 'Pending')
        redis.call('RPUSH', KEYS[2], ARGV[i])
        fresh = fresh + 1
    end
end
if fresh > 0 then redis.call('PUBLISH', ARGV[2], fresh) end
return fresh
",
    )
});

/// The name under which apalis-redis knows a queue.
pub fn namespace(redis: &Redis, queue: Queue) -> String {
    format!("{}-{queue}", redis.prefix())
}

/// The door to the queues in Redis.
pub struct Transport {
    redis: Redis,
}

impl Transport {
    pub fn new(redis: &Redis) -> Self {
        Self { redis: redis.clone() }
    }

    /// Pushes jobs that the ledger holds.
    pub async fn push(&self, notes: &[Note]) -> Result<(), RedisFailure> {
        for queue in Queue::ALL {
            let of_queue: Vec<Note> = notes.iter().filter(|note| note.queue == queue).copied().collect();
            for chunk in of_queue.chunks(500) {
                self.push_to(queue, chunk).await?;
            }
        }
        Ok(())
    }

    async fn push_to(&self, queue: Queue, notes: &[Note]) -> Result<(), RedisFailure> {
        let namespace = namespace(&self.redis, queue);
        let mut call = PUSH.key(format!("{namespace}:data"));
        call.key(format!("{namespace}:active")).key(format!("{namespace}:done"));
        call.arg(format!("{namespace}:meta:")).arg(format!("tasks:{namespace}:active:available"));
        for note in notes {
            call.arg(note.task()).arg(format!("\"{}\"", note.job));
        }
        self.redis.run::<i64>("jobs.push", &call).await.map(drop)
    }
}

/// "Run this job now."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    pub queue: Queue,
    pub job: JobId,
    /// The attempts that the ledger has seen so far: a note for the next one is another task, even while the one
    /// before still lies with a worker that was killed.
    pub attempt: i16,
}

impl Note {
    fn task(&self) -> String {
        ulid_text(self.job.0.as_u128() ^ u128::from(self.attempt.unsigned_abs()))
    }
}

/// apalis-redis names its tasks by ULID, which is 128 bits as a UUID is, in Crockford's base 32.
fn ulid_text(value: u128) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    (0..26)
        .rev()
        .map(|place| {
            let digit = usize::try_from((value >> (place * 5)) & 31).expect("five bits");
            char::from(ALPHABET[digit])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_a_ulid() {
        let id = 0x0156_3E3A_B5D3_D676_4C61_EFB9_9302_BD5B;
        assert_eq!(ulid_text(id), "01ARZ3NDEKTSV4RRFFQ69G5FAV", "the example of the ULID specification");
        assert_eq!(ulid_text(u128::MAX), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        assert_eq!(ulid_text(0), "0".repeat(26));
    }
}
