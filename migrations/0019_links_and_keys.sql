-- Share links remember what made them, and API keys whether a second factor was proved when they were made.

ALTER TABLE share_links ADD COLUMN owner_id uuid;
ALTER TABLE share_links ADD COLUMN session_id uuid;
ALTER TABLE share_links ADD COLUMN api_key_id uuid;
ALTER TABLE share_links ADD COLUMN version integer;
COMMENT ON COLUMN share_links.owner_id IS
    'The owner of the file, so that all links of an account are found by an index. Filled by a trigger if it is not given.';
COMMENT ON COLUMN share_links.session_id IS
    'The session that made the link. NULL if an API key made it, or a release before this column.';
COMMENT ON COLUMN share_links.api_key_id IS
    'The API key that made the link, which ends with the key. NULL if a session made it, or a release before this column.';
COMMENT ON COLUMN share_links.version IS
    'The version of the file that the link is pinned to. NULL for a link that shows the current version.';
-- A link that is pinned to a version ends with the version.
ALTER TABLE share_links ADD CONSTRAINT share_links_version
    FOREIGN KEY (file_id, version) REFERENCES file_versions (file_id, number) ON DELETE CASCADE NOT VALID;

-- The previous release inserts links without their owner.
CREATE FUNCTION share_links_fill_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT owner_id INTO NEW.owner_id FROM files WHERE id = NEW.file_id;
    RETURN NEW;
END
$$;
CREATE TRIGGER share_links_owner BEFORE INSERT ON share_links
    FOR EACH ROW WHEN (NEW.owner_id IS NULL) EXECUTE FUNCTION share_links_fill_owner();

ALTER TABLE api_keys ADD COLUMN multi_factor boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN api_keys.multi_factor IS
    'Whether the session that made the key had proved a second factor. Only such a key satisfies a role that requires one.';
