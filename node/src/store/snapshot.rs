//! Snapshots of the state: they shorten recovery, they hold nothing the log does not.
//! Written by housekeeping from a pinned view, with the root recomputed by an independent implementation; read by recovery.
//!
//! File: head, then the payload in chunks of at most 1 MiB, each with its length before and its crc32 behind. The payload is
//! the newest block hashes and the whole state in the form of a diff part.

use super::disk::{crash_point, sync_dir};
use super::record::encode_diff;
use super::segment::ChainMark;
use crate::error::{StoreError, io};
use crate::publish::Block;
use crate::state::{AccountDiff, Diff, HISTORY_ADDRESS, HISTORY_SLOTS, SlotDiff, State, WalkedAccount};
use alloy_primitives::{B256, U256, keccak256};
use alloy_trie::TrieAccount;
use alloy_trie::root::{state_root_unsorted, storage_root_unsorted};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"HIFISNP1";
const HEAD_BYTES: usize = 140;
const CHUNK_BYTES: usize = 1 << 20;
/// Snapshots kept.
const KEPT: usize = 2;

/// When snapshots are made and how much history stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// Bytes of log since the last snapshot; at least twice the bytes of that snapshot count.
    pub after_bytes: u64,
    /// Most bytes of log kept; `None` keeps every block, which `verify` needs. Never above the lowest hold or the older snapshot.
    pub history_max_bytes: Option<u64>,
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self { after_bytes: 512 << 20, history_max_bytes: None }
    }
}

/// A snapshot read back, checksums verified.
pub(super) struct Snapshot {
    pub block: u64,
    pub hash: B256,
    pub state_root: B256,
    /// Number of the first of `hashes`; the last is `hash`.
    pub hashes_first: u64,
    pub hashes: Vec<B256>,
    /// The state, as a diff part.
    pub state: Vec<u8>,
}

/// Writes a snapshot of the state after `head` and returns its bytes.
///
/// # Errors
/// [`StoreError::Root`] if the state does not give the header's root: the node must stop.
pub fn write_snapshot(data_dir: &Path, mark: ChainMark, state: &Arc<State>, head: &Block) -> Result<u64, StoreError> {
    let view = state.view(head.header.number)?;
    let accounts = view.walk()?;
    let found = full_root(&accounts, state, head.header.number);
    if found != head.header.state_root {
        return Err(StoreError::Root { block: head.header.number, expected: head.header.state_root, found });
    }
    let (hashes_first, mut hashes) = state.hashes().known();
    hashes.truncate(usize::try_from(head.header.number + 1 - hashes_first).expect("the ring is short"));
    let payload = payload(accounts, &hashes, state);
    let dir = data_dir.join("snap");
    let tmp = dir.join("snapshot.tmp");
    let mut file = File::create(&tmp).map_err(io("create", &tmp))?;
    let mut bytes = head_bytes(mark, head, hashes_first, payload.len() as u64).to_vec();
    for chunk in payload.chunks(CHUNK_BYTES) {
        bytes.extend_from_slice(&(chunk.len() as u32).to_le_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(&crc32fast::hash(chunk).to_le_bytes());
        file.write_all(&bytes).map_err(io("write", &tmp))?;
        bytes.clear();
    }
    crash_point("snap_tmp");
    file.sync_all().map_err(io("sync", &tmp))?;
    let path = dir.join(format!("{:016x}.snap", head.header.number));
    std::fs::rename(&tmp, &path).map_err(io("rename", &path))?;
    sync_dir(&dir)?;
    crash_point("snap_renamed");
    for old in snapshot_paths(&dir)?.into_iter().rev().skip(KEPT) {
        std::fs::remove_file(&old).map_err(io("delete", &old))?;
    }
    Ok(payload.len() as u64)
}

/// The state root, built anew from sorted leaves by `alloy-trie`.
fn full_root(accounts: &[WalkedAccount], state: &State, block: u64) -> B256 {
    state_root_unsorted(accounts.iter().map(|walked| {
        let mut slots: Vec<(B256, U256)> = walked.slots.iter().map(|(key, value)| (keccak256(key.to_be_bytes::<32>()), *value)).collect();
        if walked.address == HISTORY_ADDRESS {
            slots.extend((0..HISTORY_SLOTS).filter_map(|slot| {
                let hash = state.hashes().history(block, slot)?;
                Some((keccak256(U256::from(slot).to_be_bytes::<32>()), U256::from_be_bytes(hash.0)))
            }));
        }
        let account = TrieAccount {
            nonce: walked.account.nonce,
            balance: walked.account.balance,
            storage_root: storage_root_unsorted(slots),
            code_hash: walked.account.code_hash,
        };
        (keccak256(walked.address), account)
    }))
}

fn payload(accounts: Vec<WalkedAccount>, hashes: &[B256], state: &State) -> Vec<u8> {
    let mut payload = Vec::new();
    payload.extend_from_slice(&(hashes.len() as u32).to_le_bytes());
    hashes.iter().for_each(|hash| payload.extend_from_slice(&hash.0));
    let accounts = accounts.into_iter().map(|walked| AccountDiff {
        address: walked.address,
        path: B256::ZERO,
        before: None,
        after: Some(walked.account),
        slots: walked.slots.into_iter().map(|(key, after)| SlotDiff { key, path: B256::ZERO, before: U256::ZERO, after }).collect(),
    });
    encode_diff(&Diff { accounts: accounts.collect(), code: state.all_code() }, &mut payload);
    payload
}

fn head_bytes(mark: ChainMark, head: &Block, hashes_first: u64, payload: u64) -> [u8; HEAD_BYTES] {
    let mut bytes = [0; HEAD_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&mark.chain_id.to_le_bytes());
    bytes[16..48].copy_from_slice(&mark.genesis.0);
    bytes[48..56].copy_from_slice(&head.header.number.to_le_bytes());
    bytes[56..88].copy_from_slice(&head.hash.0);
    bytes[88..120].copy_from_slice(&head.header.state_root.0);
    bytes[120..128].copy_from_slice(&hashes_first.to_le_bytes());
    bytes[128..136].copy_from_slice(&payload.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..136]);
    bytes[136..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Snapshots of a directory, oldest first.
pub(super) fn snapshot_paths(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io("list", dir))? {
        let path = entry.map_err(io("list", dir))?.path();
        if path.extension().is_some_and(|extension| extension == "snap") {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// Block of the oldest snapshot kept, if there are enough of them to lose one.
pub(crate) fn oldest_snapshot(data_dir: &Path) -> Option<u64> {
    let paths = snapshot_paths(&data_dir.join("snap")).ok()?;
    if paths.len() < KEPT {
        return None;
    }
    let stem = paths.first()?.file_stem()?.to_str()?;
    u64::from_str_radix(stem, 16).ok()
}

/// Reads a snapshot; `Err` says what is wrong with it, and recovery takes an older one.
pub(super) fn read_snapshot(path: &Path, mark: ChainMark) -> Result<Snapshot, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let head = bytes.get(..HEAD_BYTES).ok_or("it is too short")?;
    let long = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    if &head[..8] != MAGIC || crc32fast::hash(&head[..136]).to_le_bytes() != head[136..140] {
        return Err("its head is damaged".into());
    }
    if long(8) != mark.chain_id || head[16..48] != mark.genesis.0 {
        return Err("it is of another chain".into());
    }
    let payload = join_chunks(&bytes[HEAD_BYTES..], long(128))?;
    let count =
        payload.get(..4).map(|bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes")) as usize).ok_or("it is too short")?;
    let end = 4 + 32 * count;
    let hashes = payload.get(4..end).ok_or("it is too short")?.chunks(32).map(B256::from_slice).collect();
    let snapshot = Snapshot {
        block: long(48),
        hash: B256::from_slice(&head[56..88]),
        state_root: B256::from_slice(&head[88..120]),
        hashes_first: long(120),
        hashes,
        state: payload[end..].to_vec(),
    };
    let last = snapshot.hashes.last() == Some(&snapshot.hash);
    if !last || snapshot.hashes_first + snapshot.hashes.len() as u64 != snapshot.block + 1 {
        return Err("its block hashes do not end with its block".into());
    }
    Ok(snapshot)
}

fn join_chunks(mut bytes: &[u8], payload: u64) -> Result<Vec<u8>, String> {
    let mut joined = Vec::with_capacity(bytes.len());
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<4>().ok_or("a chunk is cut")?;
        let len = u32::from_le_bytes(*len) as usize;
        if rest.len() < len + 4 {
            return Err("a chunk is cut".into());
        }
        let (chunk, rest) = rest.split_at(len);
        let (crc, rest) = rest.split_at(4);
        if crc32fast::hash(chunk).to_le_bytes() != *crc {
            return Err("the checksum of a chunk does not match".into());
        }
        joined.extend_from_slice(chunk);
        bytes = rest;
    }
    if joined.len() as u64 == payload { Ok(joined) } else { Err("it is too short".into()) }
}
