//! What a load gives: maps, programs, and the variables in them.

use crate::error::{Error, ErrorKind, Result};
use crate::{Global, Kernel, Link, Map, Note, Program};
use skep_btf::Btf;
use std::sync::Arc;

/// A loaded object: its maps and programs, which may be taken out and outlive it.
#[derive(Debug)]
pub struct Loaded {
    file: String,
    kernel: Kernel,
    btf: Option<Arc<Btf<'static>>>,
    maps: Vec<Map>,
    programs: Vec<Program>,
    notes: Vec<Note>,
}

impl Loaded {
    pub(crate) fn new(
        file: &str,
        kernel: &Kernel,
        btf: Option<Arc<Btf<'static>>>,
        maps: Vec<Map>,
        programs: Vec<Program>,
        notes: Vec<Note>,
    ) -> Loaded {
        Loaded { file: file.to_owned(), kernel: kernel.clone(), btf, maps, programs, notes }
    }

    /// Gives the kernel that it was loaded into.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Gives the object's types.
    pub fn btf(&self) -> Option<&Btf<'static>> {
        self.btf.as_deref()
    }

    /// Lists what this kernel does not have and the load did without.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Gives a map.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn map(&self, name: &str) -> Result<&Map> {
        self.maps.iter().find(|map| map.name() == name).ok_or_else(|| self.no_map(name))
    }

    /// Lists the maps, those of data sections last.
    pub fn maps(&self) -> impl ExactSizeIterator<Item = &Map> {
        self.maps.iter()
    }

    /// Takes a map out.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn take_map(&mut self, name: &str) -> Result<Map> {
        let index = self.maps.iter().position(|map| map.name() == name).ok_or_else(|| self.no_map(name))?;
        Ok(self.maps.remove(index))
    }

    /// Gives a program.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], also where the program was left out of the load.
    pub fn program(&self, name: &str) -> Result<&Program> {
        self.programs.iter().find(|program| program.name() == name).ok_or_else(|| self.no_program(name))
    }

    /// Lists the programs, in the order of the file.
    pub fn programs(&self) -> impl ExactSizeIterator<Item = &Program> {
        self.programs.iter()
    }

    /// Takes a program out.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], also where the program was left out of the load.
    pub fn take_program(&mut self, name: &str) -> Result<Program> {
        let index = self.programs.iter().position(|program| program.name() == name);
        Ok(self.programs.remove(index.ok_or_else(|| self.no_program(name))?))
    }

    /// Gives a global variable, or a part of one (`cfg.limit`, `table[2]`), to be read and written while programs run.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such variable, or its map was taken out.
    pub fn global(&self, path: &str) -> Result<Global<'_>> {
        let fail = |error: Error| error.in_variable(path).in_file(&self.file);
        let btf = self.btf.as_deref().ok_or_else(|| {
            let what = "the object has no BTF, so its variables have no names; compile with -g";
            fail(Error::new(ErrorKind::Object, what))
        })?;
        let unknown = || fail(Error::not_found("the object has no such variable"));
        let located = btf.locate(path).ok_or_else(unknown)?;
        let map = self.maps.iter().find(|map| map.section() == Some(located.section_name));
        Global::new(map.ok_or_else(unknown)?, btf, &located).map_err(fail)
    }

    /// Attaches every program where its section says.
    ///
    /// # Errors
    /// Of the first program that cannot be attached; those before it are detached again.
    pub fn attach_auto(&self) -> Result<Vec<Link>> {
        self.programs.iter().map(Program::attach_auto).collect()
    }

    fn no_map(&self, name: &str) -> Error {
        Error::not_found("the object has no such map").in_map(name).in_file(&self.file)
    }

    fn no_program(&self, name: &str) -> Error {
        Error::not_found("no such program was loaded").in_program(name).in_file(&self.file)
    }
}
