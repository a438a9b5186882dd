//! The verifier: three bytes choose what the program is, the rest is the program, in bytes or in text.
//!
//! | byte | chooses |
//! | --- | --- |
//! | first | the program type |
//! | second | text or bytes; whether it may sleep; strict alignment; the licence; whether its functions have types, and which |
//! | third | the attach type |
//!
//! A text may begin with lines that say what its functions are (`function global(ctx, memory)`, the program's first), and what of the small
//! kernel's types it is attached to (`target bpf_lsm_file_open`).
//!
//! Promised: whatever it is, a verdict comes without a panic, and after no more instructions than there may be; and it does not depend on
//! what is pruned: a program is refused for the same reason whether paths are left out where all that was seen to matter is
//! the same, or only where everything is. Loops that go round until nothing new happens are left out of that, as what is widened there does
//! depend on it. What is told of a state is sensible: bounds in order, and members. Where loops may be metered, whatever is accepted without is
//! accepted, and of what is not, only for loops' sake is there another verdict.

use skep_abi::{AttachType, ProgType};
use skep_btf::{FuncInfo, TypeId};
use skep_isa::{ByteOrder, Insn, InsnIdx, Program, RawInsn, Reg, raw, structure, text};
use skep_lab_world::{Function, Functions, MAPS, World, functions, kernel};
use skep_model::platform::Platform;
use skep_model::platform::helper::Licence;
use skep_verifier::{
    Alignment, Category, Holds, Known, Limits, Loops, Pruning, Sleep, Subject, Trace, verify, verify_traced,
};
use std::sync::OnceLock;

/// Types of functions, one after the other from where the input says.
fn types() -> &'static Functions {
    static TYPES: OnceLock<Functions> = OnceLock::new();
    TYPES.get_or_init(|| {
        let all = [
            "global()",
            "static()",
            "global(int, enum)",
            "static(int, enum)",
            "global(ctx, memory)",
            "static(ctx, memory)",
            "global(void)",
            "static(void)",
            "global void(int)",
            "static void(int)",
        ];
        let all = all.map(|text| Function::parse(text).expect("a function"));
        functions(ProgType::XDP, &all)
    })
}

/// What an input asks for.
struct Wanted {
    kind: ProgType,
    how: u8,
    attach: AttachType,
    slots: Vec<RawInsn>,
    /// What the text says of its functions.
    functions: Vec<Function>,
    target: Option<TypeId>,
}

impl Wanted {
    fn new(data: &[u8]) -> Option<Self> {
        let [kind, how, attach, rest @ ..] = data else { return None };
        let kind = ProgType::ALL[usize::from(*kind) % ProgType::ALL.len()];
        let attach = AttachType::ALL[usize::from(*attach) % AttachType::ALL.len()];
        let mut wanted =
            Self { kind, how: *how, attach, slots: Vec::new(), functions: Vec::new(), target: None };
        if how & 1 != 0 {
            wanted.read(std::str::from_utf8(rest).ok()?)?;
        } else {
            wanted.slots = raw::from_bytes(rest.get(..rest.len() / 8 * 8)?, ByteOrder::Little).ok()?;
        }
        Some(wanted)
    }

    /// Reads a text: lines that say what it is, and the program.
    fn read(&mut self, mut text: &str) -> Option<()> {
        while let Some((line, rest)) = text.split_once('\n') {
            match line.split_once(' ') {
                Some(("function", function)) => self.functions.push(Function::parse(function).ok()?),
                Some(("target", name)) => self.target = Some(kernel().find(name)?),
                _ => break,
            }
            text = rest;
        }
        self.slots = text::assemble(text, &()).ok()?.slots().to_vec();
        Some(())
    }

    /// Where functions begin.
    fn starts(&self) -> Vec<u32> {
        let Ok(program) = Program::decode(&self.slots) else { return Vec::new() };
        let Ok(structure) = structure::check(&program) else { return Vec::new() };
        structure.subprograms().iter().map(|sub| sub.start.0).collect()
    }

    /// Gives each function a type, if they are to have any.
    fn typed(&self) -> Vec<FuncInfo> {
        if self.how & 16 == 0 {
            return Vec::new();
        }
        let all = &types().ids;
        let first = usize::from(self.how >> 5);
        let typed = self.starts().into_iter().enumerate();
        typed
            .map(|(number, insn_off)| FuncInfo { insn_off, type_id: all[(first + number) % all.len()] })
            .collect()
    }

    fn goes_round(&self) -> bool {
        let Ok(program) = Program::decode(&self.slots) else { return false };
        // Those that call functions.
        const ROUND: [u32; 4] = [164, 180, 181, 209];
        program.iter().any(|(_, insn)| match insn {
            Insn::MayGoto { .. } => true,
            Insn::CallHelper { id } => ROUND.contains(&id),
            _ => false,
        })
    }
}

/// Looks at all that is told of a state.
struct Sensible;

impl Trace for Sensible {
    fn looks_at(&mut self, at: InsnIdx, known: &Known<'_>) {
        let sensible = |holds: Holds| match holds {
            Holds::Anything => {}
            Holds::Number(numbers) => {
                let (least, most) = numbers.range();
                assert!(least <= most, "{at}: {numbers:?}");
            }
            Holds::Pointer(points) => assert!(points.offset.0 <= points.offset.1, "{at}: {points:?}"),
        };
        for frame in 0..known.frames() {
            Reg::ALL.into_iter().for_each(|reg| sensible(known.register(frame, reg)));
            (1..=64).for_each(|slot| sensible(known.stack(frame, -8 * slot)));
        }
    }
}

pub(crate) fn run(data: &[u8]) {
    let Some(wanted) = Wanted::new(data) else { return };
    let own = (!wanted.functions.is_empty()).then(|| functions(wanted.kind, &wanted.functions));
    let functions = match &own {
        Some(own) => own.at(&wanted.starts()),
        None => wanted.typed(),
    };
    let mut subject = Subject::new(&wanted.slots, &Platform::LINUX_6_18, wanted.kind, &World);
    subject.attach = wanted.attach;
    subject.maps = MAPS;
    subject.kernel = Some(&kernel().types);
    subject.target = wanted.target;
    if wanted.how & 2 != 0 {
        subject.sleep = Sleep::Allowed;
    }
    if wanted.how & 4 != 0 {
        subject.alignment = Alignment::Strict;
    }
    if wanted.how & 8 != 0 {
        subject.licence = Licence::Gpl;
    }
    if !functions.is_empty() {
        subject.functions = &functions;
        subject.types = Some(own.as_ref().map_or(&types().types, |own| &own.types));
    }
    let limits = Limits { insns: 4000, waiting: 256, ..Limits::LINUX };
    let verdict = |pruning| {
        let verified = verify(&subject, &Limits { pruning, ..limits });
        if let Ok(verified) = &verified {
            assert!(verified.stats().insns <= limits.insns, "{:?}", verified.stats());
        }
        verified.map(|_| ()).map_err(|rejection| (rejection.id(), rejection.insn, rejection.category()))
    };
    let full = verdict(Pruning::Full);
    let gave_up = |verdict: &Result<_, (_, _, Category)>| {
        verdict.as_ref().is_err_and(|&(_, _, category)| category == Category::Limit)
    };
    let is_loop = |verdict: &Result<_, (&str, _, _)>| {
        verdict.as_ref().is_err_and(|&(id, _, _)| id == "control-endless-loop")
    };
    let within = verdict(Pruning::Within);
    let told = verify_traced(&subject, &limits, &mut Sensible);
    assert_eq!(told.is_ok(), full.is_ok(), "what is told decides the verdict");
    let metered = verify(&subject, &Limits { loops: Loops::Metered, ..limits });
    assert!(metered.is_ok() || full.is_err(), "fuel makes a verdict worse");
    assert!(
        metered.is_err() || full.is_ok() || gave_up(&full) || is_loop(&full),
        "fuel makes up for a mistake"
    );
    if !wanted.goes_round() && !gave_up(&full) && !gave_up(&within) {
        assert_eq!(full, within, "what is pruned decides the verdict");
    }
}
