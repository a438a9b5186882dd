//! The log of a verification, line by line, beside the running Linux's: of every program in `rules/`, and of its twin.
#![cfg(target_os = "linux")]

use skep_abi::{BtfLoad, FuncInfo, LineInfo, ProgLoad, ProgType};
use skep_btf::{Builder, Endian, Func, FuncLinkage, Int, IntEncoding};
use skep_embedded::{Config, Embedded};
use skep_isa::text::assemble;
use skep_isa::{ByteOrder, raw};
use skep_lab_filetests::{EVERY_WAY, LOG, Loaded, Loader, RuleCase, WAY, Which, committed, on_subject};
use skep_lab_world::Text;
use skep_sys::{Kernel, ProgLoadMemory, Records};
use skep_verifier::{Detail, Limits, verify_logged};
use std::fmt::Write as _;
use zerocopy::IntoBytes;

/// The release whose log it is.
const RELEASE: &str = "6.18";

/// Programs whose logs are equal to the last byte, but for what [`Lines`] names.
const EQUAL: &[&str] = &[
    "holes.txt: a load that lies over two pointers of the context",
    "holes.txt: a stored constant is overwritten in part",
    "holes.txt: a sum of lower halves keeps no upper half",
    "holes.txt: a comparison that tells of another pointer",
    "call.txt: a global function does not test for null",
    "call.txt: a function of the kernel",
    "control.txt: a loop on something that is not known and does not change",
    "limit.txt: a tail call behind much stack",
    "memory.txt: a field in another width",
    "memory.txt: a packet that can only be read is written",
    "memory.txt: a pointer to the stack is stored in the caller's",
    "memory.txt: a value at an index that may be too large",
    "obligation.txt: a callback that keeps a record",
    "obligation.txt: another lock is released",
    "pointer.txt: a value that is tested the wrong way round",
    "pointer.txt: a socket that is not tested for null",
    "register.txt: a register that one path writes only",
    "register.txt: a saved register of the caller",
];

/// How many logs are equal at least; it was 620 of 693 with Linux 6.18.44.
const LEAST: usize = 600;

/// The log of this verifier.
fn ours(case: &RuleCase, which: Which, detail: Detail) -> String {
    on_subject(case, which, |subject, _| {
        let mut text = Text::default();
        let stats = match verify_logged(subject, &Limits::LINUX, &mut text, detail) {
            Ok(verified) => verified.stats(),
            Err(rejection) => {
                for line in rejection.linux.lines() {
                    writeln!(text, "{line}").expect("a string");
                }
                rejection.stats
            }
        };
        writeln!(text, "{stats}").expect("a string");
        text.0
    })
}

/// The lines of a log, without what differs for a reason that is known:
///
/// - what Linux says of arguments before it follows anything: `func 'sched_switch' arg1 has btf_id …`, and of callbacks, which it lets go:
///   `arg#1 expects pointer to ctx`;
/// - how Linux came to what must be precise, and to what of the stack is read later, is not told here: `mark_precise: …`,
///   `frame 0: propagating …`, `(2,5) frame 1 …`, `… live stack update …`; what follows such a line stands on a line of its own then;
/// - nor are loops numbered: `SCC enter (1)`, and a column of `Live regs before insn`;
/// - addresses of the kernel are not shown;
/// - numbers that tell values apart are given in another order, and functions of the kernel have other numbers in another kernel.
struct Lines {
    lines: Vec<String>,
    ids: Vec<u32>,
}

impl Lines {
    fn of(log: &str) -> Vec<String> {
        let mut lines = Lines { lines: Vec::new(), ids: Vec::new() };
        let mut is_cut = false;
        for line in log.lines() {
            if is_untold(line) {
                is_cut = true;
                continue;
            }
            let line = lines.with_ids(&without_numbers(line));
            match lines.lines.last_mut() {
                Some(last) if is_cut && !last.contains(';') && is_insn(last) && is_state(&line) => {
                    let (_, state) = line.split_once(':').unwrap_or_default();
                    let length = last.len() + 1;
                    let column = (length + 4).max(40).next_multiple_of(8);
                    let _ = write!(last, "{:width$};{state}", "", width = column - length - 1);
                }
                _ => lines.lines.push(line),
            }
            is_cut = false;
        }
        lines.lines
    }

    /// Counts ids by where they stand first.
    fn with_ids(&mut self, line: &str) -> String {
        let mut text = String::new();
        let mut rest = line;
        while let Some(at) = ["id=", "refs="].iter().filter_map(|key| Some(rest.find(key)? + key.len())).min()
        {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            let is_list = text.ends_with("refs=");
            loop {
                let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                let (digits, after) = rest.split_at(end);
                rest = after;
                match digits.parse() {
                    Ok(0) | Err(_) => text.push_str(digits),
                    Ok(id) => {
                        let known = self.ids.iter().position(|known| *known == id).unwrap_or_else(|| {
                            self.ids.push(id);
                            self.ids.len() - 1
                        });
                        let _ = write!(text, "{}", known + 1);
                    }
                }
                match rest.strip_prefix(',') {
                    Some(more) if is_list => {
                        text.push(',');
                        rest = more;
                    }
                    _ => break,
                }
            }
        }
        text.push_str(rest);
        text
    }
}

fn is_untold(line: &str) -> bool {
    line.starts_with("mark_precise: ")
        || line.starts_with("SCC ")
        || (line.starts_with("arg#") && line.ends_with(" expects pointer to ctx"))
        || (line.starts_with("func '") && line.contains(" has btf_id "))
        || (line.starts_with("frame ") && line.contains(": propagating "))
        || (line.starts_with('(') && (line.contains(") frame ") || line.contains(") live stack update ")))
}

/// `12: (85) call …`.
fn is_insn(line: &str) -> bool {
    line.split_once(": (").is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

/// `12: R0=1`, `12:`.
fn is_state(line: &str) -> bool {
    line.split_once(':').is_some_and(|(number, rest)| {
        let keys = [" R", " frame", " fp", " refs", " cb"];
        number.parse::<u32>().is_ok() && (rest.is_empty() || keys.iter().any(|key| rest.starts_with(key)))
    })
}

/// Leaves out addresses, and numbers of functions of the kernel and of loops.
fn without_numbers(line: &str) -> String {
    if let Some((before, rest)) = line.split_once(" = 0xffff").filter(|(before, _)| before.contains("(18) r"))
    {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        let (insn, state) = (format!("{before} = 0x0"), rest.trim_start());
        if state.is_empty() {
            return insn;
        }
        let length = insn.len() + 1;
        let column = (length + 4).max(40).next_multiple_of(8);
        return format!("{insn}{:width$}{state}", "", width = column - length - 1);
    }
    if let Some((before, after)) = line.split_once("(85) call ").filter(|(_, name)| name.contains('#')) {
        let (name, rest) = after.split_once('#').unwrap_or_default();
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if rest[..end].parse::<u32>().is_ok_and(|number| number > 1000) {
            return format!("{before}(85) call {name}#{}", rest[end..].trim_start());
        }
    }
    let has_registers =
        line.get(9..19).is_some_and(|set| set.bytes().all(|c| c == b'.' || c.is_ascii_digit()));
    match line.get(4..) {
        Some(rest) if has_registers && line.get(7..9) == Some(": ") => format!("    {rest}"),
        _ => line.to_owned(),
    }
}

/// What a comparison came to.
enum Came {
    Equal,
    /// The first line that differs: Linux's, and this verifier's.
    Differs(String, String),
    /// It cannot be loaded into this Linux, or its verdict is another one, which the case explains.
    Nothing,
}

fn compare(loader: &Loader, case: &RuleCase, which: Which, detail: Detail) -> Came {
    let differs = &case.linux;
    let is_asked = match which {
        Which::Broken => {
            differs.nothing.is_none()
                && differs.accepts.is_none()
                && differs.elsewhere.is_none()
                && differs.otherwise.is_none()
        }
        Which::Twin => differs.nothing.is_none() && differs.twin_nothing.is_none(),
    };
    let level = if detail == Detail::All { EVERY_WAY } else { WAY };
    let loaded = if is_asked { loader.load_with(case, which, level).ok() } else { None };
    // Of a longer log, Linux keeps the end.
    let is_whole = |log: &str| !log.is_empty() && log.len() < LOG - 1;
    let Some(loaded) = loaded.filter(|loaded| is_whole(&loaded.log)) else { return Came::Nothing };
    let mine = ours(case, which, detail);
    let (theirs, ours) = (Lines::of(&loaded.log), Lines::of(&mine));
    let end = "(the end)".to_owned();
    let first = (0..theirs.len().max(ours.len())).find(|&index| theirs.get(index) != ours.get(index));
    match first {
        None => Came::Equal,
        Some(index) => {
            Came::Differs(theirs.get(index).unwrap_or(&end).clone(), ours.get(index).unwrap_or(&end).clone())
        }
    }
}

/// The running Linux, if its log is the one that is meant.
fn linux(test: &str) -> Option<Loader> {
    let loader = Loader::new(skep_linux::kernel());
    let release = loader.kernel().file_read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = String::from_utf8_lossy(&release).into_owned();
    let usable = skep_lab_filetests::Linux::new().is_usable();
    let usable = usable.and_then(|()| match release.starts_with(RELEASE) {
        true => Ok(()),
        false => Err(format!("the log is that of Linux {RELEASE}, this is {}", release.trim())),
    });
    match usable {
        Ok(()) => Some(loader),
        Err(why) => {
            println!("skipped: {test}: {why}");
            None
        }
    }
}

#[test]
fn logs_are_those_of_linux() {
    let Some(loader) = linux("logs_are_those_of_linux") else { return };
    let cases = committed();
    for name in EQUAL {
        assert!(cases.iter().any(|case| case.name == *name), "no case is called {name}");
    }
    let (mut equal, mut asked, mut wrong) = (0, 0, Vec::new());
    for case in &cases {
        for which in [Which::Broken, Which::Twin] {
            for detail in [Detail::All, Detail::Path] {
                match compare(&loader, case, which, detail) {
                    Came::Nothing => continue,
                    Came::Equal => equal += 1,
                    Came::Differs(theirs, ours) => {
                        println!(
                            "{} ({which:?}, {detail:?}):\n  Linux: {theirs}\n  skep:  {ours}",
                            case.name
                        );
                        if EQUAL.contains(&case.name.as_str()) {
                            wrong.push(&case.name);
                        }
                    }
                }
                asked += 1;
            }
        }
    }
    println!("{equal} of {asked} logs are equal");
    assert!(wrong.is_empty(), "these differ: {wrong:?}");
    assert!(equal >= LEAST, "{equal} of {asked} logs are equal, wanted {LEAST}");
}

/// What does not fit is left out where Linux leaves it out, byte by byte, and the size of all of it is told.
#[test]
fn the_embedded_kernel_cuts_logs_as_linux_does() {
    /// `BPF_LOG_FIXED`.
    const FIXED: u32 = 8;
    let Some(loader) = linux("the_embedded_kernel_cuts_logs_as_linux_does") else { return };
    let embedded = Embedded::new(Config::new()).expect("a kernel");
    let embedded = Loader::new(Kernel::from_sys(embedded));
    let cases = committed();
    let mut cut = 0;
    for name in ["memory.txt: a field in another width", "register.txt: a register that nothing has written"]
    {
        let case = cases.iter().find(|case| case.name == name).expect("a case");
        for level in [WAY, EVERY_WAY, WAY | FIXED, EVERY_WAY | FIXED] {
            for size in [1, 2, 40, 100, 161, 200, 300, 400, 1000] {
                let theirs = loader.load_into(case, Which::Twin, level, size).expect("a load");
                let ours = embedded.load_into(case, Which::Twin, level, size).expect("a load");
                let shown = |loaded: &Loaded| (loaded.errno, loaded.whole, loaded.log.clone());
                assert_eq!(shown(&ours), shown(&theirs), "{name}, level {level}, {size} bytes");
                cut += usize::from(ours.errno.is_some());
            }
        }
    }
    assert!(cut > 20, "{cut} were cut");
}

/// Loads a program whose instructions come from a few lines of a source, and gives the log.
fn with_lines(kernel: &Kernel) -> String {
    let mut builder = Builder::new(Endian::NATIVE);
    let int = builder.int("int", Int { size: 4, encoding: IntEncoding::SIGNED, offset: 0, bits: 32 });
    let proto = builder.func_proto(int, &[]);
    let main = builder.func("prog", Func { proto, linkage: FuncLinkage::Global });
    let file = builder.string(b"/src/dir/prog.c").0;
    let (first, second) =
        (builder.string(b"\tint x = ctx->index;").0, builder.string(b"        return x > 3 ? 2 : 1;").0);
    let bytes = builder.finish().expect("types");
    let types = kernel.btf_load(&mut BtfLoad::default(), &bytes, &mut []).expect("types are loaded");
    let program = assemble(
        "r2 = *(u32 *)(r1 + 16)
         r0 = 2
         if r2 > 3 goto out
         r0 = 1
         out: exit",
        &(),
    )
    .expect("a program");
    let insns = raw::to_bytes(program.slots(), ByteOrder::NATIVE).expect("bytes");
    let functions = [FuncInfo { insn_off: 0, type_id: main.0 }];
    let line = |insn_off: u32, line_off: u32, line: u32, column: u32| LineInfo {
        insn_off,
        file_name_off: file,
        line_off,
        line_col: line << 10 | column,
    };
    // The third is of another column, and is not shown.
    let lines = [line(0, first, 7, 10), line(1, second, 8, 2), line(2, second, 8, 13), line(4, first, 7, 1)];
    let mut log = vec![0; LOG];
    let mut load = ProgLoad {
        prog_type: ProgType::XDP.0,
        prog_btf_fd: types.fd().raw(),
        log_level: EVERY_WAY,
        ..ProgLoad::default()
    };
    let memory = ProgLoadMemory {
        insns: &insns,
        license: "GPL",
        log: &mut log,
        func_info: Records { size: 8, bytes: functions.as_bytes() },
        line_info: Records { size: 16, bytes: lines.as_bytes() },
        ..ProgLoadMemory::default()
    };
    kernel.prog_load(&mut load, memory).expect("it is loaded");
    let end = log.iter().position(|&byte| byte == 0).expect("an end");
    String::from_utf8_lossy(&log[..end]).into_owned()
}

#[test]
fn lines_of_the_source_are_shown() {
    let embedded = Embedded::new(Config::new()).expect("a kernel");
    let ours = with_lines(&Kernel::from_sys(embedded));
    let shown: Vec<&str> = ours.lines().filter(|line| line.starts_with("; ")).collect();
    let (first, second) = ("; int x = ctx->index; @ prog.c:7", "; return x > 3 ? 2 : 1; @ prog.c:8");
    assert_eq!(shown[..3], [first, second, first], "{ours}");
    if let Some(loader) = linux("lines_of_the_source_are_shown") {
        assert_eq!(Lines::of(&ours), Lines::of(&with_lines(loader.kernel())));
    }
}
