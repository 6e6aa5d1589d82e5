//! Tables as Markdown and CSV.

use super::cells::{self, Cell, Cells};
use super::gather::{Run, State};
use super::statistics::{Sample, paired};
use anyhow::{Context, Result};
use serde::Serialize;

/// A table: a name for each column, then rows. The first column names the rows.
#[derive(Clone, Debug)]
pub struct Table {
    /// Above it.
    pub title: String,
    /// What it shows.
    pub note: String,
    /// The names of the columns.
    pub head: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

/// The tables of a report; those without numbers are left out.
pub fn tables(cells: &Cells<'_>) -> Vec<Table> {
    let some = |has: &dyn Fn(&Cell<'_>) -> bool| cells.all().any(|(_, _, cell)| has(cell));
    let mut tables = vec![table(
        cells,
        "Final training losses",
        "Mean over the last 5 % of the steps, before clipping; mean and standard deviation over the \
         repeats. Fewer repeats than planned are counted in brackets; diverged runs are not in the \
         mean.",
        &final_loss,
    )];
    if some(&|cell| cell.p.is_some()) {
        tables.push(table(
            cells,
            "Significance",
            "Welch's t-test of the final losses against the arm without clipping: the probability of \
             such a difference by chance. Not corrected for the number of comparisons.",
            &|cell| cell.p.map_or_else(String::new, probability),
        ));
    }
    if some(&|cell| cell.differences.count > 1) {
        tables.push(table(
            cells,
            "Differences by seed",
            "Runs of one seed start from the same weights and see the same pictures: final loss less \
             that of the same seed without clipping, mean and standard deviation, and the paired \
             t-test. Seeds of which one run diverged are left out.",
            &|cell| match (cell.differences.count, paired(&cell.differences)) {
                (0, _) => String::new(),
                (_, Some(p)) => format!("{} (p {})", spread(&cell.differences), probability(p)),
                (_, None) => spread(&cell.differences),
            },
        ));
    }
    if some(&|cell| cell.test.count > 0) {
        tables.push(table(
            cells,
            "Test losses",
            "Mean raw loss on the test pictures, which are never corrupted; mean and standard \
             deviation over the repeats.",
            &|cell| spread(&cell.test),
        ));
    }
    if some(&|cell| cell.largest.is_some()) {
        let note = "The largest raw loss of a step in any repeat.";
        let shown = |cell: &Cell<'_>| cell.largest.map_or_else(String::new, large);
        tables.push(table(cells, "Largest losses", note, &shown));
    }
    if some(&|cell| cell.clipped > 0.0) {
        let note = "Of all losses of the runs that are done.";
        tables.push(table(cells, "Losses clipped", note, &|cell| {
            if cell.clipped > 0.0 { format!("{:.3} %", 1e2 * cell.clipped) } else { "-".into() }
        }));
    }
    tables
}

/// More arms than this are rows.
const MOST_COLUMNS: usize = 6;

/// A table with a number for each cell: conditions are rows and arms columns, or the other way round
/// where there are many arms.
fn table(
    cells: &Cells<'_>,
    title: &str,
    note: &str,
    number: &dyn Fn(&Cell<'_>) -> String,
) -> Table {
    let arms: Vec<String> = cells.arms.iter().map(|arm| cells::shown(arm).to_owned()).collect();
    let conditions = cells.conditions.iter().map(|name| if name.is_empty() { "all" } else { name });
    let conditions: Vec<String> = conditions.map(str::to_owned).collect();
    let shown =
        |row: usize, arm: usize| cells.cells[row][arm].as_ref().map_or_else(String::new, number);
    let turned = arms.len() > MOST_COLUMNS && arms.len() > conditions.len();
    let (rows, columns) = if turned { (arms, conditions) } else { (conditions, arms) };
    let line =
        |row: usize| (0..columns.len()).map(move |i| if turned { (i, row) } else { (row, i) });
    Table {
        title: title.into(),
        note: note.into(),
        rows: rows
            .into_iter()
            .enumerate()
            .map(|(row, name)| {
                let numbers = line(row).map(|(condition, arm)| shown(condition, arm));
                std::iter::once(name).chain(numbers).collect()
            })
            .collect(),
        head: std::iter::once(String::new()).chain(columns.iter().cloned()).collect(),
    }
}

fn final_loss(cell: &Cell<'_>) -> String {
    let mut text = spread(&cell.unclipped);
    if cell.done < cell.runs.len() {
        text.push_str(&format!(" ({} of {} done)", cell.done, cell.runs.len()));
    }
    if cell.diverged > 0 {
        text.push_str(&format!(" ({} diverged)", cell.diverged));
    }
    text
}

/// `1.234 ± 0.056`; without the deviation for a single number.
pub fn spread(sample: &Sample) -> String {
    match sample.count {
        0 => "-".into(),
        1 => format!("{:.3}", sample.mean),
        _ => format!("{:.3} ± {:.3}", sample.mean, sample.std),
    }
}

fn probability(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") }
}

fn large(loss: f64) -> String {
    if loss < 1e5 { format!("{loss:.0}") } else { format!("{loss:.0e}") }
}

impl Table {
    /// As Markdown, the columns aligned.
    pub fn markdown(&self) -> String {
        let lines: Vec<&Vec<String>> = std::iter::once(&self.head).chain(&self.rows).collect();
        let width = |column: usize| {
            lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if column == 0 { format!(" {cell:<width$} ") } else { format!(" {cell:>width$} ") }
            });
            format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
        };
        let rule = widths.iter().enumerate().map(|(column, &width)| {
            if column == 0 { "-".repeat(width + 2) } else { format!("{}:", "-".repeat(width + 1)) }
        });
        let rule = format!("|{}|\n", rule.collect::<Vec<_>>().join("|"));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("### {}\n\n{}\n\n{}{rule}{rows}", self.title, self.note, line(&self.head))
    }
}

#[derive(Serialize)]
struct CellLine<'a> {
    conditions: &'a str,
    arm: &'a str,
    runs: usize,
    done: usize,
    diverged: usize,
    unclipped_mean: f64,
    unclipped_std: f64,
    raw_mean: f64,
    raw_std: f64,
    test_mean: f64,
    test_std: f64,
    largest_raw: Option<f64>,
    clipped_part: f64,
    p_against_none: Option<f64>,
    difference_mean: f64,
    difference_std: f64,
    p_paired: Option<f64>,
}

/// A line for each cell.
///
/// # Errors
/// It cannot be put together.
pub fn cells_csv(cells: &Cells<'_>) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (conditions, arm, cell) in cells.all() {
        writer.serialize(CellLine {
            conditions,
            arm,
            runs: cell.runs.len(),
            done: cell.done,
            diverged: cell.diverged,
            unclipped_mean: cell.unclipped.mean,
            unclipped_std: cell.unclipped.std,
            raw_mean: cell.raw.mean,
            raw_std: cell.raw.std,
            test_mean: cell.test.mean,
            test_std: cell.test.std,
            largest_raw: cell.largest,
            clipped_part: cell.clipped,
            p_against_none: cell.p,
            difference_mean: cell.differences.mean,
            difference_std: cell.differences.std,
            p_paired: paired(&cell.differences),
        })?;
    }
    writer.into_inner().context("a table")
}

#[derive(Serialize)]
struct RunLine<'a> {
    name: String,
    state: &'a str,
    steps: u64,
    final_mean_unclipped: Option<f64>,
    final_mean_raw: Option<f64>,
    max_raw: Option<f64>,
    clipped_total: Option<u64>,
    skipped_total: Option<u64>,
    test_raw: Option<f64>,
    test_psnr: Option<f64>,
    seconds: Option<f64>,
    why: &'a str,
}

/// A line for each run, those that are missing too.
///
/// # Errors
/// It cannot be put together.
pub fn runs_csv(runs: &[Run]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for run in runs {
        let summary = run.summary.as_ref();
        writer.serialize(RunLine {
            name: run.settings.name(),
            state: run.state.word(),
            steps: summary.map_or(0, |summary| summary.steps),
            final_mean_unclipped: summary.and_then(|summary| summary.final_mean_unclipped),
            final_mean_raw: summary.and_then(|summary| summary.final_mean_raw),
            max_raw: summary.and_then(|summary| summary.max_raw),
            clipped_total: summary.map(|summary| summary.clipped_total),
            skipped_total: summary.map(|summary| summary.skipped_total),
            test_raw: run.test.map(|test| test.0),
            test_psnr: run.test.map(|test| test.1),
            seconds: summary.map(|summary| summary.seconds),
            why: match &run.state {
                State::Diverged(why) | State::Failed(why) => why,
                _ => "",
            },
        })?;
    }
    writer.into_inner().context("a table")
}

impl State {
    /// A word for tables.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Diverged(_) => "diverged",
            Self::Unfinished(_) => "unfinished",
            Self::Failed(_) => "failed",
            Self::Missing => "missing",
        }
    }
}
