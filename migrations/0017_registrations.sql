-- Registrations that are not proved yet. They hold nothing: no address, no account.

CREATE TABLE registrations (
    id            uuid PRIMARY KEY,
    -- The address as written, and the form under which an account's address is unique. Not unique here.
    email         text NOT NULL,
    email_key     text NOT NULL,
    display_name  text,
    -- Compared at the proof, so that a link proves the registration of the person who opens it.
    password_hash text NOT NULL,
    -- Wrong passwords given with a valid link; the registration ends at a bound.
    failures      smallint NOT NULL DEFAULT 0,
    -- The network that asked: bounds what one of them can have mailed to one mailbox.
    network       inet,
    created_at    timestamptz NOT NULL
);
CREATE INDEX registrations_address ON registrations (email_key);
CREATE INDEX registrations_age ON registrations (created_at);

-- The mailed links of a registration. A repetition of a mail has a token of its own; earlier ones stay valid.
CREATE TABLE registration_tokens (
    token_hash      bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    registration_id uuid NOT NULL REFERENCES registrations ON DELETE CASCADE,
    expires_at      timestamptz NOT NULL,
    -- When the mail was asked for: attempts of one job mint tokens of the same moment.
    created_at      timestamptz NOT NULL
);
CREATE INDEX registration_tokens_registration ON registration_tokens (registration_id);

-- When an operator imported the account: its name, roles and hash come from a trusted system.
ALTER TABLE users ADD COLUMN imported_at timestamptz;
