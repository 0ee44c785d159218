-- For people with psql: a trade as it is published.
create view trades as
  select f.market, f.trade, f.agg, f.ticks, f.lots, (1 - f.maker_side)::smallint as taker_side, f.maker, f.taker, f.block, f.log, b.time_ms
    from fills f join blocks b using (block);
