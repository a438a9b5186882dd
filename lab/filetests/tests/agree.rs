//! Generated programs: every engine comes to the result, memory, fuel and error of the reference machine.

use skep_lab_filetests::generate::{Flavour, from_zeros, generate};
use skep_lab_filetests::{Case, Ending, Engine, Exact, Interpreter};
use std::collections::BTreeMap;

/// Names an error as engines do that know addresses only.
fn by_address(code: &str) -> &str {
    if code == "use_after_free" { "out_of_bounds" } else { code }
}

/// Compares one program; gives the word for how it ended.
fn compare(case: &Case) -> Result<String, String> {
    let exact = Exact.run_charged(case, &mut |_: &skep_exact::Step<'_>| {})?;
    let ours = Interpreter.run_all(case)?;
    let same = match (&exact.ending, &ours.ending) {
        (Ending::Stopped(at, code, _), Ending::Stopped(other, kind, _)) => {
            at == other && by_address(code) == kind
        }
        (ending, other) => ending == other,
    };
    if !same || exact.charged != ours.charged {
        return Err(format!("exact {exact:?}\nours {ours:?}"));
    }
    Ok(match exact.ending {
        Ending::Returned(..) => "returned".to_owned(),
        Ending::Stopped(_, code, _) => code,
        other => return Err(format!("{other:?}")),
    })
}

/// Takes instructions away while the difference stays, and says what is left.
fn shrink(mut case: Case) -> String {
    let nop = skep_isa::Insn::Goto { off: 0 }.encode().to_vec()[0];
    let differs = |case: &Case| compare(case).is_err_and(|why| !why.contains("Refused"));
    loop {
        let mut changed = false;
        for i in 0..case.slots.len() {
            let wide = case.slots[i].code == 0x18;
            if case.slots[i] == nop || case.slots[i].code == 0 {
                continue;
            }
            let before = case.slots.clone();
            case.slots[i] = nop;
            if wide {
                case.slots[i + 1] = nop;
            }
            match differs(&case) {
                true => changed = true,
                false => case.slots = before,
            }
        }
        if !changed {
            break;
        }
    }
    let program = skep_isa::Program::decode(&case.slots).expect("it was decoded before");
    let left = program.iter().filter(|(_, insn)| *insn != skep_isa::Insn::Goto { off: 0 });
    let lines: Vec<_> = left.map(|(at, insn)| format!("{at}: {insn:?}")).collect();
    format!("{}\n{:?}", lines.join("\n"), compare(&case))
}

/// Makes a program, and chooses what it has.
fn program(seed: u64) -> Case {
    let case = generate(seed, if seed % 3 == 0 { Flavour::Wild } else { Flavour::Helped });
    if seed % 4 == 3 { from_zeros(case) } else { case }
}

/// How many are compared: `SKEP_GENERATED`, or a thousand.
#[test]
fn generated_programs_end_the_same_everywhere() {
    let count = std::env::var("SKEP_GENERATED").ok().and_then(|count| count.parse().ok()).unwrap_or(1000);
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..count {
        let case = program(seed);
        match compare(&case) {
            Ok(end) => *ends.entry(end).or_default() += 1,
            Err(why) => panic!("seed {seed}: {why}\n{}", shrink(case)),
        }
    }
    println!("{ends:?}");
    for end in ["returned", "fuel", "out_of_bounds", "call_depth", "bad_call_target", "use_after_free"] {
        assert!(ends.get(end).is_some_and(|times| *times > 10), "{end} is rare: {ends:?}");
    }
}

/// Machine code comes to what the interpreter comes to; how many are compared: `SKEP_GENERATED`, or two hundred.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn generated_programs_end_the_same_in_machine_code() {
    use skep_lab_filetests::Jit;
    let count = std::env::var("SKEP_GENERATED").ok().and_then(|count| count.parse().ok()).unwrap_or(200);
    for seed in 0..count {
        let case = program(seed);
        if let Err(why) = Jit.run(&case) {
            panic!("seed {seed}: {why}");
        }
    }
}

/// Linux and the embedded kernel, on what they load.
fn kernel_agrees(kernel: &dyn Engine, count: u64) {
    let (mut ran, mut refused) = (0, BTreeMap::<String, u64>::new());
    for seed in 0..count {
        let case = generate(seed, Flavour::Tame);
        let exact = Exact.run(&case).expect("the reference machine runs it");
        match kernel.run(&case).unwrap_or_else(|why| panic!("seed {seed}: {why}")) {
            Ending::Refused(refusal) => *refused.entry(refusal.text).or_default() += 1,
            ending => {
                assert_eq!(ending, exact, "seed {seed} on {}: {:?}", kernel.name(), case.slots);
                ran += 1;
            }
        }
    }
    println!("{}: {ran} of {count} ran; {refused:?}", kernel.name());
    assert!(ran * 10 >= count * 6, "{ran} of {count} ran on {}: {refused:?}", kernel.name());
}

#[test]
fn generated_programs_end_the_same_on_the_embedded_kernel() {
    kernel_agrees(&skep_lab_filetests::Embedded, 100);
}

#[cfg(target_os = "linux")]
#[test]
fn generated_programs_end_the_same_on_linux() {
    let linux = skep_lab_filetests::Linux::new();
    match linux.is_usable() {
        Ok(()) => kernel_agrees(&linux, 300),
        Err(why) => println!("skipped: generated_programs_end_the_same_on_linux: {why}"),
    }
}
