//! `skep run --raw`: bare instructions on each engine.

use crate::common::{Ran, scratch, skep, skep_with};

/// The engine that is chosen where none is named.
const FASTEST: &str =
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) { "jit" } else { "interpreter" };

/// Assembles and runs.
fn run(name: &str, text: &str, more: &[&str]) -> Ran {
    let bytes = skep_with(&["asm"], text.as_bytes()).expect(0).stdout;
    let file = scratch(&format!("{name}.bin"), &bytes);
    let mut args = vec!["run", "--raw", file.to_str().unwrap(), "--json"];
    args.extend(more);
    skep(&args)
}

#[test]
fn the_result_and_the_count_come_back() {
    let document = run("sum", "r0 = 40\nr0 += 2\nexit", &["--repeat", "3"]).expect(0).json();
    assert_eq!((&document["return"], &document["runs"]), (&"0x2a".into(), &3.into()));
    assert_eq!((&document["fuel"], &document["checks"]), (&3.into(), &true.into()));
    assert_eq!(document["engine"], FASTEST);
    assert!(document["compile_ns"].as_u64().unwrap() > 0);
    assert!(document.get("executed").is_none());
    assert!(document["ns_per_run"]["min"].as_f64().unwrap() > 0.0);
    let large = run("large", "r0 = 0x8000000000000001 ll\nexit", &[]).expect(0).json();
    assert_eq!(large["return"], "0x8000000000000001");
}

#[test]
fn every_engine_comes_to_the_same() {
    let memory = scratch("engines.bin", &[9; 16]);
    let text = "r6 = r1\nr0 = 0\nl: r3 = *(u8 *)(r6 + 0)\nr0 += r3\n*(u8 *)(r6 + 0) = r0\nr6 += 1\nr2 += -1\nif r2 != 0 goto l\nexit";
    let of = |more: &[&str]| {
        let args = [&["--mem", memory.to_str().unwrap()], more].concat();
        let document = run("engines", text, &args).expect(0).json();
        let same = ["return", "mem_out", "fuel"].map(|member| document[member].clone());
        (same, document["engine"].clone(), document["checks"].clone(), document["executed"].clone())
    };
    let (first, engine, checks, _) = of(&[]);
    assert_eq!(
        (first[0].as_str(), engine.as_str(), checks.as_bool()),
        (Some("0x90"), Some(FASTEST), Some(true))
    );
    for more in [
        &["--opt", "0"][..],
        &["--engine", "interpreter"],
        &["--engine", "interpreter", "--opt", "0"],
        &["--checks", "on"],
    ] {
        assert_eq!(of(more).0, first);
    }
    for more in [&["--checks", "off"][..], &["--checks", "off", "--engine", "interpreter"]] {
        let unchecked = of(more);
        assert_eq!((unchecked.0, unchecked.2.as_bool()), (first.clone(), Some(false)));
    }
    let exact = of(&["--engine", "exact"]);
    assert_eq!((exact.0, exact.1.as_str(), exact.3.as_u64()), (first, Some("exact"), Some(2 + 16 * 6 + 1)));
}

#[test]
fn memory_is_the_first_argument_and_its_length_the_second() {
    let memory = scratch("memory.bin", &[1, 2, 3, 4]);
    let more = ["--mem", memory.to_str().unwrap(), "--repeat", "2"];
    let text = "r0 = *(u8 *)(r1 + 3)\nr0 += r2\nr3 = *(u8 *)(r1 + 0)\nr3 += 1\n*(u8 *)(r1 + 0) = r3\nexit";
    let document = run("memory", text, &more).expect(0).json();
    assert_eq!((&document["return"], &document["mem_out"]), (&"0x8".into(), &"02020304".into()));
    assert_eq!(std::fs::read(&memory).unwrap(), [1, 2, 3, 4]);
    let document = run("no-memory", "r0 = r1\nr0 |= r2\nexit", &[]).expect(0).json();
    assert_eq!((&document["return"], document.get("mem_out")), (&"0x0".into(), None));
}

#[test]
fn a_bad_access_stops_the_run() {
    let memory = scratch("short.bin", &[0; 4]);
    let more = ["--mem", memory.to_str().unwrap()];
    for (engine, says) in
        [("exact", "offset 4"), ("interpreter", "read of 1 bytes at"), (FASTEST, "read of 1 bytes at")]
    {
        let more = [&more[..], &["--engine", engine]].concat();
        let ran = run("bounds", "r0 = 0\nr0 = *(u8 *)(r1 + 4)\nexit", &more).expect(1);
        let document = ran.json();
        let error = &document["error"];
        assert_eq!((&error["kind"], &error["insn"]), (&"out_of_bounds".into(), &1.into()));
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
        assert!(document.get("return").is_none());
    }
}

#[test]
fn fuel_ends_a_loop() {
    let document = run("loop", "l: goto l\nexit", &["--fuel", "1000"]).expect(1).json();
    assert_eq!(document["error"]["kind"], "fuel");
}

#[test]
fn the_suites_helper_is_there_by_option_only() {
    let text = "r1 = 7\ncall 5\nr0 += 1\nr1 = 0\ncall 5\nexit";
    let document = run("unwind", text, &["--conformance"]).expect(0).json();
    assert_eq!(document["return"], "0x0");
    let text = "r1 = 7\ncall 5\nr0 += 1\nexit";
    let document = run("unwind-not", text, &["--conformance"]).expect(0).json();
    assert_eq!(document["return"], "0x8");
    let ran = run("unwind-refused", text, &[]).expect(1);
    let document = ran.json();
    assert_eq!(
        (&document["error"]["kind"], &document["error"]["place"]["insn"]),
        (&"rejected".into(), &1.into())
    );
    let by_register = "r1 = 9\nr2 = 5\ncallx r2\nexit";
    let document = run("callx", by_register, &["--conformance"]).expect(0).json();
    assert_eq!(document["return"], "0x9");
    run("callx-refused", by_register, &[]).expect(1);
}

#[test]
fn what_is_no_program_is_refused_by_place() {
    let ran = run("endless", "r0 = 1", &[]).expect(1);
    assert_eq!(ran.json()["error"]["place"]["insn"], 0);
    let ragged = scratch("ragged.bin", &[0x95; 9]);
    let ran = skep(&["run", "--raw", ragged.to_str().unwrap(), "--json"]).expect(1);
    assert_eq!(ran.json()["error"]["place"]["offset"], 8);
    skep(&["run", "--raw", "no-such-file", "--json"]).expect(1);
    skep(&["run", "--raw", "x", "--on", "linux"]).expect(2);
    skep(&["run", "--raw", "x", "--pcap", "y"]).expect(2);
    skep(&["run", "--fuel", "7", "x.o"]).expect(2);
    run("jit", "r0 = 1\nexit", &["--engine", "jit"]).expect(if FASTEST == "jit" { 0 } else { 3 });
    run("exact", "r0 = 1\nexit", &["--engine", "exact", "--checks", "off"]).expect(3);
}
