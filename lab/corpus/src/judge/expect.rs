//! What a self-test's author expects, as declaration tags on its function say it (the macros of
//! tools/testing/selftests/bpf/progs/bpf_misc.h in Linux 6.12, and `parse_test_spec` in test_loader.c beside it).

use serde::{Deserialize, Serialize};
use skep::Btf;
use skep_abi::flags;
use skep_btf::{Def, Kind};
use std::collections::BTreeMap;

/// What is expected of one program.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Expected {
    /// Which verdict.
    pub(crate) outcome: Outcome,
    /// What the log has, in this order; `{{…}}` is a regular expression.
    pub(crate) messages: Vec<String>,
    /// What a run returns.
    pub(crate) returns: Option<u32>,
    /// `BPF_F_…` that it is loaded with.
    pub(crate) flags: u32,
}

/// A verdict that is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The program is accepted.
    #[default]
    Success,
    /// It is refused.
    Failure,
    /// Something is said of users without rights only.
    Unprivileged,
    /// It is no test itself.
    Auxiliary,
    /// It is for another machine.
    OtherMachine,
}

/// The tags of an object's functions, by name.
pub(crate) struct Tags {
    functions: BTreeMap<String, Vec<String>>,
    /// Whether there is any that a test has.
    has_tests: bool,
}

/// How tags of tests begin.
const PREFIX: &str = "comment:test_";

impl Tags {
    /// Reads the tags.
    pub(crate) fn of(btf: &Btf<'_>) -> Tags {
        let mut functions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for ty in btf.types() {
            let Def::DeclTag(tag) = ty.def() else { continue };
            let Some(text) = ty.name().strip_prefix(PREFIX) else { continue };
            let Some(function) = btf.get(tag.target).filter(|of| of.kind() == Some(Kind::Func)) else {
                continue;
            };
            if tag.component.is_none() {
                functions.entry(function.name().to_owned()).or_default().push(text.to_owned());
            }
        }
        let has_tests = !functions.is_empty();
        Tags { functions, has_tests }
    }

    /// What is expected of a program; `None` where no function of the object has such tags: another test has other plans with it.
    pub(crate) fn of_program(&self, name: &str) -> Option<Expected> {
        let none = Vec::new();
        self.has_tests.then(|| expected(self.functions.get(name).unwrap_or(&none)))
    }
}

fn expected(tags: &[String]) -> Expected {
    let mut expected = Expected::default();
    let (mut is_privileged, mut is_unprivileged, mut is_auxiliary) = (false, false, false);
    let mut machines = Vec::new();
    let mut messages = Vec::new();
    for tag in tags {
        let (word, value) = tag.split_once('=').unwrap_or((tag, ""));
        is_unprivileged |= word.ends_with("_unpriv");
        match word {
            "expect_success" => is_privileged = true,
            "expect_failure" => {
                is_privileged = true;
                expected.outcome = Outcome::Failure;
            }
            "auxiliary" | "auxiliary_unpriv" => is_auxiliary = true,
            "expect_msg" => {
                is_privileged = true;
                // A counter in front keeps them in order.
                let (at, text) = value.split_once('=').unwrap_or(("0", value));
                messages.push((at.parse::<u32>().unwrap_or(0), text.to_owned()));
            }
            "expect_xlated" | "jited" => is_privileged = true,
            "retval" => {
                is_privileged = true;
                expected.returns = returned(value);
            }
            "prog_flags" => expected.flags |= flag(value),
            "arch" => machines.push(value),
            _ => {}
        }
    }
    messages.sort();
    expected.messages = messages.into_iter().map(|(_, text)| text).collect();
    if is_auxiliary {
        expected.outcome = Outcome::Auxiliary;
    } else if is_unprivileged && !is_privileged {
        expected.outcome = Outcome::Unprivileged;
    } else if !machines.is_empty() && !machines.contains(&machine()) {
        expected.outcome = Outcome::OtherMachine;
    }
    expected
}

/// This machine, in the words of the tags.
fn machine() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "X86_64",
        "aarch64" => "ARM64",
        "riscv64" => "RISCV64",
        other => other,
    }
}

/// Reads what a run returns; `None` where it may be anything.
fn returned(text: &str) -> Option<u32> {
    match text {
        "POINTER_VALUE" => None,
        "TEST_DATA_LEN" => Some(64),
        "INT_MIN" => Some(i32::MIN as u32),
        _ => match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => text.parse::<i64>().ok().map(|value| value as u32),
        },
    }
}

fn flag(name: &str) -> u32 {
    match name {
        "BPF_F_STRICT_ALIGNMENT" => flags::BPF_F_STRICT_ALIGNMENT,
        "BPF_F_ANY_ALIGNMENT" => flags::BPF_F_ANY_ALIGNMENT,
        "BPF_F_TEST_RND_HI32" => flags::BPF_F_TEST_RND_HI32,
        "BPF_F_TEST_STATE_FREQ" => flags::BPF_F_TEST_STATE_FREQ,
        "BPF_F_SLEEPABLE" => flags::BPF_F_SLEEPABLE,
        "BPF_F_XDP_HAS_FRAGS" => flags::BPF_F_XDP_HAS_FRAGS,
        "BPF_F_TEST_REG_INVARIANTS" => flags::BPF_F_TEST_REG_INVARIANTS,
        number => number.parse().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tags: &[&str]) -> Expected {
        expected(&tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn without_tags_success_is_expected() {
        assert_eq!(of(&[]), Expected::default());
    }

    #[test]
    fn messages_are_in_order() {
        let found = of(&["expect_msg=10=b", "expect_failure", "expect_msg=9=a=b"]);
        assert_eq!(
            (found.outcome, found.messages),
            (Outcome::Failure, vec!["a=b".to_owned(), "b".to_owned()])
        );
    }

    #[test]
    fn what_is_said_of_users_without_rights_only_is_no_expectation() {
        assert_eq!(of(&["expect_failure_unpriv", "expect_msg_unpriv=1=x"]).outcome, Outcome::Unprivileged);
        assert_eq!(of(&["expect_failure_unpriv", "expect_success"]).outcome, Outcome::Success);
        assert_eq!(of(&["auxiliary", "expect_success"]).outcome, Outcome::Auxiliary);
        assert_eq!(of(&["expect_success", "arch=s390x"]).outcome, Outcome::OtherMachine);
    }

    #[test]
    fn results_are_words_of_32_bits() {
        let of = |text| returned(text);
        assert_eq!(
            (of("-1"), of("0xFFFFff23"), of("INT_MIN")),
            (Some(u32::MAX), Some(0xffff_ff23), Some(1 << 31))
        );
        assert_eq!((of("TEST_DATA_LEN"), of("POINTER_VALUE"), of("-0")), (Some(64), None, Some(0)));
    }
}
