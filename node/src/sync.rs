//! The one place where lock types are chosen, so that a model checker can replace them.
//! Used by every module that shares state between threads.

pub use parking_lot::{Condvar, Mutex, RwLock};

use std::sync::OnceLock;

/// A value set once by one thread and waited for by others: the hash of a block whose root is still being computed.
#[derive(Debug)]
pub struct HashCell {
    value: OnceLock<alloy_primitives::B256>,
}

impl HashCell {
    /// A cell whose value comes later.
    pub const fn open() -> Self {
        Self { value: OnceLock::new() }
    }

    /// A cell that has its value.
    pub fn with(hash: alloy_primitives::B256) -> Self {
        let cell = Self::open();
        cell.set(hash);
        cell
    }

    /// Sets the value and wakes all who wait.
    ///
    /// # Panics
    /// If the cell was set before: a block has one hash.
    pub fn set(&self, hash: alloy_primitives::B256) {
        self.value.set(hash).expect("the hash of a block is set once, by the root thread");
    }

    /// The value if known.
    pub fn get(&self) -> Option<alloy_primitives::B256> {
        self.value.get().copied()
    }

    /// Waits for the value. The root thread always sets it or ends the process.
    pub fn wait(&self) -> alloy_primitives::B256 {
        *self.value.wait()
    }
}
