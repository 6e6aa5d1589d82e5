//! Tables, figures and a page from the run folders of a sweep alone, at any time.

mod cells;
mod figures;
mod gather;
mod page;
mod restored;
mod statistics;
mod tables;

use crate::figure::Figure;
use crate::files::write_whole;
use anyhow::{Context, Result};
use cells::Cells;
use gather::gather;
use page::Page;
use std::path::{Path, PathBuf};

/// What a report wrote, and what it found.
#[derive(Clone, Debug)]
pub struct Report {
    /// `report.html`.
    pub page: PathBuf,
    /// The folder of tables and figures.
    pub files: PathBuf,
    /// The tables as Markdown.
    pub tables: String,
    /// Runs that are done, and runs in all.
    pub done: (usize, usize),
}

/// Writes `report.html` and the folder `report/` into a sweep's folder.
///
/// # Errors
/// There are no runs, or a file cannot be written. Runs that cannot be read are listed in the report.
pub fn report(folder: &Path) -> Result<Report> {
    let gathered = gather(folder)?;
    let files = folder.join("report");
    std::fs::create_dir_all(&files)
        .with_context(|| format!("{}: cannot be made", files.display()))?;
    let cells = Cells::of(&gathered.runs)?;
    let tables = tables::tables(&cells);
    let markdown = tables.iter().map(tables::Table::markdown).collect::<Vec<_>>().join("\n");
    write_whole(&files.join("tables.md"), markdown.as_bytes())?;
    write_whole(&files.join("cells.csv"), &tables::cells_csv(&cells)?)?;
    write_whole(&files.join("runs.csv"), &tables::runs_csv(&gathered.runs)?)?;
    let curves = figures::learning_curves(&cells);
    if !curves.panels.is_empty() {
        curves.write(&files, "curves")?;
    }
    let batches = figures::against_batch(&cells);
    if let Some(batches) = &batches {
        batches.write(&files, "batches")?;
    }
    let samples = restored::pictures(&cells)?;
    for (number, png) in samples.iter().enumerate() {
        if let Ok(png) = png {
            write_whole(&files.join(format!("samples-{}.png", number + 1)), png)?;
        }
    }
    let page = Page {
        folder,
        gathered: &gathered,
        cells: &cells,
        tables: &tables,
        curves: curves.each()?,
        batches: batches.map(|batches| batches.svg()).transpose()?,
        samples,
    };
    let path = folder.join("report.html");
    write_whole(&path, page.html().as_bytes())?;
    let done = gathered.runs.iter().filter(|run| run.is_done()).count();
    Ok(Report { page: path, files, tables: markdown, done: (done, gathered.runs.len()) })
}
