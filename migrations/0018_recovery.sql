-- Recovery of accounts: changes of address that can be undone, and factors that a reset of the password suspends.

-- A change of address that the old address can undo. Nobody else can take the old address until then.
CREATE TABLE email_undos (
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    email_key  text NOT NULL,
    changed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    waived_at  timestamptz,
    PRIMARY KEY (user_id, email_key)
);
COMMENT ON COLUMN email_undos.email_key IS 'The unique form of the address that the account had before the change.';
COMMENT ON COLUMN email_undos.changed_at IS 'When the account got its next address.';
COMMENT ON COLUMN email_undos.expires_at IS 'From then on the change stands and the address is free.';
COMMENT ON COLUMN email_undos.waived_at IS 'When the owner gave up undoing the change; no link is mailed after it.';
CREATE INDEX email_undos_address ON email_undos (email_key);
CREATE INDEX email_undos_expiry ON email_undos (expires_at);

-- Links of before this release.
INSERT INTO email_undos (user_id, email_key, changed_at, expires_at)
SELECT user_id, lower(email), max(created_at), max(expires_at) FROM one_time_tokens
WHERE purpose = 'undo_email_change' AND email IS NOT NULL
GROUP BY user_id, lower(email);

ALTER TABLE totp_factors ADD COLUMN suspended_at timestamptz;
ALTER TABLE passkeys ADD COLUMN suspended_at timestamptz;
ALTER TABLE recovery_codes ADD COLUMN suspended_at timestamptz;
COMMENT ON COLUMN totp_factors.suspended_at IS
    'When a reset of the password suspended it: it proves nothing, and goes once an older factor was proved.';
COMMENT ON COLUMN passkeys.suspended_at IS
    'When a reset of the password suspended it: it proves nothing, and goes once an older factor was proved.';
COMMENT ON COLUMN recovery_codes.suspended_at IS
    'When a reset of the password suspended it: it proves nothing, and goes once an older factor was proved.';

ALTER TABLE users ADD COLUMN recovery_from timestamptz;
ALTER TABLE users ADD COLUMN retired_password_hashes text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN users.recovery_from IS
    'Set while only a mailed link lets the owner in again; factors added from then on are not trusted.';
COMMENT ON COLUMN users.retired_password_hashes IS
    'The hashes of earlier passwords, the oldest first. Those of the recovery window before the last change cannot be chosen by a mailed link: an intruder may know them.';
