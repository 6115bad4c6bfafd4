-- Legs of payments (ADR 0027). The payment of a pull, in pull_requests and submitter_changes, names the leg that it is
-- for: `{payment}` for the first, `{payment}/leg/{number}` for a later one. The id of a payment has no slash.

-- Legs of which nothing shall be pulled any more. A row stays: a leg that is withdrawn is dead for good, and what falls due
-- later is pulled by another one. Inserted by whichever host carries out the effect, read by the submitter.
CREATE TABLE pull_withdrawals (
    chain_id     bigint      NOT NULL CHECK (chain_id > 0),
    payment_id   text        NOT NULL CHECK (payment_id <> ''),
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (chain_id, payment_id)
);
