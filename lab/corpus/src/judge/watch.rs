//! A kernel that passes everything on to the running one, and asks both verifiers when the program that is looked at is loaded.

use super::Line;
use super::linux;
use super::subject::{self, MapOf};
use super::verdict::{About, Judged};
use skep::sys::{self, Call, Fd, Reply, Sys};
use skep::zerocopy::FromBytes;
use skep_abi::{Cmd, Errno, MapCreate, OBJ_NAME_LEN, ProgLoad};
use std::collections::BTreeMap;
use std::mem::offset_of;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

/// The running kernel, watched.
pub(crate) struct Watch {
    inner: sys::Kernel,
    /// The program's name, as the kernel gets it.
    name: String,
    /// How often both are asked.
    rounds: u32,
    state: Mutex<State>,
}

struct State {
    /// The program before it was asked of.
    judged: Judged,
    /// What was asked last.
    last: Option<Sent>,
    /// What maps of maps hold, by their ids.
    inner_maps: BTreeMap<u32, MapOf>,
    answers: Sender<Judged>,
}

/// What reaches the kernel with `BPF_PROG_LOAD`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The attributes, without the log.
    pub(crate) attr: ProgLoad,
    pub(crate) insns: Vec<u8>,
    /// Without its NUL.
    pub(crate) license: Vec<u8>,
    pub(crate) fd_array: Vec<i32>,
    pub(crate) func_info: Vec<u8>,
    pub(crate) line_info: Vec<u8>,
    pub(crate) core_relos: Vec<u8>,
}

impl Sent {
    fn of(attr: &sys::Attr<'_>) -> Option<Sent> {
        let load = ProgLoad::read_from_bytes(attr.bytes()).ok()?;
        let area = |field: usize| {
            let found = attr.areas().find(|area| area.within.is_none() && area.field == field);
            found.map_or_else(Vec::new, |area| area.memory.bytes().to_vec())
        };
        let mut license = area(offset_of!(ProgLoad, license));
        license.pop();
        let numbers = area(offset_of!(ProgLoad, fd_array));
        let numbers =
            numbers.chunks_exact(4).filter_map(|bytes| Some(i32::from_ne_bytes(bytes.try_into().ok()?)));
        Some(Sent {
            attr: ProgLoad { log_level: 0, log_size: 0, log_true_size: 0, ..load },
            insns: area(offset_of!(ProgLoad, insns)),
            license,
            fd_array: numbers.collect(),
            func_info: area(offset_of!(ProgLoad, func_info)),
            line_info: area(offset_of!(ProgLoad, line_info)),
            core_relos: area(offset_of!(ProgLoad, core_relos)),
        })
    }

    /// The name that the kernel gets.
    fn name(&self) -> String {
        let name = &self.attr.prog_name;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        String::from_utf8_lossy(&name[..end]).into_owned()
    }
}

impl Watch {
    /// Watches the running kernel until a program is loaded; each answer is sent.
    pub(crate) fn new(program: &str, judged: Judged, rounds: u32, answers: Sender<Judged>) -> Watch {
        let state = State { judged, last: None, inner_maps: BTreeMap::new(), answers };
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '.';
        let name = program.chars().take(OBJ_NAME_LEN - 1);
        let name = name.map(|letter| if allowed(letter) { letter } else { '_' }).collect();
        Watch { inner: skep::Kernel::linux().sys().clone(), name, rounds, state: Mutex::new(state) }
    }

    /// Has both verifiers look at what is about to be loaded, unless they have.
    fn judge(&self, sent: Sent) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.name() != self.name || state.last.as_ref() == Some(&sent) {
            return;
        }
        let gathered = subject::Gathered::of(&self.inner, &sent, &state.inner_maps);
        let mut judged = state.judged.clone();
        judged.about = Some(About {
            prog_type: skep_abi::ProgType(sent.attr.prog_type).to_string(),
            insns: sent.insns.len() / 8,
            needs: gathered.needs(),
        });
        let expected = judged.expected.as_ref().and_then(|expected| expected.returns);
        judged.linux = linux::ask(&self.inner, &sent, expected);
        // Where skep's verifier ends the process, this much is known.
        let _ = super::say(&Line::Asked(judged.clone()));
        let (mut ours, mut times) = (gathered.verify(), (Vec::new(), Vec::new()));
        for _ in 1..self.rounds {
            times.0.extend(linux::ask(&self.inner, &sent, None).took().map(|took| took.time));
            times.1.extend(gathered.verify().took().map(|took| took.time));
        }
        if let (Some(of_linux), Some(of_ours)) = (judged.linux.took(), ours.took()) {
            judged.linux.set_time(median(times.0, of_linux.time));
            ours.set_time(median(times.1, of_ours.time));
        }
        judged.ours = Some(ours);
        state.last = Some(sent);
        // The receiver waits for the load to end.
        let _ = state.answers.send(judged);
    }

    /// Notes what a map of maps holds.
    fn note_inner(&self, map: Fd, inner: MapOf) {
        let id = subject::map_fd(&self.inner, map).and_then(|map| map.info().ok()).map(|info| info.id);
        if let Some(id) = id {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).inner_maps.insert(id, inner);
        }
    }
}

/// The one in the middle.
fn median(mut times: Vec<u64>, first: u64) -> u64 {
    times.push(first);
    times.sort_unstable();
    times[times.len() / 2]
}

impl Sys for Watch {
    fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
        let mut inner = None;
        if let Call::Bpf(attr) = &call {
            match attr.cmd() {
                Cmd::PROG_LOAD => {
                    if let Some(sent) = Sent::of(attr) {
                        self.judge(sent);
                    }
                }
                Cmd::MAP_CREATE => {
                    let create = MapCreate::read_from_prefix(attr.bytes()).ok().map(|(create, _)| create);
                    let fd = create.map(|create| create.inner_map_fd).filter(|&fd| fd != 0);
                    let inner_maps =
                        || self.state.lock().unwrap_or_else(PoisonError::into_inner).inner_maps.clone();
                    inner = fd.and_then(|fd| MapOf::of(&self.inner, Fd::Os(fd as i32), &inner_maps()));
                }
                _ => {}
            }
        }
        let reply = self.inner.call(call)?;
        if let (Some(inner), Reply::Fd(fd)) = (inner, &reply) {
            self.note_inner(*fd, inner);
        }
        Ok(reply)
    }
}
