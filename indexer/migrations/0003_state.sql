-- State as of cursor 'state': absolute values, flushed each 100 blocks or 10 s. Never read by the live feed.
create table open_orders (
  order_index bigint not null,
  lots bigint not null,                                   -- still open
  unclaimed bigint not null,                              -- filled, not yet claimed
  placed_lots bigint not null,
  placed_seq bigint not null,
  client bigint not null,
  expiry_s bigint not null,
  market int not null,
  ticks int not null,
  account int not null,
  side smallint not null,
  flags smallint not null,                                -- 1: expired, `lots` are refundable, not open
  primary key (market, side, ticks, order_index)
) with (fillfactor = 75, autovacuum_vacuum_scale_factor = 0.02);
create index open_orders_account on open_orders (account);
comment on column open_orders.flags is '1: expired, lots are refundable, not open';

create table levels (
  tail bigint not null,
  head bigint not null,
  head_filled bigint not null,
  open numeric(39,0) not null,
  min_expiry_s bigint not null,
  market int not null,
  ticks int not null,
  side smallint not null,
  primary key (market, side, ticks)
) with (fillfactor = 75);
comment on table levels is 'words of every level ever used: a tail never goes back';

create table balances (
  account int not null,
  token int not null,
  block bigint not null,                                  -- of the last change
  free numeric(39,0) not null,
  locked numeric(39,0) not null,
  claimable numeric(39,0) not null,
  fee_due numeric(39,0) not null,
  primary key (account, token)
) with (fillfactor = 70);

create table candles (
  open_ms bigint not null,
  lots bigint not null,
  taker_bid_lots bigint not null,
  first_trade bigint not null,
  trades int not null,
  market int not null,
  res_s int not null,
  open int not null,                                      -- open .. close in ticks
  high int not null,
  low int not null,
  close int not null,
  quote_atoms numeric(39,0) not null,
  taker_bid_quote_atoms numeric(39,0) not null,
  primary key (market, res_s, open_ms)
) with (fillfactor = 60);
