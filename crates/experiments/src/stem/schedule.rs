//! The learning rate over the steps of a run.

/// The rate at step `step` (from 0) of `steps`: the start's for the first half, then eight equal
/// stairs down to an eighth of it.
pub fn learning_rate(start: f64, step: u64, steps: u64) -> f64 {
    let half = steps / 2;
    if step < half {
        return start;
    }
    let stair = (8 * (step - half) / (steps - half).max(1)).min(7);
    start * (1.0 - stair as f64 / 8.0)
}

#[cfg(test)]
mod tests {
    use super::learning_rate;

    #[test]
    fn half_and_eight_stairs() {
        let rates: Vec<f64> = (0..32).map(|step| learning_rate(3e-4, step, 32)).collect();
        assert!(rates[..16].iter().all(|&rate| rate == 3e-4));
        for stair in 0..8 {
            let expected = 3e-4 * (1.0 - stair as f64 / 8.0);
            assert_eq!(rates[16 + 2 * stair..18 + 2 * stair], [expected; 2]);
        }
        assert_eq!(learning_rate(3e-4, 0, 1), 3e-4);
    }
}
