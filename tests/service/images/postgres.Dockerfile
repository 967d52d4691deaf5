# A stand-in with the official image's environment (POSTGRES_USER, _PASSWORD, _DB, PGDATA), where none can be pulled.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-15 && rm -rf /var/lib/apt/lists/* \
 && rm -rf /var/lib/postgresql/15 && mkdir -p /var/lib/postgresql/data
ENV PATH=/usr/lib/postgresql/15/bin:$PATH PGDATA=/var/lib/postgresql/data LANG=C.UTF-8
COPY postgres.sh /usr/local/bin/entry
ENTRYPOINT ["/usr/local/bin/entry"]
CMD ["postgres"]
STOPSIGNAL SIGINT
