-- Timers of sagas. The event that sets a timer is the truth, a row here its index: inserted by the append of the event,
-- deleted by that of what it fires, never updated.
CREATE TABLE timers (
    partition integer     NOT NULL REFERENCES partitions,
    due       timestamptz NOT NULL,
    -- The instance, and the number of the timer in it.
    stream    text        NOT NULL CHECK (stream LIKE 'saga-%'),
    number    bigint      NOT NULL CHECK (number > 0),
    -- In the order in which they fire, so that those that wait are never visited.
    PRIMARY KEY (partition, due, stream, number)
);
