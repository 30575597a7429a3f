//! Waiting: as long as a busy server asks for, within reason, and no longer than until a signal comes.

use std::time::{Duration, Instant, SystemTime};

use ureq::http::HeaderMap;

use super::client::header;
use crate::error::{Result, interrupt};

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
        std::thread::sleep(left.min(Duration::from_millis(50)));
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
