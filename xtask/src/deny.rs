//! What may be depended on: `deny.toml` against what `cargo metadata` resolves, whatever the features and the target.
//!
//! The file is in the form of cargo-deny and holds nothing that is not checked here: licences, banned crates, duplicates,
//! wildcards, sources. Advisories are not checked, because their list comes from a network that a build may not have.

mod license;
mod rules;

use crate::cargo;
use crate::outcome::Outcome;
use anyhow::{Context, Result, bail, ensure};
use rules::Rules;
use serde_json::Value;
use std::collections::BTreeSet;

const RULES: &str = "deny.toml";

/// The manifests whose dependencies are checked. `lab/bench` is not among them: it measures against published peers,
/// C and all, and nothing depends on it.
const MANIFESTS: &[&str] =
    &["Cargo.toml", "lab/api/Cargo.toml", "lab/bare/Cargo.toml", "lab/fuzz/Cargo.toml"];

/// One crate that something resolves to.
#[derive(Debug, Clone, Default)]
struct Crate {
    name: String,
    version: String,
    license: Option<String>,
    /// Where it comes from; nothing for a folder of this repository.
    source: Option<String>,
    /// What it asks for.
    asks: Vec<Ask>,
    /// Its identity, and that of what it got.
    id: String,
    got: Vec<String>,
}

/// A dependency as a manifest asks for it.
#[derive(Debug, Clone)]
struct Ask {
    name: String,
    /// The versions that will do.
    requirement: String,
    is_path: bool,
}

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    if let Some(word) = args.first() {
        bail!("`deny` takes no `{word}`");
    }
    let text = std::fs::read_to_string(cargo::root().join(RULES)).context(RULES)?;
    let rules = Rules::parse(&text).context(RULES)?;
    let mut faults = Vec::new();
    let mut outside = BTreeSet::new();
    for manifest in MANIFESTS {
        let crates = resolve(manifest)?;
        outside.extend(crates.iter().filter(|one| one.source.is_some()).map(|one| one.id.clone()));
        faults.extend(rules.faults(&crates).into_iter().map(|fault| format!("{manifest}: {fault}")));
        if *manifest == "Cargo.toml" {
            faults.extend(rules.stale(&crates).into_iter().map(|fault| format!("{RULES}: {fault}")));
        }
    }
    ensure!(faults.is_empty(), "{RULES} forbids:\n  {}", faults.join("\n  "));
    Ok(Outcome::Done(format!(
        "{} crates from outside; advisories are not checked (they need a network)",
        outside.len()
    )))
}

/// Everything that a manifest's dependencies resolve to.
fn resolve(manifest: &str) -> Result<Vec<Crate>> {
    let output = cargo::cargo()
        .args(["metadata", "--format-version=1", "--all-features", "--manifest-path", manifest])
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(
        output.status.success(),
        "{manifest}: cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let json: Value = serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")?;
    parse(&json).with_context(|| manifest.to_owned())
}

fn parse(json: &Value) -> Result<Vec<Crate>> {
    let nodes = json["resolve"]["nodes"].as_array().context("metadata without a resolution")?;
    let packages = json["packages"].as_array().context("metadata without packages")?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let crate_of = |package: &Value| {
        let id = text(&package["id"]).context("package without an id")?;
        let node = nodes.iter().find(|node| node["id"] == package["id"]);
        let got =
            node.and_then(|node| node["dependencies"].as_array()).map(Vec::as_slice).unwrap_or_default();
        let asks = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
        let asks = asks.iter().map(|ask| {
            Ok(Ask {
                name: text(&ask["name"]).context("dependency without a name")?,
                requirement: text(&ask["req"]).context("dependency without a requirement")?,
                is_path: ask["path"].is_string(),
            })
        });
        Ok(Crate {
            name: text(&package["name"]).context("package without a name")?,
            version: text(&package["version"]).context("package without a version")?,
            license: text(&package["license"]),
            source: text(&package["source"]),
            asks: asks.collect::<Result<_>>()?,
            got: got.iter().filter_map(text).collect(),
            id,
        })
    };
    packages.iter().map(crate_of).collect()
}
