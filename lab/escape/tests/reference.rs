//! What the campaign takes for right, on programs that say it.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use skep_isa::text;
use skep_lab_escape::campaign::{Tally, try_way};
use skep_lab_escape::corral::Corral;
use skep_lab_escape::ground::Ground;
use skep_lab_escape::layout::{Layout, Placement};
use skep_lab_escape::make::{Kind, Made};
use skep_lab_escape::signals;
use skep_lab_escape::ways::Way;

#[global_allocator]
static CORRAL: Corral = Corral;

/// Puts programs, which `then` stands between, into memory of zeros.
fn made(program: &str, placement: Placement) -> Made {
    let layout = Layout::new(placement, 512, [64; 5]);
    let memory = layout.areas.map(|area| vec![0; area.len as usize]);
    let slots = |program: &str| text::assemble(program, &()).expect("it assembles").slots().to_vec();
    let mut programs = program.split("\nthen\n").map(slots);
    let slots = programs.next().expect("a program");
    Made { kind: Kind::Valid, slots, more: programs.collect(), layout, memory, fuel: 10_000 }
}

/// Runs a program in all ways.
fn run(ground: &Ground, program: &str) -> Tally {
    let mut tally = Tally::default();
    for placement in [Placement::Start, Placement::End] {
        let made = made(program, placement);
        for way in 0..Way::COUNT {
            let done = try_way(ground, &made, way, &mut tally);
            assert_eq!(done, Ok(()), "{:?}: {program}", Way::new(way));
        }
    }
    tally
}

/// One test, as the addresses are the process's.
#[test]
fn programs_end_as_they_say() {
    let ground = Ground::take().expect("the addresses are free");
    signals::watch();
    signals::begin();
    let ends = |program: &str, end: &'static str| {
        let tally = run(&ground, program);
        assert_eq!(tally.ends.keys().copied().collect::<Vec<_>>(), [end], "{program}: {tally}");
        tally.stricter
    };
    assert_eq!(ends("r0 = *(u64 *)(r1 + 56)\nexit", "returned"), 0);
    assert_eq!(ends("r0 = *(u64 *)(r1 + 57)\nexit", "out_of_bounds"), 0);
    assert_eq!(ends("r0 = *(u8 *)(r1 - 1)\nexit", "out_of_bounds"), 0);
    assert_eq!(ends("r1 = -4 ll\nr0 = *(u64 *)(r1 + 0)\nexit", "out_of_bounds"), 0);
    assert_eq!(ends("r0 = 0\nexit", "returned"), 0);
    assert_eq!(ends("*(u64 *)(r10 - 512) = r1\nr0 = *(u64 *)(r10 - 512)\nexit", "returned"), 0);
    assert_eq!(ends("*(u64 *)(r10 - 520) = r1\nexit", "out_of_bounds"), 0);
    // Found by a campaign: what is known of two sums that wait for each other has to come to an end.
    let sums = "r6 = r1\nr7 = r1\nr0 = r1\nr8 = *(u8 *)(r1 + 0)\nr9 = 3\nagain: r0 += r6\nr6 *= 31\nr0 += r7\nr9 -= 1\n\
                if r9 s> 0 goto again\nexit";
    assert_eq!(ends(sums, "returned"), 0);
    // Found by a campaign: the end of what is checked with others is no number of 31 bits.
    let far = "r2 = 0\nr1 += 0x7fffffff\n*(u16 *)(r10 - 2) = r2\nr0 = *(u32 *)(r1 + 0)\nexit";
    assert_eq!(ends(far, "out_of_bounds"), 0);
    let far = "r2 = r1\nr2 += 0x7fffffff\nif r0 == 1 goto over\n*(u16 *)(r1 + 2) = r0\n*(u16 *)(r1 + 4) = r0\n\
               r0 = *(u32 *)(r2 + 0)\n*(u16 *)(r1 + 6) = r0\n*(u16 *)(r1 + 8) = r0\nover: exit";
    assert_eq!(ends(far, "out_of_bounds"), 0);
    // What is taken away is gone, although it was found before.
    let late =
        "r9 = 2\ncall 8\nr6 = r0\nagain: r0 = *(u64 *)(r6 + 8)\ncall 9\nr9 -= 1\nif r9 s> 0 goto again\nexit";
    assert_eq!(ends(late, "out_of_bounds"), 0);
    assert_eq!(ends(&late.replace("call 9", "call 8"), "returned"), 0);
    // A helper calls a function, which calls the helper.
    let each = "r2 = r1\nr3 = 2\nr1 = subprog[visit] ll\ncall 10\nexit\nvisit: r6 = r1\nr0 = *(u8 *)(r6 + 63)\nr0 += 5\nexit";
    assert_eq!(ends(each, "returned"), 0);
    let deeper = each.replace("r0 += 5", "r1 = subprog[visit] ll\nr2 = r6\ncall 10");
    assert_eq!(ends(&deeper, "call_depth"), 0);
    assert_eq!(ends(&each.replace("r0 += 5", "r0 = *(u8 *)(r6 + 64)"), "out_of_bounds"), 0);
    // One program goes on in another, with the same input and a stack of its own; not without end, and only from its main function.
    let next = "r0 = 7\n*(u64 *)(r1 + 0) = r0\n*(u64 *)(r10 - 8) = r0\nr3 = 1\ncall 11\nr0 = 9\nexit\nthen\n\
                r2 = r10\nr2 += -8\nr3 = *(u64 *)(r2 + 0)\nr0 = *(u8 *)(r1 + 56)\nr0 += r3\nexit";
    assert_eq!(ends(next, "returned"), 0);
    // Where the engine goes on in no other program, the call has returned -1, which is no address either.
    let bad = next.replace("r0 = 9", "r0 = *(u8 *)(r0 + 0)");
    assert_eq!(ends(&bad.replace("r1 + 56", "r6 + 0"), "out_of_bounds"), 0);
    assert_eq!(ends(&bad.replace("u8 *)(r1 + 56)", "u64 *)(r1 + 57)"), "out_of_bounds"), 0);
    let around =
        "r6 = *(u32 *)(r1 + 0)\nr6 += 1\n*(u32 *)(r1 + 0) = r6\nr3 = 0\ncall 11\nr0 += r6\nexit\nthen\nexit";
    assert_eq!(ends(around, "returned"), 0);
    assert_eq!(
        ends("call f\nexit\nf: r3 = 1\ncall 11\nexit\nthen\nr0 = *(u8 *)(r1 - 1)\nexit", "returned"),
        0
    );
    let tally = run(&ground, next);
    // Of all ways, the interpreter's do not.
    assert_eq!(tally.followed, tally.runs / 6 * 5, "{tally}");
    // From the input to other memory of the program's: what is known of the pointer says that it may not.
    let low = made("exit", Placement::Start).layout.areas;
    let hop = low[1].base.wrapping_sub(low[0].base);
    let there = format!("r1 += 0\nr2 = {hop:#x} ll\nr1 += r2\nr0 = *(u8 *)(r1 + 0)\nexit");
    assert!(ends(&there, "out_of_bounds") > 0);
}
