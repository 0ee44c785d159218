//! Reads of `/v1`: status, markets, depth, candles. A body is `{"block":..,"hash":..,"seq":..,"commit":..,"time_ms":..,"data":..}`.

use super::wire;
use crate::bars::Interval;
use crate::books::BlockHead;
use crate::error::Error;
use crate::history::{self, Wanted};
use crate::params::Params;
use crate::state::{Place, Shared};
use serde_json::json;

/// A read of `/v1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    Status,
    Markets,
    Depth,
    Candles,
}

const ROWS_MOST: usize = 1_000;
const LEVELS_MOST: usize = 5_000;

impl Read {
    pub fn weight(self) -> u32 {
        match self {
            Read::Status | Read::Markets => 1,
            Read::Depth => 5,
            Read::Candles => 2,
        }
    }

    /// The answer's text and the place it is true at. `tail` is what the path says after the market, if it says one.
    ///
    /// # Errors
    /// Those of the documentation, each with its code.
    pub async fn answer(self, shared: &Shared, params: &Params, market: Option<&str>) -> Result<(String, Place), Error> {
        match self {
            Read::Status => status(shared),
            Read::Markets => markets(shared),
            Read::Depth => depth(shared, params, market.unwrap_or_default()),
            Read::Candles => candles(shared, params).await,
        }
    }
}

fn wrapped(head: BlockHead, place: Place, data: &str, next: bool) -> (String, Place) {
    let next = if next { ",\"next\":null" } else { "" };
    let text = format!(
        "{{\"block\":{},\"hash\":\"{}\",\"seq\":{},\"commit\":\"executed\",\"time_ms\":{},\"data\":{data}{next}}}",
        head.number, head.hash, place.seq, head.time_ms
    );
    (text, place)
}

fn status(shared: &Shared) -> Result<(String, Place), Error> {
    let core = shared.live()?;
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let head = core.head;
    let data = json!({
        "chain_id": shared.config.chain_id,
        "exchange": lower(shared.config.exchange),
        "heads": {"executed": head.number, "voted": null, "finalized": null},
        "indexed": shared.stored(),
        "lag_ms": now_ms.saturating_sub(head.time_ms),
        "ring_from": core.ring_from(),
    });
    Ok(wrapped(head, core.place(), &data.to_string(), false))
}

fn markets(shared: &Shared) -> Result<(String, Place), Error> {
    let core = shared.live()?;
    let rows: Vec<serde_json::Value> = core
        .books
        .markets
        .values()
        .map(|state| {
            let info = &state.info;
            let token = |token: &crate::books::TokenInfo| json!({"token": lower(token.at), "name": token.name, "decimals": token.decimals});
            json!({
                "market": info.market.id.0,
                "name": info.name,
                "compat": info.compat.is_some(),
                "symbol": info.compat.as_ref().map(|compat| &compat.symbol),
                "base": token(&info.base),
                "quote": token(&info.quote),
                "base_atoms_per_lot": info.market.base_atoms_per_lot.to_string(),
                "quote_atoms_per_lot_tick": info.market.quote_atoms_per_lot_tick.to_string(),
                "tick": info.tick,
                "lot": info.lot,
                "lots_min": info.market.lots_min,
                "taker_fee_ppm": info.market.taker_fee_ppm,
                "maker_fee_ppm": info.market.maker_fee_ppm,
                "status": wire::status_name(state.head.status),
            })
        })
        .collect();
    Ok(wrapped(core.head, core.place(), &serde_json::Value::Array(rows).to_string(), false))
}

fn depth(shared: &Shared, params: &Params, market: &str) -> Result<(String, Place), Error> {
    let market: u32 = market.parse().map_err(|_| Error::illegal("market"))?;
    let levels = match params.number("levels")? {
        None => 100,
        Some(levels) if (1..=LEVELS_MOST as u64).contains(&levels) => levels as usize,
        Some(_) => return Err(Error::bad("levels", "1 to 5000")),
    };
    let (copy, head) = {
        let core = shared.live()?;
        (core.known(market)?.depth(levels), core.head)
    };
    // The body of the websocket's snapshot, with the seq of this market's book.
    let place = Place { block: head.number, seq: copy.u };
    let text = wire::depth_data_text(&copy);
    Ok(wrapped(head, place, &text, false))
}

async fn candles(shared: &Shared, params: &Params) -> Result<(String, Place), Error> {
    let number = params.number("market")?.ok_or_else(|| Error::missing("market"))?;
    let interval = Interval::named(params.need("interval")?).ok_or_else(Error::unknown_interval)?;
    let fill = match params.get("fill") {
        None => false,
        Some("prev") => true,
        Some(_) => return Err(Error::bad("fill", "prev")),
    };
    let wanted = Wanted {
        from_id: None,
        start_ms: params.number("from_ms")?,
        end_ms: params.number("to_ms")?,
        limit: params.limit(100, ROWS_MOST)?,
    };
    if let (Some(from), Some(to)) = (wanted.start_ms, wanted.end_ms)
        && from > to
    {
        return Err(Error::bad("to_ms", "not before from_ms"));
    }
    let (market, head, place) = {
        let core = shared.live()?;
        (core.known(u32::try_from(number).unwrap_or(u32::MAX))?.info.market.id, core.head, core.place())
    };
    let (bars, now_ms) = history::candles(shared, market, interval, wanted, fill).await?;
    let rows: Vec<String> = bars.iter().map(|bar| wire::candle_text(interval, bar, interval.end_ms(bar.open_ms) <= now_ms)).collect();
    Ok(wrapped(head, place, &format!("[{}]", rows.join(",")), true))
}

fn lower(address: alloy_primitives::Address) -> String {
    format!("{address:#x}")
}
