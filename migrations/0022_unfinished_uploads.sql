-- Uploads under way are counted for each account.
CREATE INDEX uploads_unfinished ON uploads (owner_id) WHERE made_file IS NULL;
CREATE INDEX direct_uploads_unfinished ON direct_uploads (owner_id) WHERE made_file IS NULL AND refusal IS NULL;
