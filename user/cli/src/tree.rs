//! Typed values compared and added up, part by part.

use skep_btf::{FieldValue, Value};
use std::cmp::Ordering;

/// Orders two values of one type: numbers by value, text by its characters, what has parts by the first that differ.
pub(crate) fn compare(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    match (a, b) {
        (Value::Unsigned(x), Value::Unsigned(y)) => x.cmp(y),
        (Value::Float(x), Value::Float(y)) => x.total_cmp(y),
        (Value::Text(x), Value::Text(y)) => x.cmp(y),
        (Value::Struct(x) | Value::Union(x), Value::Struct(y) | Value::Union(y)) => {
            first_difference(x.iter().map(|f| &f.value), y.iter().map(|f| &f.value))
        }
        (Value::Array(x), Value::Array(y)) => first_difference(x.iter(), y.iter()),
        _ => a.as_int().cmp(&b.as_int()),
    }
}

fn first_difference<'v>(
    a: impl Iterator<Item = &'v Value<'v>>,
    b: impl Iterator<Item = &'v Value<'v>>,
) -> Ordering {
    a.zip(b).map(|(x, y)| compare(x, y)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Adds values of one type up; nothing where a part is no number, or where there are none.
pub(crate) fn sum<'b>(values: &[Value<'b>]) -> Option<Value<'b>> {
    let (first, rest) = values.split_first()?;
    rest.iter().try_fold(first.clone(), |total, value| add(&total, value))
}

fn add<'b>(a: &Value<'b>, b: &Value<'b>) -> Option<Value<'b>> {
    match (a, b) {
        (Value::Unsigned(x), Value::Unsigned(y)) => x.checked_add(*y).map(Value::Unsigned),
        (Value::Signed(x), Value::Signed(y)) => x.checked_add(*y).map(Value::Signed),
        (Value::Struct(x), Value::Struct(y)) if x.len() == y.len() => {
            let both = x.iter().zip(y);
            let fields =
                both.map(|(x, y)| Some(FieldValue { name: x.name, value: add(&x.value, &y.value)? }));
            fields.collect::<Option<_>>().map(Value::Struct)
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).map(|(x, y)| add(x, y)).collect::<Option<_>>().map(Value::Array)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(a: u128, b: i128) -> Value<'static> {
        Value::Struct(vec![
            FieldValue { name: "a", value: Value::Unsigned(a) },
            FieldValue { name: "b", value: Value::Array(vec![Value::Signed(b)]) },
        ])
    }

    #[test]
    fn parts_are_compared_in_order() {
        assert_eq!(compare(&pair(1, 9), &pair(2, 0)), Ordering::Less);
        assert_eq!(compare(&pair(2, 0), &pair(2, -1)), Ordering::Greater);
        assert_eq!(compare(&pair(2, 0), &pair(2, 0)), Ordering::Equal);
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(compare(&text("b"), &text("ab")), Ordering::Greater);
        assert_eq!(compare(&Value::Float(-1.0), &Value::Float(1.0)), Ordering::Less);
    }

    #[test]
    fn numbers_add_up_and_nothing_else() {
        assert_eq!(sum(&[pair(1, 2), pair(3, -4), pair(5, 0)]), Some(pair(9, -2)));
        assert_eq!(sum(&[]), None);
        assert_eq!(sum(&[Value::Bool(true), Value::Bool(true)]), None);
        assert_eq!(sum(&[Value::Unsigned(u128::MAX), Value::Unsigned(1)]), None);
    }
}
