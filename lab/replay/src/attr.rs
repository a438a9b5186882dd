//! `bpf(2)` and what is beside it: the bytes are a sequence of calls to an embedded kernel.
//!
//! The first byte chooses the kernel, each following one a call, and those after it the call's arguments: mostly such
//! as make sense (descriptors that are open, areas of the lengths that the attributes claim), then damaged
//! ([`world`]). Zero stands for the most sensible choice everywhere, so that short inputs get far.
//!
//! Promised: whatever is called in whatever order, every call ends without a panic and answers with a number of
//! Linux's; memory that is not lent for writing stays as it was; the descriptors that were handed out are those that
//! are open; when all of them, the mappings, the pins and the places to attach to are gone, so are all objects and
//! their pages; and when the kernel is gone, so is every byte that it allocated. A command whose nth allocation is
//! refused answers ENOMEM.

mod attach;
mod input;
mod maps;
mod objects;
mod others;
mod programs;
mod world;

use input::Input;
use skep_mem::testing::live_bytes;
use world::World;

/// The most calls of one input; the rest would only take time.
const CALLS: usize = 96;

/// Everything that can be called.
const VERBS: &[fn(&mut World, &mut Input<'_>)] = &[
    maps::create,
    maps::element,
    maps::batch,
    programs::load_types,
    programs::load,
    programs::test_run,
    attach::link,
    attach::update,
    attach::multi,
    attach::fire,
    attach::places,
    objects::pins,
    objects::ids,
    objects::info,
    objects::raw,
    others::event,
    others::mapping,
    others::files,
    others::descriptors,
];

pub(crate) fn run(data: &[u8]) {
    let left = left_by(data);
    if left != 0 {
        // What is made once in a process is not made again.
        assert_eq!(left_by(data), 0, "bytes are left when the kernel is gone");
    }
}

/// Gives the bytes that a kernel leaves behind; counted where the allocator counts.
fn left_by(data: &[u8]) -> isize {
    let before = live_bytes();
    let mut input = Input::new(data);
    if let Some(mut world) = World::new(input.byte()) {
        for _ in 0..CALLS {
            if input.is_empty() {
                break;
            }
            input.pick(VERBS)(&mut world, &mut input);
            world.check();
        }
        world.end();
    }
    live_bytes() - before
}
