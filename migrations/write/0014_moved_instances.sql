-- Migrations of a saga's instances: those that began on one version are decided by the version in force, in each partition
-- behind one command (ADR 0026).

ALTER TABLE activations
    -- Version whose instances are moved to the one in force, `component_digest`.
    ADD moved_from bytea REFERENCES components CHECK (moved_from <> component_digest),
    DROP CONSTRAINT activations_cause_check,
    ADD CONSTRAINT activations_cause_check CHECK (cause IN
        ('start', 'activate', 'rollback', 'canary', 'canary_end', 'automatic_rollback', 'pause', 'resume', 'migrate')),
    ADD CONSTRAINT activations_migrate_check CHECK ((cause = 'migrate') = (moved_from IS NOT NULL)),
    ADD CONSTRAINT activations_migrate_saga_check CHECK (cause <> 'migrate' OR kind = 'saga' AND shadow IS NOT NULL);

DROP FUNCTION activate(text, text, bigint, bytea, text, text, text, bytea, integer, bigint, bigint, jsonb);

-- Records an activation. Errors of its own:
--   CF004  another activation of the same handler came in between
--   CF005  instances were moved away from the component, so that those that begin on it now would be moved too
CREATE FUNCTION activate(
    of_kind text, of_handler text, newest bigint, digest bytea, because text, reason text, by_whom text, family bytea,
    permille integer, faults bigint, differences bigint, shadow_run jsonb, moved bytea
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
    IF EXISTS (SELECT FROM activations WHERE kind = of_kind AND handler = of_handler AND moved_from = digest) THEN
        RAISE EXCEPTION 'instances of the % % were moved away from it', of_kind, of_handler USING ERRCODE = 'CF005';
    END IF;
    INSERT INTO activations (activation, kind, handler, component_digest, cause, why, activated_by, state_family,
                             canary_permille, max_faults, max_differences, shadow, moved_from)
    SELECT COALESCE(max(activation), 0) + 1, of_kind, of_handler, digest, because, reason, by_whom, family,
           permille, faults, differences, shadow_run, moved
    FROM activations
    RETURNING activation INTO made;
    RETURN made;
END
$$;
