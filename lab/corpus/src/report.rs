//! What the comparison came to.

use crate::Outcome;
use crate::compare::Pair;
use std::collections::{BTreeMap, BTreeSet};

/// All pairs of answers.
#[derive(Debug, Default, serde::Serialize)]
pub(crate) struct Report {
    pairs: Vec<Pair>,
}

impl Report {
    /// Takes an object's answers.
    pub(crate) fn add(&mut self, pairs: Vec<Pair>) {
        self.pairs.extend(pairs);
    }

    /// Everything, as JSON.
    pub(crate) fn json(&self) -> Outcome<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// What libbpf loads and skep does not, by skep's reason, and the counts.
    pub(crate) fn print(&self) {
        let count = |skep: bool, libbpf: bool| {
            let is_it = |pair: &&Pair| (pair.skep.is_loaded(), pair.libbpf.is_loaded()) == (skep, libbpf);
            self.pairs.iter().filter(is_it).count()
        };
        let behind = self.pairs.iter().filter(|pair| pair.libbpf.is_loaded() && !pair.skep.is_loaded());
        let mut reasons: BTreeMap<String, Vec<&Pair>> = BTreeMap::new();
        for pair in behind {
            reasons.entry(reason(pair)).or_default().push(pair);
        }
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, pairs)| std::cmp::Reverse(pairs.len()));
        for (reason, pairs) in reasons {
            println!("{:>5}  {reason}", pairs.len());
            for pair in pairs {
                println!("       {}", name(pair));
            }
        }
        let objects: BTreeSet<_> = self.pairs.iter().map(|pair| &pair.object).collect();
        println!("{} objects, {} loads", objects.len(), self.pairs.len());
        println!("{:>5}  both load", count(true, true));
        println!("{:>5}  libbpf only", count(false, true));
        println!("{:>5}  skep only", count(true, false));
        println!("{:>5}  neither", count(false, false));
    }
}

fn name(pair: &Pair) -> String {
    match (&pair.program, &pair.section) {
        (Some(program), Some(section)) => format!("{} {program} ({section})", pair.object),
        (Some(program), None) => format!("{} {program}", pair.object),
        (None, _) => pair.object.clone(),
    }
}

/// skep's reason without the names that differ from program to program, so that the same ones are counted together.
fn reason(pair: &Pair) -> String {
    let why = pair.skep.why();
    let mut parts = why.split(": ").filter(|part| {
        !part.contains('/')
            && !["section ", "program ", "map ", "instruction "].iter().any(|w| part.starts_with(w))
    });
    let mut text = String::new();
    for part in parts.by_ref() {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(part);
    }
    text
}
