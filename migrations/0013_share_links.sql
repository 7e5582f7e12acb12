-- Links by which anybody who has one reads the current version of a file. One that is revoked has no row.

CREATE TABLE share_links (
    id            uuid PRIMARY KEY,
    file_id       uuid NOT NULL REFERENCES files ON DELETE CASCADE,
    token_hash    bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    password_hash text,
    -- NULL for as many as there are asked for.
    max_downloads integer CHECK (max_downloads > 0),
    downloads     bigint NOT NULL DEFAULT 0,
    expires_at    timestamptz NOT NULL,
    created_at    timestamptz NOT NULL,
    CHECK (downloads <= max_downloads)
);
CREATE INDEX share_links_of_file ON share_links (file_id, id);
CREATE INDEX share_links_expiry ON share_links (expires_at);
