//! `skep run` on the running kernel, and what is said of input that is bad, wherever it would run.

use crate::common::{Ran, root, scratch, skep};
use serde_json::Value;
use std::process::{Command, Stdio};

const FIREWALL: &str = "examples/xdp-firewall/xdp_firewall.bpf.o";
const TRAFFIC: &str = "examples/xdp-firewall/traffic.pcap";

/// Whether this process may use the running kernel; says so where not.
pub(crate) fn has_linux(test: &str) -> bool {
    let ran = skep(&["check", "--on", "linux", "lab/vectors/code/branches.v1.bpf.o", "--json"]);
    if ran.status != 0 {
        println!("skipped: {test}: {}", ran.json());
    }
    ran.status == 0
}

/// The kernels that are here.
fn kernels(test: &str) -> Vec<&'static str> {
    if has_linux(test) { vec!["embedded", "linux"] } else { vec!["embedded"] }
}

fn run(args: &[&str]) -> Ran {
    let mut all = vec!["run"];
    all.extend(args);
    skep(&all)
}

/// A packet of the capture, alone: its Ethernet header and what follows.
fn packet() -> String {
    let capture = std::fs::read(root().join(TRAFFIC)).unwrap();
    let length = u32::from_le_bytes(capture[32..36].try_into().unwrap()) as usize;
    scratch("packet.bin", &capture[40..40 + length]).to_str().unwrap().to_owned()
}

fn entry<'d>(document: &'d Value, map: &str, key: &str) -> &'d Value {
    let entries = document["maps"][map].as_array().unwrap();
    let found = entries.iter().find(|entry| entry["key"] == key);
    &found.unwrap_or_else(|| panic!("no {key} in {entries:?}"))["value"]
}

#[test]
fn the_firewall_runs_over_the_capture() {
    for on in kernels("the_firewall_runs_over_the_capture") {
        let ran = run(&[FIREWALL, "--on", on, "--pcap", TRAFFIC, "--json"]).expect(0);
        let document = ran.json();
        assert_eq!((&document["program"], &document["on"]), (&"xdp_firewall".into(), &on.into()));
        assert_eq!(document["type"], "xdp");
        let (passed, dropped) = (&document["returns"]["XDP_PASS"], &document["returns"]["XDP_DROP"]);
        let whole = |count: &Value| usize::try_from(count.as_u64().unwrap()).unwrap();
        let sum = passed.as_u64().unwrap() + dropped.as_u64().unwrap();
        assert_eq!(document["runs"], sum);
        let verdicts = document["verdicts"].as_array().unwrap();
        let count = |verdict: u32| verdicts.iter().filter(|found| **found == verdict).count();
        assert_eq!((count(1), count(2)), (whole(dropped), whole(passed)), "XDP_DROP is 1 and XDP_PASS is 2");
        let events = document["events"].as_array().unwrap();
        assert_eq!(
            (Some(events.len() as u64), document["lost_events"].as_u64()),
            (dropped.as_u64(), Some(0))
        );
        assert!(events.iter().all(|event| event["map"] == "events"));
        let blocked = events.iter().find(|event| event["data"]["reason"] == "REASON_BLOCKED").unwrap();
        assert_eq!(blocked["data"]["saddr"], "0x0a4d0001");
        assert_eq!(blocked["data"]["family"], 4);
        let first = entry(&document, "blocked", "0x0a4d0001")["packets"].as_u64().unwrap();
        let second = entry(&document, "blocked", "0x0a4d0002")["packets"].as_u64().unwrap();
        let totals = &document["maps"]["totals"][0];
        assert_eq!(totals["sum"]["blocked"]["packets"], first + second);
        assert_eq!(
            totals["sum"]["passed"]["packets"].as_u64().unwrap()
                + totals["sum"]["not_ip"]["packets"].as_u64().unwrap(),
            passed.as_u64().unwrap()
        );
        let times = &document["ns_per_run"];
        let time = |name: &str| times[name].as_f64().unwrap();
        assert!(0.0 < time("min") && time("min") <= time("median") && time("median") <= time("max"));
        // Sorted by key: IPv4 sources by their last word.
        let sources = document["maps"]["sources"].as_array().unwrap();
        let words: Vec<Vec<u64>> = sources
            .iter()
            .map(|source| {
                source["key"]["words"].as_array().unwrap().iter().map(|w| w.as_u64().unwrap()).collect()
            })
            .collect();
        assert!(words.is_sorted() && words.len() > 10);
    }
}

#[test]
fn two_runs_give_the_same() {
    for on in kernels("two_runs_give_the_same") {
        let once = || {
            let mut document = run(&[FIREWALL, "--on", on, "--pcap", TRAFFIC, "--json"]).expect(0).json();
            document["maps"]["totals"][0]["value"].take();
            ["maps", "events", "returns"].map(|member| document[member].take())
        };
        assert_eq!(once(), once());
    }
}

#[test]
fn text_for_people_has_names_and_no_hexadecimal() {
    for on in kernels("text_for_people_has_names_and_no_hexadecimal") {
        let ran = run(&[FIREWALL, "--on", on, "--pcap", TRAFFIC]).expect(0);
        let text = ran.text();
        for part in
            ["XDP_DROP", "time per packet: ", "map blocked (2 entries):", "packets: ", "REASON_BLOCKED"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("0x"), "{text}");
        assert!(text.lines().count() < 100);
    }
}

#[test]
fn passed_packets_are_kept() {
    for on in kernels("passed_packets_are_kept") {
        let kept = scratch("kept.pcap", b"");
        let kept = kept.to_str().unwrap();
        let ran = run(&[FIREWALL, "--on", on, "--pcap", TRAFFIC, "--write", kept, "--json"]).expect(0);
        let passed = ran.json()["returns"]["XDP_PASS"].clone();
        // Without limits and a blocklist, what has passed passes again.
        let again = [
            FIREWALL,
            "--on",
            on,
            "--pcap",
            kept,
            "--json",
            "--set",
            "limit_packets=0",
            "--set",
            "blocked_default[0]=0",
        ];
        assert_eq!(run(&again).expect(0).json()["returns"], serde_json::json!({ "XDP_PASS": passed }));
    }
}

#[test]
fn globals_and_elements_are_set() {
    for on in kernels("globals_and_elements_are_set") {
        let quiet = [FIREWALL, "--on", on, "--pcap", TRAFFIC, "--json", "--set", "log_drops=false"];
        assert_eq!(run(&quiet).expect(0).json()["events"], serde_json::json!([]));
        let blocked = [
            FIREWALL,
            "--on",
            on,
            "--pcap",
            TRAFFIC,
            "--json",
            "--map-entry",
            "blocked",
            "0x01020304=packets:7,bytes:9",
        ];
        let document = run(&blocked).expect(0).json();
        assert_eq!(
            entry(&document, "blocked", "0x01020304"),
            &serde_json::json!({ "packets": 7, "bytes": 9 })
        );
    }
}

#[test]
fn one_packet_comes_out_as_it_went_in() {
    for on in kernels("one_packet_comes_out_as_it_went_in") {
        let packet = packet();
        let ran = run(&[FIREWALL, "--on", on, "--data", &packet, "--repeat", "5", "--json"]).expect(0);
        let document = ran.json();
        let bytes: String = std::fs::read(packet).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((&document["data_out"], &document["runs"]), (&bytes.into(), &5.into()));
        assert!(document["return"].as_str().unwrap().starts_with("0x"));
    }
}

#[test]
fn tail_calls_find_their_programs() {
    for on in kernels("tail_calls_find_their_programs") {
        let object = "examples/tail-calls/tail_calls.bpf.o";
        let document = run(&[object, "--on", on, "--pcap", TRAFFIC, "--json"]).expect(0).json();
        assert_eq!(document["program"], "dispatch");
        assert_eq!(document["maps"]["reached"][0]["sum"]["packets"], document["runs"]);
        assert!(document["maps"].get("stages").is_none(), "programs are no values");
    }
}

#[test]
fn attached_programs_count_system_calls() {
    for on in kernels("attached_programs_count_system_calls").into_iter().filter(|&on| on == "linux") {
        let object = "examples/syscount/syscount.bpf.o";
        let ran = run(&[object, "--on", on, "--attach", "--for", "200ms", "--json"]).expect(0);
        let document = ran.json();
        assert_eq!((&document["program"], &document["type"]), (&"syscount".into(), &"raw_tracepoint".into()));
        assert!(!document["maps"]["processes"].as_array().unwrap().is_empty());
    }
}

#[test]
fn bad_captures_are_named_by_offset() {
    let whole = std::fs::read(root().join(TRAFFIC)).unwrap();
    let cut = scratch("cut.pcap", &whole[..60]);
    let ran = run(&[FIREWALL, "--on", "linux", "--pcap", cut.to_str().unwrap(), "--json"]).expect(1);
    let document = ran.json();
    let error = &document["error"];
    assert_eq!((&error["kind"], &error["place"]["offset"]), (&"capture".into(), &40.into()));
    assert!(error["message"].as_str().unwrap().contains("ends within a packet"), "{error}");
    let ran = run(&[FIREWALL, "--on", "linux", "--pcap", "Cargo.toml"]).expect(1);
    assert!(ran.stderr.starts_with("skep: Cargo.toml: byte 0x0: wanted a pcap"), "{}", ran.stderr);
    let mut other_link = whole[..24].to_vec();
    other_link[20] = 101;
    other_link.extend([0; 16]);
    let other = scratch("ip.pcap", &other_link);
    let ran = run(&[FIREWALL, "--on", "linux", "--pcap", other.to_str().unwrap()]).expect(1);
    assert!(ran.stderr.contains("packet 1: wanted Ethernet frames"), "{}", ran.stderr);
}

#[test]
fn what_the_object_does_not_have_is_a_usage_error() {
    let base = [FIREWALL, "--on", "linux", "--pcap", TRAFFIC, "--json"];
    let with = |more: &[&str]| run(&[&base[..], more].concat()).expect(2);
    let ran = with(&["--program", "nobody"]);
    assert!(ran.stderr.contains("xdp_firewall"), "the help lists the programs: {}", ran.stderr);
    let document = with(&["--set", "no_such=1"]).json();
    assert_eq!(document["error"]["place"]["symbol"], "no_such");
    assert_eq!(document["error"]["place"]["file"], FIREWALL);
    let ran = with(&["--set", "limit_packets=many"]);
    assert!(ran.stderr.contains("limit_packets"), "{}", ran.stderr);
    with(&["--set", "limit_packets=0x100000000"]);
    with(&["--set", "limit_packets"]);
    with(&["--set", "=5"]);
    run(&[FIREWALL, "--on", "linux", "--json"]).expect(2);
    run(&[FIREWALL, "--pcap", TRAFFIC, "--data", TRAFFIC]).expect(2);
    run(&[FIREWALL, "--attach", "--for", "soon"]).expect(2);
    for on in kernels("what_the_object_does_not_have_is_a_usage_error") {
        let base = [FIREWALL, "--on", on, "--pcap", TRAFFIC, "--map-entry"];
        for (map, text) in
            [("nothing", "1=1"), ("blocked", "1"), ("blocked", "x=packets:1"), ("blocked", "1=2")]
        {
            let ran = run(&[&base[..], &[map, text]].concat()).expect(2);
            assert!(ran.stderr.contains(map), "{}", ran.stderr);
        }
        let ran = run(&["examples/syscount/syscount.bpf.o", "--on", on, "--pcap", TRAFFIC]).expect(2);
        assert!(ran.stderr.contains("no program that runs on such input"), "{}", ran.stderr);
        if on == "linux" {
            let ran = run(&[FIREWALL, "--on", on, "--attach", "--for", "1ms"]).expect(2);
            assert!(ran.stderr.contains("--interface"), "{}", ran.stderr);
        }
    }
}

#[test]
fn what_this_build_cannot_do_is_said() {
    for (args, missing) in [
        (["--engine", "jit"], "exact"),
        (["--engine", "interpreter"], "exact"),
        (["--checks", "off"], "checks every access"),
    ] {
        let ran = run(&[&[FIREWALL, "--pcap", TRAFFIC, "--json"][..], &args].concat()).expect(3);
        assert!(ran.json()["error"]["message"].as_str().unwrap().contains(missing), "{}", ran.stderr);
    }
    run(&[FIREWALL, "--on", "linux", "--engine", "jit", "--pcap", TRAFFIC]).expect(3);
    run(&[FIREWALL, "--attach"]).expect(3);
}

#[test]
fn a_rejected_program_shows_the_log() {
    for (on, cause) in [("embedded", "packet"), ("linux", "invalid access to packet")] {
        if on == "linux" && !has_linux("a_rejected_program_shows_the_log") {
            return;
        }
        let object = "lab/vectors/refused/unchecked_packet.bpf.o";
        let ran = run(&[object, "--on", on, "--data", &packet(), "--json"]).expect(1);
        let document = ran.json();
        assert_eq!(document["error"]["kind"], "rejected");
        let log = document["error"]["log_tail"].as_str().unwrap();
        assert!(log.contains(cause), "{log}");
        assert!(ran.stderr.contains(cause), "{}", ran.stderr);
    }
}

#[test]
fn a_fault_has_its_place_in_the_source() {
    let object = "lab/vectors/refused/unchecked_packet.bpf.o";
    run(&[object, "--unverified", "--on", "linux", "--data", &packet()]).expect(3);
    // The reference machine stops what reads past the packet; this program reads its first bytes only, so none is missing.
    let document = run(&[object, "--unverified", "--data", &packet(), "--json"]).expect(0).json();
    assert_eq!(document["runs"], 1);

    // Its first instruction made to load the end of the packet: what is read from there is no packet.
    let mut bytes = std::fs::read(root().join(object)).unwrap();
    let code = [0x61, 0x11, 0, 0, 0, 0, 0, 0];
    let at = bytes.windows(8).position(|window| window == code).unwrap();
    bytes[at + 2] = 4;
    let object = scratch("past_the_end.o", &bytes);
    let object = object.to_str().unwrap();
    let document = run(&[object, "--unverified", "--data", &packet(), "--json"]).expect(1).json();
    let error = &document["error"];
    assert_eq!((&error["kind"], &error["insn"]), (&"out_of_bounds".into(), &1.into()), "{document}");
    assert_eq!(error["source"]["file"], "./lab/vectors/refused/unchecked_packet.bpf.c");
    assert_eq!((&document["runs"], document.get("return")), (&0.into(), None));
    let human = run(&[object, "--unverified", "--data", &packet()]).expect(1);
    assert!(human.text().contains("stopped at instruction 1: "), "{}", human.text());
    assert!(human.text().contains("--> ./lab/vectors/refused"), "{}", human.text());
}

#[test]
fn the_embedded_kernel_and_linux_agree() {
    if !has_linux("the_embedded_kernel_and_linux_agree") {
        return;
    }
    for object in [FIREWALL, "examples/tail-calls/tail_calls.bpf.o"] {
        let on = |kernel: &str| {
            let kept = scratch(&format!("{kernel}.pcap"), b"");
            let args =
                [object, "--on", kernel, "--pcap", TRAFFIC, "--write", kept.to_str().unwrap(), "--json"];
            let mut document = run(&args).expect(0).json();
            // Which CPU it was is the scheduler's business; the sums stay.
            for entry in document["maps"]
                .as_object_mut()
                .unwrap()
                .values_mut()
                .flat_map(|map| map.as_array_mut().unwrap())
            {
                if entry.get("sum").is_some() {
                    entry["value"].take();
                }
            }
            let compared = ["returns", "maps", "globals", "events", "lost_events"];
            (compared.map(|member| document[member].take()), std::fs::read(kept).unwrap())
        };
        let (embedded, linux) = (on("embedded"), on("linux"));
        assert_eq!(embedded.0, linux.0, "{object}");
        assert!(embedded.1 == linux.1, "{object}: the packets kept differ");
    }
}

#[test]
fn what_programs_print_is_in_the_answer() {
    let object = "lab/vectors/helpers/text.bpf.o";
    let document = run(&[object, "--program", "printk", "--data", &packet(), "--json"]).expect(0).json();
    assert!(!document["printk"].as_array().unwrap().is_empty(), "{document}");
    let human = run(&[object, "--program", "printk", "--data", &packet()]).expect(0);
    assert!(human.text().contains("printed:"), "{}", human.text());
}

#[test]
fn an_interrupt_ends_the_attachment_with_an_answer() {
    if !has_linux("an_interrupt_ends_the_attachment_with_an_answer") {
        return;
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_skep"))
        .args(["run", "examples/syscount/syscount.bpf.o", "--on", "linux", "--attach"])
        .current_dir(root())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Attached is who has opened a link: until then the signal would end the process.
    let links = format!("/proc/{}/fd", child.id());
    let is_attached = || {
        let fds = std::fs::read_dir(&links).unwrap();
        fds.flatten()
            .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.ends_with("anon_inode:bpf_link")))
    };
    while !is_attached() {
        assert!(child.try_wait().unwrap().is_none(), "it has ended before it was attached");
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("map processes"), "{text}");
}
