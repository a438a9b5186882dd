//! Plug-ins that are verified before they run: `gatekeeper [RULE]`.
//!
//! A rule (see `fair.rule`) decides about requests. What it may do is said once, in tables: what its argument looks like and which
//! fields it may write, what it returns, which functions there are, and that an account that it opens must be tested, and
//! closed on every path. A rule that does not keep to that is refused when it is loaded, with the instruction that is to blame.
//! Loops need not end; fuel ends them.

use skep_embedded::CodePages;
use skep_machine::platform::context::{Context, Field};
use skep_machine::platform::helper::{Arg, Effects, Helper as Proto, MemAccess, Nullable, Ret, Work, Zero};
use skep_machine::platform::prog::{Prog, Returns};
use skep_machine::platform::{FuncId, OWN_HELPERS, OWN_TYPES, Platform, ProgType};
use skep_machine::{
    Cpu, Engine, EveryPath, Helper, Input, Limits, Loops, Machine, Param, Setup, SetupError, Stop,
};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

/// The program type: what is hooked here.
const RULE: ProgType = ProgType(OWN_TYPES);

/// What a rule finds behind r1.
static REQUEST: Context = Context {
    name: "request",
    size: 32,
    fields: &[
        Field::own("client", 0, 4),
        Field::own("bytes", 4, 4),
        Field::own("retry", 8, 4).writable(),
        Field::own_bytes("path", 12, 20),
    ],
};

/// What a rule holds while it looks at an account.
static ACCOUNT: Context = Context::opaque("account");

const OPEN: FuncId = FuncId(OWN_HELPERS);
const CHARGE: FuncId = FuncId(OWN_HELPERS + 1);
const CLOSE: FuncId = FuncId(OWN_HELPERS + 2);
const NOTE: FuncId = FuncId(OWN_HELPERS + 3);

/// What rules may call, as the verifier sees it.
static HELPERS: [Proto; 4] = [
    Proto::own(OPEN, "account_open").effects(Effects::ACQUIRES).call(
        &[Arg::Any],
        Ret::OwnOrNull(&ACCOUNT),
        Work::Fixed(1),
    ),
    Proto::own(CHARGE, "account_charge").call(
        &[Arg::Own(&ACCOUNT, Nullable::No), Arg::Any],
        Ret::Int,
        Work::Fixed(1),
    ),
    Proto::own(CLOSE, "account_close").call(&[Arg::OwnRelease(&ACCOUNT)], Ret::Void, Work::Fixed(1)),
    Proto::own(NOTE, "note").call(
        &[Arg::Mem(MemAccess::Read, Nullable::No), Arg::Size(Zero::Refused)],
        Ret::Void,
        Work::Bytes(2),
    ),
];

static RULES: [Prog; 1] = [Prog::own(RULE, &REQUEST).returns(Returns::Within(0, 1))];

const PLATFORM: Platform = Platform { own_progs: &RULES, own_helpers: &HELPERS, ..Platform::LINUX_6_18 };

/// What a rule may spend on a request: about as many instructions.
const FUEL: u64 = 10_000;

/// What the helpers work on.
#[derive(Debug, Default, PartialEq)]
struct Desk {
    coins: BTreeMap<u64, i64>,
    open: BTreeSet<u64>,
    strangers: Vec<String>,
}

/// A request, laid out as rules see it.
fn request(client: u32, bytes: u32, path: &str) -> [u8; 32] {
    let mut request = [0; 32];
    request[..4].copy_from_slice(&client.to_ne_bytes());
    request[4..8].copy_from_slice(&bytes.to_ne_bytes());
    let len = path.len().min(20);
    request[12..12 + len].copy_from_slice(&path.as_bytes()[..len]);
    request
}

/// The helpers themselves. An account is handed out as its client's number and one, for zero is none.
fn setup() -> Setup<'static, Desk> {
    let engine = if Engine::Jit.is_here() { Engine::Jit } else { Engine::Interpreter };
    Setup::new()
        .engine(engine)
        .code(&CodePages)
        .verifier(EveryPath::on(PLATFORM, RULE).limits(Limits { loops: Loops::Metered, ..Limits::LINUX }))
        .helper(
            OPEN.0,
            Helper::new("account_open", &[Param::Int], |desk: &mut Desk, args| {
                let client = args.int(0);
                let is_free = desk.coins.contains_key(&client) && desk.open.insert(client);
                Ok(if is_free { client + 1 } else { 0 })
            }),
        )
        .helper(
            CHARGE.0,
            Helper::new("account_charge", &[Param::Int, Param::Int], |desk: &mut Desk, args| {
                let coins = desk.coins.entry(args.int(0).wrapping_sub(1)).or_default();
                *coins = coins.saturating_sub_unsigned(args.int(1));
                Ok(*coins as u64)
            }),
        )
        .helper(
            CLOSE.0,
            Helper::new("account_close", &[Param::Int], |desk: &mut Desk, args| {
                desk.open.remove(&args.int(0).wrapping_sub(1));
                Ok(0)
            }),
        )
        .helper(
            NOTE.0,
            Helper::new("note", &[Param::READ, Param::Len], |desk: &mut Desk, args| {
                let text = args.copy(0)?;
                let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
                desk.strangers.push(String::from_utf8_lossy(&text[..end]).into_owned());
                Ok(0)
            }),
        )
}

/// Where requests pass: every rule is asked, until one refuses.
#[derive(Default)]
struct Gate {
    rules: Vec<Machine<'static, Desk>>,
    desk: Desk,
}

impl Gate {
    /// Hooks a rule in, if it is one that keeps to the tables.
    fn load(&mut self, rule: &str) -> Result<(), Box<dyn Error>> {
        let setup = setup();
        let program = setup.assemble(rule)?;
        self.rules.push(setup.load(program).map_err(|error: SetupError| error)?);
        Ok(())
    }

    /// Asks the rules about a request, which they may write to. A rule that ran out of fuel has been stopped anywhere: what it held is
    /// given back here.
    fn admits(&mut self, request: &mut [u8; 32]) -> Result<bool, Stop> {
        for rule in &self.rules {
            let mut cpu = Cpu::new(std::mem::take(&mut self.desk)).with_fuel(FUEL);
            let verdict = rule.run(&mut cpu, Input::Memory(&mut request[..]));
            self.desk = cpu.into_state();
            if verdict.inspect_err(|_| self.desk.open.clear())? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A rule whose author forgot that clients run out of coins with their accounts open.
const FORGETFUL: &str = "r6 = r1
    r1 = *(u32 *)(r6 + 0)
    call account_open
    if r0 == 0 goto no
    r7 = r0
    r1 = r7
    r2 = 1
    call account_charge
    if r0 s< 0 goto no
    r1 = r7
    call account_close
    r0 = 1
    exit
no:
    r0 = 0
    exit";

fn main() -> Result<(), Box<dyn Error>> {
    let rule = match std::env::args().nth(1) {
        Some(path) => std::fs::read_to_string(path)?,
        None => include_str!("../fair.rule").to_owned(),
    };
    let mut gate = Gate::default();
    gate.desk.coins.extend([(7, 3), (8, 100)]);
    gate.load(&rule)?;
    for (client, bytes, path) in
        [(7, 2000, "/honey"), (8, 5000, "/wax"), (7, 1500, "/honey"), (9, 1, "/wasps")]
    {
        let mut request = request(client, bytes, path);
        let verdict = if gate.admits(&mut request)? { "in" } else { "out" };
        let retry = u32::from_ne_bytes([request[8], request[9], request[10], request[11]]);
        println!("client {client} {path}: {verdict}, retry {retry}");
    }
    println!("strangers asked for {:?}", gate.desk.strangers);
    if let Err(refusal) = gate.load(FORGETFUL) {
        println!("the next rule is refused: {refusal}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAIR: &str = include_str!("../fair.rule");

    fn gate(rule: &str) -> Gate {
        let mut gate = Gate::default();
        gate.desk.coins.insert(7, 3);
        gate.load(rule).unwrap();
        gate
    }

    #[test]
    fn requests_are_let_in_while_there_are_coins() {
        let mut gate = gate(FAIR);
        let mut first = request(7, 1023, "/a");
        assert_eq!((gate.admits(&mut first), first[8]), (Ok(true), 0));
        let mut second = request(7, 4096, "/b");
        assert_eq!((gate.admits(&mut second), second[8]), (Ok(false), 60));
        assert_eq!(gate.admits(&mut request(9, 0, "/c")), Ok(false));
        let desk = Desk { coins: [(7, -3)].into(), strangers: vec!["/c".to_owned()], ..Desk::default() };
        assert_eq!(gate.desk, desk);
    }

    #[track_caller]
    fn refused(rule: &str, why: &str) {
        let refusal = Gate::default().load(rule).expect_err(rule).to_string();
        assert!(refusal.contains(why), "{refusal}");
    }

    #[test]
    fn accounts_are_tested_and_closed_on_every_path() {
        refused(
            FORGETFUL,
            "instruction 14: the program ends, and what instruction 2 acquired is not released",
        );
        let untested = FAIR.replace("if r0 == 0", "if r0 == 1");
        refused(
            &untested,
            "account_charge wants `account`, tested for null, in r1, found a pointer to `account`, or null",
        );
        let twice = FAIR.replace("call account_close", "call account_close\nr1 = r7\ncall account_close");
        refused(&twice, "account_close wants `account`");
        refused(
            &FAIR.replace("r1 = r7", "r1 = 8"),
            "wants `account`, tested for null, in r1, found the number 8",
        );
    }

    #[test]
    fn fields_are_used_as_the_table_says() {
        refused("*(u32 *)(r1 + 0) = 8\nr0 = 1\nexit", "may not write `client`");
        refused("r0 = *(u64 *)(r1 + 0)\nexit", "`client`");
        refused("r0 = *(u32 *)(r1 + 32)\nexit", "no field");
        // The path ends with the request.
        refused(&FAIR.replace("r2 = 20", "r2 = 21"), "no field");
        refused(&FAIR.replace("r1 += 12", "r1 += 8"), "`retry`");
        refused("r0 = 2\nexit", "wanted the program to return 0 to 1, found the number 2 in r0");
        refused("call 1073741900\nexit", "1073741900");
    }

    #[test]
    fn loops_end_with_the_fuel() {
        // It waits for an account that nobody opens.
        let mut patient = gate(
            "r6 = r1\nagain: r1 = 8\ncall account_open\nif r0 == 0 goto again\nr1 = r0\ncall account_close\nr0 = 1\nexit",
        );
        assert!(patient.admits(&mut request(7, 0, "/")).unwrap_err().to_string().contains("fuel"));
        // It spends its time with one open.
        let mut idle = gate(
            "r6 = r1\nr1 = 7\ncall account_open\nif r0 == 0 goto no\nr7 = r0\nr8 = 0\nagain: r8 += 1\nif r8 != 1000000 goto again\n\
             r1 = r7\ncall account_close\nr0 = 1\nexit\nno: r0 = 0\nexit",
        );
        assert!(idle.admits(&mut request(7, 0, "/")).is_err());
        assert!(idle.desk.open.is_empty());
        // What it does in each turn is looked at all the same.
        refused(
            "again: r1 = 7\ncall account_open\nif r0 != 0 goto out\ngoto again\nout: r0 = 1\nexit",
            "not released",
        );
    }
}
