# A stand-in: Debian's Caddy.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends caddy && rm -rf /var/lib/apt/lists/* && mkdir -p /data
