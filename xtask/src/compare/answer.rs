//! What a run over a capture answers, as far as it is the same on every kernel.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// The members that must be the same, besides the verdicts.
const COMPARED: [&str; 3] = ["maps", "events", "lost_events"];

/// One more, which is left out where an object has none.
const GLOBALS: &str = "globals";

/// One answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// What each packet got.
    pub(super) verdicts: Vec<u64>,
    /// Maps, globals and events.
    rest: Value,
}

impl Answer {
    /// Reads the document of a run.
    pub(super) fn parse(document: &str) -> Result<Self> {
        let mut document: Value = serde_json::from_str(document).context("no JSON")?;
        let verdicts = document["verdicts"].as_array().context("no verdicts")?;
        let verdicts: Option<Vec<u64>> = verdicts.iter().map(Value::as_u64).collect();
        let verdicts = verdicts.context("a verdict is no number")?;
        ensure!(!verdicts.is_empty(), "no packet was run");
        let mut rest = json!({});
        for name in COMPARED {
            ensure!(!document[name].is_null(), "no {name}");
            rest[name] = document[name].take();
        }
        rest[GLOBALS] = document[GLOBALS].take();
        for map in rest["maps"].as_object_mut().context("maps")?.values_mut() {
            for entry in map.as_array_mut().context("a map")? {
                // Which CPU it was, and how many there are, is the machine's business; the sums stay.
                if entry.get("sum").is_some() {
                    entry["value"].take();
                }
            }
        }
        Ok(Self { verdicts, rest })
    }

    /// Says where `other` has other verdicts.
    pub(super) fn verdicts_that_differ(&self, other: &Self) -> Vec<String> {
        let pairs = self.verdicts.iter().zip(&other.verdicts).enumerate();
        let mut found: Vec<_> = pairs
            .filter(|(_, (wanted, found))| wanted != found)
            .map(|(index, (wanted, found))| format!("packet {}: verdicts {wanted} and {found}", index + 1))
            .collect();
        let (wanted, packets) = (self.verdicts.len(), other.verdicts.len());
        if wanted != packets {
            found.push(format!("{wanted} and {packets} packets"));
        }
        found
    }

    /// Says where `other` begins to differ, if it does: verdicts first, then maps, globals and events.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let verdict = self.verdicts_that_differ(other).into_iter().next();
        verdict.or_else(|| first_difference("", &self.rest, &other.rest))
    }
}

/// The place of the first difference between two documents, and what stands there.
fn first_difference(place: &str, one: &Value, other: &Value) -> Option<String> {
    match (one, other) {
        (Value::Array(ones), Value::Array(others)) => {
            let mut pairs = ones.iter().zip(others).enumerate();
            let found = pairs
                .find_map(|(index, (one, other))| first_difference(&format!("{place}[{index}]"), one, other));
            let lengths = || format!("{place}: {} and {} entries", ones.len(), others.len());
            found.or_else(|| (ones.len() != others.len()).then(lengths))
        }
        (Value::Object(ones), Value::Object(others)) => {
            let names = ones.keys().chain(others.keys().filter(|name| !ones.contains_key(*name)));
            names.into_iter().find_map(|name| {
                let member = |of: &serde_json::Map<String, Value>| of.get(name).cloned().unwrap_or_default();
                first_difference(&format!("{place}.{name}"), &member(ones), &member(others))
            })
        }
        _ if one == other => None,
        _ => Some(format!("{place}: {one} and {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(verdicts: &[u64], hits: u64, cpus: &[u64]) -> Answer {
        let document = json!({
            "verdicts": verdicts, "globals": {}, "events": [{"data": 1}], "lost_events": 0,
            "maps": { "hits": [{ "key": 0, "value": cpus, "sum": hits }] },
        });
        Answer::parse(&document.to_string()).expect("an answer")
    }

    #[test]
    fn a_difference_is_found_where_it_is() {
        let right = answer(&[1, 2], 5, &[5, 0]);
        assert_eq!(right.difference(&answer(&[1, 2], 5, &[1, 2, 2])), None, "CPUs are not compared");
        let found = |other| right.difference(&other).expect("a difference");
        assert_eq!(found(answer(&[1, 1], 5, &[])), "packet 2: verdicts 2 and 1");
        assert_eq!(found(answer(&[1], 5, &[])), "2 and 1 packets");
        assert_eq!(found(answer(&[1, 2], 6, &[])), ".maps.hits[0].sum: 5 and 6");
        let more = json!([1, 2]);
        assert_eq!(first_difference("x", &json!([1]), &more).as_deref(), Some("x: 1 and 2 entries"));
        assert_eq!(first_difference("", &json!({}), &json!({"a": 1})).as_deref(), Some(".a: null and 1"));
    }

    #[test]
    fn an_answer_without_what_is_compared_is_none() {
        for document in ["", "{}", r#"{"verdicts":[]}"#, r#"{"verdicts":[1],"maps":{}}"#] {
            assert!(Answer::parse(document).is_err(), "{document}");
        }
    }
}
