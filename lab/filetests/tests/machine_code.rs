//! Machine code beside the interpreter where a case in text does not reach: every operation in every placement, several
//! regions, helpers, and being stopped by another thread.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use skep_embedded::CodePages;
use skep_ir::lower::compile;
use skep_ir::machine::Machine;
use skep_ir::ops::{Code, FunctionCode, Loc, Op, OpIdx};
use skep_ir::{Access, Address, Level, Link, Metering, Options, Source, arith};
use skep_isa::{
    Addr, AluOp, AtomicOp, Cond, Insn, InsnIdx, LoadKind, Movsx, Operand, Program as Bytecode, Reg, Size,
    SwapWidth, Width, structure,
};
use skep_jit::x86_64::{Features, Target};
use skep_lab_filetests::generate::{CONDS, OPS};
use skep_mem::{Block, Bytes, Fuel};
use skep_vm::jit::{JitOptions, JitProgram, TailCalls, features};
use skep_vm::{CallEnd, Calls, Cpu, NoCalls, Plain, Program, Reach, Regions, Stop, StopKind};

const WIDTHS: [Width; 2] = [Width::W32, Width::W64];
const VALUES: [(u64, u64); 7] = [
    (0, 0),
    (7, 3),
    (1 << 63, u64::MAX),
    (0xffff_ffff_8000_0000, 0xffff_ffff),
    (0x1234_5678_9abc_def0, 33),
    (u64::MAX, 1 << 31),
    (0xffff_ffff, 0xffff_ffff_0000_0000),
];
const IMMEDIATES: [i32; 12] = [0, 1, -1, 2, 3, 7, 127, 128, -128, 1000, i32::MAX, i32::MIN];

/// Places: rdi, rdx, rcx, rax, r8, rbx, r15, and two slots; by the numbers of the x86-64 target.
const PLACES: [Loc; 9] = [Loc(0), Loc(2), Loc(3), Loc(4), Loc(5), Loc(8), Loc(12), Loc(13), Loc(14)];
/// Counts places: those of the machine, and three slots.
const LOCS: u16 = 16;

/// Makes a function of these operations that takes r1 to r3 in these places.
fn function(params: [Loc; 3], ops: Vec<Op>) -> Code {
    let [r1, r2, r3] = params;
    let function = FunctionCode {
        ops: 0..ops.len() as u32,
        takes: 0b111,
        params: [r1, r2, r3, Loc::NONE, Loc::NONE],
        locs: LOCS,
        uses_stack: false,
    };
    let mut code = Code::default();
    code.at = (0..ops.len() as u32).map(InsnIdx).collect();
    code.ops = ops;
    code.functions = vec![function];
    code
}

fn targets() -> [Target; 2] {
    [features(), Features::NONE].map(|features| Target::new(features, Access::Unchecked, Metering::Free))
}

/// Runs a function, all of whose instructions another disassembler must know.
struct Made(JitProgram<CodePages>);

impl Made {
    fn new(code: &Code, target: &Target) -> Made {
        // SAFETY: what is made here accesses nothing but memory that it is given.
        let program = unsafe { JitProgram::unchecked(code, target, 512, CodePages) };
        let program = program.unwrap_or_else(|error| panic!("{error}: {code}"));
        for insn in iced_x86::Decoder::new(64, program.bytes(), iced_x86::DecoderOptions::NONE) {
            assert!(!insn.is_invalid(), "{:x?}\n{code}", program.bytes());
        }
        Made(program)
    }

    fn run(&self, args: [u64; 3]) -> Result<u64, Stop> {
        let [r1, r2, r3] = args;
        let fuel = Fuel::new(1000);
        self.0.run(&mut Cpu::new(), &mut Regions::new(), [r1, r2, r3, 0, 0], &fuel, &NoCalls)
    }
}

/// Says whether an operation destroys a place, or needs its second operand elsewhere, on the target.
fn is_destroyed(machine: &Machine, op: &Op, loc: Loc) -> bool {
    machine.destroyed(op).contains(loc.0) && loc.0 < u16::from(machine.registers)
}

/// Runs an operation in a placement with values, and compares its result, and a value that has nothing to do with it.
fn check(target: &Target, op: Op, params: [Loc; 3], wanted: impl Fn(u64, u64) -> u64) {
    const KEPT: u64 = 0x5aa5_1221_0ff0_3773;
    let machine = target.machine();
    let dst = op.result().expect("it has one");
    let [a, b, kept] = params;
    let result = Made::new(&function(params, vec![op, Op::Return { src: dst }]), target);
    let intact = (kept != dst && kept != a && kept != b && !is_destroyed(&machine, &op, kept))
        .then(|| Made::new(&function(params, vec![op, Op::Return { src: kept }]), target));
    for (mut x, y) in VALUES {
        if a == b {
            x = y;
        }
        assert_eq!(result.run([x, y, KEPT]), Ok(wanted(x, y)), "{op:?} of {x:x} and {y:x}, {target:?}");
        if let Some(intact) = &intact {
            assert_eq!(intact.run([x, y, KEPT]), Ok(KEPT), "{op:?}: {kept} is not what it was, {target:?}");
        }
    }
}

/// Lists where the third value is, which no operation has to do with.
fn bystander(a: Loc, b: Loc, dst: Loc) -> Loc {
    // The lent register and a slot first: those are what an emitter in want would take.
    [Loc(4), Loc(15), Loc(0), Loc(8), Loc(12)]
        .into_iter()
        .find(|loc| ![a, b, dst].contains(loc))
        .expect("five are more than three")
}

#[test]
fn operations_on_two_places() {
    for target in targets() {
        let machine = target.machine();
        for (op, width) in OPS.into_iter().flat_map(|op| WIDTHS.map(|width| (op, width))) {
            for (a, b) in PLACES.into_iter().flat_map(|a| PLACES.map(|b| (a, b))) {
                for dst in [a, b, Loc(3), Loc(4), Loc(14)] {
                    let alu = Op::Alu { op, width, dst, a, b };
                    let destroys = machine.destroyed(&alu).0 != 0;
                    if destroys && (is_destroyed(&machine, &alu, b) || dst == b) {
                        continue;
                    }
                    let wanted = |x, y| arith::alu(width, op, x, y);
                    check(&target, alu, [a, b, bystander(a, b, dst)], wanted);
                }
            }
        }
    }
}

#[test]
fn operations_on_one_place() {
    for target in targets() {
        for (a, dst) in PLACES.into_iter().flat_map(|a| PLACES.map(|dst| (a, dst))) {
            let one = |op, wanted: &dyn Fn(u64) -> u64| {
                // The second value is not read.
                let unread = bystander(a, dst, Loc(4));
                check(&target, op, [a, unread, bystander(a, dst, unread)], |x, _| wanted(x));
            };
            for width in WIDTHS {
                for op in OPS {
                    for imm in IMMEDIATES {
                        let wide = i64::from(imm) as u64;
                        one(Op::AluImm { op, width, dst, a, imm }, &|x| arith::alu(width, op, x, wide));
                    }
                }
                one(Op::Neg { width, dst, a }, &|x| arith::neg(width, x));
                for amount in [0, 1, 8, 31, width.bits() as u8 - 1] {
                    let wanted = |x| arith::rotl(width, x, u32::from(amount));
                    one(Op::Rotl { width, dst, a, amount }, &wanted);
                }
            }
            for kind in [Movsx::S8To32, Movsx::S16To32, Movsx::S8To64, Movsx::S16To64, Movsx::S32To64] {
                one(Op::Sext { kind, dst, a }, &|x| arith::movsx(kind, x));
            }
            for size in [Size::B, Size::H, Size::W, Size::Dw] {
                one(Op::Trunc { size, dst, a }, &|x| arith::truncate(size, x));
            }
            for width in [SwapWidth::W16, SwapWidth::W32, SwapWidth::W64] {
                one(Op::Swap { width, dst, a }, &|x| arith::swap(width, x));
            }
            one(Op::Move { dst, src: a }, &|x| x);
            for value in [0, 1, u64::MAX, 1 << 31, 0x8000_0000_0000_0000] {
                one(Op::Const { dst, value }, &|_| value);
            }
        }
    }
}

#[test]
fn branches() {
    let [target, _] = targets();
    for (cond, width) in CONDS.into_iter().flat_map(|cond| WIDTHS.map(|width| (cond, width))) {
        let ends = |branch| vec![branch, Op::ReturnNumber { value: 0 }, Op::ReturnNumber { value: 1 }];
        let to = OpIdx(2);
        for (a, b) in PLACES.into_iter().flat_map(|a| PLACES.map(|b| (a, b))) {
            let params = [a, b, bystander(a, b, Loc(4))];
            let made = Made::new(&function(params, ends(Op::Branch { cond, width, a, b, to })), &target);
            for (mut x, y) in VALUES {
                if a == b {
                    x = y;
                }
                let wanted = u64::from(arith::compare(width, cond, x, y));
                assert_eq!(made.run([x, y, 0]), Ok(wanted), "{x:x} {cond:?} {y:x}");
            }
        }
        for (a, imm) in
            [Loc(0), Loc(4), Loc(12), Loc(13)].into_iter().flat_map(|a| IMMEDIATES.map(|i| (a, i)))
        {
            let params = [a, bystander(a, a, a), Loc::NONE];
            let made = Made::new(&function(params, ends(Op::BranchImm { cond, width, a, imm, to })), &target);
            for (x, _) in VALUES {
                let wanted = u64::from(arith::compare(width, cond, x, i64::from(imm) as u64));
                assert_eq!(made.run([x, 0, 0]), Ok(wanted), "{x:x} {cond:?} {imm}");
            }
        }
    }
}

#[test]
fn accesses() {
    let mut memory = [0u64; 4];
    let base_address = memory.as_mut_ptr().expose_provenance() as u64;
    let content = [0x8182_8384_8586_8788u64, 0x1122_3344_f5f6_f7f8];
    for target in targets() {
        for (base, src) in PLACES.into_iter().flat_map(|base| PLACES.map(|src| (base, src))) {
            if base == src {
                continue;
            }
            let params = [base, src, bystander(base, src, Loc(4))];
            for kind in
                [LoadKind::U8, LoadKind::U16, LoadKind::U32, LoadKind::U64, LoadKind::S8, LoadKind::S32]
            {
                let load = Op::Load { kind, dst: src, base, off: 11 - 8 };
                let made = Made::new(&function(params, vec![load, Op::Return { src }]), &target);
                memory[..2].copy_from_slice(&content);
                let raw = u64::from_le_bytes(
                    content.map(u64::to_le_bytes).concat()[3..11].try_into().expect("eight bytes"),
                );
                let wanted = arith::extend(kind, arith::truncate(kind.size(), raw));
                assert_eq!(made.run([base_address, 5, 0]), Ok(wanted), "{load:?}");
            }
            for size in [Size::B, Size::H, Size::W, Size::Dw] {
                let store = Op::Store { size, base, off: 8, src };
                let made = Made::new(&function(params, vec![store, Op::Return { src }]), &target);
                memory[..2].copy_from_slice(&content);
                let value = 0x0102_0304_0506_0708;
                assert_eq!(made.run([base_address, value, 0]), Ok(value), "{store:?}");
                let mask = u64::MAX >> (64 - size.bits());
                // SAFETY: the array is there; machine code has written it, which the compiler does not see.
                let found = unsafe { (&raw const memory[1]).read_volatile() };
                assert_eq!(found, (content[1] & !mask) | (value & mask), "{store:?}");
            }
        }
    }
}

#[test]
fn accesses_in_the_other_byte_order() {
    let block = Block::copy_of(&[0; 32]).expect("memory");
    let at = block.bytes().addr() as u64;
    let content = 0x8182_8384_8586_8788u64;
    let forms = [
        (LoadKind::U16, SwapWidth::W16, Size::H),
        (LoadKind::U32, SwapWidth::W32, Size::W),
        (LoadKind::U64, SwapWidth::W64, Size::Dw),
        // What does not fit together is done one after the other.
        (LoadKind::U32, SwapWidth::W16, Size::B),
        (LoadKind::S16, SwapWidth::W64, Size::W),
    ];
    for target in targets() {
        for (base, value) in PLACES.into_iter().flat_map(|base| PLACES.map(|value| (base, value))) {
            if base == value {
                continue;
            }
            let other = bystander(base, value, Loc(4));
            for (kind, width, size) in forms {
                for (dst, is_sum) in
                    [(value, false), (base, false), (other, false), (other, true), (value, true)]
                {
                    let load = match is_sum {
                        false => Op::Load { kind, dst: value, base, off: 8 },
                        true => Op::LoadSum { kind, dst: value, base, index: other, scale: 3, off: 0 },
                    };
                    let swap = Op::Swap { width, dst, a: value };
                    let loaded = arith::extend(kind, arith::truncate(kind.size(), content));
                    for (src, wanted) in [(dst, arith::swap(width, loaded)), (value, loaded)] {
                        if src == value && dst == value && wanted == loaded {
                            continue;
                        }
                        let ops = vec![load, swap, Op::Return { src }];
                        let made = Made::new(&function([base, value, other], ops), &target);
                        block.bytes().copy_in(8, &content.to_le_bytes()).expect("inside");
                        assert_eq!(made.run([at, 5, 1]), Ok(wanted), "{load:?} {swap:?} {target:?}");
                    }
                    if dst == base || dst == other && is_sum {
                        continue;
                    }
                    let store = match is_sum {
                        false => Op::Store { size, base, off: 8, src: dst },
                        true => Op::StoreSum { size, base, index: other, scale: 3, off: 0, src: dst },
                    };
                    // Once more whatever it is read for: the value that was swapped, and what came of it.
                    for src in [base, value, dst] {
                        let ops = vec![swap, store, Op::Return { src }];
                        let made = Made::new(&function([base, value, other], ops), &target);
                        block.bytes().copy_in(8, &[0xee; 8]).expect("inside");
                        let swapped = arith::swap(width, content);
                        let wanted = if src == base {
                            at
                        } else if src == dst {
                            swapped
                        } else {
                            content
                        };
                        assert_eq!(made.run([at, content, 1]), Ok(wanted), "{swap:?} {store:?} {target:?}");
                        let mut found = [0; 8];
                        block.bytes().copy_out(8, &mut found).expect("inside");
                        let mask = u64::MAX >> (64 - size.bits());
                        let kept = 0xeeee_eeee_eeee_eeee & !mask;
                        assert_eq!(u64::from_le_bytes(found), kept | swapped & mask, "{swap:?} {store:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn atomic_accesses() {
    const PLAIN: [AtomicOp; 9] = [
        AtomicOp::Add,
        AtomicOp::Or,
        AtomicOp::And,
        AtomicOp::Xor,
        AtomicOp::FetchAdd,
        AtomicOp::FetchOr,
        AtomicOp::FetchAnd,
        AtomicOp::FetchXor,
        AtomicOp::Xchg,
    ];
    let block = Block::copy_of(&[0; 16]).expect("memory");
    let at = block.bytes().addr() as u64;
    let put = |value: u64| block.bytes().copy_in(8, &value.to_le_bytes()).expect("inside");
    let held = || {
        let mut bytes = [0; 8];
        block.bytes().copy_out(8, &mut bytes).expect("inside");
        u64::from_le_bytes(bytes)
    };
    for target in targets() {
        let machine = target.machine();
        for (base, src) in PLACES.into_iter().flat_map(|base| PLACES.map(|src| (base, src))) {
            for (width, dst) in
                WIDTHS.into_iter().flat_map(|w| [Loc(4), Loc(3), Loc(5), Loc(14)].map(|d| (w, d)))
            {
                let ops = PLAIN.map(|op| Op::Atomic { op, width, dst, base, off: 8, src });
                let exchange = Op::Cmpxchg { width, dst, base, off: 8, expected: Loc(8), src };
                for op in ops.into_iter().chain([exchange]) {
                    let bad = [base, src].iter().any(|loc| is_destroyed(&machine, &op, *loc) || *loc == dst);
                    if bad || base == src || [base, src].contains(&Loc(8)) {
                        continue;
                    }
                    let made =
                        Made::new(&function([base, src, Loc(8)], vec![op, Op::Return { src: dst }]), &target);
                    for (old, value) in VALUES {
                        put(old);
                        let expected = if value & 1 == 0 { old } else { value };
                        let found = made.run([at, value, expected]);
                        let low = |x: u64| if width == Width::W32 { x & 0xffff_ffff } else { x };
                        let new = match op {
                            Op::Atomic { op, .. } => skep_ir::ssa::eval::atomic(op, old, value),
                            _ if low(old) == low(expected) => value,
                            _ => old,
                        };
                        let kept = if width == Width::W32 { old & !0xffff_ffff } else { 0 };
                        assert_eq!(found, Ok(low(old)), "{op:?} of {old:x} and {value:x}");
                        assert_eq!(held(), kept | low(new), "{op:?} of {old:x} and {value:x}");
                    }
                }
            }
        }
    }
}

/// Answers calls: 1 adds, 2 unwinds, 3 stops, 4 charges, 5 adds up what it can read.
struct Answers;

impl<'m> Calls<'m> for Answers {
    fn helper(&self, id: u32, args: [u64; 5], reach: &Reach<'_, 'm>) -> Result<u64, CallEnd> {
        match id {
            1 => Ok(sum(args[0], args[1], args[2], args[3], args[4], self.word())),
            2 => Err(CallEnd::Unwind(args[0])),
            3 => Err(CallEnd::Stop(StopKind::BadArgument { id, arg: 2 })),
            4 => reach.charge(args[0]).map(|()| 9),
            5 => Ok(u64::from(reach.readable(args[0], 8).is_some())
                + 2 * u64::from(reach.writable(args[0], 8).is_some())),
            id => Err(CallEnd::Stop(StopKind::UnknownHelper { id })),
        }
    }

    fn word(&self) -> u64 {
        1 << 40
    }
}

/// Adds up its arguments, times their positions.
extern "C" fn sum(a: u64, b: u64, c: u64, d: u64, e: u64, word: u64) -> u64 {
    let args = [a, b, c, d, e];
    args.iter().zip(1..).fold(word, |sum, (arg, n)| sum.wrapping_add(arg.wrapping_mul(n)))
}

/// Lets code call the first helper by its address.
const PLAIN: JitOptions<'_> = JitOptions {
    stack_bytes: 512,
    plain: &[Plain { id: 1, function: sum, units: 0 }],
    tail_calls: TailCalls { ids: &[], most: 0 },
    fresh: skep_vm::Fresh::Anything,
    successor: None,
};

impl Link for Answers {
    fn address(&self, _: Addr) -> Option<Address> {
        None
    }

    fn helper(&self, id: u32) -> Option<u8> {
        Some(if id == 2 { 1 } else { 5 })
    }
}

/// Runs a program on both engines with these regions and this fuel, and demands the same result and fuel.
fn both(insns: &[Insn], regions: &[(Bytes<'_>, bool)], args: [u64; 5], units: u64) -> Result<u64, Stop> {
    let slots: Vec<_> = insns.iter().flat_map(|insn| insn.encode().to_vec()).collect();
    let bytecode = Bytecode::decode(&slots).expect("it is valid");
    let structure = structure::check(&bytecode).expect("it has a shape");
    let source = Source { program: &bytecode, structure: &structure, link: &Answers };
    let mut results = Vec::new();
    let mut cpu = Cpu::new();
    for level in [Level::O0, Level::O] {
        let options = Options { level, register_calls: true, ..Options::default() };
        let mut run = |run: &mut dyn FnMut(&mut Cpu, &mut Regions<'_>, &Fuel) -> Result<u64, Stop>| {
            let mut list = Regions::new();
            for (bytes, write) in regions {
                match write {
                    true => list.add_writable(*bytes).expect("memory"),
                    false => list.add_readable(*bytes).expect("memory"),
                }
            }
            let fuel = Fuel::new(units);
            let result = run(&mut cpu, &mut list, &fuel);
            results.push((result, fuel.left()));
        };
        let code = compile(source, &Machine::INTERPRETER, &options).expect("it compiles");
        let program = Program::checked(&code, 512).expect("it is checked");
        run(&mut |cpu, regions, fuel| program.run(cpu, regions, args, fuel, &Answers));
        for registers in [13, 2] {
            let target =
                Target::new(features(), Access::Checked, Metering::Metered).with_registers(registers);
            let code = compile(source, &target.machine(), &options).expect("it compiles");
            for options in [JitOptions::from(512), PLAIN] {
                let program = JitProgram::checked(&code, &target, options, CodePages).expect("it is checked");
                run(&mut |cpu, regions, fuel| program.run(cpu, regions, args, fuel, &Answers));
            }
        }
    }
    let first = results[0];
    assert!(results.iter().all(|other| *other == first), "{results:?}");
    first.0
}

const fn load(kind: LoadKind, dst: Reg, base: Reg, off: i16) -> Insn {
    Insn::Load { kind, dst, base, off }
}

const fn mov(dst: Reg, imm: i32) -> Insn {
    Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Operand::Imm(imm) }
}

const fn add(dst: Reg, src: Operand) -> Insn {
    Insn::Alu { width: Width::W64, op: AluOp::Add, dst, src }
}

/// Adds up the bytes that `count` pointers lead to, and writes each one's place if it is told to.
fn follow(count: i32, write: bool) -> Vec<Insn> {
    let mut insns = vec![mov(Reg::R0, 0), mov(Reg::R5, count)];
    let start = insns.len();
    insns.extend([load(LoadKind::U64, Reg::R3, Reg::R1, 0), load(LoadKind::U8, Reg::R4, Reg::R3, 0)]);
    if write {
        insns.push(Insn::Store { size: Size::B, base: Reg::R3, off: 0, src: Operand::Imm(1) });
    }
    insns.extend([
        add(Reg::R0, Operand::Reg(Reg::R4)),
        add(Reg::R1, Operand::Imm(8)),
        add(Reg::R5, Operand::Imm(-1)),
    ]);
    let back = start as i16 - insns.len() as i16 - 1;
    insns.push(Insn::Branch {
        cond: Cond::Ne,
        width: Width::W64,
        dst: Reg::R5,
        src: Operand::Imm(0),
        off: back,
    });
    insns.push(Insn::Exit);
    insns
}

#[test]
fn searches_find_every_region_and_nothing_else() {
    let blocks: Vec<Block> = (1..=4).map(|byte| Block::copy_of(&[byte; 24]).expect("memory")).collect();
    let address = |block: usize, off: u64| blocks[block].bytes().addr() as u64 + off;
    let run = |pointers: &[u64], write: bool| {
        let list: Vec<u8> = pointers.iter().flat_map(|pointer| pointer.to_le_bytes()).collect();
        let list = Block::copy_of(&list).expect("memory");
        let regions = [
            (list.bytes(), true),
            (blocks[0].bytes(), true),
            (blocks[1].bytes(), false),
            (blocks[2].bytes(), true),
        ];
        let args = [list.bytes().addr() as u64, 0, 0, 0, 0];
        both(&follow(pointers.len() as i32, write), &regions, args, 10_000)
    };
    let all = [address(0, 0), address(1, 23), address(2, 7), address(0, 23), address(1, 0), address(0, 4)];
    assert_eq!(run(&all, false), Ok(1 + 2 + 3 + 1 + 2 + 1));
    for (bad, write) in [
        (address(0, 24), false),
        (address(0, 0).wrapping_sub(1), false),
        (address(3, 0), false),
        (0, false),
        (u64::MAX, false),
        (address(1, 0), true),
    ] {
        // What was found for others does not let this one in.
        let mut pointers = vec![address(0, 0); 3];
        pointers.push(bad);
        let stop = run(&pointers, write).expect_err("it is refused");
        let kind = match write {
            false => StopKind::Read { address: bad, bytes: 1 },
            true => StopKind::Write { address: bad, bytes: 1 },
        };
        assert_eq!(stop.kind, kind);
    }
}

#[test]
fn helpers_return_unwind_stop_and_charge() {
    let pass = |id| {
        let mut insns: Vec<Insn> = (0..5).map(|n| mov(Reg::ALL[1 + n], 10 + n as i32)).collect();
        insns.extend([Insn::CallHelper { id }, add(Reg::R0, Operand::Imm(1)), Insn::Exit]);
        insns
    };
    let sum = (0..5).map(|n| (10 + n) * (n + 1)).sum::<u64>() + (1 << 40);
    assert_eq!(both(&pass(1), &[], [0; 5], 1000), Ok(sum + 1));
    assert_eq!(both(&pass(2), &[], [0; 5], 1000), Ok(10));
    let stop = Stop { at: InsnIdx(5), kind: StopKind::BadArgument { id: 3, arg: 2 } };
    assert_eq!(both(&pass(3), &[], [0; 5], 1000), Err(stop));
    assert_eq!(both(&pass(4), &[], [0; 5], 18), Ok(10), "eight slots and ten units");
    let stop = Stop { at: InsnIdx(5), kind: StopKind::Fuel };
    assert_eq!(both(&pass(4), &[], [0; 5], 17), Err(stop));
    let stop = Stop { at: InsnIdx(5), kind: StopKind::UnknownHelper { id: 77 } };
    assert_eq!(both(&pass(77), &[], [0; 5], 1000), Err(stop));
}

#[test]
fn helpers_that_are_called_directly_leave_what_lives_on() {
    // Nine values live over calls of two and of five arguments, in registers and in slots.
    let mut insns =
        vec![Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R6, src: Operand::Reg(Reg::R1) }];
    insns.extend([Reg::R7, Reg::R8, Reg::R9].map(|reg| load(LoadKind::U64, reg, Reg::R6, 8)));
    for slot in 1..6 {
        insns.push(load(LoadKind::U64, Reg::R0, Reg::R6, 8 * (slot % 3)));
        let src = Operand::Reg(Reg::R0);
        insns.push(Insn::Store { size: Size::Dw, base: Reg::R10, off: -8 * slot, src });
    }
    for step in 0..4 {
        for (arg, n) in [Reg::R1, Reg::R2, Reg::R3, Reg::R4, Reg::R5].into_iter().zip(1..) {
            let src = if n % 2 == 0 { Operand::Reg(Reg::R7) } else { Operand::Imm(n * step) };
            insns.push(Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: arg, src });
        }
        insns.push(Insn::CallHelper { id: 1 });
        insns.push(add(Reg::R7, Operand::Reg(Reg::R0)));
        insns.push(add(Reg::R8, Operand::Reg(Reg::R7)));
        insns.push(add(Reg::R9, Operand::Reg(Reg::R8)));
    }
    insns.push(Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R0, src: Operand::Reg(Reg::R9) });
    for slot in 1..6 {
        insns.push(load(LoadKind::U64, Reg::R1, Reg::R10, -8 * slot));
        insns.push(add(Reg::R0, Operand::Reg(Reg::R1)));
    }
    insns.push(Insn::Exit);
    let block = Block::copy_of(&[7; 24]).expect("memory");
    let args = [block.bytes().addr() as u64, 0, 0, 0, 0];
    both(&insns, &[(block.bytes(), true)], args, 1000).expect("it returns");
}

#[test]
fn registers_name_helpers() {
    let call = [Insn::CallReg { reg: Reg::R7 }, Insn::Exit];
    let through = |value: u64| {
        let mut insns = vec![Insn::LoadImm64 { dst: Reg::R7, value }];
        insns.extend((1..6).map(|n| mov(Reg::ALL[n], n as i32)));
        insns.extend(call);
        both(&insns, &[], [0; 5], 1000)
    };
    assert_eq!(through(1), Ok(1 + 4 + 9 + 16 + 25 + (1 << 40)));
    assert_eq!(through(2), Ok(1));
    let found = 1 << 32 | 1;
    assert_eq!(through(found).map_err(|stop| stop.kind), Err(StopKind::BadCallTarget { found }));
}

#[test]
fn helpers_see_the_stacks_in_use() {
    // In the callee, where two stacks are in use: the caller's, the own, and below it.
    for (off, sees) in [(-512, 3), (-1024, 3), (-1032, 0), (-8, 3), (0, 0)] {
        let insns = [
            Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R1, src: Operand::Reg(Reg::R10) },
            Insn::CallLocal { off: 1 },
            Insn::Exit,
            add(Reg::R1, Operand::Imm(off)),
            Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R2, src: Operand::Reg(Reg::R10) },
            Insn::CallHelper { id: 5 },
            Insn::Exit,
        ];
        assert_eq!(both(&insns, &[], [0; 5], 1000), Ok(sees), "{off}");
    }
}

/// What may be read but not written is refused wherever it is written, however it is checked.
#[test]
fn an_input_that_may_be_read_is_not_written() {
    let mut memory = [0u8; 64];
    let input = Bytes::from_mut(&mut memory);
    let args = [input.addr() as u64, 64, 0, 0, 0];
    let store = |base, off| Insn::Store { size: Size::Dw, base, off, src: Operand::Imm(1) };
    let alu = |op, dst, src| Insn::Alu { width: Width::W64, op, dst, src };
    let refused = |insns: &[Insn], at: u32| {
        let stop = both(insns, &[(input, false)], args, 1000).expect_err("it is not written");
        let StopKind::Write { bytes: 8, .. } = stop.kind else { panic!("{stop}") };
        assert_eq!(stop.at, InsnIdx(at));
        both(insns, &[(input, true)], args, 1000).expect("it may be written");
    };
    let read = |off| load(LoadKind::U64, Reg::R2, Reg::R1, off);
    refused(&[store(Reg::R1, 8), mov(Reg::R0, 0), Insn::Exit], 0);
    refused(&[read(0), read(8), store(Reg::R1, 8), store(Reg::R1, 16), mov(Reg::R0, 0), Insn::Exit], 2);
    for off in [0, -8] {
        let body = [
            mov(Reg::R0, 0),
            mov(Reg::R3, 8),
            alu(AluOp::Mov, Reg::R4, Operand::Reg(Reg::R1)),
            alu(AluOp::Add, Reg::R4, Operand::Reg(Reg::R3)),
            load(LoadKind::U64, Reg::R2, Reg::R4, off),
            store(Reg::R4, off),
            alu(AluOp::Add, Reg::R3, Operand::Imm(8)),
            Insn::Branch { width: Width::W64, cond: Cond::Ne, dst: Reg::R3, src: Operand::Imm(48), off: -6 },
            Insn::Exit,
        ];
        refused(&body, 5);
    }
}

#[test]
fn another_thread_stops_a_run() {
    let insns = [mov(Reg::R0, 0), Insn::Goto { off: -1 }, Insn::Exit];
    let slots: Vec<_> = insns.iter().flat_map(|insn| insn.encode().to_vec()).collect();
    let bytecode = Bytecode::decode(&slots).expect("it is valid");
    let structure = structure::check(&bytecode).expect("it has a shape");
    let source = Source { program: &bytecode, structure: &structure, link: &Answers };
    let target = Target::new(features(), Access::Checked, Metering::Metered);
    let code = compile(source, &target.machine(), &Options::default()).expect("it compiles");
    let program = JitProgram::checked(&code, &target, 512, CodePages).expect("it is checked");
    for units in [1 << 40, Fuel::UNLIMITED] {
        let fuel = Fuel::new(units);
        let running = std::sync::Barrier::new(2);
        let result = std::thread::scope(|scope| {
            let run = scope.spawn(|| {
                running.wait();
                program.run(&mut Cpu::new(), &mut Regions::new(), [0; 5], &fuel, &NoCalls)
            });
            running.wait();
            std::thread::yield_now();
            fuel.stop();
            run.join().expect("nothing panics")
        });
        assert_eq!(result.map_err(|stop| stop.kind), Err(StopKind::Fuel));
        assert_eq!(fuel.left(), 0);
    }
}

#[test]
fn code_that_is_not_what_the_compiler_makes_is_refused() {
    use skep_jit::x86_64::EmitError;
    use skep_vm::jit::JitError;
    let target = Target::new(features(), Access::Checked, Metering::Metered);
    let load = Op::Load { kind: LoadKind::U8, dst: Loc(0), base: Loc(0), off: 0 };
    let end = Op::Return { src: Loc(0) };
    let params = [Loc(0), Loc(1), Loc(2)];
    let refused = |code: &Code| match JitProgram::checked(code, &target, 512, CodePages) {
        Err(JitError::Emit(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&function(params, vec![load, end])), EmitError::Unchecked { at: InsnIdx(0) });
    assert_eq!(refused(&function(params, vec![load])), EmitError::Malformed { op: 0 });
    let far = Op::Jump { to: OpIdx(9) };
    assert_eq!(refused(&function(params, vec![far, end])), EmitError::Malformed { op: 0 });
    let nowhere = Op::Move { dst: Loc(0), src: Loc(LOCS) };
    assert_eq!(refused(&function(params, vec![nowhere, end])), EmitError::Malformed { op: 0 });
    let by_rdx = Op::Alu { op: AluOp::Div, width: Width::W64, dst: Loc(0), a: Loc(0), b: Loc(2) };
    assert_eq!(refused(&function(params, vec![by_rdx, end])), EmitError::Malformed { op: 0 });
    let mut large = function(params, vec![end]);
    large.functions[0].locs = 60_000;
    assert_eq!(refused(&large), EmitError::FrameTooLarge { function: 0 });
}
