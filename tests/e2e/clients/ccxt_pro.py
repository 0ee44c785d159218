"""ccxt.pro 4.5.90, unmodified, over websockets: the book equal to REST at the same update id, trades, candles, ticker.
HIFI_API is http://host:port. Each check prints one line; the first that fails ends the script with exit code 1."""
import asyncio
import sys
import time

import ccxt.pro

from ccxt_rest import SYMBOL, check, config, sane_book

LEVELS = 20
MATCHES = 3
SECONDS = 20


def top(book):
    return [[list(row[:2]) for row in book[side][:LEVELS]] for side in ("bids", "asks")]


async def book_equals_rest(exchange):
    """Follows the book and compares it with REST snapshots wherever both have the same update id."""
    seen = {}
    matches = 0
    deadline = time.time() + SECONDS

    async def follow():
        while True:
            book = await exchange.watch_order_book(SYMBOL)
            seen[book["nonce"]] = top(book)

    follower = asyncio.create_task(follow())
    pending = {}
    try:
        while matches < MATCHES:
            if time.time() > deadline:
                check("book equal at the same update id", False, f"{matches} of {MATCHES} comparisons; the socket had {len(seen)} states")
            if follower.done():
                await follower
            rest = await exchange.fetch_order_book(SYMBOL, 1000)
            pending[rest["nonce"]] = top(rest)
            await asyncio.sleep(0.15)
            for nonce in [nonce for nonce in pending if nonce in seen]:
                check(f"book at {nonce}", pending.pop(nonce) == seen[nonce], "equal over REST and websocket")
                matches += 1
        nonces = list(seen)
        check("update ids rise", nonces == sorted(nonces), f"{len(nonces)} states")
        sane_book("watch_order_book", await exchange.watch_order_book(SYMBOL))
    finally:
        follower.cancel()


async def trades_equal_rest(exchange):
    seen = {}
    deadline = time.time() + SECONDS
    while len(seen) < 10 and time.time() < deadline:
        for trade in await asyncio.wait_for(exchange.watch_trades(SYMBOL), SECONDS):
            seen[int(trade["id"])] = (trade["price"], trade["amount"], trade["side"], trade["timestamp"])
    ids = sorted(seen)
    check("watch_trades", len(ids) >= 2 and ids == list(range(ids[0], ids[0] + len(ids))), f"{len(ids)} trades without a hole")
    # fetch_trades of ccxt reads aggregates, whose numbers are others: ask for the trades themselves.
    rows = await exchange.publicGetTrades({"symbol": exchange.market_id(SYMBOL), "limit": 1000})
    rest = {int(r["id"]): (float(r["price"]), float(r["qty"]), "sell" if r["isBuyerMaker"] else "buy", int(r["time"])) for r in rows}
    both = [number for number in ids if number in rest]
    check("trades equal REST", len(both) > 0 and all(rest[number] == seen[number] for number in both), f"{len(both)} compared")


async def main():
    exchange = ccxt.pro.binance(config())
    try:
        await exchange.load_markets()
        await book_equals_rest(exchange)
        await trades_equal_rest(exchange)
        candles = await asyncio.wait_for(exchange.watch_ohlcv(SYMBOL, "1m"), SECONDS)
        check("watch_ohlcv", len(candles) > 0 and candles[-1][2] >= candles[-1][3] > 0, str(candles[-1]))
        ticker = await asyncio.wait_for(exchange.watch_ticker(SYMBOL), SECONDS)
        check("watch_ticker", ticker["last"] > 0 and ticker["high"] >= ticker["low"], f"last {ticker['last']}")
        quotes = await asyncio.wait_for(exchange.watch_bids_asks([SYMBOL]), SECONDS)
        check("watch_bids_asks", quotes[SYMBOL]["bid"] < quotes[SYMBOL]["ask"], f"{quotes[SYMBOL]['bid']} / {quotes[SYMBOL]['ask']}")
        others = sorted(exchange.symbols)[:4]
        book = await asyncio.wait_for(exchange.watch_order_book_for_symbols(others), SECONDS)
        check("watch_order_book_for_symbols", book["symbol"] in others, " ".join(others))
        print("ok ccxt.pro over websockets")
    finally:
        await exchange.close()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except SystemExit:
        raise
    except BaseException as error:
        print(f"FAILED {type(error).__name__}: {error}")
        sys.exit(1)
