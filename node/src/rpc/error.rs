//! Which JSON-RPC error a caller sees. One place, so that codes and texts stay those that Ethereum clients match on.

use alloy_primitives::{B256, Bytes, hex};
use jsonrpsee::types::{ErrorObject, ErrorObjectOwned};
use serde_json::json;

use crate::mempool::PoolError;
use crate::mempool::ingress::SubmitError;
use crate::publish::LogError;
use crate::state::StateError;
use crate::tx::TxError;

/// Everything a method can fail with. The code is the contract; the text is for people and for clients that match on it.
#[derive(Clone, Debug)]
pub enum RpcError {
    /// -32602: the parameters do not mean anything.
    Params(String),
    /// -32000: not possible now or in this state.
    Refused(String),
    /// -32003: this transaction will never be accepted here, or nothing is at the moment (read-only).
    Rejected(String),
    /// -32005: a limit; the caller may ask for less or later.
    Limit { what: String, limit: u64, value: u64 },
    /// -32603: our fault.
    Internal(String),
    /// 3: the call reverted; the data are its return bytes.
    Reverted(Bytes),
    /// 4: accepted, but not published in time.
    SyncTimeout(B256),
    /// 5: not accepted: the nonce that must come first.
    SyncNotReady { expected: u64, text: String },
}

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        let none = None::<()>;
        match error {
            RpcError::Params(text) => ErrorObject::owned(-32602, text, none),
            RpcError::Refused(text) => ErrorObject::owned(-32000, text, none),
            RpcError::Rejected(text) => ErrorObject::owned(-32003, text, none),
            RpcError::Limit { what, limit, value } => ErrorObject::owned(-32005, what, Some(json!({ "limit": limit, "value": value }))),
            RpcError::Internal(text) => ErrorObject::owned(-32603, text, none),
            RpcError::Reverted(data) => ErrorObject::owned(3, revert_text(&data), Some(hex::encode_prefixed(&data))),
            RpcError::SyncTimeout(hash) => {
                ErrorObject::owned(4, "the transaction was added to the pool but was not included in time", Some(hash))
            }
            RpcError::SyncNotReady { expected, text } => ErrorObject::owned(5, text, Some(format!("{expected:#x}"))),
        }
    }
}

impl From<SubmitError> for RpcError {
    fn from(error: SubmitError) -> Self {
        let text = error.to_string();
        match error {
            SubmitError::Tx(TxError::Type(_) | TxError::Unprotected) | SubmitError::ReadOnly => Self::Rejected(text),
            SubmitError::Tx(TxError::Empty | TxError::Malformed(_) | TxError::Signature) => Self::Params(text),
            SubmitError::Tx(_) | SubmitError::Stopped => Self::Refused(text),
            SubmitError::Pool(PoolError::BlockGasLimit) => Self::Refused(text),
            SubmitError::Pool(_) => Self::Refused(text),
            SubmitError::Busy { limit } => Self::Limit { what: text, limit: limit as u64, value: limit as u64 },
        }
    }
}

impl From<StateError> for RpcError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Pruned { .. } | StateError::Future { .. } => Self::Refused(error.to_string()),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<LogError> for RpcError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Pruned { .. } | LogError::Unknown { .. } | LogError::Closed => Self::Refused(error.to_string()),
            other => Self::Internal(other.to_string()),
        }
    }
}

/// `execution reverted`, with the text of `Error(string)` if that is what came back.
fn revert_text(data: &[u8]) -> String {
    match reason(data) {
        Some(reason) => format!("execution reverted: {reason}"),
        None => "execution reverted".to_owned(),
    }
}

fn reason(data: &[u8]) -> Option<&str> {
    let body = data.strip_prefix(&[0x08, 0xc3, 0x79, 0xa0])?;
    let length = body.get(32..64)?;
    let length = usize::try_from(u64::from_be_bytes(length[24..].try_into().ok()?)).ok()?;
    std::str::from_utf8(body.get(64..64usize.checked_add(length)?)?).ok()
}
