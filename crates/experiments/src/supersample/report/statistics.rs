//! Means, standard deviations, significance.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A sample in three numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// How many.
    pub count: usize,
    /// Their mean; NaN of none.
    pub mean: f64,
    /// Their standard deviation, of a sample (divided by one less); NaN of fewer than two.
    pub std: f64,
}

impl Sample {
    /// Of numbers.
    pub fn of(numbers: &[f64]) -> Self {
        let count = numbers.len();
        let mean = numbers.iter().sum::<f64>() / count as f64;
        let squares: f64 = numbers.iter().map(|x| (x - mean).powi(2)).sum();
        let std = if count < 2 { f64::NAN } else { (squares / (count - 1) as f64).sqrt() };
        Self { count, mean, std }
    }
}

/// Welch's t-test: how probable a difference of means at least as large is, on either side, if the
/// two samples are normal with one mean. None for fewer than two numbers in either, or without any
/// spread.
///
/// Source: B. L. Welch, "The generalization of 'Student's' problem when several different population
/// variances are involved", Biometrika 34 (1947).
pub fn welch(a: &Sample, b: &Sample) -> Option<f64> {
    let errors = [a, b].map(|sample| sample.std.powi(2) / sample.count as f64);
    let error = errors[0] + errors[1];
    if !(0.0 < error && error < f64::INFINITY) {
        return None;
    }
    let t = (a.mean - b.mean) / error.sqrt();
    let part = |i: usize, sample: &Sample| errors[i].powi(2) / (sample.count - 1) as f64;
    let freedom = error.powi(2) / (part(0, a) + part(1, b));
    let distribution = StudentsT::new(0.0, 1.0, freedom).ok()?;
    Some(2.0 * distribution.cdf(-t.abs()))
}

/// The t-test of differences between pairs: how probable a mean at least as far from 0 is, on either
/// side, if they are normal with mean 0. None for fewer than two, or without any spread.
pub fn paired(differences: &Sample) -> Option<f64> {
    let error = differences.std / (differences.count as f64).sqrt();
    if !(0.0 < error && error < f64::INFINITY) {
        return None;
    }
    let distribution = StudentsT::new(0.0, 1.0, (differences.count - 1) as f64).ok()?;
    Some(2.0 * distribution.cdf(-(differences.mean / error).abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against SciPy 1.17.1: `scipy.stats.ttest_ind(a, b, equal_var=False)`.
    #[test]
    fn welch_is_scipys() {
        let a = Sample::of(&[27.5, 21.0, 19.0, 23.6, 17.0, 17.9]);
        let b = Sample::of(&[27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0]);
        let p = welch(&a, &b).unwrap();
        assert!((p - 0.201_988_677_353_455_05).abs() < 1e-9, "{p}");
        assert_eq!(welch(&b, &a), Some(p));
        let one = Sample::of(&[1.0]);
        assert!(one.std.is_nan() && welch(&one, &a).is_none());
        let same = Sample::of(&[2.0, 2.0]);
        assert_eq!((same.mean, same.std, welch(&same, &same)), (2.0, 0.0, None));
        assert!(Sample::of(&[]).mean.is_nan());
    }

    /// Against SciPy 1.17.1: `scipy.stats.ttest_1samp(differences, 0)`.
    #[test]
    fn paired_is_scipys() {
        let p = paired(&Sample::of(&[-0.038, -0.026, -0.032])).unwrap();
        assert!((p - 0.011516698855655238).abs() < 1e-9, "{p}");
        assert_eq!(paired(&Sample::of(&[1.0])), None);
        assert_eq!(paired(&Sample::of(&[1.0, 1.0])), None);
    }
}
