//! Replays every corpus, on stable Rust and without a fuzzer.

use lab_replay::{TARGETS, Target};
use skep_mem::testing::{FailingAlloc, live_bytes};
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

/// Counts bytes, which targets that promise to leave none look at.
#[global_allocator]
static ALLOC: FailingAlloc = FailingAlloc;

#[test]
fn bytes_are_counted() {
    let before = live_bytes();
    let held = Box::new([0u8; 100]);
    assert_eq!(live_bytes() - before, held.len() as isize);
}

fn replay(target: &Target) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target.name);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    assert!(files.len() > 10, "{}: a corpus of {}", target.name, files.len());
    let breaks = |file: &&std::path::PathBuf| {
        let data = fs::read(file).expect("an input");
        catch_unwind(|| (target.run)(&data)).is_err()
    };
    let broken: Vec<_> = files.iter().filter(breaks).collect();
    assert!(broken.is_empty(), "{}: promises are broken by {broken:#?}", target.name);
}

/// One test per target, and none forgotten.
macro_rules! replays {
    ($($test:ident: $target:path,)*) => {
        $(
            #[test]
            fn $test() {
                replay(&$target);
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$($target.name),*];
            assert!(TARGETS.iter().all(|target| replayed.contains(&target.name)));
        }
    };
}

replays! {
    attr: lab_replay::ATTR,
    btf: lab_replay::BTF,
    core: lab_replay::CORE,
    elf: lab_replay::ELF,
    exact: lab_replay::EXACT,
    isa: lab_replay::ISA,
    link: lab_replay::LINK,
    machine: lab_replay::MACHINE,
    verify: lab_replay::VERIFY,
    vm: lab_replay::VM,
}
