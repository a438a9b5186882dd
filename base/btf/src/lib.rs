//! BTF: view, index, layout, value printing.
#![no_std]
