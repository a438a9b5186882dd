//! The compiler's SSA form, evaluated as it is built and after each pass: the same result, memory, fuel and place of an error
//! as on the reference machine, and after a pass as before. A call that an evaluation knows nothing of ends it.

use skep_ir::Access;
use skep_ir::machine::Machine;
use skep_lab_filetests::generate::{Flavour, from_zeros, generate};
use skep_lab_filetests::{Case, Ending, Evaluator, Exact, Ran};

/// Has what makes every pass run.
const EVALUATOR: Evaluator = Evaluator(Machine { rooms: true, ..Machine::INTERPRETER });

/// Says whether two runs ended alike. An evaluation has all stacks at once and aligns nothing, and what is left of fuel where
/// there was too little is the engines' own.
fn agree(exact: &Ran, ours: &Ran) -> bool {
    match (&exact.ending, &ours.ending) {
        (Ending::Stopped(at, code, _), Ending::Stopped(other, kind, _)) => at == other && code == kind,
        (Ending::Stopped(_, code, _), _) => ["out_of_bounds", "misaligned"].contains(&code.as_str()),
        (ending, other) => ending == other && exact.charged == ours.charged,
    }
}

fn check(case: &Case) -> &'static str {
    let exact = Exact.run_charged(case, &mut |_: &skep_exact::Step<'_>| {});
    let exact = exact.unwrap_or_else(|why| panic!("{}: {why}", case.name));
    let ours = EVALUATOR.run_all(case, Access::Checked);
    let ours = ours.unwrap_or_else(|why| panic!("{}: {why}", case.name));
    if matches!(&ours.ending, Ending::Stopped(_, kind, _) if kind == "unknown_helper") {
        return "elsewhere";
    }
    assert!(agree(&exact, &ours), "{}: exact {exact:?}\nevaluated {ours:?}", case.name);
    if !matches!(exact.ending, Ending::Returned(..)) {
        return "stopped";
    }
    let bare = EVALUATOR.run_all(case, Access::Unchecked);
    let bare = bare.unwrap_or_else(|why| panic!("{}, unchecked: {why}", case.name));
    assert!(agree(&exact, &bare), "{}: exact {exact:?}\nevaluated unchecked {bare:?}", case.name);
    "returned"
}

#[test]
fn generated_programs_evaluate_the_same_after_each_pass() {
    let mut returned = 0;
    for seed in 0..400 {
        let case = generate(seed, Flavour::Wild);
        let case = if seed % 2 == 0 { case } else { from_zeros(case) };
        returned += u32::from(check(&case) == "returned");
    }
    assert!((100..400).contains(&returned), "{returned} returned");
}
