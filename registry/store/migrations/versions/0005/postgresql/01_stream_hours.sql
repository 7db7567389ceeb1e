ALTER TABLE stream DROP CONSTRAINT pk_stream;

ALTER TABLE stream ADD COLUMN stream_id BIGSERIAL NOT NULL;

ALTER TABLE stream ADD CONSTRAINT pk_stream PRIMARY KEY (stream_id);

ALTER TABLE stream ADD CONSTRAINT uq_stream_node_id_epoch_owner_id_meter_sku
    UNIQUE (node_id, epoch, owner_id, meter, sku);

CREATE TABLE stream_hour (
    tenant_id TEXT NOT NULL,
    hour_ms BIGINT NOT NULL,
    stream_id BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    rated BIGINT NOT NULL,
    charged BIGINT NOT NULL,
    CONSTRAINT pk_stream_hour PRIMARY KEY (tenant_id, hour_ms, stream_id)
);

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
