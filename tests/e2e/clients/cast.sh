#!/usr/bin/env bash
# Foundry's cast, unmodified: chain id, balances, a transfer, a contract call, a receipt, logs, and the texts of nonce errors.
# HIFI_RPC is the node's address. The first check that fails ends the script with exit code 1.
set -euo pipefail
export ETH_RPC_URL="$HIFI_RPC" NO_COLOR=1
words='test test test test test test test test test test test junk'
token=0x4F00000000000000000000000000000000000010
key=$(cast wallet private-key --mnemonic "$words" --mnemonic-index 15)
me=$(cast wallet address --private-key "$key")
to=0x000000000000000000000000000000000000ca57

ok() { echo "ok $*"; }
fail() { echo "FAILED $*"; exit 1; }
same() { [[ $2 == "$3" ]] && ok "$1" "$2" || fail "$1: expected $3, got $2"; }
field() { node -pe "JSON.parse(require('fs').readFileSync(0, 'utf8')).$1"; }

same "chain id" "$(cast chain-id)" 4434
[[ $(cast balance "$me") != 0 ]] && ok "a funded account" || fail "a funded account"
[[ $(cast block latest --field number) -ge 0 ]] && ok "the latest block" || fail "the latest block"
[[ -n $(cast client) ]] && ok "client version"

before=$(cast balance "$to")
nonce=$(cast nonce "$me")
receipt=$(cast send --private-key "$key" "$to" --value 1ether --json)
hash=$(field transactionHash <<<"$receipt")
same "transfer: status" "$(field status <<<"$receipt")" 0x1
same "transfer: gas used" "$(($(field gasUsed <<<"$receipt")))" 21000
same "transfer: balance" "$(cast balance "$to")" "$(node -pe "BigInt('$before') + 10n ** 18n + ''")"
same "transfer: nonce" "$(cast nonce "$me")" "$((nonce + 1))"
same "the transaction by its hash" "$(cast tx "$hash" to | tr A-F a-f)" "$to"
same "the receipt by its hash" "$(cast receipt "$hash" blockNumber)" "$(($(field blockNumber <<<"$receipt")))"

held=$(cast call "$token" 'balanceOf(address)(uint256)' "$to" | cut -d' ' -f1)
receipt=$(cast send --private-key "$key" "$token" 'mint(address,uint256)' "$to" 1234567 --json)
block=$(field blockNumber <<<"$receipt")
same "contract: status" "$(field status <<<"$receipt")" 0x1
same "contract: one log" "$(field logs.length <<<"$receipt")" 1
same "contract: call" "$(cast call "$token" 'balanceOf(address)(uint256)' "$to" | cut -d' ' -f1)" "$((held + 1234567))"
same "contract: code" "$(cast code "$token" | cut -c1-2)" 0x
logs=$(cast logs --from-block "$block" --to-block "$block" --address "$token" 'Transfer(address indexed,address indexed,uint256)' --json)
same "logs" "$(field 'some(log => BigInt(log.data) === 1234567n)' <<<"$logs")" true

error=$(cast send --private-key "$key" "$to" --value 1 --nonce 0 --gas-limit 21000 2>&1 || true)
[[ $error == *"nonce too low"* ]] && ok "an old nonce is too low" || fail "an old nonce: $error"
error=$(cast call "$token" 'transfer(address,uint256)' "$to" 1 --from 0x00000000000000000000000000000000000000ff 2>&1 || true)
[[ $error == *revert* ]] && ok "a revert is told" || fail "a revert: $error"
echo "cast $(cast --version | head -1 | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -1): all held"
