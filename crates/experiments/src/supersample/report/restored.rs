//! Test pictures as the networks of a sweep restore them.

use super::cells::{Cells, shown};
use super::gather::{Run, State};
use crate::figure::samples::{self, Picture};
use crate::run::Files;
use crate::supersample::{Data, evaluate_file};
use anyhow::Result;
use datasets::SIDE;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Test pictures in a figure.
const SHOWN: usize = 4;

/// A PNG file, or why there is none, for each row of the tables.
///
/// # Errors
/// A figure cannot be drawn.
pub fn pictures(cells: &Cells<'_>) -> Result<Vec<Result<Vec<u8>, String>>> {
    let mut data = BTreeMap::new();
    let rows = cells.cells.iter().map(|row| {
        let mut titles = vec!["input".to_owned()];
        let mut pictures: Vec<Vec<Picture>> = Vec::new();
        let mut targets = Vec::new();
        let mut why = "no checkpoint is in the folders of these runs".to_owned();
        for (arm, cell) in cells.arms.iter().zip(row) {
            let with_checkpoint = |run: &&&Run| Files::new(&run.folder).checkpoint().exists();
            let runs = cell.iter().flat_map(|cell| &cell.runs).filter(with_checkpoint);
            let Some(run) = runs.min_by_key(|run| run.state != State::Finished) else {
                continue;
            };
            let state = match &run.state {
                State::Finished => String::new(),
                other => format!(", {}", other.word()),
            };
            let found = match restored(run, &mut data) {
                Ok(found) => found,
                Err(error) => {
                    why = format!("{error:#}");
                    continue;
                }
            };
            if pictures.is_empty() {
                pictures = found.iter().map(|[input, ..]| vec![input.clone()]).collect();
                targets = found.iter().map(|[.., target]| target.clone()).collect();
            }
            for (row, [_, output, _]) in pictures.iter_mut().zip(found) {
                row.push(output);
            }
            let arm = shown(arm).replace(", ", "\n");
            titles.push(format!("{arm}\nseed {}{state}", run.settings.seed));
        }
        if pictures.is_empty() {
            return Ok(Err(why));
        }
        titles.push("target".into());
        for (row, target) in pictures.iter_mut().zip(targets) {
            row.push(target);
        }
        samples::png(&titles, &pictures, 5 * SIDE).map(Ok)
    });
    rows.collect()
}

/// The first test pictures: input, output, target.
fn restored(run: &Run, opened: &mut BTreeMap<Option<PathBuf>, Data>) -> Result<Vec<[Picture; 3]>> {
    let settings = &run.settings;
    let data = match opened.get(&settings.data) {
        Some(data) => data.clone(),
        None => {
            let whole = Data::open(settings)?;
            let few = Data { test: (*whole.test).clone().take(SHOWN).into(), ..whole };
            opened.insert(settings.data.clone(), few.clone());
            few
        }
    };
    let path = Files::new(&run.folder).checkpoint();
    let (_, evaluation) = evaluate_file(&path, |_| Ok(data), settings.device)?;
    let colours = |planes: Vec<f32>| Picture::colours(&planes, SIDE);
    Ok(evaluation.samples.into_iter().map(|sample| sample.map(colours)).collect())
}
