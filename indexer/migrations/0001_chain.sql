-- Which chain this database follows, how far it is, and the dictionaries of the exchange.
-- No serials, clocks, defaults, triggers or foreign keys: every byte is a function of the chain.
create table chain (
  id smallint primary key check (id = 1),                 -- one row
  chain_id bigint not null,
  genesis bytea not null,                                 -- hash of block 0
  exchange bytea not null,                                -- address of the contract
  partition_blocks int not null,                          -- blocks of a leaf, a power of two
  version int not null                                    -- of schema + decode + project; a mismatch means rebuild
);
comment on table chain is 'the chain this database follows; one row';

create table cursor (
  name text primary key,                                  -- 'rows': history; 'state': open_orders, levels, balances, candles, heads
  block bigint not null,
  time_ms bigint not null,
  hash bytea not null
);
comment on table cursor is 'last block in the history (rows) and in the state tables (state)';

create table tokens (
  token int primary key,
  first_block bigint not null,
  decimals smallint not null,
  address bytea not null,
  name text not null                                      -- told by the operator, else T<number>; outside every digest
);
comment on column tokens.name is 'told by the operator, not by the chain; outside every digest';

create table accounts (
  account int primary key,                                -- uint32 as int4 bits
  first_block bigint not null,
  owner bytea not null
);
create index accounts_owner on accounts (owner);
comment on column accounts.account is 'the exchange''s account number, uint32 as int4 bits';

create table markets (
  market int primary key,
  base int not null,
  quote int not null,
  taker_fee_ppm int not null,
  maker_fee_ppm int not null,
  lots_min int not null,
  min_ttl_s int not null,
  first_block bigint not null,
  base_atoms_per_lot numeric(39,0) not null,
  quote_atoms_per_lot_tick numeric(39,0) not null,        -- fixed at creation; what follows is state, as of cursor 'state'
  last_u bigint not null,                                 -- seq of the last log that changed the book
  last_trade bigint not null,
  last_agg bigint not null,
  last_ticks int not null,                                -- price of the last trade, 0 before the first
  status smallint not null,                               -- 1 live 2 post only 3 cancel only 4 halted
  book_hash bytea not null
);
comment on column markets.last_u is 'seq of the last log that changed the book, as of cursor state';
