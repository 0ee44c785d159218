//! Nodes of one trie in three arenas, linked by 32-bit numbers: no allocation per node, no reference counts.
//! Only `update` changes the shape, only `hash` fills in references.

use alloy_primitives::B256;

/// What a leaf can hold.
pub trait Leaf: Copy {
    /// Appends the RLP of the value.
    fn encode(&self, out: &mut Vec<u8>);
}

/// A link to a node: two bits of kind, thirty of place. Zero is no node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link(u32);

/// What a link points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    None,
    Leaf(usize),
    Extension(usize),
    Branch(usize),
}

const PLACES: u32 = 1 << 30;

impl Link {
    pub const NONE: Self = Self(0);

    pub fn kind(self) -> Kind {
        let place = (self.0 & (PLACES - 1)) as usize;
        match self.0 >> 30 {
            0 => Kind::None,
            1 => Kind::Leaf(place),
            2 => Kind::Extension(place),
            _ => Kind::Branch(place),
        }
    }

    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    fn new(kind: u32, place: usize) -> Self {
        let place = u32::try_from(place).ok().filter(|place| *place < PLACES).expect("a trie has fewer than 2^30 nodes of a kind");
        Self(kind << 30 | place)
    }
}

/// How a parent names a child: its hash, or its RLP if shorter than 32 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    pub len: u8,
    pub bytes: [u8; 32],
}

impl Reference {
    pub const EMPTY: Self = Self { len: 0, bytes: [0; 32] };
}

/// A key and its value. How much of the key the path to it covers is known on the way down.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeafNode<T> {
    pub key: B256,
    pub value: T,
}

/// A stretch of path without a choice: the nibbles of `key` from the depth of the node up to `to`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExtensionNode {
    /// Any key below; only nibbles before `to` count.
    pub key: B256,
    pub to: u8,
    /// Whether `reference` is out of date.
    pub dirty: bool,
    /// Always a branch.
    pub child: Link,
    pub reference: Reference,
}

/// A choice by one nibble; at least two children.
#[derive(Clone, Debug)]
pub(super) struct BranchNode {
    pub children: [Link; 16],
    /// Children whose reference is out of date, a bit each.
    pub dirty: u16,
    pub references: [Reference; 16],
}

/// A Merkle Patricia trie over 32-byte paths.
#[derive(Debug)]
pub struct Trie<T: Leaf> {
    pub(super) root: Link,
    /// The root hash if nothing changed since.
    pub(super) hashed: Option<B256>,
    pub(super) leaves: Vec<LeafNode<T>>,
    pub(super) extensions: Vec<ExtensionNode>,
    pub(super) branches: Vec<BranchNode>,
    free_leaves: Vec<u32>,
    free_extensions: Vec<u32>,
    free_branches: Vec<u32>,
    /// RLP under construction.
    pub(super) buffer: Vec<u8>,
}

impl<T: Leaf> Default for Trie<T> {
    fn default() -> Self {
        Self {
            root: Link::NONE,
            hashed: None,
            leaves: Vec::new(),
            extensions: Vec::new(),
            branches: Vec::new(),
            free_leaves: Vec::new(),
            free_extensions: Vec::new(),
            free_branches: Vec::new(),
            buffer: Vec::new(),
        }
    }
}

impl<T: Leaf> Trie<T> {
    /// Number of keys.
    pub fn len(&self) -> usize {
        self.leaves.len() - self.free_leaves.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    pub(super) fn new_leaf(&mut self, key: B256, value: T) -> Link {
        Link::new(1, put(&mut self.leaves, &mut self.free_leaves, LeafNode { key, value }))
    }

    /// An extension whose child must be hashed anew.
    pub(super) fn new_extension(&mut self, key: B256, to: u8, child: Link) -> Link {
        let node = ExtensionNode { key, to, dirty: true, child, reference: Reference::EMPTY };
        Link::new(2, put(&mut self.extensions, &mut self.free_extensions, node))
    }

    /// A branch with two children, both to be hashed anew.
    pub(super) fn new_branch(&mut self, one: (usize, Link), other: (usize, Link)) -> Link {
        let mut node = BranchNode { children: [Link::NONE; 16], dirty: 0, references: [Reference::EMPTY; 16] };
        for (nibble, child) in [one, other] {
            node.children[nibble] = child;
            node.dirty |= 1 << nibble;
        }
        Link::new(3, put(&mut self.branches, &mut self.free_branches, node))
    }

    /// Forgets one node, not its children.
    pub(super) fn free(&mut self, link: Link) {
        match link.kind() {
            Kind::None => {}
            Kind::Leaf(place) => self.free_leaves.push(place as u32),
            Kind::Extension(place) => self.free_extensions.push(place as u32),
            Kind::Branch(place) => self.free_branches.push(place as u32),
        }
    }
}

fn put<N>(arena: &mut Vec<N>, free: &mut Vec<u32>, node: N) -> usize {
    match free.pop() {
        Some(place) => {
            arena[place as usize] = node;
            place as usize
        }
        None => {
            arena.push(node);
            arena.len() - 1
        }
    }
}

/// Nibble `at` of a key, high half first.
pub(super) fn nibble(key: &B256, at: usize) -> usize {
    let byte = key[at / 2];
    usize::from(if at.is_multiple_of(2) { byte >> 4 } else { byte & 15 })
}

/// First place from `from` on, before `to`, where the keys differ; `to` if they do not.
pub(super) fn fork(a: &B256, b: &B256, from: usize, to: usize) -> usize {
    (from..to).find(|at| nibble(a, *at) != nibble(b, *at)).unwrap_or(to)
}
