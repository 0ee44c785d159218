//! Hashing: bottom-up over dirty paths only. References of clean children are read from their parent, so a clean subtree
//! costs nothing.

use super::arena::{Kind, Leaf, Link, Reference, Trie, nibble};
use alloy_primitives::{B256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;

/// RLP of a branch: three bytes of header, sixteen references of up to 33 bytes, an empty value.
const BRANCH_BYTES_MAX: usize = 3 + 16 * 33 + 1;
/// RLP of an empty string.
const EMPTY: u8 = 0x80;
/// RLP header of a 32-byte string.
const HASH: u8 = 0xa0;

impl<T: Leaf> Trie<T> {
    /// The root hash: hashes what changed since the last call.
    pub fn root(&mut self) -> B256 {
        if let Some(hashed) = self.hashed {
            return hashed;
        }
        let root = if self.root.is_none() {
            EMPTY_ROOT_HASH
        } else {
            let reference = self.reference(self.root, 0);
            // The root is named by its hash however short it is.
            if reference.len == 32 { B256::from(reference.bytes) } else { keccak256(&reference.bytes[..usize::from(reference.len)]) }
        };
        self.hashed = Some(root);
        root
    }

    fn reference(&mut self, link: Link, depth: usize) -> Reference {
        match link.kind() {
            Kind::None => Reference::EMPTY,
            Kind::Leaf(place) => self.leaf(place, depth),
            Kind::Extension(place) => self.extension(place, depth),
            Kind::Branch(place) => self.branch(place, depth),
        }
    }

    fn leaf(&mut self, place: usize, depth: usize) -> Reference {
        let leaf = self.leaves[place];
        let mut value = std::mem::take(&mut self.buffer);
        value.clear();
        leaf.value.encode(&mut value);
        let mut path = [0; 34];
        let path_len = encode_path(&leaf.key, depth, 64, true, &mut path);
        let mut rlp = [0u8; 256];
        // A value is a string itself; one byte below 0x80 is its own RLP.
        let value_len = string_len(&value);
        let payload = path_len + value_len;
        let mut at = list_header(payload, &mut rlp);
        rlp[at..at + path_len].copy_from_slice(&path[..path_len]);
        at += path_len;
        at += string(&value, &mut rlp[at..]);
        self.buffer = value;
        name(&rlp[..at])
    }

    fn extension(&mut self, place: usize, depth: usize) -> Reference {
        let mut node = self.extensions[place];
        if node.dirty {
            node.reference = self.reference(node.child, usize::from(node.to));
            node.dirty = false;
            self.extensions[place] = node;
        }
        let mut path = [0; 34];
        let path_len = encode_path(&node.key, depth, usize::from(node.to), false, &mut path);
        let mut rlp = [0u8; 72];
        let child_len = if node.reference.len == 32 { 33 } else { usize::from(node.reference.len) };
        let mut at = list_header(path_len + child_len, &mut rlp);
        rlp[at..at + path_len].copy_from_slice(&path[..path_len]);
        at += path_len;
        at += put_reference(&node.reference, &mut rlp[at..]);
        name(&rlp[..at])
    }

    fn branch(&mut self, place: usize, depth: usize) -> Reference {
        let mut dirty = std::mem::take(&mut self.branches[place].dirty);
        while dirty != 0 {
            let choice = dirty.trailing_zeros() as usize;
            dirty &= dirty - 1;
            let child = self.branches[place].children[choice];
            self.branches[place].references[choice] = self.reference(child, depth + 1);
        }
        let node = &self.branches[place];
        let mut rlp = [0u8; BRANCH_BYTES_MAX];
        let mut at = 3;
        for (child, reference) in node.children.iter().zip(&node.references) {
            if child.is_none() {
                rlp[at] = EMPTY;
                at += 1;
            } else {
                at += put_reference(reference, &mut rlp[at..]);
            }
        }
        rlp[at] = EMPTY;
        at += 1;
        let mut header = [0; 3];
        let header_len = list_header(at - 3, &mut header);
        let start = 3 - header_len;
        rlp[start..3].copy_from_slice(&header[..header_len]);
        name(&rlp[start..at])
    }
}

/// The reference of a node with this RLP.
fn name(rlp: &[u8]) -> Reference {
    let mut reference = Reference::EMPTY;
    if rlp.len() < 32 {
        reference.len = rlp.len() as u8;
        reference.bytes[..rlp.len()].copy_from_slice(rlp);
    } else {
        reference.len = 32;
        reference.bytes = keccak256(rlp).0;
    }
    reference
}

fn put_reference(reference: &Reference, out: &mut [u8]) -> usize {
    let len = usize::from(reference.len);
    if len == 32 {
        out[0] = HASH;
        out[1..33].copy_from_slice(&reference.bytes);
        return 33;
    }
    out[..len].copy_from_slice(&reference.bytes[..len]);
    len
}

/// RLP of the hex-prefix encoding of nibbles `from..to` of a key.
fn encode_path(key: &B256, from: usize, to: usize, leaf: bool, out: &mut [u8; 34]) -> usize {
    let odd = (to - from) % 2 == 1;
    let mut compact = [0u8; 33];
    compact[0] = if leaf { 0x20 } else { 0 };
    let mut at = from;
    if odd {
        compact[0] |= 0x10 | nibble(key, at) as u8;
        at += 1;
    }
    let mut len = 1;
    if at.is_multiple_of(2) {
        let bytes = &key[at / 2..to / 2];
        compact[1..=bytes.len()].copy_from_slice(bytes);
        len += bytes.len();
    } else {
        while at < to {
            compact[len] = (nibble(key, at) << 4 | nibble(key, at + 1)) as u8;
            len += 1;
            at += 2;
        }
    }
    string(&compact[..len], out)
}

/// RLP of a short string (at most 255 bytes).
fn string(bytes: &[u8], out: &mut [u8]) -> usize {
    let header = string_len(bytes) - bytes.len();
    match header {
        0 => {}
        1 => out[0] = EMPTY + bytes.len() as u8,
        _ => {
            out[0] = 0xb8;
            out[1] = u8::try_from(bytes.len()).expect("leaf values are at most 110 bytes");
        }
    }
    out[header..header + bytes.len()].copy_from_slice(bytes);
    header + bytes.len()
}

fn string_len(bytes: &[u8]) -> usize {
    match bytes {
        [byte] if *byte < EMPTY => 1,
        bytes if bytes.len() < 56 => bytes.len() + 1,
        bytes => bytes.len() + 2,
    }
}

/// RLP header of a list with a payload of up to 65,535 bytes.
fn list_header(payload: usize, out: &mut [u8]) -> usize {
    if payload < 56 {
        out[0] = 0xc0 + payload as u8;
        return 1;
    }
    if payload < 256 {
        out[0] = 0xf8;
        out[1] = payload as u8;
        return 2;
    }
    out[0] = 0xf9;
    out[1..3].copy_from_slice(&(payload as u16).to_be_bytes());
    3
}
