//! Postgres' binary COPY format, both ways: one encoder for everything written, one reader for everything loaded or compared.
//!
//! ```text
//! "PGCOPY\n\xff\r\n\0" flags i32 extension i32 { fields i16 { length i32 (-1 null) bytes }* }* -1 i16        big-endian
//! numeric: digits i16, weight i16, sign i16 (0, 0x4000), scale i16, then base-10000 digits i16 without trailing zeros
//! ```
//! A tuple's bytes (`fields ..`) are the same in and out: digests and `verify` compare them without parsing.

use crate::Error;

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
const NUMERIC_NEGATIVE: u16 = 0x4000;

/// Tuples of one table, ready to be sent; the buffer is reused from block to block.
#[derive(Debug, Default)]
pub(crate) struct Tuples {
    bytes: Vec<u8>,
    rows: u64,
}

impl Tuples {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.rows = 0;
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Where the next tuple will begin; with [`Tuples::since`] the bytes of what was added.
    pub fn mark(&self) -> usize {
        self.bytes.len().max(HEADER.len())
    }

    pub fn since(&self, mark: usize) -> &[u8] {
        self.bytes.get(mark..).unwrap_or_default()
    }

    /// Begins a tuple; exactly `fields` values must follow.
    pub fn row(&mut self, fields: i16) -> &mut Tuples {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(HEADER);
        }
        self.rows += 1;
        self.bytes.extend_from_slice(&fields.to_be_bytes());
        self
    }

    pub fn int2(&mut self, value: i16) -> &mut Tuples {
        self.field(&value.to_be_bytes())
    }

    pub fn int4(&mut self, value: i32) -> &mut Tuples {
        self.field(&value.to_be_bytes())
    }

    /// A u32 as int4 bits (account numbers).
    pub fn bits4(&mut self, value: u32) -> &mut Tuples {
        self.field(&value.to_be_bytes())
    }

    /// A u64 as int8 bits; seqs, lots, blocks and client ids.
    pub fn bits8(&mut self, value: u64) -> &mut Tuples {
        self.field(&value.to_be_bytes())
    }

    pub fn null(&mut self) -> &mut Tuples {
        self.bytes.extend_from_slice(&(-1_i32).to_be_bytes());
        self
    }

    pub fn raw(&mut self, value: &[u8]) -> &mut Tuples {
        self.field(value)
    }

    pub fn numeric(&mut self, value: u128) -> &mut Tuples {
        self.numeric_parts(value, false)
    }

    pub fn numeric_signed(&mut self, value: i128) -> &mut Tuples {
        self.numeric_parts(value.unsigned_abs(), value < 0)
    }

    fn numeric_parts(&mut self, mut value: u128, negative: bool) -> &mut Tuples {
        // At most 10 digits of base 10,000: 2^128 has 39 decimal digits.
        let mut digits = [0_u16; 10];
        let mut count = 0;
        while value > 0 {
            digits[count] = (value % 10_000) as u16;
            value /= 10_000;
            count += 1;
        }
        let trailing = digits[..count].iter().take_while(|digit| **digit == 0).count();
        let kept = count - trailing;
        let weight = count as i16 - i16::from(count > 0);
        let sign = if negative { NUMERIC_NEGATIVE } else { 0 };
        self.bytes.extend_from_slice(&(8 + 2 * kept as i32).to_be_bytes());
        self.bytes.extend_from_slice(&(kept as i16).to_be_bytes());
        self.bytes.extend_from_slice(&weight.to_be_bytes());
        self.bytes.extend_from_slice(&sign.to_be_bytes());
        self.bytes.extend_from_slice(&0_i16.to_be_bytes());
        for digit in digits[trailing..count].iter().rev() {
            self.bytes.extend_from_slice(&digit.to_be_bytes());
        }
        self
    }

    fn field(&mut self, bytes: &[u8]) -> &mut Tuples {
        self.bytes.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The whole stream with its end mark; nothing may be added before `clear`.
    pub fn finish(&mut self) -> &[u8] {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(HEADER);
        }
        self.bytes.extend_from_slice(&TRAILER);
        &self.bytes
    }
}

/// Cuts a COPY stream into tuples as chunks arrive; holds at most a chunk and a partial tuple.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    bytes: Vec<u8>,
    at: usize,
    begun: bool,
    ended: bool,
}

impl Reader {
    pub fn push(&mut self, chunk: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(chunk);
    }

    /// The next whole tuple's bytes (`fields ..`), if it is here.
    ///
    /// # Errors
    /// Bytes that are no COPY stream.
    pub fn tuple(&mut self, table: &'static str) -> Result<Option<&[u8]>, Error> {
        let bad = |what: &str| Error::Stored { table, what: format!("a COPY stream with {what}") };
        if !self.begun {
            if self.bytes.len() < HEADER.len() {
                return Ok(None);
            }
            if self.bytes[..11] != HEADER[..11] {
                return Err(bad("a foreign header"));
            }
            self.begun = true;
            self.at = HEADER.len();
        }
        let rest = &self.bytes[self.at..];
        if self.ended || rest.len() < 2 {
            return Ok(None);
        }
        let fields = i16::from_be_bytes([rest[0], rest[1]]);
        if fields == -1 {
            self.ended = true;
            return Ok(None);
        }
        let mut end = 2;
        for _ in 0..fields {
            let Some(length) = rest.get(end..end + 4) else { return Ok(None) };
            let length = i32::from_be_bytes(length.try_into().expect("four bytes"));
            end += 4 + usize::try_from(length).unwrap_or(0);
        }
        if rest.len() < end {
            return Ok(None);
        }
        let start = self.at;
        self.at += end;
        Ok(Some(&self.bytes[start..start + end]))
    }
}

/// Reads the fields of a tuple in order. Every method names the table in its error.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    table: &'static str,
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(table: &'static str, tuple: &'a [u8]) -> Fields<'a> {
        Fields { table, bytes: tuple.get(2..).unwrap_or_default() }
    }

    /// The next field's bytes; `None` is null, and also what follows the last field.
    pub fn raw(&mut self) -> Option<&'a [u8]> {
        let length = i32::from_be_bytes(self.bytes.get(..4)?.try_into().expect("four bytes"));
        let Ok(length) = usize::try_from(length) else {
            self.bytes = &self.bytes[4..];
            return None;
        };
        let field = self.bytes.get(4..4 + length)?;
        self.bytes = &self.bytes[4 + length..];
        Some(field)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let table = self.table;
        let field = self.raw();
        field
            .and_then(|field| field.try_into().ok())
            .ok_or_else(|| Error::Stored { table, what: format!("a field of {:?} bytes where {N} were expected", field.map(<[u8]>::len)) })
    }

    pub fn int2(&mut self) -> Result<i16, Error> {
        Ok(i16::from_be_bytes(self.fixed()?))
    }

    pub fn int4(&mut self) -> Result<i32, Error> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }

    pub fn bits4(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(self.fixed()?))
    }

    pub fn bits8(&mut self) -> Result<u64, Error> {
        Ok(u64::from_be_bytes(self.fixed()?))
    }

    pub fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.fixed()
    }

    pub fn numeric(&mut self) -> Result<u128, Error> {
        let table = self.table;
        let field = self.raw().unwrap_or_default();
        numeric_of(field)
            .and_then(|(value, negative)| (!negative || value == 0).then_some(value))
            .ok_or_else(|| Error::Stored { table, what: format!("{} bytes are no whole number of atoms", field.len()) })
    }
}

/// Magnitude and sign of a binary numeric; `None` if it is no integer below 2^128.
pub(crate) fn numeric_of(field: &[u8]) -> Option<(u128, bool)> {
    let word = |place: usize| Some(i16::from_be_bytes(field.get(2 * place..2 * place + 2)?.try_into().ok()?));
    let (count, weight, sign) = (word(0)?, word(1)?, word(2)? as u16);
    if sign & !NUMERIC_NEGATIVE != 0 || count > weight + 1 {
        return None;
    }
    let mut value = 0_u128;
    for place in 0..weight + 1 {
        let digit = if count > 0 && place < count { word(4 + place as usize)? } else { 0 };
        value = value.checked_mul(10_000)?.checked_add(digit as u128)?;
    }
    Some((if count == 0 { 0 } else { value }, sign == NUMERIC_NEGATIVE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_the_binary_form() {
        for value in [0, 1, 9_999, 10_000, 10_001, 123_456_789, 10_u128.pow(38), u128::MAX, 1 << 112] {
            let mut tuples = Tuples::default();
            tuples.row(2).numeric(value).numeric_signed(-((value >> 1) as i128));
            let mut reader = Reader::default();
            for byte in tuples.finish() {
                reader.push(&[*byte]);
                if let Some(tuple) = reader.tuple("t").unwrap() {
                    let mut fields = Fields::new("t", tuple);
                    assert_eq!(fields.numeric().unwrap(), value);
                    assert_eq!(numeric_of(fields.raw().unwrap()), Some((value >> 1, value > 1)));
                }
            }
        }
    }

    #[test]
    fn a_number_has_the_bytes_postgres_writes() {
        let mut tuples = Tuples::default();
        // 12,340,000: digits 1234 and 0; the trailing zero digit is cut.
        tuples.row(1).numeric(12_340_000);
        assert_eq!(tuples.since(HEADER.len()), [0, 1, 0, 0, 0, 10, 0, 1, 0, 1, 0, 0, 0, 0, 4, 210]);
    }
}
