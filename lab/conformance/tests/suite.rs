//! The runner on files of our own, some of which are wrong on purpose.

use skep_conformance::{Verdict, run_folder};
use std::path::Path;

#[test]
fn each_file_gets_its_verdict() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let report = run_folder(&cases).unwrap();
    let found: Vec<(String, &Verdict)> = report
        .files
        .iter()
        .map(|(path, verdict)| {
            (path.strip_prefix(&cases).unwrap().to_string_lossy().replace('\\', "/"), verdict)
        })
        .collect();
    let of = |name: &str| {
        let entry = found.iter().find(|(path, _)| path == name);
        entry.unwrap_or_else(|| panic!("{name} is not there: {found:?}")).1.to_string()
    };
    for name in [
        "tests/dialect.data",
        "tests/called-by-register.data",
        "tests/words.data",
        "negative/bytes.data",
        "negative/compared.data",
        "negative/outside.data",
        "tests/maps.data",
        "tests/fails.data",
        "negative/directive.data",
        "negative/no-such-map.data",
    ] {
        assert_eq!(of(name), "pass", "{name}");
    }
    assert_eq!(of("tests/wrong.data"), "FAIL: interpreter: wanted 0x2, found 0x1");
    assert_eq!(of("negative/accepted.data"), "FAIL: interpreter: wanted a refusal or a stop, found 0x1");
    assert!(of("tests/kernel.data").starts_with("refused: instruction 1: a call of a kernel function"));
    assert!(report.to_string().ends_with("10 passed, 2 failed, 1 refused, 0 passed over"), "{report}");
}
