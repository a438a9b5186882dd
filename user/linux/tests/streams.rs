//! A process without standard input: no descriptor takes its place. The only test here, since it changes the process.
#![cfg(target_os = "linux")]

use skep_sys::OpenMode;

#[test]
fn no_descriptor_takes_the_place_of_a_standard_stream() {
    let kernel = skep_linux::kernel();
    // SAFETY: the call duplicates a number and touches no memory.
    let saved = unsafe { libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3) };
    // SAFETY: nobody else in this process uses its standard input.
    unsafe { libc::close(0) };
    let file = kernel.file_open("/proc/self/stat", OpenMode::Read).unwrap();
    let clone = file.try_clone().unwrap();
    // SAFETY: the call asks about a number and touches no memory.
    let flags = unsafe { libc::fcntl(0, libc::F_GETFD) };
    assert_eq!(flags, -1, "the low number is free again");
    for handle in [&file, &clone] {
        let number = handle.as_os_fd().unwrap();
        assert!(number > 2, "{number}");
        // SAFETY: as above.
        assert_eq!(unsafe { libc::fcntl(number, libc::F_GETFD) }, libc::FD_CLOEXEC);
    }
    let text = kernel.file_read("/proc/self/stat").unwrap();
    assert!(text.starts_with(std::process::id().to_string().as_bytes()));
    if saved >= 0 {
        // SAFETY: the call puts the standard input back and touches no memory.
        unsafe { libc::dup2(saved, 0) };
    }
}
