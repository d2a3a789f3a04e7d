//! The slope of a noisy series, with bounds.

/// One-sided 99 % of the normal distribution.
const Z99: f64 = 2.326_347_874;
/// Serial correlation beyond which a series says nothing about its slope: the interval is 4.4 times as wide here.
const CORRELATION_MAX: f64 = 0.9;
/// Points that are looked at, at most: 6,441 slopes.
pub(super) const POINTS_MAX: usize = 120;

/// A slope and its bounds: growth a unit of x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The median of all slopes between two points.
    pub slope: f64,
    /// The true slope is above this, at 99 %.
    pub lower: f64,
    /// And below this, at 99 %.
    pub upper: f64,
}

impl Estimate {
    /// The same a larger or smaller unit of x.
    pub(super) fn times(self, factor: f64) -> Self {
        Self { slope: self.slope * factor, lower: self.lower * factor, upper: self.upper * factor }
    }
}

/// The Theil–Sen slope of points (x, y) whose x do not fall, and Sen's interval for it (P. K. Sen, *Estimates of the regression
/// coefficient based on Kendall's tau*, 1968), widened for the serial correlation of the residuals as Hamed and Rao do (*A
/// modified Mann–Kendall trend test for autocorrelated data*, 1998), here by the first lag only.
///
/// Of more than 120 points as many are used, evenly spread. `None` if less than three x differ.
///
/// ```
/// use staunch_leak::watch::trend;
/// let points: Vec<(f64, f64)> = (0..50).map(|n| (f64::from(n), 7.0 + 3.0 * f64::from(n))).collect();
/// let found = trend(&points).unwrap();
/// assert!((found.slope - 3.0).abs() < 1e-9 && found.lower > 2.9 && found.upper < 3.1);
/// assert!(trend(&points[..2]).is_none());
/// ```
pub fn trend(points: &[(f64, f64)]) -> Option<Estimate> {
    let step = points.len().div_ceil(POINTS_MAX).max(1);
    let points: Vec<(f64, f64)> = points.iter().step_by(step).copied().collect();
    let n = points.len();
    let mut slopes = Vec::with_capacity(n * n.saturating_sub(1) / 2);
    for (i, (x0, y0)) in points.iter().enumerate() {
        // Points that stand above each other have no slope; Sen leaves them out.
        slopes.extend(points[i + 1..].iter().filter(|(x, _)| x > x0).map(|(x, y)| (y - y0) / (x - x0)));
    }
    if n < 3 || slopes.len() < 3 {
        return None;
    }
    slopes.sort_by(f64::total_cmp);
    let slope = median_of_sorted(&slopes);
    let count = n as f64;
    // Kendall's variance of concordant minus discordant pairs, for as many pairs as have a slope.
    let share = slopes.len() as f64 / (count * (count - 1.0) / 2.0);
    let deviation = (count * (count - 1.0) * (2.0 * count + 5.0) / 18.0).sqrt() * share;
    let width = Z99 * deviation * inflation(&points, slope);
    let all = slopes.len() as f64;
    let at = |rank: f64| slopes[(rank.max(0.0) as usize).min(slopes.len() - 1)];
    Some(Estimate { slope, lower: at(((all - width) / 2.0).floor() - 1.0), upper: at(((all + width) / 2.0).ceil()) })
}

fn median_of_sorted(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// How much wider the interval is than that of independent points: the square root of (1 + r) / (1 - r), where r is the
/// residuals' correlation with their successors, and never narrower.
fn inflation(points: &[(f64, f64)], slope: f64) -> f64 {
    let mut residuals: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
    let mean = residuals.iter().sum::<f64>() / residuals.len() as f64;
    residuals.iter_mut().for_each(|residual| *residual -= mean);
    let variance: f64 = residuals.iter().map(|r| r * r).sum();
    let covariance: f64 = residuals.windows(2).map(|pair| pair[0] * pair[1]).sum();
    if variance <= 0.0 {
        return 1.0;
    }
    let correlation = (covariance / variance).clamp(0.0, CORRELATION_MAX);
    ((1.0 + correlation) / (1.0 - correlation)).sqrt()
}
