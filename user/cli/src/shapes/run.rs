//! The document of `skep run`.

use crate::source::Source;
use serde::Serialize;
use serde_json::{Map, Value};

/// What a run did.
#[derive(Debug, Default, Serialize)]
pub(crate) struct RunReport {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) program: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    pub(crate) on: &'static str,
    pub(crate) engine: &'static str,
    pub(crate) checks: bool,
    pub(crate) runs: u64,
    /// What the last run returned.
    #[serde(rename = "return", skip_serializing_if = "Option::is_none")]
    pub(crate) returned: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) returns: Map<String, Value>,
    /// What each packet of a capture got, in order, as the kernel says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verdicts: Option<Vec<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ns_per_run: Option<NsPerRun>,
    /// From the object to programs in the kernel, verification and compilation included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) load_ns: Option<u64>,
    /// From bytes to what the engine runs, of bare instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) compile_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) maps: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) globals: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_out: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ctx_out: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mem_out: Option<String>,
    /// Instructions of the last run, of bare instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) executed: Option<u64>,
    /// Units of fuel of the last run, of bare instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fuel: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<Vec<Event>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lost_events: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) printk: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<RunError>,
    /// The same for people.
    #[serde(skip)]
    pub(crate) text: Texts,
}

/// Times of runs, the call's own included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct NsPerRun {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl NsPerRun {
    /// Sums up times; nothing of nothing.
    pub(crate) fn of(mut times: Vec<f64>) -> Option<NsPerRun> {
        times.sort_by(f64::total_cmp);
        let (min, max) = (*times.first()?, *times.last()?);
        let upper = times[times.len() / 2];
        let lower = times[(times.len() - 1) / 2];
        Some(NsPerRun { min, median: (lower + upper) / 2.0, max })
    }
}

/// A record that a program wrote into a buffer.
#[derive(Debug, Serialize)]
pub(crate) struct Event {
    pub(crate) map: String,
    /// The CPU, of perf buffers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu: Option<u32>,
    pub(crate) data: Value,
    /// The same for people.
    #[serde(skip)]
    pub(crate) text: String,
}

/// Why a run was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RunError {
    pub(crate) kind: String,
    pub(crate) insn: Option<u32>,
    pub(crate) message: String,
    /// The program, where a tail call led to another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) program: Option<String>,
    /// The line that the instruction belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<Source>,
}

/// Maps and globals in words.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    /// What one run is called: packet or run.
    pub(crate) unit: &'static str,
    pub(crate) maps: Vec<MapText>,
    pub(crate) globals: Vec<(String, String)>,
}

/// A map in words.
#[derive(Debug)]
pub(crate) struct MapText {
    pub(crate) name: String,
    /// Key and value of each element.
    pub(crate) entries: Vec<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_summed_up() {
        let of = |times: &[f64]| NsPerRun::of(times.to_vec()).map(|t| (t.min, t.median, t.max));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0]), Some((3.0, 3.0, 3.0)));
        assert_eq!(of(&[9.0, 1.0, 2.0]), Some((1.0, 2.0, 9.0)));
        assert_eq!(of(&[4.0, 1.0, 2.0, 9.0]), Some((1.0, 3.0, 9.0)));
    }
}
