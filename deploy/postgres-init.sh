#!/bin/sh
# Runs once, on an empty data directory. Plinth owns its database and is no superuser.
set -eu
# The password is read by psql, so that it is in no process list.
psql --set ON_ERROR_STOP=1 --username postgres <<'SQL'
\set password `cat /run/secrets/postgres_password`
CREATE ROLE plinth LOGIN PASSWORD :'password';
CREATE DATABASE plinth OWNER plinth;
REVOKE ALL ON DATABASE plinth FROM PUBLIC;
SQL
