//! The exercise that every kernel behind the seam does, here on the embedded one and on wrappers around it.

use skep_embedded::{Config, Embedded, Mirror};
use skep_lab_seam::{Machine, exercise};
use skep_sys::Kernel;

fn embedded(mirror: Mirror) -> Embedded {
    Embedded::new(Config::new().mirror(mirror).seed(1)).unwrap()
}

fn machine(embedded: &Embedded) -> Machine {
    Machine { page_size: embedded.page_size(), release: (6, 18) }
}

#[test]
fn maps() {
    for mirror in [Mirror::WherePossible, Mirror::Nowhere] {
        let embedded = embedded(mirror);
        exercise(&Kernel::from_sys(embedded.clone()), machine(&embedded)).unwrap();
        assert_eq!((embedded.open_descriptors(), embedded.page_bytes()), (0, 0), "something is left");
    }
}
