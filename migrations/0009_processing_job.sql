-- A file names the job that processes it, so that its owner can ask how far that is.

ALTER TABLE files ADD COLUMN job_id uuid;
