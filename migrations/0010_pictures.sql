-- What is known of pictures, and by which recipe each derived image was made.

ALTER TABLE files
    -- Pixels, of the picture as it is seen: turned upright.
    ADD COLUMN width    integer,
    ADD COLUMN height   integer,
    -- RFC 3339, as the camera's clock showed it: without an offset where the camera did not tell it.
    ADD COLUMN taken_at text,
    -- What stands for the picture until it is there.
    ADD COLUMN blurhash text;

ALTER TABLE file_variants
    -- As the settings had it; null where nobody knows any more.
    ADD COLUMN recipe text;
