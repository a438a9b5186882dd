//! The cases.

use crate::pairs::{Case, Outcome, Side};

/// Copied by each side to an aligned address, which the peers need.
const FIREWALL: &[u8] = include_bytes!("../../../../examples/xdp-firewall/xdp_firewall.bpf.o");
/// Reads of the object in one round.
const READS: u64 = 100;

pub(crate) fn all() -> Vec<Case> {
    vec![
        Case { name: "read xdp_firewall.bpf.o", peer: "aya-obj 0.2.1", ours: read_skep, theirs: read_aya },
        Case {
            name: "read and load it into the running Linux",
            peer: "aya 0.13.1",
            ours: load_skep,
            theirs: load_aya,
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
