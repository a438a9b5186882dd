//! What the comparison came to.

use crate::Outcome;
use crate::compare::{Pair, Parts};
use crate::differ::Difference;
use std::collections::{BTreeMap, BTreeSet};

/// Whether the answers are of all there is to be known of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// They are.
    All,
    /// They are of some objects.
    Some,
}

/// All pairs of answers.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pairs: Vec<Pair>,
}

impl Report {
    /// Takes an object's answers.
    pub(crate) fn add(&mut self, pairs: Vec<Pair>) {
        self.pairs.extend(pairs);
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
        self.pairs.iter().filter_map(in_parts_only).for_each(|fault| println!("{fault}"));
        self.print_differences();
    }
}

impl Report {
    /// How many loads sent the same, and the kinds of differences, with an example of each.
    fn print_differences(&self) {
        let compared = self.pairs.iter().filter_map(|pair| Some((pair, pair.differences.as_ref()?)));
        let (mut same, mut all) = (0, 0);
        let mut kinds: BTreeMap<&str, (usize, String)> = BTreeMap::new();
        for (pair, differences) in compared {
            all += 1;
            same += usize::from(differences.is_empty());
            let found: BTreeMap<&str, &Difference> =
                differences.iter().map(|difference| (difference.kind.as_str(), difference)).collect();
            for (kind, difference) in found {
                let example = || format!("{}: {difference}", name(pair));
                kinds.entry(kind).or_insert_with(|| (0, example())).0 += 1;
            }
        }
        if all == 0 {
            return;
        }
        println!("{same} of {all} loads sent the same; otherwise:");
        for (kind, (count, example)) in kinds {
            println!("{count:>5}  {kind}\n       as in {example}");
        }
    }
}

impl Report {
    /// Holds what is wanting beside what is known.
    ///
    /// # Errors
    /// Names what is not known, and where all is there what is known and not found.
    pub(crate) fn judge(&self, known: &str, extent: Extent) -> Outcome<()> {
        let lines = known.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let known: Vec<&str> = lines.collect();
        let mut found = BTreeSet::new();
        let mut is_known = |what: &str| {
            let entry = known.iter().find(|known| what.starts_with(**known));
            found.extend(entry.copied());
            entry.is_some()
        };
        let mut faults = BTreeSet::new();
        for pair in &self.pairs {
            if pair.libbpf.is_loaded()
                && !pair.skep.is_loaded()
                && !is_known(&format!("load: {}", reason(pair)))
            {
                faults.insert(format!("{}: only libbpf loads it: {}", name(pair), reason(pair)));
            }
            faults.extend(in_parts_only(pair));
            for difference in pair.differences.iter().flatten() {
                if !is_known(&format!("sent: {}", difference.kind)) {
                    faults.insert(format!("{}: {}: {difference}", name(pair), difference.kind));
                }
            }
        }
        let has_sent = self.pairs.iter().any(|pair| pair.differences.is_some());
        for entry in known.iter().filter(|entry| extent == Extent::All && !found.contains(**entry)) {
            // What is sent is not always compared.
            if has_sent || !entry.starts_with("sent: ") {
                faults.insert(format!("known, and not found any more: {entry}"));
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        faults.iter().for_each(|fault| eprintln!("{fault}"));
        Err(format!("{} differences that are not known", faults.len()).into())
    }
}

/// Says of an object that it does not load whole although each of its programs does alone.
fn in_parts_only(pair: &Pair) -> Option<String> {
    let Parts { all, loaded } = pair.parts?;
    let is_it = all > 0 && all == loaded;
    is_it.then(|| format!("{}: loads program by program, and not whole: {}", name(pair), pair.skep.why()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Verdict;

    fn pair(skep: Verdict) -> Pair {
        let libbpf = Verdict::Loaded;
        Pair {
            object: "p/a.o".to_owned(),
            program: None,
            section: None,
            skep,
            libbpf,
            differences: None,
            parts: None,
        }
    }

    fn refused(message: &str) -> Verdict {
        Verdict::Refused { errno: None, message: message.to_owned() }
    }

    #[test]
    fn a_reason_has_no_names_of_programs() {
        let why = "dir/a.o: section xdp: program one: instruction 7: needs more: than there is";
        assert_eq!(reason(&pair(refused(why))), "needs more: than there is");
    }

    #[test]
    fn what_only_libbpf_loads_must_be_known() {
        let report = Report { pairs: vec![pair(Verdict::Loaded), pair(refused("program p: not yet"))] };
        let judge = |known: &str| report.judge(known, Extent::All);
        assert!(judge("").is_err() && judge("load: other").is_err());
        assert!(judge("# why\nload: not yet\n").is_ok());
    }

    #[test]
    fn what_is_sent_differently_must_be_known() {
        let text = |text: &str| text.to_owned();
        let found = Difference { kind: text("map x"), place: text("p"), skep: text("1"), libbpf: text("2") };
        let report = Report { pairs: vec![Pair { differences: Some(vec![found]), ..pair(Verdict::Loaded) }] };
        assert!(report.judge("", Extent::All).is_err());
        assert!(report.judge("sent: map x", Extent::All).is_ok());
    }

    #[test]
    fn an_object_loads_whole_where_its_programs_do() {
        let report = |all, loaded| {
            let verdict = || refused("too few");
            let parts = Some(Parts { all, loaded });
            Report { pairs: vec![Pair { libbpf: verdict(), parts, ..pair(verdict()) }] }
        };
        assert!(report(2, 2).judge("", Extent::All).is_err());
        assert!(report(2, 1).judge("", Extent::All).is_ok() && report(0, 0).judge("", Extent::All).is_ok());
    }

    #[test]
    fn what_is_known_must_be_found_where_all_is_compared() {
        let report = |differences| Report { pairs: vec![Pair { differences, ..pair(Verdict::Loaded) }] };
        for known in ["load: gone", "sent: gone"] {
            let judge = |differences, extent| report(differences).judge(known, extent).is_err();
            assert!(judge(Some(Vec::new()), Extent::All), "{known}");
            assert!(!judge(Some(Vec::new()), Extent::Some), "{known}");
            assert_eq!(judge(None, Extent::All), known.starts_with("load"), "{known}");
        }
    }
}
