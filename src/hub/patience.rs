//! Waiting: as long as a busy server asks for, within reason, and no longer than until a signal comes.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use ureq::http::{HeaderMap, Response};
use ureq::{Body, http};

use super::client::header;
use crate::error::{Error, Result, interrupt};

/// The time between two looks at the signals.
const TICK: Duration = Duration::from_millis(50);
/// Bytes of a body that are read at a time, and how many such blocks may wait.
const BLOCK: usize = 1 << 17;
const BLOCKS: usize = 4;

/// The longest wait that a server may ask for with `Retry-After`.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Wait, and give up at once when a signal asks to stop.
pub(super) fn sleep(pause: Duration) -> Result<()> {
    let end = Instant::now() + pause;
    loop {
        interrupt::check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(TICK));
    }
}

/// What `work` returns, which runs in a thread of its own: a server that has fallen silent holds nobody up who wants to stop.
///
/// # Errors
/// [`Error::Interrupted`]; [`Error::Io`] when there can be no thread.
pub(super) fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (done, result) = sync_channel(1);
    spawn(move || {
        // Nobody waits any more after a signal.
        let _ = done.send(work());
    })?;
    wait_for(&result)?.ok_or_else(|| Error::io("the network", "ask")(io::Error::other("no answer")))
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .name("hub".into())
        .spawn(work)
        .map(drop)
        .map_err(Error::io("the network", "start a thread for"))
}

/// The next value; `None` when there will be no more.
fn wait_for<T>(values: &Receiver<T>) -> Result<Option<T>> {
    loop {
        interrupt::check()?;
        match values.recv_timeout(TICK) {
            Ok(value) => return Ok(Some(value)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// The body of an answer, block by block.
pub(super) struct Blocks(Receiver<io::Result<Vec<u8>>>);

impl Blocks {
    /// Begin to read `response`, of which at most `limit` bytes come.
    ///
    /// # Errors
    /// As [`in_background`].
    pub fn of(response: Response<Body>, limit: u64) -> Result<Self> {
        let (blocks, receiver) = sync_channel(BLOCKS);
        let body = http::Response::into_body(response);
        spawn(move || {
            let mut reader = body.into_with_config().limit(limit).reader();
            loop {
                let mut block = vec![0; BLOCK];
                let read = reader.read(&mut block).map(|n| {
                    block.truncate(n);
                    block
                });
                let last = read.as_ref().map_or(true, Vec::is_empty);
                if blocks.send(read).is_err() || last {
                    return;
                }
            }
        })?;
        Ok(Self(receiver))
    }

    /// The next block, empty at the end of the body.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; inside, what became of the connection.
    pub fn next(&self) -> Result<io::Result<Vec<u8>>> {
        let broken = || Err(io::Error::other("no more comes"));
        Ok(wait_for(&self.0)?.unwrap_or_else(broken))
    }
}

/// The wait that `Retry-After` asks for: seconds, or a date, which is seen from the server's own `Date` because the clock
/// here may differ (RFC 9110, section 10.2.3). A date that has passed asks for none.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let asked = header(headers, "retry-after")?.trim();
    let date = |text| httpdate::parse_http_date(text).ok();
    let wait = match asked.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let now = header(headers, "date").and_then(date);
            let until = date(asked)?;
            until
                .duration_since(now.unwrap_or_else(SystemTime::now))
                .unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_asks_for_a_wait_in_seconds_or_by_a_date() {
        let asked = |values: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in values {
                headers.insert(*name, value.parse().unwrap());
            }
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        let by_date = |date| {
            let now = ("date", "Tue, 24 Nov 2026 04:00:00 GMT");
            asked(&[("retry-after", date), now])
        };
        assert_eq!(asked(&[("retry-after", " 7 ")]), Some(7));
        assert_eq!(by_date("Tue, 24 Nov 2026 04:00:05 GMT"), Some(5));
        assert_eq!(by_date("Tuesday, 24-Nov-26 04:01:00 GMT"), Some(60));
        assert_eq!(by_date("Tue, 24 Nov 2026 03:59:00 GMT"), Some(0));
        assert_eq!(by_date("Wed, 25 Nov 2026 04:00:00 GMT"), Some(120));
        assert_eq!(asked(&[("retry-after", "4294967296")]), Some(120));
        // Without a date of the server's the own clock counts, which is past this one.
        assert_eq!(
            asked(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]),
            Some(0)
        );
        for nothing in ["soon", "-1", ""] {
            assert_eq!(asked(&[("retry-after", nothing)]), None, "{nothing}");
        }
        assert_eq!(asked(&[]), None);
    }
}
