//! Whatever happens when the examples run lies in a state that the verifier looked at.

use skep::embedded::Config;
use skep_lab_oracle::contain::{Effort, Tally, of_object};
use std::path::Path;

#[test]
fn what_happens_was_reckoned_with() {
    let kernel = skep::Kernel::embedded(Config::default()).unwrap();
    let mut tally = Tally::default();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for object in
        ["syscount/syscount.bpf.o", "tail-calls/tail_calls.bpf.o", "xdp-firewall/xdp_firewall.bpf.o"]
    {
        of_object(
            &kernel,
            None,
            &root.join(object),
            Effort { runs: 50, seed: 1, insns: 1_000_000, fuel: 300_000 },
            &mut tally,
        )
        .unwrap();
    }
    assert!(tally.misses.is_empty(), "{}", tally.misses[0]);
    assert!(tally.stopped.is_empty(), "{}", tally.stopped[0]);
    assert!(tally.unlike.is_empty(), "{}", tally.unlike[0]);
    assert!(tally.programs > 5 && tally.steps > 10_000 && tally.unsaid == 0, "{tally:?}");
}
