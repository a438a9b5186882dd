//! What a kernel holds, read back: types so far.

mod btf;
