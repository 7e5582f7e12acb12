#!/bin/sh
# Runs once, on an empty data directory. The role plinth owns its database and is not a superuser.
set -eu
# psql reads the password, so that it does not appear in a process list.
psql --set ON_ERROR_STOP=1 --username postgres <<'SQL'
\set password `cat /run/secrets/postgres_password`
CREATE ROLE plinth LOGIN PASSWORD :'password';
CREATE DATABASE plinth OWNER plinth;
REVOKE ALL ON DATABASE plinth FROM PUBLIC;
SQL
