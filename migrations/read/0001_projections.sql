-- The read store's own book: which projections there are, and how far each has come. Their tables are made
-- from what the projector components declare, each projection's in a schema of its name.

CREATE TABLE projections (
    name              text        PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'),
    -- The declared version and tables: when they change, the projection is built again from the first event.
    version           integer     NOT NULL CHECK (version > 0),
    declaration       text        NOT NULL,
    created_at        timestamptz NOT NULL
);

-- Committed together with the rows that the events up to it made.
CREATE TABLE projection_checkpoints (
    projection text    NOT NULL REFERENCES projections ON DELETE CASCADE,
    partition  integer NOT NULL CHECK (partition >= 0),
    position   bigint  NOT NULL CHECK (position >= 0),
    PRIMARY KEY (projection, partition)
);
