-- usage_log: a change of this node's key that the registry has not cosigned yet.
CREATE TABLE usage_key_change (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    idx        INTEGER NOT NULL CHECK (idx >= 0),
    public_key BLOB NOT NULL CHECK (length(public_key) = 32)
) STRICT;
