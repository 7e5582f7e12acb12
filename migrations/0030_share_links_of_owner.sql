-- no-transaction
-- All links of an account.

CREATE INDEX CONCURRENTLY IF NOT EXISTS share_links_of_owner ON share_links (owner_id, id);
