//! The examples' programs, broken at one instruction: what the machine stops, the verifier refuses.

use skep_lab_oracle::mutants::{Effort, Tally, of_object};
use std::path::Path;

/// How much is tried here; `cargo xtask oracle` tries more.
const EFFORT: Effort = Effort { runs: 8, mutants: 60, seed: 7 };

#[test]
fn nothing_that_the_machine_stops_is_accepted() {
    let kernel = skep::Kernel::embedded(skep::embedded::Config::default()).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut tally = Tally::default();
    for object in [
        "examples/xdp-firewall/xdp_firewall.bpf.o",
        "examples/tail-calls/tail_calls.bpf.o",
        "examples/syscount/syscount.bpf.o",
    ] {
        of_object(&kernel, None, &root.join(object), EFFORT, &mut tally).unwrap();
    }
    assert_eq!(tally.left_out, 0, "{tally:?}");
    let findings: Vec<String> = tally.findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{findings:#?}");
    // What finds nothing because nothing is stopped is worth nothing.
    assert!(tally.programs >= 9 && tally.stopped >= 60, "{tally:?}");
}
