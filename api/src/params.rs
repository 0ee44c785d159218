//! Query parameters: read once, strictly in form (UTF-8, sane escapes), leniently in content (unknown ones are ignored).

use crate::error::Error;
use std::borrow::Cow;

/// Parameters read of one request; more are ignored.
const MOST: usize = 64;

/// Name and value pairs in order; of equal names the first counts.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query without its question mark.
    ///
    /// # Errors
    /// -1100 at broken escapes or text that is no UTF-8.
    pub fn read(query: &str) -> Result<Params, Error> {
        let parts = query.split('&').filter(|part| !part.is_empty()).take(MOST);
        let read = parts.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decoded(name)?, decoded(value)?))
        });
        Ok(Params(read.collect::<Result<_, Error>>()?))
    }

    /// A parameter that is there and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// # Errors
    /// -1102 if it is missing.
    pub fn need(&self, name: &str) -> Result<&str, Error> {
        self.get(name).ok_or_else(|| Error::missing(name))
    }

    /// A whole number below 2^53.
    ///
    /// # Errors
    /// -1100 if it is none.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Error> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let digits = !text.is_empty() && text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u64>() {
            Ok(number) if digits && number < 1 << 53 => Ok(Some(number)),
            _ => Err(Error::illegal(name)),
        }
    }

    /// A page's length.
    ///
    /// # Errors
    /// -1130 outside `1 ..= most`.
    pub fn limit(&self, default: usize, most: usize) -> Result<usize, Error> {
        match self.number("limit")? {
            None => Ok(default),
            Some(limit) if (1..=most as u64).contains(&limit) => Ok(limit as usize),
            Some(_) => Err(Error::bad("limit", &format!("1 to {most}"))),
        }
    }
}

fn decoded(text: &str) -> Result<String, Error> {
    let wrong = || Error::malformed("The query holds a broken escape.");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let [high, low, tail @ ..] = rest else { return Err(wrong()) };
                rest = tail;
                let digit = |byte: u8| (byte as char).to_digit(16).ok_or_else(wrong);
                (digit(*high)? * 16 + digit(*low)?) as u8
            }
            other => *other,
        });
    }
    match String::from_utf8_lossy(&bytes) {
        Cow::Borrowed(text) => Ok(text.to_owned()),
        Cow::Owned(_) => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders() {
        let params = Params::read("symbol=ETH%55SDC&limit=0&x=%5B%22a%22%5D&startTime=9007199254740992&symbol=B&empty=&flag").unwrap();
        assert_eq!(params.get("symbol"), Some("ETHUSDC"));
        assert_eq!(params.get("x"), Some("[\"a\"]"));
        assert_eq!(params.get("empty"), None);
        assert_eq!(params.limit(100, 5_000).unwrap_err().code, -1130);
        assert_eq!(params.number("startTime").unwrap_err().code, -1100);
        assert_eq!(params.need("nothing").unwrap_err().code, -1102);
        for bad in ["a=%", "a=%1", "a=%zz", "a=%ff"] {
            assert_eq!(Params::read(bad).unwrap_err().code, -1100, "{bad}");
        }
    }
}
