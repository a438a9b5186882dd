//! Labels, jumps, data and marks; the disassembler says where each jump leads.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic};
use skep_jit::x86_64::{
    Align, Alignment, AsmError, Assembler, CodeOffset, Cond, Gpr, Inst, Label, Mem, Options, Plan, Size,
    SizedImm, Tag, Width, WriteError,
};

fn assembler() -> Assembler {
    Assembler::new(Options::default())
}

/// Appends as many bytes of instructions as said.
fn fill(a: &mut Assembler, bytes: usize) {
    for _ in 0..bytes {
        a.put(Inst::int3());
    }
}

fn write(plan: &Plan) -> Vec<u8> {
    let mut out = vec![0; plan.size()];
    assert_eq!(plan.write(&mut out, 0), Ok(plan.size()));
    out
}

fn read(code: &[u8]) -> Vec<Instruction> {
    Decoder::with_ip(64, code, 0, DecoderOptions::NONE).into_iter().collect()
}

/// A jump over so many bytes forwards, or back over so many and itself.
fn jump_over(bytes: usize, back: bool, jump: impl Fn(&mut Assembler, Label)) -> (Vec<u8>, Instruction) {
    let mut a = assembler();
    let label = if back { a.here() } else { a.label() };
    if back {
        fill(&mut a, bytes);
    }
    jump(&mut a, label);
    if !back {
        fill(&mut a, bytes);
        a.bind(label);
    }
    a.put(Inst::ret());
    let plan = a.plan().expect("labels are bound");
    let code = write(&plan);
    let insts = read(&code);
    let jump = *insts
        .iter()
        .find(|inst| inst.is_jmp_short_or_near() || inst.is_jcc_short_or_near())
        .expect("there is a jump");
    assert_eq!(Some(CodeOffset(jump.near_branch64() as u32)), plan.offset(label));
    (code, jump)
}

#[test]
fn a_jump_is_short_as_long_as_it_reaches() {
    let jmp = |bytes, back| jump_over(bytes, back, |a, label| a.jmp(label)).1.len();
    assert_eq!([0, 1, 126, 127, 128].map(|bytes| jmp(bytes, false)), [2, 2, 2, 2, 5]);
    assert_eq!([0, 1, 125, 126, 127].map(|bytes| jmp(bytes, true)), [2, 2, 2, 2, 5]);
    let jcc = |bytes, back| jump_over(bytes, back, |a, label| a.jcc(Cond::A, label)).1.len();
    assert_eq!([0, 1, 126, 127, 128].map(|bytes| jcc(bytes, false)), [2, 2, 2, 2, 6]);
    assert_eq!([0, 1, 125, 126, 127].map(|bytes| jcc(bytes, true)), [2, 2, 2, 2, 6]);
}

#[test]
fn each_condition_is_the_one_asked_for_in_both_lengths() {
    const CODES: [(Mnemonic, Mnemonic); 16] = [
        (Mnemonic::Jo, Mnemonic::Jno),
        (Mnemonic::Jno, Mnemonic::Jo),
        (Mnemonic::Jb, Mnemonic::Jae),
        (Mnemonic::Jae, Mnemonic::Jb),
        (Mnemonic::Je, Mnemonic::Jne),
        (Mnemonic::Jne, Mnemonic::Je),
        (Mnemonic::Jbe, Mnemonic::Ja),
        (Mnemonic::Ja, Mnemonic::Jbe),
        (Mnemonic::Js, Mnemonic::Jns),
        (Mnemonic::Jns, Mnemonic::Js),
        (Mnemonic::Jp, Mnemonic::Jnp),
        (Mnemonic::Jnp, Mnemonic::Jp),
        (Mnemonic::Jl, Mnemonic::Jge),
        (Mnemonic::Jge, Mnemonic::Jl),
        (Mnemonic::Jle, Mnemonic::Jg),
        (Mnemonic::Jg, Mnemonic::Jle),
    ];
    for (&cond, (mnemonic, opposite)) in Cond::ALL.iter().zip(CODES) {
        for bytes in [10, 1000] {
            let jump = |cond| jump_over(bytes, false, |a, label| a.jcc(cond, label)).1.mnemonic();
            assert_eq!(jump(cond), mnemonic);
            assert_eq!(jump(cond.inverted()), opposite);
        }
    }
}

/// Each jump reaches only while the one inside it is short, so one step too far makes all of them near.
#[test]
fn one_long_jump_can_make_all_others_long() {
    let chain = |bytes| {
        let mut a = assembler();
        let ends: Vec<_> = (0..1000).map(|_| a.label()).collect();
        // Jump i leads over jump i + 1 and its first bytes, so that a byte more is too far.
        for (at, end) in ends.iter().enumerate() {
            a.jmp(*end);
            a.put(Inst::nop(3));
            if at > 0 {
                a.bind(ends[at - 1]);
            }
            fill(&mut a, 119);
        }
        fill(&mut a, bytes);
        a.bind(ends[999]);
        a.plan().expect("labels are bound")
    };
    let short = chain(5);
    assert_eq!(short.size(), 1000 * 2 + 1000 * (3 + 119) + 5);
    let long = chain(6);
    assert_eq!(long.size(), 1000 * 5 + 1000 * (3 + 119) + 6);
    let jumps = read(&write(&long)).iter().filter(|inst| inst.code() == Code::Jmp_rel32_64).count();
    assert_eq!(jumps, 1000);
}

#[test]
fn calls_and_addresses_of_code_are_distances() {
    let mut a = assembler();
    let function = a.label();
    a.call(function);
    a.put(Inst::lea(Width::W64, Gpr::Rax, Mem::Label(function)));
    // An immediate behind the distance counts too.
    a.put(Inst::store_imm(Mem::Label(function), SizedImm::B4(7)));
    a.put(Inst::store_imm(Mem::Label(function), SizedImm::B1(7)));
    fill(&mut a, 300);
    a.bind(function);
    a.put(Inst::ret());
    let plan = a.plan().expect("labels are bound");
    let at = u64::from(plan.offset(function).expect("bound").0);
    let insts = read(&write(&plan));
    assert_eq!(insts[0].near_branch_target(), at);
    for inst in &insts[1..4] {
        assert!(inst.is_ip_rel_memory_operand());
        assert_eq!(inst.ip_rel_memory_address(), at);
    }
    assert_eq!(insts[1..4].iter().map(|inst| inst.len()).collect::<Vec<_>>(), [7, 10, 7]);
}

#[test]
fn constants_are_behind_the_code_aligned_and_each_once() {
    let mut a = assembler();
    // Seven hundred numbers, some of which differ in the upper half or in the lower half only, in a thousand uses.
    let mut random = Random(0x5eed);
    let halves: Vec<_> = (0..28).map(|_| random.below(1 << 31) as u64).collect();
    let number = |i: usize| halves[i % 28] << 32 | halves[3 + i / 28 % 25];
    let values: Vec<u64> = (0..1000).map(|i| number(i * 11 % 700)).collect();
    let labels: Vec<_> = values.iter().map(|value| a.constant(*value)).collect();
    for label in &labels {
        a.put(Inst::mov(Width::W64, Gpr::Rax, Mem::Label(*label)));
    }
    a.put(Inst::ret());
    let plan = a.plan().expect("constants are bound");
    assert_eq!(plan.align(), 8);
    let code = write(&plan);
    assert_eq!(code.len(), (1000_usize * 7 + 1).next_multiple_of(8) + 8 * 700);
    for (inst, value) in read(&code[..7000]).iter().zip(values) {
        let at = inst.ip_rel_memory_address() as usize;
        assert_eq!(at % 8, 0);
        assert_eq!(code[at..at + 8], value.to_le_bytes());
    }
}

#[test]
fn tables_hold_distances_from_their_start() {
    let mut a = assembler();
    let targets = [a.label(), a.label(), a.label()];
    let (first, second) = (a.table(&targets), a.table(&[targets[2]]));
    a.put(Inst::lea(Width::W64, Gpr::Rax, Mem::Label(first)));
    a.put(Inst::jmp_to(Mem::Label(second)));
    for target in targets {
        a.bind(target);
        fill(&mut a, 100);
    }
    let plan = a.plan().expect("labels are bound");
    let code = write(&plan);
    let offset = |label| i64::from(plan.offset(label).expect("bound").0);
    for (table, targets) in [(first, &targets[..]), (second, &targets[2..])] {
        for (entry, target) in targets.iter().enumerate() {
            let at = offset(table) as usize + 4 * entry;
            let distance = i32::from_le_bytes(code[at..at + 4].try_into().expect("four bytes"));
            assert_eq!(offset(table) + i64::from(distance), offset(*target));
        }
    }
}

#[test]
fn outside_addresses_are_distances_from_the_origin() {
    let mut a = assembler();
    fill(&mut a, 11);
    a.call_address(0x7000_0000_1000);
    a.jmp_address(0x7000_0000_0000);
    let plan = a.plan().expect("nothing to bind");
    let mut out = [0; 21];
    for origin in [0x7000_0000_0000, 0x7000_7fff_fff0 - 4096, 0x6fff_8000_1000] {
        assert_eq!(plan.write(&mut out, origin), Ok(21));
        let insts: Vec<_> = Decoder::with_ip(64, &out, origin, DecoderOptions::NONE).into_iter().collect();
        assert_eq!(insts[11].near_branch_target(), 0x7000_0000_1000);
        assert_eq!(insts[12].near_branch_target(), 0x7000_0000_0000);
    }
    let too_far = |at| Err(WriteError::OutOfReach { at: CodeOffset(at) });
    assert_eq!(plan.write(&mut out, 0x7001_0000_0000), too_far(12));
    assert_eq!(plan.write(&mut out, 0x7000_8000_0000), too_far(17));
    assert_eq!(plan.write(&mut out, 0x6fff_7000_0000), too_far(12));
}

#[test]
fn distances_wrap_around_the_address_space() {
    let mut a = assembler();
    a.call_address(0x10);
    let plan = a.plan().expect("nothing to bind");
    let mut out = [0; 5];
    assert_eq!(plan.write(&mut out, u64::MAX - 0xf), Ok(5));
    assert_eq!(out, [0xe8, 0x1b, 0, 0, 0]);
}

#[test]
fn a_slice_that_is_too_small_or_misplaced_is_left_alone() {
    let mut a = assembler();
    fill(&mut a, 10);
    a.align(Alignment::always(Align::To32));
    a.put(Inst::ret());
    let plan = a.plan().expect("nothing to bind");
    assert_eq!((plan.size(), plan.align()), (33, 32));
    let mut out = [0xaa; 40];
    assert_eq!(plan.write(&mut out[..32], 0), Err(WriteError::TooSmall { need: 33, have: 32 }));
    assert_eq!(plan.write(&mut out, 16), Err(WriteError::Misaligned { need: 32, origin: 16 }));
    assert_eq!(out, [0xaa; 40]);
    assert_eq!(plan.write(&mut out, 64), Ok(33));
    assert_eq!(out[32..], [0xc3, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa]);
}

#[test]
fn padding_aligns_or_costs_nothing() {
    for before in 0..70_u32 {
        for (to, most) in
            [(Align::To4, 3), (Align::To16, 15), (Align::To32, 10), (Align::To64, 63), (Align::To64, 0)]
        {
            let mut a = Assembler::new(Options { loops: Some(Alignment { to, most }) });
            fill(&mut a, before as usize);
            let head = a.label();
            a.bind_loop(head);
            a.put(Inst::ret());
            let plan = a.plan().expect("bound");
            let at = plan.offset(head).expect("bound").0;
            let padding = before.next_multiple_of(to.bytes()) - before;
            assert_eq!(at, before + if padding > u32::from(most) { 0 } else { padding });
            let code = write(&plan);
            assert_eq!(code.len(), at as usize + 1);
            let nops = read(&code[before as usize..at as usize]);
            assert!(nops.iter().all(|inst| inst.mnemonic() == Mnemonic::Nop));
            assert_eq!(nops.len() as u32, (at - before).div_ceil(9));
        }
    }
}

#[test]
fn heads_of_loops_are_aligned_only_if_asked() {
    let mut a = assembler();
    fill(&mut a, 3);
    let head = a.label();
    a.bind_loop(head);
    let plan = a.plan().expect("bound");
    assert_eq!((plan.offset(head), plan.align()), (Some(CodeOffset(3)), 1));
}

#[test]
fn marks_lead_from_offsets_back() {
    let mut a = assembler();
    let end = a.label();
    fill(&mut a, 2);
    a.mark(Tag(7));
    a.jcc(Cond::E, end);
    a.mark(Tag(8));
    a.mark(Tag(9));
    fill(&mut a, 200);
    a.mark(Tag(9));
    fill(&mut a, 1);
    a.mark(Tag(7));
    a.bind(end);
    a.put(Inst::ret());
    let plan = a.plan().expect("bound");
    let table = plan.side_table().expect("memory");
    let rows = [(CodeOffset(2), Tag(7)), (CodeOffset(8), Tag(9)), (CodeOffset(209), Tag(7))];
    assert_eq!(table.rows(), rows);
    let find = |at| table.find(CodeOffset(at));
    assert_eq!([0, 1, 2, 7, 8, 208, 209, 5000].map(find), {
        let (seven, nine) = (Some(Tag(7)), Some(Tag(9)));
        [None, None, seven, seven, nine, nine, seven, seven]
    });
}

#[test]
fn marks_with_nothing_but_absent_padding_between_are_one() {
    let mut a = assembler();
    a.mark(Tag(1));
    a.align(Alignment::always(Align::To16));
    a.mark(Tag(2));
    a.put(Inst::ret());
    let table = a.plan().expect("bound").side_table().expect("memory");
    assert_eq!(table.rows(), [(CodeOffset(0), Tag(2))]);
}

#[test]
fn mistakes_with_labels_are_told() {
    let mut a = assembler();
    let unbound = a.label();
    a.jmp(unbound);
    assert_eq!(a.plan().err(), Some(AsmError::Unbound(unbound)));

    let mut a = assembler();
    let unbound = a.label();
    a.put(Inst::lea(Width::W64, Gpr::Rax, Mem::Label(unbound)));
    assert_eq!(a.plan().err(), Some(AsmError::Unbound(unbound)));

    let mut a = assembler();
    let unbound = a.label();
    a.table(&[unbound]);
    assert_eq!(a.plan().err(), Some(AsmError::Unbound(unbound)));

    let mut a = assembler();
    let twice = a.here();
    a.bind(twice);
    a.put(Inst::ret());
    assert_eq!(a.plan().err(), Some(AsmError::BoundTwice(twice)));

    let mut other = assembler();
    let foreign = [other.label(), other.label()][1];
    let mut a = assembler();
    a.bind(foreign);
    assert_eq!(a.plan().err(), Some(AsmError::Unbound(foreign)));

    // One that nobody uses may stay open.
    let mut a = assembler();
    let unused = a.label();
    a.put(Inst::ret());
    assert_eq!(a.plan().expect("nothing is wrong").offset(unused), None);
}

#[test]
fn nothing_makes_nothing() {
    let plan = assembler().plan().expect("nothing is wrong");
    assert_eq!((plan.size(), plan.align(), plan.write(&mut [], 3)), (0, 1, Ok(0)));
    assert_eq!(plan.side_table().expect("memory").find(CodeOffset(0)), None);
}

#[test]
fn errors_say_what_was_wanted_and_found() {
    let mut a = assembler();
    let label = a.label();
    assert_eq!(AsmError::Unbound(label).to_string(), "label L0 is used and bound nowhere");
    assert_eq!(AsmError::BoundTwice(label).to_string(), "label L0 is bound a second time");
    assert_eq!(WriteError::TooSmall { need: 2, have: 1 }.to_string(), "code takes 2 bytes, there are 1");
    let text = WriteError::OutOfReach { at: CodeOffset(16) }.to_string();
    assert_eq!(text, "code +0x10: target is out of reach");
}

/// What a random program is made of.
#[derive(Clone, Copy)]
enum Piece {
    Fill(usize),
    Jump(Option<Cond>, usize),
    Align(Alignment),
}

/// A small generator of numbers: xorshift64* (Marsaglia, Vigna).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

/// The lengths of the pieces as the obvious algorithm has them: all jumps start short, and as long as one does not reach, it
/// grows. Padding is as long as it can be.
fn obvious_lengths(pieces: &[Piece]) -> Vec<usize> {
    let mut lens: Vec<usize> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Fill(bytes) => *bytes,
            Piece::Jump(..) => 2,
            Piece::Align(alignment) => usize::from(alignment.most),
        })
        .collect();
    loop {
        let mut starts = vec![0];
        starts.extend(lens.iter().scan(0, |sum, len| {
            *sum += len;
            Some(*sum)
        }));
        let mut changed = false;
        for (at, piece) in pieces.iter().enumerate() {
            if let Piece::Jump(cond, target) = piece {
                let distance = starts[*target] as i64 - starts[at + 1] as i64;
                if lens[at] == 2 && i8::try_from(distance).is_err() {
                    lens[at] = if cond.is_some() { 6 } else { 5 };
                    changed = true;
                }
            }
        }
        if !changed {
            return lens;
        }
    }
}

#[test]
fn random_jumps_have_the_lengths_that_the_obvious_algorithm_finds() {
    let mut random = Random(0x5eed);
    for round in 0..300 {
        let count = 1 + random.below(400);
        // In every third round things are so near each other that many jumps are at the border.
        let near = [400, 40, 24][round % 3];
        let pieces: Vec<_> = (0..count)
            .map(|at| match random.below(9) {
                0..4 => Piece::Fill(random.below(12)),
                8 if round % 2 == 0 => {
                    let to = [Align::To4, Align::To16, Align::To32][random.below(3)];
                    Piece::Align(Alignment { to, most: random.below(to.bytes() as usize - 1) as u8 + 1 })
                }
                which => {
                    let target = (at + random.below(2 * near)).saturating_sub(near).min(count);
                    Piece::Jump((which < 7).then(|| Cond::ALL[random.below(16)]), target)
                }
            })
            .collect();
        let mut a = assembler();
        let labels: Vec<_> = (0..=count).map(|_| a.label()).collect();
        for (piece, label) in pieces.iter().zip(&labels) {
            a.bind(*label);
            match piece {
                Piece::Fill(bytes) => fill(&mut a, *bytes),
                Piece::Jump(None, target) => a.jmp(labels[*target]),
                Piece::Jump(Some(cond), target) => a.jcc(*cond, labels[*target]),
                Piece::Align(alignment) => a.align(*alignment),
            }
        }
        a.bind(labels[count]);
        let plan = a.plan().expect("all are bound");
        let code = write(&plan);
        let start = |at: usize| plan.offset(labels[at]).expect("bound").index();
        for (at, (piece, len)) in pieces.iter().zip(obvious_lengths(&pieces)).enumerate() {
            let bytes = &code[start(at)..start(at + 1)];
            match piece {
                Piece::Fill(_) => assert_eq!(bytes.len(), len),
                Piece::Align(alignment) => {
                    let gap = start(at).next_multiple_of(alignment.to.bytes() as usize) - start(at);
                    assert_eq!(bytes.len(), if gap > alignment.most.into() { 0 } else { gap });
                }
                Piece::Jump(_, target) => {
                    assert_eq!(bytes.len(), len, "round {round}, piece {at}");
                    let ip = start(at) as u64;
                    let inst = Decoder::with_ip(64, bytes, ip, DecoderOptions::NONE).decode();
                    assert_eq!(inst.near_branch_target(), start(*target) as u64);
                }
            }
        }
    }
}

/// A million jumps in a row of which each makes the one before it near: quadratic work would not end.
#[test]
fn a_million_jumps_take_linear_time() {
    let mut a = assembler();
    let mut last = a.label();
    for _ in 0..1_000_000 / 64 {
        let next = a.label();
        for _ in 0..64 {
            a.jcc(Cond::E, next);
        }
        a.bind(last);
        last = next;
    }
    a.put(Inst::store(Size::B8, Mem::base(Gpr::Rsp, 0), Gpr::Rax));
    a.bind(last);
    let plan = a.plan().expect("bound");
    assert!(plan.size() > 2_000_000 && plan.size() < 6_000_000);
    let code = write(&plan);
    assert_eq!(read(&code).len(), 1_000_000 / 64 * 64 + 1);
}
