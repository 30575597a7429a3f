//! A system that gives no more threads.

use crate::common::Workspace;
use crate::steps::preloaded;

/// As many calls as `THREADS` says succeed.
const FEW: &str = r#"
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <errno.h>
    #include <pthread.h>
    #include <stdlib.h>
    typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*what)(void *), void *with) {
        static int calls;
        if (__sync_fetch_and_add(&calls, 1) >= atoi(getenv("THREADS"))) return EAGAIN;
        return ((create *)dlsym(RTLD_NEXT, "pthread_create"))(thread, how, what, with);
    }"#;

#[test]
fn a_thread_that_cannot_be_started_is_named() {
    let w = Workspace::new();
    let few = preloaded(&w.path("."), "few.c", FEW);
    w.run("flue-cls-prepare -q -c tiny-camembert --data sample data");
    let run = |line: &str, threads: usize| {
        let mut command = w.command(line);
        command.env("LD_PRELOAD", &few);
        let output = command.env("THREADS", threads.to_string()).output();
        let output = output.unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), log)
    };
    // Each takes one thread for loops and one for signals; prepare two more for each of its two
    // splits.
    for (line, needed) in [
        ("flue-cls-prepare -c tiny-camembert --data sample out", 6),
        (
            "flue-cls-finetune -a 8 -b 8 -d data -c tiny-camembert -s model",
            2,
        ),
        (
            "data-cls --limit 4 --data data --checkpoint tiny-camembert --out out.npy",
            2,
        ),
        ("study export --results .", 2),
    ] {
        for threads in 0..needed {
            let (status, log) = run(&format!("{line} -q --threads 1"), threads);
            assert_eq!(status, Some(1), "{line} with {threads}: {log}");
            assert!(!log.contains("panicked"), "{log}");
            for word in ["cannot start the thread", "ulimit -u"] {
                assert!(log.contains(word), "no {word:?} in {log}");
            }
        }
        let (status, log) = run(&format!("{line} -q"), 0);
        assert_eq!(status, Some(1), "{line}: {log}");
        assert!(log.contains("the threads of parallel loops"), "{log}");
        if !line.starts_with("study") {
            let (status, log) = run(&format!("{line} -q --threads 1"), needed);
            assert_eq!(status, Some(0), "{line} with {needed}: {log}");
        }
    }
}
