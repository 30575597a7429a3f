//! Progress of long steps: a bar with an ETA on a terminal, plain lines elsewhere, nothing when
//! quiet. All on stderr.

use std::io::IsTerminal;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    /// Nothing (the default of the library).
    Silent = 0,
    /// A log line every few seconds.
    Lines = 1,
    /// A bar.
    Bar = 2,
}

static MODE: AtomicU8 = AtomicU8::new(Mode::Silent as u8);

/// Choose how all later steps are shown. The programs call it once: silent with `--quiet`, else
/// [`Mode::detect`].
pub(crate) fn set_mode(mode: Mode) {
    MODE.store(mode as u8, Ordering::Relaxed);
}

impl Mode {
    /// A bar when stderr is a terminal, lines otherwise.
    pub(crate) fn detect() -> Self {
        if std::io::stderr().is_terminal() {
            Mode::Bar
        } else {
            Mode::Lines
        }
    }

    fn current() -> Self {
        match MODE.load(Ordering::Relaxed) {
            1 => Mode::Lines,
            2 => Mode::Bar,
            _ => Mode::Silent,
        }
    }
}

/// All bars of the process.
static BARS: LazyLock<MultiProgress> =
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8)));

/// Write to the terminal by `f`, above the bars that it shows.
pub(crate) fn above<R>(f: impl FnOnce() -> R) -> R {
    match Mode::current() {
        Mode::Bar => BARS.suspend(f),
        Mode::Lines | Mode::Silent => f(),
    }
}

/// The unit of what is shown as an amount of data.
const BYTES: &str = "bytes";
/// The time between two lines when there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The progress of one step, counted in `total` units. Finished when dropped.
pub(crate) struct Progress {
    name: String,
    unit: &'static str,
    bar: ProgressBar,
    mode: Mode,
    /// Units that were done before.
    from: u64,
    start: Instant,
    last_line: Instant,
}

impl Progress {
    /// A step called `name` ("tokenize train") of `total` units called `unit` ("rows"; "bytes" are
    /// shown as MB, with a speed). A `total` of 0 means unknown.
    pub(crate) fn new(name: impl Into<String>, total: u64, unit: &'static str) -> Self {
        let (name, mode, now) = (name.into(), Mode::current(), Instant::now());
        let bar = if total == 0 {
            ProgressBar::no_length()
        } else {
            ProgressBar::new(total)
        };
        let bar = if mode == Mode::Bar {
            BARS.add(bar)
        } else {
            bar.set_draw_target(ProgressDrawTarget::hidden());
            bar
        };
        let template = match (total, unit) {
            (0, BYTES) => "{prefix} {decimal_bytes} {elapsed} {decimal_bytes_per_sec}",
            (_, BYTES) => {
                "{prefix} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {percent}% {decimal_bytes_per_sec} ETA {eta}"
            }
            (0, _) => "{prefix} {human_pos} {elapsed} {per_sec} {msg}",
            _ => "{prefix} {wide_bar} {human_pos}/{human_len} {percent}% {elapsed} ETA {eta} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(name.clone());
        Self {
            name,
            unit,
            bar,
            mode,
            from: 0,
            start: now,
            last_line: now,
        }
    }

    /// A step of which `n` units were done before: they count, but not for the speed.
    pub(crate) fn from(mut self, n: u64) -> Self {
        self.bar.set_position(n);
        self.bar.reset_eta();
        self.from = n;
        self
    }

    /// Count `n` more units.
    pub(crate) fn advance(&mut self, n: u64) {
        self.bar.inc(n);
        if self.mode == Mode::Lines && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            self.line();
        }
    }

    /// Words after the counts: a loss, a rate.
    pub(crate) fn message(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }

    fn line(&self) {
        let (done, seconds) = (self.bar.position(), self.start.elapsed().as_secs_f64());
        let (name, unit, message) = (&self.name, self.unit, self.bar.message());
        let here = done - self.from.min(done);
        let left = |total: u64| seconds / here as f64 * total.saturating_sub(done) as f64;
        let count = |n: u64| match unit {
            BYTES => DecimalBytes(n).to_string(),
            _ => n.to_string(),
        };
        let mut line = match self.bar.length() {
            Some(total) => format!("{}/{}", count(done), count(total)),
            None => count(done),
        };
        match unit {
            BYTES => {
                let speed = here as f64 / seconds.max(1e-3);
                line += &format!(", {seconds:.0} s, {}/s", DecimalBytes(speed as u64));
            }
            _ => line += &format!(" {unit}, {seconds:.0} s"),
        }
        if let Some(total) = self.bar.length().filter(|&total| 0 < here && done < total) {
            line += &format!(", ETA {:.0} s", left(total));
        }
        tracing::info!("{}", format!("{name}: {line} {message}").trim_end());
    }
}

impl Drop for Progress {
    /// The last line tells how far the step came: finishing the bar moves it to its end, whether or
    /// not the step did.
    fn drop(&mut self) {
        if self.mode == Mode::Lines {
            self.line();
        }
        self.bar.finish_and_clear();
    }
}
