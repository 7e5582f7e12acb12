-- Files and the images derived from them. The bytes are in S3 under object_key.

CREATE TABLE files (
    id                  uuid PRIMARY KEY,
    owner_id            uuid NOT NULL REFERENCES users,
    name                text NOT NULL,
    content_type        text NOT NULL DEFAULT 'application/octet-stream',
    size                bigint NOT NULL DEFAULT 0,
    sha256              bytea CHECK (length(sha256) = 32),
    -- Written as uploading before the first byte goes to S3, so that nothing there is ever unknown here.
    state               text NOT NULL CHECK (state IN ('uploading', 'ready', 'deleting')),
    object_key          text NOT NULL UNIQUE,
    multipart_upload_id text,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    CHECK (state = 'uploading' OR sha256 IS NOT NULL OR state = 'deleting')
);
CREATE INDEX files_owner ON files (owner_id, id DESC) WHERE state = 'ready';
CREATE INDEX files_unfinished ON files (updated_at) WHERE state <> 'ready';

CREATE TABLE file_variants (
    file_id      uuid NOT NULL REFERENCES files ON DELETE CASCADE,
    preset       text NOT NULL,
    state        text NOT NULL CHECK (state IN ('pending', 'ready', 'failed')),
    object_key   text,
    width        integer,
    height       integer,
    content_type text,
    size         bigint,
    reason       text,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (file_id, preset),
    CHECK (state <> 'ready' OR num_nonnulls(object_key, width, height, content_type, size) = 5)
);
