//! Panics of dependencies over damaged data, turned into errors.
//!
//! The readers check what they can before they hand a stranger's bytes to a library; where a library takes inner
//! numbers for granted (pages of Parquet, tables of a tokenizer), its panic is caught here and says what was wrong.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether a panic of this thread is caught and needs no report.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Run `f`; its panic, which is not reported on stderr, comes back as words. What `f` was at work on must not be used
/// again after a panic.
///
/// # Errors
/// The message of the panic.
pub fn contain<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let report = take_hook();
        set_hook(Box::new(move |info| {
            if !CONTAINED.get() {
                report(info);
            }
        }));
    });
    let before = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    CONTAINED.set(before);
    result.map_err(|panic| words(&*panic))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("damaged data ({})", words.unwrap_or("no more is known"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_comes_back_as_words_and_nothing_else_changes() {
        assert_eq!(contain(|| 3), Ok(3));
        let n = 7;
        let error = contain(|| assert!(n < 5, "{n} is too much")).unwrap_err();
        assert_eq!(error, "damaged data (7 is too much)");
        assert_eq!(contain(|| contain(|| panic!("inner")).is_err()), Ok(true));
        assert!(!CONTAINED.get());
    }
}
