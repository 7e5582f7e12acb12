-- What a client says of an upload when it begins it; tus asks for it again.

ALTER TABLE uploads ADD COLUMN metadata text;
