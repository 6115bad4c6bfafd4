-- The event log: the truth. Rows are appended, never changed, never deleted.

-- One row a partition. `head_position` is the position of the partition's last event; an append moves it from
-- the value that the writer expects, or fails. So positions have no gap, and two writers cannot interleave.
CREATE TABLE partitions (
    partition     integer PRIMARY KEY CHECK (partition >= 0),
    head_position bigint  NOT NULL DEFAULT 0 CHECK (head_position >= 0)
);

CREATE TABLE events (
    partition        integer     NOT NULL CHECK (partition >= 0),
    position         bigint      NOT NULL CHECK (position > 0),
    stream           text        NOT NULL CHECK (stream <> ''),
    stream_version   bigint      NOT NULL CHECK (stream_version > 0),
    type             text        NOT NULL CHECK (type <> ''),
    schema_version   integer     NOT NULL CHECK (schema_version > 0),
    payload          bytea       NOT NULL,
    event_id         uuid        NOT NULL,
    correlation_id   uuid        NOT NULL,
    causation_id     uuid        NOT NULL,
    actor            text        NOT NULL CHECK (actor <> ''),
    -- Which code decided: the SHA-256 of the component.
    component_digest bytea       NOT NULL CHECK (octet_length(component_digest) = 32),
    recorded_at      timestamptz NOT NULL,
    PRIMARY KEY (partition, position),
    UNIQUE (partition, stream, stream_version)
) PARTITION BY LIST (partition);

-- One row a stream: where it lives and how far it has come.
CREATE TABLE streams (
    stream      text    PRIMARY KEY CHECK (stream <> ''),
    partition   integer NOT NULL REFERENCES partitions,
    routing_key text    NOT NULL CHECK (routing_key <> ''),
    version     bigint  NOT NULL CHECK (version > 0)
);

-- Commands that were answered. A repeat gets the stored answer; the same key with another body is refused,
-- whatever partition either belongs to.
CREATE TABLE inbox (
    idempotency_key text        PRIMARY KEY CHECK (idempotency_key <> ''),
    partition       integer     NOT NULL REFERENCES partitions,
    body_digest     bytea       NOT NULL CHECK (octet_length(body_digest) = 32),
    answer          jsonb       NOT NULL,
    answered_at     timestamptz NOT NULL
);

-- What is not published yet: the positions behind `published_position`, up to the partition's head.
CREATE TABLE outbox (
    partition          integer PRIMARY KEY REFERENCES partitions,
    published_position bigint  NOT NULL DEFAULT 0 CHECK (published_position >= 0)
);

-- Lays out a new log. The number of partitions is for ever: streams are spread over it.
CREATE FUNCTION create_partitions(partition_count integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Whoever comes second at the same moment finds it done.
    LOCK TABLE partitions IN EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM partitions) THEN
        RETURN;
    END IF;
    FOR number IN 0 .. partition_count - 1 LOOP
        INSERT INTO partitions (partition) VALUES (number);
        INSERT INTO outbox (partition) VALUES (number);
        EXECUTE format('CREATE TABLE events_p%s PARTITION OF events FOR VALUES IN (%s)', number, number);
    END LOOP;
END
$$;

-- A payload for people: as JSON, or as text if it is none that the database can hold.
CREATE FUNCTION readable_payload(payload bytea) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN convert_from(payload, 'UTF8')::jsonb;
EXCEPTION WHEN data_exception THEN
    RETURN to_jsonb(encode(payload, 'escape'));
END
$$;

-- For people: the log with its payloads as JSON.
CREATE VIEW events_readable AS
SELECT partition, position, stream, stream_version, type, schema_version,
       readable_payload(payload) AS payload,
       event_id, correlation_id, causation_id, actor,
       encode(component_digest, 'hex') AS component_digest, recorded_at
FROM events;
