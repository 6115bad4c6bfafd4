-- Which component made the rows of a projection; and tables that are built beside those that are read, until they take
-- their place.

ALTER TABLE projections
    DROP CONSTRAINT projections_name_check,
    -- The component whose code made the rows; not known of rows that are older than this column.
    ADD COLUMN digest     bytea CHECK (octet_length(digest) = 32),
    -- A build beside: the projection whose place it shall take. Its own name is that of its schema, which no projection
    -- can have. Null: these are the tables that are read.
    ADD COLUMN replaces   text,
    -- When these tables took the place of others, and up to where they had come then, partition by partition.
    ADD COLUMN live_since timestamptz,
    ADD COLUMN live_from  bigint[],
    ADD CONSTRAINT projections_name_check CHECK (
        CASE WHEN replaces IS NULL THEN name ~ '^[a-z][a-z0-9_]{0,62}$' ELSE name ~ '^next [0-9a-f]{32}$' END
    );

-- What is built beside keeps its checkpoints when it takes the other's name.
ALTER TABLE projection_checkpoints
    DROP CONSTRAINT projection_checkpoints_projection_fkey,
    ADD CONSTRAINT projection_checkpoints_projection_fkey
        FOREIGN KEY (projection) REFERENCES projections ON UPDATE CASCADE ON DELETE CASCADE;
