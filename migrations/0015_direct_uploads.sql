-- Uploads whose bytes clients send to S3 themselves: into a file they come when they were read back and found right.

-- Of the object that was verified: one with another tag is not it. Only bytes that came directly have one; they have no
-- key, since nobody here saw them before they were stored, and the bucket's own encryption holds.
ALTER TABLE blobs ADD COLUMN etag text;

CREATE TABLE direct_uploads (
    -- That of the blob that is received.
    blob_id    uuid PRIMARY KEY,
    owner_id   uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name       text NOT NULL,
    -- The file that it becomes a version of; NULL for a new one.
    file_id    uuid,
    -- Bytes, and what they hash to, as the client says.
    size       bigint NOT NULL CHECK (size >= 0),
    sha256     bytea NOT NULL CHECK (length(sha256) = 32),
    -- Bytes of every part but the last.
    part_size  bigint NOT NULL CHECK (part_size > 0),
    -- Verifies it; NULL while the client has not said that everything is there.
    job_id     uuid,
    -- Bytes that were read back, and SHA-256 over them, so that the next attempt goes on.
    position   bigint NOT NULL DEFAULT 0,
    hash_state bytea,
    -- What it has become, or why it became nothing: who asks later is told.
    made_file  uuid,
    refusal    text,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(made_file, refusal) < 2)
);
CREATE INDEX direct_uploads_over ON direct_uploads (updated_at) WHERE made_file IS NOT NULL OR refusal IS NOT NULL;
