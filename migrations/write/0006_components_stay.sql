-- A component's row is written once: what decided stays what it was. Only who vouches for it may be another one later; and
-- of one that was kept before there was a registry, what it is may be learned.

CREATE FUNCTION keep_components() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.digest, NEW.wasm, NEW.name, NEW.kind, NEW.source_revision, NEW.deployed_by, NEW.deployed_at)
           IS DISTINCT FROM
       (OLD.digest, OLD.wasm, OLD.name, OLD.kind, OLD.source_revision, OLD.deployed_by, OLD.deployed_at)
       OR OLD.handler IS NOT NULL
       AND (NEW.handler, NEW.wit_version, NEW.imports) IS DISTINCT FROM (OLD.handler, OLD.wit_version, OLD.imports)
    THEN
        RAISE EXCEPTION 'components are recorded facts; deploy another one instead';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER components_stay BEFORE UPDATE ON components FOR EACH ROW EXECUTE FUNCTION keep_components();
