//! Where two loads have sent other things, by kind.

use crate::sent::Sent;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// One thing that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Difference {
    /// What kind of thing: a field, or a map that only one side has.
    pub(crate) kind: String,
    /// Of which program or map, and where in it.
    pub(crate) place: String,
    /// What skep sent.
    pub(crate) skep: String,
    /// What libbpf sent.
    pub(crate) libbpf: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: skep {}, libbpf {}", self.place, self.skep, self.libbpf)
    }
}

/// Maps that libbpf makes to find out what the kernel can do (libbpf's src/features.c).
const PROBES: &[&str] = &["map ", "map arr", "map libbpf_mmap", "map libbpf_global", "map libbpf_det_bind"];

/// Lists what is not the same; of a list the first entry.
pub(crate) fn between(skep: &Sent, libbpf: &Sent) -> Vec<Difference> {
    let names: BTreeSet<_> = skep.things.keys().chain(libbpf.things.keys()).collect();
    let mut found = Vec::new();
    // An object may have a map that is called so, too.
    let is_probe = |name: &String| PROBES.contains(&name.as_str()) && !skep.things.contains_key(name);
    for name in names.into_iter().filter(|name| !is_probe(name)) {
        let what = name.split(' ').next().unwrap_or(name);
        let (ours, theirs) = match (skep.things.get(name), libbpf.things.get(name)) {
            (Some(ours), Some(theirs)) => (ours, theirs),
            (ours, _) => {
                let word = |is_there: bool| if is_there { "has it" } else { "has none" }.to_owned();
                let kind = format!("a {what} of only one side");
                let (skep, libbpf) = (word(ours.is_some()), word(ours.is_none()));
                found.push(Difference { kind, place: name.clone(), skep, libbpf });
                continue;
            }
        };
        let empty = Vec::new();
        let fields: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
        for field in fields {
            let (ours, theirs) = (ours.get(field).unwrap_or(&empty), theirs.get(field).unwrap_or(&empty));
            let Some(at) = first_difference(ours, theirs) else { continue };
            let word = |list: &[String]| list.get(at).cloned().unwrap_or_else(|| "nothing".to_owned());
            found.push(Difference {
                kind: format!("{what} {field}"),
                place: format!("{name} {field} {at} of {} and {}", ours.len(), theirs.len()),
                skep: word(ours),
                libbpf: word(theirs),
            });
        }
    }
    found
}

fn first_difference(ours: &[String], theirs: &[String]) -> Option<usize> {
    let differs = ours.iter().zip(theirs).position(|(ours, theirs)| ours != theirs);
    differs.or((ours.len() != theirs.len()).then_some(ours.len().min(theirs.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn sent(insns: &[&str]) -> Sent {
        let insns = insns.iter().map(|text| (*text).to_owned()).collect();
        let fields = BTreeMap::from([("insns".to_owned(), insns)]);
        Sent { things: BTreeMap::from([("program p".to_owned(), fields)]), calls: 1 }
    }

    #[test]
    fn the_first_difference_is_named() {
        assert_eq!(between(&sent(&["a", "b"]), &sent(&["a", "b"])), []);
        let found = between(&sent(&["a", "b"]), &sent(&["a"]));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].kind.as_str(), found[0].libbpf.as_str()), ("program insns", "nothing"));
        assert_eq!(found[0].place, "program p insns 1 of 2 and 1");
        assert_eq!(between(&sent(&[]), &Sent::default())[0].kind, "a program of only one side");
    }

    #[test]
    fn a_map_that_only_libbpf_makes_may_be_a_probe() {
        let with = |name: &str| Sent {
            things: BTreeMap::from([(name.to_owned(), BTreeMap::new())]),
            ..Sent::default()
        };
        assert_eq!(between(&Sent::default(), &with("map arr")), []);
        assert_eq!(between(&Sent::default(), &with("map other"))[0].kind, "a map of only one side");
        assert_eq!(between(&with("map arr"), &Sent::default())[0].kind, "a map of only one side");
    }
}
