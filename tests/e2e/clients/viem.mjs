// viem, unmodified, over http and websocket: balances, a transfer, a contract call, receipts, logs, subscriptions, and the texts of nonce errors.
// HIFI_RPC is the node's address, HIFI_CLIENTS the folder with node_modules. The first check that fails ends the script with exit code 1.
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.HIFI_CLIENTS}/`);
const { createPublicClient, createWalletClient, defineChain, http, parseAbi, parseEther, webSocket } = require('viem');
const { mnemonicToAccount } = require('viem/accounts');

const url = process.env.HIFI_RPC;
const chain = defineChain({ id: 4434, name: 'hifi', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 }, rpcUrls: { default: { http: [url] } } });
const account = mnemonicToAccount('test test test test test test test test test test test junk', { addressIndex: 16 });
const over = { http: createPublicClient({ chain, transport: http(url), pollingInterval: 50 }), ws: createPublicClient({ chain, transport: webSocket(url.replace('http', 'ws')) }) };
const wallet = createWalletClient({ account, chain, transport: http(url) });
const token = '0x4F00000000000000000000000000000000000010';
const abi = parseAbi([
  'function balanceOf(address) view returns (uint256)',
  'function mint(address, uint256)',
  'function transfer(address, uint256) returns (bool)',
  'event Transfer(address indexed from, address indexed to, uint256 value)',
]);
const to = '0x0000000000000000000000000000000000007133';

const check = (name, holds, detail = '') => {
  if (!holds) {
    console.log(`FAILED ${name}: ${detail}`);
    process.exit(1);
  }
  console.log(`ok ${name} ${detail}`.trimEnd());
};
/** The error's whole text, causes included. */
const refusal = (promise) => promise.then(() => 'accepted', (error) => `${error.message} ${error.details ?? ''}`);
/** First value handed to `watch`'s callback; fails after a while, since a subscription that is silent is broken. */
const first = (name, watch) =>
  new Promise((resolve) => {
    const patience = setTimeout(() => check(name, false, 'nothing arrived within 20 s'), 20_000);
    watch((value) => {
      clearTimeout(patience);
      resolve(value);
    });
  });

check('chain id', (await over.http.getChainId()) === 4434 && (await over.ws.getChainId()) === 4434);
const [before, nonce] = await Promise.all([over.http.getBalance({ address: to }), over.http.getTransactionCount({ address: account.address })]);
check('a funded account', (await over.http.getBalance({ address: account.address })) > parseEther('1'));

let unwatch = [];
const header = first('eth_subscribe newHeads', (done) => unwatch.push(over.ws.watchBlocks({ onBlock: done })));
const log = first('eth_subscribe logs', (done) => unwatch.push(over.ws.watchContractEvent({ address: token, abi, eventName: 'Transfer', args: { to }, onLogs: (logs) => done(logs[0]) })));

const hash = await wallet.sendTransaction({ to, value: parseEther('1') });
const receipt = await over.http.waitForTransactionReceipt({ hash });
check('transfer: receipt', receipt.status === 'success' && receipt.gasUsed === 21_000n && receipt.type === 'eip1559');
check('transfer: balance', (await over.http.getBalance({ address: to })) === before + parseEther('1'));
check('transfer: nonce', (await over.http.getTransactionCount({ address: account.address })) === nonce + 1);
const block = await over.http.getBlock({ blockHash: receipt.blockHash, includeTransactions: true });
check('the block holds it', block.transactions[receipt.transactionIndex].hash === hash && block.number === receipt.blockNumber);
check('the block before', (await over.http.getBlock({ blockNumber: block.number - 1n })).hash === block.parentHash);

const held = await over.http.readContract({ address: token, abi, functionName: 'balanceOf', args: [to] });
const { request } = await over.http.simulateContract({ account, address: token, abi, functionName: 'mint', args: [to, 7_654_321n] });
const minted = await over.http.waitForTransactionReceipt({ hash: await wallet.writeContract(request) });
check('contract: call', (await over.http.readContract({ address: token, abi, functionName: 'balanceOf', args: [to] })) === held + 7_654_321n);
check('contract: the past stays', (await over.http.readContract({ address: token, abi, functionName: 'balanceOf', args: [to], blockNumber: minted.blockNumber - 1n })) === held);
const logs = await over.http.getContractEvents({ address: token, abi, eventName: 'Transfer', args: { to }, fromBlock: minted.blockNumber, toBlock: minted.blockNumber });
check('logs', logs.length === 1 && logs[0].args.value === 7_654_321n && logs[0].transactionHash === minted.transactionHash);
check('eth_subscribe logs', (await log).transactionHash === minted.transactionHash);
check('eth_subscribe newHeads', (await header).number > 0n);
unwatch.forEach((stop) => stop());

const plain = { to, value: 1n, gas: 21_000n };
check('an old nonce is too low', /nonce too low/i.test(await refusal(wallet.sendTransaction({ ...plain, nonce: 0 }))));
const raw = await wallet.signTransaction(await wallet.prepareTransactionRequest(plain));
const sent = await wallet.sendRawTransaction({ serializedTransaction: raw });
check('the same bytes again', (await refusal(wallet.sendRawTransaction({ serializedTransaction: raw }))).match(/accepted|already known|nonce too low/) !== null);
await over.http.waitForTransactionReceipt({ hash: sent });
const poor = await refusal(over.http.call({ account: '0x00000000000000000000000000000000000000ff', to, value: parseEther('1') }));
check('no funds', /insufficient funds/i.test(poor), poor.slice(0, 60).replaceAll('\n', ' '));
const reverted = await refusal(over.http.simulateContract({ account: '0x00000000000000000000000000000000000000ff', address: token, abi, functionName: 'transfer', args: [to, 1n] }));
check('a revert is told', /revert/i.test(reverted));
const fees = await over.http.estimateFeesPerGas();
check('fees', fees.maxFeePerGas > 0n && (await over.http.getFeeHistory({ blockCount: 4, rewardPercentiles: [50] })).baseFeePerGas.length >= 2);
console.log(`viem ${require('viem/package.json').version}: all held`);
process.exit(0);
