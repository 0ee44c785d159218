//! The files of the block log: segments of records, written by the commit thread, read by everybody.
//! [`LogFiles`] knows where each block lies; [`Wal`] is the one writer. Blocks begin at 1: genesis is not in the log.

use super::Lock;
use super::disk::{armed, crash_point, reserve, sync_dir};
use super::record::{self, Damage, HEAD_BYTES, Record};
use crate::error::{StoreError, io};
use crate::publish::Block;
use crate::state::Diff;
use crate::sync::RwLock;
use alloy_primitives::{B256, Bytes};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a segment unless one block needs more.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// Bytes before the first record.
pub(super) const SEGMENT_HEAD_BYTES: u64 = 64;
const MAGIC: &[u8; 8] = b"HIFIWAL1";
const VERSION: u32 = 1;

/// When the log is synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Once a block, before it is published: nothing published is ever lost.
    #[default]
    Block,
    /// Never by us; for benchmarks.
    Off,
}

/// The chain a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainMark {
    pub chain_id: u64,
    pub genesis: B256,
}

/// One file of records.
#[derive(Debug)]
pub(super) struct Segment {
    /// Number of its first block.
    pub first: u64,
    pub path: PathBuf,
    pub file: File,
}

/// Where a block lies in its segment.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: B256,
    offset: u32,
    bytes: u32,
}

#[derive(Debug, Default)]
struct Places {
    segments: Vec<Arc<Segment>>,
    /// Number of the block at `places[0]`.
    first: u64,
    places: Vec<Place>,
}

/// Readable side of the log. Shared.
#[derive(Debug)]
pub struct LogFiles {
    places: RwLock<Places>,
}

impl LogFiles {
    pub(super) fn new() -> Self {
        Self { places: RwLock::new(Places { first: 1, ..Places::default() }) }
    }

    pub(super) fn add_segment(&self, segment: Arc<Segment>) {
        let mut places = self.places.write();
        if places.segments.is_empty() {
            places.first = segment.first;
        }
        places.segments.push(segment);
    }

    pub(super) fn add_block(&self, number: u64, hash: B256, offset: u64, bytes: usize) {
        let mut places = self.places.write();
        assert_eq!(places.first + places.places.len() as u64, number, "the log has no gap");
        let offset = u32::try_from(offset).expect("segments are below 4 GiB");
        let bytes = u32::try_from(bytes).expect("records are below 4 GiB");
        places.places.push(Place { hash, offset, bytes });
    }

    /// First block readable.
    pub fn first(&self) -> u64 {
        self.places.read().first
    }

    /// Newest block readable; `first - 1` if there is none.
    pub fn last(&self) -> u64 {
        let places = self.places.read();
        places.first + places.places.len() as u64 - 1
    }

    /// Hash of a block in the log.
    pub fn hash(&self, number: u64) -> Option<B256> {
        let places = self.places.read();
        let index = usize::try_from(number.checked_sub(places.first)?).ok()?;
        places.places.get(index).map(|place| place.hash)
    }

    /// Bytes of all segments on disk.
    pub fn bytes(&self) -> u64 {
        let segments = self.places.read().segments.clone();
        segments.iter().filter_map(|segment| segment.file.metadata().ok()).map(|data| data.len()).sum()
    }

    /// The record of a block, checksums verified; `None` if the log does not have it.
    pub fn read(&self, number: u64) -> Result<Option<Bytes>, StoreError> {
        let (segment, place) = {
            let places = self.places.read();
            let Some(index) = number.checked_sub(places.first).and_then(|index| usize::try_from(index).ok()) else {
                return Ok(None);
            };
            let Some(place) = places.places.get(index).copied() else {
                return Ok(None);
            };
            let segment = places.segments.partition_point(|segment| segment.first <= number) - 1;
            (Arc::clone(&places.segments[segment]), place)
        };
        let mut bytes = vec![0; place.bytes as usize];
        segment.file.read_exact_at(&mut bytes, u64::from(place.offset)).map_err(io("read", &segment.path))?;
        match Record::parse(&bytes) {
            Ok(record) if record.head.number == number && record.head.hash == place.hash => Ok(Some(bytes.into())),
            Ok(_) => Err(StoreError::Unreadable { block: number, why: "another block is in its place".into() }),
            Err(damage) => Err(StoreError::Unreadable { block: number, why: damage.to_string() }),
        }
    }

    /// A block, decoded.
    pub fn block(&self, number: u64) -> Result<Option<Block>, StoreError> {
        let Some(bytes) = self.read(number)? else {
            return Ok(None);
        };
        let head = Record::parse(&bytes).expect("checked by read").head;
        let part = bytes.slice(HEAD_BYTES..HEAD_BYTES + head.block_len as usize);
        let unreadable = |damage: Damage| StoreError::Unreadable { block: number, why: damage.to_string() };
        record::decode_block(&head, &part).map(Some).map_err(unreadable)
    }

    /// Deletes whole segments below block `below` until the log is at most `max_bytes`; returns how many went.
    pub(crate) fn prune(&self, below: u64, max_bytes: u64) -> Result<usize, StoreError> {
        let mut pruned = 0;
        while self.bytes() > max_bytes {
            let segment = {
                let mut places = self.places.write();
                match places.segments.get(1) {
                    Some(next) if next.first <= below => {
                        let first = next.first;
                        let gone = usize::try_from(first - places.first).expect("places fit in memory");
                        places.places.drain(..gone);
                        places.first = first;
                        places.segments.remove(0)
                    }
                    _ => break,
                }
            };
            std::fs::remove_file(&segment.path).map_err(io("delete", &segment.path))?;
            pruned += 1;
            crash_point("wal_deleted");
        }
        Ok(pruned)
    }
}

/// The one writer of the log.
#[derive(Debug)]
pub struct Wal {
    dir: PathBuf,
    mark: ChainMark,
    fsync: Fsync,
    files: Arc<LogFiles>,
    current: Option<Arc<Segment>>,
    /// Where the next record goes, and where the segment ends.
    offset: u64,
    capacity: u64,
    /// Length of the segments to come.
    segment_bytes: u64,
    /// A reserved file waiting to become a segment.
    spare: Option<File>,
    record: Vec<u8>,
    scratch: Vec<u8>,
    /// Held as long as the directory may be written.
    _lock: Lock,
}

impl Wal {
    /// Goes on where recovery found the end of the log.
    pub(super) fn new(
        dir: PathBuf,
        mark: ChainMark,
        fsync: Fsync,
        files: Arc<LogFiles>,
        end: Option<(Arc<Segment>, u64)>,
        lock: Lock,
    ) -> Result<Self, StoreError> {
        let (current, offset, capacity) = match end {
            Some((segment, offset)) => {
                let capacity = segment.file.metadata().map_err(io("read", &segment.path))?.len();
                (Some(segment), offset, capacity)
            }
            None => (None, 0, 0),
        };
        let spare = dir.join("spare.tmp");
        if spare.exists() {
            std::fs::remove_file(&spare).map_err(io("delete", &spare))?;
        }
        Ok(Self {
            dir,
            mark,
            fsync,
            files,
            current,
            offset,
            capacity,
            segment_bytes: SEGMENT_BYTES,
            spare: None,
            record: Vec::new(),
            scratch: Vec::new(),
            _lock: lock,
        })
    }

    /// Makes new segments this long instead of [`SEGMENT_BYTES`]: tests want many of them.
    pub fn set_segment_bytes(&mut self, bytes: u64) {
        self.segment_bytes = bytes;
    }

    /// The readable side.
    pub fn files(&self) -> &Arc<LogFiles> {
        &self.files
    }

    /// Makes a block durable and readable from disk; returns the bytes of its record. One write, one sync.
    pub fn append(&mut self, block: &Block, diff: &Diff) -> Result<usize, StoreError> {
        let mut record = std::mem::take(&mut self.record);
        record::encode(block, diff, &mut record, &mut self.scratch);
        let outcome = self.write(block.header.number, &record);
        let bytes = record.len();
        self.record = record;
        let segment = outcome?;
        crash_point("wal_written");
        if self.fsync == Fsync::Block {
            segment.file.sync_data().map_err(io("sync", &segment.path))?;
        }
        self.files.add_block(block.header.number, block.hash, self.offset, bytes);
        self.offset += bytes as u64;
        crash_point("wal_synced");
        Ok(bytes)
    }

    fn write(&mut self, number: u64, record: &[u8]) -> Result<Arc<Segment>, StoreError> {
        let bytes = record.len() as u64;
        if self.current.is_none() || self.offset + bytes > self.capacity {
            self.roll(number, bytes)?;
        }
        let segment = self.current.as_ref().expect("rolled if there was none");
        if armed("wal_partial") {
            segment.file.write_all_at(&record[..record.len() / 2], self.offset).map_err(io("write", &segment.path))?;
            crash_point("wal_partial");
        }
        segment.file.write_all_at(record, self.offset).map_err(io("write", &segment.path))?;
        Ok(Arc::clone(segment))
    }

    /// Begins a new segment. The old one is cut to its records first, so that only the last segment ends in zeros.
    fn roll(&mut self, first: u64, record_bytes: u64) -> Result<(), StoreError> {
        if let Some(old) = self.current.take() {
            old.file.set_len(self.offset).and_then(|()| old.file.sync_all()).map_err(io("seal", &old.path))?;
        }
        let capacity = self.segment_bytes.max(SEGMENT_HEAD_BYTES + record_bytes);
        let spare_path = self.dir.join("spare.tmp");
        let file = match self.spare.take() {
            Some(file) if capacity == self.segment_bytes => file,
            _ => create(&spare_path, capacity)?,
        };
        file.write_all_at(&segment_head(self.mark, first), 0).map_err(io("write", &spare_path))?;
        file.sync_all().map_err(io("sync", &spare_path))?;
        let path = self.dir.join(format!("{first:016x}.seg"));
        std::fs::rename(&spare_path, &path).map_err(io("rename", &path))?;
        sync_dir(&self.dir)?;
        crash_point("segment_created");
        let segment = Arc::new(Segment { first, path, file });
        self.files.add_segment(Arc::clone(&segment));
        self.current = Some(segment);
        self.offset = SEGMENT_HEAD_BYTES;
        self.capacity = capacity;
        Ok(())
    }

    /// Reserves the next segment once the current one is half full. `Ok(false)`: the disk has no room; try again later.
    pub fn prepare(&mut self) -> Result<bool, StoreError> {
        if self.spare.is_some() || self.offset * 2 < self.capacity {
            return Ok(true);
        }
        match create(&self.dir.join("spare.tmp"), self.segment_bytes) {
            Ok(file) => {
                self.spare = Some(file);
                Ok(true)
            }
            Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::StorageFull => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn create(path: &Path, bytes: u64) -> Result<File, StoreError> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path).map_err(io("create", path))?;
    reserve(&file, bytes).map_err(io("reserve", path))?;
    Ok(file)
}

/// `HIFIWAL1`, version, chain id, genesis hash, first block, crc32 of all before.
pub(super) fn segment_head(mark: ChainMark, first: u64) -> [u8; SEGMENT_HEAD_BYTES as usize] {
    let mut head = [0; SEGMENT_HEAD_BYTES as usize];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head[12..20].copy_from_slice(&mark.chain_id.to_le_bytes());
    head[20..52].copy_from_slice(&mark.genesis.0);
    head[52..60].copy_from_slice(&first.to_le_bytes());
    let crc = crc32fast::hash(&head[..60]);
    head[60..].copy_from_slice(&crc.to_le_bytes());
    head
}

/// What recovery found in the segments, in order.
pub(super) struct Scan<'a, F: FnMut(&Record<'_>) -> Result<(), StoreError>> {
    pub mark: ChainMark,
    pub files: &'a LogFiles,
    /// Whether a torn end is cut off on disk, or only passed over.
    pub repair: bool,
    /// Called with each valid record, in block order.
    pub visit: F,
}

impl<F: FnMut(&Record<'_>) -> Result<(), StoreError>> Scan<'_, F> {
    /// Reads all segments of `dir`. A bad end with nothing valid behind it is cut off; anything else bad is an error.
    /// Returns the last segment and where its records end.
    pub fn run(&mut self, dir: &Path, genesis: B256) -> Result<Option<(Arc<Segment>, u64)>, StoreError> {
        let paths = segment_paths(dir)?;
        let mut end = None;
        let mut expected: Option<(u64, B256)> = None;
        for (index, path) in paths.iter().enumerate() {
            let later = &paths[index + 1..];
            let bytes = std::fs::read(path).map_err(io("read", path))?;
            let first = first_of(path)?;
            let begins = bytes.get(..SEGMENT_HEAD_BYTES as usize) == Some(&segment_head(self.mark, first)[..]);
            let (number, parent) = expected.unwrap_or((first, if first == 1 { genesis } else { B256::ZERO }));
            if !begins || first != number {
                let why = if begins { format!("it begins with block {first}") } else { "the head of the segment is damaged".into() };
                return Err(StoreError::Corrupt { block: number, path: path.clone(), offset: 0, why });
            }
            let file = OpenOptions::new().read(true).write(true).open(path).map_err(io("open", path))?;
            let segment = Arc::new(Segment { first, path: path.clone(), file });
            self.files.add_segment(Arc::clone(&segment));
            let (offset, next, bad) = self.segment(path, &bytes, number, parent)?;
            expected = Some(next);
            let tail = &bytes[offset as usize..];
            let clean = tail.iter().all(|byte| *byte == 0) && (tail.is_empty() || later.is_empty());
            if clean {
                end = Some((segment, offset));
                continue;
            }
            if follows(tail) || later.iter().any(|path| std::fs::read(path).is_ok_and(|bytes| follows(&bytes))) {
                let why = bad.map_or("a gap".into(), |damage| damage.to_string());
                return Err(StoreError::Corrupt { block: next.0, path: path.clone(), offset, why });
            }
            if self.repair {
                cut(&segment, offset, later)?;
            }
            end = Some((segment, offset));
            break;
        }
        Ok(end)
    }

    /// Visits the records of one segment; returns where they end, the next block with its parent, and what ended them.
    #[allow(clippy::type_complexity)]
    fn segment(&mut self, path: &Path, bytes: &[u8], number: u64, parent: B256) -> Result<(u64, (u64, B256), Option<Damage>), StoreError> {
        let (mut number, mut parent) = (number, parent);
        let mut offset = SEGMENT_HEAD_BYTES as usize;
        loop {
            let record = match Record::parse(&bytes[offset..]) {
                Ok(record) => record,
                Err(damage) => return Ok((offset as u64, (number, parent), Some(damage))),
            };
            let head = record.head;
            if head.number != number || (head.parent != parent && !parent.is_zero()) {
                let why = format!("found block {} with parent {}, expected parent {parent}", head.number, head.parent);
                return Err(StoreError::Corrupt { block: number, path: path.to_owned(), offset: offset as u64, why });
            }
            self.files.add_block(number, head.hash, offset as u64, head.record_bytes());
            (self.visit)(&record)?;
            offset += head.record_bytes();
            number += 1;
            parent = head.hash;
        }
    }
}

/// Whether a valid record begins anywhere in these bytes.
fn follows(bytes: &[u8]) -> bool {
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(4).position(|window| window == b"HBLK") {
        if Record::parse(&bytes[at + found..]).is_ok() {
            return true;
        }
        at += found + 1;
    }
    false
}

/// Cuts a torn end off: zeros from `offset`, no later segments.
fn cut(segment: &Segment, offset: u64, later: &[PathBuf]) -> Result<(), StoreError> {
    let len = segment.file.metadata().map_err(io("read", &segment.path))?.len();
    tracing::warn!(path = %segment.path.display(), offset, "a torn block at the end of the log is cut off");
    segment
        .file
        .set_len(offset)
        .and_then(|()| reserve(&segment.file, len))
        .and_then(|()| segment.file.sync_all())
        .map_err(io("truncate", &segment.path))?;
    for path in later {
        std::fs::remove_file(path).map_err(io("delete", path))?;
    }
    Ok(())
}

/// Segments in block order.
fn segment_paths(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io("list", dir))? {
        let path = entry.map_err(io("list", dir))?.path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

fn first_of(path: &Path) -> Result<u64, StoreError> {
    path.file_stem()
        .and_then(|stem| stem.to_str())
        .and_then(|stem| u64::from_str_radix(stem, 16).ok())
        .ok_or_else(|| StoreError::Meta { path: path.to_owned(), why: "a segment's name is its first block in hex".into() })
}
