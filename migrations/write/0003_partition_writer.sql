-- One fenced writer a partition: its lease, the chain of hashes that it builds, the commands that it decided, and the
-- one function by which it appends.

-- The lease stands in the row that every append moves, so that whoever takes it waits for an append that is under way,
-- and an append under an older epoch finds nothing to move.
ALTER TABLE partitions
    -- The hash of the partition's last event, which covers all events before it. Of an empty partition: zeros.
    ADD COLUMN head_hash     bytea       NOT NULL DEFAULT decode(repeat('00', 32), 'hex')
                                         CHECK (octet_length(head_hash) = 32),
    -- How many commands were recorded.
    ADD COLUMN head_sequence bigint      NOT NULL DEFAULT 0 CHECK (head_sequence >= 0),
    -- Who may append, until when by the database's clock, and the how-manieth holder it is.
    ADD COLUMN lease_owner   text        CHECK (lease_owner <> ''),
    ADD COLUMN lease_epoch   bigint      NOT NULL DEFAULT 0 CHECK (lease_epoch >= 0),
    ADD COLUMN lease_until   timestamptz NOT NULL DEFAULT '-infinity';

-- A link of the chain: SHA-256 over the hash before and the whole event, each text and each array of bytes preceded by
-- its length. `host/src/event_store/chain.rs` computes the same.
CREATE FUNCTION event_hash(before bytea, event events) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(
        before || int4send(event.partition) || int8send(event.position)
        || int8send(octet_length(event.stream)) || convert_to(event.stream, 'UTF8')
        || int8send(event.stream_version)
        || int8send(octet_length(event.type)) || convert_to(event.type, 'UTF8')
        || int4send(event.schema_version)
        || int8send(octet_length(event.payload)) || event.payload
        || uuid_send(event.event_id) || uuid_send(event.correlation_id) || uuid_send(event.causation_id)
        || int8send(octet_length(event.actor)) || convert_to(event.actor, 'UTF8')
        || event.component_digest
        || int8send((extract(epoch FROM event.recorded_at) * 1000)::bigint)
    )
$$;

ALTER TABLE events ADD COLUMN hash bytea;

-- Events from before the chain are linked as they stand.
DO $$
DECLARE
    part   record;
    event  events;
    before bytea;
BEGIN
    FOR part IN SELECT partition, head_hash FROM partitions LOOP
        before := part.head_hash;
        FOR event IN SELECT * FROM events WHERE partition = part.partition ORDER BY position LOOP
            before := event_hash(before, event);
            UPDATE events SET hash = before WHERE partition = event.partition AND position = event.position;
        END LOOP;
        UPDATE partitions SET head_hash = before WHERE partition = part.partition;
    END LOOP;
END
$$;

ALTER TABLE events
    ALTER COLUMN hash SET NOT NULL,
    ADD CONSTRAINT events_hash_check CHECK (octet_length(hash) = 32);

-- What was decided, with what came of it: so that every decision can be made again and compared.
CREATE TABLE commands (
    partition          integer     NOT NULL CHECK (partition >= 0),
    -- Gapless within the partition, from 1: the order in which they were decided.
    sequence           bigint      NOT NULL CHECK (sequence > 0),
    idempotency_key    text        NOT NULL CHECK (idempotency_key <> ''),
    stream             text        NOT NULL CHECK (stream <> ''),
    routing_key        text        NOT NULL CHECK (routing_key <> ''),
    type               text        NOT NULL CHECK (type <> ''),
    schema_version     integer     NOT NULL CHECK (schema_version > 0),
    payload            bytea       NOT NULL,
    actor              text        NOT NULL CHECK (actor <> ''),
    accepted_at        timestamptz NOT NULL,
    component_digest   bytea       NOT NULL CHECK (octet_length(component_digest) = 32),
    -- The stream's version on which it was decided, and how many events came of it.
    expected_version   bigint      NOT NULL CHECK (expected_version >= 0),
    event_count        integer     NOT NULL CHECK (event_count >= 0),
    -- Or why nothing happened.
    rejection_code     text        CHECK (rejection_code <> ''),
    rejection_detail   text,
    PRIMARY KEY (partition, sequence),
    CHECK ((rejection_code IS NULL) = (rejection_detail IS NULL)),
    CHECK (rejection_code IS NULL OR event_count = 0)
) PARTITION BY LIST (partition);

-- The code that decides, so that it can decide again.
CREATE TABLE components (
    digest        bytea       PRIMARY KEY CHECK (digest = sha256(wasm)),
    name          text        NOT NULL CHECK (name <> ''),
    wasm          bytea       NOT NULL,
    first_used_at timestamptz NOT NULL DEFAULT now()
);

-- States that need not be folded again. Safe to lose; of another component or state version they are not used.
CREATE TABLE snapshots (
    stream           text    PRIMARY KEY REFERENCES streams,
    version          bigint  NOT NULL CHECK (version > 0),
    component_digest bytea   NOT NULL CHECK (octet_length(component_digest) = 32),
    state_version    integer NOT NULL CHECK (state_version >= 0),
    state            bytea   NOT NULL
);

-- The inbox, in periods: what is older than the retention goes with its whole period, and leaves nothing to vacuum.
CREATE TABLE inbox_periods (
    starts_on date PRIMARY KEY
);

ALTER TABLE inbox RENAME TO inbox_before;
ALTER TABLE inbox_before RENAME CONSTRAINT inbox_pkey TO inbox_before_pkey;

CREATE TABLE inbox (
    period          date        NOT NULL,
    idempotency_key text        NOT NULL CHECK (idempotency_key <> ''),
    partition       integer     NOT NULL,
    body_digest     bytea       NOT NULL CHECK (octet_length(body_digest) = 32),
    answer          jsonb       NOT NULL,
    answered_at     timestamptz NOT NULL,
    PRIMARY KEY (idempotency_key, period)
) PARTITION BY LIST (period);

CREATE FUNCTION begin_inbox_period(on_day date) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_periods VALUES (on_day) ON CONFLICT DO NOTHING;
    EXECUTE format('CREATE TABLE IF NOT EXISTS inbox_%s PARTITION OF inbox FOR VALUES IN (%L)',
                   to_char(on_day, 'YYYYMMDD'), on_day);
END
$$;

-- Ends what is older than the retention, and begins a new period when the newest has lasted long enough.
CREATE FUNCTION keep_inbox(today date, retention_days integer, period_days integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ended date;
BEGIN
    LOCK TABLE inbox_periods IN SHARE ROW EXCLUSIVE MODE;
    IF NOT EXISTS (SELECT FROM inbox_periods WHERE starts_on > today - period_days) THEN
        PERFORM begin_inbox_period(today);
    END IF;
    -- A period has ended when the next one began.
    FOR ended IN
        SELECT starts_on FROM (
            SELECT starts_on, lead(starts_on) OVER (ORDER BY starts_on) AS ended_on FROM inbox_periods
        ) AS periods
        WHERE ended_on < today - retention_days
    LOOP
        EXECUTE format('DROP TABLE inbox_%s', to_char(ended, 'YYYYMMDD'));
        DELETE FROM inbox_periods WHERE starts_on = ended;
    END LOOP;
END
$$;

SELECT begin_inbox_period(current_date);
INSERT INTO inbox (period, idempotency_key, partition, body_digest, answer, answered_at)
SELECT current_date, idempotency_key, partition, body_digest, answer, answered_at FROM inbox_before;
DROP TABLE inbox_before;

-- Lays out a new log, as before, with the commands beside the events.
CREATE OR REPLACE FUNCTION create_partitions(partition_count integer) RETURNS void LANGUAGE plpgsql AS $$
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
        EXECUTE format('CREATE TABLE commands_p%s PARTITION OF commands FOR VALUES IN (%s)', number, number);
    END LOOP;
END
$$;

DO $$
DECLARE
    number integer;
BEGIN
    FOR number IN SELECT partition FROM partitions LOOP
        EXECUTE format('CREATE TABLE commands_p%s PARTITION OF commands FOR VALUES IN (%s)', number, number);
    END LOOP;
END
$$;

-- Appends a batch to a partition: events, streams, commands, answers and snapshots, or nothing. It is one statement for
-- the writer, so one round trip and one flush. Errors of its own:
--   CF001  the lease is not the writer's any more
--   CF002  the partition or a stream is not where the writer believes it to be
CREATE FUNCTION append_batch(
    to_partition integer, writer text, epoch bigint, lease interval,
    expected_position bigint, expected_hash bytea, expected_sequence bigint, now_is timestamptz,
    -- The streams that move, each once: from a version (0: it is new) to another.
    stream_names text[], stream_keys text[], stream_from bigint[], stream_to bigint[],
    -- The events, in order.
    event_streams text[], event_versions bigint[], event_types text[], event_schema_versions integer[],
    event_payloads bytea[], event_ids uuid[], event_correlations uuid[], event_causations uuid[], event_actors text[],
    event_digests bytea[], event_hashes bytea[],
    -- The commands, in order. What was rejected has a code and a detail.
    command_keys text[], command_bodies bytea[], command_answers jsonb[], command_streams text[],
    command_routing_keys text[], command_types text[], command_schema_versions integer[], command_payloads bytea[],
    command_actors text[], command_digests bytea[], command_versions bigint[], command_event_counts integer[],
    command_rejections text[], command_details text[],
    -- The snapshots, each of a stream.
    snapshot_streams text[], snapshot_versions bigint[], snapshot_digests bytea[], snapshot_state_versions integer[],
    snapshot_states bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    opened    bigint;
    moved     bigint;
    in_period date;
BEGIN
    UPDATE partitions SET
        head_position = expected_position + cardinality(event_streams),
        head_hash     = COALESCE(event_hashes[cardinality(event_hashes)], expected_hash),
        head_sequence = expected_sequence + cardinality(command_keys),
        lease_until   = clock_timestamp() + lease
    WHERE partition = to_partition AND lease_owner = writer AND lease_epoch = epoch
      AND lease_until > clock_timestamp()
      AND head_position = expected_position AND head_hash = expected_hash AND head_sequence = expected_sequence;
    IF NOT FOUND THEN
        IF EXISTS (SELECT FROM partitions WHERE partition = to_partition AND lease_owner = writer
                   AND lease_epoch = epoch AND lease_until > clock_timestamp()) THEN
            RAISE EXCEPTION 'partition % is not at position %', to_partition, expected_position
                USING ERRCODE = 'CF002';
        END IF;
        RAISE EXCEPTION 'the lease of partition % is not held in epoch %', to_partition, epoch
            USING ERRCODE = 'CF001';
    END IF;

    IF cardinality(stream_names) > 0 THEN
        INSERT INTO streams (stream, partition, routing_key, version)
        SELECT name, to_partition, routing_key, version
        FROM UNNEST(stream_names, stream_keys, stream_from, stream_to) AS new(name, routing_key, old, version)
        WHERE old = 0
        -- In one order everywhere: two partitions that open the same streams must not wait for each other.
        ORDER BY name
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS opened = ROW_COUNT;
        UPDATE streams SET version = change.version
        FROM UNNEST(stream_names, stream_from, stream_to) AS change(name, old, version)
        WHERE streams.stream = change.name AND streams.partition = to_partition
          AND change.old > 0 AND streams.version = change.old;
        GET DIAGNOSTICS moved = ROW_COUNT;
        IF opened + moved <> cardinality(stream_names) THEN
            RAISE EXCEPTION 'a stream of partition % is not at its version', to_partition USING ERRCODE = 'CF002';
        END IF;
        INSERT INTO events (partition, position, stream, stream_version, type, schema_version, payload, event_id,
                            correlation_id, causation_id, actor, component_digest, recorded_at, hash)
        SELECT to_partition, expected_position + nth, stream, version, type, schema_version, payload, id,
               correlation, causation, actor, digest, now_is, hash
        FROM UNNEST(event_streams, event_versions, event_types, event_schema_versions, event_payloads, event_ids,
                    event_correlations, event_causations, event_actors, event_digests, event_hashes)
             WITH ORDINALITY AS new(stream, version, type, schema_version, payload, id, correlation, causation, actor,
                                    digest, hash, nth);
    END IF;

    SELECT max(starts_on) INTO in_period FROM inbox_periods;
    INSERT INTO inbox (period, idempotency_key, partition, body_digest, answer, answered_at)
    SELECT in_period, key, to_partition, body, answer, now_is
    FROM UNNEST(command_keys, command_bodies, command_answers) AS new(key, body, answer)
    -- In one order everywhere: two partitions that insert the same keys must not wait for each other.
    ORDER BY key;
    INSERT INTO commands (partition, sequence, idempotency_key, stream, routing_key, type, schema_version, payload,
                          actor, accepted_at, component_digest, expected_version, event_count, rejection_code,
                          rejection_detail)
    SELECT to_partition, expected_sequence + nth, key, stream, routing_key, type, schema_version, payload, actor,
           now_is, digest, version, event_count, rejection, detail
    FROM UNNEST(command_keys, command_streams, command_routing_keys, command_types, command_schema_versions,
                command_payloads, command_actors, command_digests, command_versions, command_event_counts,
                command_rejections, command_details)
         WITH ORDINALITY AS new(key, stream, routing_key, type, schema_version, payload, actor, digest, version,
                                event_count, rejection, detail, nth);

    IF cardinality(snapshot_streams) > 0 THEN
        INSERT INTO snapshots (stream, version, component_digest, state_version, state)
        SELECT * FROM UNNEST(snapshot_streams, snapshot_versions, snapshot_digests, snapshot_state_versions,
                             snapshot_states)
        ON CONFLICT (stream) DO UPDATE SET
            version = excluded.version, component_digest = excluded.component_digest,
            state_version = excluded.state_version, state = excluded.state
        WHERE snapshots.version < excluded.version OR snapshots.component_digest <> excluded.component_digest;
    END IF;
END
$$;

-- For people: the log with its payloads as JSON, and its chain.
CREATE OR REPLACE VIEW events_readable AS
SELECT partition, position, stream, stream_version, type, schema_version,
       readable_payload(payload) AS payload,
       event_id, correlation_id, causation_id, actor,
       encode(component_digest, 'hex') AS component_digest, recorded_at,
       encode(hash, 'hex') AS hash
FROM events;
