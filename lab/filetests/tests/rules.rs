//! Every rule of the verifier: a program that breaks it, on the instruction, and its twin, on the verifier and on the kernels.

use skep_embedded::{Config, Embedded};
use skep_isa::InsnIdx;
use skep_lab_filetests::{Loader, On, RuleCase, Which, committed, on_subject};
use skep_lab_world::kernel;
use skep_model::platform::Platform;
use skep_sys::Kernel;
use skep_verifier::{Limits, Rejection, Rule, Verified, verify};
use std::sync::OnceLock;

/// Rules that no program in text breaks.
const WITHOUT: &[(&str, &str)] =
    &[("limit-memory", "it takes an allocator that fails: user/embedded/tests/no_memory")];

fn cases() -> &'static [RuleCase] {
    static CASES: OnceLock<Vec<RuleCase>> = OnceLock::new();
    CASES.get_or_init(committed)
}

fn types(name: &str) -> Option<u32> {
    kernel().find(name).map(|id| id.0)
}

fn verdict(case: &RuleCase, which: Which) -> (Result<Verified, Rejection>, Option<InsnIdx>) {
    on_subject(case, which, |subject, marked| (verify(subject, &Limits::LINUX), marked))
}

/// Fails with all that is wrong with cases.
fn each(what: &str, mut wrong: impl FnMut(&RuleCase) -> Option<String>) {
    let found: Vec<String> =
        cases().iter().filter_map(|case| Some(format!("{}: {}", case.name, wrong(case)?))).collect();
    assert!(found.is_empty(), "{} of {} {what}:\n{}", found.len(), cases().len(), found.join("\n"));
}

#[test]
fn every_rule_has_a_case() {
    let has_case = |id: &str| cases().iter().any(|case| case.rule == id);
    for rule in Rule::ALL {
        let id = rule.id();
        let without = WITHOUT.iter().any(|(known, _)| *known == id);
        assert!(
            has_case(id) != without,
            "{id}: {}",
            if without { "it has a case" } else { "no case breaks it" }
        );
    }
    for case in cases() {
        assert!(
            Rule::ALL.iter().any(|rule| rule.id() == case.rule),
            "{}: no rule is called `{}`",
            case.name,
            case.rule
        );
    }
}

#[test]
fn programs_break_the_rule_on_the_instruction() {
    each("do otherwise", |case| {
        let (verdict, marked) = verdict(case, Which::Broken);
        let rejection = match verdict {
            Ok(_) => return Some("it is accepted".to_owned()),
            Err(rejection) => rejection,
        };
        if rejection.id() != case.rule || (marked.is_some() && rejection.insn != marked) {
            return Some(format!(
                "wanted {} on {marked:?}, found {}: {rejection}",
                case.rule,
                rejection.id()
            ));
        }
        if rejection.errno() != expected_errno(case) {
            return Some(format!("wanted {}, found {}", expected_errno(case), rejection.errno()));
        }
        let says: Vec<&str> = rejection.linux.lines().collect();
        let wanted = case.says(On::Skep, &types).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        if says != wanted {
            return Some(format!("wanted\n  {}\nfound\n  {}", wanted.join("\n  "), says.join("\n  ")));
        }
        None
    });
}

#[test]
fn twins_are_accepted() {
    each("twins are not", |case| verdict(case, Which::Twin).0.err().map(|rejection| rejection.to_string()));
}

fn expected_errno(case: &RuleCase) -> skep_abi::Errno {
    let rule = Rule::ALL.iter().find(|rule| rule.id() == case.rule);
    case.errno.unwrap_or_else(|| rule.expect("a rule").errno())
}

#[cfg(target_os = "linux")]
#[test]
fn linux_refuses_them_too() {
    let usable = skep_lab_filetests::Linux::new().is_usable();
    if let Err(why) = usable {
        println!("skipped: linux_refuses_them_too: {why}");
        return;
    }
    let loader = Loader::new(skep_linux::kernel());
    each("differ on Linux", |case| on_linux(&loader, case).err());
}

#[cfg(target_os = "linux")]
fn on_linux(loader: &Loader, case: &RuleCase) -> Result<(), String> {
    let linux = &case.linux;
    if linux.nothing.is_some() {
        return Ok(());
    }
    let marked =
        case.program(Which::Broken, &|name| loader.find(name)).map_err(|error| error.to_string())?.marked;
    let broken = loader.load(case, Which::Broken)?;
    let log = || format!("\n{}", broken.log);
    let wanted = match (&linux.accepts, &linux.errno) {
        (Some(_), _) => None,
        (None, Some((errno, _))) => Some(*errno),
        (None, None) => Some(expected_errno(case)),
    };
    if wanted != broken.errno {
        return Err(format!("wanted {wanted:?}, found {:?}{}", broken.errno, log()));
    }
    if wanted.is_some() {
        let last = broken.last_insn().map(InsnIdx);
        let elsewhere = marked.is_some() && last != marked && (last.is_some() || linux.elsewhere.is_some());
        if elsewhere != linux.elsewhere.is_some() {
            return Err(format!("wanted it to end on {marked:?}, found {last:?}{}", log()));
        }
        if broken.reasons() != case.says(On::Linux, &|name| loader.find(name))? {
            let found: Vec<String> = broken.reasons().iter().map(|line| format!("says {line}\n")).collect();
            return Err(format!("it says\n{}{}", found.concat(), log()));
        }
    }
    if linux.twin_nothing.is_none() {
        let twin = loader.load(case, Which::Twin)?;
        if let Some(errno) = twin.errno {
            return Err(format!("its twin is refused: {errno}\n{}", twin.log));
        }
    }
    Ok(())
}

#[test]
fn the_embedded_kernel_refuses_them_too() {
    let embedded = Embedded::new(Config::new()).expect("a kernel");
    let loader = Loader::new(Kernel::from_sys(embedded));
    let mut asked = 0;
    each("differ on the embedded kernel", |case| {
        // What it has no contexts for it does not load, and of the kernel's types it has few.
        let context = Platform::LINUX_6_18.prog(case.kind(Which::Twin)).and_then(|prog| prog.context);
        if context.is_none() || case.target(Which::Twin).is_some() {
            return None;
        }
        // Nor what needs helpers and maps that it has not.
        let twin = loader.load(case, Which::Twin).ok()?;
        if twin.log.contains("here") && twin.errno.is_some() {
            return None;
        }
        if let Some(errno) = twin.errno {
            return Some(format!("its twin is refused: {errno}\n{}", twin.log));
        }
        let broken = loader.load(case, Which::Broken).ok()?;
        if broken.log.contains("which this kernel has not") || case.rule == "unsupported" {
            return None;
        }
        asked += 1;
        let says = case.says(On::Skep, &types).unwrap_or_default();
        if broken.errno != Some(expected_errno(case))
            || !broken.reasons().ends_with(&says.iter().map(String::as_str).collect::<Vec<_>>())
        {
            return Some(format!("found {:?}\n{}", broken.errno, broken.log));
        }
        None
    });
    assert!(asked > 100, "{asked} cases were asked");
}
