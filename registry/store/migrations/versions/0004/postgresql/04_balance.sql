CREATE FUNCTION refuse_off_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE missed NUMERIC;
BEGIN
    SELECT SUM(micros) INTO missed FROM posting WHERE journal_id = NEW.journal_id;
    IF missed <> 0 THEN
        RAISE EXCEPTION 'the postings of journal % sum to %', NEW.journal_id, missed;
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER posting_balance AFTER INSERT ON posting
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_off_balance();
