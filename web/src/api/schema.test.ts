import { describe, expect, test } from 'vitest';
import { decodeCandles, decodeFrame, decodeMarkets, decodeStatus, Malformed } from './schema.ts';

/** The examples of the api's own document. */
const head = '"seq":4398047559697,"prev":0,"block":4194305,"hash":"0x9f","time_ms":1795361896400,"commit":"executed"';

describe('frames', () => {
  test('of each channel are read', () => {
    const depth = decodeFrame(
      `{"channel":"depth","sub":1,"type":"snapshot","market":1,${head},"data":{"bids":[[300000,1000,1]],"asks":[],"crc":278947946,"book_hash":"0x"}}`,
    );
    expect(depth).toMatchObject({
      kind: 'data',
      head: { type: 'snapshot', seq: 4398047559697 },
      payload: { channel: 'depth', depth: { bids: [{ ticks: 300000, lots: 1000, orders: 1 }] } },
    });
    const trades = decodeFrame(
      `{"channel":"trades","sub":2,"type":"update","market":1,${head},"data":[{"kind":"fill","log":5,"trade":8812,"taker_side":"bid","ticks":300100,"lots":5000,"left":1}]}`,
    );
    expect(trades).toMatchObject({ kind: 'data', payload: { fills: [{ trade: 8812, taker_side: 'bid' }] } });
    const blocks = decodeFrame(
      `{"channel":"blocks","sub":3,"type":"update",${head},"data":{"parent":"0x","base_fee":"100","gas_used":182,"txs":4,"heads":{}}}`,
    );
    expect(blocks).toMatchObject({ kind: 'data', payload: { txs: 4, gas_used: 182 } });
    const ticker = decodeFrame(
      `{"channel":"ticker","sub":4,"type":"update","market":1,${head},"data":{"open":1,"high":3,"low":1,"last":2,"lots":9,"quote_atoms":"27","trades":8}}`,
    );
    expect(ticker).toMatchObject({ kind: 'data', payload: { ticker: { quote_atoms: 27n } } });
    const candle = decodeFrame(
      `{"channel":"candles","sub":5,"type":"update","market":1,${head},"data":{"interval":"1m","open_ms":1795361880000,"open":299900,"high":300100,"low":299850,"close":300100,"lots":142000,"quote_atoms":"1","trades":31,"taker_bid_lots":1,"closed":false}}`,
    );
    expect(candle).toMatchObject({ kind: 'data', payload: { interval: '1m', candle: { close: 300100, closed: false } } });
  });
  test('of requests are read', () => {
    expect(decodeFrame('{"op":"ok","id":1,"sub":7}')).toEqual({ kind: 'ok', id: 1, sub: 7 });
    expect(decodeFrame('{"op":"pong","id":4,"t":123,"now_us":1795361896400123,"block":4194305}')).toMatchObject({
      kind: 'pong',
      now_us: 1795361896400123,
    });
    expect(decodeFrame('{"op":"error","id":5,"code":-1121,"reason":"unknown_market","message":"highest is 4"}')).toEqual({
      kind: 'error',
      id: 5,
      sub: null,
      code: -1121,
      message: 'highest is 4',
    });
    expect(decodeFrame('{"channel":"depth","sub":1,"type":"resumed","from":44}')).toEqual({ kind: 'resumed', sub: 1, from: 44 });
  });
  test('of a known kind and wrong shape name their subscription and both sides', () => {
    const bad = decodeFrame(
      `{"channel":"depth","sub":1,"type":"update","market":1,${head},"data":{"bids":[["300000",1,1]],"asks":[],"crc":1}}`,
    );
    expect(bad).toEqual({ kind: 'bad', sub: 1, why: 'depth.bids[0].ticks: expected a whole number below 2^53, found "300000"' });
    for (const size of ['-1', '1.5', '9007199254740993', 'null']) {
      expect(
        decodeFrame(
          `{"channel":"depth","sub":1,"type":"update","market":1,${head},"data":{"bids":[[1,${size},1]],"asks":[],"crc":1}}`,
        ).kind,
      ).toBe('bad');
    }
  });
  test('of a kind this page does not know are left alone', () => {
    expect(decodeFrame('{"channel":"moon","sub":1,"type":"update"}').kind).toBe('unknown');
    expect(decodeFrame('{"op":"later"}').kind).toBe('unknown');
    expect(decodeFrame(`{"channel":"blocks","sub":1,"type":"commit","seq":1,"block":1,"commit":"voted"}`).kind).toBe('unknown');
  });
  test('that are no frames at all are refused, never guessed', () => {
    for (const raw of ['', '{', 'null', '[]', '7', '{"channel":"depth"}']) expect(() => decodeFrame(raw)).toThrow(Malformed);
  });
});

describe('REST answers', () => {
  test('markets carry their grid', () => {
    const market = {
      market: 1,
      name: 'ETH-USDC',
      base: { name: 'ETH', decimals: 18 },
      quote: { name: 'USDC', decimals: 6 },
      tick: '0.01',
      lot: '0.0001',
      status: 'live',
    };
    expect(decodeMarkets([market])[0]).toMatchObject({ name: 'ETH-USDC', quote_decimals: 6, tick: { mantissa: 1, decimals: 2 } });
    expect(() => decodeMarkets([{ ...market, tick: 0.01 }])).toThrow('markets[0].tick: expected text, found 0.01');
  });
  test('status and candles are checked', () => {
    expect(decodeStatus({ heads: { executed: 9 }, ring_from: 2 })).toEqual({ executed: 9, ring_from: 2 });
    expect(() => decodeStatus({ heads: {} })).toThrow(Malformed);
    expect(() => decodeCandles({})).toThrow('expected a list');
  });
});
