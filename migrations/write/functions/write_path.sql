-- The functions of the write path as they are now: their only definition.
--
-- `clearfold migrate` applies this file after the migrations, in one transaction, if the database has another one
-- (host/base/src/database/schema.rs), and records its digest in `definitions`; a host refuses to start on any other.
-- So a change of a function is a change of this file and needs no migration; a change of a table does. A function or a
-- type that is no longer wanted stays in the lists of what is dropped.

DROP FUNCTION IF EXISTS append_batch, begin_activations;
-- A composite type cannot be replaced. Only the functions above use these.
DROP TYPE IF EXISTS append_lease, append_head, append_stream, append_event, append_command, append_snapshot,
                    append_entry, append_timer, append_effect, append_pending_effect;

-- The composite types of `append_batch`'s arguments. host/store/src/append.rs declares the same attributes in the same
-- order; a test compares them with this file.

-- The lease under which a batch is appended. The append renews it by `duration`.
CREATE TYPE append_lease AS (
    partition integer,
    owner     text,
    epoch     bigint,
    duration  interval
);

-- The end of the partition on which the batch builds.
CREATE TYPE append_head AS (
    position bigint,
    hash     bytea,
    sequence bigint
);

-- A stream that moves from one version to another; from 0 if it is new.
CREATE TYPE append_stream AS (
    stream       text,
    routing_key  text,
    from_version bigint,
    to_version   bigint
);

CREATE TYPE append_event AS (
    stream           text,
    stream_version   bigint,
    type             text,
    schema_version   integer,
    payload          bytea,
    event_id         uuid,
    correlation_id   uuid,
    causation_id     uuid,
    actor            text,
    component_digest bytea,
    hash             bytea
);

-- A decided command. One of a sender has its digest and answer, for its repeats; a rejected one has a code and a detail.
CREATE TYPE append_command AS (
    idempotency_key  text,
    body_digest      bytea,
    answer           jsonb,
    stream           text,
    routing_key      text,
    type             text,
    schema_version   integer,
    payload          bytea,
    actor            text,
    component_digest bytea,
    expected_version bigint,
    event_count      integer,
    rejection_code   text,
    rejection_detail text
);

-- A snapshot of a stream. `base_version` is the version of the snapshot that its entries build on; 0 if it brings all.
CREATE TYPE append_snapshot AS (
    stream           text,
    base_version     bigint,
    version          bigint,
    component_digest bytea,
    state_version    integer,
    state            bytea
);

-- An entry of a snapshot that changed since its base. A removed one has no value.
CREATE TYPE append_entry AS (
    stream           text,
    key              text,
    component_digest bytea,
    value            bytea
);

-- A timer of a saga.
CREATE TYPE append_timer AS (
    due    timestamptz,
    stream text,
    number bigint
);

-- An effect that an instance requests.
CREATE TYPE append_effect AS (
    effect  text,
    stream  text,
    number  bigint,
    request bytea
);

-- An effect whose outcome came.
CREATE TYPE append_pending_effect AS (
    stream text,
    number bigint
);

-- Appends a batch to a partition: events, streams, commands, answers and snapshots with their entries, or nothing. It
-- is one statement for the writer, so one round trip and one flush. Each stream stands once in `new_streams`; events
-- and commands stand in their order. Errors of its own:
--   CF001  the lease is not the writer's any more
--   CF002  the partition, a stream or a snapshot is not where the writer believes it to be
CREATE FUNCTION append_batch(
    held append_lease, expected append_head, now_is timestamptz,
    new_streams append_stream[], new_events append_event[], new_commands append_command[],
    new_snapshots append_snapshot[], new_entries append_entry[], new_timers append_timer[],
    ended_timers append_timer[], new_effects append_effect[], ended_effects append_pending_effect[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    to_partition CONSTANT integer := held.partition;
    opened       bigint := 0;
    moved        bigint := 0;
    kept         bigint;
    in_period    date;
BEGIN
    UPDATE partitions SET
        head_position = expected.position + cardinality(new_events),
        head_hash     = COALESCE((new_events[cardinality(new_events)]).hash, expected.hash),
        head_sequence = expected.sequence + cardinality(new_commands),
        lease_until   = clock_timestamp() + held.duration
    WHERE partition = to_partition AND lease_owner = held.owner AND lease_epoch = held.epoch
      AND lease_until > clock_timestamp()
      AND head_position = expected.position AND head_hash = expected.hash AND head_sequence = expected.sequence;
    IF NOT FOUND THEN
        IF EXISTS (SELECT FROM partitions WHERE partition = to_partition AND lease_owner = held.owner
                   AND lease_epoch = held.epoch AND lease_until > clock_timestamp()) THEN
            RAISE EXCEPTION 'partition % is not at position %', to_partition, expected.position
                USING ERRCODE = 'CF002';
        END IF;
        RAISE EXCEPTION 'the lease of partition % is not held in epoch %', to_partition, held.epoch
            USING ERRCODE = 'CF001';
    END IF;

    IF cardinality(new_streams) > 0 THEN
        IF EXISTS (SELECT FROM UNNEST(new_streams) WHERE from_version = 0) THEN
            INSERT INTO streams (stream, partition, routing_key, version)
            SELECT new.stream, to_partition, new.routing_key, new.to_version
            FROM UNNEST(new_streams) AS new
            WHERE new.from_version = 0
            -- In one order everywhere: two partitions that open the same streams must not wait for each other.
            ORDER BY new.stream
            ON CONFLICT DO NOTHING;
            GET DIAGNOSTICS opened = ROW_COUNT;
        END IF;
        IF opened < cardinality(new_streams) THEN
            UPDATE streams SET version = change.to_version
            FROM UNNEST(new_streams) AS change
            WHERE streams.stream = change.stream AND streams.partition = to_partition
              AND change.from_version > 0 AND streams.version = change.from_version;
            GET DIAGNOSTICS moved = ROW_COUNT;
        END IF;
        IF opened + moved <> cardinality(new_streams) THEN
            RAISE EXCEPTION 'a stream of partition % is not at its version', to_partition USING ERRCODE = 'CF002';
        END IF;
        INSERT INTO events (partition, position, stream, stream_version, type, schema_version, payload, event_id,
                            correlation_id, causation_id, actor, component_digest, recorded_at, hash)
        SELECT to_partition, expected.position + new.ordinality, new.stream, new.stream_version, new.type,
               new.schema_version, new.payload, new.event_id, new.correlation_id, new.causation_id, new.actor,
               new.component_digest, now_is, new.hash
        FROM UNNEST(new_events) WITH ORDINALITY AS new;
    END IF;

    SELECT max(starts_on) INTO in_period FROM inbox_periods;
    INSERT INTO inbox (period, idempotency_key, partition, body_digest, answer, answered_at)
    SELECT in_period, new.idempotency_key, to_partition, new.body_digest, new.answer, now_is
    FROM UNNEST(new_commands) AS new
    WHERE new.answer IS NOT NULL
    -- In one order everywhere: two partitions that insert the same keys must not wait for each other.
    ORDER BY new.idempotency_key;
    INSERT INTO commands (partition, sequence, idempotency_key, stream, routing_key, type, schema_version, payload,
                          actor, accepted_at, component_digest, expected_version, event_count, rejection_code,
                          rejection_detail)
    SELECT to_partition, expected.sequence + new.ordinality, new.idempotency_key, new.stream, new.routing_key,
           new.type, new.schema_version, new.payload, new.actor, now_is, new.component_digest, new.expected_version,
           new.event_count, new.rejection_code, new.rejection_detail
    FROM UNNEST(new_commands) WITH ORDINALITY AS new;

    IF cardinality(new_timers) > 0 THEN
        INSERT INTO timers (partition, due, stream, number)
        SELECT to_partition, new.due, new.stream, new.number FROM UNNEST(new_timers) AS new;
    END IF;
    IF cardinality(ended_timers) > 0 THEN
        DELETE FROM timers USING UNNEST(ended_timers) AS ended
        WHERE timers.partition = to_partition AND timers.due = ended.due AND timers.stream = ended.stream
          AND timers.number = ended.number;
    END IF;

    IF cardinality(new_effects) > 0 THEN
        INSERT INTO effects (partition, effect, stream, number, request, requested_at)
        SELECT to_partition, new.effect, new.stream, new.number, new.request, now_is
        FROM UNNEST(new_effects) WITH ORDINALITY AS new ORDER BY new.ordinality;
    END IF;
    IF cardinality(ended_effects) > 0 THEN
        DELETE FROM effects USING UNNEST(ended_effects) AS ended
        WHERE effects.partition = to_partition AND effects.stream = ended.stream AND effects.number = ended.number;
    END IF;

    IF cardinality(new_snapshots) > 0 THEN
        PERFORM FROM snapshots WHERE stream = ANY(ARRAY(SELECT new.stream FROM UNNEST(new_snapshots) AS new))
        ORDER BY stream FOR UPDATE;
        INSERT INTO snapshots (stream, version, component_digest, state_version, state)
        SELECT new.stream, new.version, new.component_digest, new.state_version, new.state
        FROM UNNEST(new_snapshots) AS new
        -- OFFSET 0: by the index, one by one, never by a table of all snapshots.
        WHERE new.base_version = 0
           OR EXISTS (SELECT FROM snapshots AS older WHERE older.stream = new.stream
                      AND older.version = new.base_version AND older.component_digest = new.component_digest OFFSET 0)
        ON CONFLICT (stream) DO UPDATE SET
            version = excluded.version, component_digest = excluded.component_digest,
            state_version = excluded.state_version, state = excluded.state;
        GET DIAGNOSTICS kept = ROW_COUNT;
        IF kept <> cardinality(new_snapshots) THEN
            RAISE EXCEPTION 'a snapshot of partition % is gone', to_partition USING ERRCODE = 'CF002';
        END IF;
        INSERT INTO snapshot_entries (stream, key, component_digest, value)
        SELECT new.stream, new.key, new.component_digest, new.value FROM UNNEST(new_entries) AS new
        ON CONFLICT (stream, key) DO UPDATE SET
            component_digest = excluded.component_digest, value = excluded.value;
    END IF;
END
$$;

-- Puts the activations of deciders and sagas up to one of them in force in a partition, from its next command on. Errors of its own:
--   CF001  the lease is not the writer's any more
--   CF003  a newer activation is in force there already
CREATE FUNCTION begin_activations(to_partition integer, writer text, epoch bigint, through bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    newest bigint;
    at_sequence bigint;
    at_position bigint;
BEGIN
    SELECT head_sequence, head_position INTO at_sequence, at_position FROM partitions
    WHERE partition = to_partition AND lease_owner = writer AND lease_epoch = epoch AND lease_until > clock_timestamp()
    FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the lease of partition % is not held in epoch %', to_partition, epoch USING ERRCODE = 'CF001';
    END IF;
    SELECT COALESCE(max(activation), 0) INTO newest
    FROM activation_points JOIN activations USING (activation)
    WHERE partition = to_partition AND kind IN ('decider', 'saga');
    IF newest > through THEN
        RAISE EXCEPTION 'activation % is in force in partition %, and its writer knows them up to %', newest,
            to_partition, through USING ERRCODE = 'CF003';
    END IF;
    INSERT INTO activation_points (partition, activation, after_sequence, after_position)
    SELECT to_partition, activation, at_sequence, at_position FROM activations
    WHERE kind IN ('decider', 'saga') AND activation > newest AND activation <= through;
END
$$;
