-- Deletion of accounts with a grace period, in which the owner can restore the account.

ALTER TABLE users DROP CONSTRAINT users_status_check;
ALTER TABLE users ADD CONSTRAINT users_status_check CHECK (status IN ('active', 'suspended', 'deleting', 'deleted'))
    NOT VALID;

ALTER TABLE users ADD COLUMN deletion_due_at timestamptz;
COMMENT ON COLUMN users.deletion_due_at IS
    'When the account is deleted for good: of one that is deleting, and of a suspended one that was deleted.';
