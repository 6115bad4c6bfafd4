-- Words of operators about pulls that the submitter cannot decide about are changes like all others (ADR 0021).
ALTER TABLE submitter_changes
    DROP CONSTRAINT submitter_changes_kind_check,
    ADD CONSTRAINT submitter_changes_kind_check
        CHECK (kind IN ('accepted', 'lane_opened', 'signed', 'settled', 'refused', 'retried', 'abandoned', 'done', 'dead',
                        'reported', 'resolved'));
