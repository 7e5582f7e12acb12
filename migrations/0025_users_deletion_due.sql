-- no-transaction
-- Accounts whose grace period ends, for the clean-up.

CREATE INDEX CONCURRENTLY IF NOT EXISTS users_deletion_due ON users (id) WHERE deletion_due_at IS NOT NULL;
