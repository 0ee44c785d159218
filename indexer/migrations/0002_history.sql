-- History: blocks, order_events and fills in leaves by range of block; transfers are kept for ever. Widest columns first: no padding.
create table blocks (
  block bigint primary key,
  time_ms bigint not null,
  gas_used bigint not null,
  base_fee bigint not null,                               -- wei per gas
  txs int not null,
  events int not null,
  fills int not null,
  hash bytea not null,
  parent bytea not null,
  digest bytea not null,                                  -- blake3 of the block's rows, see store/digest.rs
  tx_hashes bytea not null,                               -- 36 B per transaction with exchange logs: index u32, hash
  failed bytea not null                                   -- 62 B per reverted transaction to the exchange: index u32, hash, sender, reason u16, gas u32
) partition by range (block);
alter table blocks alter column tx_hashes set storage external;
create index blocks_time on blocks (time_ms);
comment on column blocks.digest is 'blake3 over the COPY bytes of all rows of the block';
comment on column blocks.tx_hashes is '36 B per transaction with exchange logs: index u32 BE, hash';
comment on column blocks.failed is '62 B per reverted transaction to the exchange: index u32 BE, hash, sender, reason u16 BE (0 unknown), gas u32 BE';

create table order_events (
  block bigint not null,
  lots bigint not null,                                   -- placed: rests; reduced: removed; taken: filled; claimed: paid; rejected: 0
  left_lots bigint,                                       -- reduced: left; taken: wanted - filled; claimed: refunded
  order_index bigint,                                     -- with market, side, ticks the order id; rejected: index of the batch's result word
  order_seq bigint,                                       -- seq of the order's Placed; taken: of the remainder that rested, else its own
  client bigint,
  expiry_s bigint,
  log int not null,
  tx int not null,
  account int not null,
  market int,
  ticks int,
  kind smallint not null,                                 -- 1 placed 2 reduced 3 taken 4 claimed 5 rejected
  mode smallint,                                          -- mode byte; rejected: kind of the operation
  side smallint,                                          -- 0 bid 1 ask
  reason smallint,                                        -- reduced, taken: as logged; rejected: number in the reject table from 1, 0 unknown
  quote_atoms numeric(39,0),                              -- taken only
  fee_atoms numeric(39,0),                                -- taken only
  primary key (block, log)
) partition by range (block);
comment on column order_events.kind is '1 placed 2 reduced 3 taken 4 claimed 5 rejected';
comment on column order_events.reason is 'reduced 1 cancel 2 reduce 3 replaced 4 stp 5 expired 6 deadman 7 halted; taken 0 filled 1 limit 2 steps 3 stp 4 budget; rejected: number in the reject table';
comment on column order_events.lots is 'placed: rests; reduced: removed; taken: filled; claimed: paid';
comment on column order_events.left_lots is 'reduced: left; taken: wanted - filled; claimed: refunded';

create table fills (
  block bigint not null,
  trade bigint not null,                                  -- counts the market's fills from 1
  agg bigint not null,                                    -- counts the market's (taker operation, price) groups from 1
  maker_index bigint not null,
  maker_seq bigint not null,
  taker_seq bigint not null,
  lots bigint not null,
  maker_left bigint not null,                             -- lots of the maker still offered
  n int not null,                                         -- place in the block
  market int not null,
  ticks int not null,
  maker int not null,
  taker int not null,
  tx int not null,
  log int not null,
  maker_side smallint not null,                           -- 0 bid 1 ask
  fee_atoms numeric(39,0) not null,                       -- the taker's, quote atoms
  primary key (block, n)
) partition by range (block);
create index fills_market on fills (market, block);
comment on column fills.maker_side is '0 bid 1 ask';
comment on column fills.fee_atoms is 'the taker''s fee on this fill, quote atoms';

create table transfers (
  block bigint not null,
  log int not null,
  tx int not null,
  account int not null,
  token int not null,
  kind smallint not null,                                 -- 1 deposited 2 withdrawn 3 fees swept 4 swapped in 5 swapped out
  atoms numeric(39,0) not null,                           -- signed
  primary key (block, log, kind)
);
create index transfers_account on transfers (account, block);
comment on column transfers.kind is '1 deposited 2 withdrawn 3 fees swept 4 swapped in 5 swapped out';
