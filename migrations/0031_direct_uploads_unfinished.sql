-- no-transaction
-- Direct uploads under way are counted for each account.

CREATE INDEX CONCURRENTLY IF NOT EXISTS direct_uploads_unfinished
    ON direct_uploads (owner_id) WHERE made_file IS NULL AND refusal IS NULL;
