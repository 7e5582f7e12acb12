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

/// KEYS: window, deeper. ARGV: size of the window; where the ledger is to be read on, "end" where it has no more, or ""
/// where that is not known; then (score, job) pairs. What falls out of the window is to be read again.
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
    local deeper = redis.call('GET', KEYS[2])
    if not deeper or tonumber(first) < tonumber(deeper) then redis.call('SET', KEYS[2], first) end
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

/// What a rank adds to a score: more milliseconds than any time has.
const RANK: i64 = 10_000_000_000_000;

/// A place in the order of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Of a priority; lower goes first.
    pub rank: i16,
    /// To the millisecond below.
    pub due: OffsetDateTime,
}

impl Place {
    /// The rank, then the milliseconds: exact in the double that Redis sorts by.
    fn score(self) -> i64 {
        i64::from(self.rank) * RANK
            + i64::try_from(unix_ms(self.due))
                .unwrap_or(RANK - 1)
                .min(RANK - 1)
    }

    fn at(score: i64) -> Self {
        let rank = i16::try_from(score.div_euclid(RANK)).unwrap_or(i16::MAX);
        Self {
            rank,
            due: OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(score.rem_euclid(RANK)),
        }
    }
}

impl Note {
    pub(super) fn place(&self) -> Place {
        Place {
            rank: self.rank,
            due: self.due,
        }
    }
}

/// What was read of a queue in the ledger.
#[derive(Debug, Default)]
pub struct Found {
    pub notes: Vec<Note>,
    /// Where more may follow.
    pub deeper: Option<Place>,
}

/// A window that has room, and where in the ledger its next notes are.
#[derive(Debug, Clone, Copy)]
pub struct Gap {
    pub room: usize,
    pub from: Place,
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
        Self {
            redis: redis.clone(),
        }
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
        for &queue in Queue::ALL {
            let of_queue: Vec<&Note> = notes.iter().filter(|note| note.queue == queue).collect();
            for chunk in of_queue.chunks(WINDOW / 2) {
                self.call_push(queue, chunk, "").await?;
            }
        }
        Ok(())
    }

    /// Where a window has room for more of what the ledger has.
    pub async fn gap(&self, queue: Queue) -> Result<Option<Gap>, RedisFailure> {
        let mut ask = redis::pipe();
        ask.zcard(self.window(queue)).get(self.deeper(queue));
        let (notes, deeper): (usize, Option<i64>) = self.redis.pipe("jobs.gap", &ask).await?;
        let room = WINDOW.saturating_sub(notes);
        Ok(deeper.filter(|_| room > 0).map(|score| Gap {
            room,
            from: Place::at(score),
        }))
    }

    /// Puts what was read of the ledger into a queue's window.
    pub async fn refill(&self, queue: Queue, found: &Found) -> Result<(), RedisFailure> {
        let deeper = found
            .deeper
            .map_or("end".to_owned(), |place| place.score().to_string());
        self.call_push(queue, &found.notes.iter().collect::<Vec<_>>(), &deeper)
            .await
    }

    async fn call_push(
        &self,
        queue: Queue,
        notes: &[&Note],
        deeper: &str,
    ) -> Result<(), RedisFailure> {
        let mut call = PUSH.key(self.window(queue));
        call.key(self.deeper(queue)).arg(WINDOW).arg(deeper);
        for note in notes {
            call.arg(note.place().score()).arg(note.job.to_string());
        }
        self.redis.run("jobs.push", &call).await
    }

    /// Takes the best notes of a queue.
    pub async fn pop(&self, queue: Queue, limit: usize) -> Result<Popped, RedisFailure> {
        let mut call = POP.key(self.window(queue));
        call.key(self.deeper(queue)).arg(limit);
        let (deeper, left, jobs): (bool, usize, Vec<String>) =
            self.redis.run("jobs.pop", &call).await?;
        let jobs = jobs.iter().filter_map(|text| read_note(text)).collect();
        Ok(Popped {
            jobs,
            wants_more: deeper && left < WINDOW / 2,
        })
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

#[cfg(test)]
mod tests {
    use plinth_domain::job::Priority;

    use super::*;

    #[test]
    fn a_score_tells_the_rank_and_the_millisecond_again() {
        let due = OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(1_795_000_000_123);
        for priority in Priority::ALL {
            let place = Place {
                rank: priority.rank(),
                due,
            };
            assert_eq!(Place::at(place.score()), place);
        }
    }

    #[test]
    fn the_mark_of_the_version_before_reads_the_ledger_from_its_beginning() {
        let place = Place::at(1);
        assert!(place.rank == 0 && place.due.unix_timestamp() == 0);
    }
}
