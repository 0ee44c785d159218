"""ccxt 4.5.90, unmodified, over REST: markets, book, trades, candles, tickers, errors. HIFI_API is http://host:port.
Each check prints one line; the first that fails ends the script with exit code 1."""
import os
import sys
import time

import ccxt

B = os.environ["HIFI_API"].rstrip("/")
W = B.replace("http://", "ws://", 1)
SYMBOL = os.environ.get("HIFI_SYMBOL", "ETH/USDC")


def config():
    """The addresses and switches of docs/api.md; nothing else differs from a client of Binance."""
    api = {"public": B + "/api/v3", "private": B + "/api/v3", "v1": B + "/api/v1", "sapi": B + "/sapi/v1"}
    api["ws"] = {"spot": W + "/ws", "ws-api": {"spot": W + "/ws-api/v3"}}
    options = {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchMargins": False, "fetchCurrencies": False}
    return {"urls": {"api": api}, "options": options, "enableRateLimit": False, "timeout": 10000}


def check(name, holds, detail=""):
    if not holds:
        print(f"FAILED {name}: {detail}")
        sys.exit(1)
    print(f"ok {name} {detail}".rstrip())


def sane_book(name, book):
    bids, asks = book["bids"], book["asks"]
    check(name + " both sides", len(bids) > 0 and len(asks) > 0, f"{len(bids)} bids, {len(asks)} asks")
    prices_down = [row[0] for row in bids]
    prices_up = [row[0] for row in asks]
    check(name + " sorted", prices_down == sorted(set(prices_down), reverse=True) and prices_up == sorted(set(prices_up)))
    check(name + " uncrossed", prices_down[0] < prices_up[0], f"{prices_down[0]} < {prices_up[0]}")
    check(name + " no empty level", all(row[1] > 0 for row in bids + asks))


def main():
    exchange = ccxt.binance(config())
    markets = exchange.load_markets()
    check("load_markets", SYMBOL in markets and all(m["spot"] for m in markets.values()), ", ".join(sorted(markets)))
    market = markets[SYMBOL]
    check("market", market["active"] and market["precision"]["price"] > 0 and market["limits"]["amount"]["min"] > 0, market["id"])
    check("fetch_time", abs(exchange.fetch_time() - time.time() * 1000) < 60_000)

    book = exchange.fetch_order_book(SYMBOL, 100)
    check("fetch_order_book nonce", book["nonce"] > 0, str(book["nonce"]))
    sane_book("fetch_order_book", book)

    deadline = time.time() + 15
    trades = exchange.fetch_trades(SYMBOL, limit=100)
    while len(trades) < 2 and time.time() < deadline:
        time.sleep(0.2)
        trades = exchange.fetch_trades(SYMBOL, limit=100)
    raw = exchange.publicGetTrades({"symbol": market["id"], "limit": 100})
    ids = [int(row["id"]) for row in raw]
    check("trades", len(ids) > 1 and ids == list(range(ids[0], ids[0] + len(ids))), f"{len(ids)} trades without a hole up to {ids[-1]}")
    check("fetch_trades", all(t["price"] > 0 and t["amount"] > 0 and t["side"] in ("buy", "sell") for t in trades))
    aggregates = exchange.publicGetAggTrades({"symbol": market["id"], "limit": 100})
    tiles = all(int(b["f"]) == int(a["l"]) + 1 and int(b["a"]) == int(a["a"]) + 1 for a, b in zip(aggregates, aggregates[1:]))
    check("aggTrades tile", tiles and len(aggregates) > 0, f"{len(aggregates)} aggregates")

    candles = exchange.fetch_ohlcv(SYMBOL, "1m", limit=100)
    times = [row[0] for row in candles]
    check("fetch_ohlcv", len(candles) > 0 and times == list(range(times[0], times[0] + 60_000 * len(times), 60_000)), f"{len(candles)} minutes")
    check("fetch_ohlcv high and low", all(o[2] >= max(o[1], o[4]) and o[3] <= min(o[1], o[4]) for o in candles))
    seconds = exchange.fetch_ohlcv(SYMBOL, "1s", limit=1000)
    trades = exchange.fetch_trades(SYMBOL, limit=1000)
    sums = {}
    for trade in trades:
        second = trade["timestamp"] // 1000 * 1000
        sums[second] = sums.get(second, 0) + trade["amount"]
    whole = [row for row in seconds if row[0] in sums and min(sums) < row[0] < max(sums)]
    equal = all(abs(row[5] - sums[row[0]]) < 1e-6 for row in whole)
    check("candles equal the trades", equal, f"{len(whole)} seconds compared")

    ticker = exchange.fetch_ticker(SYMBOL)
    check("fetch_ticker", ticker["last"] > 0 and ticker["low"] <= ticker["last"] <= ticker["high"] and ticker["bid"] < ticker["ask"], f"last {ticker['last']}")
    check("fetch_tickers", set(exchange.fetch_tickers()) >= {SYMBOL})
    check("fetch_bids_asks", exchange.fetch_bids_asks()[SYMBOL]["bid"] > 0)

    try:
        exchange.publicGetDepth({"symbol": "NOSUCH"})
        check("unknown market is refused", False)
    except ccxt.BadSymbol as error:
        check("unknown market is refused", "-1121" in str(error), "BadSymbol -1121")
    try:
        exchange.publicGetKlines({"symbol": market["id"], "interval": "7m"})
        check("unknown interval is refused", False)
    except ccxt.BadRequest as error:
        check("unknown interval is refused", "-1120" in str(error), "BadRequest -1120")
    print("ok ccxt over REST")


if __name__ == "__main__":
    main()
