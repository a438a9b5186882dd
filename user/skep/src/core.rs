//! What became of CO-RE relocations, as plain data.

use skep_btf::CoreRelocKind;

/// A CO-RE relocation of a program, and what it comes to on a kernel; see [`crate::Object::core_relocations`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreRelocation {
    /// The program that is loaded with it.
    pub program: String,
    /// The instruction slot in the linked program.
    pub insn: u32,
    /// What is wanted.
    pub kind: CoreRelocKind,
    /// What it is of, as C would say it: `task_struct->mm.pgd`.
    pub access: String,
    /// The path in the object's own types, as libbpf's log shows it.
    pub local: String,
    /// The path in the first candidate that has it.
    pub target: Option<String>,
    /// The BTF that the candidate is in: `vmlinux`, a module, or the file that was set.
    pub source: Option<String>,
    /// How many candidates have it.
    pub matching: usize,
    /// What becomes of the instruction.
    pub outcome: CoreOutcome,
}

/// What becomes of the instruction of a CO-RE relocation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoreOutcome {
    /// It gets another value.
    Patched {
        /// What the instruction held: what the object's own types give, where a compiler writes that.
        from: u64,
        /// What the kernel's give.
        to: u64,
        /// How many bytes a load or store accessed and accesses, where the field has another size there.
        resized: Option<(u32, u32)>,
    },
    /// It is replaced by a call that no kernel accepts: the kernel does not have what it needs.
    Poisoned,
    /// The object cannot be loaded: why.
    Failed(String),
}
