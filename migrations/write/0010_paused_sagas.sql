-- A saga can be paused and resumed: recorded facts like every other decision about what runs, which begin in each
-- partition behind one command.

ALTER TABLE activations
    DROP CONSTRAINT activations_cause_check,
    ADD CONSTRAINT activations_cause_check CHECK (cause IN
        ('start', 'activate', 'rollback', 'canary', 'canary_end', 'automatic_rollback', 'pause', 'resume')),
    ADD CONSTRAINT activations_pause_check CHECK (cause NOT IN ('pause', 'resume') OR kind = 'saga');
