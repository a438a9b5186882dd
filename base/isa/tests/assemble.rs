//! What the assembler takes and refuses, and that it undoes the disassembler.

use skep_isa::table::ROWS;
use skep_isa::text::{AsmError, Dialect, Labels, Names, Symbols, assemble, disassemble};
use skep_isa::{ByteOrder, Field, Insn, InsnIdx, RawInsn, decode, insns, raw};

const DIALECTS: [Dialect; 2] = [Dialect::Linux, Dialect::Mnemonic];

fn slots(source: &str) -> Vec<RawInsn> {
    assemble(source, &Known).unwrap_or_else(|error| panic!("{error}\n{source}")).into_slots()
}

fn refused(source: &str) -> String {
    match assemble(source, &Known) {
        Ok(made) => panic!("{source} was taken as {:?}", made.slots()),
        Err(error) => error.to_string(),
    }
}

/// Shows the one instruction of a source in the Linux dialect.
fn meaning(source: &str) -> String {
    let slots = slots(source);
    let insn = decode(slots[0], slots.get(1).copied()).unwrap_or_else(|kind| panic!("{source}: {kind}"));
    assert_eq!(slots.len(), insn.slots() as usize, "{source}");
    insn.to_string()
}

struct Known;

impl Symbols for Known {
    fn helper(&self, name: &str) -> Option<u32> {
        (name == "bpf_ktime_get_ns").then_some(5)
    }

    fn constant(&self, name: &str) -> Option<i64> {
        (name == "ETH_P_IP").then_some(0x0800)
    }
}

struct SomeNames;

impl Names for SomeNames {
    fn helper(&self, id: u32) -> Option<&str> {
        (id % 3 == 1).then_some("bpf_some_helper")
    }

    fn function(&self, start: InsnIdx) -> Option<&str> {
        ["main", "exit", "L5", "r1", "goto", "bpf_some_helper", "pc", "twice", "twice"]
            .get(start.index())
            .copied()
    }
}

fn assert_round_trip(program: &[RawInsn]) {
    let labels = Labels::find(program, &SomeNames).expect("memory for labels");
    for dialect in DIALECTS {
        let mut text = String::new();
        disassemble(program, dialect, &labels, &SomeNames, &mut text).expect("strings take all");
        assert_eq!(slots(&text), program, "{text}");
    }
}

/// Every row with every combination of edge values in the fields it uses.
#[test]
fn assembling_undoes_disassembling_each_instruction() {
    for row in &ROWS {
        let choose = |field: Field, values: &[i32]| -> Vec<i32> {
            if row.fields.uses(field) { values.to_vec() } else { vec![0] }
        };
        let mut program = Vec::new();
        for dst in choose(Field::Dst, &[0, 10]) {
            for src in choose(Field::Src, &[0, 3]) {
                for off in choose(Field::Off, &[0, 1, -1, i32::from(i16::MIN), i32::from(i16::MAX)]) {
                    for imm in choose(Field::Imm, &[0, 7, -1, i32::MIN, i32::MAX, 0x1_0000]) {
                        let base = row.base();
                        let mut slot = RawInsn::new(base.code, dst as u8, src as u8, off as i16, imm);
                        slot.regs |= base.regs;
                        slot.off |= base.off;
                        slot.imm |= base.imm;
                        program.push(slot);
                        if row.next != skep_isa::table::Next::None {
                            let imm = if row.next == skep_isa::table::Next::Imm { imm ^ 5 } else { 0 };
                            program.push(RawInsn { imm, ..RawInsn::default() });
                        }
                    }
                }
            }
        }
        assert!(insns(&program).all(|insn| insn.is_ok()), "{row:?}");
        assert_round_trip(&program);
    }
}

/// Every row with every pair of registers.
#[test]
fn assembling_undoes_disassembling_all_registers() {
    for row in &ROWS {
        let last = |field| if row.fields.uses(field) { 10 } else { 0 };
        let mut program = Vec::new();
        for dst in 0..=last(Field::Dst) {
            for src in 0..=last(Field::Src) {
                let mut slot = row.base();
                slot.regs |= dst | src << 4;
                program.push(slot);
                if row.next != skep_isa::table::Next::None {
                    program.push(RawInsn::default());
                }
            }
        }
        assert!(insns(&program).all(|insn| insn.is_ok()), "{row:?}");
        assert_round_trip(&program);
    }
}

/// The mnemonics of the public conformance suite and of rbpf, each with the number that RFC 9669 gives it.
#[test]
fn the_mnemonics_of_peers_have_the_codes_of_the_standard() {
    let code = |source: &str| slots(source)[0];
    let plain = |code: u8, off: i16, imm: i32| RawInsn::new(code, 1, 0, off, imm);
    let with_reg = |code: u8, off: i16, imm: i32| RawInsn::new(code, 1, 2, off, imm);
    // RFC 9669 §4.1, table 11: the operation in the upper half, the class in the lower, 8 for a register.
    let alu = [
        ("add", 0x00, 0),
        ("sub", 0x10, 0),
        ("mul", 0x20, 0),
        ("div", 0x30, 0),
        ("sdiv", 0x30, 1),
        ("or", 0x40, 0),
        ("and", 0x50, 0),
        ("lsh", 0x60, 0),
        ("rsh", 0x70, 0),
        ("mod", 0x90, 0),
        ("smod", 0x90, 1),
        ("xor", 0xa0, 0),
        ("mov", 0xb0, 0),
        ("arsh", 0xc0, 0),
    ];
    for (name, op, off) in alu {
        for (width, class) in [("", 0x07), ("64", 0x07), ("32", 0x04)] {
            assert_eq!(code(&format!("{name}{width} %r1, -3")), plain(op | class, off, -3));
            assert_eq!(code(&format!("{name}{width} r1, %r2")), with_reg(op | class | 8, off, 0));
        }
    }
    for (name, wanted) in [("neg", 0x87), ("neg64", 0x87), ("neg32", 0x84)] {
        assert_eq!(code(&format!("{name} %r1")), plain(wanted, 0, 0));
    }
    for (name, wanted, off) in
        [("832", 0xbc, 8), ("1632", 0xbc, 16), ("864", 0xbf, 8), ("1664", 0xbf, 16), ("3264", 0xbf, 32)]
    {
        assert_eq!(code(&format!("movsx{name} %r1, %r2")), with_reg(wanted, off, 0));
    }
    for (name, wanted) in [("le", 0xd4), ("be", 0xdc), ("swap", 0xd7), ("bswap", 0xd7)] {
        for bits in [16, 32, 64] {
            assert_eq!(code(&format!("{name}{bits} %r1")), plain(wanted, 0, bits));
        }
    }
    // §4.3, table 16.
    let jumps = [
        ("jeq", 0x10),
        ("jgt", 0x20),
        ("jge", 0x30),
        ("jset", 0x40),
        ("jne", 0x50),
        ("jsgt", 0x60),
        ("jsge", 0x70),
        ("jlt", 0xa0),
        ("jle", 0xb0),
        ("jslt", 0xc0),
        ("jsle", 0xd0),
    ];
    for (name, op) in jumps {
        for (width, class) in [("", 0x05), ("32", 0x06)] {
            assert_eq!(code(&format!("{name}{width} %r1, 0xffffffff, -4")), plain(op | class, -4, -1));
            assert_eq!(code(&format!("{name}{width} %r1, %r2, +4")), with_reg(op | class | 8, 4, 0));
            assert_eq!(code(&format!("{name}{width} %r1, %r2, exit\nexit")), with_reg(op | class | 8, 0, 0));
        }
    }
    let jump = |code, src, off, imm| RawInsn::new(code, 0, src, off, imm);
    for (source, wanted) in [
        ("ja +5", jump(0x05, 0, 5, 0)),
        ("ja32 +5", jump(0x06, 0, 0, 5)),
        ("ja32 exit\nexit", jump(0x06, 0, 0, 0)),
        ("exit", jump(0x95, 0, 0, 0)),
        ("call 5", jump(0x85, 0, 0, 5)),
        ("call helper 0x5", jump(0x85, 0, 0, 5)),
        ("call local f\nexit\nf: exit", jump(0x85, 1, 0, 1)),
        ("call local +1", jump(0x85, 1, 0, 1)),
        ("call runtime 9", jump(0x85, 2, 0, 9)),
        ("callx %r1", RawInsn::new(0x8d, 1, 0, 0, 0)),
        ("call helper %r1", RawInsn::new(0x8d, 1, 0, 0, 0)),
        ("callx 0x4", jump(0x85, 1, 0, 4)),
        ("callx -2", jump(0x85, 1, 0, -2)),
    ] {
        assert_eq!(code(source), wanted, "{source}");
    }
    // §5.
    for (size, bits) in [("w", 0x00), ("h", 0x08), ("b", 0x10), ("dw", 0x18)] {
        assert_eq!(code(&format!("ldx{size} %r1, [%r2-0x8]")), with_reg(0x61 | bits, -8, 0));
        assert_eq!(code(&format!("ldx{size} %r1, [%r2]")), with_reg(0x61 | bits, 0, 0));
        assert_eq!(code(&format!("st{size} [%r1+2], 0x11223344")), plain(0x62 | bits, 2, 0x1122_3344));
        assert_eq!(code(&format!("stx{size} [%r1+2], %r2")), with_reg(0x63 | bits, 2, 0));
        if size != "dw" {
            assert_eq!(code(&format!("ldxs{size} %r1, [%r2+2]")), with_reg(0x81 | bits, 2, 0));
            assert_eq!(code(&format!("ldabs{size} 3")), RawInsn::new(0x20 | bits, 0, 0, 0, 3));
            assert_eq!(code(&format!("ldind{size} r2, 3")), RawInsn::new(0x40 | bits, 0, 2, 0, 3));
        }
    }
    for (name, imm, fetches) in [
        ("add", 0x00, 1),
        ("or", 0x40, 1),
        ("and", 0x50, 1),
        ("xor", 0xa0, 1),
        ("xchg", 0xe1, 0),
        ("cmpxchg", 0xf1, 0),
    ] {
        for (width, class) in [("", 0xdb), ("32", 0xc3)] {
            assert_eq!(code(&format!("lock {name}{width} [%r1+8], %r2")), with_reg(class, 8, imm));
            let fetched = code(&format!("lock fetch {name}{width} [%r1-8], %r2"));
            assert_eq!(fetched, with_reg(class, -8, imm | fetches));
        }
    }
    let wide = slots("lddw %r1, 0x1122334455667788");
    assert_eq!(wide, [plain(0x18, 0, 0x5566_7788), RawInsn::new(0, 0, 0, 0, 0x1122_3344)]);
}

/// Programs of random rows with near targets, so that labels and functions abound, and slots that do not decode.
#[test]
fn assembling_undoes_disassembling_programs() {
    let mut state = 1u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for _ in 0..150 {
        let program: Vec<RawInsn> = (0..30)
            .map(|_| {
                let row = &ROWS[random(ROWS.len() as u64) as usize];
                let mut slot = row.base();
                slot.off |= random(20) as i16 - 10;
                slot.imm |= random(20) as i32 - 10;
                slot.regs |= random(3) as u8;
                slot
            })
            .collect();
        assert_round_trip(&program);
    }
}

#[test]
fn golden_lines_assemble_to_their_bytes() {
    for line in include_str!("golden.txt").lines().filter(|line| !line.starts_with('#')) {
        let (hex, texts) = line.split_once('\t').expect("columns");
        for text in texts.split('\t') {
            let bytes = raw::to_bytes(&slots(text), ByteOrder::Little).expect("memory");
            assert_eq!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), hex, "{text}");
        }
    }
}

#[test]
fn spaces_signs_and_bases_are_free() {
    let same = [
        ("r1+=0x10", "r1 += 16"),
        ("  *( u32*) ( r10-4 )=w2  ", "*(u32 *)(r10 - 4) = r2"),
        ("r1 = *(u8 *)(r2)", "r1 = *(u8 *)(r2 + 0)"),
        ("r1 = *(u8 *)(r10 + -8)", "r1 = *(u8 *)(r10 - 8)"),
        ("r0 = *(u16 *)skb[r3]", "r0 = *(u16 *)skb[r3]"),
        ("r1 = 0xffffffff", "r1 = -1"),
        ("r1 = -2147483648", "r1 = -2147483648"),
        ("r1 s/= 0xfffffffffffffffc", "r1 s/= -4"),
        ("jne r1, 0xffffffff80000000, +1", "if r1 != -2147483648 goto pc+1"),
        ("r1 = 5ll", "r1 = 5 ll"),
        ("r1 = 0xffffffffffffffff ll", "r1 = -1 ll"),
        ("r1 = -9223372036854775808 ll", "r1 = 0x8000000000000000 ll"),
        ("r1 = fp", "r1 = r10"),
        ("if r1 s>= -1 goto +3", "if r1 s>= -1 goto pc+3"),
        ("r1 = ETH_P_IP", "r1 = 2048"),
        ("r1 = -ETH_P_IP", "r1 = -2048"),
        ("call bpf_ktime_get_ns", "call 5"),
        ("call bpf_anything#7", "call 7"),
        ("call ETH_P_IP", "call 2048"),
        ("call -1", "call pc-1"),
        ("r1 = 1 // a comment", "r1 = 1"),
        ("r1 = 1 ; a comment", "r1 = 1"),
        ("r1 = 1 # a comment", "r1 = 1"),
    ];
    for (source, wanted) in same {
        assert_eq!(meaning(source), wanted, "{source}");
    }
}

#[test]
fn peers_spellings_are_taken() {
    let same = [
        ("ldxdw %r0, [%r1+8]", "r0 = *(u64 *)(r1 + 8)"),
        ("stb [%r10-1], 0xff", "*(u8 *)(r10 - 1) = 255"),
        ("lock fetch add [%r10-8], %r0", "r0 = atomic_fetch_add((u64 *)(r10 - 8), r0)"),
        ("lock fetch cmpxchg32 [%r10+0], %r1", "w0 = cmpxchg32_32(r10 + 0, w0, w1)"),
        ("lock xchg [%r10], %r1", "r1 = xchg_64(r10 + 0, r1)"),
        ("movsx832 %r1, %r2", "w1 = (s8)w2"),
        ("movsx3264 %r1, %r2", "r1 = (s32)r2"),
        ("ldxsh %r0, [%r1]", "r0 = *(s16 *)(r1 + 0)"),
        ("swap32 %r3", "r3 = bswap32 r3"),
        ("call helper 3", "call 3"),
        ("call runtime 3", "call kfunc[btf:3, fd:0]"),
        ("call %r3", "callx r3"),
        ("call helper %r3", "callx r3"),
        ("call local +2", "call pc+2"),
        ("ja32 +2", "gotol pc+2"),
        ("ja +2", "goto pc+2"),
        ("lddw r1, map_by_fd(3)", "r1 = map[fd:3] ll"),
        ("jsgt32 %r1, 4, +2", "if w1 s> 4 goto pc+2"),
        ("mov64 r1, 0x5", "r1 = 5"),
        ("neg64 r1", "r1 = -r1"),
        ("callx 4", "call pc+4"),
        ("stxxaddw [r1+2], r3", "lock *(u32 *)(r1 + 2) += w3"),
        ("lddw r1, 0x1122334455667788", "r1 = 0x1122334455667788 ll"),
        ("r2 = atomic64_xchg((u64 *)(r1 +0), r2)", "r2 = xchg_64(r1 + 0, r2)"),
        ("r0 = atomic_cmpxchg((u32 *)(r1 -4), r0, r2)", "w0 = cmpxchg32_32(r1 - 4, w0, w2)"),
    ];
    for (source, wanted) in same {
        assert_eq!(meaning(source), wanted, "{source}");
    }
}

#[test]
fn labels_lead_forwards_backwards_and_across_wide_instructions() {
    let source = "
        .equ LIMIT, 9
    main:
        r1 = 5 ll           // two slots
    again: r0 = 1
        if r1 > LIMIT goto again
        call work
        goto exit
    work: also:
        r2 = subprog[also] ll
        exit
    end:
    ";
    let made = assemble(source, &()).expect("valid");
    let offs: Vec<i32> = insns(made.slots())
        .flatten()
        .filter_map(|(_, insn)| match insn {
            Insn::Branch { off, .. } | Insn::Goto { off } => Some(i32::from(off)),
            insn => insn.function_offset(),
        })
        .collect();
    assert_eq!(offs, [-2, 1, 2, -1]);
    let label = |name| made.label(name).map(|at| at.0);
    assert_eq!(
        ["main", "again", "work", "also", "end", "none"].map(label),
        [Some(0), Some(2), Some(6), Some(6), Some(9), None]
    );
    assert_eq!(made.labels().count(), 5);
    assert_eq!([0, 1, 2, 8, 9].map(|at| made.line(InsnIdx(at))), [Some(4), Some(4), Some(5), Some(11), None]);
}

#[test]
fn the_label_exit_is_the_first_exit_unless_defined() {
    assert_eq!(slots("ja exit\nexit\nexit")[0].off, 0);
    assert_eq!(slots("ja exit\nexit\nexit: exit")[0].off, 1);
    assert_eq!(refused("r0 = 1\nja exit"), "2:4: unknown label `exit`");
}

#[test]
fn a_slot_can_be_given_by_its_fields() {
    assert_eq!(slots(".insn 0xff, 15, 1, -2, 0xffffffff"), [RawInsn::new(0xff, 15, 1, -2, -1)]);
    assert_eq!(refused(".insn 256, 0, 0, 0, 0"), "1:7: expected a number from 0 to 255, found 256");
    assert_eq!(refused(".insn 5, 0, 0, 0"), "1:17: expected `,`, found the end of the line");
    assert_eq!(refused(".insn 5, 0, 0, 0, 0 0"), "1:21: expected the end of the line, found `0`");
}

#[test]
fn refusals_have_a_place_and_say_what_was_expected() {
    let cases = [
        ("\n  frobnicate r1", "2:3: no instruction starts with `frobnicate`"),
        ("?", "1:1: no instruction starts with `?`"),
        ("r1 += r11", "1:7: expected a number or a register r0 to r10, found `r11`"),
        ("mov r0 1", "1:8: expected `,`, found `1`"),
        ("mov r0, 1 1", "1:11: expected the end of the line, found `1`"),
        ("lock", "1:5: expected `*(u32`, `*(u64`, `add`,"),
        ("r1 = be16 r2", "1:11: expected register 1 again, found `r2`"),
        ("r1 += 0x100000000", "1:7: expected a number from -2147483648 to 4294967295, found 4294967296"),
        ("mov32 r1, 2147483648", "1:11: expected a number from -2147483648 to 2147483647, found 2147483648"),
        (
            "r1 += 0xffffffff7fffffff",
            "1:7: expected a number from -2147483648 to 4294967295, found 18446744071562067967",
        ),
        ("r1 += 99999999999999999999", "1:7: expected a number from"),
        ("r1 = 4294967296", "1:16: expected `ll`, found the end of the line"),
        ("r1 ? 1", "1:4: expected `%=`, `&=`,"),
        ("r1 = nothing", "1:6: unknown constant `nothing`"),
        ("ldxb r1, [r2+32768]", "1:13: expected a number from -32768 to 32767, found 32768"),
        ("r1 = 99999999999999999999999999999999999999999 ll", "1:6: expected a number from"),
        ("goto nowhere", "1:6: unknown label `nowhere`"),
        ("goto r1", "1:6: expected a label or distance, found `r1`"),
        ("goto 40000", "1:6: expected a number from -32768 to 32767, found 40000"),
        ("call bpf_nothing", "1:6: `bpf_nothing` is neither a label nor the name of a helper"),
        ("a:\nb: a: exit", "2:4: `a` is defined again; the first definition is in line 1"),
        ("r1: exit", "1:1: `r1` cannot be used as a name"),
        (".equ A, 1\n.equ A, 2", "2:6: `A` is defined again; the first definition is in line 1"),
        (".equ r1, 1", "1:6: `r1` cannot be used as a name"),
        (".equ , 1", "1:6: expected a name, found `,`"),
        ("é = 1", "1:1: no instruction starts with `é`"),
        ("w1 = ë", "1:6: expected"),
        ("r1 = 5x", "1:6: expected"),
    ];
    for (source, wanted) in cases {
        let found = refused(source);
        assert!(found.starts_with(wanted), "{source}: {found}");
    }
}

#[test]
fn distances_that_do_not_fit_are_refused_where_they_are_used() {
    let far = "far:\n".to_owned() + &"exit\n".repeat(32_767);
    assert!(assemble(&(far.clone() + "goto far"), &()).is_ok());
    let error: AsmError = assemble(&(far.clone() + "exit\n if r1 == 1 goto far"), &()).expect_err("too far");
    let wanted = "32770:18: the label is -32769 instructions away, which does not fit in 16 bits";
    assert_eq!(error.to_string(), wanted);
    assert!(assemble(&(far + "exit\ngotol far"), &()).is_ok());
}

#[test]
fn any_text_is_taken_or_refused() {
    let words = "r1 w2 = += * ( ) u32 if goto lock ll pc + - 0x 7 , [ ] fd: map skb exit call # ; é .equ .insn : s8 \n";
    let words: Vec<&str> = words.split(' ').collect();
    let mut state = 3u64;
    for _ in 0..1_000 {
        let mut source = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            source += words[(state >> 40) as usize % words.len()];
            source += if state >> 63 == 0 { " " } else { "" };
        }
        if let Err(error) = assemble(&source, &Known) {
            assert!(error.line >= 1 && error.column >= 1 && !error.to_string().is_empty());
        }
    }
}
