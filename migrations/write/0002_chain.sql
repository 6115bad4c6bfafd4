-- How far the chain has been read, and what could not be understood on the way.

-- Everything up to and including this block has become commands or dead letters.
CREATE TABLE chain_cursor (
    chain_id     bigint      PRIMARY KEY CHECK (chain_id > 0),
    block_number bigint      NOT NULL CHECK (block_number >= 0),
    block_hash   bytea       NOT NULL CHECK (octet_length(block_hash) = 32),
    updated_at   timestamptz NOT NULL
);

-- Logs that looked like ours and became no payment, each with its reason. Nothing is dropped in silence.
CREATE TABLE dead_letters (
    -- The idempotency key that the log's command has or would have.
    identity         text        PRIMARY KEY CHECK (identity <> ''),
    chain_id         bigint      NOT NULL CHECK (chain_id > 0),
    block_number     bigint      NOT NULL CHECK (block_number >= 0),
    block_hash       bytea       NOT NULL CHECK (octet_length(block_hash) = 32),
    transaction_hash bytea       NOT NULL CHECK (octet_length(transaction_hash) = 32),
    log_index        bigint      NOT NULL CHECK (log_index >= 0),
    code             text        NOT NULL CHECK (code <> ''),
    detail           text        NOT NULL,
    recorded_at      timestamptz NOT NULL
);
