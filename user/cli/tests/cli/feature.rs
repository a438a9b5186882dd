//! `skep feature`: what kernels say that they can do.

use crate::common::skep;

#[test]
fn the_embedded_kernel_tells_what_it_has() {
    let told = skep(&["feature", "--on", "embedded", "--json"]).expect(0).json();
    assert_eq!(told["on"], "embedded");
    let state = |list: &str, name: &str| {
        let found = told[list].as_array().unwrap().iter().find(|answer| answer["name"] == name).unwrap();
        found["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state("features", "global_data"), "there");
    assert_eq!(state("map_types", "ringbuf"), "there");
    assert_eq!(state("map_types", "struct_ops"), "missing");
    let xdp = told["prog_types"].as_array().unwrap().iter().find(|answer| answer["name"] == "xdp").unwrap();
    assert_eq!((&xdp["state"], &xdp["since"]), (&"there".into(), &"4.8".into()));
    let helpers = xdp["helpers"].as_array().unwrap();
    assert!(helpers.contains(&"bpf_ktime_get_ns".into()), "{helpers:?}");
    assert!(!helpers.contains(&"bpf_skb_load_bytes".into()), "{helpers:?}");
    let human = skep(&["feature", "--on", "embedded"]).expect(0);
    assert!(
        human.text().contains("program types:") && human.text().contains("global_data"),
        "{}",
        human.text()
    );
}
