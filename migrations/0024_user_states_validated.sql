-- Checks existing rows without keeping others out, which the migration before did not.

ALTER TABLE users VALIDATE CONSTRAINT users_status_check;
