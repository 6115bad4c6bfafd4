-- The functions of the write path are no longer defined by migrations, each of which would have to repeat one in whole
-- to change a line of it. Their one definition is functions/write_path.sql, which `clearfold migrate` applies after this.

-- The one of 47 arguments. Its successor takes arrays of composite types.
DROP FUNCTION append_batch;

-- The definition files that were applied, each as it was the last time.
CREATE TABLE definitions (
    name       text        PRIMARY KEY CHECK (name <> ''),
    -- SHA-256 of the file. A host refuses to start on another one than its own.
    digest     bytea       NOT NULL CHECK (octet_length(digest) = 32),
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
