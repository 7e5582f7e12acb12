-- The ledger of background jobs: the truth about every one of them; Redis only carries "run job N now".

CREATE TABLE jobs (
    id              uuid PRIMARY KEY,
    queue           text NOT NULL,
    kind            text NOT NULL,
    payload         jsonb NOT NULL,
    payload_version smallint NOT NULL,
    state           text NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'retrying', 'done', 'dead', 'cancelled')),
    -- Claims so far.
    attempt         smallint NOT NULL DEFAULT 0,
    max_attempts    smallint NOT NULL,
    run_at          timestamptz NOT NULL,
    -- Held by a worker until then; past it the job is due again.
    lease_until     timestamptz,
    lease_owner     text,
    -- When it was last handed to Redis.
    dispatched_at   timestamptz,
    last_error      text,
    -- W3C trace context of whoever asked for it.
    traceparent     text,
    user_id         uuid,
    created_at      timestamptz NOT NULL,
    finished_at     timestamptz
);
CREATE INDEX jobs_waiting ON jobs (run_at) WHERE state IN ('queued', 'retrying');
CREATE INDEX jobs_leases ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE state IN ('done', 'cancelled');
-- When a kind was last asked for: the periodic ones.
CREATE INDEX jobs_kind ON jobs (kind, created_at);
