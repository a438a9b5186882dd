//! Runs every case on every engine.

mod common;

use common::cases;
use skep_lab_filetests::{Embedded, Ending, Engine, Exact, Interpreter, Verified, check, parse};

fn all_pass(engine: &dyn Engine) {
    let cases = cases();
    assert!(cases.len() > 600, "{} cases", cases.len());
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| check(engine, case).err().map(|error| format!("{}: {error}", case.name)))
        .collect();
    let name = engine.name();
    assert!(failed.is_empty(), "{} of {} on {name}:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

#[test]
fn exact() {
    all_pass(&Exact);
}

#[test]
fn embedded() {
    all_pass(&Embedded);
}

#[test]
fn interpreter() {
    all_pass(&Interpreter);
}

/// What is verified runs without checks, and comes to what it comes to on the reference machine.
fn verified(engine: skep_embedded::Engine) {
    let verified = Verified(engine);
    let (mut ran, mut failed) = (0, Vec::new());
    for case in cases() {
        let found = match verified.run(case) {
            Ok(Ending::NotHere(_)) => continue,
            found => found,
        };
        ran += 1;
        let wanted = Embedded.run(case);
        let same = match (&wanted, &found) {
            // Without checks nobody knows in words of the program what an address was of.
            (Ok(Ending::Stopped(at, code, _)), Ok(Ending::Stopped(other, kind, _))) => {
                (at, code) == (other, kind)
            }
            (wanted, found) => wanted == found,
        };
        if !same {
            failed.push(format!("{}: exactly {wanted:?}, verified {found:?}", case.name));
        }
    }
    assert!(failed.is_empty(), "{} of {ran}:\n{}", failed.len(), failed.join("\n"));
    assert!(ran > 400, "{ran} cases are verified");
}

#[test]
fn verified_on_the_interpreter() {
    verified(skep_embedded::Engine::Interpreter);
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn verified_on_the_jit() {
    verified(skep_embedded::Engine::Jit);
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn jit() {
    all_pass(&skep_lab_filetests::Jit);
}

#[cfg(target_os = "linux")]
#[test]
fn linux() {
    let linux = skep_lab_filetests::Linux::new();
    match linux.is_usable() {
        Ok(()) => all_pass(&linux),
        Err(why) => println!("skipped: linux: {why}"),
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_both_kernels_refuse_has_one_errno() {
    use skep_lab_filetests::Linux;
    let linux = Linux::new();
    if let Err(why) = linux.is_usable() {
        println!("skipped: what_both_kernels_refuse_has_one_errno: {why}");
        return;
    }
    let mut compared = 0;
    for case in cases() {
        let Ok(Ending::Refused(ours)) = Embedded.run(case) else { continue };
        let Ok(Ending::Refused(theirs)) = linux.run(case) else { panic!("{}: Linux loads it", case.name) };
        assert_eq!(ours.errno, theirs.errno, "{}: {} / {}", case.name, ours.text, theirs.text);
        compared += 1;
    }
    assert!(compared > 30, "{compared} refusals");
}

#[test]
fn a_wrong_expectation_fails() {
    let text = "test one\n  r0 = 1\n  exit\nreturns 2\n\
        test two\nmemory 00\n  *(u8 *)(r1 + 0) = 1\n  r0 = 0\n  exit\nreturns 0\nleaves 00\n\
        test three\n  r0 = 0 ;! out_of_bounds\n  r0 = *(u8 *)(r1 + 0)\n  exit\n\
        test four\n  r0 = *(u8 *)(r1 + 0) ;! null_pointer\n  exit\n\
        test five\n  r0 = *(u8 *)(r1 + 0) ;! out_of_bounds: something else\n  exit\n\
        test six\n  r0 = 0 ;! refused\n  exit\n\
        test seven\n  callx r1\n  exit\nreturns 0\n";
    let cases = parse("f", text).unwrap();
    assert_eq!(cases.len(), 7);
    for case in cases {
        let error = check(&Exact, &case).expect_err(&case.name);
        assert!(error.starts_with("wanted "), "{error}");
    }
}

#[test]
fn a_wrong_expectation_of_the_embedded_kernel_fails() {
    let text = "test a result where it refuses\n  r0 = 1\n  r0 /= 0\n  exit\nreturns 0\n\
        test a refusal where it runs\n  r0 = 1    ;! embedded refused\n  exit\nreturns 1\n\
        test a refusal of another line\n  r0 = 1    ;! embedded refused\n  r0 /= 0\n  exit\nreturns 0\n\
        test a refusal of the whole\n  r0 = 1\n  r0 /= 0\n  exit\nreturns 0\non embedded refused: because\n\
        test another reason\n  r0 = 1\n  r0 /= 0  ;! embedded refused: because\n  exit\nreturns 0\n\
        test a stop where it refuses\n  r0 = r3    ;! uninitialised\n  exit\n\
        test a stop on another line\n  r0 = 0    ;! null_pointer\n  r0 = *(u8 *)(r0 + 0)\n  exit\n\
        test an absence\n  r0 = 0\n  exit\nreturns 0\non embedded nothing\n";
    let cases = parse("f", text).unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let error = check(&Embedded, &case).expect_err(&case.name);
        assert!(error.starts_with("wanted "), "{error}");
    }
}
