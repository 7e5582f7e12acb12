-- What the scanner for viruses says of bytes. Those of before there was one, and of where there is none, are unscanned.

ALTER TABLE blobs
    ADD COLUMN scan       text NOT NULL DEFAULT 'unscanned'
        CHECK (scan IN ('unscanned', 'pending', 'clean', 'infected', 'too_large')),
    -- Asks the scanner, or did.
    ADD COLUMN scan_job_id uuid,
    ADD COLUMN scanned_at timestamptz,
    -- The name of what was found.
    ADD COLUMN signature  text,
    ADD CHECK ((scan = 'infected') = (signature IS NOT NULL)),
    ADD CHECK ((scan IN ('unscanned', 'pending')) = (scanned_at IS NULL));

CREATE INDEX blobs_scan ON blobs (scan, id) WHERE state = 'stored' AND scan IN ('unscanned', 'pending');
