//! Typed values and vocabulary as JSON.

use serde_json::{Map, Number, Value as Json};
use skep_btf::{CoreRelocKind, Value};
use std::fmt::Write;

/// The largest integer that every reader of JSON keeps exactly.
const EXACT: i128 = 1 << 53;

/// Gives a value: structs as objects, integers as numbers, and as hexadecimal text where a reader would round them.
pub(crate) fn value(value: &Value<'_>) -> Json {
    match value {
        Value::Signed(number) => integer(*number),
        Value::Unsigned(number) => unsigned(*number),
        Value::Bool(bit) => Json::Bool(*bit),
        Value::Char(byte) => Json::from(*byte),
        Value::Float(float) => {
            Number::from_f64(*float).map_or_else(|| Json::String(float.to_string()), Json::Number)
        }
        Value::Enum { name: Some(name), .. } => Json::from(*name),
        Value::Enum { name: None, value } => integer(*value),
        Value::Ptr(address) => Json::String(format!("{address:#x}")),
        Value::Struct(fields) | Value::Union(fields) => {
            let mut object = Map::new();
            for field in fields {
                let member = match field.value {
                    Value::Unsigned(number) if field.name.ends_with("addr") => address(number),
                    _ => self::value(&field.value),
                };
                object.insert(field.name.to_owned(), member);
            }
            Json::Object(object)
        }
        Value::Array(values) => values.iter().map(self::value).collect(),
        Value::Text(text) => Json::String(text.clone()),
        Value::Unreadable(why) => {
            Json::Object(Map::from_iter([("unreadable".to_owned(), Json::String(why.to_string()))]))
        }
        other => Json::String(other.to_string()),
    }
}

/// Integers called `saddr` and the like are no amounts.
fn address(number: u128) -> Json {
    Json::String(format!("{number:#010x}"))
}

fn unsigned(number: u128) -> Json {
    i128::try_from(number).map_or_else(|_| Json::String(format!("{number:#x}")), integer)
}

/// Negative numbers beyond the limit stay decimal: their sign would be lost in hexadecimal.
pub(crate) fn integer(number: i128) -> Json {
    match i64::try_from(number) {
        Ok(small) if (-EXACT..=EXACT).contains(&number) => Json::from(small),
        _ if number < 0 => Json::String(number.to_string()),
        _ => Json::String(format!("{number:#x}")),
    }
}

/// Writes bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Gives the name of a kind of CO-RE relocation.
pub(crate) fn core_kind(number: u32) -> &'static str {
    CoreRelocKind::from_number(number).map_or("unknown", CoreRelocKind::name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_btf::FieldValue;

    #[track_caller]
    fn check(of: Value<'_>, expect: &str) {
        assert_eq!(value(&of).to_string(), expect);
    }

    #[test]
    fn numbers_that_a_reader_would_round_are_text() {
        check(Value::Unsigned(1 << 53), "9007199254740992");
        check(Value::Unsigned((1 << 53) + 1), "\"0x20000000000001\"");
        check(Value::Unsigned(u128::MAX), "\"0xffffffffffffffffffffffffffffffff\"");
        check(Value::Signed(-(1 << 53)), "-9007199254740992");
        check(Value::Signed(i64::MIN.into()), "\"-9223372036854775808\"");
        check(Value::Ptr(16), "\"0x10\"");
        check(Value::Float(f64::NAN), "\"NaN\"");
        check(Value::Float(0.5), "0.5");
    }

    #[test]
    fn members_keep_their_order() {
        let field = |name, value| FieldValue { name, value };
        let of = Value::Struct(vec![
            field("z", Value::Enum { name: Some("ON"), value: 1 }),
            field("a", Value::Array(vec![Value::Bool(true), Value::Text("x\n".to_owned())])),
        ]);
        check(of, r#"{"z":"ON","a":[true,"x\n"]}"#);
        let addresses = Value::Struct(vec![
            field("saddr", Value::Unsigned(0x0a4d_0001)),
            field("seen", Value::Unsigned(3)),
        ]);
        check(addresses, r#"{"saddr":"0x0a4d0001","seen":3}"#);
    }
}
