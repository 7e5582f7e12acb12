-- What a fault of ours, an outage or a restored dump needs to be told apart from what a user or a job did.

-- Whose fault it is that there is no image: `unreadable` or `internal`; absent where the release before wrote it.
ALTER TABLE file_variants ADD COLUMN failure text;

-- A queue can also be paused by workers, while what all of its jobs need does not answer.
ALTER TABLE paused_queues
    -- When it is tried again. Absent if an administrator paused it: then it waits for one to resume it.
    ADD COLUMN until    timestamptz,
    -- Pauses in a row; each is longer than the one before.
    ADD COLUMN failures integer,
    -- Why, for operators.
    ADD COLUMN reason   text;

-- The identity of this database. The bucket that belongs to it names it in a marker object. Whatever of the two is put back or
-- copied no longer agrees with the other, and then nothing is removed as nobody's.
CREATE TABLE installation (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    -- Raised every hour, here and in the marker: a dump that is put back has an older one.
    generation bigint NOT NULL DEFAULT 0,
    -- The next one while it is written to the marker: after a crash either may be there.
    pending    bigint NOT NULL DEFAULT 0,
    -- When an operator said that this database and this bucket belong together. What is in the bucket from before then says
    -- nothing about the age of the database.
    adopted_at timestamptz,
    -- There is one row.
    is_only    boolean NOT NULL DEFAULT true UNIQUE CHECK (is_only)
);
INSERT INTO installation DEFAULT VALUES;
