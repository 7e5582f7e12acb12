-- Bytes get a table of their own: a file has versions, equal bytes of one account are kept once, and what is being
-- received is no file yet. Deleted files wait in the trash. What an account takes is counted.

CREATE TABLE blobs (
    id                  uuid PRIMARY KEY,
    owner_id            uuid NOT NULL REFERENCES users,
    -- Written as receiving before the first byte goes to S3, so that nothing there is ever unknown here.
    state               text NOT NULL CHECK (state IN ('receiving', 'stored', 'removing')),
    object_key          text NOT NULL UNIQUE,
    multipart_upload_id text,
    -- Bytes of the account's quota that are set aside while it is received.
    reserved            bigint NOT NULL DEFAULT 0,
    content_type        text NOT NULL DEFAULT 'application/octet-stream',
    -- Bytes, as they were before they were sealed.
    size                bigint NOT NULL DEFAULT 0,
    sha256              bytea CHECK (length(sha256) = 32),
    -- The key that seals it, wrapped by a master key. One of before there were keys has none and is not sealed.
    data_key            bytea,
    master_key          text,
    -- The first chunk of each writer of it.
    segments            integer[] NOT NULL DEFAULT '{0}',
    -- Makes its variants, or did.
    job_id              uuid,
    -- Of a picture, as it is seen: turned upright.
    width               integer,
    height              integer,
    -- RFC 3339, as the camera's clock showed it: without an offset where the camera did not tell it.
    taken_at            text,
    -- What stands for the picture until it is there.
    blurhash            text,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    CHECK (state <> 'stored' OR sha256 IS NOT NULL),
    CHECK (num_nonnulls(data_key, master_key) <> 1)
);

INSERT INTO blobs (id, owner_id, state, object_key, multipart_upload_id, content_type, size, sha256, job_id, width, height,
                   taken_at, blurhash, created_at, updated_at)
SELECT id, owner_id,
       CASE state WHEN 'uploading' THEN 'receiving' WHEN 'ready' THEN 'stored' ELSE 'removing' END,
       object_key, multipart_upload_id, content_type, size, sha256, job_id, width, height,
       taken_at, blurhash, created_at, updated_at
FROM files;

CREATE INDEX blobs_same ON blobs (owner_id, sha256) WHERE state = 'stored';
CREATE INDEX blobs_unfinished ON blobs (updated_at) WHERE state <> 'stored';
CREATE INDEX blobs_master_key ON blobs (master_key, id) WHERE master_key IS NOT NULL;

-- A variant belongs to the bytes that it was made of.
ALTER TABLE file_variants DROP CONSTRAINT file_variants_file_id_fkey;
ALTER TABLE file_variants RENAME COLUMN file_id TO blob_id;
ALTER TABLE file_variants ADD FOREIGN KEY (blob_id) REFERENCES blobs ON DELETE CASCADE;
-- Of its own bytes; its key is derived from it. One of before has none and is not sealed.
ALTER TABLE file_variants ADD COLUMN sha256 bytea CHECK (length(sha256) = 32);

DELETE FROM files WHERE state <> 'ready';
ALTER TABLE files
    DROP COLUMN state,
    DROP COLUMN object_key,
    DROP COLUMN multipart_upload_id,
    DROP COLUMN sha256,
    DROP COLUMN job_id,
    DROP COLUMN width,
    DROP COLUMN height,
    DROP COLUMN taken_at,
    DROP COLUMN blurhash,
    ADD COLUMN blob_id    uuid REFERENCES blobs,
    -- The number of the version that it shows.
    ADD COLUMN version    integer NOT NULL DEFAULT 1,
    ADD COLUMN trashed_at timestamptz;
UPDATE files SET blob_id = id;
ALTER TABLE files ALTER COLUMN blob_id SET NOT NULL, ALTER COLUMN content_type DROP DEFAULT, ALTER COLUMN size DROP DEFAULT;

CREATE TABLE file_versions (
    file_id    uuid NOT NULL REFERENCES files ON DELETE CASCADE,
    number     integer NOT NULL,
    blob_id    uuid NOT NULL REFERENCES blobs,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (file_id, number)
);
INSERT INTO file_versions (file_id, number, blob_id, created_at) SELECT id, 1, blob_id, created_at FROM files;
CREATE INDEX file_versions_blob ON file_versions (blob_id);

CREATE INDEX files_of_owner ON files (owner_id, id) WHERE trashed_at IS NULL;
CREATE INDEX files_by_name ON files (owner_id, name, id) WHERE trashed_at IS NULL;
CREATE INDEX files_by_size ON files (owner_id, size, id) WHERE trashed_at IS NULL;
CREATE INDEX files_by_type ON files (owner_id, split_part(content_type, '/', 1), id) WHERE trashed_at IS NULL;
CREATE INDEX files_in_trash ON files (owner_id, id) WHERE trashed_at IS NOT NULL;
CREATE INDEX files_trashed ON files (trashed_at) WHERE trashed_at IS NOT NULL;

CREATE TABLE file_tags (
    owner_id uuid NOT NULL,
    tag      text NOT NULL,
    file_id  uuid NOT NULL REFERENCES files ON DELETE CASCADE,
    PRIMARY KEY (owner_id, tag, file_id)
);
CREATE INDEX file_tags_of_file ON file_tags (file_id);

-- What an account takes: its stored blobs, what is set aside for those being received, its files.
CREATE TABLE storage_usage (
    owner_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    bytes    bigint NOT NULL DEFAULT 0,
    reserved bigint NOT NULL DEFAULT 0,
    files    bigint NOT NULL DEFAULT 0
);
INSERT INTO storage_usage (owner_id, bytes, files)
SELECT owner_id, sum(size), count(*) FROM blobs WHERE state = 'stored' GROUP BY owner_id;
