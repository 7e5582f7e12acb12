-- Accounts, roles, sessions and the tokens that are mailed.

CREATE TABLE roles (
    name        text PRIMARY KEY,
    permissions text[] NOT NULL,
    built_in    boolean NOT NULL DEFAULT false
);

INSERT INTO roles (name, permissions, built_in) VALUES
    ('member', '{profile:read,profile:write,files:read,files:write,notifications:read}', true),
    ('admin',  '{profile:read,profile:write,files:read,files:write,notifications:read,audit:read}', true);

CREATE TABLE users (
    id                uuid PRIMARY KEY,
    email             text NOT NULL,
    -- The form under which an address is unique: NFKC, lower case.
    email_key         text NOT NULL UNIQUE,
    display_name      text,
    password_hash     text NOT NULL,
    email_verified_at timestamptz,
    status            text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL
);

CREATE TABLE user_roles (
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    role    text NOT NULL REFERENCES roles,
    PRIMARY KEY (user_id, role)
);

CREATE TABLE one_time_tokens (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    purpose    text NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX one_time_tokens_user ON one_time_tokens (user_id, purpose);
CREATE INDEX one_time_tokens_expiry ON one_time_tokens (expires_at);

CREATE TABLE sessions (
    id                    uuid PRIMARY KEY,
    user_id               uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    refresh_hash          bytea NOT NULL UNIQUE CHECK (length(refresh_hash) = 32),
    -- The token before the last rotation: within a short grace it answers again, after it, it is a theft.
    previous_refresh_hash bytea UNIQUE CHECK (length(previous_refresh_hash) = 32),
    rotated_at            timestamptz,
    ip                    inet,
    user_agent            text,
    authenticated_at      timestamptz NOT NULL,
    last_seen_at          timestamptz NOT NULL,
    idle_expires_at       timestamptz NOT NULL,
    expires_at            timestamptz NOT NULL,
    revoked_at            timestamptz,
    created_at            timestamptz NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (idle_expires_at);

-- Access tokens that were taken back while they were still valid.
CREATE TABLE revoked_tokens (
    id         uuid PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX revoked_tokens_expiry ON revoked_tokens (expires_at);
