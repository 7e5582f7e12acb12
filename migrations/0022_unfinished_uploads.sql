-- no-transaction
-- Resumable uploads under way are counted for each account.

CREATE INDEX CONCURRENTLY IF NOT EXISTS uploads_unfinished ON uploads (owner_id) WHERE made_file IS NULL;
