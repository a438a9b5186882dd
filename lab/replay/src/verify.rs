//! The verifier: three bytes choose what the program is, the rest is the program, in bytes or in text.
//!
//! | byte | chooses |
//! | --- | --- |
//! | first | the program type |
//! | second | text or bytes; whether it may sleep; strict alignment; the licence; whether its functions have types, and which |
//! | third | the attach type |
//!
//! A text may begin with lines that say more:
//!
//! | line | says |
//! | --- | --- |
//! | `function global(ctx, memory)` | what its functions are, the program's first |
//! | `target bpf_lsm_file_open` | what of the small kernel's types it is attached to |
//! | `value {0 bpf_spin_lock:4}:8` | that there is a further map, with such values (`skep_lab_world::ValueType`) |
//! | `version 6.1` | the kernel |
//! | `throws 7` | where the function begins that is called when it throws |
//! | `host` | that it is of a host's own type, for the host of `skep_lab_world` |
//! | `alone` | that it has neither maps nor a kernel |
//!
//! Promised: whatever it is, a verdict comes without a panic, and after no more instructions than there may be; and it does not depend on
//! what is pruned: a program is refused for the same reason whether paths are left out where all that was seen to matter is
//! the same, or only where everything is. Loops that go round until nothing new happens are left out of that, as what is widened there does
//! depend on it. What is told of a state is sensible: bounds in order, and members. Where loops may be metered, whatever is accepted without is
//! accepted, and of what is not, only for loops' sake is there another verdict. What is refused for its structure alone is refused. A verdict
//! holds for what it was reached with, and for nothing else. A rejection says why, and its notes stand on instructions. What of a map's value
//! is not the program's own lies in it, in order.

use skep_abi::{AttachType, FuncId, MapType, ProgType};
use skep_btf::{FuncInfo, TypeId};
use skep_isa::{ByteOrder, Insn, InsnIdx, Program, RawInsn, Reg, raw, structure, text};
use skep_lab_world::{Among, Function, Functions, HOST, MAPS, Text, ValueType, functions, kernel};
use skep_model::platform::helper::Licence;
use skep_model::platform::version::Version;
use skep_model::platform::{OWN_TYPES, Platform};
use skep_verifier::{
    Alignment, Category, Detail, Difference, Holds, Known, Limits, Loops, MapProto, Pruning, Rejection,
    Sleep, Special, Subject, Trace, Verified, structured, verify, verify_logged, verify_traced,
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
    values: Vec<ValueType>,
    platform: Platform,
    throws: Option<InsnIdx>,
    is_alone: bool,
}

impl Wanted {
    fn new(data: &[u8]) -> Option<Self> {
        let [kind, how, attach, rest @ ..] = data else { return None };
        let kind = ProgType::ALL[usize::from(*kind) % ProgType::ALL.len()];
        let attach = AttachType::ALL[usize::from(*attach) % AttachType::ALL.len()];
        let mut wanted = Self {
            kind,
            how: *how,
            attach,
            slots: Vec::new(),
            functions: Vec::new(),
            target: None,
            values: Vec::new(),
            platform: Platform::LINUX_6_18,
            throws: None,
            is_alone: false,
        };
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
            match line.split_once(' ').unwrap_or((line, "")) {
                ("function", function) => self.functions.push(Function::parse(function).ok()?),
                ("target", name) => self.target = Some(kernel().find(name)?),
                ("value", value) => self.values.push(ValueType::parse(value).ok()?),
                ("version", version) => self.platform.version = Version::parse(version)?,
                ("throws", slot) => self.throws = Some(InsnIdx(slot.parse().ok()?)),
                ("host", "") => {
                    self.platform = Platform { version: self.platform.version, ..HOST };
                    self.kind = ProgType(OWN_TYPES);
                }
                ("alone", "") => self.is_alone = true,
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
struct Sensible {
    /// Whether the program has more functions than one.
    calls: bool,
}

impl Trace for Sensible {
    fn looks_at(&mut self, at: InsnIdx, known: &Known<'_>) {
        assert!(self.calls || !known.is_of_callee(), "{at}");
        let sensible = |holds: Holds| match holds {
            Holds::Anything => {}
            Holds::Number(numbers) => {
                let (least, most) = numbers.range();
                assert!(least <= most, "{at}: {numbers:?}");
                assert!(least < most || numbers.contains(least as u64), "{at}: {numbers:?}");
            }
            Holds::Pointer(points) => assert!(points.offset.0 <= points.offset.1, "{at}: {points:?}"),
        };
        for frame in 0..known.frames() {
            Reg::ALL.into_iter().for_each(|reg| sensible(known.register(frame, reg)));
            (1..=64).for_each(|slot| sensible(known.stack(frame, -8 * slot)));
        }
    }
}

/// What of the values of further maps is not the program's own; nothing where that cannot be said.
fn special(value: &ValueType) -> Vec<Special> {
    let fields = match value.special() {
        Ok(fields) => fields,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Vec::new();
        }
    };
    let mut end = 0;
    for field in &fields {
        assert!(end <= field.offset, "{fields:?}");
        end = field.offset + field.size;
    }
    assert!(end <= value.size, "{fields:?}");
    fields
}

/// A verdict holds for what it was reached with, and for nothing else.
fn is_bound(verified: &Verified, subject: &Subject<'_>) {
    let check = |other: &Subject<'_>| verified.binding().check(other);
    assert_eq!(check(subject), Ok(()));
    macro_rules! with {
        ($field:ident: $value:expr, $wanted:expr) => {{
            let mut other = *subject;
            other.$field = $value;
            assert_eq!(check(&other), $wanted);
            assert!(check(&other).map_or_else(|difference| !difference.to_string().is_empty(), |()| true));
        }};
    }
    with!(cpus: subject.cpus - 1, Ok(()));
    with!(cpus: subject.cpus + 1, Err(Difference::Cpus));
    let older = Platform { version: Version::new(4, 0), ..*subject.platform };
    with!(platform: &older, Err(Difference::Version));
    with!(kind: ProgType(u32::MAX), Err(Difference::Kind));
    let licence = if subject.licence == Licence::Gpl { Licence::Any } else { Licence::Gpl };
    with!(licence: licence, Err(Difference::Licence));
    let without = Platform { own_helpers: &[], ..*subject.platform };
    let own = verified.structured().program().iter().find_map(|(_, insn)| match insn {
        Insn::CallHelper { id } if subject.platform.own_helpers.iter().any(|own| own.id.0 == id) => Some(id),
        _ => None,
    });
    if let Some(id) = own {
        with!(platform: &without, Err(Difference::Helper(FuncId(id))));
    }
    for (number, map) in subject.maps.iter().enumerate() {
        let mut maps = subject.maps.to_vec();
        maps[number].kind = MapType(u32::MAX);
        with!(maps: &maps, Err(Difference::Map(number)));
        with!(maps: &maps[..number], Err(Difference::Map(number)));
        if map.frozen.is_some() {
            maps[number] = MapProto { frozen: None, ..*map };
            with!(maps: &maps, Err(Difference::Frozen(number)));
            maps[number].frozen = Some(b"something else");
            with!(maps: &maps, Err(Difference::Frozen(number)));
        }
    }
}

/// A rejection says why, and where.
fn is_told(rejection: &Rejection, subject: &Subject<'_>) {
    assert!(!rejection.to_string().is_empty() && !rejection.help().is_empty());
    assert!(!rejection.category().name().is_empty() && !rejection.errno().to_string().is_empty());
    let notes = rejection.notes.iter().map(|note| note.insn);
    for at in rejection.insn.into_iter().chain(notes).chain(rejection.path.iter().copied()) {
        // A program without instructions is refused for want of its first.
        assert!(at.index() < subject.slots.len().max(1), "{rejection:?}");
    }
}

pub(crate) fn run(data: &[u8]) {
    let Some(wanted) = Wanted::new(data) else { return };
    let own = (!wanted.functions.is_empty()).then(|| functions(wanted.kind, &wanted.functions));
    let functions = match &own {
        Some(own) => own.at(&wanted.starts()),
        None => wanted.typed(),
    };
    let specials: Vec<Vec<Special>> = wanted.values.iter().map(special).collect();
    let further = wanted.values.iter().zip(&specials).map(|(value, special)| value.map(special));
    let maps: Vec<MapProto<'_>> = MAPS.iter().copied().chain(further).collect();
    let among = Among(&maps);
    let mut subject = Subject::new(&wanted.slots, &wanted.platform, wanted.kind, &among);
    subject.attach = wanted.attach;
    subject.maps = &maps;
    subject.kernel = Some(&kernel().types);
    subject.target = wanted.target;
    subject.exception_callback = wanted.throws;
    if wanted.is_alone {
        (subject.references, subject.maps, subject.kernel) = (&(), &[], None);
    }
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
        match &verified {
            Ok(verified) => {
                assert!(verified.stats().insns <= limits.insns, "{:?}", verified.stats());
                assert_eq!(verified.loops(), Loops::Bounded);
                is_bound(verified, &subject);
            }
            Err(rejection) => is_told(rejection, &subject),
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
    let calls = match structured(&subject) {
        Ok(structured) => {
            let doubts = structured.doubts();
            assert!(doubts.iter().all(|doubt| !doubt.message.is_empty()), "{doubts:?}");
            structured.structure().subprograms().len() > 1
        }
        Err(rejection) => {
            is_told(&rejection, &subject);
            assert!(full.is_err(), "what is refused for its structure is accepted: {rejection}");
            true
        }
    };
    let told = verify_traced(&subject, &limits, &mut Sensible { calls });
    assert_eq!(told.is_ok(), full.is_ok(), "what is told decides the verdict");
    for detail in [Detail::Path, Detail::All] {
        let mut text = Text::default();
        let logged = verify_logged(&subject, &limits, &mut text, detail)
            .map(|_| ())
            .map_err(|rejection| (rejection.id(), rejection.insn, rejection.category()));
        assert!(
            detail == Detail::Path || !text.0.is_empty() || logged.is_err(),
            "nothing is told of any path"
        );
        if !wanted.goes_round() && !gave_up(&full) && !gave_up(&logged) {
            // Where a loop is seen not to end depends on where states are kept.
            if !(is_loop(&full) && is_loop(&logged)) {
                assert_eq!(full, logged, "the log decides the verdict");
            }
        }
    }
    let metered = verify(&subject, &Limits { loops: Loops::Metered, ..limits });
    assert!(metered.is_ok() || full.is_err(), "fuel makes a verdict worse");
    assert!(
        metered.is_err() || full.is_ok() || gave_up(&full) || is_loop(&full),
        "fuel makes up for a mistake"
    );
    if let Ok(metered) = &metered {
        assert!(full.is_err() || metered.loops() == Loops::Bounded, "fuel is wanted where loops end");
        assert!(metered.metered().is_sorted());
    }
    if !wanted.goes_round() && !gave_up(&full) && !gave_up(&within) {
        assert_eq!(full, within, "what is pruned decides the verdict");
    }
}
