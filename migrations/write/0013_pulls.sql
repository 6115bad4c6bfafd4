-- Pulls of payments (ADR 0024): which payment a change of the submitter is about, and which pulls sagas ask for.

-- The head of the pull's id, `{payment}/pull/{number}`; NULL if the change is about no pull of a payment.
ALTER TABLE submitter_changes
    ADD COLUMN payment_id text GENERATED ALWAYS AS (substring(pull_id FROM '^(.+)/pull/[0-9]+$')) STORED;
-- Finds the pulls of a payment, and how they ended.
CREATE INDEX submitter_payments ON submitter_changes (chain_id, payment_id) WHERE kind IN ('accepted', 'done', 'dead');

-- Pulls that were asked for and that the submitter has not accepted yet. Inserted by whichever host carries out the effect,
-- deleted by the submitter once the pull is in its changes, or another pull of the payment was executed.
CREATE TABLE pull_requests (
    chain_id     bigint      NOT NULL CHECK (chain_id > 0),
    payment_id   text        NOT NULL CHECK (payment_id <> ''),
    -- Number of the pull in its payment.
    number       bigint      NOT NULL CHECK (number > 0),
    -- The pull as the submitter will accept it.
    pull         jsonb       NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (chain_id, payment_id, number)
);
