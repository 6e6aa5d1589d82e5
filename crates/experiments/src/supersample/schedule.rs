//! The learning rate over the steps.

/// The learning rate of a step, counted from 0: multiplied by 0.1 every
/// `floor(10000 / batch * 350)` steps.
pub fn learning_rate(start: f64, batch: usize, step: u64) -> f64 {
    let stair = (3_500_000 / batch as u64).max(1);
    let stairs = i32::try_from(step / stair).unwrap_or(i32::MAX);
    start * 0.1_f64.powi(stairs)
}

#[cfg(test)]
mod tests {
    use super::learning_rate;

    #[test]
    fn a_tenth_every_so_many_steps() {
        let stair = 54_687; // floor(10000 / 64 * 350)
        assert_eq!(learning_rate(1.0, 64, 0), 1.0);
        assert_eq!(learning_rate(1.0, 64, stair - 1), 1.0);
        assert_eq!(learning_rate(1.0, 64, stair), 0.1);
        assert!((learning_rate(1.0, 64, 3 * stair) - 1e-3).abs() < 1e-15);
        assert_eq!(learning_rate(2.0, 1, 3_499_999), 2.0);
    }
}
