-- The part of a state that grows with its stream, by key: so that a snapshot costs what changed since the one before, and
-- a command costs what it names.

-- An entry as its stream's newest snapshot has it. Safe to lose with the snapshot; of another component it is not used.
CREATE TABLE snapshot_entries (
    stream           text  NOT NULL REFERENCES snapshots ON DELETE CASCADE,
    key              text  NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 512),
    component_digest bytea NOT NULL CHECK (octet_length(component_digest) = 32),
    -- None: it was removed.
    value            bytea,
    PRIMARY KEY (stream, key)
);

-- An entry that is missing reads as one that never was, and what it stands for could happen twice. So entries go with
-- their snapshot or not at all; a writer notices that a snapshot is gone, and folds the stream anew.
CREATE FUNCTION keep_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entries go with their snapshot: DELETE FROM snapshots instead';
END
$$;
CREATE TRIGGER entries_go_with_their_snapshot BEFORE DELETE ON snapshot_entries
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION keep_entries();
CREATE TRIGGER entries_are_not_truncated BEFORE TRUNCATE ON snapshot_entries
    FOR EACH STATEMENT EXECUTE FUNCTION keep_entries();

DO $$
BEGIN
    -- Its arguments change, so it is another function.
    EXECUTE (SELECT 'DROP FUNCTION ' || oid::regprocedure FROM pg_proc WHERE proname = 'append_batch');
END
$$;

-- Appends a batch to a partition: events, streams, commands, answers and snapshots with their entries, or nothing. It is one statement for
-- the writer, so one round trip and one flush. Errors of its own:
--   CF001  the lease is not the writer's any more
--   CF002  the partition, a stream or a snapshot is not where the writer believes it to be
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
    -- The snapshots, each of a stream, and the version of the one before on which its entries build (0: it has all).
    snapshot_streams text[], snapshot_bases bigint[], snapshot_versions bigint[], snapshot_digests bytea[],
    snapshot_state_versions integer[], snapshot_states bytea[],
    -- The entries that changed since then. What was removed has no value.
    entry_streams text[], entry_keys text[], entry_digests bytea[], entry_values bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    opened    bigint := 0;
    moved     bigint := 0;
    kept      bigint;
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
        IF 0 = ANY(stream_from) THEN
            INSERT INTO streams (stream, partition, routing_key, version)
            SELECT name, to_partition, routing_key, version
            FROM UNNEST(stream_names, stream_keys, stream_from, stream_to) AS new(name, routing_key, old, version)
            WHERE old = 0
            -- In one order everywhere: two partitions that open the same streams must not wait for each other.
            ORDER BY name
            ON CONFLICT DO NOTHING;
            GET DIAGNOSTICS opened = ROW_COUNT;
        END IF;
        IF opened < cardinality(stream_names) THEN
            UPDATE streams SET version = change.version
            FROM UNNEST(stream_names, stream_from, stream_to) AS change(name, old, version)
            WHERE streams.stream = change.name AND streams.partition = to_partition
              AND change.old > 0 AND streams.version = change.old;
            GET DIAGNOSTICS moved = ROW_COUNT;
        END IF;
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
        PERFORM FROM snapshots WHERE stream = ANY(snapshot_streams) ORDER BY stream FOR UPDATE;
        INSERT INTO snapshots (stream, version, component_digest, state_version, state)
        SELECT new.stream, new.version, digest, new.state_version, new.state
        FROM UNNEST(snapshot_streams, snapshot_bases, snapshot_versions, snapshot_digests, snapshot_state_versions,
                    snapshot_states) AS new(stream, base, version, digest, state_version, state)
        -- OFFSET 0: by the index, one by one, never by a table of all snapshots.
        WHERE base = 0 OR EXISTS (SELECT FROM snapshots AS older WHERE older.stream = new.stream
                                  AND older.version = base AND older.component_digest = digest OFFSET 0)
        ON CONFLICT (stream) DO UPDATE SET
            version = excluded.version, component_digest = excluded.component_digest,
            state_version = excluded.state_version, state = excluded.state;
        GET DIAGNOSTICS kept = ROW_COUNT;
        IF kept <> cardinality(snapshot_streams) THEN
            RAISE EXCEPTION 'a snapshot of partition % is gone', to_partition USING ERRCODE = 'CF002';
        END IF;
        INSERT INTO snapshot_entries (stream, key, component_digest, value)
        SELECT * FROM UNNEST(entry_streams, entry_keys, entry_digests, entry_values)
        ON CONFLICT (stream, key) DO UPDATE SET
            component_digest = excluded.component_digest, value = excluded.value;
    END IF;
END
$$;
