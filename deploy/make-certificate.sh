#!/bin/sh
# Creates a self-signed certificate for localhost in /tls, unless one exists.
set -eu
cd /tls
if [ -s server.pem ] && [ -s server.key ]; then
    exit 0
fi
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 365 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
    -keyout server.key -out server.pem
# nginx runs as user 101.
chown 101:101 server.key
