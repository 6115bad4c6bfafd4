-- Effects of sagas: requests to something outside the log (ADR 0023). The event that requests one is the truth, a row here
-- its index: inserted by the append of the event, deleted by that of the outcome, never updated.
CREATE TABLE effects (
    partition    integer     NOT NULL REFERENCES partitions,
    -- Name in the host's manifest.
    effect       text        NOT NULL CHECK (effect ~ '^[a-z][a-z0-9-]{0,62}$'),
    -- Rises with the appends of the partition, which has one writer.
    id           bigint      GENERATED ALWAYS AS IDENTITY,
    -- The instance, and the number of the effect in it.
    stream       text        NOT NULL CHECK (stream LIKE 'saga-%'),
    number       bigint      NOT NULL CHECK (number > 0),
    request      bytea       NOT NULL,
    requested_at timestamptz NOT NULL,
    -- In the order in which they were requested, so that those under way are not visited again.
    PRIMARY KEY (partition, effect, id),
    UNIQUE (stream, number)
);
