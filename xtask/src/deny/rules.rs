//! The rules in `deny.toml`, and what they say of a set of crates.

use super::license::is_allowed;
use super::{Ask, Crate};
use anyhow::Result;
use serde::Deserialize;

/// The file. A key that is not checked is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Licenses {
    allow: Vec<String>,
    /// Crates that may have more.
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    name: String,
    allow: Vec<String>,
}

/// What to do about something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Lint {
    Allow,
    Deny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Bans {
    multiple_versions: Lint,
    wildcards: Lint,
    allow_wildcard_paths: bool,
    deny: Vec<Ban>,
    skip: Vec<Skip>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    name: String,
    /// The crates that may have it all the same.
    #[serde(default)]
    wrappers: Vec<String>,
}

/// A version that may stand beside a newer one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Skip {
    name: String,
    version: String,
    /// Why it cannot be helped.
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Sources {
    unknown_registry: Lint,
    unknown_git: Lint,
}

/// How metadata names crates.io.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

impl Rules {
    pub(super) fn parse(text: &str) -> Result<Self> {
        Ok(toml::from_str(text)?)
    }

    /// What is wrong with a set of crates.
    pub(super) fn faults(&self, crates: &[Crate]) -> Vec<String> {
        let each = |one: &Crate| [self.license(one), self.source(one), self.wildcard(one)];
        let mut faults: Vec<_> = crates.iter().flat_map(each).flatten().collect();
        faults.extend(crates.iter().filter_map(|one| self.ban(one, crates)));
        faults.extend(self.duplicates(crates));
        faults
    }

    /// What the file says of crates that are not among these.
    pub(super) fn stale(&self, crates: &[Crate]) -> Vec<String> {
        let unused = |skip: &&Skip| {
            let same = crates.iter().filter(|one| one.name == skip.name);
            let versions: Vec<_> = same.map(|one| one.version.as_str()).collect();
            versions.len() < 2 || !versions.iter().any(|version| skip.covers(version))
        };
        let line = |skip: &Skip| format!("skips {} {}, which is no duplicate", skip.name, skip.version);
        self.bans.skip.iter().filter(unused).map(line).collect()
    }

    fn license(&self, one: &Crate) -> Option<String> {
        let Some(license) = &one.license else { return Some(format!("{}: names no licence", one.place())) };
        let mut allow = self.licenses.allow.clone();
        let exceptions = self.licenses.exceptions.iter().filter(|exception| exception.name == one.name);
        allow.extend(exceptions.flat_map(|exception| exception.allow.clone()));
        match is_allowed(license, &allow) {
            Ok(true) => None,
            Ok(false) => Some(format!("{}: its licence is `{license}`", one.place())),
            Err(why) => Some(format!("{}: `{license}` is no licence: {why}", one.place())),
        }
    }

    fn source(&self, one: &Crate) -> Option<String> {
        let source = one.source.as_deref()?;
        let lint = match source {
            CRATES_IO => return None,
            _ if source.starts_with("git+") => self.sources.unknown_git,
            _ => self.sources.unknown_registry,
        };
        (lint == Lint::Deny).then(|| format!("{}: comes from {source}", one.place()))
    }

    fn wildcard(&self, one: &Crate) -> Option<String> {
        // What others publish is theirs; crates.io refuses wildcards there.
        if one.source.is_some() || self.bans.wildcards != Lint::Deny {
            return None;
        }
        let is_wild = |ask: &&Ask| ask.requirement == "*" && !(ask.is_path && self.bans.allow_wildcard_paths);
        one.asks.iter().find(is_wild).map(|ask| format!("{}: takes any version of {}", one.place(), ask.name))
    }

    fn ban(&self, one: &Crate, all: &[Crate]) -> Option<String> {
        let ban = self.bans.deny.iter().find(|ban| ban.name == one.name)?;
        let mut users = all.iter().filter(|user| user.got.contains(&one.id));
        let user = users.find(|user| !ban.wrappers.contains(&user.name))?;
        Some(format!("{}: banned, and {} has it", one.place(), user.place()))
    }

    fn duplicates(&self, crates: &[Crate]) -> Vec<String> {
        if self.bans.multiple_versions != Lint::Deny {
            return Vec::new();
        }
        let skipped = |one: &Crate| {
            self.bans.skip.iter().any(|skip| skip.name == one.name && skip.covers(&one.version))
        };
        let counted: Vec<_> = crates.iter().filter(|one| !skipped(one)).collect();
        let again = |(index, one): (usize, &&Crate)| {
            let first = counted[..index].iter().find(|other| other.name == one.name)?;
            Some(format!("{}: {} is there too", one.place(), first.version))
        };
        counted.iter().enumerate().filter_map(again).collect()
    }
}

impl Skip {
    /// Whether a version is this one, as far as it is written out.
    fn covers(&self, version: &str) -> bool {
        !self.reason.is_empty()
            && version
                .strip_prefix(&self.version)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl Crate {
    fn place(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
        licenses = { allow = ["MIT"], exceptions = [{ name = "more", allow = ["Zlib"] }] }
        sources = { unknown-registry = "deny", unknown-git = "deny" }
        [bans]
        multiple-versions = "deny"
        wildcards = "deny"
        allow-wildcard-paths = true
        deny = [{ name = "bad", wrappers = ["wrapper"] }]
        skip = [{ name = "twice", version = "1", reason = "somebody needs it" }]
    "#;

    fn a_crate(name: &str, version: &str) -> Crate {
        Crate {
            name: name.into(),
            version: version.into(),
            license: Some("MIT".into()),
            source: Some(CRATES_IO.into()),
            id: format!("{name}@{version}"),
            ..Crate::default()
        }
    }

    fn faults(crates: &[Crate]) -> Vec<String> {
        Rules::parse(RULES).expect("rules").faults(crates)
    }

    #[test]
    fn what_keeps_the_rules_is_left_alone() {
        let ask = Ask { name: "b".into(), requirement: "*".into(), is_path: true };
        let mut ours = Crate { source: None, asks: vec![ask], ..a_crate("a", "1.0.0") };
        ours.got.push("b@1.0.0".into());
        let all = [ours, a_crate("b", "1.0.0"), a_crate("twice", "1.2.3"), a_crate("twice", "2.0.0")];
        assert_eq!(faults(&all), [""; 0]);
    }

    #[test]
    fn each_rule_finds_its_own() {
        let gpl = Crate { license: Some("GPL-2.0-only".into()), ..a_crate("a", "1.0.0") };
        assert_eq!(faults(&[gpl]), ["a 1.0.0: its licence is `GPL-2.0-only`"]);
        let zlib = |name| Crate { license: Some("Zlib".into()), ..a_crate(name, "1.0.0") };
        assert_eq!(faults(&[zlib("more"), zlib("a")]), ["a 1.0.0: its licence is `Zlib`"]);
        let none = Crate { license: None, ..a_crate("a", "1.0.0") };
        assert_eq!(faults(&[none]), ["a 1.0.0: names no licence"]);
        let git = Crate { source: Some("git+https://x".into()), ..a_crate("a", "1.0.0") };
        assert_eq!(faults(&[git]), ["a 1.0.0: comes from git+https://x"]);
        let other = Crate { source: Some("registry+https://x".into()), ..a_crate("a", "1.0.0") };
        assert_eq!(faults(&[other]), ["a 1.0.0: comes from registry+https://x"]);
        let ask = Ask { name: "b".into(), requirement: "*".into(), is_path: false };
        let wild = Crate { source: None, asks: vec![ask], ..a_crate("a", "1.0.0") };
        assert_eq!(faults(&[wild]), ["a 1.0.0: takes any version of b"]);
        assert_eq!(faults(&[a_crate("a", "1.0.0"), a_crate("a", "2.0.0")]), ["a 2.0.0: 1.0.0 is there too"]);
    }

    #[test]
    fn what_is_banned_may_be_had_by_its_wrappers_only() {
        let user = |name: &str| Crate { got: vec!["bad@1.0.0".into()], ..a_crate(name, "1.0.0") };
        assert_eq!(faults(&[a_crate("bad", "1.0.0"), user("wrapper")]), [""; 0]);
        let all = [a_crate("bad", "1.0.0"), user("wrapper"), user("other")];
        assert_eq!(faults(&all), ["bad 1.0.0: banned, and other 1.0.0 has it"]);
    }

    #[test]
    fn a_skip_that_skips_nothing_is_stale() {
        let rules = Rules::parse(RULES).expect("rules");
        assert_eq!(rules.stale(&[a_crate("twice", "1.2.3"), a_crate("twice", "2.0.0")]), [""; 0]);
        assert_eq!(rules.stale(&[a_crate("twice", "1.2.3")]).len(), 1);
        assert_eq!(rules.stale(&[a_crate("twice", "10.0.0"), a_crate("twice", "2.0.0")]).len(), 1);
    }

    #[test]
    fn a_key_that_nothing_checks_is_refused() {
        assert!(Rules::parse(&format!("advisories = {{}}\n{RULES}")).is_err());
    }
}
