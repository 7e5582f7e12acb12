-- Checks existing rows without keeping others out, which adding the constraint did not.

ALTER TABLE share_links VALIDATE CONSTRAINT share_links_version;
