-- The registry: every component that was ever deployed, and every decision about what runs. Nothing here is changed or
-- taken back: what is in force is the fold of the activations.

ALTER TABLE components RENAME COLUMN first_used_at TO deployed_at;
ALTER TABLE components
    ADD kind            text   NOT NULL DEFAULT 'decider'
                               CHECK (kind IN ('translator', 'decider', 'projector', 'auditor', 'http')),
    -- What it says that it is: its aggregate, its projection, its name. None of one kept before there was a registry.
    ADD handler         text   CHECK (handler <> ''),
    ADD wit_version     text   CHECK (wit_version <> ''),
    ADD imports         text[] NOT NULL DEFAULT '{}',
    ADD source_revision text   CHECK (source_revision <> ''),
    ADD deployed_by     text   NOT NULL DEFAULT 'host' CHECK (deployed_by <> ''),
    -- Who vouched for it: an Ed25519 key, and its signature of the component's bytes.
    ADD signer          bytea  CHECK (octet_length(signer) = 32),
    ADD signature       bytea  CHECK (octet_length(signature) = 64),
    ADD CHECK ((signer IS NULL) = (signature IS NULL));
ALTER TABLE components ALTER kind DROP DEFAULT, ALTER deployed_by DROP DEFAULT;

COMMENT ON COLUMN snapshots.component_digest IS
    'The family of the state: the component that first made states like it';
COMMENT ON COLUMN snapshot_entries.component_digest IS 'The family of the state, as in snapshots';

CREATE TABLE activations (
    -- Gapless, from 1, over all handlers.
    activation       bigint      PRIMARY KEY CHECK (activation > 0),
    kind             text        NOT NULL CHECK (kind IN ('translator', 'decider', 'projector', 'auditor', 'http')),
    handler          text        NOT NULL CHECK (handler <> ''),
    -- What is in force for all accounts from then on; of a canary, what is tried.
    component_digest bytea       NOT NULL REFERENCES components,
    cause            text        NOT NULL CHECK (cause IN
                                 ('start', 'activate', 'rollback', 'canary', 'canary_end', 'automatic_rollback')),
    -- In the words of who did it; of an automatic rollback, what was wrong.
    why              text        CHECK (why <> ''),
    activated_by     text        NOT NULL CHECK (activated_by <> ''),
    activated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The component that first made states as this one makes them. Deciders only.
    state_family     bytea       CHECK (octet_length(state_family) = 32),
    -- A canary decides for so many of a thousand accounts, and may fail and differ so often.
    canary_permille  integer     CHECK (canary_permille BETWEEN 1 AND 999),
    max_faults       bigint      CHECK (max_faults >= 0),
    max_differences  bigint      CHECK (max_differences >= 0),
    -- What the shadow run before it found.
    shadow           jsonb,
    CHECK ((kind = 'decider') = (state_family IS NOT NULL)),
    CHECK ((cause = 'canary') = (canary_permille IS NOT NULL)),
    CHECK ((cause = 'canary') = (max_faults IS NOT NULL)),
    CHECK ((cause = 'canary') = (max_differences IS NOT NULL)),
    CHECK (cause NOT IN ('canary', 'canary_end', 'automatic_rollback') OR kind = 'decider'),
    CHECK (cause <> 'automatic_rollback' OR why IS NOT NULL)
);
CREATE INDEX ON activations (kind, handler, activation);

-- Where an activation came into force in a partition: behind this command and this event.
CREATE TABLE activation_points (
    partition      integer     NOT NULL REFERENCES partitions,
    activation     bigint      NOT NULL REFERENCES activations,
    after_sequence bigint      NOT NULL CHECK (after_sequence >= 0),
    after_position bigint      NOT NULL CHECK (after_position >= 0),
    begun_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (partition, activation)
);

CREATE FUNCTION keep_activations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'activations are recorded facts; activate another component instead';
END
$$;
CREATE TRIGGER activations_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON activations
    FOR EACH STATEMENT EXECUTE FUNCTION keep_activations();
CREATE TRIGGER activation_points_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON activation_points
    FOR EACH STATEMENT EXECUTE FUNCTION keep_activations();

-- Records an activation. Who decided on what was in force must say on what: another activation of the same handler in
-- between makes it fail with CF004.
CREATE FUNCTION activate(
    of_kind text, of_handler text, newest bigint, digest bytea, because text, reason text, by_whom text, family bytea,
    permille integer, faults bigint, differences bigint, shadow_run jsonb
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    found_newest bigint;
    made         bigint;
BEGIN
    -- One at a time, so that the numbers have no gap and appear in their order.
    LOCK TABLE activations IN SHARE ROW EXCLUSIVE MODE;
    SELECT COALESCE(max(activation), 0) INTO found_newest
    FROM activations WHERE kind = of_kind AND handler = of_handler;
    IF found_newest <> newest THEN
        RAISE EXCEPTION 'activation % of the % % came in between', found_newest, of_kind, of_handler
            USING ERRCODE = 'CF004';
    END IF;
    INSERT INTO activations (activation, kind, handler, component_digest, cause, why, activated_by, state_family,
                             canary_permille, max_faults, max_differences, shadow)
    SELECT COALESCE(max(activation), 0) + 1, of_kind, of_handler, digest, because, reason, by_whom, family,
           permille, faults, differences, shadow_run
    FROM activations
    RETURNING activation INTO made;
    RETURN made;
END
$$;

-- Puts the deciders' activations up to one of them in force in a partition, from its next command on. Errors of its own:
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
    FROM activation_points JOIN activations USING (activation) WHERE partition = to_partition AND kind = 'decider';
    IF newest > through THEN
        RAISE EXCEPTION 'activation % is in force in partition %, and its writer knows them up to %', newest,
            to_partition, through USING ERRCODE = 'CF003';
    END IF;
    INSERT INTO activation_points (partition, activation, after_sequence, after_position)
    SELECT to_partition, activation, at_sequence, at_position FROM activations
    WHERE kind = 'decider' AND activation > newest AND activation <= through;
END
$$;
