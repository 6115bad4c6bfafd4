-- The chain submitter: what was decided about pulls and nonces, committed before anything is sent (ADR 0021).

-- The submitter of one chain, with all its lanes. Its lease stands in the row that every commit moves, so a commit under
-- an older epoch finds nothing to move.
CREATE TABLE submitters (
    chain_id     bigint      PRIMARY KEY CHECK (chain_id > 0),
    -- Number of committed changes. A commit names the number on which it builds.
    change_count bigint      NOT NULL DEFAULT 0 CHECK (change_count >= 0),
    -- Who may commit, and until when by the database's clock. The epoch increments at each takeover.
    lease_owner  text        CHECK (lease_owner <> ''),
    lease_epoch  bigint      NOT NULL DEFAULT 0 CHECK (lease_epoch >= 0),
    lease_until  timestamptz NOT NULL DEFAULT '-infinity'
);

-- The changes, in order. They are the truth; what the submitter knows is their fold.
CREATE TABLE submitter_changes (
    chain_id         bigint      NOT NULL REFERENCES submitters,
    -- Gapless, from 1.
    number           bigint      NOT NULL CHECK (number > 0),
    kind             text        NOT NULL CHECK (kind IN ('accepted', 'lane_opened', 'signed', 'settled', 'refused',
                                                          'retried', 'abandoned', 'done', 'dead', 'reported')),
    pull_id          text        CHECK (octet_length(pull_id) BETWEEN 1 AND 256),
    -- The EIP-712 hash that the Spender consumes.
    pull_hash        bytea       CHECK (octet_length(pull_hash) = 32),
    account          bytea       CHECK (octet_length(account) = 20),
    nonce            bigint      CHECK (nonce >= 0),
    transaction_hash bytea       CHECK (octet_length(transaction_hash) = 32),
    change           jsonb       NOT NULL,
    committed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (chain_id, number),
    CHECK (pull_id IS NOT NULL OR account IS NOT NULL),
    CHECK ((kind = 'accepted') = (pull_hash IS NOT NULL)),
    CHECK ((kind = 'signed') = (transaction_hash IS NOT NULL))
);
-- A pull is accepted once, and so is a hash, for ever: the fold forgets pulls that have ended.
CREATE UNIQUE INDEX submitter_pull_ids ON submitter_changes (chain_id, pull_id) WHERE kind = 'accepted';
CREATE UNIQUE INDEX submitter_pull_hashes ON submitter_changes (pull_hash) WHERE kind = 'accepted';
CREATE UNIQUE INDEX submitter_transactions ON submitter_changes (transaction_hash) WHERE kind = 'signed';
CREATE UNIQUE INDEX submitter_settled ON submitter_changes (chain_id, account, nonce) WHERE kind = 'settled';

-- The fold of the changes up to a number, so that a start need not read them all. Safe to lose.
CREATE TABLE submitter_snapshots (
    chain_id bigint PRIMARY KEY REFERENCES submitters,
    number   bigint NOT NULL CHECK (number > 0),
    state    jsonb  NOT NULL
);
