# Two images from one build: `docker build --target api .` and `docker build --target worker .`

FROM rust:1.95.0-bookworm AS build
WORKDIR /src
# Without nasm at build time, JPEG decoding takes twice as long. Nothing of it is in the images.
RUN apt-get update && apt-get install --yes --no-install-recommends nasm=2.16.* && rm -rf /var/lib/apt/lists/*
# No database at build time: queries are checked against the committed .sqlx/.
ENV SQLX_OFFLINE=true
COPY . .
# target/ is a cache mount, which no image layer contains, so the same step copies the binaries. The
# C code (aws-lc-sys, libwebp-sys, mimalloc, mozjpeg-sys) needs this image's compiler and no cmake.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package plinth-api --package plinth-worker \
    && install -D -t /out target/release/plinth-api target/release/plinth-worker target/release/plinth-image-sandbox
# Everything that the binaries need at run time: their shared libraries, the certificate authorities
# (S3, SMTP), and glibc's lookup order, which without this file prefers DNS to /etc/hosts.
RUN mkdir -p /image/etc/ssl/certs \
    && ldd /out/* > /tmp/ldd \
    && grep -o '/[^ ]*\.so[^ ]*' /tmp/ldd > /tmp/libraries \
    && sort -u -o /tmp/libraries /tmp/libraries \
    && xargs -a /tmp/libraries cp --parents --dereference -t /image \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
    && echo 'hosts: files dns' > /image/etc/nsswitch.conf

# An empty base: an intruder finds no shell and no package manager.
FROM scratch AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.vendor="Plinth" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image /
# All licences that a binary distribution must reproduce.
COPY LICENSE THIRD-PARTY-NOTICES /licenses/
# A number, because Kubernetes cannot tell from a name whether the user is root.
USER 65532:65532
# Starts the drain; see PLINTH_API_SHUTDOWN_GRACE and PLINTH_WORKER_SHUTDOWN_GRACE.
STOPSIGNAL SIGTERM
# No HEALTHCHECK: the image has no client for it, and the orchestrator or balancer requests /healthz
# and /readyz on the internal port.

FROM runtime AS api
LABEL org.opencontainers.image.title="plinth-api"
COPY --from=build /out/plinth-api /usr/local/bin/plinth-api
# The defaults are loopback addresses, which are unreachable from outside the container.
ENV PLINTH_API_BIND=0.0.0.0:8080 \
    PLINTH_API_INTERNAL_BIND=0.0.0.0:8081
EXPOSE 8080 8081
ENTRYPOINT ["/usr/local/bin/plinth-api"]
CMD ["serve"]

FROM runtime AS worker
LABEL org.opencontainers.image.title="plinth-worker"
COPY --from=build /out/plinth-worker /out/plinth-image-sandbox /usr/local/bin/
ENV PLINTH_WORKER_INTERNAL_BIND=0.0.0.0:9081
EXPOSE 9081
ENTRYPOINT ["/usr/local/bin/plinth-worker"]
CMD ["run"]
