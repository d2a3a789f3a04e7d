//! Medians and quantiles of a few figures.

/// The value below which a share `q` (0 to 1) of them lies, by nearest rank; 0 if there is none.
pub(super) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0.0)
}

/// The middle one.
pub(super) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// To three significant figures: a bench has no more.
pub(super) fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powi(2 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::{median, quantile, rounded};

    #[test]
    fn quantiles_are_of_the_values_given() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!((median(&values), quantile(&values, 0.99), quantile(&values, 0.0)), (3.0, 5.0, 1.0));
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn three_figures_are_kept() {
        assert_eq!((rounded(1234.5), rounded(0.123_45), rounded(0.0), rounded(f64::NAN)), (1230.0, 0.123, 0.0, 0.0));
    }
}
