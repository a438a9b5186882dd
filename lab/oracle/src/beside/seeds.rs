//! Programs of objects that are there, as Linux gets them, with everything that they refer to kept open.

use super::linux::Linux;
use crate::capture::again;
use crate::{Case, Listing, MapOf, Sent, each_case};
use skep::Btf;
use skep::sys::{Fd, Handle, Kernel};
use skep_isa::{Addr, ByteOrder, Insn, raw};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What takes more processed instructions than this is left out: there is time for more of the others.
const LONGEST: u32 = 4000;
/// What is longer is left out, too.
const MOST_LINES: usize = 3000;
/// What is shorter says little.
const LEAST_LINES: usize = 12;

/// A program that Linux accepts.
pub(crate) struct Seed {
    /// The object and the program.
    pub(crate) name: String,
    pub(crate) sent: Sent,
    pub(crate) case: Case,
    pub(crate) listing: Listing,
}

/// Programs, and what they refer to.
#[derive(Default)]
pub(crate) struct Seeds {
    pub(crate) all: Vec<Seed>,
    /// Programs that were left out: refused by one of both, too long, or attached to what is not there.
    pub(crate) left_out: usize,
    kept: Vec<Handle>,
    /// Maps of one object, by what they are.
    maps: BTreeMap<(String, Vec<u8>), i32>,
}

impl Seeds {
    /// Adds the programs of an object.
    ///
    /// # Errors
    /// Where the object cannot be read.
    pub(crate) fn add(
        &mut self,
        kernel: &skep::Kernel,
        types: Option<&Arc<Btf<'static>>>,
        path: &Path,
    ) -> Result<(), Box<dyn std::error::Error>> {
        each_case(kernel, types, path, self, |name, (kernel, sent), case, seeds: &mut Seeds| {
            if seeds.take(name, kernel, sent, case).is_none() {
                seeds.left_out += 1;
            }
        })
    }

    fn take(&mut self, name: &str, kernel: &Kernel, sent: &Sent, case: Case) -> Option<()> {
        // Numbers of modules and other programs are not followed.
        if sent.attr.attach_prog_fd != 0 || case.exception_callback.is_some() {
            return None;
        }
        let listing = Listing::of(&case.slots, &case.functions)?;
        if !(LEAST_LINES..=MOST_LINES).contains(&listing.lines.len()) {
            return None;
        }
        // What is not modelled of programs as they are is `cargo xtask judge`'s business.
        if case.verify(&case.slots).ok()?.stats().insns > LONGEST {
            return None;
        }
        let mut linux = Linux::new(kernel.clone());
        linux.accepts(sent).then_some(())?;
        let object = name.rsplit_once(' ').map_or(name, |(object, _)| object).to_owned();
        let mut new = BTreeMap::new();
        for (&fd, &map) in &case.by_fd {
            new.insert(fd, self.keep_map(&object, kernel, fd, &case.maps.get(map)?.0)?);
        }
        let mut case = case;
        let mut sent = sent.clone();
        for fd in &mut sent.fd_array {
            let number = match new.get(fd) {
                Some(number) => *number,
                None => self.keep(kernel, *fd)?,
            };
            *fd = number;
        }
        if sent.attr.prog_btf_fd != 0 {
            sent.attr.prog_btf_fd = self.keep(kernel, sent.attr.prog_btf_fd as i32)? as u32;
        }
        let mut listing = listing;
        for line in &mut listing.lines {
            if let Insn::LoadAddr { dst, addr } = line.insn {
                let addr = match addr {
                    Addr::MapFd { fd } => Addr::MapFd { fd: *new.get(&fd)? },
                    Addr::MapValueFd { fd, off } => Addr::MapValueFd { fd: *new.get(&fd)?, off },
                    Addr::Variable { btf_fd, .. } if btf_fd != 0 => return None,
                    other => other,
                };
                line.insn = Insn::LoadAddr { dst, addr };
            }
        }
        case.by_fd = case.by_fd.iter().filter_map(|(fd, map)| Some((*new.get(fd)?, *map))).collect();
        case.fd_array.clone_from(&sent.fd_array);
        let (slots, _) = listing.write()?;
        sent.insns = raw::to_bytes(&slots, ByteOrder::NATIVE).ok()?;
        // Lines tell nobody anything here, and relocations are done.
        sent.line_info.clear();
        sent.core_relos.clear();
        case.slots = slots;
        linux.accepts(&sent).then_some(())?;
        self.all.push(Seed { name: name.to_owned(), sent, case, listing });
        Some(())
    }

    fn keep(&mut self, kernel: &Kernel, fd: i32) -> Option<i32> {
        let handle = again(kernel, Fd::Os(fd))?;
        let number = handle.fd().number();
        self.kept.push(handle);
        Some(number)
    }

    /// Keeps a map open, or finds one of the same object that is like it: each program is loaded with maps of its own, and all of them are
    /// more memory than there is.
    fn keep_map(&mut self, object: &str, kernel: &Kernel, fd: i32, map: &MapOf) -> Option<i32> {
        let info = &map.info;
        let mut like = info.name.to_vec();
        for number in [info.type_, info.key_size, info.value_size, info.max_entries, info.map_flags] {
            like.extend(number.to_ne_bytes());
        }
        like.extend(map.frozen.iter().flatten());
        let key = (object.to_owned(), like);
        if let Some(number) = self.maps.get(&key) {
            return Some(*number);
        }
        let number = self.keep(kernel, fd)?;
        self.maps.insert(key, number);
        Some(number)
    }
}
