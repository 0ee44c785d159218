//! Reads a tape: recorded order flow as CSV, header `seq,ts_ms,op,side,ticks,lots,order_id`. Every column is checked; a bad line is named.
//! Knows no chain; the planner (`plan.rs`) turns operations into transactions.

use orderbook::{Lots, Side, Ticks};
use std::io::{BufRead, BufReader, Read};

/// Longest line of a tape, bytes.
const LINE_BYTES_MAX: usize = 4096;

const HEADER: &str = "seq,ts_ms,op,side,ticks,lots,order_id";

/// One operation of the tape. `seq` is the tape's number of it, `order` the tape's name of the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    pub line: usize,
    pub seq: u64,
    pub order: String,
    pub kind: Kind,
}

/// What the operation wants. `Reduce` says the lots to take off, `Modify` the lots that shall remain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Add { side: Side, ticks: Ticks, lots: Lots },
    Take { side: Side, ticks: Ticks, lots: Lots },
    Cancel,
    Reduce { lots: Lots },
    Modify { side: Side, ticks: Ticks, lots: Lots },
}

/// Why a tape could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    #[error("line {line}: {what}, found {found:?}")]
    Line { line: usize, what: &'static str, found: String },
    #[error("line 1: expected the header {HEADER:?}, found {found:?}")]
    Header { found: String },
    #[error("the tape has no operation")]
    Empty,
    #[error("reading the tape: {0}")]
    Read(#[from] std::io::Error),
}

/// All operations of a tape, in order.
pub fn read(input: impl Read) -> Result<Vec<Op>, TapeError> {
    let mut input = BufReader::new(input);
    let mut text = Vec::new();
    let mut ops = Vec::new();
    let mut line = 0;
    loop {
        text.clear();
        line += 1;
        let bytes = (&mut input).take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut text)?;
        if bytes == 0 {
            break;
        }
        let bad = |what: &'static str, found: &str| TapeError::Line { line, what, found: found.chars().take(60).collect() };
        if bytes > LINE_BYTES_MAX {
            return Err(bad("expected at most 4,096 bytes", "a longer line"));
        }
        let row = std::str::from_utf8(&text).map_err(|_| bad("expected UTF-8", "other bytes"))?.trim_end_matches(['\n', '\r']);
        if line == 1 {
            if row.trim_start_matches('\u{feff}') != HEADER {
                return Err(TapeError::Header { found: row.chars().take(80).collect() });
            }
        } else if !row.is_empty() {
            ops.push(parse(line, row)?);
        }
    }
    if ops.is_empty() { Err(TapeError::Empty) } else { Ok(ops) }
}

fn parse(line: usize, row: &str) -> Result<Op, TapeError> {
    let bad = |what: &'static str, found: &str| TapeError::Line { line, what, found: found.chars().take(60).collect() };
    let columns: Vec<&str> = row.split(',').collect();
    let [seq, ts_ms, op, side, ticks, lots, order] = columns[..] else {
        return Err(bad("expected 7 columns", row));
    };
    if !ts_ms.is_empty() {
        ts_ms.parse::<u64>().map_err(|_| bad("ts_ms: expected milliseconds or nothing", ts_ms))?;
    }
    let side = || match side {
        "bid" => Ok(Side::Bid),
        "ask" => Ok(Side::Ask),
        _ => Err(bad("side: expected bid or ask", side)),
    };
    let ticks = || match ticks.parse::<u32>() {
        Ok(n) if n >= 1 && Ticks(n) <= Ticks::MAX => Ok(Ticks(n)),
        _ => Err(bad("ticks: expected 1 ..= 16777215", ticks)),
    };
    let lots = || match lots.parse::<u64>() {
        Ok(n) if n >= 1 && Lots(n) <= Lots::MAX => Ok(Lots(n)),
        _ => Err(bad("lots: expected 1 ..= 140737488355327", lots)),
    };
    let kind = match op {
        "ADD" => Kind::Add { side: side()?, ticks: ticks()?, lots: lots()? },
        "TAKE" => Kind::Take { side: side()?, ticks: ticks()?, lots: lots()? },
        "CANCEL" => Kind::Cancel,
        "REDUCE" => Kind::Reduce { lots: lots()? },
        "MODIFY" => Kind::Modify { side: side()?, ticks: ticks()?, lots: lots()? },
        _ => return Err(bad("op: expected ADD, TAKE, CANCEL, REDUCE or MODIFY", op)),
    };
    if order.is_empty() && !matches!(kind, Kind::Take { .. }) {
        return Err(bad("order_id: expected a name", order));
    }
    let seq = seq.parse().map_err(|_| bad("seq: expected a number", seq))?;
    Ok(Op { line, seq, order: order.to_owned(), kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape(rows: &str) -> Result<Vec<Op>, TapeError> {
        read(format!("{HEADER}\n{rows}").as_bytes())
    }

    #[test]
    fn every_kind_of_row_is_read() {
        let ops = tape(
            "1,1430438404518,ADD,bid,23647,200000000,a\n2,,TAKE,ask,5,1,\n3,,CANCEL,,,,a\n4,,REDUCE,bid,,7,a\r\n5,,MODIFY,ask,8,9,a\n",
        )
        .unwrap();
        assert_eq!(ops.iter().map(|op| op.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!(ops[0].kind, Kind::Add { side: Side::Bid, ticks: Ticks(23647), lots: Lots(200000000) });
        assert_eq!(ops[3].kind, Kind::Reduce { lots: Lots(7) });
    }

    #[test]
    fn a_bad_line_is_named() {
        for (rows, expected) in [
            ("1,,ADD,bid,1,1,a\n2,,ADD,buy,1,1,b", "line 3: side: expected bid or ask, found \"buy\""),
            ("1,,ADD,bid,0,1,a", "line 2: ticks: expected 1 ..= 16777215, found \"0\""),
            ("1,,ADD,bid,1,-4,a", "line 2: lots: expected 1 ..= 140737488355327, found \"-4\""),
            ("1,,ADD,bid,1,1", "line 2: expected 7 columns, found \"1,,ADD,bid,1,1\""),
            ("x,,ADD,bid,1,1,a", "line 2: seq: expected a number, found \"x\""),
            ("1,,PLACE,bid,1,1,a", "line 2: op: expected ADD, TAKE, CANCEL, REDUCE or MODIFY, found \"PLACE\""),
            ("1,,CANCEL,,,,", "line 2: order_id: expected a name, found \"\""),
            ("1,now,ADD,bid,1,1,a", "line 2: ts_ms: expected milliseconds or nothing, found \"now\""),
        ] {
            assert_eq!(tape(rows).unwrap_err().to_string(), expected);
        }
        assert!(matches!(read("time,price\n".as_bytes()), Err(TapeError::Header { .. })));
        assert!(matches!(tape(""), Err(TapeError::Empty)));
        assert!(matches!(tape(&"9".repeat(5000)), Err(TapeError::Line { line: 2, .. })));
    }
}
