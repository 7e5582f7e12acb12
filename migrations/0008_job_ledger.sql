-- The ledger widened: order, fencing, deadlines, limits by key, cancellation, pauses, and what became of each attempt.

DROP INDEX jobs_waiting;
DROP INDEX jobs_leases;
DROP INDEX jobs_finished;
DROP INDEX jobs_kind;

-- dispatched_at stays for the version before, which still writes it while this one starts; nothing reads it any more.
ALTER TABLE jobs
    -- Lower goes first: 0 high, 1 normal, 2 low.
    ADD COLUMN priority     smallint NOT NULL DEFAULT 1 CHECK (priority BETWEEN 0 AND 2),
    -- Raised by every claim and never lowered: whoever names it in a write holds the job, or changes nothing.
    ADD COLUMN claim        integer NOT NULL DEFAULT 0,
    -- When the last attempt began.
    ADD COLUMN started_at   timestamptz,
    -- Panics in a row.
    ADD COLUMN panics       smallint NOT NULL DEFAULT 0,
    -- No attempt begins after it.
    ADD COLUMN deadline     timestamptz,
    -- What a running job shares a limit by (the domain of a mail), and what a parked one waits for.
    ADD COLUMN limit_key    text,
    ADD COLUMN parked       boolean NOT NULL DEFAULT false,
    -- Somebody wants it stopped; its holder reads this when it renews the lease.
    ADD COLUMN cancel_asked boolean NOT NULL DEFAULT false,
    -- How far the running attempt has come, of 100.
    ADD COLUMN progress     smallint CHECK (progress BETWEEN 0 AND 100);

-- A job is held while it has a lease, and over when it has finished_at; `state` says the same for people and indexes.
-- Every index is written three times a job: by its insert, its claim and its end. So there are few.
CREATE INDEX jobs_due ON jobs (queue, priority, run_at) WHERE state IN ('queued', 'retrying') AND NOT parked;
CREATE INDEX jobs_parked ON jobs (limit_key, priority, run_at) WHERE parked;
CREATE INDEX jobs_held ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_limited ON jobs (limit_key) WHERE state = 'running' AND limit_key IS NOT NULL;
CREATE INDEX jobs_dead ON jobs (id) WHERE state = 'dead';
CREATE INDEX jobs_of_user ON jobs (user_id, id) WHERE user_id IS NOT NULL;

-- Attempts that did not succeed; the one that did, or runs now, is in the job's own row.
CREATE TABLE job_attempts (
    job_id     uuid NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    claim      integer NOT NULL,
    attempt    smallint NOT NULL,
    worker     text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL,
    outcome    text NOT NULL
        CHECK (outcome IN ('retried', 'dead', 'handed_back', 'postponed', 'parked', 'cancelled', 'lost')),
    error      text,
    PRIMARY KEY (job_id, claim)
);

-- Queues from which nothing is taken.
CREATE TABLE paused_queues (
    queue     text PRIMARY KEY,
    paused_at timestamptz NOT NULL,
    paused_by uuid
);

-- The last tick of each periodic task that was turned into a job.
CREATE TABLE periodic_tasks (
    name      text PRIMARY KEY,
    last_tick timestamptz NOT NULL
);

-- Mails that were given to the mail server: a row before the conversation, accepted_at after its 250.
CREATE TABLE sent_mails (
    job_id      uuid PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    begun_at    timestamptz NOT NULL,
    accepted_at timestamptz
);

UPDATE roles SET permissions = permissions || '{jobs:read,jobs:write}' WHERE name = 'admin';
