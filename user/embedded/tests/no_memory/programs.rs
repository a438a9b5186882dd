//! Types and programs, good and refused, and running them.

use super::World;
use skep_abi::{BtfLoad, MapType, ProgLoad, ProgTestRun, ProgType, SkBuff, XdpMd};
use skep_isa::text::assemble;
use skep_lab_seam::samples;
use skep_sys::{CallError, FdArray, ProgFd, ProgLoadMemory, Records, TestRunMemory};
use zerocopy::IntoBytes;

/// Programs that are refused, each for a reason of its own.
const REFUSED: &[&str] = &[
    // An opcode that there is not, and a field that is not used.
    ".insn 0xff, 0, 0, 0, 0\nr0 = 0\nexit",
    ".insn 0x95, 0, 0, 0, 1",
    // Half of a wide instruction.
    "r0 = 0\nexit\n.insn 0x18, 1, 0, 0, 0",
    // The end without an exit; a jump to nowhere.
    "r0 = 0",
    ".insn 0x05, 0, 0, 9, 0\nr0 = 0\nexit",
    // What nothing leads to.
    "r0 = 0\nexit\nr0 = 1\nexit",
    // A register that holds nothing; the frame pointer.
    "r0 = r5\nexit",
    "exit",
    ".insn 0xb7, 10, 0, 0, 1\nr0 = 0\nexit",
    // A division by zero, a shift too far.
    "r0 = 1\n.insn 0x37, 0, 0, 0, 0\nexit",
    "r0 = 1\n.insn 0x67, 0, 0, 0, 64\nexit",
    // Helpers that there are not, or not for this type.
    ".insn 0x85, 0, 0, 0, 9999\nexit",
    ".insn 0x85, 0, 0, 0, 26\nexit",
    // A kernel's function; a map that is not open; a map by an index without a list.
    ".insn 0x85, 0, 2, 0, 1\nexit",
    ".insn 0x18, 1, 1, 0, 77\n.insn 0, 0, 0, 0, 0\nr0 = 0\nexit",
    ".insn 0x18, 1, 5, 0, 0\n.insn 0, 0, 0, 0, 0\nr0 = 0\nexit",
    // Classic packet loads where there is no socket buffer.
    "r6 = r1\n.insn 0x20, 0, 0, 0, 0\nexit",
];

pub(crate) fn load(world: &World) {
    let types = world.kernel.btf_load(&mut BtfLoad::default(), &samples::btf(), &mut []).unwrap();
    let array = world.map(MapType::ARRAY, [4, 8, 1], 0).unwrap();
    let ring = world.map(MapType::RINGBUF, [0, 0, 4096], 0).unwrap();
    let (insns, func_info, line_info) =
        (samples::with_first_map(1), samples::func_info(), samples::line_info());
    let load_with = |log_level, func_info: &[u8], line_info: &[u8]| {
        let mut log = [0; 256];
        let mut load = ProgLoad {
            prog_type: ProgType::XDP.0,
            prog_btf_fd: types.fd().raw(),
            log_level,
            ..ProgLoad::default()
        };
        let fds = [array.fd()];
        let memory = ProgLoadMemory {
            insns: insns.as_flattened(),
            license: "GPL",
            log: &mut log[..256 * log_level as usize],
            fd_array: FdArray::ByIndex(&fds),
            func_info: Records { size: 8, bytes: func_info },
            line_info: Records { size: 16, bytes: line_info },
            ..ProgLoadMemory::default()
        };
        world.kernel.prog_load(&mut load, memory)
    };
    world.starve_good("all that a program can have", || load_with(1, &func_info, &line_info));
    world.starve_made("functions that are lines", || load_with(1, &line_info, &line_info));
    let not_lines = func_info.repeat(2);
    world.starve_made("lines that are functions", || load_with(1, &func_info, &not_lines));
    for &prog_type in ProgType::ALL {
        world.starve_made(&format!("{prog_type}"), || world.prog(prog_type));
    }
    let value_of_ring =
        format!(".insn 0x18, 1, 2, 0, {}\n.insn 0, 0, 0, 0, 0\nr0 = 0\nexit", ring.fd().raw());
    for text in REFUSED.iter().copied().chain([value_of_ring.as_str()]) {
        let program = assemble(text, &()).unwrap_or_else(|error| panic!("{text}: {error}"));
        let insns: Vec<u8> =
            program.slots().iter().flat_map(|slot| slot.to_bytes(skep_isa::ByteOrder::NATIVE)).collect();
        let refused = |log: &mut [u8]| {
            let log_level = u32::from(!log.is_empty());
            let mut load = ProgLoad { prog_type: ProgType::XDP.0, log_level, ..ProgLoad::default() };
            let memory = ProgLoadMemory { insns: &insns, license: "GPL", log, ..ProgLoadMemory::default() };
            world.kernel.prog_load(&mut load, memory)
        };
        assert!(refused(&mut []).is_err(), "accepted:\n{text}");
        world.starve_made(&format!("refused without a log:\n{text}"), || refused(&mut []));
        world.starve_made(&format!("refused with a log:\n{text}"), || refused(&mut [0; 512]));
        world.starve_made(&format!("refused with a short log:\n{text}"), || refused(&mut [0; 8]));
    }
}

pub(crate) fn load_types(world: &World) {
    let btf = samples::btf();
    let load = |btf: &[u8], log: &mut [u8]| {
        let btf_log_level = u32::from(!log.is_empty());
        world.kernel.btf_load(&mut BtfLoad { btf_log_level, ..BtfLoad::default() }, btf, log)
    };
    world.starve_good("types", || load(&btf, &mut []));
    world.starve_good("types, with a log", || load(&btf, &mut [0; 256]));
    world.starve_made("too few bytes", || load(&btf[..23], &mut [0; 256]));
    for at in 0..btf.len() {
        let mut damaged = btf.clone();
        damaged[at] ^= 0x81;
        world.starve_made(&format!("types with another byte {at}"), || load(&damaged, &mut [0; 256]));
    }
}

/// What a program runs on.
#[derive(Clone, Copy, Debug)]
enum On {
    Packet,
    Arguments,
}

fn run(prog: &ProgFd, on: On, ctx: &[u8]) -> Result<(), CallError> {
    let mut out = [0; 128];
    let mut ctx_out = [0; 256];
    let mut ctx_in = [0; 256];
    ctx_in[..ctx.len()].copy_from_slice(ctx);
    let memory = match on {
        On::Packet => TestRunMemory {
            data_in: &[7; 64],
            data_out: &mut out,
            ctx_in: &mut ctx_in[..ctx.len()],
            ctx_out: &mut ctx_out[..ctx.len()],
        },
        On::Arguments => TestRunMemory { ctx_in: &mut ctx_in[..ctx.len()], ..TestRunMemory::default() },
    };
    prog.test_run(&mut ProgTestRun::default(), memory)
}

pub(crate) fn test_run(world: &World) {
    let xdp = XdpMd { data: 4, data_end: 64, ..XdpMd::default() };
    let skb = SkBuff { mark: 7, ..SkBuff::default() };
    let contexts = [&[][..], xdp.as_bytes(), skb.as_bytes(), &[0; 16], &[0; 200]];
    let mut runs = 0;
    for &prog_type in ProgType::ALL {
        let Ok(prog) = world.prog(prog_type) else { continue };
        for ctx in contexts {
            for on in [On::Packet, On::Arguments] {
                let what = format!("{prog_type} on {on:?}, context of {} bytes", ctx.len());
                world.starve_made(&what, || run(&prog, on, ctx));
                runs += u32::from(run(&prog, on, ctx).is_ok());
            }
        }
    }
    assert!(runs >= 10, "{runs} runs");
}
