//! The nonces of one sending address, counted here so that a batch can be signed without asking the node first.

/// Which nonce is next, and which are sent and not yet in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonces {
    next: u64,
    /// Nonces below this are in blocks.
    settled: u64,
}

impl Nonces {
    /// `settled` is the chain's count of the address's transactions: nothing is under way.
    pub fn new(settled: u64) -> Nonces {
        Nonces { next: settled, settled }
    }

    /// The nonce of the next transaction, without taking it.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The nonce of the next transaction; it counts as under way from now on.
    pub fn take(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Transactions sent and not yet in a block.
    pub fn under_way(&self) -> u64 {
        self.next - self.settled
    }

    /// The transaction with this nonce is in a block, and so are all before it. A nonce never taken means that somebody else signs with
    /// the same key: the count goes on behind it.
    pub fn settle(&mut self, nonce: u64) {
        self.settled = self.settled.max(nonce + 1);
        self.next = self.next.max(self.settled);
    }

    /// After a lost connection, a refused transaction or a restart: takes over the chain's count. What was under way and is not counted there
    /// must not come any more (a pool that lost it, a node that was started anew); returns how many such there were.
    pub fn resync(&mut self, settled: u64) -> u64 {
        let lost = self.next.saturating_sub(settled);
        *self = Nonces::new(settled);
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::Nonces;

    #[test]
    fn nonces_rise_without_holes_and_follow_the_chain() {
        let mut nonces = Nonces::new(7);
        assert_eq!((nonces.take(), nonces.take(), nonces.under_way()), (7, 8, 2));
        nonces.settle(7);
        assert_eq!(nonces.under_way(), 1);
        nonces.settle(9);
        assert_eq!((nonces.under_way(), nonces.take()), (0, 10), "somebody else signed 9 with this key");
        assert_eq!(nonces.resync(10), 1, "10 was sent and is in no block");
        assert_eq!((nonces.take(), nonces.under_way()), (10, 1));
        assert_eq!(nonces.resync(11), 0, "it is in a block after all");
    }
}
