//! Progress of a long command: one line on standard error if that is a terminal, and nothing elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Frames per second, so that a slow terminal does not hold up the work.
const FRAMES_PER_S: u8 = 10;

/// A line in the form of `template`, such as `{pos} events`. It disappears when it is finished or dropped.
pub(super) fn line(template: &str) -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(FRAMES_PER_S));
    bar.set_style(ProgressStyle::with_template(template)?);
    Ok(bar)
}
