//! The transport of due jobs to the workers: a bounded set in Redis for each queue, best first.
//!
//! A queue message says "run job N now" and nothing else. A lost one costs a moment, until the
//! dispatcher reads the ledger again. A repeated one costs a claim that matches nothing. So
//! messages are not acknowledged, and Redis holds nothing that has to be recovered.

use std::sync::LazyLock;

use plinth_domain::id::JobId;
use plinth_domain::job::Queue;
use plinth_platform::clock::unix_ms;
use plinth_platform::redis::{Redis, RedisFailure};
use redis::Script;
use time::OffsetDateTime;

/// The largest number of messages in the ready set of a queue. The ledger has the rest.
pub const READY_SET_SIZE: usize = 2_000;

/// KEYS: ready set, ledger cursor. ARGV: maximum size of the set; the new cursor, "end" if the
/// ledger has no more due jobs, or "" to leave the cursor; then (score, job) pairs. If a message is
/// dropped from a full set, the cursor moves back to it.
static PUSH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
for i = 3, #ARGV, 2 do redis.call('ZADD', KEYS[1], 'NX', ARGV[i], ARGV[i + 1]) end
if ARGV[2] == 'end' then
    redis.call('DEL', KEYS[2])
elseif ARGV[2] ~= '' then
    redis.call('SET', KEYS[2], ARGV[2])
end
local over = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[1])
if over > 0 then
    local first = redis.call('ZRANGE', KEYS[1], -over, -over, 'WITHSCORES')[2]
    redis.call('ZREMRANGEBYRANK', KEYS[1], -over, -1)
    local cursor = redis.call('GET', KEYS[2])
    if not cursor or tonumber(first) < tonumber(cursor) then redis.call('SET', KEYS[2], first) end
end
",
    )
});

/// KEYS: ready set, ledger cursor. ARGV: how many messages to take. Returns whether the ledger has
/// more due jobs, how many messages are left, and the jobs.
static POP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local jobs = {}
local popped = redis.call('ZPOPMIN', KEYS[1], ARGV[1])
for i = 1, #popped, 2 do jobs[#jobs + 1] = popped[i] end
return {redis.call('EXISTS', KEYS[2]), redis.call('ZCARD', KEYS[1]), jobs}
",
    )
});

/// A queue message: "run this job now".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobRef {
    pub queue: Queue,
    pub job: JobId,
    /// The rank of the job's priority; a lower one goes first.
    pub rank: i16,
    /// Within a rank, the job that was due first goes first.
    pub due: OffsetDateTime,
}

/// The part of a score that is the rank: more milliseconds than any time has.
const SCORE_PER_RANK: i64 = 10_000_000_000_000;

/// A position in the order of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueuePosition {
    /// The rank of a priority; a lower one goes first.
    pub rank: i16,
    /// Rounded down to a millisecond.
    pub due: OffsetDateTime,
}

impl QueuePosition {
    /// Returns the rank and the milliseconds as one number, which is exact in the double that Redis
    /// sorts by.
    fn score(self) -> i64 {
        i64::from(self.rank) * SCORE_PER_RANK
            + i64::try_from(unix_ms(self.due))
                .unwrap_or(SCORE_PER_RANK - 1)
                .min(SCORE_PER_RANK - 1)
    }

    fn from_score(score: i64) -> Self {
        let rank = i16::try_from(score.div_euclid(SCORE_PER_RANK)).unwrap_or(i16::MAX);
        Self {
            rank,
            due: OffsetDateTime::UNIX_EPOCH
                + time::Duration::milliseconds(score.rem_euclid(SCORE_PER_RANK)),
        }
    }
}

impl JobRef {
    pub(super) fn position(&self) -> QueuePosition {
        QueuePosition {
            rank: self.rank,
            due: self.due,
        }
    }
}

/// The due jobs of one queue, as read from the ledger.
#[derive(Debug, Default)]
pub struct DueJobs {
    pub jobs: Vec<JobRef>,
    /// The position after which more jobs may be due; `None` if there are no more.
    pub cursor: Option<QueuePosition>,
}

/// Free capacity of a ready set, and the ledger cursor to continue from.
#[derive(Debug, Clone, Copy)]
pub struct ReadySetGap {
    pub capacity: usize,
    pub from: QueuePosition,
}

/// Messages taken from a ready set.
#[derive(Debug, Default)]
pub struct Popped {
    pub jobs: Vec<JobId>,
    /// The set is less than half full although the ledger has more due jobs.
    pub needs_refill: bool,
}

/// The ready sets in Redis.
#[derive(Clone)]
pub struct Transport {
    redis: Redis,
}

impl Transport {
    pub fn new(redis: &Redis) -> Self {
        Self {
            redis: redis.clone(),
        }
    }

    /// Returns the key of a queue's ready set.
    pub fn ready_set_key(&self, queue: Queue) -> String {
        self.redis.key(&format!("jobs:{queue}"))
    }

    fn cursor_key(&self, queue: Queue) -> String {
        self.redis.key(&format!("jobs:{queue}:deeper"))
    }

    /// Adds jobs of the ledger to the ready sets. Jobs that do not fit stay in the ledger only.
    pub async fn push(&self, jobs: &[JobRef]) -> Result<(), RedisFailure> {
        for &queue in Queue::ALL {
            let of_queue: Vec<&JobRef> = jobs.iter().filter(|job| job.queue == queue).collect();
            for chunk in of_queue.chunks(READY_SET_SIZE / 2) {
                self.call_push(queue, chunk, "").await?;
            }
        }
        Ok(())
    }

    /// Returns the free capacity of a ready set, or `None` if it is full or the ledger has no more
    /// due jobs.
    pub async fn gap(&self, queue: Queue) -> Result<Option<ReadySetGap>, RedisFailure> {
        let mut pipe = redis::pipe();
        pipe.zcard(self.ready_set_key(queue))
            .get(self.cursor_key(queue));
        let (messages, cursor): (usize, Option<i64>) = self.redis.pipe("jobs.gap", &pipe).await?;
        let capacity = READY_SET_SIZE.saturating_sub(messages);
        Ok(cursor.filter(|_| capacity > 0).map(|score| ReadySetGap {
            capacity,
            from: QueuePosition::from_score(score),
        }))
    }

    /// Adds jobs that were read from the ledger to a ready set, and sets the ledger cursor.
    pub async fn refill(&self, queue: Queue, due: &DueJobs) -> Result<(), RedisFailure> {
        let cursor = due
            .cursor
            .map_or("end".to_owned(), |position| position.score().to_string());
        self.call_push(queue, &due.jobs.iter().collect::<Vec<_>>(), &cursor)
            .await
    }

    async fn call_push(
        &self,
        queue: Queue,
        jobs: &[&JobRef],
        cursor: &str,
    ) -> Result<(), RedisFailure> {
        let mut call = PUSH.key(self.ready_set_key(queue));
        call.key(self.cursor_key(queue))
            .arg(READY_SET_SIZE)
            .arg(cursor);
        for job in jobs {
            call.arg(job.position().score()).arg(job.job.to_string());
        }
        self.redis.run("jobs.push", &call).await
    }

    /// Takes at most `limit` of the best messages of a queue.
    pub async fn pop(&self, queue: Queue, limit: usize) -> Result<Popped, RedisFailure> {
        let mut call = POP.key(self.ready_set_key(queue));
        call.key(self.cursor_key(queue)).arg(limit);
        let (has_cursor, left, jobs): (bool, usize, Vec<String>) =
            self.redis.run("jobs.pop", &call).await?;
        let jobs = jobs.iter().filter_map(|text| parse_message(text)).collect();
        Ok(Popped {
            jobs,
            needs_refill: has_cursor && left < READY_SET_SIZE / 2,
        })
    }
}

/// Returns the job that a queue message names, or `None` if the message is invalid. The caller
/// drops such a message: the ledger knows nothing of it.
pub fn parse_message(text: &str) -> Option<JobId> {
    let job = text.parse().ok().map(JobId);
    if job.is_none() {
        tracing::warn!(bytes = text.len(), "dropping an invalid queue message");
    }
    job
}

#[cfg(test)]
mod tests {
    use plinth_domain::job::Priority;

    use super::*;

    #[test]
    fn a_score_keeps_the_rank_and_the_millisecond() {
        let due = OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(1_795_000_000_123);
        for priority in Priority::ALL {
            let position = QueuePosition {
                rank: priority.rank(),
                due,
            };
            assert_eq!(QueuePosition::from_score(position.score()), position);
        }
    }

    #[test]
    fn the_cursor_of_the_previous_release_reads_the_ledger_from_its_beginning() {
        let position = QueuePosition::from_score(1);
        assert!(position.rank == 0 && position.due.unix_timestamp() == 0);
    }
}
