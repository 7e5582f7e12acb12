#!/bin/sh
# Writes random secrets for docker-compose.yml into deploy/secrets/. What is there already stays.
set -eu
umask 077
mkdir -p "$(dirname "$0")/secrets"
cd "$(dirname "$0")/secrets"

# Hexadecimal, so that a URL and redis.conf take it as it is.
random() {
    od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n'
}

# The folder is closed (umask), the files are not: Compose mounts them with the mode that they
# have here, and every container runs as another user.
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
