//! Names: of markets (`ETHUSDC`) and of streams (`ethusdc@depth@100ms`). A copied token cannot take a name over.

use crate::bars::Interval;
use crate::books::CompatInfo;
use crate::decimal::Scale;
use orderbook::MarketId;
use std::collections::HashMap;

const LONGEST: usize = 20;
const LONGEST_ASSET: usize = 10;

/// Market names in use, upper case.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    markets: HashMap<String, MarketId>,
}

/// One of the streams of `/ws` and `/stream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    pub market: MarketId,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Trade,
    AggTrade,
    /// Every block that changes the book.
    Depth,
    /// The same, merged over a second.
    DepthSecond,
    BookTicker,
    /// The best levels, whole.
    Partial(u8),
    Kline(Interval),
    Ticker,
    MiniTicker,
}

impl Symbols {
    /// Names a new market; of equal names the first created keeps the plain one.
    pub fn add(&mut self, market: MarketId, base: &str, quote: &str, scale: Scale) -> CompatInfo {
        let (base_asset, quote_asset) = (reduced(base), reduced(quote));
        let plain = format!("{base_asset}{quote_asset}");
        let mut symbol = plain.clone();
        let mut number = 2_u32;
        while self.markets.contains_key(&symbol) || symbol.len() < 2 {
            let digits = number.to_string();
            symbol = format!("{}{digits}", &plain[..plain.len().min(LONGEST - digits.len())]);
            number += 1;
        }
        self.markets.insert(symbol.clone(), market);
        CompatInfo { symbol, base_asset, quote_asset, scale }
    }

    /// A market by its name in any case.
    pub fn market(&self, name: &str) -> Option<MarketId> {
        if name.len() > LONGEST {
            return None;
        }
        self.markets.get(&name.to_ascii_uppercase()).copied()
    }

    /// A stream by its name; the market's part may have any case, the rest not (`1m` is not `1M`).
    pub fn stream(&self, name: &str) -> Option<Stream> {
        let (symbol, kind) = name.split_once('@')?;
        Some(Stream { market: self.market(symbol)?, kind: Kind::named(kind)? })
    }
}

impl Kind {
    fn named(kind: &str) -> Option<Kind> {
        Some(match kind {
            "trade" => Kind::Trade,
            "aggTrade" => Kind::AggTrade,
            "depth@100ms" => Kind::Depth,
            "depth" | "depth@1000ms" => Kind::DepthSecond,
            "bookTicker" => Kind::BookTicker,
            "ticker" => Kind::Ticker,
            "miniTicker" => Kind::MiniTicker,
            "depth5" | "depth5@100ms" | "depth5@1000ms" => Kind::Partial(5),
            "depth10" | "depth10@100ms" | "depth10@1000ms" => Kind::Partial(10),
            "depth20" | "depth20@100ms" | "depth20@1000ms" => Kind::Partial(20),
            _ => Kind::Kline(Interval::named_in_compat(kind.strip_prefix("kline_")?)?),
        })
    }
}

impl Stream {
    /// Of a bar stream.
    pub fn interval(self) -> Option<Interval> {
        match self.kind {
            Kind::Kline(interval) => Some(interval),
            _ => None,
        }
    }
}

/// A token's name in `[A-Z0-9]`; at most ten characters, and at least one.
fn reduced(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase());
    let reduced: String = letters.take(LONGEST_ASSET).collect();
    if reduced.is_empty() { "X".to_owned() } else { reduced }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: Scale = Scale { tick_e8: 1, lot_e8: 1 };

    #[test]
    fn the_first_market_keeps_the_plain_name() {
        let mut symbols = Symbols::default();
        let mut add = |number, base, quote| symbols.add(MarketId(number), base, quote, SCALE).symbol;
        assert_eq!(add(1, "ETH", "USDC"), "ETHUSDC");
        assert_eq!(add(2, "eth", "usdc"), "ETHUSDC2");
        assert_eq!(add(3, "E-T/H", "US DC"), "ETHUSDC3");
        assert_eq!(add(4, "ABCDEFGHIJKLMN", "OPQRSTUVWXYZ"), "ABCDEFGHIJOPQRSTUVWX");
        assert_eq!(add(5, "ABCDEFGHIJ", "OPQRSTUVWX"), "ABCDEFGHIJOPQRSTUVW2");
        assert_eq!(add(6, "\u{20bf}", "\u{20ac}"), "XX");
        assert_eq!(symbols.market("ethUsdc"), Some(MarketId(1)));
        assert_eq!(symbols.market(&"x".repeat(1 << 20)), None);
    }

    #[test]
    fn streams_by_name() {
        let mut symbols = Symbols::default();
        symbols.add(MarketId(7), "ETH", "USDC", SCALE);
        let kind = |name: &str| symbols.stream(name).map(|stream| stream.kind);
        assert_eq!(kind("ethusdc@depth@100ms"), Some(Kind::Depth));
        assert_eq!(kind("ethusdc@depth"), Some(Kind::DepthSecond));
        assert_eq!(kind("ETHUSDC@kline_1M"), Some(Kind::Kline(Interval::named("1M").unwrap())));
        for unknown in ["x@depth", "ethusdc", "ethusdc@", "ethusdc@Trade", "ethusdc@kline_2m", "ethusdc@kline_5s", "@trade", ""] {
            assert_eq!(kind(unknown), None, "{unknown}");
        }
    }
}
