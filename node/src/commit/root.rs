//! The root thread: trie, roots, header, hash. One block behind the executor, one ahead of the disk.

use super::{Committed, Submitted, seal};
use crate::metrics::Stages;
use crate::publish::Block;
use crate::state::HISTORY_SLOTS;
use crate::store::disk::crash_point;
use crate::trie::StateTrie;
use crossbeam_channel::{Receiver, Sender};
use std::sync::Arc;
use std::time::Instant;

/// Runs until the driver's side is dropped.
pub(super) fn run(mut trie: StateTrie, parent: Arc<Block>, stages: &Stages, inbox: &Receiver<Submitted>, out: &Sender<Committed>) {
    let mut parent_hash = parent.hash;
    drop(parent);
    for Submitted { executed, hash } in inbox {
        let number = executed.number;
        let began = Instant::now();
        trie.apply(&executed.diff);
        trie.set_history((number - 1) % HISTORY_SLOTS, parent_hash);
        let state_root = trie.root();
        stages.time(&stages.root_us, "hifi_root_seconds", began.elapsed());
        let began = Instant::now();
        let (block, diff) = seal(executed, parent_hash, state_root);
        stages.time(&stages.seal_us, "hifi_seal_seconds", began.elapsed());
        parent_hash = block.hash;
        hash.set(block.hash);
        crash_point("rooted");
        if out.send(Committed { block, diff }).is_err() {
            return;
        }
    }
}
