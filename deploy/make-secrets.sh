#!/bin/sh
# Writes random secrets for docker-compose.yml to deploy/secrets/. Existing ones are kept.
set -eu
umask 077
mkdir -p "$(dirname "$0")/secrets"
cd "$(dirname "$0")/secrets"

# Hexadecimal, so that URLs and redis.conf need no escaping.
random() {
    od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n'
}

# Only the owner can enter the folder (umask), but the files are readable: Compose mounts them with
# their mode, and each container runs as a different user.
keep() {
    if [ ! -s "$1" ]; then
        printf '%s\n' "$2" > "$1.new"
        chmod 444 "$1.new"
        mv "$1.new" "$1"
        echo "deploy/secrets/$1 written"
    fi
}

keep secret_key "$(head -c 32 /dev/urandom | base64)"
keep postgres_superuser_password "$(random)"
keep postgres_password "$(random)"
keep database_url "postgres://plinth:$(cat postgres_password)@postgres:5432/plinth"
keep redis.conf "requirepass $(random)"
keep redis_url "redis://:$(sed -n 's/^requirepass //p' redis.conf)@redis:6379"
keep s3_secret_access_key "$(random)"
