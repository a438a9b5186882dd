//! Debian packages, downloaded and unpacked without being installed.
//!
//! apt works on a state of its own in the cache, with the archive that this machine's own sources name, so that packages of
//! any release can be had and the machine is left as it was. apt checks signatures as ever.

use crate::{cache, tools};
use anyhow::{Context, Result, bail};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where apt itself keeps the keys of Debian's archives.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What apt says where it cannot reach an archive.
const UNREACHED: &[&str] = &[
    "Could not resolve",
    "Temporary failure resolving",
    "Could not connect",
    "Cannot initiate the connection",
    "Failed to connect",
    "Unable to connect",
    "Network is unreachable",
    "Connection failed",
    "Connection timed out",
];

/// Nothing can be downloaded: what there is to do needs a network.
#[derive(Debug)]
pub(crate) struct Unreachable {
    what: String,
}

impl Unreachable {
    /// Finds out whether a program failed for want of a network, by what it said.
    pub(crate) fn find(program: &str, said: &str) -> Option<Self> {
        let line = said.lines().find(|line| UNREACHED.iter().any(|words| line.contains(words)))?;
        Some(Self { what: format!("needs a network ({program}: {})", line.trim()) })
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Unreachable {}

/// A release's archive, with a private apt state.
pub(crate) struct Archive {
    state: PathBuf,
    release: String,
}

/// Says why packages cannot be downloaded here, if so.
pub(crate) fn missing() -> Option<String> {
    for program in ["apt-get", "apt-cache", "dpkg-deb"] {
        if let Err(missing) = tools::need(program) {
            return Some(missing);
        }
    }
    match machine_release() {
        None => Some("this machine is not Debian, so no Debian archive is configured".to_owned()),
        Some(_) => None,
    }
}

impl Archive {
    /// The archive of the named release, its lists fetched if they never were.
    pub(crate) fn of_release(release: &str) -> Result<Self> {
        let state = cache::dir("apt")?.join(release);
        let archive = Self { state, release: release.to_owned() };
        cache::fill_once(&archive.state, |part| {
            let fresh = Self { state: part.to_path_buf(), release: release.to_owned() };
            fresh.write_sources()?;
            fresh.apt("apt-get", &["update"]).map(drop)
        })?;
        Ok(archive)
    }

    fn write_sources(&self) -> Result<()> {
        for dir in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(self.state.join(dir))?;
        }
        let sources = sources(&self.release, &machine_sites(&self.state)?)?;
        fs::write(self.state.join("sources.list"), sources)?;
        Ok(())
    }

    /// Where the archive is.
    pub(crate) fn site(&self) -> Result<String> {
        Ok(machine_sites(&self.state)?.main)
    }

    /// The packages that `package` depends on, first choices only, in order.
    pub(crate) fn depends(&self, package: &str) -> Result<Vec<String>> {
        let shown = self.apt("apt-cache", &["show", "--no-all-versions", package])?;
        Ok(parse_depends(&shown))
    }

    /// Downloads and unpacks `package` and the shared libraries that it needs; returns the folders, its own first.
    pub(crate) fn unpacked_with_libraries(&self, package: &str) -> Result<Vec<PathBuf>> {
        let mut names = vec![package.to_owned()];
        let mut at = 0;
        while let Some(name) = names.get(at).cloned() {
            for library in self.depends(&name)?.into_iter().filter(|name| is_library(name)) {
                if !names.contains(&library) {
                    names.push(library);
                }
            }
            at += 1;
        }
        names.iter().map(|name| self.unpacked(name)).collect()
    }

    /// Downloads and unpacks `package` into the cache, unless it is there, and returns the folder.
    pub(crate) fn unpacked(&self, package: &str) -> Result<PathBuf> {
        let dir = cache::dir("packages")?.join(format!("{}_{package}", self.release));
        cache::fill_once(&dir, |part| {
            // Lists grow old, and a package that they name may have gone: then, and only then, they are fetched again.
            self.apt_in(part, "apt-get", &["download", package]).or_else(|_| {
                self.apt("apt-get", &["update"])?;
                self.apt_in(part, "apt-get", &["download", package])
            })?;
            let deb = only_deb(part)?;
            let status = Command::new("dpkg-deb").arg("-x").arg(&deb).arg(part).status()?;
            if !status.success() {
                bail!("dpkg-deb cannot unpack {} ({status})", deb.display());
            }
            fs::remove_file(&deb)?;
            Ok(())
        })
        .with_context(|| format!("package {package} of {}", self.release))?;
        Ok(dir)
    }

    fn apt(&self, program: &str, args: &[&str]) -> Result<String> {
        self.apt_in(&self.state, program, args)
    }

    fn apt_in(&self, dir: &Path, program: &str, args: &[&str]) -> Result<String> {
        let state = self.state.display();
        let options = [
            format!("-oDir::Etc::SourceList={state}/sources.list"),
            "-oDir::Etc::SourceParts=-".to_owned(),
            format!("-oDir::State::Lists={state}/lists"),
            format!("-oDir::Cache={state}/cache"),
        ];
        run_apt(program, &options, args, dir)
    }
}

fn run_apt(program: &str, options: &[String], args: &[&str], dir: &Path) -> Result<String> {
    let output = Command::new(program)
        .args([
            "-qq",
            "-oAPT::Update::Error-Mode=any",
            "-oAPT::Sandbox::User=root",
            "-oAcquire::Languages=none",
        ])
        .args(options)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        if let Some(unreachable) = Unreachable::find(program, &said) {
            return Err(unreachable.into());
        }
        bail!("{program} {}: {}", args.join(" "), said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The code name of this machine's Debian release.
fn machine_release() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    (value("ID")? == "debian").then(|| value("VERSION_CODENAME")).flatten()
}

/// Where this machine gets Debian from.
#[derive(Debug, PartialEq, Eq)]
struct Sites {
    /// The archive.
    main: String,
    /// The archive of security updates, if the machine has one.
    security: Option<String>,
}

/// Asks apt what this machine's own sources are.
fn machine_sites(state: &Path) -> Result<Sites> {
    let release = machine_release().context("this machine is not Debian")?;
    let format = "--format=$(CREATED_BY) $(COMPONENT) $(RELEASE) $(REPO_URI)";
    let find = |options: &[String]| {
        let targets = run_apt("apt-get", options, &["indextargets", format], state)?;
        parse_sites(&targets, &release).context("this machine's apt sources name no Debian archive")
    };
    // apt knows its sources in detail only after an update; a machine that never had one gets it in a state of ours.
    find(&[]).or_else(|_| {
        let lists = state.join("machine-lists");
        fs::create_dir_all(lists.join("partial"))?;
        let options = [format!("-oDir::State::Lists={}", lists.display())];
        run_apt("apt-get", &options, &["update"], state)?;
        find(&options)
    })
}

fn parse_sites(targets: &str, release: &str) -> Option<Sites> {
    let uri_of = |wanted: &str| {
        targets.lines().find_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            match words[..] {
                ["Packages", "main", release, uri] if release == wanted => Some(uri.to_owned()),
                _ => None,
            }
        })
    };
    Some(Sites { main: uri_of(release)?, security: uri_of(&format!("{release}-security")) })
}

fn sources(release: &str, sites: &Sites) -> Result<String> {
    if !Path::new(KEYRING).exists() {
        bail!("no {KEYRING} (Debian package debian-archive-keyring)");
    }
    let mut text = format!("deb [signed-by={KEYRING}] {} {release} main\n", sites.main);
    if let Some(security) = &sites.security {
        text += &format!("deb [signed-by={KEYRING}] {security} {release}-security main\n");
    }
    Ok(text)
}

/// Whether a package is named as Debian names shared libraries.
fn is_library(name: &str) -> bool {
    (name.starts_with("lib") || name.starts_with("zlib")) && !name.ends_with("-dev")
}

fn parse_depends(shown: &str) -> Vec<String> {
    let depends = shown.lines().filter_map(|line| line.strip_prefix("Depends: "));
    let first_choice = |dep: &str| dep.split('|').next()?.split_whitespace().next().map(str::to_owned);
    depends.flat_map(|line| line.split(',').filter_map(first_choice)).collect()
}

fn only_deb(dir: &Path) -> Result<PathBuf> {
    let files = fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    let mut debs =
        files.iter().map(fs::DirEntry::path).filter(|path| path.extension().is_some_and(|e| e == "deb"));
    debs.next().context("apt-get download left no package")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_a_network_is_told_from_other_failures() {
        let said = "W: x\nE: Failed to fetch http://d/p.deb  Temporary failure resolving 'd'\n";
        let found = Unreachable::find("apt-get", said).expect("no network");
        assert!(found.to_string().starts_with("needs a network (apt-get: E: Failed to fetch"));
        assert!(Unreachable::find("apt-get", "E: Unable to locate package x").is_none());
    }

    #[test]
    fn sites_are_those_of_debian_itself() {
        let targets = "Packages stable bookworm http://other/linux/debian/\n\
                       DEP-11 main bookworm http://dep/debian/\n\
                       Packages main bookworm http://one/debian/\n\
                       Packages main bookworm-security http://two/debian-security/\n";
        let sites = parse_sites(targets, "bookworm").expect("sites");
        assert_eq!(sites.main, "http://one/debian/");
        assert_eq!(sites.security.as_deref(), Some("http://two/debian-security/"));
        assert_eq!(parse_sites(targets, "trixie"), None);
    }

    #[test]
    fn depends_are_first_choices_without_versions() {
        let shown = "Package: a\nDepends: b (= 1), c | d, e:any\nDescription: x\n";
        assert_eq!(parse_depends(shown), ["b", "c", "e:any"]);
        assert!(parse_depends("Package: a\n").is_empty());
        assert!(is_library("libc6") && is_library("zlib1g"));
        assert!(!is_library("libc6-dev") && !is_library("llvm-14"));
    }
}
