//! The BPF objects that Debian ships, as found in the wild: in packages, most of them inside executables.
//!
//! They are downloaded when needed, carved out, kept in the cache, and never committed.

mod check;
mod load;

use crate::debian::{self, Archive};
use crate::outcome::Outcome;
use crate::{cache, files};
use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A package that carries objects.
struct Package {
    /// The release it is of, on every machine the same.
    release: &'static str,
    name: &'static str,
}

/// The packages that every check looks at.
const FEW: &[Package] = &[
    Package { release: "bookworm", name: "ir-keytable" },
    Package { release: "bookworm", name: "libbpf-tools" },
    Package { release: "bookworm", name: "libxdp1" },
    Package { release: "bookworm", name: "pcp" },
    Package { release: "bookworm", name: "xdp-tests" },
    Package { release: "bookworm", name: "xdp-tools" },
];

/// Those that the corpus has besides.
const MORE: &[Package] = &[
    // Test data of another loader: old maps, externs, what must be refused.
    Package { release: "bookworm", name: "golang-github-cilium-ebpf-dev" },
    Package { release: "bookworm", name: "libknot13" },
    Package { release: "bookworm", name: "qemu-system-x86" },
    Package { release: "trixie", name: "bpftop" },
    Package { release: "trixie", name: "golang-github-cilium-ebpf-dev" },
    Package { release: "trixie", name: "ir-keytable" },
    Package { release: "trixie", name: "libbpf-tools" },
    Package { release: "trixie", name: "libbpftune0" },
    Package { release: "trixie", name: "libknot15" },
    Package { release: "trixie", name: "libsystemd-shared" },
    Package { release: "trixie", name: "libxdp1" },
    Package { release: "trixie", name: "mimic" },
    Package { release: "trixie", name: "opensnitch-ebpf-modules" },
    Package { release: "trixie", name: "pcp" },
    Package { release: "trixie", name: "pwru" },
    Package { release: "trixie", name: "qemu-system-x86" },
    Package { release: "trixie", name: "suricata" },
    Package { release: "trixie", name: "systemd" },
    Package { release: "trixie", name: "systemd-container" },
    Package { release: "trixie", name: "xdp-tests" },
    Package { release: "trixie", name: "xdp-tools" },
];

/// Find the BPF objects in Debian's packages, and print where they are kept.
#[derive(Parser)]
#[command(name = "cargo xtask objects")]
struct Options {
    /// Read and show each, decode and encode its instructions, and load those without CO-RE relocations beside libbpf.
    #[arg(long)]
    check: bool,
}

/// One object, on disk and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Object {
    /// The package it came in.
    pub(crate) package: String,
    /// The object's own file, in the cache.
    pub(crate) file: PathBuf,
}

impl Object {
    /// `PACKAGE/FILE`, the same on every machine.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.package, self.file.file_name().unwrap_or_default().to_string_lossy())
    }
}

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let Options { check } =
        Options::parse_from(std::iter::once("objects").chain(args.iter().map(String::as_str)));
    if let Some(reason) = debian::missing() {
        return Ok(Outcome::Skipped(reason));
    }
    let objects = fetch()?;
    if check {
        return check::run(&objects);
    }
    for object in &objects {
        println!("{}\t{}", object.package, object.file.display());
    }
    Ok(Outcome::Done(format!("{} objects of {} packages", objects.len(), FEW.len())))
}

/// The objects of the few packages, sorted; downloads what the cache does not have.
pub(crate) fn fetch() -> Result<Vec<Object>> {
    let objects = FEW.iter().map(Package::objects).collect::<Result<Vec<_>>>()?;
    Ok(objects.concat())
}

/// How many distinct objects the packages are known to carry; there were 288 when they were counted.
const LEAST: usize = 281;

/// The distinct objects of all packages, as far as they are of this machine's byte order, which every kernel wants; of several
/// that are the same the first.
pub(crate) fn fetch_corpus() -> Result<Vec<Object>> {
    let (mut seen, mut distinct) = (BTreeSet::new(), Vec::new());
    for package in FEW.iter().chain(MORE) {
        for object in package.objects()? {
            let bytes = fs::read(&object.file)?;
            let is_native = section_headers(&bytes).is_some_and(|(order, _)| order.is_native());
            if is_native && seen.insert(bytes) {
                distinct.push(object);
            }
        }
    }
    ensure!(distinct.len() >= LEAST, "{} objects, the packages are known for {LEAST}", distinct.len());
    Ok(distinct)
}

impl Package {
    fn objects(&self) -> Result<Vec<Object>> {
        let Self { release, name } = self;
        let dir = cache::dir("objects")?.join(format!("{release}_{name}"));
        cache::fill_once(&dir, |part| carve_all(&Archive::of_release(release)?.unpacked(name)?, part))?;
        let files = fs::read_dir(&dir)?.map(|entry| Ok(entry?.path())).collect::<Result<BTreeSet<_>>>()?;
        if files.is_empty() {
            bail!("package {name} of {release} has no BPF objects, it is known for some");
        }
        let package = format!("{release}_{name}");
        Ok(files.into_iter().map(|file| Object { package: package.clone(), file }).collect())
    }
}

/// Writes every distinct object in the files below `from` to `to`, named after the file it was in.
fn carve_all(from: &Path, to: &Path) -> Result<()> {
    let mut seen = BTreeSet::new();
    for file in files::below(from)? {
        let bytes = fs::read(&file).with_context(|| file.display().to_string())?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(".o").unwrap_or(&name);
        for (offset, len) in bpf_images(&bytes) {
            let image = &bytes[offset..offset + len];
            if seen.insert(image.to_vec()) {
                fs::write(to.join(format!("{name}@{offset:x}.o")), image)?;
            }
        }
    }
    Ok(())
}

/// The offset and length of each ELF image for BPF in `bytes`. An image within an image is not looked for.
fn bpf_images(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = bytes[at..].windows(4).position(|window| window == b"\x7fELF") {
        let offset = at + next;
        match bpf_image_len(&bytes[offset..]) {
            Some(len) => {
                found.push((offset, len));
                at = offset + len;
            }
            None => at = offset + 4,
        }
    }
    found
}

const ELF64: u8 = 2;
const EM_BPF: u64 = 247;
const SHT_NOBITS: u64 = 8;
const SHF_EXECINSTR: u64 = 4;
const HEADER: usize = 64;
const SECTION_HEADER: usize = 64;

/// The length of the ELF64 image for BPF at the start of `bytes`: the furthest end of its section headers and sections.
fn bpf_image_len(bytes: &[u8]) -> Option<usize> {
    let (order, table) = section_headers(bytes)?;
    let mut end = table.end;
    for section in bytes.get(table)?.chunks_exact(SECTION_HEADER) {
        if order.read(section, 4, 4)? != SHT_NOBITS {
            end = end.max(section_bytes(section, order)?.end);
        }
    }
    (end <= bytes.len()).then_some(end)
}

/// The byte order of a BPF image, and where its section headers are.
fn section_headers(bytes: &[u8]) -> Option<(Order, Range<usize>)> {
    let header = bytes.get(..HEADER)?;
    let order = match (header[4], header[5]) {
        (ELF64, 1) => Order::Little,
        (ELF64, 2) => Order::Big,
        _ => return None,
    };
    if order.read(header, 18, 2)? != EM_BPF {
        return None;
    }
    let table = usize::try_from(order.read(header, 40, 8)?).ok()?;
    let entry = usize::try_from(order.read(header, 58, 2)?).ok()?;
    let count = usize::try_from(order.read(header, 60, 2)?).ok()?;
    if entry != SECTION_HEADER || count == 0 {
        return None;
    }
    Some((order, table..table.checked_add(count * SECTION_HEADER)?))
}

/// Where a section's bytes are, by its header.
fn section_bytes(section: &[u8], order: Order) -> Option<Range<usize>> {
    let offset = usize::try_from(order.read(section, 24, 8)?).ok()?;
    let size = usize::try_from(order.read(section, 32, 8)?).ok()?;
    Some(offset..offset.checked_add(size)?)
}

/// The bytes of the sections that hold instructions, as they stand in the file.
fn code_sections(bytes: &[u8]) -> Option<(Order, Vec<&[u8]>)> {
    let (order, table) = section_headers(bytes)?;
    let mut found = Vec::new();
    for section in bytes.get(table)?.chunks_exact(SECTION_HEADER) {
        let is_code = order.read(section, 8, 8)? & SHF_EXECINSTR != 0;
        if is_code && order.read(section, 4, 4)? != SHT_NOBITS {
            found.push(bytes.get(section_bytes(section, order)?)?);
        }
    }
    Some((order, found))
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    /// Whether it is this machine's.
    fn is_native(self) -> bool {
        matches!(self, Self::Little) == cfg!(target_endian = "little")
    }

    fn read(self, bytes: &[u8], at: usize, len: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(len)?)?;
        let push = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(match self {
            Self::Little => bytes.iter().rev().fold(0, push),
            Self::Big => bytes.iter().fold(0, push),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image with a section of `size` bytes after its two section headers.
    fn image(machine: u16, size: u64) -> Vec<u8> {
        let mut bytes = vec![0; HEADER + 2 * SECTION_HEADER];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[40..48].copy_from_slice(&64u64.to_le_bytes());
        bytes[58..60].copy_from_slice(&64u16.to_le_bytes());
        bytes[60..62].copy_from_slice(&2u16.to_le_bytes());
        let section = HEADER + SECTION_HEADER;
        bytes[section + 24..section + 32].copy_from_slice(&192u64.to_le_bytes());
        bytes[section + 32..section + 40].copy_from_slice(&size.to_le_bytes());
        bytes.resize(bytes.len() + usize::try_from(size).expect("a small size"), 7);
        bytes
    }

    #[test]
    fn images_are_found_at_any_offset() {
        let bytes = [b"junk\x7fELF".as_slice(), &image(247, 5), b"x", &image(62, 3), &image(247, 0)].concat();
        assert_eq!(bpf_images(&bytes), [(8, 197), (8 + 197 + 1 + 195, 192)]);
    }

    #[test]
    fn an_image_that_is_cut_or_lies_is_none() {
        let whole = image(247, 5);
        for len in 0..whole.len() {
            assert_eq!(bpf_images(&whole[..len]), [], "{len}");
        }
        let mut lying = image(247, 5);
        lying[40..48].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(bpf_images(&lying), []);
    }
}
