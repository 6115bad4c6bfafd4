-- Sagas: a kind of component beside the others. Their instances are streams of the log like any other.

ALTER TABLE components
    DROP CONSTRAINT components_kind_check,
    ADD CONSTRAINT components_kind_check
        CHECK (kind IN ('translator', 'decider', 'saga', 'projector', 'auditor', 'http'));

ALTER TABLE activations
    DROP CONSTRAINT activations_kind_check,
    ADD CONSTRAINT activations_kind_check
        CHECK (kind IN ('translator', 'decider', 'saga', 'projector', 'auditor', 'http'));
