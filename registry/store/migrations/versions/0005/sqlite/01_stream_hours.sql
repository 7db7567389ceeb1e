ALTER TABLE stream RENAME TO stream_before;

DROP INDEX ix_stream_owner_id;

DROP INDEX ix_stream_tenant_id;

CREATE TABLE stream (
    stream_id INTEGER NOT NULL,
    node_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    owner_id TEXT NOT NULL,
    meter TEXT NOT NULL,
    sku TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    first_index INTEGER NOT NULL,
    last_index INTEGER NOT NULL,
    begin_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    cumulative INTEGER NOT NULL,
    rated INTEGER NOT NULL,
    charged INTEGER NOT NULL,
    shared INTEGER NOT NULL,
    CONSTRAINT pk_stream PRIMARY KEY (stream_id),
    CONSTRAINT uq_stream_node_id_epoch_owner_id_meter_sku
        UNIQUE (node_id, epoch, owner_id, meter, sku)
) STRICT;

INSERT INTO stream
SELECT NULL, node_id, epoch, owner_id, meter, sku, tenant_id, project_id, first_index, last_index,
       begin_ms, end_ms, cumulative, rated, charged, shared
FROM stream_before ORDER BY rowid;

DROP TABLE stream_before;

CREATE INDEX ix_stream_owner_id ON stream (owner_id);

CREATE INDEX ix_stream_tenant_id ON stream (tenant_id);

CREATE TABLE stream_hour (
    tenant_id TEXT NOT NULL,
    hour_ms INTEGER NOT NULL,
    stream_id INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    rated INTEGER NOT NULL,
    charged INTEGER NOT NULL,
    CONSTRAINT pk_stream_hour PRIMARY KEY (tenant_id, hour_ms, stream_id)
) STRICT, WITHOUT ROWID;

INSERT INTO stream_hour (tenant_id, hour_ms, stream_id, quantity, rated, charged)
SELECT h.tenant_id, h.hour_ms, s.stream_id, h.quantity, h.rated, h.charged
FROM usage_hour AS h JOIN stream AS s
  ON s.node_id = h.node_id AND s.owner_id = h.owner_id AND s.meter = h.meter AND s.sku = h.sku
WHERE s.epoch = (
    SELECT MAX(one.epoch) FROM stream AS one
    WHERE one.node_id = h.node_id AND one.owner_id = h.owner_id
      AND one.meter = h.meter AND one.sku = h.sku
);

DROP TABLE usage_hour;

CREATE VIEW usage_hour AS
SELECT h.tenant_id, h.hour_ms, s.owner_id, s.meter, s.sku, s.node_id, s.epoch, s.project_id,
       h.quantity, h.rated, h.charged
FROM stream_hour AS h JOIN stream AS s ON s.stream_id = h.stream_id;
