"""web3.py, unmodified, over http and websocket: balances, a transfer, a contract call, receipts, logs, eth_subscribe, the texts of nonce errors.
HIFI_RPC is the node's address. Each check prints one line; the first that fails ends the script with exit code 1."""
import asyncio
import os
import sys

import web3
from eth_account import Account
from web3 import AsyncWeb3, Web3, WebSocketProvider
from web3.exceptions import Web3Exception

URL = os.environ["HIFI_RPC"]
WORDS = "test test test test test test test test test test test junk"
TOKEN = Web3.to_checksum_address("0x4f00000000000000000000000000000000000010")
TO = Web3.to_checksum_address("0x0000000000000000000000000000000000003eb3")
ABI = [
    {"type": "function", "name": "balanceOf", "stateMutability": "view", "inputs": [{"name": "", "type": "address"}], "outputs": [{"name": "", "type": "uint256"}]},
    {"type": "function", "name": "mint", "stateMutability": "nonpayable", "inputs": [{"name": "to", "type": "address"}, {"name": "atoms", "type": "uint256"}], "outputs": []},
    {"type": "event", "name": "Transfer", "anonymous": False, "inputs": [
        {"name": "from", "type": "address", "indexed": True}, {"name": "to", "type": "address", "indexed": True}, {"name": "value", "type": "uint256", "indexed": False}]},
]

Account.enable_unaudited_hdwallet_features()
ME = Account.from_mnemonic(WORDS, account_path="m/44'/60'/0'/0/17")


def check(name, holds, detail=""):
    if not holds:
        print(f"FAILED {name}: {detail}")
        sys.exit(1)
    print(f"ok {name} {detail}".rstrip())


def refusal(send):
    """What the node said against it; `accepted` if it said nothing."""
    try:
        send()
    except (Web3Exception, ValueError) as error:
        return str(error)
    return "accepted"


def fields(w3, nonce):
    fee = w3.eth.get_block("latest")["baseFeePerGas"] * 2 + 10**9
    return {"chainId": 4434, "nonce": nonce, "maxFeePerGas": fee, "maxPriorityFeePerGas": 10**9}


def send(w3, transaction):
    return w3.eth.send_raw_transaction(ME.sign_transaction(transaction).raw_transaction)


def over_http():
    w3 = Web3(Web3.HTTPProvider(URL))
    check("connected", w3.is_connected())
    check("chain id", w3.eth.chain_id == 4434)
    check("a funded account", w3.eth.get_balance(ME.address) > 10**18)
    before, nonce = w3.eth.get_balance(TO), w3.eth.get_transaction_count(ME.address)

    tx_hash = send(w3, {"to": TO, "value": 10**18, "gas": 21000, **fields(w3, nonce)})
    receipt = w3.eth.wait_for_transaction_receipt(tx_hash, timeout=30, poll_latency=0.05)
    check("transfer: receipt", receipt["status"] == 1 and receipt["gasUsed"] == 21000)
    check("transfer: balance", w3.eth.get_balance(TO) == before + 10**18)
    check("transfer: nonce", w3.eth.get_transaction_count(ME.address) == nonce + 1)
    check("the transaction by its hash", w3.eth.get_transaction(tx_hash)["blockNumber"] == receipt["blockNumber"])
    check("the block holds it", tx_hash in w3.eth.get_block(receipt["blockNumber"])["transactions"])

    token = w3.eth.contract(address=TOKEN, abi=ABI)
    held = token.functions.balanceOf(TO).call()
    made = token.functions.mint(TO, 31337).build_transaction({"from": ME.address, **fields(w3, nonce + 1)})
    receipt = w3.eth.wait_for_transaction_receipt(send(w3, made), timeout=30, poll_latency=0.05)
    check("contract: gas was estimated", 21000 < receipt["gasUsed"] <= made["gas"], f"{receipt['gasUsed']} of {made['gas']}")
    check("contract: call", token.functions.balanceOf(TO).call() == held + 31337)
    check("contract: the past stays", token.functions.balanceOf(TO).call(block_identifier=receipt["blockNumber"] - 1) == held)
    found = token.events.Transfer().get_logs(from_block=receipt["blockNumber"], to_block=receipt["blockNumber"], argument_filters={"to": TO})
    check("logs", len(found) == 1 and found[0]["args"]["value"] == 31337)

    said = refusal(lambda: send(w3, {"to": TO, "value": 1, "gas": 21000, **fields(w3, 0)}))
    check("an old nonce is too low", "nonce too low" in said, said[:80])
    stranger = Account.create()
    poor = stranger.sign_transaction({"to": TO, "value": 10**18, "gas": 21000, **fields(w3, 0)})
    said = refusal(lambda: w3.eth.send_raw_transaction(poor.raw_transaction))
    check("no funds", "insufficient funds" in said, said[:80])
    return nonce + 2


async def over_websocket(nonce):
    async with AsyncWeb3(WebSocketProvider(URL.replace("http", "ws", 1))) as w3:
        heads = await w3.eth.subscribe("newHeads")
        logs = await w3.eth.subscribe("logs", {"address": TOKEN})
        token = w3.eth.contract(address=TOKEN, abi=ABI)
        base = (await w3.eth.get_block("latest"))["baseFeePerGas"]
        fee = {"chainId": 4434, "nonce": nonce, "maxFeePerGas": base * 2 + 10**9, "maxPriorityFeePerGas": 10**9, "gas": 200000}
        made = await token.functions.mint(TO, 4242).build_transaction({"from": ME.address, **fee})
        tx_hash = await w3.eth.send_raw_transaction(ME.sign_transaction(made).raw_transaction)
        seen = set()
        async for message in w3.socket.process_subscriptions():
            result = message["result"]
            if message["subscription"] == heads:
                seen.add("newHeads")
            elif message["subscription"] == logs and result["transactionHash"] == tx_hash:
                check("eth_subscribe logs", int.from_bytes(result["data"], "big") == 4242)
                seen.add("logs")
            if seen == {"newHeads", "logs"}:
                break
        check("eth_subscribe newHeads", "newHeads" in seen)
        check("eth_unsubscribe", await w3.eth.unsubscribe(heads) is True)


nonce = over_http()
asyncio.run(asyncio.wait_for(over_websocket(nonce), 60))
print(f"web3.py {web3.__version__}: all held")
