//! Compares a message with an example of the documentation: same keys in the same order of nesting, same kinds of values.

use serde_json::Value;

/// Keys that clients give another meaning to; no raw compat event has one at its top.
const FORBIDDEN: [&str; 9] = ["status", "error", "event", "data", "stream", "id", "pu", "ps", "result"];

/// Fails unless `found` has exactly the keys of `example`, and values of its kinds. A list's rows are compared with the example's first.
/// In an example, "P" is a string with eight decimals, "H" a 0x-string, `null` anything.
pub fn same(example: &Value, found: &Value) {
    compare("$", example, found);
}

fn compare(path: &str, example: &Value, found: &Value) {
    match (example, found) {
        (Value::Null, _) => {}
        (Value::Object(wanted), Value::Object(have)) => {
            let names = |map: &serde_json::Map<String, Value>| {
                let mut names: Vec<String> = map.keys().cloned().collect();
                names.sort();
                names
            };
            assert_eq!(names(wanted), names(have), "keys at {path}");
            for (name, value) in wanted {
                compare(&format!("{path}.{name}"), value, &have[name]);
            }
        }
        (Value::Array(wanted), Value::Array(have)) => {
            let Some(row) = wanted.first() else { return };
            if wanted.len() > 1 {
                assert_eq!(wanted.len(), have.len(), "length at {path}");
                wanted.iter().zip(have).enumerate().for_each(|(at, (row, value))| compare(&format!("{path}[{at}]"), row, value));
            } else {
                have.iter().enumerate().for_each(|(at, value)| compare(&format!("{path}[{at}]"), row, value));
            }
        }
        (Value::String(kind), Value::String(text)) if kind == "P" => assert!(is_e8(text), "{path}: {text} has not eight decimals"),
        (Value::String(kind), Value::String(text)) if kind == "H" => {
            assert!(
                text.starts_with("0x") && text[2..].bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()),
                "{path}: {text}"
            );
        }
        (Value::String(_), Value::String(_)) | (Value::Number(_), Value::Number(_)) | (Value::Bool(_), Value::Bool(_)) => {}
        _ => panic!("{path}: expected {example}, found {found}"),
    }
}

pub fn is_e8(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    text.split_once('.').is_some_and(|(whole, part)| {
        !whole.is_empty() && part.len() == 8 && whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit())
    })
}

/// Quirk 3 on every raw event seen.
pub fn no_forbidden_keys(seen: &[String]) {
    for text in seen {
        let message: Value = serde_json::from_str(text).unwrap();
        let is_answer = message.get("result").is_some() || message.get("code").is_some();
        let event = if message.get("stream").is_some() { &message["data"] } else { &message };
        if !is_answer {
            let names = event.as_object().expect("an event is an object");
            assert!(!FORBIDDEN.iter().any(|name| names.contains_key(*name)), "{text}");
        }
    }
}
