"""python-binance 1.0.37, unmodified: REST, sockets and its depth cache, which must equal REST at the same update id.
HIFI_API is http://host:port. Each check prints one line; the first that fails ends the script with exit code 1."""
import asyncio
import os
import sys
import time

from binance import AsyncClient, BinanceSocketManager, Client
from binance.base_client import BaseClient
from binance.exceptions import BinanceAPIException
from binance.ws.depthcache import DepthCacheManager

B = os.environ["HIFI_API"].rstrip("/")
W = B.replace("http://", "ws://", 1)
SYMBOL = os.environ.get("HIFI_SYMBOL", "ETH/USDC").replace("/", "")
SECONDS = 20

BaseClient.API_URL = B + "/api"
BaseClient.WS_API_URL = W + "/ws-api/v3"
BinanceSocketManager.STREAM_URL = W + "/"


def check(name, holds, detail=""):
    if not holds:
        print(f"FAILED {name}: {detail}")
        sys.exit(1)
    print(f"ok {name} {detail}".rstrip())


def rest():
    client = Client()
    check("ping", client.ping() == {})
    info = client.get_exchange_info()
    check("get_exchange_info", SYMBOL in [row["symbol"] for row in info["symbols"]], f"{len(info['symbols'])} markets")
    check("get_symbol_info", client.get_symbol_info(SYMBOL)["filters"][0]["filterType"] == "PRICE_FILTER")
    check("get_server_time", abs(client.get_server_time()["serverTime"] - time.time() * 1000) < 60_000)
    book = client.get_order_book(symbol=SYMBOL, limit=100)
    check("get_order_book", float(book["bids"][0][0]) < float(book["asks"][0][0]) and set(book) == {"lastUpdateId", "bids", "asks"})
    check("eight decimals", all(len(text.split(".")[1]) == 8 for side in ("bids", "asks") for row in book[side] for text in row))
    trades = client.get_recent_trades(symbol=SYMBOL, limit=100)
    ids = [row["id"] for row in trades]
    check("get_recent_trades", ids == list(range(ids[0], ids[0] + len(ids))), f"{len(ids)} trades")
    aggregates = client.get_aggregate_trades(symbol=SYMBOL, limit=10)
    again = client.get_aggregate_trades(symbol=SYMBOL, fromId=aggregates[0]["a"], limit=10)
    check("get_aggregate_trades", again[:1] == aggregates[:1] and aggregates[-1]["l"] >= aggregates[-1]["f"], f"from {aggregates[0]['a']}")
    klines = client.get_klines(symbol=SYMBOL, interval=Client.KLINE_INTERVAL_1MINUTE, limit=10)
    check("get_klines", all(len(row) == 12 and row[6] == row[0] + 59_999 for row in klines), f"{len(klines)} minutes")
    ticker = client.get_ticker(symbol=SYMBOL)
    check("get_ticker", float(ticker["lowPrice"]) <= float(ticker["lastPrice"]) <= float(ticker["highPrice"]), ticker["lastPrice"])
    check("get_orderbook_ticker", float(client.get_orderbook_ticker(symbol=SYMBOL)["bidPrice"]) > 0)
    check("get_symbol_ticker", float(client.get_symbol_ticker(symbol=SYMBOL)["price"]) > 0)
    check("get_orderbook_tickers", len(client.get_orderbook_tickers()) == len(info["symbols"]))
    try:
        client.get_order_book(symbol="NOSUCH")
        check("unknown market is refused", False)
    except BinanceAPIException as error:
        check("unknown market is refused", error.code == -1121 and error.status_code == 400, "-1121 Invalid symbol.")
    client.close_connection()


async def cache_equals_rest(client):
    """The library's own depth cache against REST wherever both have the same update id."""
    seen, pending, matches = {}, {}, 0
    deadline = time.time() + SECONDS
    manager = DepthCacheManager(client, SYMBOL, limit=1000, ws_interval=100)

    async def follow(socket):
        while True:
            cache = await socket.recv()
            if cache is not None and cache.update_time is not None:
                seen[socket._last_update_id] = (cache.get_bids()[:20], cache.get_asks()[:20])

    async with manager as socket:
        follower = asyncio.create_task(follow(socket))
        try:
            while matches < 3:
                if time.time() > deadline:
                    check("depth cache equals REST", False, f"{matches} matches; cache had {len(seen)} states")
                if follower.done():
                    await follower
                book = await client.get_order_book(symbol=SYMBOL, limit=1000)
                sides = tuple([[float(price), float(size)] for price, size in book[side][:20]] for side in ("bids", "asks"))
                pending[book["lastUpdateId"]] = sides
                await asyncio.sleep(0.15)
                for number in [number for number in pending if number in seen]:
                    ours = tuple([[float(price), float(size)] for price, size in side] for side in seen[number])
                    check(f"depth cache at {number}", pending.pop(number) == ours, "equal to REST")
                    matches += 1
        finally:
            follower.cancel()


async def sockets():
    client = await AsyncClient.create()
    manager = BinanceSocketManager(client)
    try:
        await cache_equals_rest(client)
        async with manager.trade_socket(SYMBOL) as socket:
            numbers = [(await asyncio.wait_for(socket.recv(), SECONDS))["t"] for _ in range(5)]
        check("trade_socket", numbers == list(range(numbers[0], numbers[0] + 5)), f"trades {numbers[0]} to {numbers[-1]}")
        async with manager.kline_socket(SYMBOL, "1m") as socket:
            kline = (await asyncio.wait_for(socket.recv(), SECONDS))["k"]
        check("kline_socket", kline["i"] == "1m" and kline["s"] == SYMBOL and float(kline["h"]) >= float(kline["l"]), kline["c"])
        async with manager.symbol_book_ticker_socket(SYMBOL) as socket:
            quote = await asyncio.wait_for(socket.recv(), SECONDS)
        check("symbol_book_ticker_socket", float(quote["b"]) < float(quote["a"]))
        names = [SYMBOL.lower() + "@aggTrade", SYMBOL.lower() + "@depth@100ms"]
        async with manager.multiplex_socket(names) as socket:
            streams = set()
            deadline = time.time() + SECONDS
            while streams != set(names) and time.time() < deadline:
                streams.add((await asyncio.wait_for(socket.recv(), SECONDS))["stream"])
        check("multiplex_socket", streams == set(names), " ".join(sorted(streams)))
    finally:
        await client.close_connection()


if __name__ == "__main__":
    try:
        rest()
        asyncio.run(sockets())
        print("ok python-binance")
    except SystemExit:
        raise
    except BaseException as error:
        print(f"FAILED {type(error).__name__}: {error}")
        sys.exit(1)
