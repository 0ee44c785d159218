//! Operations of a batch (`Command::Execute`): what a market maker sends many of in one transaction.
//! Called by the engine, by market makers and by the differential tests. The bytes are those of the contract's `Ops` library.

use crate::{LevelKey, Lots, MarketId, Mode, OrderId, Side, TakenReason, Ticks, abi::field};
use alloy_primitives::U256;

/// One operation; a ladder gives one result word per rung, every other one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// As `Command::Place`.
    Place {
        market: MarketId,
        mode: Mode,
        ticks: Ticks,
        lots: Lots,
        expiry_s: u32,
        client: u64,
        steps_max: u16,
    },
    /// A market order: `limit` 0 sells at any price; pays at most `in_max_atoms` with the fee (2^128-1: all that is free), refuses less than `out_min_atoms`
    /// net of the fee. `deadline_s` 0: none.
    Take {
        market: MarketId,
        mode: Mode,
        limit: Ticks,
        lots_max: Lots,
        in_max_atoms: u128,
        out_min_atoms: u128,
        deadline_s: u32,
        client: u64,
        steps_max: u16,
    },
    Cancel {
        order: OrderId,
    },
    Reduce {
        order: OrderId,
        left: Lots,
    },
    Claim {
        order: OrderId,
    },
    /// Takes a live order back and places anew in its market and on its side.
    Replace {
        order: OrderId,
        mode: Mode,
        ticks: Ticks,
        lots: Lots,
        expiry_s: u32,
        client: u64,
        steps_max: u16,
    },
    /// Up to 64 places at ticks, ticks + step, ...; POST_ONLY or SLIDE; 0 lots leave a rung out; rung i has client + i unless `client` is 0.
    Ladder {
        market: MarketId,
        mode: Mode,
        ticks: Ticks,
        step: i16,
        expiry_s: u32,
        client: u64,
        lots: Vec<Lots>,
    },
    /// Takes back all own orders from the best tick of a side to `ticks`.
    CancelUpTo {
        market: MarketId,
        side: Side,
        ticks: Ticks,
        steps_max: u16,
    },
    /// Takes a tracked order back; one still under way is refused until `until_s`.
    CancelClient {
        client: u64,
        until_s: u64,
    },
    /// Sets the dead-man switch to fire at this second; 0 disarms.
    Schedule {
        at_s: u64,
    },
}

/// Flag bit 0: a failed operation leaves only its `Rejected`, and the batch goes on.
const SKIP_FAILED: u8 = 1;
/// Most result words of a batch.
pub const WORDS_MAX: usize = 64;

/// Why bytes are no batch; on the exchange all of them are `BadOps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOps {
    #[error("the batch ends inside an operation")]
    Truncated,
    #[error("the flags {0:#04x} are unknown")]
    UnknownFlags(u8),
    #[error("there is no operation of kind {0:#04x}")]
    UnknownKind(u8),
    #[error("there is no side {0}")]
    UnknownSide(u8),
    #[error("a batch gives at most 64 result words")]
    TooLong,
}

impl Operation {
    /// The kind byte.
    pub fn kind(&self) -> u8 {
        match self {
            Operation::Place { .. } => 1,
            Operation::Take { .. } => 2,
            Operation::Cancel { .. } => 3,
            Operation::Reduce { .. } => 4,
            Operation::Claim { .. } => 5,
            Operation::Replace { .. } => 6,
            Operation::Ladder { .. } => 7,
            Operation::CancelUpTo { .. } => 8,
            Operation::CancelClient { .. } => 9,
            Operation::Schedule { .. } => 10,
        }
    }

    /// Result words it gives.
    pub fn words(&self) -> usize {
        match self {
            Operation::Ladder { lots, .. } => lots.len(),
            _ => 1,
        }
    }
}

/// The bytes of a batch. Fields wider in Rust than on the wire are cut; bounds are the exchange's to judge.
/// A ladder of more than 255 rungs loses the rest, and no batch of more than [`WORDS_MAX`] words is accepted.
pub fn encode(skip_failed: bool, operations: &[Operation]) -> Vec<u8> {
    let mut out = vec![skip_failed as u8];
    for operation in operations {
        out.push(operation.kind());
        match operation {
            Operation::Place { market, mode, ticks, lots, expiry_s, client, steps_max } => {
                put(&mut out, market.0 as u64, 4);
                put_place(&mut out, *mode, *ticks, *lots, *expiry_s, *client, *steps_max);
            }
            Operation::Take { market, mode, limit, lots_max, in_max_atoms, out_min_atoms, deadline_s, client, steps_max } => {
                put(&mut out, market.0 as u64, 4);
                out.push(mode.0);
                put(&mut out, limit.0 as u64, 3);
                put(&mut out, lots_max.0, 6);
                out.extend(in_max_atoms.to_be_bytes());
                out.extend(out_min_atoms.to_be_bytes());
                put(&mut out, *deadline_s as u64, 4);
                put(&mut out, *client, 8);
                put(&mut out, *steps_max as u64, 2);
            }
            Operation::Cancel { order } | Operation::Claim { order } => put_id(&mut out, *order),
            Operation::Reduce { order, left } => {
                put_id(&mut out, *order);
                put(&mut out, left.0, 6);
            }
            Operation::Replace { order, mode, ticks, lots, expiry_s, client, steps_max } => {
                put_id(&mut out, *order);
                put_place(&mut out, *mode, *ticks, *lots, *expiry_s, *client, *steps_max);
            }
            Operation::Ladder { market, mode, ticks, step, expiry_s, client, lots } => {
                put(&mut out, market.0 as u64, 4);
                out.push(mode.0);
                put(&mut out, ticks.0 as u64, 3);
                out.extend(step.to_be_bytes());
                put(&mut out, *expiry_s as u64, 4);
                put(&mut out, *client, 8);
                let rungs = &lots[..lots.len().min(u8::MAX as usize)];
                out.push(rungs.len() as u8);
                rungs.iter().for_each(|lots| put(&mut out, lots.0, 6));
            }
            Operation::CancelUpTo { market, side, ticks, steps_max } => {
                put(&mut out, market.0 as u64, 4);
                out.push(*side as u8);
                put(&mut out, ticks.0 as u64, 3);
                put(&mut out, *steps_max as u64, 2);
            }
            Operation::CancelClient { client, until_s } => {
                put(&mut out, *client, 8);
                put(&mut out, *until_s, 5);
            }
            Operation::Schedule { at_s } => put(&mut out, *at_s, 5),
        }
    }
    out
}

/// The low `bytes` bytes, big-endian.
fn put(out: &mut Vec<u8>, value: u64, bytes: usize) {
    out.extend_from_slice(&value.to_be_bytes()[8 - bytes..]);
}

fn put_id(out: &mut Vec<u8>, order: OrderId) {
    out.extend_from_slice(&order.packed().to_be_bytes()[3..]);
}

fn put_place(out: &mut Vec<u8>, mode: Mode, ticks: Ticks, lots: Lots, expiry_s: u32, client: u64, steps_max: u16) {
    out.push(mode.0);
    put(out, ticks.0 as u64, 3);
    put(out, lots.0, 6);
    put(out, expiry_s as u64, 4);
    put(out, client, 8);
    put(out, steps_max as u64, 2);
}

/// Reads a batch: whether failures are skipped, and the operations. The bytes are judged whole, before any operation is.
///
/// # Errors
/// The first thing that is no batch; on the exchange each is `BadOps`.
pub fn decode(ops: &[u8]) -> Result<(bool, Vec<Operation>), BadOps> {
    let mut bytes = Bytes(ops);
    let flags = bytes.number(1)? as u8;
    if flags & !SKIP_FAILED != 0 {
        return Err(BadOps::UnknownFlags(flags));
    }
    let (mut operations, mut words) = (Vec::new(), 0);
    while !bytes.0.is_empty() {
        let operation = bytes.operation()?;
        words += operation.words();
        if words > WORDS_MAX {
            return Err(BadOps::TooLong);
        }
        operations.push(operation);
    }
    Ok((flags & SKIP_FAILED != 0, operations))
}

/// What is still to be read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    /// The next `bytes` bytes (at most 16) as a big-endian number.
    fn number(&mut self, bytes: usize) -> Result<u128, BadOps> {
        let (head, rest) = self.0.split_at_checked(bytes).ok_or(BadOps::Truncated)?;
        self.0 = rest;
        Ok(head.iter().fold(0, |number, byte| number << 8 | *byte as u128))
    }

    /// An id that names no order (a side above 1) becomes one at tick 0 of its market, where none rests either.
    fn order(&mut self) -> Result<OrderId, BadOps> {
        let packed = self.number(13)?;
        let nowhere = OrderId { level: LevelKey { market: MarketId((packed >> 72) as u32), side: Side::Bid, ticks: Ticks(0) }, index: 0 };
        Ok(OrderId::unpacked(packed).unwrap_or(nowhere))
    }

    fn market(&mut self) -> Result<MarketId, BadOps> {
        Ok(MarketId(self.number(4)? as u32))
    }

    fn mode(&mut self) -> Result<Mode, BadOps> {
        Ok(Mode(self.number(1)? as u8))
    }

    fn ticks(&mut self) -> Result<Ticks, BadOps> {
        Ok(Ticks(self.number(3)? as u32))
    }

    fn lots(&mut self) -> Result<Lots, BadOps> {
        Ok(Lots(self.number(6)? as u64))
    }

    fn operation(&mut self) -> Result<Operation, BadOps> {
        Ok(match self.number(1)? as u8 {
            1 => Operation::Place {
                market: self.market()?,
                mode: self.mode()?,
                ticks: self.ticks()?,
                lots: self.lots()?,
                expiry_s: self.number(4)? as u32,
                client: self.number(8)? as u64,
                steps_max: self.number(2)? as u16,
            },
            2 => Operation::Take {
                market: self.market()?,
                mode: self.mode()?,
                limit: self.ticks()?,
                lots_max: self.lots()?,
                in_max_atoms: self.number(16)?,
                out_min_atoms: self.number(16)?,
                deadline_s: self.number(4)? as u32,
                client: self.number(8)? as u64,
                steps_max: self.number(2)? as u16,
            },
            3 => Operation::Cancel { order: self.order()? },
            4 => Operation::Reduce { order: self.order()?, left: self.lots()? },
            5 => Operation::Claim { order: self.order()? },
            6 => Operation::Replace {
                order: self.order()?,
                mode: self.mode()?,
                ticks: self.ticks()?,
                lots: self.lots()?,
                expiry_s: self.number(4)? as u32,
                client: self.number(8)? as u64,
                steps_max: self.number(2)? as u16,
            },
            7 => {
                let market = self.market()?;
                let (mode, ticks, step) = (self.mode()?, self.ticks()?, self.number(2)? as u16 as i16);
                let (expiry_s, client, rungs) = (self.number(4)? as u32, self.number(8)? as u64, self.number(1)?);
                let lots = (0..rungs).map(|_| self.lots()).collect::<Result<Vec<_>, _>>()?;
                Operation::Ladder { market, mode, ticks, step, expiry_s, client, lots }
            }
            8 => Operation::CancelUpTo {
                market: self.market()?,
                side: match self.number(1)? {
                    0 => Side::Bid,
                    1 => Side::Ask,
                    unknown => return Err(BadOps::UnknownSide(unknown as u8)),
                },
                ticks: self.ticks()?,
                steps_max: self.number(2)? as u16,
            },
            9 => Operation::CancelClient { client: self.number(8)? as u64, until_s: self.number(5)? as u64 },
            10 => Operation::Schedule { at_s: self.number(5)? as u64 },
            unknown => return Err(BadOps::UnknownKind(unknown)),
        })
    }
}

/// What one operation of a batch gave: its result word, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Of a PLACE, a REPLACE or a rung. `order` rests; `None`: nothing does. `reason`: why taking ended; LIMIT if it rests. A rung of 0 lots gives
    /// `None`, 0, FILLED.
    Placed { order: Option<OrderId>, filled: Lots, reason: TakenReason },
    /// Of a TAKE: atoms received, net of the fee.
    Taken { out_atoms: u128, filled: Lots, reason: TakenReason },
    /// Of a CANCEL, a CANCEL_CLOID or a CLAIM: lots taken back, filled lots paid.
    Cancelled { back: Lots, filled: Lots },
    /// Of a REDUCE.
    Reduced { back: Lots },
    /// Of a CANCEL_UP_TO. The sum of lots is that of at most 65,535 orders.
    CancelledUpTo { orders: u16, lots: Lots },
    /// Of a SCHEDULE.
    Scheduled,
    /// The operation was refused; `reason` is the error's selector ([`crate::abi::reject_from_selector`]). It left no trace.
    Failed { reason: [u8; 4] },
}

impl Outcome {
    /// The word the exchange returns.
    pub fn to_word(self) -> U256 {
        match self {
            Outcome::Placed { order, filled, reason } => {
                let id = order.map_or(U256::ZERO, |order| U256::from(order.packed()));
                id | U256::from(filled.0) << 104 | U256::from(reason as u8) << 152
            }
            Outcome::Taken { out_atoms, filled, reason } => {
                U256::from(out_atoms) | U256::from(filled.0) << 128 | U256::from(reason as u8) << 176
            }
            Outcome::Cancelled { back, filled } => U256::from(back.0) | U256::from(filled.0) << 48,
            Outcome::Reduced { back } => U256::from(back.0),
            Outcome::CancelledUpTo { orders, lots } => U256::from(orders) | U256::from(lots.0) << 16,
            Outcome::Scheduled => U256::ZERO,
            Outcome::Failed { reason } => U256::from(u32::from_be_bytes(reason)) | U256::from(1) << 255,
        }
    }

    /// Reads the word of an operation (for a ladder: of one of its rungs). `None`: it is no such word.
    pub fn from_word(operation: &Operation, word: U256) -> Option<Outcome> {
        let outcome = if word.bit(255) {
            Outcome::Failed { reason: (field(word, 0, 32) as u32).to_be_bytes() }
        } else {
            match operation {
                Operation::Place { .. } | Operation::Replace { .. } | Operation::Ladder { .. } => {
                    let packed: u128 = (word & U256::from((1_u128 << 104) - 1)).to();
                    Outcome::Placed {
                        order: if packed == 0 { None } else { Some(OrderId::unpacked(packed)?) },
                        filled: Lots(field(word, 104, 48)),
                        reason: TakenReason::from_code(field(word, 152, 8) as u8)?,
                    }
                }
                Operation::Take { .. } => Outcome::Taken {
                    out_atoms: (word & U256::from(u128::MAX)).to(),
                    filled: Lots(field(word, 128, 48)),
                    reason: TakenReason::from_code(field(word, 176, 8) as u8)?,
                },
                Operation::Cancel { .. } | Operation::Claim { .. } | Operation::CancelClient { .. } => {
                    Outcome::Cancelled { back: Lots(field(word, 0, 48)), filled: Lots(field(word, 48, 48)) }
                }
                Operation::Reduce { .. } => Outcome::Reduced { back: Lots(field(word, 0, 48)) },
                Operation::CancelUpTo { .. } => {
                    Outcome::CancelledUpTo { orders: field(word, 0, 16) as u16, lots: Lots(field(word, 16, 64)) }
                }
                Operation::Schedule { .. } => Outcome::Scheduled,
            }
        };
        (outcome.to_word() == word).then_some(outcome)
    }
}

/// Reads the words of a whole batch: per operation its outcomes, one each, of a ladder one a rung. `None`: these are not its words.
pub fn outcomes(operations: &[Operation], words: &[U256]) -> Option<Vec<Vec<Outcome>>> {
    let mut rest = words;
    let mut read = Vec::with_capacity(operations.len());
    for operation in operations {
        let (own, after) = rest.split_at_checked(operation.words())?;
        rest = after;
        read.push(own.iter().map(|word| Outcome::from_word(operation, *word)).collect::<Option<Vec<_>>>()?);
    }
    rest.is_empty().then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    fn ask_seven() -> Operation {
        Operation::Place { market: MarketId(1), mode: Mode(3), ticks: Ticks(100), lots: Lots(7), expiry_s: 0, client: 42, steps_max: 0 }
    }

    /// Ids with every byte in use.
    fn some_order() -> OrderId {
        let level = LevelKey { market: MarketId(0x0102_0304), side: Side::Ask, ticks: Ticks(0x05_0607) };
        OrderId { level, index: 0x08_090a_0b0c }
    }

    fn one_of_each() -> Vec<Operation> {
        let (market, mode, order, ticks) = (MarketId(0xa1b2_c3d4), Mode(0x97), some_order(), Ticks(0xfe_dcba));
        let (expiry_s, client, steps_max) = (0x1122_3344, 0x0123_4567_89ab_cdef, 0x7788);
        vec![
            ask_seven(),
            Operation::Take {
                market,
                mode,
                limit: ticks,
                lots_max: Lots(0x7fff_1234_5678),
                in_max_atoms: u128::MAX,
                out_min_atoms: 1 << 100 | 3,
                deadline_s: expiry_s,
                client,
                steps_max,
            },
            Operation::Cancel { order },
            Operation::Reduce { order, left: Lots(0xffff_ffff_ffff) },
            Operation::Claim { order },
            Operation::Replace { order, mode, ticks, lots: Lots(9), expiry_s, client, steps_max },
            Operation::Ladder { market, mode, ticks, step: -3, expiry_s, client, lots: vec![Lots(1), Lots(0), Lots(1 << 47)] },
            Operation::CancelUpTo { market, side: Side::Ask, ticks, steps_max },
            Operation::CancelClient { client, until_s: 0xff_1122_3344 },
            Operation::Schedule { at_s: 0xff_ffff_ffff },
        ]
    }

    /// The two examples of the contract's design, and the sizes of its table.
    #[test]
    fn the_bytes_are_those_of_the_contract() {
        let place = hex!("00 01 00000001 03 000064 000000000007 00000000 000000000000002a 0000");
        assert_eq!(encode(false, &[ask_seven()]), place);
        let level = LevelKey { market: MarketId(1), side: Side::Ask, ticks: Ticks(100) };
        let cancel = [Operation::Cancel { order: OrderId { level, index: 2 } }];
        assert_eq!(encode(false, &cancel), hex!("00 03 00000001010000640000000002"));
        let sizes = [29, 61, 14, 20, 14, 38, 24 + 18, 11, 14, 6];
        for (operation, size) in one_of_each().iter().zip(sizes) {
            assert_eq!(encode(true, std::slice::from_ref(operation)).len(), 1 + size, "{operation:?}");
        }
    }

    #[test]
    fn what_was_encoded_is_read_back() {
        for skip_failed in [false, true] {
            assert_eq!(decode(&encode(skip_failed, &one_of_each())), Ok((skip_failed, one_of_each())));
        }
        assert_eq!(decode(&[0]), Ok((false, Vec::new())), "an empty batch is one");
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        assert_eq!(decode(&[]), Err(BadOps::Truncated), "without flags");
        assert_eq!(decode(&[2]), Err(BadOps::UnknownFlags(2)));
        for kind in [0, 11, 255] {
            assert_eq!(decode(&[1, kind]), Err(BadOps::UnknownKind(kind)));
        }
        // Every cut is inside an operation, or between two.
        let whole = encode(false, &one_of_each());
        let ends: Vec<usize> = (0..=10).map(|n| encode(false, &one_of_each()[..n]).len()).collect();
        for cut in 1..=whole.len() {
            let read = decode(&whole[..cut]);
            assert_eq!(read.is_ok(), ends.contains(&cut), "cut at {cut}: {read:?}");
        }
        let mut side = encode(false, &one_of_each()[7..8]);
        side[6] = 2;
        assert_eq!(decode(&side), Err(BadOps::UnknownSide(2)));
        // An id of a third side is an id nobody has, in its own market.
        let mut id = encode(false, &[Operation::Cancel { order: some_order() }]);
        id[6] = 2;
        let level = LevelKey { market: some_order().level.market, side: Side::Bid, ticks: Ticks(0) };
        assert_eq!(decode(&id), Ok((false, vec![Operation::Cancel { order: OrderId { level, index: 0 } }])));
    }

    #[test]
    fn more_than_64_words_are_refused() {
        let rungs = |count: usize| Operation::Ladder {
            market: MarketId(1),
            mode: Mode(2),
            ticks: Ticks(5),
            step: 1,
            expiry_s: 0,
            client: 0,
            lots: vec![Lots(0); count],
        };
        for fits in [vec![rungs(64)], vec![ask_seven(); 64], vec![rungs(63), ask_seven()], vec![rungs(64), rungs(0)]] {
            assert!(decode(&encode(true, &fits)).is_ok());
        }
        for long in [vec![rungs(65)], vec![ask_seven(); 65], vec![ask_seven(), rungs(64)], vec![rungs(255)]] {
            assert_eq!(decode(&encode(true, &long)), Err(BadOps::TooLong));
        }
    }

    #[test]
    fn result_words_are_read_back() {
        let each = one_of_each();
        let (lots, reason) = (Lots(0x7fff_ffff_fff1), TakenReason::Stp);
        let placed = Outcome::Placed { order: Some(some_order()), filled: lots, reason: TakenReason::Limit };
        let nothing = Outcome::Placed { order: None, filled: Lots(0), reason: TakenReason::Filled };
        let failed = Outcome::Failed { reason: crate::abi::selector(&crate::Reject::WouldCross { best: Ticks(7) }) };
        let cancelled = Outcome::Cancelled { back: lots, filled: Lots(1) };
        let expected = vec![
            vec![placed],
            vec![Outcome::Taken { out_atoms: u128::MAX - 1, filled: lots, reason }],
            vec![cancelled],
            vec![Outcome::Reduced { back: lots }],
            vec![cancelled],
            vec![failed],
            vec![placed, nothing, failed],
            vec![Outcome::CancelledUpTo { orders: u16::MAX, lots: Lots(u64::MAX) }],
            vec![cancelled],
            vec![Outcome::Scheduled],
        ];
        let words: Vec<U256> = expected.iter().flatten().map(|outcome| outcome.to_word()).collect();
        assert_eq!(outcomes(&each, &words), Some(expected));
        assert_eq!(outcomes(&each, &words[1..]), None, "a word is missing");
        assert_eq!(Outcome::from_word(&each[9], U256::from(1)), None, "a schedule gives 0");
        assert_eq!(Outcome::from_word(&each[0], U256::from(5) << 152), None, "there is no such reason");
        let Outcome::Failed { reason } = failed else { unreachable!("set above") };
        assert_eq!(crate::abi::reject_from_selector(reason), Some(crate::Reject::WouldCross { best: Ticks(0) }));
    }
}
