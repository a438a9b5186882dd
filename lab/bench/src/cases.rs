//! The cases.

use crate::rounds::{Case, Outcome, Side};
use skep_exact::{Entry, Fuel, HelperLink, MapRef, MapShape, Platform, Rules, Stack, World};
use skep_isa::text::assemble;
use skep_isa::{ByteOrder, raw};
use skep_mem::{Bytes, MapIndex};

/// Copied by each side to an aligned address, which the peers need.
const FIREWALL: &[u8] = include_bytes!("../../../examples/xdp-firewall/xdp_firewall.bpf.o");
/// Reads of the object in one round.
const READS: u64 = 100;
/// Turns of the loop in one run.
const TURNS: u64 = 20_000;
/// Instructions that one turn executes.
const TURN: u64 = 7;

pub(crate) fn all() -> Vec<Case> {
    vec![
        Case { name: "read xdp_firewall.bpf.o", peer: "aya-obj 0.2.1", ours: read_skep, theirs: read_aya },
        Case {
            name: "read and load it into the running Linux",
            peer: "aya 0.13.1",
            ours: load_skep,
            theirs: load_aya,
        },
        Case {
            name: "reference machine, per instruction",
            peer: "rbpf 0.4.1, interpreter",
            ours: run_skep,
            theirs: run_rbpf,
        },
    ]
}

fn read_skep() -> Outcome<Side> {
    let bytes = FIREWALL.to_vec();
    Ok(Box::new(move || {
        for _ in 0..READS {
            skep_elf::ObjectSpec::parse("xdp_firewall.bpf.o", &bytes)?;
        }
        Ok(READS)
    }))
}

fn read_aya() -> Outcome<Side> {
    let bytes = FIREWALL.to_vec();
    Ok(Box::new(move || {
        for _ in 0..READS {
            aya_obj::Object::parse(&bytes)?;
        }
        Ok(READS)
    }))
}

fn load_skep() -> Outcome<Side> {
    let kernel = skep::Kernel::linux();
    let bytes = FIREWALL.to_vec();
    let load = move || {
        skep::Object::parse("xdp_firewall.bpf.o", &bytes)?.load(&kernel)?;
        Ok(1)
    };
    Ok(Box::new(load))
}

fn load_aya() -> Outcome<Side> {
    let bytes = FIREWALL.to_vec();
    let load = move || {
        let mut object = aya::EbpfLoader::new().load(&bytes)?;
        let program: &mut aya::programs::Xdp =
            object.program_mut("xdp_firewall").ok_or("no program xdp_firewall")?.try_into()?;
        program.load()?;
        Ok(1)
    };
    Ok(Box::new(load))
}

/// A loop over arithmetic, the stack and the memory, without helpers.
fn program() -> Outcome<Vec<u8>> {
    let text = format!(
        "mov r0, 0\nmov r3, {TURNS}\nagain:\nldxw r4, [r1+0]\nadd r0, r4\nstxdw [r10-8], r0\nldxdw r5, [r10-8]\n\
         xor r0, r5\nsub r3, 1\njne r3, 0, again\nexit\n"
    );
    let assembled = assemble(&text, &()).map_err(|error| error.to_string())?;
    Ok(raw::to_bytes(assembled.slots(), ByteOrder::Little)?)
}

struct NoHelpers;

impl Platform for NoHelpers {
    fn map(&self, _: MapRef) -> Option<MapIndex> {
        None
    }

    fn maps(&self) -> &[MapShape] {
        &[]
    }

    fn helper(&self, _: u32) -> HelperLink {
        HelperLink::Refused(None)
    }
}

struct Bare;

impl World<'_> for Bare {}

fn run_skep() -> Outcome<Side> {
    let slots = raw::from_bytes(&program()?, ByteOrder::Little)?;
    let program = skep_exact::Program::new(&slots, &NoHelpers, Rules::default())?;
    let stack = Stack::new().map_err(|error| error.to_string())?;
    Ok(Box::new(move || {
        let mut memory = [1, 2, 3, 4];
        let entry = Entry::Memory(Bytes::from_mut(&mut memory));
        let outcome = skep_exact::run(&program, &Bare, &stack, entry, &Fuel::new(u64::MAX));
        outcome.result.map_err(|fault| fault.to_string())?;
        Ok(TURNS * TURN)
    }))
}

fn run_rbpf() -> Outcome<Side> {
    let program = program()?;
    Ok(Box::new(move || {
        let vm = rbpf::EbpfVmRaw::new(Some(&program))?;
        let mut memory = [1, 2, 3, 4];
        vm.execute_program(&mut memory)?;
        Ok(TURNS * TURN)
    }))
}
