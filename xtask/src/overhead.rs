//! What clipping costs: criterion's benchmarks, in one table beside the reference.

use crate::bench::Overhead;
use crate::command::{cargo, root, run};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// Losses a batch, as in `benches/benches`.
const BATCHES: [u64; 4] = [1, 64, 4_096, 1 << 20];

/// Measures, and prints the table.
pub fn measure(options: &Overhead) -> Result<()> {
    let mut command = cargo("bench -p benches --bench core --bench layer -- --noplot");
    if let Some(name) = &options.save {
        command.args(["--save-baseline", name]);
    }
    if let Some(name) = &options.against {
        command.args(["--baseline", name]);
    }
    run(command.env("CANDLE_NUM_THREADS", "1"))?;
    let taken = options.save.as_deref().unwrap_or("new");
    let time = |name: &str| nanoseconds(name, taken);
    println!("\nOne loss, `Clipper::clip`: {}\n", shown(time("core/scalar")?));
    println!("What `Clipper::factors` takes, and what the layer adds to forward and backward:\n");
    let reference = reference()?;
    let mut table = vec![
        [
            "losses",
            "f32, none clipped",
            "every 50th",
            "all",
            "f64, none clipped",
            "layer, none clipped",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    table[0].extend(["layer, every 50th".into(), "TensorFlow adds".into()]);
    for count in BATCHES {
        let mut row = vec![count.to_string()];
        for name in ["f32_none", "f32_some", "f32_all", "f64_none"] {
            row.push(shown(time(&format!("core/{name}/{count}"))?));
        }
        let without = time(&format!("layer/without/{count}"))?;
        for name in ["none", "some"] {
            row.push(shown(time(&format!("layer/{name}/{count}"))? - without));
        }
        let found = reference.iter().find(|(losses, _)| *losses == count);
        row.push(found.map_or_else(|| "-".into(), |(_, adds)| shown(*adds)));
        table.push(row);
    }
    print(&table);
    step_share()
}

/// Criterion's estimate of the median.
fn nanoseconds(name: &str, taken: &str) -> Result<f64> {
    let folder =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let path = folder.join("criterion").join(name).join(taken).join("estimates.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let json: Value = serde_json::from_str(&text)?;
    json["median"]["point_estimate"].as_f64().with_context(|| path.display().to_string())
}

fn shown(nanoseconds: f64) -> String {
    match nanoseconds {
        t if t.abs() < 1e3 => format!("{t:.1} ns"),
        t if t.abs() < 1e6 => format!("{:.2} us", t / 1e3),
        t => format!("{:.2} ms", t / 1e6),
    }
}

fn print(table: &[Vec<String>]) {
    let width = |column: usize| table.iter().map(|row| row[column].len()).max().unwrap_or(0);
    for row in table {
        let cells = row.iter().enumerate().map(|(i, cell)| format!("{cell:>0$}", width(i)));
        println!("{}", cells.collect::<Vec<_>>().join("  "));
    }
}

/// Losses, and nanoseconds that the reference adds; empty where there is no TensorFlow.
fn reference() -> Result<Vec<(u64, f64)>> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let installed = Command::new(&python).args(["-c", "import tensorflow"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        println!("TensorFlow is not installed for {python} (set PYTHON to one that has it).");
        return Ok(Vec::new());
    }
    let script = root().join("benches/reference/tf_alrc.py");
    let output = Command::new(&python).arg(&script).output()?;
    ensure!(
        output.status.success(),
        "{}: {}",
        script.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |line: &str| -> Option<(u64, f64)> {
        let microseconds: f64 = line.split("overhead ").nth(1)?.split(' ').next()?.parse().ok()?;
        Some((line.split(' ').next()?.parse().ok()?, 1e3 * microseconds))
    };
    Ok(text.lines().filter_map(line).collect())
}

/// The layer's part of a training step of the published network.
fn step_share() -> Result<()> {
    println!();
    for batch in ["1", "64"] {
        let mut command = cargo("run --quiet --release -p benches --bin step --");
        command.args(["--width", "64", "--batch", batch, "--json"]);
        let output = command.env("CANDLE_NUM_THREADS", "1").output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json: Value = serde_json::from_slice(&output.stdout)?;
        let number = |value: &Value| value.as_f64().context("a number of the benchmark `step`");
        println!(
            "A supersampling step at width 64, batch {batch}: {:.1} ms, of which {:.3} % is the layer.",
            number(&json["ms_best"])?,
            1e2 * number(&json["shares"]["ALRC"])?
        );
    }
    Ok(())
}
