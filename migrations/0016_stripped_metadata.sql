-- What was done about the metadata of pictures: of those of before there was a policy, and where there is none, nothing.

ALTER TABLE blobs
    ADD COLUMN metadata       text NOT NULL DEFAULT 'kept'
        CHECK (metadata IN ('kept', 'pending', 'stripped', 'failed')),
    -- Takes it out, or did.
    ADD COLUMN strip_job_id   uuid,
    -- Why it cannot be taken out, in words for the owner.
    ADD COLUMN strip_failure  text,
    ADD CHECK ((metadata = 'failed') = (strip_failure IS NOT NULL));

CREATE INDEX blobs_unstripped ON blobs (id) WHERE state = 'stored' AND metadata = 'pending';
