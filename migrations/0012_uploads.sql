-- Uploads that can be broken off and gone on with, by any process.

CREATE TABLE uploads (
    -- That of the blob that is received.
    blob_id     uuid PRIMARY KEY,
    owner_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name        text NOT NULL,
    -- The file that it becomes a version of; NULL for a new one.
    file_id     uuid,
    -- Bytes; NULL while the client has not said.
    length      bigint CHECK (length >= 0),
    -- Bytes that are kept: those in parts, and the tail.
    position    bigint NOT NULL DEFAULT 0,
    -- Rises with everybody who goes on with it: who wrote before changes nothing any more.
    writer      integer NOT NULL DEFAULT 0,
    -- Whose tail is kept; 0 where there is none.
    tail_writer integer NOT NULL DEFAULT 0,
    -- SHA-256 over all bytes in parts.
    hash_state  bytea,
    -- All bytes are in parts, which are about to be made an object: what they hash to.
    sha256      bytea CHECK (length(sha256) = 32),
    -- What it has become: who did not hear of it asks again.
    made_file   uuid,
    updated_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX uploads_made ON uploads (updated_at) WHERE made_file IS NOT NULL;

CREATE TABLE upload_parts (
    blob_id uuid NOT NULL REFERENCES uploads ON DELETE CASCADE,
    number  integer NOT NULL,
    etag    text NOT NULL,
    PRIMARY KEY (blob_id, number)
);
