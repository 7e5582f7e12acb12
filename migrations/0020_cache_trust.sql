-- Until when each process may believe copies in Redis. A change that Redis could not be told of waits for the end of these.

CREATE TABLE cache_trust (
    -- A start of a process.
    process        text PRIMARY KEY,
    -- By PostgreSQL's clock, and never earlier than the process believes by its own.
    believes_until timestamptz NOT NULL
);
