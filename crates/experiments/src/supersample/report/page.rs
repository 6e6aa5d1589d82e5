//! `report.html`: everything on one page that needs no other file.

use super::cells::Cells;
use super::gather::{Gathered, Run, State};
use super::tables::Table;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::collections::BTreeSet;
use std::path::Path;

/// The parts of a page.
pub struct Page<'a> {
    /// The sweep's folder.
    pub folder: &'a Path,
    /// Its runs.
    pub gathered: &'a Gathered,
    /// The runs as cells.
    pub cells: &'a Cells<'a>,
    /// The tables.
    pub tables: &'a [Table],
    /// SVG of the learning curves of each row of the tables.
    pub curves: Vec<String>,
    /// SVG of final losses against the batch.
    pub batches: Option<String>,
    /// PNG files of restored pictures of each row of the tables, or why there is none.
    pub samples: Vec<Result<Vec<u8>, String>>,
}

const STYLE: &str = include_str!("style.css");

impl Page<'_> {
    /// The page.
    pub fn html(&self) -> String {
        let name = self.gathered.plan.as_ref().map(|plan| plan.name.clone());
        let folder = self.folder.file_name().unwrap_or_default().to_string_lossy();
        let title = name.unwrap_or_else(|| folder.into_owned());
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (title) " · ALRC" }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    main {
                        h1 { "Adaptive learning rate clipping: " (title) }
                        (self.what_was_run())
                        (self.unfinished())
                        @for table in self.tables { (shown(table)) }
                        @if let Some(svg) = &self.batches {
                            h2 { "Final losses against the batch size" }
                            p { "Mean over the repeats; bars are one standard deviation." }
                            div.figures { figure { (PreEscaped(svg)) } }
                        }
                        (self.learning_curves())
                        (self.restored())
                        (self.all_runs())
                    }
                }
            }
        };
        page.into_string()
    }

    fn count(&self, wanted: impl Fn(&State) -> bool) -> usize {
        self.gathered.runs.iter().filter(|run| wanted(&run.state)).count()
    }

    fn what_was_run(&self) -> Markup {
        let runs = &self.gathered.runs;
        let origins: BTreeSet<&(String, String)> =
            runs.iter().filter_map(|run| run.origin.as_ref()).collect();
        let seconds: f64 = runs.iter().filter_map(|run| Some(run.summary.as_ref()?.seconds)).sum();
        let plan = self.gathered.plan.as_ref();
        let diverged = self.count(|state| matches!(state, State::Diverged(_)));
        html! {
            p {
                (runs.len()) " runs: " (self.count(|state| *state == State::Finished)) " finished, "
                (diverged) " diverged, "
                (self.count(|state| matches!(state, State::Unfinished(_)))) " unfinished, "
                (self.count(|state| matches!(state, State::Failed(_)))) " failed, "
                (self.count(|state| *state == State::Missing)) " missing. "
                (format!("{:.1}", seconds / 3600.0)) " hours of training."
            }
            dl {
                @if let Some(plan) = plan {
                    dt { "scale" } dd { (format!("{:?}", plan.scale).to_lowercase()) }
                }
                dt { "in common" } dd { (self.cells.common) }
                dt { "varied" } dd {
                    (self.cells.conditions.iter().filter(|c| !c.is_empty()).count().max(1))
                    " condition(s), " (self.cells.arms.len()) " arm(s): " (self.cells.arms.join("; "))
                }
                @for (program, pictures) in origins {
                    dt { "run with" } dd { (program) ", on " (pictures) }
                }
            }
            @if let Some(text) = plan.and_then(|plan| toml::to_string(plan).ok()) {
                details { summary { "The grid, as sweep.toml holds it" } pre { (text) } }
            }
        }
    }

    /// Runs that are failed, missing, unfinished or diverged.
    fn unfinished(&self) -> Markup {
        let odd: Vec<(String, &Run)> = self
            .gathered
            .runs
            .iter()
            .filter_map(|run| {
                let why = match &run.state {
                    State::Finished => return None,
                    State::Diverged(why) | State::Failed(why) => why.clone(),
                    State::Unfinished(step) => {
                        format!("at step {step} of {}", run.settings.steps)
                    }
                    State::Missing => "has not begun".into(),
                };
                Some((why, run))
            })
            .collect();
        let unreadable = &self.gathered.unreadable;
        html! {
            @if !odd.is_empty() || !unreadable.is_empty() {
                h2 { "Not finished" }
                details open[odd.len() + unreadable.len() <= 12] {
                    summary { (odd.len() + unreadable.len()) " runs" }
                    div.wide { table {
                        thead { tr { th { "run" } th { "state" } th.text { "why" } } }
                        tbody {
                            @for (why, run) in odd {
                                tr { td { (run.settings.name()) } td { (run.state.word()) }
                                    td.text { (why) } }
                            }
                            @for (path, why) in unreadable {
                                tr { td { (path.display()) } td { "unreadable" } td.text { (why) } }
                            }
                        }
                    } }
                }
            }
        }
    }

    fn learning_curves(&self) -> Markup {
        html! {
            h2 { "Learning curves" }
            p {
                "Losses before clipping, averaged over the steps before each point: mean over the \
                 repeats; the band is from the smallest to the largest. A cross: all repeats diverged."
            }
            div.figures {
                @for svg in &self.curves { figure { (PreEscaped(svg)) } }
            }
        }
    }

    fn restored(&self) -> Markup {
        html! {
            h2 { "Test pictures, restored" }
            @for (condition, sample) in self.cells.conditions.iter().zip(&self.samples) {
                figure {
                    @if !condition.is_empty() { figcaption { (condition) } }
                    @match sample {
                        Ok(png) => img alt=(format!("restored pictures, {condition}"))
                            src=(format!("data:image/png;base64,{}", STANDARD.encode(png)));,
                        Err(why) => p.note { "No pictures: " (why) "." },
                    }
                }
            }
        }
    }

    fn all_runs(&self) -> Markup {
        let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.4}"));
        html! {
            h2 { "All runs" }
            details {
                summary { (self.gathered.runs.len()) " runs" }
                div.wide { table {
                    thead { tr {
                        th { "run" } th { "state" } th { "final loss" } th { "final raw loss" }
                        th { "largest" } th { "clipped" } th { "seconds" }
                    } }
                    tbody {
                        @for run in &self.gathered.runs {
                            tr {
                                td { (run.settings.name()) } td { (run.state.word()) }
                                @if let Some(summary) = &run.summary {
                                    td { (number(summary.final_mean_unclipped)) }
                                    td { (number(summary.final_mean_raw)) }
                                    td { (number(summary.max_raw)) }
                                    td { (summary.clipped_total) }
                                    td { (format!("{:.0}", summary.seconds)) }
                                } @else { td {} td {} td {} td {} td {} }
                            }
                        }
                    }
                } }
            }
        }
    }
}

fn shown(table: &Table) -> Markup {
    html! {
        h2 { (table.title) }
        p { (table.note) }
        div.wide { table {
            thead { tr { @for name in &table.head { th { (name) } } } }
            tbody { @for row in &table.rows { tr { @for cell in row { td { (cell) } } } } }
        } }
    }
}
