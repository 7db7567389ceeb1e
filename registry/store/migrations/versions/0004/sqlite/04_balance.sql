CREATE TABLE zero (
    micros INTEGER NOT NULL CHECK (micros = 0),
    CONSTRAINT pk_zero PRIMARY KEY (micros)
) STRICT;

INSERT INTO zero (micros) VALUES (0);

CREATE TABLE journal_sum (
    journal_id INTEGER NOT NULL,
    micros INTEGER NOT NULL,
    CONSTRAINT pk_journal_sum PRIMARY KEY (journal_id),
    CONSTRAINT fk_journal_sum_micros FOREIGN KEY(micros) REFERENCES zero (micros) DEFERRABLE INITIALLY DEFERRED
) STRICT;

CREATE TRIGGER posting_balance AFTER INSERT ON posting
BEGIN INSERT INTO journal_sum (journal_id, micros) VALUES (NEW.journal_id, NEW.micros) ON CONFLICT (journal_id) DO UPDATE SET micros = micros + excluded.micros;
END;
