//! Redis as the workers' doorbell: a window of what is due in each queue, best first. "Run job N now", and nothing else.
//!
//! A note that is lost costs a moment, until the ledger is read again; one that comes twice costs a claim that finds
//! nothing. So notes are not acknowledged and nothing in Redis has to be recovered.

use std::sync::LazyLock;

use plinth_domain::id::JobId;
use plinth_domain::job::Queue;
use plinth_platform::clock::unix_ms;
use plinth_platform::redis::{Redis, RedisFailure};
use redis::Script;
use time::OffsetDateTime;

/// The notes that Redis holds of a queue; the ledger has the rest.
pub const WINDOW: usize = 2_000;

/// KEYS: window, deeper. ARGV: size of the window, "1" or "0" where the ledger is known to have more or not, "" where it
/// is not known, then (score, job) pairs.
static PUSH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
for i = 3, #ARGV, 2 do redis.call('ZADD', KEYS[1], 'NX', ARGV[i], ARGV[i + 1]) end
local over = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[1])
if over > 0 then
    redis.call('ZREMRANGEBYRANK', KEYS[1], -over, -1)
    redis.call('SET', KEYS[2], 1)
elseif ARGV[2] == '1' then
    redis.call('SET', KEYS[2], 1)
elseif ARGV[2] == '0' then
    redis.call('DEL', KEYS[2])
end
",
    )
});

/// KEYS: window, deeper. ARGV: how many. Answers whether the ledger has more, how many notes are left, the jobs.
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

/// "Run this job now."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    pub queue: Queue,
    pub job: JobId,
    /// Of its priority; lower goes first.
    pub rank: i16,
    /// Among those of a rank, who was due first goes first.
    pub due: OffsetDateTime,
}

impl Note {
    /// The rank, then the milliseconds: exact in the double that Redis sorts by.
    fn score(&self) -> i64 {
        const RANK: i64 = 10_000_000_000_000;
        i64::from(self.rank) * RANK + i64::try_from(unix_ms(self.due)).unwrap_or(RANK - 1).min(RANK - 1)
    }
}

/// Notes that were taken, and what is left.
#[derive(Debug, Default)]
pub struct Popped {
    pub jobs: Vec<JobId>,
    /// The window runs empty although the ledger has more.
    pub wants_more: bool,
}

/// The door to the windows.
#[derive(Clone)]
pub struct Transport {
    redis: Redis,
}

impl Transport {
    pub fn new(redis: &Redis) -> Self {
        Self { redis: redis.clone() }
    }

    /// The key of a queue's window.
    pub fn window(&self, queue: Queue) -> String {
        self.redis.key(&format!("jobs:{queue}"))
    }

    fn deeper(&self, queue: Queue) -> String {
        self.redis.key(&format!("jobs:{queue}:deeper"))
    }

    /// Puts jobs that the ledger has into the windows; what does not fit stays in the ledger alone.
    pub async fn push(&self, notes: &[Note]) -> Result<(), RedisFailure> {
        for queue in Queue::ALL {
            let of_queue: Vec<&Note> = notes.iter().filter(|note| note.queue == queue).collect();
            for chunk in of_queue.chunks(WINDOW / 2) {
                self.call_push(queue, chunk, "").await?;
            }
        }
        Ok(())
    }

    /// Puts what was read of the ledger into a queue's window; `deeper` says that there is more.
    pub async fn refill(&self, queue: Queue, notes: &[Note], deeper: bool) -> Result<(), RedisFailure> {
        let notes: Vec<&Note> = notes.iter().filter(|note| note.queue == queue).collect();
        self.call_push(queue, &notes, if deeper { "1" } else { "0" }).await
    }

    async fn call_push(&self, queue: Queue, notes: &[&Note], deeper: &str) -> Result<(), RedisFailure> {
        let mut call = PUSH.key(self.window(queue));
        call.key(self.deeper(queue)).arg(WINDOW).arg(deeper);
        for note in notes {
            call.arg(note.score()).arg(note.job.to_string());
        }
        self.redis.run("jobs.push", &call).await
    }

    /// Takes the best notes of a queue.
    pub async fn pop(&self, queue: Queue, limit: usize) -> Result<Popped, RedisFailure> {
        let mut call = POP.key(self.window(queue));
        call.key(self.deeper(queue)).arg(limit);
        let (deeper, left, jobs): (bool, usize, Vec<String>) = self.redis.run("jobs.pop", &call).await?;
        let jobs = jobs.iter().filter_map(|text| read_note(text)).collect();
        Ok(Popped { jobs, wants_more: deeper && left < WINDOW / 2 })
    }
}

/// The job that a note names; what names none is dropped, the ledger knows nothing of it.
pub fn read_note(text: &str) -> Option<JobId> {
    let job = text.parse().ok().map(JobId);
    if job.is_none() {
        tracing::warn!(bytes = text.len(), "dropping a note that names no job");
    }
    job
}
