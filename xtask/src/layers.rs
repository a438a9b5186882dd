//! Which crate may use which.
//!
//! `base/` is at the bottom and knows no operating system; `user/` stands on it; `lab/`, `examples/` and `xtask/`
//! stand on both. Within `base/` and `user/` the table below is the whole truth: an edge that is not in it is an
//! error, also when the compiler would allow it. A row may name a crate that is not born yet.
//! Dev-dependencies may point anywhere but upwards: never from `base/` to `user/`.

use crate::cargo::{self, Dep, DepKind, Need, Package};
use crate::outcome::Outcome;
use anyhow::{Result, bail};

/// One crate and what it may use.
struct Row {
    /// Its folder, which is where its name comes from.
    dir: &'static str,
    /// Folders of the crates it may use.
    may_use: Uses,
    /// Folders of the crates it may use, but only behind a feature of its own.
    by_feature: &'static [&'static str],
}

enum Uses {
    /// These crates and no others of the workspace.
    Only(&'static [&'static str]),
    /// Every crate of `base/`.
    AllOfBase,
    /// Every crate of `base/` and `user/` but these: the ends of the house, where everything meets.
    AllBut(&'static [&'static str]),
}

const fn row(dir: &'static str, may_use: &'static [&'static str]) -> Row {
    Row { dir, may_use: Uses::Only(may_use), by_feature: &[] }
}

const TABLE: &[Row] = &[
    row("base/isa", &[]),
    row("base/abi", &[]),
    row("base/btf", &["base/isa", "base/abi"]),
    row("base/model", &["base/isa", "base/abi"]),
    row("base/sys", &["base/abi", "base/mem"]),
    row("base/mem", &["base/abi"]),
    row("base/verifier", &["base/isa", "base/abi", "base/btf", "base/model"]),
    row("base/ir", &["base/isa", "base/model"]),
    row("base/jit", &["base/ir", "base/isa"]),
    row("base/exact", &["base/isa", "base/model", "base/mem"]),
    row("base/maps", &["base/mem", "base/model", "base/abi"]),
    row("base/helpers", &["base/maps", "base/mem", "base/model", "base/abi"]),
    row("base/vm", &["base/ir", "base/jit", "base/mem", "base/isa", "base/model", "base/verifier"]),
    row(
        "base/machine",
        &[
            "base/isa",
            "base/abi",
            "base/model",
            "base/mem",
            "base/ir",
            "base/jit",
            "base/vm",
            "base/exact",
            "base/maps",
            "base/helpers",
            "base/verifier",
        ],
    ),
    Row { dir: "base/kernel", may_use: Uses::AllOfBase, by_feature: &[] },
    row("user/linux", &["base/sys", "base/abi"]),
    row("user/embedded", &["base/sys", "base/kernel", "base/mem", "base/abi"]),
    row("user/elf", &["base/model", "base/btf", "base/isa", "base/abi"]),
    Row {
        dir: "user/skep",
        may_use: Uses::Only(&["user/elf", "base/sys", "base/btf", "base/model", "base/abi"]),
        by_feature: &["user/linux", "user/embedded", "base/machine"],
    },
    row("user/explain", &["base/verifier", "base/btf", "base/machine"]),
    row("user/codegen", &["user/elf", "base/model", "base/btf"]),
    row("user/cargo-skep", &["user/codegen", "user/elf", "user/skep"]),
    Row { dir: "user/cli", may_use: Uses::AllBut(&["base/ir", "base/jit"]), by_feature: &[] },
];

/// Crates from outside that `base/` may link: each works without an operating system.
const BASE_EXTERNALS: &[&str] = &["hmac-sha256", "zerocopy"];

/// Targets whose dependencies never reach a build that is shipped.
const CHECKER_TARGETS: &[&str] = &["cfg(loom)", "cfg(fuzzing)"];

pub(crate) fn run(_args: &[String]) -> Result<Outcome> {
    let packages = cargo::packages()?;
    let faults = check(&packages);
    if faults.is_empty() {
        return Ok(Outcome::Done(format!("{} crates", packages.len())));
    }
    bail!("the table in xtask/src/layers.rs forbids:\n  {}", faults.join("\n  "));
}

fn check(packages: &[Package]) -> Vec<String> {
    packages.iter().flat_map(|package| check_package(package, packages)).collect()
}

fn check_package(package: &Package, all: &[Package]) -> Vec<String> {
    let dir = slashed(package);
    let mut faults = Vec::new();
    let floor = Floor::of(&dir);
    if floor == Floor::Free {
        return faults;
    }
    let Some(row) = TABLE.iter().find(|row| row.dir == dir) else {
        return vec![format!("{dir}: the crate has no row in the table")];
    };
    if package.name != name_of(&dir) {
        faults.push(format!(
            "{dir}: the crate is called `{}`, its folder says `{}`",
            package.name,
            name_of(&dir)
        ));
    }
    for dep in &package.deps {
        let sibling = all.iter().find(|other| other.name == dep.name).map(slashed);
        let fault = match sibling {
            Some(sibling) => check_sibling(row, floor, dep, &sibling),
            None => check_external(floor, dep),
        };
        faults.extend(fault.map(|fault| format!("{dir}: {fault}")));
    }
    faults
}

fn check_sibling(row: &Row, floor: Floor, dep: &Dep, sibling: &str) -> Option<String> {
    let below = Floor::of(sibling);
    if dep.kind == DepKind::Dev {
        return (below > floor && floor == Floor::Base).then(|| format!("dev-depends upwards on {sibling}"));
    }
    if below > floor {
        return Some(format!("depends upwards on {sibling}"));
    }
    if row.by_feature.contains(&sibling) {
        return (dep.need == Need::Always).then(|| format!("may use {sibling} by a feature only"));
    }
    let allowed = match row.may_use {
        Uses::Only(list) => list.contains(&sibling),
        Uses::AllOfBase => below == Floor::Base,
        Uses::AllBut(list) => !list.contains(&sibling),
    };
    (!allowed).then(|| format!("may not use {sibling}"))
}

fn check_external(floor: Floor, dep: &Dep) -> Option<String> {
    let shipped = dep.kind == DepKind::Normal
        && !dep.target.as_deref().is_some_and(|target| CHECKER_TARGETS.contains(&target));
    let fault = floor == Floor::Base && shipped && !BASE_EXTERNALS.contains(&dep.name.as_str());
    fault.then(|| format!("`{}` is not among the crates from outside that base/ may link", dep.name))
}

/// Where a crate lives; a lower floor never uses a higher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Floor {
    Base,
    User,
    /// `lab/`, `examples/`, `xtask/`: never published, so free to use anything.
    Free,
}

impl Floor {
    fn of(dir: &str) -> Self {
        match dir.split('/').next() {
            Some("base") => Self::Base,
            Some("user") => Self::User,
            _ => Self::Free,
        }
    }
}

fn slashed(package: &Package) -> String {
    let parts: Vec<_> = package.dir.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// The name that a folder prescribes: `skep-<folder>`, but for the crate that users depend on and cargo's subcommand.
fn name_of(dir: &str) -> String {
    match dir.rsplit('/').next().unwrap_or(dir) {
        whole @ ("skep" | "cargo-skep") => whole.to_owned(),
        folder => format!("skep-{folder}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(dir: &str, deps: &[(&str, DepKind, Need)]) -> Package {
        let deps = deps.iter().map(|&(name, kind, need)| Dep { name: name.into(), kind, need, target: None });
        Package { name: name_of(dir), dir: dir.into(), deps: deps.collect() }
    }

    /// The faults of `dir` when it has `deps`, beside one empty crate per row of the table.
    fn faults(dir: &str, deps: &[(&str, DepKind, Need)]) -> Vec<String> {
        let mut all: Vec<_> =
            TABLE.iter().filter(|row| row.dir != dir).map(|row| package(row.dir, &[])).collect();
        all.push(package(dir, deps));
        check(&all)
    }

    #[test]
    fn an_edge_of_the_table_is_allowed() {
        assert!(faults("base/exact", &[("skep-mem", DepKind::Normal, Need::Always)]).is_empty());
        assert!(faults("base/kernel", &[("skep-exact", DepKind::Normal, Need::Always)]).is_empty());
    }

    #[test]
    fn an_edge_that_is_not_in_the_table_is_a_fault() {
        assert_eq!(
            faults("base/exact", &[("skep-verifier", DepKind::Normal, Need::Always)]),
            ["base/exact: may not use base/verifier"]
        );
        assert_eq!(
            faults("user/cli", &[("skep-jit", DepKind::Normal, Need::Always)]),
            ["user/cli: may not use base/jit"]
        );
    }

    #[test]
    fn base_never_points_at_user_not_even_for_its_tests() {
        assert_eq!(
            faults("base/kernel", &[("skep-elf", DepKind::Dev, Need::Always)]),
            ["base/kernel: dev-depends upwards on user/elf"]
        );
        assert_eq!(
            faults("base/kernel", &[("skep-elf", DepKind::Normal, Need::Always)]),
            ["base/kernel: depends upwards on user/elf"]
        );
        assert!(faults("base/sys", &[("skep-mem", DepKind::Dev, Need::Always)]).is_empty());
    }

    #[test]
    fn what_a_feature_brings_must_be_optional() {
        assert!(faults("user/skep", &[("skep-linux", DepKind::Normal, Need::ByFeature)]).is_empty());
        assert_eq!(
            faults("user/skep", &[("skep-linux", DepKind::Normal, Need::Always)]),
            ["user/skep: may use user/linux by a feature only"]
        );
    }

    #[test]
    fn base_links_nothing_from_outside_but_the_listed() {
        assert!(faults("base/abi", &[("zerocopy", DepKind::Normal, Need::Always)]).is_empty());
        assert!(faults("base/abi", &[("proptest", DepKind::Dev, Need::Always)]).is_empty());
        assert_eq!(faults("base/abi", &[("libc", DepKind::Normal, Need::Always)]).len(), 1);
    }

    #[test]
    fn a_crate_without_a_row_is_a_fault() {
        assert_eq!(faults("base/new", &[]), ["base/new: the crate has no row in the table"]);
    }

    #[test]
    fn every_row_names_crates_of_the_table_only() {
        let known = |dir: &&str| TABLE.iter().any(|row| row.dir == *dir);
        for row in TABLE {
            if let Uses::Only(list) | Uses::AllBut(list) = row.may_use {
                assert!(list.iter().all(known), "{}", row.dir);
            }
            assert!(row.by_feature.iter().all(known), "{}", row.dir);
        }
    }
}
