-- Second factors, passkeys, API keys, impersonation, signing keys, and roles that ask for a second factor.

-- An account that logs in with passkeys alone has no password.
ALTER TABLE users ALTER COLUMN password_hash DROP NOT NULL;
-- What was trusted because of a password ends with it: devices remembered before this are strangers.
ALTER TABLE users ADD COLUMN password_changed_at timestamptz;
-- A deleted account keeps its row, without anything personal, so that the audit log's ids name something.
ALTER TABLE users DROP CONSTRAINT users_status_check;
ALTER TABLE users ADD CONSTRAINT users_status_check CHECK (status IN ('active', 'suspended', 'deleted'));

-- A holder of such a role can do nothing before he has proved a second factor.
ALTER TABLE roles ADD COLUMN requires_mfa boolean NOT NULL DEFAULT false;
ALTER TABLE roles ADD COLUMN description text;
UPDATE roles SET permissions = permissions || '{credentials:read,credentials:write}';
UPDATE roles SET permissions = permissions
    || '{users:read,users:write,users:impersonate,roles:read,roles:write}' WHERE name = 'admin';
CREATE INDEX user_roles_role ON user_roles (role);

-- How the owner of a session proved who he is (RFC 8176), and who acts in his name.
ALTER TABLE sessions ADD COLUMN amr text[] NOT NULL DEFAULT '{pwd}';
ALTER TABLE sessions ADD COLUMN impersonator_id uuid REFERENCES users;
ALTER TABLE sessions ADD COLUMN impersonation_reason text;
CREATE INDEX sessions_impersonator ON sessions (impersonator_id) WHERE impersonator_id IS NOT NULL;

-- The address that a token is about, where it is not the account's present one.
ALTER TABLE one_time_tokens ADD COLUMN email text;

ALTER TABLE audit_events ADD COLUMN impersonator_id uuid;
ALTER TABLE audit_events ADD COLUMN api_key_id uuid;

CREATE TABLE totp_factors (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name         text NOT NULL,
    -- Sealed with a key derived from the root key.
    secret       bytea NOT NULL,
    -- Null until a first code has shown that the authenticator has the secret.
    confirmed_at timestamptz,
    -- The time step of the last code that was taken: none at or before it is taken again (RFC 6238, section 5.2).
    last_step    bigint NOT NULL DEFAULT 0,
    last_used_at timestamptz,
    created_at   timestamptz NOT NULL
);
CREATE INDEX totp_factors_user ON totp_factors (user_id);

CREATE TABLE recovery_codes (
    code_hash  bytea PRIMARY KEY CHECK (length(code_hash) = 32),
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL
);
CREATE INDEX recovery_codes_user ON recovery_codes (user_id);

CREATE TABLE passkeys (
    id            uuid PRIMARY KEY,
    user_id       uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name          text NOT NULL,
    credential_id bytea NOT NULL UNIQUE,
    -- Public key, counter and flags, as webauthn-rs keeps them.
    credential    jsonb NOT NULL,
    last_used_at  timestamptz,
    created_at    timestamptz NOT NULL
);
CREATE INDEX passkeys_user ON passkeys (user_id);

-- A proof that is under way: between the password and the second factor, or within a WebAuthn ceremony.
CREATE TABLE challenges (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    purpose    text NOT NULL,
    -- Null where the passkey itself will say whose it is.
    user_id    uuid REFERENCES users ON DELETE CASCADE,
    -- The session that a step-up or an enrolment belongs to.
    session_id uuid REFERENCES sessions ON DELETE CASCADE,
    -- What was proved so far (RFC 8176).
    amr        text[] NOT NULL DEFAULT '{}',
    -- The server's side of a WebAuthn ceremony.
    state      jsonb,
    failures   smallint NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX challenges_expiry ON challenges (expires_at);
CREATE INDEX challenges_user ON challenges (user_id);

CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name         text NOT NULL,
    token_hash   bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    -- The beginning of the token, to tell one from another in a list.
    hint         text NOT NULL,
    scopes       text[] NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    created_at   timestamptz NOT NULL
);
CREATE INDEX api_keys_user ON api_keys (user_id, id DESC);
CREATE INDEX api_keys_expiry ON api_keys (expires_at);

-- Keys that access tokens are signed with; the one that became active last signs.
CREATE TABLE signing_keys (
    kid          text PRIMARY KEY,
    public_key   bytea NOT NULL CHECK (length(public_key) = 32),
    -- The seed, sealed with a key derived from the root key.
    private_key  bytea NOT NULL,
    -- Known to every replica, and published, before it signs.
    activates_at timestamptz NOT NULL,
    -- From then on its tokens are refused; null while it signs or is to sign.
    retires_at   timestamptz,
    created_at   timestamptz NOT NULL
);
