//! The memory of tensors, from one step to the next.

/// Let the allocator keep what tensors free, for the next ones: by default glibc gives large blocks back to the system at
/// once, and the tensors of every step would be fresh pages, zeroed and mapped one by one. Call it when a model is loaded, not
/// before: the many small blocks of the tokenizers would wait for each other in the one arena. Elsewhere than on glibc it does
/// nothing.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // The largest threshold that glibc takes: half of the heap of an arena.
        const LARGEST: libc::c_int = 32 << 20;
        // SAFETY: mallopt only sets numbers of the allocator; values that it does not like it ignores.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
            libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
            // Large blocks live in the main arena: the heaps of others are too small to hold many.
            libc::mallopt(libc::M_ARENA_MAX, 1);
        }
    }
}
