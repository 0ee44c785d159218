-- The store's own books: leaves of the partitioned tables, and (from milestone 2) checkpoints.
create table partitions (
  lo bigint primary key,                                  -- first block of the leaf
  hi bigint not null,                                     -- first block after it
  sealed boolean not null,
  rows bigint,
  digest bytea
);
create table checkpoints (
  block bigint primary key,
  hash bytea not null,
  state bytea not null                                    -- zstd of the state tables' COPY bytes
);
