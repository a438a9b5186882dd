//! Programs, as bytes of instructions.

use crate::Machine;
use crate::check::{Failure, done, fails, same};
use crate::rings::{Place, Ring};
use alloc::vec::Vec;
use skep_abi::flags::BPF_PSEUDO_MAP_FD;
use skep_abi::{Errno, ProgLoad, ProgTestRun, ProgType};
use skep_sys::{CallError, Kernel, ProgFd, ProgLoadMemory, TestRunMemory};

/// One instruction (RFC 9669 §3).
fn insn(opcode: u8, dst: u8, src: u8, offset: i16, imm: i32) -> [u8; 8] {
    let registers = if cfg!(target_endian = "big") { dst << 4 | src } else { src << 4 | dst };
    let mut bytes = [opcode, registers, 0, 0, 0, 0, 0, 0];
    bytes[2..4].copy_from_slice(&offset.to_ne_bytes());
    bytes[4..].copy_from_slice(&imm.to_ne_bytes());
    bytes
}

const LOAD_IMM64: u8 = 0x18;
const STORE_IMM64: u8 = 0x7a;
const MOV_IMM: u8 = 0xb7;
const MOV: u8 = 0xbf;
const ADD_IMM: u8 = 0x07;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

/// `bpf_ringbuf_output` (include/uapi/linux/bpf.h).
const RINGBUF_OUTPUT: i32 = 130;

fn load(kernel: &Kernel, insns: &[[u8; 8]], log: &mut [u8]) -> Result<ProgFd, CallError> {
    let mut load = ProgLoad { prog_type: ProgType::XDP.0, ..ProgLoad::default() };
    load.log_level = u32::from(!log.is_empty());
    load.prog_name[..4].copy_from_slice(b"seam");
    let memory =
        ProgLoadMemory { insns: insns.as_flattened(), license: "GPL", log, ..ProgLoadMemory::default() };
    kernel.prog_load(&mut load, memory)
}

fn run(prog: &ProgFd, packet: &[u8]) -> Result<u32, CallError> {
    run_often(prog, packet, 1)
}

/// Runs a program several times in one call; gives its last answer.
fn run_often(prog: &ProgFd, packet: &[u8], repeat: u32) -> Result<u32, CallError> {
    let mut out = alloc::vec![0; packet.len()];
    let mut run = ProgTestRun { repeat, ..ProgTestRun::default() };
    let memory = TestRunMemory { data_in: packet, data_out: &mut out, ..TestRunMemory::default() };
    prog.test_run(&mut run, memory)?;
    Ok(run.retval)
}

pub(crate) fn returns(kernel: &Kernel) -> Result<(), Failure> {
    let insns = [insn(MOV_IMM, 0, 0, 0, 2), insn(EXIT, 0, 0, 0, 0)];
    let prog = done("load a program", load(kernel, &insns, &mut []))?;
    same("its answer", done("run it", run(&prog, &[0; 64]))?, 2)?;
    let info = done("ask for its info", prog.info())?;
    same("its kind and name", (info.type_, &info.name[..5]), (ProgType::XDP.0, &b"seam\0"[..]))?;
    same("its maps", done("ask for its maps", prog.map_ids())?, Vec::new())?;
    fails("load a program without instructions", load(kernel, &[], &mut []), Errno::E2BIG)
}

pub(crate) fn refused(kernel: &Kernel) -> Result<(), Failure> {
    let mut log = [0; 1024];
    let insns = [insn(EXIT, 0, 0, 0, 0)];
    fails("load a program without a result", load(kernel, &insns, &mut log), Errno::EACCES)?;
    same("the log says why", log[0] != 0, true)
}

pub(crate) fn writes_records(kernel: &Kernel, machine: Machine) -> Result<(), Failure> {
    let ring = Ring::new(kernel, machine)?;
    let insns = [
        insn(LOAD_IMM64, 1, BPF_PSEUDO_MAP_FD, 0, ring.map.fd().number()),
        insn(0, 0, 0, 0, 0),
        insn(STORE_IMM64, 10, 0, -8, 0x5ea3),
        insn(MOV, 2, 10, 0, 0),
        insn(ADD_IMM, 2, 0, 0, -8),
        insn(MOV_IMM, 3, 0, 0, 8),
        insn(MOV_IMM, 4, 0, 0, 0),
        insn(CALL, 0, 0, 0, RINGBUF_OUTPUT),
        insn(MOV_IMM, 0, 0, 0, 1),
        insn(EXIT, 0, 0, 0, 0),
    ];
    let prog = done("load a program that writes to a ring", load(kernel, &insns, &mut []))?;
    let info = done("ask for the ring's info", ring.map.info())?;
    same("its maps", done("ask for its maps", prog.map_ids())?, alloc::vec![info.id])?;
    for _ in 0..3 {
        same("its answer", done("run it", run(&prog, &[0; 64]))?, 1)?;
        let ready = done("wait for a record", kernel.wait_readable(ring.map.fd(), Some(5000)))?;
        same("the ring is readable", ready, true)?;
        same("the record", ring.take()?, Some(0x5ea3u64.to_ne_bytes().to_vec()))?;
        same("no other record", ring.take()?, None)?;
    }
    let ready = done("wait for nothing more", kernel.wait_readable(ring.map.fd(), Some(0)))?;
    same("the ring is empty again", ready, false)
}

/// The 64-bit words of a long record. With its header it is 504 bytes, which no power of two is a multiple of.
const LONG: i32 = 62;

/// Writes records until one meets the end of the data, where it either runs over it or comes after padding.
pub(crate) fn writes_over_the_end(kernel: &Kernel, machine: Machine) -> Result<(), Failure> {
    let ring = Ring::new(kernel, machine)?;
    let mut insns = alloc::vec![
        insn(LOAD_IMM64, 1, BPF_PSEUDO_MAP_FD, 0, ring.map.fd().number()),
        insn(0, 0, 0, 0, 0),
        insn(MOV, 2, 10, 0, 0),
        insn(ADD_IMM, 2, 0, 0, -8 * LONG),
        insn(MOV_IMM, 3, 0, 0, 8 * LONG),
        insn(MOV_IMM, 4, 0, 0, 0),
    ];
    // The word at r10 - 8 * n is n.
    insns.extend((1..=LONG).map(|n| insn(STORE_IMM64, 10, 0, -8 * n as i16, n)));
    insns.push(insn(CALL, 0, 0, 0, RINGBUF_OUTPUT));
    insns.push(insn(EXIT, 0, 0, 0, 0));
    let prog = done("load a program that writes long records", load(kernel, &insns, &mut []))?;
    let wanted: Vec<u8> = (1..=LONG).rev().flat_map(|n| (n as u64).to_ne_bytes()).collect();
    let mut places = Vec::new();
    // 130 of them fit before the end of 64 KiB.
    for batch in [120, 20] {
        same("its answer", done("run it often", run_often(&prog, &[0; 64], batch))?, 0)?;
        for _ in 0..batch {
            let Some((record, place)) = ring.take_with_place()? else {
                return same("there is a record for each run", false, true);
            };
            let differs = record.iter().zip(&wanted).position(|(found, wanted)| found != wanted);
            same(
                "the long record's length, and where it differs",
                (record.len(), differs),
                (wanted.len(), None),
            )?;
            places.push(place);
        }
        same("no other long record", ring.take()?, None)?;
    }
    let met = places.iter().filter(|place| **place != Place::Within).count();
    same("one record met the end of the data", (met, places[130] != Place::Within), (1, true))
}
