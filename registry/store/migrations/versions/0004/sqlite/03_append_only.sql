CREATE TRIGGER adjustment_no_update BEFORE UPDATE ON adjustment
BEGIN SELECT RAISE(ABORT, 'adjustment is append-only');
END;

CREATE TRIGGER adjustment_no_delete BEFORE DELETE ON adjustment
BEGIN SELECT RAISE(ABORT, 'adjustment is append-only');
END;

CREATE TRIGGER maturity_no_update BEFORE UPDATE ON maturity BEGIN SELECT RAISE(ABORT, 'maturity is append-only');
END;

CREATE TRIGGER maturity_no_delete BEFORE DELETE ON maturity BEGIN SELECT RAISE(ABORT, 'maturity is append-only');
END;
