//! Changes of shape: set and remove. Every node on the way to a change is marked dirty; nothing is hashed here.

use super::arena::{Kind, Leaf, Link, Trie, fork, nibble};
use alloy_primitives::B256;

/// Nibbles of a key.
const DEPTH_MAX: usize = 64;

impl<T: Leaf> Trie<T> {
    /// The value at `key`.
    pub fn get(&self, key: &B256) -> Option<&T> {
        let (mut link, mut depth) = (self.root, 0);
        loop {
            match link.kind() {
                Kind::None => return None,
                Kind::Leaf(place) => {
                    let leaf = &self.leaves[place];
                    return (leaf.key == *key).then_some(&leaf.value);
                }
                Kind::Extension(place) => {
                    let node = &self.extensions[place];
                    let to = usize::from(node.to);
                    if fork(&node.key, key, depth, to) != to {
                        return None;
                    }
                    (link, depth) = (node.child, to);
                }
                Kind::Branch(place) => {
                    link = self.branches[place].children[nibble(key, depth)];
                    depth += 1;
                }
            }
        }
    }

    /// Sets the value at `key`.
    pub fn set(&mut self, key: &B256, value: T) {
        self.root = self.insert(self.root, 0, key, value);
        self.hashed = None;
    }

    /// Removes `key`; does nothing if it is absent.
    pub fn remove(&mut self, key: &B256) {
        if let Some(link) = self.delete(self.root, 0, key) {
            self.root = link;
            self.hashed = None;
        }
    }

    fn insert(&mut self, link: Link, depth: usize, key: &B256, value: T) -> Link {
        match link.kind() {
            Kind::None => self.new_leaf(*key, value),
            Kind::Leaf(place) => {
                let there = self.leaves[place].key;
                if there == *key {
                    self.leaves[place].value = value;
                    return link;
                }
                let at = fork(&there, key, depth, DEPTH_MAX);
                let leaf = self.new_leaf(*key, value);
                let branch = self.new_branch((nibble(&there, at), link), (nibble(key, at), leaf));
                self.reach(branch, key, depth, at)
            }
            Kind::Extension(place) => self.insert_at_extension(link, place, depth, key, value),
            Kind::Branch(place) => {
                let choice = nibble(key, depth);
                let child = self.insert(self.branches[place].children[choice], depth + 1, key, value);
                let node = &mut self.branches[place];
                node.children[choice] = child;
                node.dirty |= 1 << choice;
                link
            }
        }
    }

    fn insert_at_extension(&mut self, link: Link, place: usize, depth: usize, key: &B256, value: T) -> Link {
        let node = self.extensions[place];
        let to = usize::from(node.to);
        let at = fork(&node.key, key, depth, to);
        if at == to {
            let child = self.insert(node.child, to, key, value);
            let node = &mut self.extensions[place];
            node.child = child;
            node.dirty = true;
            return link;
        }
        // The rest of the stretch hangs below the new branch; nothing of it may be left.
        let rest = if at + 1 == to {
            self.free(link);
            node.child
        } else {
            link
        };
        let leaf = self.new_leaf(*key, value);
        let branch = self.new_branch((nibble(&node.key, at), rest), (nibble(key, at), leaf));
        self.reach(branch, key, depth, at)
    }

    /// Puts an extension before `branch` if it stands deeper than its parent asks for.
    fn reach(&mut self, branch: Link, key: &B256, depth: usize, at: usize) -> Link {
        if at == depth { branch } else { self.new_extension(*key, at as u8, branch) }
    }

    /// The link that takes the place of `link`, or `None` if nothing changed.
    fn delete(&mut self, link: Link, depth: usize, key: &B256) -> Option<Link> {
        match link.kind() {
            Kind::None => None,
            Kind::Leaf(place) => (self.leaves[place].key == *key).then(|| {
                self.free(link);
                Link::NONE
            }),
            Kind::Extension(place) => {
                let node = self.extensions[place];
                let to = usize::from(node.to);
                if fork(&node.key, key, depth, to) != to {
                    return None;
                }
                let child = self.delete(node.child, to, key)?;
                Some(self.shorten(link, place, child))
            }
            Kind::Branch(place) => {
                let choice = nibble(key, depth);
                let child = self.delete(self.branches[place].children[choice], depth + 1, key)?;
                let node = &mut self.branches[place];
                node.children[choice] = child;
                node.dirty |= 1 << choice;
                Some(self.collapse(link, place, depth))
            }
        }
    }

    /// An extension whose branch became `child`: two stretches in a row are one, a leaf needs none.
    fn shorten(&mut self, link: Link, place: usize, child: Link) -> Link {
        match child.kind() {
            Kind::Branch(_) => {
                let node = &mut self.extensions[place];
                node.child = child;
                node.dirty = true;
                link
            }
            Kind::Leaf(_) | Kind::Extension(_) => {
                self.free(link);
                child
            }
            Kind::None => unreachable!("a branch has two children, so removing a key leaves one"),
        }
    }

    /// A branch that lost a child; with one child left it is no branch any more.
    fn collapse(&mut self, link: Link, place: usize, depth: usize) -> Link {
        let node = &self.branches[place];
        let mut left = node.children.iter().enumerate().filter(|(_, child)| !child.is_none());
        let (choice, only) = left.next().map(|(choice, child)| (choice, *child)).expect("a branch has two children");
        if left.next().is_some() {
            return link;
        }
        let dirty = node.dirty & (1 << choice) != 0;
        let reference = node.references[choice];
        self.free(link);
        match only.kind() {
            Kind::Branch(_) => {
                let key = self.any_key(only);
                let extension = self.new_extension(key, depth as u8 + 1, only);
                if let Kind::Extension(place) = extension.kind()
                    && !dirty
                {
                    self.extensions[place].dirty = false;
                    self.extensions[place].reference = reference;
                }
                extension
            }
            // A leaf or an extension begins one nibble earlier now; both know their whole key.
            _ => only,
        }
    }

    /// Some key below `link`.
    fn any_key(&self, mut link: Link) -> B256 {
        loop {
            match link.kind() {
                Kind::Leaf(place) => return self.leaves[place].key,
                Kind::Extension(place) => link = self.extensions[place].child,
                Kind::Branch(place) => {
                    let children = &self.branches[place].children;
                    link = *children.iter().find(|child| !child.is_none()).expect("a branch has two children");
                }
                Kind::None => unreachable!("links below a node lead to leaves"),
            }
        }
    }
}
