//! `skep feature`: what a kernel can do, as it says itself.

use crate::args::FeatureArgs;
use crate::failure::Failure;
use crate::kernel::{Target, target};
use crate::output::Report;
use crate::render::table::Table;
use crate::vocabulary;
use serde_json::{Map, Value, json};
use skep::{Feature, Kernel};
use skep_abi::ProgType;
use skep_embedded::Admit;
use std::io::{self, Write};

/// The settings that decide what processes may do and how programs run, by their names in `sysctl(8)`.
const SETTINGS: &[&str] = &[
    "kernel.unprivileged_bpf_disabled",
    "kernel.bpf_stats_enabled",
    "kernel.kptr_restrict",
    "kernel.perf_event_paranoid",
    "net.core.bpf_jit_enable",
    "net.core.bpf_jit_harden",
    "net.core.bpf_jit_kallsyms",
    "net.core.bpf_jit_limit",
];

/// A kernel's answers.
pub(crate) struct Features {
    on: &'static str,
    release: Option<String>,
    settings: Vec<(&'static str, Option<String>)>,
    named: Vec<Answer>,
    maps: Vec<Answer>,
    programs: Vec<Programs>,
}

/// One answer.
struct Answer {
    name: String,
    since: Option<String>,
    state: &'static str,
}

/// The answers for a type of programs.
struct Programs {
    answer: Answer,
    /// The helpers that there are; `None` where the kernel cannot be asked.
    helpers: Option<Vec<String>>,
}

/// Asks a kernel.
///
/// # Errors
/// This machine does not have it, or it answers nothing at all.
pub(crate) fn run(args: &FeatureArgs) -> Result<Features, Failure> {
    let Target { kernel, name, .. } = target(args.on, Admit::Verified)?;
    // Where the first question cannot be asked, none can.
    kernel.has(Feature::ProgName)?;
    let ask = |feature: Feature, name: String| Answer {
        name,
        since: feature.since().map(|since| since.to_string()),
        state: state(&kernel, feature),
    };
    let named = Feature::named().map(|feature| ask(feature, feature.name().into_owned())).collect();
    let maps = skep_abi::MapType::ALL.iter().skip(1);
    let maps = maps.map(|kind| ask(Feature::MapType(*kind), vocabulary::map_type_name(*kind))).collect();
    let programs = ProgType::ALL.iter().skip(1).map(|&kind| {
        let answer = ask(Feature::ProgType(kind), vocabulary::prog_type_name(kind));
        let helpers = (answer.state == "there").then(|| helpers(&kernel, kind)).flatten();
        Programs { answer, helpers }
    });
    let programs = programs.collect();
    let read = |path: &str| {
        let bytes = kernel.sys().file_read(path).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    let setting = |name: &&'static str| (*name, read(&format!("/proc/sys/{}", name.replace('.', "/"))));
    Ok(Features {
        on: name,
        release: read("/proc/sys/kernel/osrelease"),
        settings: SETTINGS.iter().map(setting).collect(),
        named,
        maps,
        programs,
    })
}

/// Says whether a feature is there; `unknown` where the kernel does not let it be asked.
fn state(kernel: &Kernel, feature: Feature) -> &'static str {
    match kernel.has(feature) {
        Ok(true) => "there",
        Ok(false) => "missing",
        Err(_) => "unknown",
    }
}

/// Lists the helpers of a type; `None` where they depend on what a program is attached to.
fn helpers(kernel: &Kernel, kind: ProgType) -> Option<Vec<String>> {
    let mut found = Vec::new();
    for feature in Feature::helpers(kind) {
        let Feature::Helper(_, id) = feature else { continue };
        match kernel.has(feature) {
            Ok(true) => found.push(id.name().map_or_else(|| id.to_string(), |name| format!("bpf_{name}"))),
            Ok(false) => {}
            Err(_) => return None,
        }
    }
    Some(found)
}

impl Answer {
    fn json(&self) -> Map<String, Value> {
        let members = json!({ "name": self.name, "since": self.since, "state": self.state });
        members.as_object().cloned().unwrap_or_default()
    }

    fn cells(&self) -> [String; 3] {
        [self.name.clone(), self.since.clone().unwrap_or_default(), self.state.to_owned()]
    }
}

impl Report for Features {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}: Linux {}", self.on, self.release.as_deref().unwrap_or("?"))?;
        let mut settings = Table::new(&["name", "value"]);
        for (name, value) in &self.settings {
            settings.row([(*name).to_owned(), value.clone().unwrap_or_else(|| "?".to_owned())]);
        }
        settings.write("settings", out)?;
        for (title, answers) in [("features", &self.named), ("map types", &self.maps)] {
            let mut table = Table::new(&["name", "since", "state"]);
            for answer in answers {
                table.row(answer.cells());
            }
            table.write(title, out)?;
        }
        let mut table = Table::new(&["name", "since", "state", "helpers"]);
        for programs in &self.programs {
            let [name, since, state] = programs.answer.cells();
            let helpers = programs.helpers.as_ref().map_or_else(String::new, |found| found.len().to_string());
            table.row([name, since, state, helpers]);
        }
        table.write("program types", out)
    }

    fn json(&self) -> Value {
        let answers = |answers: &[Answer]| answers.iter().map(Answer::json).collect::<Vec<_>>();
        let programs = self.programs.iter().map(|programs| {
            let mut members = programs.answer.json();
            members.insert("helpers".to_owned(), json!(programs.helpers));
            members
        });
        let settings: Map<String, Value> =
            self.settings.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({
            "on": self.on,
            "release": self.release,
            "settings": settings,
            "features": answers(&self.named),
            "map_types": answers(&self.maps),
            "prog_types": programs.collect::<Vec<_>>(),
        })
    }
}
