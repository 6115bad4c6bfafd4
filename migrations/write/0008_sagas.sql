-- Sagas: a kind of component beside the others. Their instances are streams of the log like any other, so that what
-- holds for the activations of deciders holds for theirs: they have a family of states, and may be tried as a canary.

ALTER TABLE components
    DROP CONSTRAINT components_kind_check,
    ADD CONSTRAINT components_kind_check
        CHECK (kind IN ('translator', 'decider', 'saga', 'projector', 'auditor', 'http'));

ALTER TABLE activations
    DROP CONSTRAINT activations_kind_check,
    ADD CONSTRAINT activations_kind_check
        CHECK (kind IN ('translator', 'decider', 'saga', 'projector', 'auditor', 'http')),
    -- The names that Postgres gave to the table's first and fifth check in 0005.
    DROP CONSTRAINT activations_check,
    ADD CONSTRAINT activations_check
        CHECK ((kind = 'decider' OR kind = 'saga') = (state_family IS NOT NULL)),
    DROP CONSTRAINT activations_check4,
    ADD CONSTRAINT activations_check4
        CHECK (cause NOT IN ('canary', 'canary_end', 'automatic_rollback') OR kind = 'decider' OR kind = 'saga');
